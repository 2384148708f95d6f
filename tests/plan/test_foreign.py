"""Plans from a stranger: refused with a message, or as good as compiled ones.

`pytest tests/plan --mutations 100000` runs longer.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.agreement import compiled
from tests.support.chains import chain
from tests.support.mutations import STRATEGIES, campaign
from tests.support.plans import beam_search
from tests.support.programs import random_program
from tts_lang.compiler import compile_strategy
from tts_lang.optimise import optimise
from tts_lang.plan.graph import Plan
from tts_lang.plan.serialize import from_json, to_json
from tts_lang.plan.verify import PlanError
from tts_lang.printable import printable
from tts_lang.readers import MAX_PLAN_BYTES
from tts_runtime.runs.rundir import folder

#: Tests that share the mutations, so that they can run side by side.
PARTS = 2


@pytest.mark.parametrize("part", range(PARTS))
def test_a_mutated_plan_is_refused_or_can_be_explained_and_run(
    mutation_count: int, part: int
) -> None:
    found = campaign(range(part, mutation_count, PARTS))
    assert found["answered"] > found.total() // 12
    assert found["refused"] > found.total() // 2


def test_compiled_and_optimised_plans_are_legal() -> None:
    plans = [compile_strategy(path) for path in sorted(STRATEGIES.glob("*.tts"))]
    plans += [
        compiled(source(number)) for number in range(20) for source in (random_program, chain)
    ]
    for plan in plans:
        for each in (plan, optimise(plan).plan):
            assert from_json(to_json(each)) == each


def edited(change: Callable[[Any], object]) -> str:
    data = json.loads(to_json(beam_search()))
    change(data["plan"])
    return json.dumps(data)


def spec(data: Any) -> Any:
    return data["body"]["operations"][0]["spec"]


def count(value: object) -> Callable[[Any], object]:
    """The number of children is something else."""
    return lambda data: spec(data)["amount"]["count"].update(value=value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda d: d.update(strategy="/tmp/x"),
            "the strategy is called '/tmp/x', which is no name",
        ),
        (lambda d: d.update(strategy=".."), "the strategy is called '..', which is no name"),
        (lambda d: d.update(strategy="a\x00b"), "which is no name"),
        (lambda d: d.update(strategy="if"), "the strategy is called 'if', which is no name"),
        (lambda d: d.update(strategy="n" * 999), "which is no name"),
        (lambda d: d.update(document="\ud800"), "a text holds a surrogate"),
        (lambda d: d.update(policies=[]), "policy `policy` is not declared"),
        (lambda d: d.update(policies=["policy", "../x"]), "a policy is called '../x'"),
        (lambda d: d.update(parameters={"n": 10**400}), "a number is not finite"),
        (lambda d: d.update(parameters={"a b": 1}), "a parameter is called 'a b'"),
        (count(10**400), "a number is not finite, or above 1.797e308"),
        (count(float("nan")), "NaN is no number"),
        (count("text"), "`count` is a number, and this is a text"),
        (count(True), "`count` is a number, and this is a flag"),
        (count(-5), "`count` is -5: it must be at least 0"),
        (count(None), "`count` is missing"),
        (
            lambda d: spec(d)["decoding"].update(temperature={"is": "const", "value": -1}),
            "`temperature` is -1: it must be at least 0",
        ),
        (
            lambda d: spec(d)["decoding"].update(top_p={"is": "const", "value": 0}),
            "`top_p` is 0: it must be above 0 and at most 1",
        ),
        (
            lambda d: spec(d)["decoding"].update(stop_at={"is": "const", "value": 4}),
            "`stop_at` is a text, and this is a number",
        ),
        (
            lambda d: d["values"][1].update(columns={"prm": "steps"}),
            "values[1] has no column `prm`",
        ),
        (lambda d: d["scorers"][0].update(low=2, high=1), "has a range from 2 to 1"),
    ],
)
def test_the_rules_of_the_language_hold_for_files(
    change: Callable[[Any], object], message: str
) -> None:
    with pytest.raises(PlanError) as raised:
        from_json(edited(change))
    assert message in printable(raised.value)


def test_a_plan_file_has_a_limit() -> None:
    with pytest.raises(PlanError, match="more than 16 MiB"):
        from_json(" " * (MAX_PLAN_BYTES + 1))


@pytest.mark.parametrize(
    "name",
    [
        *("/tmp/x", "..", ".", "../x", "a/b", "a\x00b", "\ud800", "n[phrase=../../x]", "con:x\n"),
        "n[phrase=" + "long" * 100 + "]",
    ],
)
def test_no_folder_is_made_of_an_unchecked_text(name: str, tmp_path: Path) -> None:
    plan: Plan = replace(beam_search(), strategy=name)
    made = folder(tmp_path, plan)
    assert made.parent == tmp_path
    made.mkdir()
    assert list(tmp_path.iterdir()) == [made]
    assert made != folder(tmp_path, replace(plan, strategy=name + "x"))


def test_folders_of_usual_names_hold_nothing_that_a_shell_expands(tmp_path: Path) -> None:
    for name in ("majority", "beam_search[n=4,width=0.5]"):
        expected = name.replace("[", "@").removesuffix("]")
        assert folder(tmp_path, replace(beam_search(), strategy=name)).name == expected
