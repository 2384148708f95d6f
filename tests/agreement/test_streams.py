"""What the streams promise (language.md, "Randomness"), shown on the executor bit for bit."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.agreement import (
    PROBLEMS,
    by_executor,
    by_reference,
    compiled,
    latency,
    made_by_executor,
    side_by_side,
    world,
)
from tests.support.invariants import drawn_in_two_contexts
from tests.support.programs import declarations_of, random_program
from tts_runtime.engines.base import CandidateError
from tts_runtime.executor import Outcome

WORLDS = range(12)


def texts(outcome: Outcome) -> list[str]:
    """Texts of the sampled candidates in program order."""
    assert outcome.error is None
    return [record.added for record in outcome.candidates if record.op == "expand"]


def body(*lines: str) -> str:
    """A strategy of these lines."""
    return "strategy main():\n" + "".join(f"    {line}\n" for line in lines)


@pytest.mark.parametrize("number", WORLDS)
def test_sample_4_is_a_prefix_of_sample_16(number: int) -> None:
    few, many = (
        by_executor(
            compiled(body(f"pool = sample {count}", "return vote pool")),
            world(number),
            PROBLEMS[0],
            seed=number,
        )
        for count in (4, 16)
    )
    assert len(texts(many)) == 16
    assert texts(few) == texts(many)[:4]


@pytest.mark.parametrize("number", WORLDS)
def test_sample_4_twice_is_sample_8(number: int) -> None:
    sources = (
        body("pool = sample 4", "more = sample 4", "return vote (pool + more)"),
        body("pool = sample 8", "return vote pool"),
    )
    twice, once = (
        by_executor(compiled(source), world(number), PROBLEMS[0], number) for source in sources
    )
    assert len(texts(once)) == 8
    assert texts(twice) == texts(once)
    assert twice.answer == once.answer


@pytest.mark.parametrize("number", WORLDS)
def test_step_by_step_without_pruning_is_one_shot(number: int) -> None:
    """A step ends with a token kept whole, so the next one is drawn as if nothing had stopped."""
    here = world(number)
    stepwise = body(
        "pool = sample 5 steps",
        f"repeat {here.context} until all pool done:",
        "    pool = expand pool by 1 step",
        "return vote pool",
    )
    plan = compiled(body("pool = sample 5", "return vote pool"))
    whole = by_executor(plan, here, PROBLEMS[0], number)
    steps = by_executor(compiled(stepwise), here, PROBLEMS[0], number)
    joined: dict[int, str] = {}
    for record in steps.candidates:
        joined[record.root or 0] = joined.get(record.root or 0, "") + record.added
    assert list(joined.values()) == texts(whole)
    assert steps.answer == whole.answer


@pytest.mark.parametrize("number", WORLDS)
def test_batch_size_and_arrival_order_change_nothing(number: int) -> None:
    plan = compiled(random_program(number))
    outcomes = [
        by_executor(plan, world(number), PROBLEMS[0], number, latency(speed)) for speed in range(8)
    ]
    assert all(outcome.answer == outcomes[0].answer for outcome in outcomes)
    assert all(made_by_executor(o) == made_by_executor(outcomes[0]) for o in outcomes)
    assert all(
        outcome.counts.policy_tokens == outcomes[0].counts.policy_tokens for outcome in outcomes
    )


@pytest.mark.parametrize("number", WORLDS)
def test_a_problem_does_not_depend_on_the_others_of_its_run(number: int) -> None:
    plan = compiled(random_program(number))
    speed = latency(number)
    for outcome in side_by_side(plan, world(number), PROBLEMS, number, speed):
        problem = next(p for p in PROBLEMS if p.id == outcome.problem_id)
        alone = by_executor(plan, world(number), problem, number)
        assert outcome.answer == alone.answer
        assert outcome.error == alone.error
        assert made_by_executor(outcome) == made_by_executor(alone)


QUESTIONS = (
    # {parent.text}: the called strategy's problem has no parent, the caller's row has one.
    """strategy helper():
    return first of (ask follow about problem)
strategy main():
    start = sample 1 x 3 tokens
    ends = expand start by 1
    asked = ask follow about ends
    return vote (asked + (helper() on ends))
""",
    # {others}: the row alone, and the row beside another.
    """strategy helper():
    return first of (ask debate about problem)
strategy main():
    ends = sample 2
    asked = ask debate about ends
    return vote (asked + (helper() on ends))
""",
    # A prompt that opens with a thought, and one that does not.
    """strategy helper():
    trace = ask limited(1) about problem by 1 thought
    return first of trace
strategy main():
    ends = sample 2
    asked = ask limited(1) about ends
    return vote (asked + (helper() on ends))
""",
)


@pytest.mark.parametrize("source", QUESTIONS)
def test_one_row_asked_about_in_two_ways_gets_two_streams(source: str) -> None:
    """C5: the key of a conversation is made of all that its prompt shows."""
    outcome = by_reference(compiled(declarations_of(source) + source), world(0), PROBLEMS[0], 0)
    assert drawn_in_two_contexts(outcome.drawn) is None


@pytest.mark.parametrize("number", range(40))
def test_no_noise_is_drawn_in_two_contexts(number: int) -> None:
    """Invariant U; every comparison of this folder checks it too."""
    source = random_program(number)
    try:
        outcome = by_reference(
            compiled(source), replace(world(number), context=2_000), PROBLEMS[0], 0
        )
    except CandidateError:
        pytest.skip("each round asks about twice the text of the last: no window holds that")
    assert drawn_in_two_contexts(outcome.drawn) is None, source
