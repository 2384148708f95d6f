"""The bundled PRM for programs that send whole paths each time, as their own reward models read."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from threading import Thread

from tts_runtime.engines.base import ScoreRequest
from tts_runtime.engines.bundled.prm import BundledPrm
from tts_runtime.paths import bundled


class Reward:
    """The PRM, on an event loop of its own; it remembers no path."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        Thread(target=self.loop.run_forever, daemon=True).start()
        self.prm = BundledPrm(bundled("prm"), known_tokens=0)
        #: Tokens of all paths so far, each time they came.
        self.read = 0

    def scores(self, problem: str, texts: Sequence[str]) -> list[float]:
        """The score of the last step of each text."""

        async def all_of_them() -> list[float]:
            return await asyncio.gather(*(self._score(problem, text) for text in texts))

        return asyncio.run_coroutine_threadsafe(all_of_them(), self.loop).result()

    async def _score(self, problem: str, text: str) -> float:
        steps = tuple(step for step in text.split("\n\n") if step.strip())
        if not steps:
            return 0.0
        reply = await self.prm.score(ScoreRequest(problem, {}, "\n\n".join(steps), steps))
        self.read += reply.opening + sum(reply.sizes)
        return reply.scores[-1] or 0.0
