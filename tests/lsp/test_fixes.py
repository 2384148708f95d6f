"""Quick fixes of typical mistakes."""

from __future__ import annotations

from tests.support.fixes import figures
from tests.support.mistakes import corpus


def test_most_mistakes_can_be_fixed_at_a_stroke() -> None:
    found = figures(list(corpus())[::30])
    assert found["wrong"] >= 30
    assert found["fixed"] >= 0.7 * found["wrong"]
    assert found["right"] >= 0.75 * found["fixed"]
