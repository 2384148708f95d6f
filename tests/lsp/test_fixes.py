"""Quick fixes of typical mistakes."""

from __future__ import annotations

from tests.support.fixes import figures
from tests.support.mistakes import corpus


def test_most_mistakes_can_be_fixed_at_a_stroke() -> None:
    found = figures(list(corpus())[::17])
    assert found["wrong"] >= 60
    assert found["fixed"] >= 0.8 * found["wrong"]
    assert found["right"] >= 0.8 * found["fixed"]
