"""Particle filters and reward-balanced search do what their papers say."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.published import algorithms  # noqa: F401  (registers them)
from tests.support.published.worlds import check

CASES: list[tuple[str, dict[str, Any]]] = [
    *(
        ("rebase", {"n": n, "depth": depth, "heat": heat})
        for n, depth, heat in ((8, 5, 0.2), (6, 3, 1.0), (5, 8, 0.05), (1, 3, 0.2))
    ),
    *(
        (name, {"n": n, "depth": depth})
        for name in ("particle_filter", "particle_filter_ess")
        for n, depth in ((6, 4), (5, 8), (1, 3), (8, 2))
    ),
    ("particle_gibbs", {"n": 4, "sweeps": 3, "depth": 5}),
    ("particle_gibbs", {"n": 3, "sweeps": 2, "depth": 3}),
]


@pytest.mark.parametrize(("name", "parameters"), CASES)
def test_is_the_published_algorithm(name: str, parameters: dict[str, Any]) -> None:
    check(name, parameters)
