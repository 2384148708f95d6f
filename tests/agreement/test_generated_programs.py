"""The executor and the reference interpreter agree on generated programs, whatever the schedule.

`pytest tests/agreement --programs 5000` runs longer.
"""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.agreement import (
    PROBLEMS,
    compiled,
    disagreement,
    latency,
    world,
)
from tests.support.programs import programs, random_program

CHECKS = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example)


def check(source: str, number: int) -> None:
    """One program in one random world, on one problem, under one schedule."""
    plan = compiled(source)
    problem = PROBLEMS[number % len(PROBLEMS)]
    found = disagreement(plan, world(number), problem, seed=number, speed=latency(number))
    assert found is None, f"{found}\nin world {number}, in this program:\n{source}"


def test_executor_and_reference_agree_on_random_programs(program_count: int) -> None:
    for number in range(program_count * 2 // 3):
        check(random_program(number), number)


def test_executor_and_reference_agree_on_drawn_programs(program_count: int) -> None:
    """Drawn by Hypothesis, which shrinks a program that they disagree on."""

    @settings(
        max_examples=max(1, program_count // 3),
        deadline=None,
        derandomize=True,
        suppress_health_check=CHECKS,
    )
    @given(source=programs(), number=st.integers(0, 999))
    def agree(source: str, number: int) -> None:
        check(source, number)

    agree()
