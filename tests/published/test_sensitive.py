"""The comparison notices an algorithm that is slightly another one."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.published import algorithms  # noqa: F401  (registers them)
from tests.support.published.lab import Lab
from tests.support.published.path import Path
from tests.support.published.worlds import PUBLISHED, ROOMY, WORLDS, check

ALTERED: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("best_of_n", {"n": 7, "reduce": "last"}, {"reduce": "min"}),
    ("weighted_best_of_n", {"n": 7, "reduce": "mean"}, {"reduce": "prod"}),
    ("adaptive_consistency", {"most": 12, "sure": 0.7}, {"sure": 0.9}),
    ("rejection_sampling", {"limit": 6, "tries": 5}, {"limit": 5}),
    ("deepconf_offline", {"n": 8, "keep": "50%", "window": 3}, {"window": 2}),
    ("self_certainty", {"n": 7, "power": 0.0}, {"power": 3.0}),
    ("beam_search", {"n": 6, "width": 3, "depth": 4}, {"depth": 3}),
    ("beam_search_shrink", {"n": 6, "width": 2, "depth": 4}, {"width": 3}),
    ("lookahead_search", {"n": 6, "width": 2, "k": 1, "depth": 4}, {"k": 2}),
    ("rebase", {"n": 8, "depth": 5, "heat": 0.2}, {"heat": 0.3}),
    ("mcts", {"rollouts": 6, "width": 2, "c": 1.4}, {"c": 0.5}),
    ("budget_forcing", {"waits": 2, "budget": 25}, {"waits": 1}),
    ("budget_forcing", {"waits": 1, "budget": 12}, {"budget": 11}),
    ("revision_chains", {"chains": 2, "rounds": 5}, {"rounds": 4}),
    ("short_m_at_k", {"k": 5, "m": 3}, {"m": 2}),
    ("beacon", {"most": 8, "least": 3, "cost": 0.05}, {"cost": 0.1}),
    ("cards", {"goal": 0.6, "heat": 0.3, "doubt": 1.5, "most": 12}, {"heat": 0.5}),
    ("deer", {"turn": "\\boxed{", "sure": 0.3, "budget": 40}, {"sure": 1.0}),
]


@pytest.mark.parametrize(("name", "parameters", "altered"), ALTERED)
def test_another_parameter_is_noticed(
    name: str, parameters: dict[str, Any], altered: dict[str, Any]
) -> None:
    worlds = ROOMY if name == "revision_chains" else WORLDS
    with pytest.raises(AssertionError):
        check(name, parameters, worlds, altered)


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("beam_search_refill", "beam_search_refill_first"),
        ("particle_filter_ess", "particle_filter"),
        ("beam_search", "beam_search_copied"),
        ("deepconf_bottom", "deepconf_tail"),
        ("majority", "rejection_sampling"),
    ],
)
def test_another_algorithm_is_noticed(
    name: str, other: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PUBLISHED, name, PUBLISHED[other])
    sizes = {"n": 6, "width": 3, "depth": 4, "window": 3, "keep": "50%"}
    known = PUBLISHED[other].__annotations__
    with pytest.raises(AssertionError):
        check(name, {key: value for key, value in sizes.items() if key in known})


def test_a_tie_that_goes_to_the_later_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def later(lab: Lab, n: int) -> Path | None:
        pool = lab.sample(lab.problem, n)
        return max(reversed(pool), key=lambda path: (lab.prm(path) or (None,))[-1] or 0.0)

    monkeypatch.setitem(PUBLISHED, "best_of_n", later)
    with pytest.raises(AssertionError):
        check("best_of_n", {"n": 7})
