"""Methods that show a policy its own solutions do what their papers say."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.published import algorithms  # noqa: F401  (registers them)
from tests.support.published.worlds import ROOMY, check

CASES: list[tuple[str, dict[str, Any]]] = [
    *(("sequential_revisions", {"rounds": rounds}) for rounds in (1, 3, 6)),
    *(
        (name, {"chains": chains, "rounds": rounds})
        for name in ("revision_chains", "revision_chains_global")
        for chains, rounds in ((3, 2), (2, 5), (1, 3), (4, 1))
    ),
    ("self_refine", {"rounds": 3, "enough": 2}),
    ("self_refine", {"rounds": 1, "enough": 2}),
    ("self_refine", {"rounds": 4, "enough": 1}),
    ("mixture_of_agents", {"n": 3}),
    ("mixture_of_agents", {"n": 1}),
    ("tree_of_thoughts", {"width": 2, "depth": 2, "proposals": 3}),
    ("tree_of_thoughts", {"width": 3, "depth": 1, "proposals": 8}),
    ("tree_of_thoughts", {"width": 1, "depth": 3, "proposals": 2}),
]


@pytest.mark.parametrize(("name", "parameters"), CASES)
def test_is_the_published_algorithm(name: str, parameters: dict[str, Any]) -> None:
    check(name, parameters, ROOMY)
