"""Fresh calls: a strategy once more, on samples of its own (C65)."""

from __future__ import annotations

import pytest

from tests.support.agreement import by_reference, compiled, world
from tests.support.invariants import drawn_in_two_contexts
from tests.support.runs import PROBLEM, plan_of, run_plan
from tests.support.scripted import ScriptedPolicy
from tts_lang.optimise import optimise
from tts_lang.plan.graph import Call, operations
from tts_runtime.streams import (
    UNCLAIMED,
    child_key,
    fresh_key,
    lane_key,
    root_key,
    sampling_tag,
    thinking_key,
)

ROOT = root_key(0, PROBLEM.id)
TAG = sampling_tag("policy", 1.0, 1.0, 0, 0.0)
ONE = "strategy one():\n    return sample 1\nstrategy other():\n    return sample 1\n"


def first_child(key: bytes, position: int = 0) -> bytes:
    return child_key(key, UNCLAIMED, position, 0, 0, TAG)


def fresh(number: int, strategy: str = "one", key: bytes = ROOT, position: int = 0) -> bytes:
    return first_child(fresh_key(key, position, strategy, number), position)


def keys(*lines: str, before: str = ONE, thinking: bool = False) -> list[bytes]:
    """The keys of what a strategy asks its policy for, in order."""
    engine = ScriptedPolicy(("a\n\nb\n\nc",), thinking=thinking)
    outcome = run_plan(plan_of(*lines, before=before), engine)
    assert outcome.error is None, outcome.error
    return [request.key for request in engine.requests]


def test_c65_fresh_calls_are_numbered_by_strategy_and_never_run_on_the_plain_lane() -> None:
    asked = keys(
        "p = one() + fresh one() + fresh other() + fresh one() + one()",
        "return vote p",
    )
    # The second plain call is the first one again.
    assert asked == [first_child(ROOT), fresh(0), fresh(0, "other"), fresh(1)]


def test_c65_a_longer_loop_begins_like_a_shorter_one() -> None:
    def rounds(many: int) -> list[bytes]:
        return keys("p = none", f"repeat {many}:", "    p = p + fresh one()", "return vote p")

    assert rounds(4) == rounds(16)[:4]
    assert len(set(rounds(16))) == 16


def test_c65_what_did_not_run_counts_nothing() -> None:
    lines = ("p = sample 1", "if count(p) > 1:", "    p = fresh one()", "return fresh one()")
    assert keys(*lines) == [first_child(ROOT), fresh(0)]


def test_c65_every_scope_numbers_its_own() -> None:
    before = ONE + "strategy two():\n    return vote fresh one() + fresh one()\n"
    asked = keys("return vote fresh two() + fresh two()", before=before)
    lanes = [fresh_key(ROOT, 0, "two", number) for number in (0, 1)]
    assert asked == [fresh(number, key=lane) for lane in lanes for number in (0, 1)]


def test_c65_rows_on_one_node_have_lanes_of_their_own_on_each_fresh_lane() -> None:
    asked = keys("p = fork problem into 2", "return vote (fresh one() on p) + (fresh one() on p)")
    lanes = [fresh_key(ROOT, 0, "one", number) for number in (0, 1)]
    assert asked == [first_child(key) for lane in lanes for key in (lane, lane_key(lane, 1))]


def test_c65_the_lane_begins_where_the_row_stands() -> None:
    asked = keys("p = sample 1 step", "return fresh one() on p")
    assert asked == [first_child(ROOT), fresh(0, key=first_child(ROOT), position=3)]


def test_c65_a_strategy_that_thinks_opens_a_thought_on_its_lane() -> None:
    before = "strategy one():\n    t = sample 1 thought\n    return expand t by 1\n"
    asked = keys("return vote one() + fresh one()", before=before, thinking=True)
    thought = thinking_key(ROOT)
    assert asked[0] == first_child(thought)
    assert fresh(0, key=thought) in asked


@pytest.mark.parametrize("seed", range(6))
def test_c65_no_key_is_drawn_behind_two_texts(seed: int) -> None:
    """Invariant U, with fresh calls on paths, copies and in calls; generated programs have more."""
    plan = compiled(
        "strategy leaf(n = 2):\n    return vote (sample n)\n"
        "strategy onward(n = 2):\n"
        "    p = sample n steps\n"
        "    p = p + (fresh leaf() on p)\n"
        "    return first of (expand p by 1)\n"
        "strategy main():\n"
        "    p = (sample 2 steps) + problem\n"
        "    p = p + (fork p into 2)\n"
        "    repeat 3:\n"
        "        p = p + (fresh onward(1) on (first 3 of p)) + fresh leaf()\n"
        "        p = expand p by 1 step\n"
        "    return vote p + onward() + leaf()\n"
    )
    assert drawn_in_two_contexts(by_reference(plan, world(seed), PROBLEM, seed).drawn) is None


def test_the_optimiser_keeps_every_fresh_call_that_another_is_numbered_after() -> None:
    lines = ("a = fresh one()", "b = fresh other()", "c = fresh one()", "return c")
    plan = plan_of(*lines, before=ONE)
    left = optimise(plan, check=True).plan
    called = [each.spec for each in operations(left.body) if isinstance(each.spec, Call)]
    assert [spec.strategy for spec in called] == ["one", "one"]
    engine = ScriptedPolicy(["a"])
    run_plan(left, engine)
    assert engine.requests[-1].key == fresh(1)


def test_the_optimiser_keeps_a_fresh_call_in_a_loop() -> None:
    lines = ("p = sample 1", "repeat 3:", "    a = fresh one()", "    p = p + fresh one()")
    plan = plan_of(*lines, "return vote p", before=ONE)
    engine = ScriptedPolicy(["a"])
    run_plan(optimise(plan, check=True).plan, engine)
    assert [fresh(number) for number in (1, 3, 5)] == [
        request.key for request in engine.requests if request.key in map(fresh, (1, 3, 5))
    ]
