"""Shipped strategies on scores at their edges: missing ones, and certainty."""

from __future__ import annotations

from tests.support.runs import box, made, run_plan
from tests.support.scripted import ScriptedPolicy, TableScorer
from tts_lang.arguments import plan_from


def test_cards_keeps_segments_where_the_scorer_says_nothing_of_an_empty_solution() -> None:
    """As a PRM bound with `reduce=last`, which has no step to score there (docs/methods.md)."""
    [plan] = plan_from(["cards"], {"doubt": 10, "heat": 0.01, "length": 60})
    policy = ScriptedPolicy(["bad " + box(1), box(2)])
    orm = TableScorer({"": None, "bad " + box(1): 0.0}, other=0.95)
    outcome = run_plan(plan, policy, {"orm": orm})
    assert (outcome.error, outcome.answer) == (None, "2")
    assert [record.added for record in made(outcome, "expand")] == ["bad " + box(1), box(2)]


def test_a_chain_leaves_a_solution_without_a_score() -> None:
    [plan] = plan_from(["metropolis_hastings"], {"moves": 3})
    policy = ScriptedPolicy([box(1), box(2)])
    outcome = run_plan(plan, policy, {"orm": TableScorer({box(1): None})})
    assert (outcome.error, outcome.answer) == (None, "2")
