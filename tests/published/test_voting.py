"""Repeated sampling and votes do what their papers say."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.published import algorithms  # noqa: F401  (registers them)
from tests.support.published.lab import Lab
from tests.support.published.worlds import PROBLEMS, WORLDS, check, outcome_of, policy_of
from tts_lang.compiler import compile_strategy
from tts_runtime.engines.sim.engines import SimPolicy
from tts_runtime.engines.sim.sim_server import Latency
from tts_runtime.executor import bind

CASES: list[tuple[str, dict[str, Any]]] = [
    ("greedy", {}),
    ("chain_of_thought", {}),
    *(("majority", {"n": n}) for n in (1, 4, 9)),
    *(("best_of_n", {"n": 7, "reduce": how}) for how in ("last", "min", "prod", "mean")),
    ("best_of_n", {"n": 2}),
    *(("weighted_best_of_n", {"n": 7, "reduce": how}) for how in ("last", "min", "prod", "mean")),
    ("weighted_best_of_n", {"n": 3}),
    ("adaptive_consistency", {"most": 12, "sure": 0.95}),
    ("adaptive_consistency", {"most": 9, "sure": 0.7}),
    ("adaptive_consistency", {"most": 1, "sure": 0.95}),
    ("rejection_sampling", {"limit": 6, "tries": 5}),
    ("rejection_sampling", {"limit": 3, "tries": 2}),
    *(
        (name, {"n": n, "keep": keep, "window": window})
        for name in ("deepconf_offline", "deepconf_bottom", "deepconf_tail")
        for n, keep, window in ((8, "10%", 3), (7, "90%", 2), (6, "50%", 2048))
    ),
    ("confidence_vote", {"n": 1}),
    ("confidence_vote", {"n": 7}),
    ("self_certainty", {"n": 7, "power": 0.5}),
    ("self_certainty", {"n": 5, "power": 1.2}),
    ("self_certainty_best", {"n": 6}),
]


@pytest.mark.parametrize(("name", "parameters"), CASES)
def test_is_the_published_algorithm(name: str, parameters: dict[str, Any]) -> None:
    check(name, parameters)


def test_rejection_with_lazy_first_costs_what_sampling_until_it_fits_costs() -> None:
    """Muennighoff et al. (2025), section 3.1: no try is made once one fits."""
    limit, tries = 6, 5
    plan = compile_strategy("rejection_sampling", None, {"limit": limit, "tries": tries})
    for world in WORLDS:
        shared = policy_of(world)
        for seed, problem in enumerate(PROBLEMS, world.seed):
            lab = Lab(problem, seed, {"policy": shared}, {}, {})
            for _ in range(tries):
                (solution,) = lab.sample(lab.problem, most=limit, temperature=1)
                if solution.finish == "end":
                    break
            one_at_a_time = SimPolicy(shared.model, shared.binding, Latency(slots=1))
            bound = bind(plan, {"policy": one_at_a_time}, {}, passes=("lazy_first",))
            outcome = outcome_of(bound, problem, seed)
            assert outcome.counts.policy_tokens == lab.ledger.tokens
            assert one_at_a_time.counts.finished == len(lab.ledger.replies)
