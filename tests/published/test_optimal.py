"""Compute-optimal choices do what their papers say."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.published import algorithms  # noqa: F401  (registers them)
from tests.support.published.worlds import check

CASES: list[tuple[str, dict[str, Any]]] = [
    ("compute_optimal", {"n": 8, "probes": 3, "easy": 0.6, "hard": 0.4}),
    ("compute_optimal", {"n": 5, "probes": 2, "easy": 0.5, "hard": 0.3}),
    ("compute_optimal_oracle", {"n": 8}),
    ("compute_optimal_oracle", {"n": 4, "easy": 0.3, "hard": 0.01, "on_hard": "majority"}),
    (
        "compute_optimal_quantiles",
        {
            "n": 5,
            "probes": 3,
            "q80": 0.6,
            "q60": 0.5,
            "q40": 0.4,
            "q20": 0.3,
            "bin2": "beam_search",
            "bin3": "weighted_best_of_n",
            "bin4": "weighted_best_of_n",
        },
    ),
    ("compute_optimal_quantiles", {"n": 4, "probes": 2}),
]


@pytest.mark.parametrize(("name", "parameters"), CASES)
def test_is_the_published_algorithm(name: str, parameters: dict[str, Any]) -> None:
    check(name, parameters)
