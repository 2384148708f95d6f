"""An engine that passes requests on and remembers what was drawn (for invariant U)."""

from __future__ import annotations

from asyncio import Future

from tts_runtime.engines.base import GenerateRequest, Generation, PolicyEngine


class Recorder(PolicyEngine):
    """Wraps another engine; `drawn` is what `invariants.drawn_in_two_contexts` reads."""

    def __init__(self, name: str, engine: PolicyEngine) -> None:
        self.binding = engine.binding
        self.tokenizer = engine.tokenizer
        self.exact = engine.exact
        self.lacks = engine.lacks
        self.drawn: list[tuple[str, GenerateRequest, Generation]] = []
        self._name = name
        self._engine = engine

    def generate(self, request: GenerateRequest) -> Future[Generation]:
        """Passes the request on."""
        future = self._engine.generate(request)

        def arrived(reply: Future[Generation]) -> None:
            if not reply.cancelled() and reply.exception() is None:
                self.drawn.append((self._name, request, reply.result()))

        future.add_done_callback(arrived)
        return future

    async def close(self) -> None:
        """Closes the other engine."""
        await self._engine.close()
