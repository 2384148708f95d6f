"""What continues before its pool is complete, or runs ahead, changes no answer, text or cost.

Generated programs, random arrivals, against selections that wait for all rows.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.agreement import PROBLEMS, compiled, latency, made_by_executor, world
from tests.support.programs import random_program
from tts_lang.compiler import compile_strategy
from tts_lang.optimise.early_exit import SELECT_BY_ROW
from tts_lang.plan.graph import Plan
from tts_runtime.engines.sim.virtual import run_virtual
from tts_runtime.executor import PASSES, Outcome, Work, bind, execute_all

SHIPPED = Path(__file__).parents[2] / "strategies"

#: Shipped strategies whose selections wait for stragglers, and others.
SEARCHES = (
    "beam_search",
    "beam_search_refill",
    "beam_search_shrink",
    "dvts",
    "lookahead_search",
    "rebase",
    "particle_filter",
    "mcts",
)

#: Selections wait for all rows.
WAITING = frozenset(PASSES) - {SELECT_BY_ROW}

ROUNDS = (
    "pool = select top {k} of pool by last(prm)",
    "pool = select top {k} of pool by tokens",
    "pool = select top 1 of pool by mean(prm) per root",
    "pool = select top 50% of pool by last(prm)",
    "pool = pool where not done",
    "pool = dedupe pool",
)


@st.composite
def searches(draw: st.DrawFn) -> str:
    """Programs of rounds: expand, score, select."""
    start = draw(st.sampled_from(("sample {n} steps", "fork problem into {n}")))
    chosen = draw(st.lists(st.sampled_from(ROUNDS), min_size=1, max_size=2))
    children = draw(st.sampled_from(("by {w} steps", "by 1 x 2 steps", "by {w} x 3 tokens")))
    lines = [
        f"pool = {start}",
        "score pool by prm",
        f"repeat {draw(st.integers(1, 6))} until all pool done:",
        *[f"    {line}" for line in chosen],
        f"    pool = expand pool {children}",
        "    score pool by prm",
        "pool = expand pool by 1",
        draw(st.sampled_from(("return vote pool", "return first of pool"))),
    ]
    ranges = {"n": (4, 12), "k": (1, 4), "w": (1, 3)}
    numbers = {name: draw(st.integers(*ends)) for name, ends in ranges.items()}
    return "strategy main():\n" + "".join(f"    {line.format(**numbers)}\n" for line in lines)


def outcomes(
    plan: Plan, number: int, arrival: int, fraction: float, passes: Collection[str] = PASSES
) -> tuple[list[Outcome], Work]:
    """The outcomes of all problems in one run, in the order of the problems; what engines did."""
    here, speed = world(number), latency(arrival)
    policies, scorers = here.policies(plan, speed), here.scorers(plan, speed)
    bound = bind(plan, policies, scorers, passes, speculate=fraction > 0)
    found: list[Outcome] = []
    work = run_virtual(execute_all(bound, PROBLEMS, number, found.append, speculate=fraction))
    return sorted(found, key=lambda outcome: outcome.problem_id), work


def compare(plan: Plan, number: int, arrival: int, fraction: float) -> int:
    """Checks one program; how many tokens ran ahead."""
    plain, without = outcomes(plan, number, arrival, 0.0, WAITING)
    ahead, work = outcomes(plan, number, arrival, fraction)
    for mine, other in zip(plain, ahead, strict=True):
        assert (mine.error is None) == (other.error is None)
        if mine.error is not None:
            continue
        assert (mine.answer, mine.answer_key, mine.row) == (
            other.answer,
            other.answer_key,
            other.row,
        )
        assert made_by_executor(mine) == made_by_executor(other)
        assert [each.scores for each in mine.candidates] == [
            each.scores for each in other.candidates
        ]
        assert mine.counts == other.counts
    assert without.speculated_tokens == without.wasted_tokens == 0
    if all(outcome.error is None for outcome in ahead):
        asked = sum(outcome.counts.policy_tokens for outcome in ahead)
        assert 0 <= work.wasted_tokens <= min(work.speculated_tokens, fraction * asked)
    return work.speculated_tokens


def test_generated_searches_are_what_they_are_without(program_count: int) -> None:
    ran_ahead: list[int] = []

    @settings(
        max_examples=max(36, program_count // 6),
        deadline=None,
        derandomize=True,
        suppress_health_check=(HealthCheck.too_slow,),
    )
    @given(
        source=searches(),
        number=st.integers(0, 99),
        arrival=st.integers(0, 99),
        fraction=st.sampled_from((0.0, 0.3, 1.0)),
    )
    def same(source: str, number: int, arrival: int, fraction: float) -> None:
        ran_ahead.append(compare(compiled(source), number, arrival, fraction))

    same()
    assert sum(tokens > 0 for tokens in ran_ahead) > 10


def test_generated_programs_are_what_they_are_without(program_count: int) -> None:
    for number in range(program_count // 6):
        compare(compiled(random_program(number)), number, number, 1.0)


def test_shipped_searches_are_what_they_are_without() -> None:
    ran_ahead = {
        name: compare(
            compile_strategy(SHIPPED / f"{name}.tts", name, small(name)), place, place, 1.0
        )
        for place, name in enumerate(SEARCHES)
    }
    assert min(ran_ahead[name] for name in ("beam_search", "dvts", "lookahead_search")) > 0


def small(name: str) -> dict[str, int]:
    """Few candidates and rounds."""
    return {} if name == "mcts" else {"n": 8, "depth": 6}
