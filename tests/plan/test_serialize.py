"""Plans as JSON: an exact round trip, and a message with the place for everything else."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings

from tests.support.plans import beam_search, rebase
from tests.support.random_plans import plans
from tts_lang.plan.graph import Plan, operations
from tts_lang.plan.serialize import from_json, to_json
from tts_lang.plan.verify import PlanError


def origins(plan: Plan) -> list[object]:
    return [operation.origins for operation in operations(plan.body)]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(plans())
def test_every_plan_comes_back_as_it_was(plan: Plan) -> None:
    again = from_json(to_json(plan))
    assert again == plan
    # Equality takes 1, 1.0 and True for one another, and leaves origins out.
    assert repr(again) == repr(plan)
    assert origins(again) == origins(plan)
    assert to_json(again) == to_json(plan)


def test_format_names_itself_and_its_version() -> None:
    data = json.loads(to_json(beam_search()))
    assert data["format"] == "tts-plan"
    assert data["version"] == 1


def edited(change: Callable[[Any], object]) -> str:
    data = json.loads(to_json(beam_search()))
    change(data)
    return json.dumps(data)


def first(data: Any) -> Any:
    return data["plan"]["body"]["operations"][0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.update(version=2), "plan version 2 cannot be read"),
        (lambda d: d.update(format="other"), 'expected an object with "format": "tts-plan"'),
        (lambda d: d.pop("plan"), "plan: expected an object (plan), found null"),
        (lambda d: d.update(more=1), 'the file: unknown entry "more"'),
        (
            lambda d: first(d)["spec"].update(op="expnd"),
            'plan.body.operations[0].spec: "op" is "expnd"; did you mean \'expand\'?',
        ),
        (
            lambda d: first(d)["spec"]["amount"].pop("count"),
            'plan.body.operations[0].spec.amount: "count" is not given',
        ),
        (
            lambda d: first(d)["spec"]["amount"].update(unit="step"),
            "plan.body.operations[0].spec.amount.unit: expected one of solutions, steps",
        ),
        (
            lambda d: first(d)["spec"]["amount"]["count"].update(value=[1]),
            "plan.body.operations[0].spec.amount.count.value: expected a whole number or",
        ),
        (
            lambda d: first(d).update(inputs=[True]),
            "plan.body.operations[0].inputs[0]: expected a whole number, found true",
        ),
        (
            lambda d: first(d).update(inputs="0"),
            'plan.body.operations[0].inputs: expected a list, found "0"',
        ),
        (
            lambda d: first(d).update(input=[]),
            "unknown entry \"input\"; did you mean 'inputs'?",
        ),
        (lambda d: first(d).update(inputs=[99]), "value 99 is not defined before its use"),
        (lambda d: d["plan"].update(values={}), "plan.values: expected a list, found an object"),
    ],
)
def test_edited_file_gets_a_message_that_names_the_place(
    change: Callable[[Any], object], message: str
) -> None:
    with pytest.raises(PlanError) as raised:
        from_json(edited(change))
    assert message in str(raised.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "[" * 100_000, "9" * 10_000, '{"a":1}'])
def test_text_that_is_no_plan_is_refused(text: str) -> None:
    with pytest.raises(PlanError, match=r"not JSON|not a plan"):
        from_json(text)


WRONG: tuple[object, ...] = (None, -1, 10**6, 0.5, "x", [], {}, [0])


def test_any_single_value_may_be_wrong_without_a_crash() -> None:
    """Every value of a plan, replaced by values of other types: a `PlanError` or a legal plan."""
    data = json.loads(to_json(rebase(n=2, depth=1)))
    places: list[tuple[Any, Any]] = []
    waiting: list[Any] = [data]
    while waiting:
        current = waiting.pop()
        items = current.items() if isinstance(current, dict) else enumerate(current)
        for key, value in items:
            places.append((current, key))
            if isinstance(value, dict | list):
                waiting.append(value)
    refused = 0
    for holder, key in places:
        kept = holder[key]
        for wrong in WRONG:
            holder[key] = wrong
            try:
                from_json(json.dumps(data))
            except PlanError:
                refused += 1
        holder[key] = kept
    assert refused > 4 * len(places)
