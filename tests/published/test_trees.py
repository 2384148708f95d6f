"""Tree searches do what their papers say."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.published import algorithms  # noqa: F401  (registers them)
from tests.support.published.worlds import check

CASES: list[tuple[str, dict[str, Any]]] = [
    *(
        (name, {"rollouts": rollouts, "width": width, "c": c})
        for name in ("mcts", "mcts_rollouts")
        for rollouts, width, c in ((6, 2, 1.4), (4, 3, 0.0), (9, 2, 0.5), (1, 1, 1.4))
    ),
    ("best_first", {"k": 3, "budget": 12, "wanted": 2}),
    ("best_first", {"k": 2, "budget": 5, "wanted": 1}),
    ("tree_of_thoughts_dfs", {"k": 3, "most": 10, "pruned": 0.3, "wanted": 3}),
    ("tree_of_thoughts_dfs", {"k": 2, "most": 4, "pruned": 0.1, "wanted": 5}),
]


@pytest.mark.parametrize(("name", "parameters"), CASES)
def test_is_the_published_algorithm(name: str, parameters: dict[str, Any]) -> None:
    check(name, parameters)
