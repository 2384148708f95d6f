"""Streams: which child gets which key, whatever the schedule (C1 to C15)."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.support.runs import PROBLEM, added, made, plan_of, run_plan, says
from tests.support.scripted import ScriptedPolicy, TableScorer
from tts_runtime.engines.base import GenerateRequest, Sampling
from tts_runtime.streams import (
    UNCLAIMED,
    child_key,
    forced_key,
    lane_key,
    root_key,
    sampling_tag,
)

ROOT = root_key(0, PROBLEM.id)
TAG = sampling_tag("policy", 1.0, 1.0, 0, 0.0)


def requests(
    *lines: str, before: str = "", texts: tuple[str, ...] = ("a\n\nb\n\nc",)
) -> list[GenerateRequest]:
    """What a strategy asks its policy for, in order."""
    engine = ScriptedPolicy(texts)
    outcome = run_plan(plan_of(*lines, before=before), engine)
    assert outcome.error is None, outcome.error
    return engine.requests


def keys(*lines: str, before: str = "") -> list[bytes]:
    return [request.key for request in requests(*lines, before=before)]


def child(number: int, key: bytes = ROOT, claimed: bytes = UNCLAIMED, position: int = 0) -> bytes:
    return child_key(key, claimed, position, 0, number, TAG)


def test_c01_positions_count_all_ids_of_the_conversation_forced_ones_too() -> None:
    asked = requests("p = sample 1 step", 'force "xy" into p', "return expand p by 1")
    assert [len(request.prefix) for request in asked] == [0, 5]


def test_c02_children_are_numbered_by_those_requested_in_program_order() -> None:
    assert keys("p = sample 2", "q = sample 2", "return vote (p + q)") == [
        child(n) for n in range(4)
    ]


def test_c02_a_branch_not_taken_counts_nothing() -> None:
    lines = ("p = sample 1", "if count(p) > 1:", "    p = sample 5", "return sample 1")
    assert keys(*lines) == [child(0), child(1)]


def test_c03_fork_then_expand_draws_what_expand_draws() -> None:
    forked = keys("trees = fork problem into 3", "return first of (expand trees by 2)")
    assert forked == keys("return first of (sample 6)")


def test_c04_force_derives_a_key_and_never_disturbs_the_trace() -> None:
    probed = keys(
        "p = sample 1 step",
        "probe = p",
        'force "x" into probe',
        "probe = expand probe by 1",
        "return expand p by 1",
    )
    plain = keys("p = sample 1 step", "return expand p by 1")
    assert [probed[0], probed[2]] == plain
    derived = forced_key(child(0), 3, (120,))
    assert probed[1] == child_key(derived, UNCLAIMED, 4, 0, 0, TAG)


def test_c05_asking_twice_is_fresh_and_rounds_differ() -> None:
    before = 'prompt again = "{text}"'
    asked = keys(
        "p = sample 1",
        "q = ask again about p",
        "r = ask again about p",
        "s = ask again about q",
        "return vote (q + r + s)",
        before=before,
    )
    assert len(set(asked)) == 4


def test_c05_equal_messages_about_other_pools_are_other_conversations() -> None:
    def asked(shown: str) -> tuple[bytes, bytes]:
        lines = "p = sample 2", f"a = {shown}", "return ask show(a, p) about problem"
        [*_, last] = requests(*lines, before='prompt show(notes, more) = "{notes}{more}"')
        return bytes(last.prompt), last.key

    [(one, first), (other, second)] = map(asked, ("first of p", "first of (sort p by index)"))
    assert one == other
    assert first != second


def test_c06_together_depends_on_the_order_of_its_rows() -> None:
    before = 'prompt merge = "{candidates}"'
    lines = (
        "p = sample 2",
        "up = ask merge about p together",
        "down = ask merge about (sort p by index) together",
    )
    outcome = says(["a", "b", "c", "d"], *lines, "return vote (up + down)", before=before)
    up, down = made(outcome, "ask")
    assert up.prompt == "Candidate 1:\na\n\nCandidate 2:\nb"
    assert down.prompt == "Candidate 1:\nb\n\nCandidate 2:\na"
    assert (up.parent, up.root) == (None, up.uid)
    asked = keys(*lines, "return vote (up + down)", before=before)
    assert len(set(asked[2:])) == 2


def test_c07_loops_count_what_ran() -> None:
    looped = keys(
        "p = none", "repeat 3 until count(p) >= 2:", "    p = p + (sample 1)", "return sample 1"
    )
    assert looped == [child(n) for n in range(3)]


def test_c08_numbers_follow_the_program_where_rows_are_not_known_yet() -> None:
    """The second expansion is ready first, and must leave the first one its numbers."""
    scorers = {"orm": TableScorer({}, delay=50.0)}
    lines = (
        "p = sample 2 steps",
        "slow = p",
        "score slow by orm",
        "slow = expand slow by 2",
        "fast = expand p by 2",
        "return vote (slow + fast)",
    )
    engine = ScriptedPolicy(("a\n\nb",))
    outcome = run_plan(plan_of(*lines, before="scorer orm per solution"), engine, scorers)
    assert outcome.error is None
    position = 3
    first = [child(n) for n in range(2)]
    expected = [
        child_key(key, claimed, position, 0, number, TAG)
        for numbers in ((0, 1), (2, 3))
        for key, claimed in zip(first, (TAG, TAG), strict=True)
        for number in numbers
    ]
    assert [request.key for request in engine.requests[2:]] == expected


def test_c09_one_counter_a_node_whatever_the_policy() -> None:
    policies: Mapping[str, ScriptedPolicy] = {
        "policy": ScriptedPolicy(["a"]),
        "small": ScriptedPolicy(["b"]),
    }
    plan = plan_of(
        "p = sample 2 from small", "q = sample 2", "return vote (p + q)", before="policy small"
    )
    assert run_plan(plan, policies).error is None
    assert [request.key for request in policies["policy"].requests] == [child(2), child(3)]
    tag = sampling_tag("small", 1.0, 1.0, 0, 0.0)
    assert policies["small"].requests[1].key == child_key(ROOT, UNCLAIMED, 0, 0, 1, tag)


def test_c10_a_child_without_tokens_is_a_level_deeper() -> None:
    engine = ScriptedPolicy(["</think>x", "y"], thinking=True)
    plan = plan_of("p = sample 1 thought", "return first of (expand p by 2)")
    assert run_plan(plan, engine).error is None
    empty, first, second = engine.requests
    assert first.key == empty.key
    assert second.key == child_key(empty.key, TAG, 0, 1, 1, TAG)


def test_c12_resampling_the_same_rows_again_draws_again() -> None:
    lines = ("p = fork problem into 7", "q = resample p to 1 by 1", "r = resample p to 1 by 1")
    outcome = says(
        ["a"],
        *lines,
        "s = expand (q + r) by 1",
        "return first of s",
    )
    assert len(made(outcome, "resample")) == 2
    again = says(["a"], *lines, "s = expand (q + r) by 1", "return first of s")
    assert again.candidates == outcome.candidates


def test_c13_a_call_means_what_it_means_alone_and_twice_is_once() -> None:
    before = "strategy two():\n    return vote (sample 2)\n"
    engine = ScriptedPolicy(["a"])
    plan = plan_of(
        "x = two()", "y = two()", "z = sample 1", "return vote (x + y + z)", before=before
    )
    outcome = run_plan(plan, engine)
    assert [request.key for request in engine.requests] == [child(0), child(1)]
    assert outcome.counts.policy_calls == 2


def test_c13_rows_on_one_node_run_on_lanes_of_their_own() -> None:
    before = "strategy one():\n    return sample 1\n"
    asked = keys("p = fork problem into 3", "return first of (one() on p)", before=before)
    lanes = [lane_key(ROOT, copy) for copy in (1, 2)]
    assert asked == [child(0), *(child(0, lane) for lane in lanes)]


def test_c14_the_first_expansion_of_a_node_nests() -> None:
    assert keys("return first of (sample 3)") == keys("return first of (sample 9)")[:3]


def test_c15_greedy_children_are_one_request() -> None:
    asked = requests("return first of (sample 4 at temperature 0)")
    assert len(asked) == 1
    assert asked[0].sampling == Sampling(temperature=0.0)


@pytest.mark.parametrize("temperature", ["1e-310", "1e-6", "0.000009"])
def test_c15_a_temperature_near_zero_is_zero(temperature: str) -> None:
    """Dividing by it would overflow, and no token or any token would come of it."""
    near = requests(f"return first of (sample 4 at temperature {temperature})")
    assert near == requests("return first of (sample 4 at temperature 0)")
    assert requests("return first of (sample 1 at temperature 0.00001)")[0].sampling.temperature


def test_c62_the_same_request_costs_once() -> None:
    before = "strategy one(n):\n    return vote (sample n)\n"
    outcome = says(["a", "b"], "x = one(2)", "y = one(1)", "return vote (x + y)", before=before)
    assert outcome.counts.policy_calls == 2
    assert outcome.counts.policy_tokens == 4
    assert len(added(outcome)) == 3


def test_masked_calls_to_different_units_share_no_stream() -> None:
    """A step's end and a thought's are masked differently, so the draws differ (invariant U)."""
    before = (
        "strategy a():\n    return sample 1 x 2 tokens at least 1 tokens\n"
        "strategy b():\n    return sample 1 step at least 1 tokens\n"
    )
    asked = keys("return vote (a() + b())", before=before)
    assert len(set(asked)) == 2


def test_a_key_belongs_to_one_way_of_sampling() -> None:
    asked = keys("p = sample 1 step at temperature 0.5", "return expand p by 1")
    assert asked[0] != asked[1]
    least = keys("p = sample 1 step", "return expand p by 1 at least 1 tokens")
    assert least[0] != least[1]
