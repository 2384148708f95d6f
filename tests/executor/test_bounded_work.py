"""A loop that samples nothing lets others have their turn, and keeps nothing of its past rounds."""

from __future__ import annotations

import asyncio
import gc

import pytest

from tests.support.runs import PROBLEM, plan_of, run_plan
from tests.support.scripted import ScriptedPolicy, TableScorer
from tts_lang.explain.budget import OverBudget, check_sane
from tts_runtime.executor import bind, execute
from tts_runtime.executor.problem_run import ProblemRun

#: Rounds that make no candidate: nothing of them has to be kept.
ROUNDS = (
    ("let x of p = x + 1",),
    ("k = count(p)", "let x of p = k"),
    ("score p by prm", "p = sort p by last(prm)"),
    ("p = select top 2 of p by x + uniform()",),
    ("p = p + (p where x < 1)", "p = dedupe p"),
    ("backup p from p by x", "p = descend p by value"),
    ("if count(p) > 9:", "    p = sample 1"),
    ("repeat 3:", "    let x of p = x + 1"),
)


NESTED = tuple(" " * 4 * level + "repeat 1e300:" for level in range(6))


def looping(rounds: int, *body: str) -> tuple[str, ...]:
    return (
        "p = sample 3",
        "let x of p = 0",
        f"repeat {rounds}:",
        *(f"    {line}" for line in body),
        "return first of p",
    )


@pytest.mark.usefixtures("standing")
@pytest.mark.parametrize("body", ROUNDS)
def test_past_rounds_are_freed(body: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """Counting references alone, as runs look for cycles only rarely."""

    def alive(rounds: int) -> int:
        found: list[int] = []

        async def close(self: ProblemRun) -> None:
            found.append(len(gc.get_objects()))
            await closed(self)

        plan = plan_of(*looping(rounds, *body))
        closed = ProblemRun.close
        gc.collect()
        gc.disable()
        try:
            with monkeypatch.context() as patched:
                patched.setattr(ProblemRun, "close", close)
                scorers = {
                    scorer.name: TableScorer({}, steps=scorer.steps) for scorer in plan.scorers
                }
                assert run_plan(plan, ScriptedPolicy(["a\n\nb"]), scorers).error is None
        finally:
            gc.enable()
        return found[0]

    alive(3)
    few, many = alive(100), alive(300)
    assert many - few < 100, "something is kept of every round"


def test_a_long_loop_can_be_interrupted() -> None:
    plan = plan_of(*looping(10**12, "let x of p = x + 1"))
    bound = bind(plan, {"policy": ScriptedPolicy(["a"])}, {})

    async def interrupted() -> None:
        running = asyncio.create_task(execute(bound, PROBLEM, 0))
        for _ in range(20):
            await asyncio.sleep(0)
        assert not running.done()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(interrupted())


def test_a_long_loop_is_refused_unless_it_is_meant() -> None:
    plan = plan_of(*looping(10**15, "let x of p = x + 1"))
    with pytest.raises(OverBudget, match=r"add --budget operations=3\.1e15") as refused:
        check_sane(plan, [])
    assert "main may take 3,000,000,000,000,004 operations per problem" in str(refused.value)
    check_sane(plan, [("operations", 1e16)])


@pytest.mark.parametrize(
    "lines",
    [
        ("p = sample 1e308", "return first of p"),
        ("p = sample 1e308", "p = expand p by 1e308 steps", "return first of p"),
        ("p = fork problem into 10 ** 200", "p = fork p into 10 ** 200", "return first of p"),
        ("p = sample 1", *NESTED, " " * 24 + "p = vote p", "return p"),
    ],
)
def test_numbers_beyond_floats_are_refused_like_other_large_ones(lines: tuple[str, ...]) -> None:
    with pytest.raises(OverBudget, match="more than what a run allows"):
        check_sane(plan_of(*lines), [])
