"""Optimised plans give what raw plans give, on generated programs, whatever passes run.

`pytest tests/optimise --optimised 5000` runs longer.
"""

from __future__ import annotations

from itertools import combinations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.agreement import PROBLEMS, compiled, latency, world
from tests.support.optimising import difference, outcome
from tests.support.programs import programs, random_program
from tts_lang.explain.bounds import Bounds, bounds
from tts_lang.explain.forms import explained
from tts_lang.optimise import NAMES, Optimised, optimise
from tts_runtime.executor import Outcome

#: Every pass alone, every pair, and all.
CHOICES: tuple[tuple[str, ...], ...] = (
    *((name,) for name in NAMES),
    *combinations(NAMES, 2),
    NAMES,
)
CHECKS = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example)


def within(limits: Bounds, found: Outcome) -> bool:
    """Whether a run stayed inside what EXPLAIN promises of its plan."""
    counts, total = found.counts, limits.total
    return all(
        most is None or spent <= most
        for spent, most in (
            (counts.policy_calls, total.policy_calls),
            (counts.scorer_calls, total.scorer_calls),
        )
    )


def check(source: str, number: int) -> None:
    """One program in one random world; each different plan that passes make of it runs once."""
    raw = compiled(source)
    here, problem = world(number), PROBLEMS[number % len(PROBLEMS)]
    # Two choices a program, every choice within a few programs, and always all passes.
    chosen = {CHOICES[(number * 2 + offset) % len(CHOICES)] for offset in range(2)} | {NAMES}
    made: list[Optimised] = []
    for only in sorted(chosen):
        optimised = optimise(raw, only=only, check=True)
        if all(optimised.plan.body != body for body in [raw.body, *(o.plan.body for o in made)]):
            made.append(optimised)
    if not made:
        return
    speed = latency(number)
    before = outcome(raw, raw, here, problem, number, speed)
    for optimised in made:
        passes = [stage.trace.passed.name for stage in optimised.stages if stage.trace.fired]
        after = outcome(optimised.plan, raw, here, problem, number, speed)
        found = difference(raw, before, after)
        assert found is None, f"{passes}: {found}\nin world {number}, in this program:\n{source}"
        # Bounds of the optimised plan hold wherever those of the raw plan do.
        if before.error is None and within(bounds(raw, here.context), before):
            assert within(bounds(optimised.plan, here.context), after)
        assert explained(optimised.plan)


def test_random_programs(optimised_count: int) -> None:
    for number in range(optimised_count):
        check(random_program(number), number)


def test_drawn_programs(optimised_count: int) -> None:
    """Drawn by Hypothesis, which shrinks a program whose optimised plan does something else."""

    @settings(
        max_examples=max(1, optimised_count // 6),
        deadline=None,
        derandomize=True,
        suppress_health_check=CHECKS,
    )
    @given(source=programs(), number=st.integers(0, 999))
    def same(source: str, number: int) -> None:
        check(source, number)

    same()
