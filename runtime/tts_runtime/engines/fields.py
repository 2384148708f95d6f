"""A scorer that reads the problem file: gold answers and oracle difficulty.

Bound as `--scorer NAME=field:FIELD`. The field `answer` scores a candidate 1 if its answer equals
the gold answer and 0 otherwise; any other field must hold a number, which is every candidate's
score.
"""

from __future__ import annotations

import asyncio
from asyncio import Future

from tts_lang.diagnostics import did_you_mean
from tts_runtime.engines.base import EngineError, ScorerEngine, ScoreReply, ScoreRequest

GOLD = "answer"


class FieldScorer(ScorerEngine):
    """Scores by one field of the problem."""

    steps = False

    def __init__(self, field: str) -> None:
        self.field = field
        gold = field == GOLD
        self.low = 0.0 if gold else None
        self.high = 1.0 if gold else None

    def score(self, request: ScoreRequest) -> Future[ScoreReply]:
        """Scores at once: there is nothing to wait for."""
        future: Future[ScoreReply] = asyncio.get_running_loop().create_future()
        try:
            future.set_result(self.score_now(request))
        except EngineError as error:
            future.set_exception(error)
        return future

    def score_now(self, request: ScoreRequest) -> ScoreReply:
        """The score of one candidate.

        Raises:
            EngineError: The problem has no such field, or it holds no number.
        """
        if self.field not in request.fields:
            hint = did_you_mean(self.field, request.fields)
            raise EngineError(
                f"scorer `field:{self.field}`: this problem has no field `{self.field}`"
                + (f"; {hint}" if hint else f"; its fields: {', '.join(request.fields) or 'none'}")
            )
        value = request.fields[self.field]
        if self.field == GOLD:
            return ScoreReply((_matches(request.answer, value),))
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise EngineError(
                f"scorer `field:{self.field}`: expected a number in the problem file, "
                f"found {value!r}"
            )
        return ScoreReply((float(value),))


def _matches(answer: str | None, gold: object) -> float:
    if answer is None:
        return 0.0
    from tts_runtime.answers.boundary import form

    return float(form(answer).key == form(str(gold)).key)
