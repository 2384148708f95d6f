"""A process scorer as an outcome scorer: its scores of the steps, reduced to one.

Bound as `--scorer NAME=ENGINE:REDUCTION`, for example `--scorer orm=bundled:last`.
"""

from __future__ import annotations

import asyncio
from asyncio import Future
from dataclasses import replace

from tts_lang.values import REDUCTIONS
from tts_runtime.engines.base import EngineError, ScorerEngine, ScoreReply, ScoreRequest


class ReducedScorer(ScorerEngine):
    """Scores solutions by a reduction of another engine's scores of their steps.

    Args:
        inner: The process scorer; closed with this one.
        reduction: A name of `REDUCTIONS`, as in `last(prm)` (C33); a solution without steps has a
            missing score.

    Raises:
        EngineError: `inner` scores whole solutions already.
    """

    steps = False

    def __init__(self, inner: ScorerEngine, reduction: str) -> None:
        if not inner.steps:
            raise EngineError(
                "this engine scores per solution, so there is nothing to reduce: "
                f"leave `:{reduction}` out"
            )
        self.inner = inner
        self.exact = inner.exact
        self.card = inner.card
        if reduction != "sum":  # a sum of several scores is outside their range
            self.low, self.high = inner.low, inner.high
        else:
            self.low, self.high = None, None
        self._reduce = REDUCTIONS[reduction]

    def score(self, request: ScoreRequest) -> Future[ScoreReply]:
        """One score; every step is read, since a reduction may need all of them."""
        return asyncio.ensure_future(self._score(replace(request, known=0)))

    async def _score(self, request: ScoreRequest) -> ScoreReply:
        reply = await self.inner.score(request)
        whole = reply.opening + sum(reply.sizes)
        return ScoreReply((self._reduce(reply.scores),), reply.tokens, sizes=(whole,))

    async def close(self) -> None:
        """Closes the process scorer."""
        await self.inner.close()
