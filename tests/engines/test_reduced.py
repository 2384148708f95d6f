"""`--scorer orm=bundled:last`: a PRM where a strategy wants one score a solution."""

from __future__ import annotations

import asyncio

import pytest

from tts_runtime.engines.base import EngineError, ScorerEngine, ScoreReply, ScoreRequest
from tts_runtime.engines.registry import scorer_engine
from tts_runtime.engines.sim.engines import SimScorer

STEPS = ("2 + 3 = 5.\n\n", "5 x 4 = 20.\n\n", "20")
ASKED = ScoreRequest("What is (2 + 3) x 4?", {}, "".join(STEPS), STEPS, known=2)


def scored(engine: ScorerEngine, request: ScoreRequest) -> ScoreReply:
    async def ask() -> ScoreReply:
        try:
            return await engine.score(request)
        finally:
            await engine.close()

    return asyncio.run(ask())


@pytest.mark.parametrize("reduction", ["last", "min", "max", "first"])
def test_one_score_of_all_steps(reduction: str) -> None:
    each = scored(scorer_engine("sim:3"), ScoreRequest(ASKED.problem, {}, ASKED.text, STEPS))
    numbers = [number for number in each.scores if number is not None]
    assert len(numbers) == len(STEPS) == len(set(numbers))
    expected = {
        "last": numbers[-1],
        "min": min(numbers),
        "max": max(numbers),
        "first": numbers[0],
    }[reduction]
    assert scored(scorer_engine(f"sim:3?reduce={reduction}"), ASKED).scores == (expected,)
    engine = scorer_engine(f"sim:3:{reduction}")
    assert not engine.steps
    assert (engine.low, engine.high) == (0, 1)
    assert scored(engine, ASKED).scores == (expected,)


def test_a_pool_is_scored_together_if_the_prm_does() -> None:
    """Two equal solutions: a pool of one has other scores."""

    async def last(*pool: ScoreRequest) -> list[float | None]:
        replies = await scorer_engine("sim:3?reduce=last").score_together(pool)
        return [reply.scores[0] for reply in replies]

    whole = ScoreRequest(ASKED.problem, {}, ASKED.text, STEPS)
    expected = SimScorer(3).score_together_now([whole, whole])
    assert asyncio.run(last(ASKED, ASKED)) == [reply.scores[-1] for reply in expected]
    assert asyncio.run(last(ASKED)) != asyncio.run(last(ASKED, ASKED))[:1]


def test_no_steps_have_no_score() -> None:
    assert scored(scorer_engine("sim:last"), ScoreRequest("2 + 3?", {}, "", ())).scores == (None,)


def test_a_sum_has_no_range() -> None:
    assert scorer_engine("sim:sum").high is None


def test_what_scores_solutions_is_not_reduced() -> None:
    with pytest.raises(EngineError, match="nothing to reduce"):
        scorer_engine("sim:last:last")
