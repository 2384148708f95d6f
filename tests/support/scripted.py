"""Engines that say what a test tells them to, on the clock of the event loop."""

from __future__ import annotations

import asyncio
from asyncio import Future
from collections.abc import Mapping, Sequence

from tts_runtime.binding import Binding, Thinking
from tts_runtime.engines.base import (
    EngineError,
    GenerateRequest,
    Generation,
    PolicyEngine,
    ScorerEngine,
    ScoreReply,
    ScoreRequest,
)
from tts_runtime.engines.stopping import StopCriteria

END = 256


class Bytes:
    """A tokenizer whose ids are bytes; id 256 ends a text."""

    def __init__(self, fingerprint: str = "bytes") -> None:
        self.pieces: Sequence[bytes] = (*(bytes([value]) for value in range(256)), b"")
        self.fingerprint = fingerprint

    def encode(self, text: str) -> tuple[int, ...]:
        """The text's bytes."""
        return tuple(text.encode())


def binding(thinking: bool = False, context: int = 10_000) -> Binding:
    """A binding without a chat template."""
    return Binding(
        name="scripted",
        context=context,
        answer=("\\boxed{}",),
        thinking=Thinking(begin="<think>", end="</think>") if thinking else None,
    )


class ScriptedPolicy(PolicyEngine):
    """Each new stream gets the next text of a list (the last one again when it is used up).

    A stream is a key, and a path continues with what its key begins, so steps of one candidate come
    from one text; a new key behind a prefix gets the next text, the prefix left out of it.

    Args:
        texts: What candidates say, in the order in which they are first asked for.
        delays: Virtual seconds that the n-th request takes; 0 when there are fewer.
        failures: Numbers of requests that fail.
    """

    def __init__(
        self,
        texts: Sequence[str],
        delays: Sequence[float] = (),
        failures: Sequence[int] = (),
        thinking: bool = False,
        context: int = 10_000,
        tokenizer: Bytes | None = None,
    ) -> None:
        self.binding = binding(thinking, context)
        self.tokenizer = tokenizer or Bytes()
        self.requests: list[GenerateRequest] = []
        self.waiting = 0
        self.cancelled = 0
        self._texts = list(texts)
        self._delays = delays
        self._failures = failures
        self._streams: dict[bytes, tuple[int, bytes]] = {}

    def generate(self, request: GenerateRequest) -> Future[Generation]:
        """Answers after the request's delay."""
        loop = asyncio.get_running_loop()
        future: Future[Generation] = loop.create_future()
        number = len(self.requests)
        self.requests.append(request)
        self.waiting += 1
        generation = self._answer(request)

        def finish() -> None:
            if not future.done():
                if number in self._failures:
                    future.set_exception(EngineError(f"request {number} broke"))
                else:
                    future.set_result(generation)

        def done(reply: Future[Generation]) -> None:
            self.waiting -= 1
            self.cancelled += reply.cancelled()

        future.add_done_callback(done)
        delay = self._delays[number] if number < len(self._delays) else 0.0
        loop.call_later(delay, finish)
        return future

    def _answer(self, request: GenerateRequest) -> Generation:
        if request.key not in self._streams:
            text = self._texts.pop(0) if len(self._texts) > 1 else self._texts[0]
            self._streams[request.key] = len(request.prefix), text.encode()
        start, data = self._streams[request.key]
        criteria = StopCriteria(request, self.tokenizer, frozenset({END}), b"\n\n")
        for token in (*data[len(request.prefix) - start :], END):
            if criteria.push(token, -0.5, [1.0 + token % 7] * len(request.statistics)) is not None:
                break
        return criteria.result(prefilled=len(request.prompt) + len(request.prefix))


class TableScorer(ScorerEngine):
    """Scores looked up by a step's (or a whole text's) words; what is not in the table: `other`."""

    def __init__(
        self,
        table: Mapping[str, float | None],
        steps: bool = False,
        other: float | None = 0.5,
        delay: float = 0.0,
    ) -> None:
        self.steps = steps
        self.requests: list[ScoreRequest] = []
        self.times: list[float] = []
        self._table = table
        self._other = other
        self._delay = delay

    def score(self, request: ScoreRequest) -> Future[ScoreReply]:
        """Answers after the delay."""
        loop = asyncio.get_running_loop()
        future: Future[ScoreReply] = loop.create_future()
        self.requests.append(request)
        self.times.append(loop.time())
        texts = request.steps[request.known :] if self.steps else (request.text,)
        reply = ScoreReply(
            tuple(self._table.get(text.strip(), self._other) for text in texts), len(texts)
        )

        def finish() -> None:
            if not future.done():
                future.set_result(reply)

        loop.call_later(self._delay, finish)
        return future

    def score_together(self, requests: Sequence[ScoreRequest]) -> Future[Sequence[ScoreReply]]:
        """As `score`, side by side."""
        future: Future[Sequence[ScoreReply]] = asyncio.get_running_loop().create_future()
        self.requests.extend(requests)
        future.set_result(
            [ScoreReply((self._table.get(each.text.strip(), self._other),), 1) for each in requests]
        )
        return future


__all__ = ["END", "Bytes", "ScriptedPolicy", "TableScorer", "binding"]
