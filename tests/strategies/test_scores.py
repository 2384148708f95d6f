"""Shipped strategies at their edges: missing scores, certainty, the last round, defaults."""

from __future__ import annotations

import re
from asyncio import Future
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.runs import box, made, run_plan
from tests.support.scripted import ScriptedPolicy, TableScorer
from tts_lang.arguments import plan_from
from tts_lang.compiler import compile_strategy
from tts_lang.source import Source
from tts_runtime.engines.base import ScoreReply, ScoreRequest

STRATEGIES = Path(__file__).parents[2] / "strategies"


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


@pytest.mark.parametrize(
    ("strategy", "parameters"),
    [
        ("particle_filter", {"n": 4, "depth": 3}),
        ("particle_filter_ess", {"n": 4, "depth": 3}),
        ("particle_gibbs", {"n": 4, "sweeps": 2, "depth": 3}),
        ("dvts_of_particles", {"n": 4, "trees": 1, "depth": 3}),
    ],
)
@pytest.mark.parametrize("score", [1 - 1e-6, 1.0])
def test_a_particle_that_is_certainly_right_outweighs_the_others(
    strategy: str, parameters: dict[str, int | float | str], score: float
) -> None:
    """Sigmoids of 16 and 32 bits are 1.0 where the model is sure."""
    [plan] = plan_from([strategy], parameters)
    policy = ScriptedPolicy([f"right\n\n{box(1)}", *(f"wrong\n\n{box(n)}" for n in (2, 3, 4))])
    prm = TableScorer({"right": score, box(1): score}, steps=True, other=0.001)
    outcome = run_plan(plan, policy, {"prm": prm})
    assert (outcome.error, outcome.answer) == (None, "1")
    [first, *_] = made(outcome, "resample")
    scores = first.scores["prm"]
    assert isinstance(scores, tuple)
    assert scores[0] == score


class Checks(TableScorer):
    """A check of the last step, by its words."""

    def score(self, request: ScoreRequest) -> Future[ScoreReply]:
        """As of a table, of the last step."""
        return super().score(replace(request, text=request.text.strip().split("\n\n")[-1]))


def test_self_evaluation_ranks_beams_by_all_their_steps() -> None:
    """The beam whose first step was weak loses, though its last step is the best of all."""
    path = STRATEGIES / "catalogue" / "self_eval_decoding.tts"
    text = path.read_text(encoding="utf-8")
    judge = re.compile(r"judge step_sound:.*?\n\n(?=strategy)", re.S)
    source = judge.sub("scorer step_sound per solution from 0 to 1\n\n", text)
    parameters = {"beams": 2, "width": 2, "depth": 2, "balance": 0.1, "heat": 0.0001}
    plan = compile_strategy(Source.of(source, path.name), path.stem, parameters)
    said = [f"{step}\n\n{step}2\n\n{box(step)}" for step in "ab"]
    policy = ScriptedPolicy([*said, f"a2\n\n{box('a')}", f"b2\n\n{box('b')}"])
    check = Checks({"a": 0.9, "b": 0.01, "a2": 0.5, "b2": 0.6})
    outcome = run_plan(plan, policy, {"step_sound": check})
    assert (outcome.error, outcome.answer) == (None, "a")


def test_the_temperature_ladder_has_a_rung_for_each_tenth() -> None:
    [plan] = plan_from(["temperature_ladder"], {})
    policy = ScriptedPolicy([box(1)])
    assert run_plan(plan, policy).error is None
    rungs = [request.sampling.temperature for request in policy.requests]
    assert rungs == pytest.approx([tenths / 10 for tenths in range(13)])


def test_a_beam_that_is_set_aside_beats_those_that_are_open_at_the_end() -> None:
    [plan] = plan_from(["beam_search_aside"], {"beams": 2, "width": 2, "depth": 1})
    policy = ScriptedPolicy([box(1), "one\n\ntwo\n\nthree\n\n"])
    outcome = run_plan(plan, policy, {"prm": TableScorer({box(1): 0.2}, steps=True, other=0.9)})
    assert (outcome.error, outcome.answer) == (None, "1")
