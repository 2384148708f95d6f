"""Searches over steps do what their papers say."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.published import algorithms  # noqa: F401  (registers them)
from tests.support.published.worlds import check

SIZES = (
    {"n": 8, "width": 2, "depth": 4},
    {"n": 6, "width": 3, "depth": 2},
    {"n": 7, "width": 3, "depth": 6},
    {"n": 4, "width": 1, "depth": 3},
)
CASES: list[tuple[str, dict[str, Any]]] = [
    *(
        (name, dict(size))
        for name in (
            "beam_search",
            "beam_search_refill",
            "beam_search_refill_first",
            "beam_search_shrink",
            "dvts",
            "beam_search_copied",
        )
        for size in SIZES
    ),
    *(
        (name, {"n": 6, "width": 2, "k": k, "depth": depth})
        for name in ("lookahead_search", "dvts_lookahead")
        for k, depth in ((1, 4), (3, 3), (2, 1))
    ),
    ("greedy_step_search", {"k": 3, "depth": 5}),
    ("greedy_step_search", {"k": 1, "depth": 2}),
    ("beam_search_aside", {"beams": 2, "width": 3, "depth": 4}),
    ("beam_search_aside", {"beams": 5, "width": 2, "depth": 3}),
]


@pytest.mark.parametrize(("name", "parameters"), CASES)
def test_is_the_published_algorithm(name: str, parameters: dict[str, Any]) -> None:
    check(name, parameters)
