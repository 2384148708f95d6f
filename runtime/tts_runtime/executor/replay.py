"""A run replayed in stream order: what a strategy needed, whatever arrived first (C66).

Votes and firsts stop what the answer does not need (C45, C58). What is in flight just then depends
on timing, and so would costs and candidates. So a run that ended early is replayed from its
replies: one at a time, the children of a row before its neighbour, as if rows arrived in pool
order. What the program asks for until its answer is known is what the strategy needed.
"""

from __future__ import annotations

import asyncio
from asyncio import CancelledError, Future
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final, Generic, TypeVar, cast

from tts_runtime.engines.base import (
    GenerateRequest,
    Generation,
    ScorerEngine,
    ScoreReply,
    ScoreRequest,
)
from tts_runtime.engines.policy import Policy
from tts_runtime.engines.stopping import stops_alike
from tts_runtime.executor.nodes import Node
from tts_runtime.executor.problem import Events
from tts_runtime.executor.problem_run import (
    ProblemRun,
    Request,
    RequestMade,
    ScoreRequested,
    asked_from,
)
from tts_runtime.executor.requests import Then, digest, same_path
from tts_runtime.executor.scheduler import PATIENCE, PAUSE

Reply = TypeVar("Reply")
Result = TypeVar("Result")

#: Other problems get a turn after this many replies.
_AT_ONCE: Final = 64


class Recording:
    """What a first run requested, beyond its memo of requests."""

    def __init__(self) -> None:
        #: Scorers' replies by request.
        self.scores: dict[Any, Future[Any]] = {}
        #: Requests with a `stop when` by stream: they differ in nothing else.
        self._watched: dict[Any, list[Request]] = {}

    def subscribe(self, events: Events) -> None:
        """Records the run with these events."""
        events.subscribe(ScoreRequested, self._score_requested)
        events.subscribe(RequestMade, self._request_made)

    def _score_requested(self, event: ScoreRequested) -> None:
        name = _pool_name if event.together else _score_name
        self.scores[name(event.engine, event.requests)] = event.future

    def _request_made(self, event: RequestMade) -> None:
        if event.request.limits.stop_when is not None:
            stream = _stream(event.entry.policy, event.request)
            self._watched.setdefault(stream, []).append(event.entry)

    def watched(self, policy: Policy, request: GenerateRequest) -> list[Generation]:
        """Replies to requests that differ from this one at most in their `stop when`."""
        requests = self._watched.get(_stream(policy, request), ())
        return [entry.reply for entry in requests if entry.reply is not None]

    def clear(self) -> None:
        """Frees what was recorded: requests refer to their run, which refers to its listeners."""
        self.scores.clear()
        self._watched.clear()


def _score_name(engine: ScorerEngine, requests: Sequence[ScoreRequest]) -> Any:
    """The name of a request for a score within a problem; equal requests share it."""
    (request,) = requests
    return id(engine), digest(request.text), hash(request.steps), request.known, request.answer


def _pool_name(engine: ScorerEngine, requests: Sequence[ScoreRequest]) -> Any:
    """The name of a request for a pool's scores within a problem; equal requests share it."""
    return tuple([_score_name(engine, (request,)) for request in requests])


def _stream(policy: Policy, request: GenerateRequest) -> Any:
    """A request but for its `stop when`."""
    return policy.name, replace(request, limits=replace(request.limits, stop_when=None))


class Turn(Generic[Reply]):
    """A reply that waits for its turn: the part of a future's interface that a run uses.

    Args:
        found: The first run's reply or error; `None` if it has neither.
        ask: Asks the engine for it.
    """

    __slots__ = ("_ask", "_callbacks", "_cancelled", "_found")

    def __init__(
        self, found: Reply | BaseException | None, ask: Callable[[], Future[Reply]]
    ) -> None:
        self._found = found
        self._ask = ask
        self._cancelled = False
        self._callbacks: list[Callable[[Any], object]] = []

    def add_done_callback(self, callback: Callable[[Any], object]) -> None:
        """Called when its turn has come."""
        self._callbacks.append(callback)

    def cancel(self) -> None:
        """Nobody waits for it."""
        self._cancelled = True

    def cancelled(self) -> bool:
        """Whether nobody waits for it."""
        return self._cancelled

    def done(self) -> bool:
        """Whether its turn has come."""
        return not self._callbacks

    def exception(self) -> BaseException | None:
        """The error, if it failed."""
        return self._found if isinstance(self._found, BaseException) else None

    def result(self) -> Reply:
        """The reply."""
        if isinstance(self._found, BaseException):
            raise self._found
        assert self._found is not None  # its turn has come
        return self._found

    async def come(self) -> None:
        """Hands the reply to what waits for it."""
        if self._found is None:
            future = self._ask()
            await asyncio.wait((future,))
            self._found = result_of(future) or CancelledError()
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback(self)


def result_of(future: Future[Reply] | None) -> Reply | BaseException | None:
    """What a future holds: its result, its error, or nothing yet."""
    if future is None or not future.done() or future.cancelled():
        return None
    return future.exception() or future.result()


class Replay(ProblemRun):
    """Runs a program on the replies of a first run; asks engines for what is not there."""

    def __init__(self, first: ProblemRun, recording: Recording, seed: int, events: Events) -> None:
        super().__init__(first.engines, first.problem, seed, events)
        self._first = first
        self._recording = recording
        #: Turns requested since the last reply, in program order; those before, the next one last.
        self._asked: list[Turn[Any]] = []
        self._turns: list[Turn[Any]] = []

    async def play(self, program: Coroutine[Any, Any, Result]) -> Result:
        """The result of `program`, which runs in this run."""
        task = asyncio.get_running_loop().create_task(program)
        replies = turns = 0
        try:
            while not task.done():
                if self.active(self._tasks):
                    # Soon, or when a process is done with an answer.
                    turns += 1
                    await asyncio.sleep(0 if turns < PATIENCE else PAUSE)
                    continue
                turns = 0
                turn = self._next()
                if turn is None:  # it waits for something other than an engine
                    await asyncio.wait((task,), timeout=PAUSE)
                    continue
                await turn.come()
                replies += 1
                if not replies % _AT_ONCE:
                    await asyncio.sleep(0)
            return task.result()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def _next(self) -> Turn[Any] | None:
        """The turns requested last come first, in program order: depth first."""
        turns = self._turns
        turns.extend(reversed(self._asked))
        self._asked.clear()
        while turns:
            turn = turns.pop()
            if not turn.cancelled():
                return turn
        return None

    def _later(
        self,
        found: Reply | BaseException | None,
        ask: Callable[[], Future[Reply]],
        then: Then | None,
    ) -> Future[Reply]:
        turn = Turn(found, ask)
        if then is not None:
            turn.add_done_callback(then)
        self._asked.append(turn)
        return cast("Future[Reply]", turn)

    def submit(self, entry: Request, request: GenerateRequest) -> None:
        """Waits for the first run's reply."""
        first = self._first
        if request.limits.stop_when is None:
            before = first.requests.get(entry.name)
            found = None
            if before is not None and same_path(asked_from(before), entry.node, entry.policy):
                found = before.generation if isinstance(before, Node) else before.reply
        else:
            watched = self._recording.watched(entry.policy, request)
            found = _stopped_alike(entry, request, watched)

        def ask() -> Future[Generation]:
            return first.ask(entry.policy, request, first.engine_done)

        entry.future = self._later(found, ask, entry)
        self.in_flight.add(entry.future)

    def ask_score(
        self, engine: ScorerEngine, request: ScoreRequest, then: Then | None
    ) -> Future[ScoreReply]:
        """The first run's score."""
        found = result_of(self._recording.scores.get(_score_name(engine, (request,))))
        return self._later(found, partial(self._first.ask_score, engine, request, None), then)

    def ask_score_together(
        self, engine: ScorerEngine, requests: Sequence[ScoreRequest], then: Then | None
    ) -> Future[Sequence[ScoreReply]]:
        """The first run's scores of a pool."""
        found = result_of(self._recording.scores.get(_pool_name(engine, requests)))
        ask = partial(self._first.ask_score_together, engine, requests, None)
        return self._later(found, ask, then)


def _stopped_alike(
    entry: Request, request: GenerateRequest, before: Sequence[Generation]
) -> Generation | None:
    """Of generations on one stream, each watched by a `stop when`, the one that this one stops."""
    if len(before) < 2:
        return before[0] if before else None
    engine = entry.policy.engine
    for generation in before:
        if stops_alike(request, engine, generation):
            return generation
    return None
