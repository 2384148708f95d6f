"""Asks engines for one problem: what an earlier session was given, or another strategy, only once.

A generation is a part of an infinite stream that units and limits only cut. So the same request is
one generation whoever asks (C62), and what a finished one has drawn answers every shorter request
on the same stream: a beam's step out of a solution of best-of-n.
"""

from __future__ import annotations

import asyncio
from asyncio import Future
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final, Generic, Protocol, TypeVar

from tts_runtime.engines.base import (
    Finish,
    GenerateRequest,
    Generation,
    PolicyEngine,
    ScorerEngine,
    ScoreReply,
    ScoreRequest,
)
from tts_runtime.engines.stopping import StopCriteria, end_ids
from tts_runtime.executor.nodes import Node
from tts_runtime.executor.requests import Then, Work, asked

Reply = TypeVar("Reply")
#: Stands for the end of a text where an engine's binding names none: no token has this number.
_UNNAMED_END: Final = frozenset({-1})


class KeptReplies(Protocol):
    """Replies that one problem's requests were given by an earlier session, which was stopped.

    They are not asked for again. What engines reply now is kept for the next session, errors are
    not. `empty`: an earlier session left none.
    """

    empty: bool

    def generation(self, engine: PolicyEngine, request: GenerateRequest, /) -> Generation | None:
        """What this request was given; `None`: it has to be asked."""

    def generated(
        self, engine: PolicyEngine, request: GenerateRequest, reply: Future[Generation], /
    ) -> None:
        """Keeps a generation that is done, if it is one."""

    def drawn(self, request: GenerateRequest, node: Node, /) -> None:
        """Keeps a generation of which a node was made: that, which is there anyway, has it all."""

    def scores(
        self, engine: ScorerEngine, requests: Sequence[ScoreRequest], /
    ) -> Sequence[ScoreReply] | None:
        """What these requests were given: one path, or a pool that is scored together."""

    def scored(
        self,
        engine: ScorerEngine,
        requests: Sequence[ScoreRequest],
        reply: Future[Any],
        /,
    ) -> None:
        """Keeps the scores of a path (one reply), or of a pool (several), if there are any."""

    def read(
        self,
        engine: ScorerEngine,
        path: ScoreRequest | bytes,
        known: int,
        reply: Future[ScoreReply],
        /,
    ) -> None:
        """`scored` of a path: what was asked, or its digest and how many steps were known."""


class EngineCalls:
    """What one problem asks of engines.

    A request is made with what is called when it is done, `then`: two callbacks of one future would
    be two turns of the event loop's queue.

    Args:
        work: What engines do is added here; what each strategy costs is its own affair.
        kept: What they need not do again.
    """

    def __init__(self, work: Work, kept: KeptReplies | None = None) -> None:
        self.work = work
        self._kept = kept
        #: The same if an earlier session left any.
        self._there = None if kept is None or kept.empty else kept
        #: Keeps replies, where engines may as well be asked directly: there are none to serve.
        self.direct = kept if kept is not None and kept.empty else None

    def generate(
        self, engine: PolicyEngine, request: GenerateRequest, then: Then | None = None
    ) -> Future[Generation]:
        """The reply to a request."""
        found = None if self._there is None else self._there.generation(engine, request)
        if found is not None:
            return _settled(found, then)
        future = engine.generate(request)
        future.add_done_callback(partial(self._generated, engine, request, then))
        return future

    def score(
        self, engine: ScorerEngine, request: ScoreRequest, then: Then | None = None
    ) -> Future[ScoreReply]:
        """The scores of a path."""
        found = None if self._there is None else self._there.scores(engine, (request,))
        if found is not None:
            return _settled(found[0], then)
        future = engine.score(request)
        future.add_done_callback(partial(self._scored, engine, (request,), then))
        return future

    def score_together(
        self, engine: ScorerEngine, requests: Sequence[ScoreRequest], then: Then | None = None
    ) -> Future[Sequence[ScoreReply]]:
        """The scores of a pool; they are not shared between strategies."""
        found = None if self._there is None else self._there.scores(engine, requests)
        if found is not None:
            return _settled(found, then)
        return asked(engine.score_together, requests, partial(self._scored, engine, requests, then))

    def _generated(
        self,
        engine: PolicyEngine,
        request: GenerateRequest,
        then: Then | None,
        future: Future[Generation],
    ) -> None:
        self.work.generated(future)
        if self._kept is not None:
            self._kept.generated(engine, request, future)
        if then is not None:
            then(future)

    def _scored(
        self,
        engine: ScorerEngine,
        requests: Sequence[ScoreRequest],
        then: Then | None,
        future: Future[ScoreReply] | Future[Sequence[ScoreReply]],
    ) -> None:
        self.work.scored(future)
        if self._kept is not None:
            self._kept.scored(engine, requests, future)
        if then is not None:
            then(future)


def _settled(reply: Reply, then: Then | None) -> Future[Reply]:
    future: Future[Reply] = asyncio.get_running_loop().create_future()
    future.set_result(reply)
    if then is not None:
        future.add_done_callback(then)
    return future


class SharedRequests(EngineCalls):
    """The requests of one problem that several strategies make: what they share is asked once."""

    def __init__(self, work: Work, kept: KeptReplies | None = None) -> None:
        super().__init__(work, kept)
        self.direct = None
        self._flights: dict[Any, _Flight[Any]] = {}
        self._streams: dict[Any, list[tuple[GenerateRequest, Generation]]] = {}

    def generate(
        self, engine: PolicyEngine, request: GenerateRequest, then: Then | None = None
    ) -> Future[Generation]:
        """The reply to a request; from what is there, if possible."""
        if request.limits.watched:
            return super().generate(engine, request, then)
        shared = request if request.sampling.temperature else replace(request, key=b"")  # C15
        name = (id(engine), shared)
        flight = self._flights.get(name)
        if flight is not None:
            return flight.join(then)
        replayed = self._replayed(engine, request)
        if replayed is not None:
            return _settled(replayed, then)
        flight = self._flights[name] = _Flight(
            super().generate(engine, request), partial(self._flights.pop, name, None)
        )
        flight.future.add_done_callback(partial(self._drawn, engine, request))
        return flight.join(then)

    def score(
        self, engine: ScorerEngine, request: ScoreRequest, then: Then | None = None
    ) -> Future[ScoreReply]:
        """The reply to a request; the same text scored from the same step on is scored once."""
        name = (id(engine), request.text, request.steps, request.known, request.answer)
        flight = self._flights.get(name)
        if flight is None:
            flight = self._flights[name] = _Flight(
                super().score(engine, request), partial(self._flights.pop, name, None)
            )
        return flight.join(then)

    # ------------------------------------------------------------------ streams

    def _drawn(
        self, engine: PolicyEngine, request: GenerateRequest, future: Future[Generation]
    ) -> None:
        """Keeps a finished generation for shorter requests on its stream."""
        name = _stream(engine, request)
        if name is not None and not future.cancelled() and future.exception() is None:
            self._streams.setdefault(name, []).append((request, future.result()))

    def _replayed(self, engine: PolicyEngine, request: GenerateRequest) -> Generation | None:
        """The reply, if what has been drawn on its stream goes far enough."""
        name = _stream(engine, request)
        if name is None or request.limits.max_tokens < 1:
            return None
        tracker: StopCriteria | None = None
        ends = frozenset[int]()
        for before, generation in self._streams.get(name, ()):
            start = len(request.prefix) - len(before.prefix)
            if start < 0 or request.prefix != before.prefix + generation.ids[:start]:
                continue
            if tracker is None or tracker.drawn:
                ends = ends or end_ids(engine.tokenizer, engine.binding) or _UNNAMED_END
                delimiter = engine.binding.step_delimiter.encode()
                tracker = StopCriteria(request, engine.tokenizer, ends, delimiter)
            columns = [generation.statistics[name] for name in request.statistics]
            for place in range(start, len(generation.ids)):
                values = [column[place] for column in columns]
                tracker.push(generation.ids[place], generation.logprobs[place], values)
                if tracker.finish is not None:
                    return tracker.result(prefilled=0)
            if generation.finish is Finish.END:
                tracker.push(min(ends), generation.end_logprob)
                return tracker.result(prefilled=0)
        return None


def _stream(engine: PolicyEngine, request: GenerateRequest) -> Any:
    """The name of a request's stream; none where its draws depend on where the call begins."""
    limits = request.limits
    if not engine.exact or limits.at_least or limits.matching or request.first_rank is not None:
        return None
    key = request.key if request.sampling.temperature else b""
    return id(engine), request.prompt, key, request.sampling, request.statistics


class _Flight(Generic[Reply]):
    """One request to an engine, and how many wait for it."""

    __slots__ = ("_dropped", "_waiting", "future")

    def __init__(self, future: Future[Reply], dropped: Callable[[], object]) -> None:
        self.future = future
        self._waiting: set[Future[Reply]] = set()
        self._dropped = dropped
        future.add_done_callback(self._landed)

    def join(self, then: Then | None) -> Future[Reply]:
        """A future of one's own; when all who wait have cancelled theirs, the request ends."""
        mine: Future[Reply] = asyncio.get_running_loop().create_future()
        if self.future.done():
            _settle(mine, self.future)
        else:
            self._waiting.add(mine)
            mine.add_done_callback(self._left)
        if then is not None:
            mine.add_done_callback(then)
        return mine

    def _left(self, mine: Future[Reply]) -> None:
        self._waiting.discard(mine)
        if mine.cancelled() and not self._waiting and not self.future.done():
            self._dropped()
            self.future.cancel()

    def _landed(self, future: Future[Reply]) -> None:
        waiting, self._waiting = self._waiting, set()
        for mine in waiting:
            if not mine.done():
                _settle(mine, future)


def _settle(mine: Future[Reply], future: Future[Reply]) -> None:
    if future.cancelled():
        mine.cancel()
        return
    error = future.exception()
    if error is not None:
        mine.set_exception(error)
    else:
        mine.set_result(future.result())
