"""Strategies of the catalogue do what their papers say."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.published import algorithms  # noqa: F401  (registers them)
from tests.support.published.worlds import ROOMY, WORLDS, check, templates

ALONE: list[tuple[str, dict[str, Any]]] = [
    ("best_of_n_outcome", {"n": 6}),
    ("best_of_n_likelihood", {"n": 6}),
    ("best_of_n_two_scorers", {"n": 6, "balance": 0.3}),
    ("pass_at", {"n": 5}),
    ("early_stopping_consistency", {"window": 3, "windows": 4}),
    ("early_stopping_consistency", {"window": 2, "windows": 6}),
    ("cascade", {"n": 4, "sure": 0.7}),
    ("bandit", {"budget": 9, "c": 0.7}),
    ("bandit", {"budget": 4, "c": 1.4}),
    ("speculative_rejection", {"n": 7, "keep": "50%", "chunk": 4, "rounds": 3}),
    ("speculative_rejection", {"n": 5, "keep": "70%", "chunk": 2, "rounds": 2}),
    ("stochastic_beam", {"n": 6, "width": 2, "depth": 4}),
    ("stochastic_beam", {"n": 8, "width": 4, "depth": 3, "heat": 0.3, "accepted": 0.4}),
    ("stochastic_beam", {"n": 4, "width": 2, "depth": 4, "accepted": 0.95}),
    ("grace", {"k": 3, "balance": 0.3, "depth": 4}),
    ("mur", {"k": 3, "depth": 6}),
    ("mur", {"k": 2, "alpha": 0.5, "gamma": 1.0, "depth": 4}),
    ("uncertainty_cot", {"k": 3, "doubt": 1.5, "depth": 5}),
    ("cot_decoding", {"k": 4}),
    ("metropolis_hastings", {"moves": 5}),
    ("similarity_consistency", {"n": 6}),
    ("uncertainty_routed", {"n": 4, "sure": 0.6}),
    ("deepconf_online", {"warm": 3, "most": 8, "keep": "50%", "sure": 0.9, "window": 2}),
    ("deepconf_online", {"warm": 4, "most": 9, "keep": "10%", "sure": 0.95, "window": 3}),
    ("early_answer", {"chunk": 4, "stable": 1, "checks": 4}),
    ("short_m_at_k", {"k": 5, "m": 3}),
    ("soft_best_of_n", {"n": 5, "heat": 0.2}),
    ("minimum_bayes_risk", {"n": 5}),
    ("temperature_ladder", {"n": 5, "low": 0, "high": 1.2}),
    ("beacon", {"most": 8, "least": 3, "cost": 0.05}),
    ("leco", {"rounds": 3}),
    ("deer", {"turn": "\\boxed{", "sure": 0.3, "most": 5, "budget": 40}),
    ("deer", {"turn": "\\boxed{", "sure": 0.99, "most": 1, "budget": 40}),
    ("cards", {"doubt": 1.5, "goal": 0.6, "heat": 0.3, "length": 30, "most": 12}),
    ("multiple_choice", {"n": 5, "choices": "1|2|33"}),
    ("thought_switching_penalty", {"word": "Wait", "penalty": 3, "span": 6, "most": 4}),
    ("thought_switching_penalty", {"word": "b", "penalty": 1.5, "span": 3, "most": 9}),
    ("early_answer", {"chunk": 2, "stable": 2, "checks": 6}),
]
PROMPTED: list[tuple[str, dict[str, Any]]] = [
    ("best_of_n_judge", {"n": 4, "readings": 2}),
    ("layered_mixture", {"layers": 3, "each": 2}),
    ("self_aggregation", {"population": 4, "k": 2, "rounds": 3}),
    ("multi_agent_debate", {"agents": 3, "rounds": 3}),
    ("genselect", {"n": 4}),
    ("knockout", {"n": 4, "k": 2}),
    ("knockout", {"n": 5, "k": 1}),
    ("pairwise_tournament", {"n": 3}),
    ("re2", {}),
    ("cot_reflection", {}),
    ("leap", {"mistakes": 2}),
    ("least_to_most", {"most": 3}),
    ("round_trip", {}),
    ("plan_search", {"attempts": 2}),
    ("prover_verifier", {"rounds": 2, "each": 2}),
    ("prover_verifier", {"rounds": 9, "each": 1}),
    ("cepo", {"n": 2, "m": 2, "plans": 3}),
    ("chain_of_code", {"repairs": 2}),
    ("mars", {"agents": 4, "k": 2, "rounds": 2, "fixes": 2, "most": 5}),
    ("mars", {"agents": 2, "k": 3, "rounds": 1, "fixes": 1}),
    ("tree_of_thoughts_sampled", {"width": 2, "k": 2, "depth": 3}),
    ("tree_of_thoughts_sampled", {"width": 3, "k": 5, "depth": 3}),
    ("auto_think", {}),
    ("sets", {"m": 3, "n": 2}),
    ("reflexion", {"trials": 3, "memory": 1, "enough": 5}),
    ("swiss_tournament", {"n": 5, "rounds": 2}),
    ("cisc", {"n": 4, "heat": 0.5}),
    ("thinkprm_vote", {"n": 4, "chains": 2}),
    ("sample_scrutinize", {"n": 4, "checks": 2, "near": 0.3, "ties": 2}),
    ("spec_reason", {"accept": 5, "depth": 4}),
    ("forest_of_thought", {"trees": 3, "width": 2, "depth": 3, "agreed": 0.7}),
    ("mctsr", {"rollouts": 4, "readings": 2, "c": 1.0}),
    ("rap", {"rollouts": 5, "width": 3, "tries": 3, "depth": 4}),
    ("rap", {"rollouts": 4, "width": 2, "tries": 2, "depth": 2, "a": 0.3, "c": 0.5}),
    ("rstar", {"rollouts": 5, "tries": 3, "c": 1}),
    ("rstar", {"rollouts": 3, "tries": 2}),
    ("think_twice", {"rounds": 3}),
    ("rci", {"rounds": 2}),
    ("stated_confidence", {"n": 5, "marker": r"boxed\{"}),
    ("stated_confidence", {"n": 6, "marker": "(?:so|b)"}),
    ("step_back", {}),
    ("pacore", {"wide": 4, "narrow": 2}),
    ("group_think", {"agents": 3, "chunk": 3, "rounds": 2}),
]


@pytest.mark.parametrize(("name", "parameters"), ALONE)
def test_is_the_published_algorithm(name: str, parameters: dict[str, Any]) -> None:
    check(name, parameters, WORLDS)


@pytest.mark.parametrize(("name", "parameters"), PROMPTED)
def test_is_the_published_algorithm_of_prompts(name: str, parameters: dict[str, Any]) -> None:
    check(name, parameters, ROOMY[:3])


def test_genselect_shows_no_thoughts() -> None:
    """NeMo-Skills parses the reasoning away before it lists the solutions."""
    assert "{candidates.solution}" in templates()["pick_best"]
