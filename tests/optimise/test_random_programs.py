"""Optimised plans give what raw plans give, on generated programs, whatever passes run.

`pytest tests/optimise --optimised 20000` runs longer.
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.chains import chain
from tests.support.optimising import CHOICES, check
from tests.support.programs import programs, random_program
from tts_lang.optimise import NAMES

CHECKS = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example)
#: Tests that share the programs, so that they can run side by side.
PARTS = 4


def test_every_pass_is_tried_alone_and_with_every_other() -> None:
    chosen = {frozenset(choice) for choice in CHOICES}
    assert chosen >= {frozenset((one, other)) for one in NAMES for other in NAMES}
    assert frozenset(NAMES) in chosen


@pytest.mark.parametrize("part", range(PARTS))
def test_random_programs(optimised_count: int, part: int) -> None:
    """Of all verbs, loops, calls, scorers and policies: half of the programs."""
    numbers = range(part, optimised_count // 2, PARTS)
    changed = sum(check(random_program(number), number) for number in numbers)
    assert changed > len(numbers) // 2


@pytest.mark.parametrize("part", range(PARTS))
def test_random_chains(optimised_count: int, part: int) -> None:
    """Of generations that can be fused: the other half, of which the first seldom has any."""
    numbers = range(part, optimised_count // 2, PARTS)
    changed = sum(check(chain(number), number) for number in numbers)
    assert changed > len(numbers) // 2


def test_drawn_programs(optimised_count: int) -> None:
    """Drawn by Hypothesis, which shrinks a program whose optimised plan does something else."""

    @settings(
        max_examples=max(1, optimised_count // 50),
        deadline=None,
        derandomize=True,
        suppress_health_check=CHECKS,
    )
    @given(source=programs(), number=st.integers(0, 999))
    def same(source: str, number: int) -> None:
        check(source, number)

    same()
