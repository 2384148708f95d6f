"""One problem in flight: its requests to engines, the memo of them, its costs, its events.

Everything here runs on one event loop. The core says what happens, features and records subscribe.
An event is a small class beside the code that emits it: here; in `scope` (`PoolWaits`, `PoolKnown`,
`Decided`, `Scored`, `JudgeReplied`, `StrategyReturned`); in `generation` (`CandidateMade`). It is
created only if there are listeners. Events come in the order in which things happen, which depends
on timing where rows are pending; what they say of each row does not. Listeners change nothing. Who
keeps events keeps the run. A candidate has its `uid` after the outcome.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
from asyncio import CancelledError, Future, Task
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias, TypeGuard

from tts_runtime.answers.boundary import settled
from tts_runtime.engines.base import (
    CandidateError,
    GenerateRequest,
    Generation,
    NotRecordedError,
    ScorerEngine,
    ScoreReply,
    ScoreRequest,
)
from tts_runtime.engines.policy import BoundEngines, Policy
from tts_runtime.executor.engine_calls import EngineCalls
from tts_runtime.executor.nodes import Conversation, Node, opening
from tts_runtime.executor.pools import Item, PendingRow, Pool, pending_rows
from tts_runtime.executor.problem import Events, ProblemLike
from tts_runtime.executor.requests import (
    CostCounter,
    Counts,
    Then,
    Work,
    asked,
    engine_error,
    failure,
    request_name,
    same_path,
    scored_directly,
    scorer_future,
    whole_name,
)
from tts_runtime.executor.rows import Row
from tts_runtime.executor.scheduler import Scheduler
from tts_runtime.reliability import Recorder
from tts_runtime.streams import Key, root_key, thinking_key

#: Called with the reply to a request; gives the node that is made of it, if one is.
OnGeneration: TypeAlias = "Callable[[Generation], Node | None]"


@dataclass(frozen=True, slots=True)
class RequestMade:
    """A request is about to be made to a policy's engine; `entry`: of the memo."""

    entry: Request
    request: GenerateRequest


@dataclass(frozen=True, slots=True)
class ReplyArrived:
    """A generation that the program requested has arrived; one event per request."""

    entry: Request
    tokens: int


@dataclass(frozen=True, slots=True)
class ScoreRequested:
    """A request has been made to a scorer's engine: one path, or with `together` a pool."""

    engine: ScorerEngine
    requests: Sequence[ScoreRequest]
    together: bool
    future: Future[Any]


@dataclass(frozen=True, slots=True)
class Progressed:
    """Rows have become known without a new reply: by scores, or answers worked out elsewhere."""

    run: ProblemRun


@dataclass(frozen=True, slots=True)
class RunStopped:
    """Nothing of the run is in flight any more; listeners must not raise."""

    run: ProblemRun


class Request:
    """A request for a generation, pending or answered; the callback of its future."""

    __slots__ = ("_first", "_others", "asked", "future", "name", "node", "policy", "reply", "run")

    def __init__(
        self,
        run: ProblemRun,
        node: Node,
        policy: Policy,
        name: Any = None,
        callback: OnGeneration | None = None,
    ) -> None:
        self.name = name
        self.node = node
        self.policy = policy
        self.future: Future[Generation] | None = None
        self.reply: Generation | None = None
        #: What the engine was asked directly, whose reply is to be kept (`ProblemRun.kept`).
        self.asked: GenerateRequest | None = None
        self.run = run
        #: Who waits: the first, and the others.
        self._first = callback
        self._others: Sequence[OnGeneration] = ()

    @property
    def pending(self) -> bool:
        """Whether the engine has yet to answer."""
        return self.future is not None and not self.future.done()

    def abandon(self) -> None:
        """Nobody waits any more; the engine may finish."""
        self._first, self._others = None, ()

    def leave(self, row: PendingRow) -> None:
        """This child is not waited for; when nobody else waits, the request is cancelled."""
        if getattr(self._first, "slot", None) is row:
            self._first = None
        self._others = [each for each in self._others if getattr(each, "slot", None) is not row]
        if self._first is None and not self._others and self.reply is None:
            self.run.cancel(self)

    def join(self, callback: OnGeneration) -> None:
        """Calls back with the reply, now or when it arrives."""
        if self.reply is None:
            self._others = (*self._others, callback)
        else:
            callback(self.reply)

    def count(self, generation: Generation) -> None:
        """Counts the reply: the program has requested it."""
        self.run.costs.generated(self.policy, self.node, generation.drawn)
        for listener in self.run.on_reply:
            listener(ReplyArrived(self, generation.drawn))

    def __call__(self, future: Future[Generation]) -> None:
        """Hands the engine's reply to all who wait for it."""
        run = self.run
        if run.calls is None or run.kept is not None:
            run.work.generated(future)
        try:
            run.in_flight.remove(future)
        except KeyError:  # not `take` first: it is a call for every reply
            self._keep(future)
            run.take(future)
            return
        try:
            generation = future.result()
        except (Exception, CancelledError) as error:  # noqa: BLE001  (the run's, whatever it is)
            if not run.loses_candidate(error):
                run.engine_failed(error, self)
                return
            generation = failure(self.node, error)
        if run.error is not None:
            self._keep(future)
            return
        self.reply = generation
        self.future = None
        first, self._first = self._first, None
        others, self._others = self._others, ()
        node: Node | None = None
        try:
            self.count(generation)
            if first is not None:
                node = first(generation)
            for callback in others:
                node = callback(generation)
            if node is not None and self.name in run.requests:
                run.requests[self.name] = node  # it is the reply, in less memory
        except Exception as problem:  # noqa: BLE001  (stored: `execute` raises or reports it)
            run.fail(problem)
        if self.asked is not None and run.kept is not None:
            if node is None or node.error is not None:
                self._keep(future)
            else:
                run.kept.drawn(self.asked, node)
            self.asked = None
        if run.idle is not None:
            run.check_idle()

    def _keep(self, future: Future[Generation]) -> None:
        """Keeps a reply of which no node was made."""
        if self.asked is not None and self.run.kept is not None:
            self.run.kept.generated(self.policy.engine, self.asked, future)


def asked_from(asked: Request | Node) -> Node:
    """The node that a request of the memo continues."""
    if isinstance(asked, Request):
        return asked.node
    assert asked.parent is not None
    return asked.parent


class ProblemRun(Scheduler):
    """The state of one problem.

    Args:
        engines: What the plan is bound to.
        problem: The problem.
        seed: The run's seed.
        events: Who listens; subscriptions made later are not heard.
        calls: Asks engines, if they are not asked directly, and adds to a `work` of its own.
        work: What engines do is added here, where they are asked directly.
    """

    def __init__(
        self,
        engines: BoundEngines,
        problem: ProblemLike,
        seed: int,
        events: Events,
        calls: EngineCalls | None = None,
        work: Work | None = None,
    ) -> None:
        super().__init__()
        self.engines = engines
        self.problem = problem
        self.root_key: Key = root_key(seed, problem.id)
        gold = {} if problem.answer is None else {"answer": problem.answer}
        self.fields = {**problem.fields, **gold}
        self.calls = calls
        #: Keeps replies to the program's own requests, made past `calls` where it only keeps them.
        self.kept = None if calls is None else calls.direct
        if calls is not None:
            work = calls.work
        self.work = Work() if work is None else work
        self.recorder = Recorder()
        self.closed = False
        self.settled = False  # the answer is known: what is in flight is not waited for
        self.abandoned = False  # some candidate was given up before it was complete
        self.ended_early = False  # perhaps: what was requested depends on timing
        #: By name, what was requested, or a node made of the reply: the same twice is one (C62).
        self.requests: dict[Any, Request | Node] = {}
        self.scores: dict[str, dict[Any, Any]] = {}  # the same of scores, by scorer
        #: Futures of engines that the program waits for.
        self.in_flight: set[Future[Any]] = set()
        self._openings: dict[bool, Node] = {}
        self.costs = CostCounter()
        self._tasks: set[Task[None]] = set()
        self.idle: Future[None] | None = None  # what `finished` waits for
        self.events = events
        self._on_request = events.listeners(RequestMade)
        self.on_reply = events.listeners(ReplyArrived)
        self._on_score_request = events.listeners(ScoreRequested)
        self.on_progress = events.listeners(Progressed)
        self._on_stop = events.listeners(RunStopped)

    # ------------------------------------------------------------------ life

    async def finished(self) -> None:
        """Waits until nothing is in flight any more."""
        if self.error is not None:
            raise self.error
        if self.in_flight or self._tasks:
            self.idle = asyncio.get_running_loop().create_future()
            await self.wait(self.idle)

    async def stop(self) -> None:
        """Cancels what is in flight and waits for its end."""
        self.closed = True
        for future in self.in_flight:
            future.cancel()
        self.in_flight.clear()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.gather(*tasks, return_exceptions=True)
        for listener in self._on_stop:
            listener(RunStopped(self))

    async def close(self) -> None:
        """Stops, and frees what the run holds."""
        await self.stop()
        # Without these cycles a finished problem is freed at once. Left to the garbage collector,
        # they took a third of the executor's time.
        self.requests.clear()
        self.scores.clear()
        # Listeners keep events, and events refer to the run.
        self.events = Events()
        self._on_request = self.on_reply = self._on_score_request = ()
        self.on_progress = self._on_stop = ()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Runs a coroutine beside the others; its failure is the run's."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self.fail(error)
        self.check_idle()

    def check_idle(self) -> None:
        """Wakes `finished` if nothing is in flight."""
        idle = self.idle
        if idle is not None and not self.in_flight and not self._tasks and not idle.done():
            idle.set_result(None)

    @property
    def counts(self) -> Counts:
        """What the replies that the program has been given cost."""
        return self.costs.counts

    # ------------------------------------------------------------------ replies

    def engine_done(self, future: Future[Generation]) -> None:
        """Counts a generation that an engine is done with, whether or not it is still wanted."""
        if self.calls is None:
            self.work.generated(future)

    def take(self, future: Future[Any]) -> bool:
        """Removes a future that is done from those in flight; whether it was waited for."""
        if future in self.in_flight:
            self.in_flight.remove(future)
            return True
        if not future.cancelled():
            future.exception()  # retrieved: nobody has to hear of it
        return False

    def loses_candidate(self, error: BaseException) -> TypeGuard[CandidateError]:
        """Whether an error loses one candidate only; with `strict` it loses the problem (C64)."""
        return isinstance(error, CandidateError) and not self.engines.strict

    def engine_failed(self, error: BaseException, request: object = None) -> None:
        """An engine failed a request that is waited for: the problem fails."""
        if isinstance(error := engine_error(error), NotRecordedError):
            self.unrecorded[request] = error
            if not self.lacking:
                self.lacking = True
                self.spawn(self.fail_if_blocked(self.in_flight, self._tasks))
        else:
            self.fail(error)

    def deliver(self, slot: PendingRow, row: Row) -> None:
        """Makes a done row known, once its answer can be compared without computing here."""
        later = row.node.answer_later()
        if later is None:
            self.resolve(slot, row)
        else:
            self.spawn(self._deliver(slot, row, later))

    async def _deliver(
        self, slot: PendingRow, row: Row, later: concurrent.futures.Future[Any]
    ) -> None:
        await settled(later)
        if not slot.resolved:  # nobody has abandoned it
            self.resolve(slot, row)
        for listener in self.on_progress:
            listener(Progressed(self))

    # ------------------------------------------------------------------ policies

    def opening(self, thinks: bool) -> Node:
        """The first node of the problem's own conversation, or of the thinking one."""
        policy = self.engines.default
        thinks = thinks and policy.binding.thinking is not None
        node = self._openings.get(thinks)
        if node is None:
            key = thinking_key(self.root_key) if thinks else self.root_key
            conversation = Conversation(
                key, self.problem.text, thinking=thinks, own=True, before=self.problem.before
            )
            node = self._openings[thinks] = opening(conversation, policy)
        return node

    def generate(
        self,
        policy: Policy,
        signature: str,
        node: Node,
        request: GenerateRequest,
        callback: OnGeneration,
    ) -> Request | None:
        """Asks a policy to continue a node; the same request twice is one (C62).

        Gives what to wait for, if the reply is not there.
        """
        requests = self.requests
        name = request_name(signature, node.position, request)
        before = requests.get(name)
        if before is not None and not same_path(asked_from(before), node, policy):
            name = whole_name(name, request)
            before = requests.get(name)
        if before is None:
            before = requests[name] = Request(self, node, policy, name, callback)
            self.submit(before, request)
        elif isinstance(before, Request):
            before.join(callback)
        else:
            callback(before.generation)
            return None
        return before

    def submit(self, entry: Request, request: GenerateRequest) -> None:
        """Asks the engine, and waits for its reply."""
        for listener in self._on_request:
            listener(RequestMade(entry, request))
        if self.calls is None or self.kept is not None:
            if self.kept is not None:
                entry.asked = request
            future = entry.policy.engine.generate(request)
            future.add_done_callback(entry)
        else:
            future = self.calls.generate(entry.policy.engine, request, entry)
        entry.future = future
        self.in_flight.add(future)

    def ask(self, policy: Policy, request: GenerateRequest, then: Then) -> Future[Generation]:
        """A policy's reply to a request; `then` is called with it."""
        if self.calls is not None:
            return self.calls.generate(policy.engine, request, then)
        return asked(policy.engine.generate, request, then)

    # ------------------------------------------------------------------ scorers

    def score(self, engine: ScorerEngine, request: ScoreRequest, then: Then) -> None:
        """Asks a scorer; `then` is called with the future, and keeps the reply if `kept`."""
        if self.kept is not None:
            future = scored_directly(engine, request, then)
        else:
            future = self.ask_score(engine, request, then)
        self.in_flight.add(future)
        for listener in self._on_score_request:
            listener(ScoreRequested(engine, (request,), False, future))

    def ask_score(
        self, engine: ScorerEngine, request: ScoreRequest, then: Then | None
    ) -> Future[ScoreReply]:
        """A scorer's reply to a request; `then` is called with it."""
        if self.calls is not None:
            return scorer_future(partial(self.calls.score, engine), request, then)
        return scored_directly(engine, request, then)

    def score_together(
        self, engine: ScorerEngine, requests: Sequence[ScoreRequest], then: Then
    ) -> None:
        """`score` for a scorer that sees a whole pool."""
        future = self.ask_score_together(engine, requests, then)
        self.in_flight.add(future)
        for listener in self._on_score_request:
            listener(ScoreRequested(engine, requests, True, future))

    def ask_score_together(
        self, engine: ScorerEngine, requests: Sequence[ScoreRequest], then: Then | None
    ) -> Future[Sequence[ScoreReply]]:
        """`ask_score` for a scorer that sees a whole pool."""
        if self.calls is None:
            return scorer_future(partial(asked, engine.score_together), requests, then)
        return scorer_future(partial(self.calls.score_together, engine), requests, then)

    # ------------------------------------------------------------------ stopping early

    def abandon(self, pool: Pool) -> None:
        """Gives up the children of a pool that are still pending: they are no rows of it."""
        for row in pending_rows(pool.items):
            if row.source is not None:
                self.abandoned = True
                row.source.leave(row)
                self.resolve(row, None)
        self.check_idle()

    def settle(self, places: Sequence[Item]) -> None:
        """Neither `places` nor what is in flight can change the answer: nobody waits (C45)."""
        pending = [r for r in self.requests.values() if isinstance(r, Request) and r.pending]
        self.settled = True
        self.abandoned |= bool(pending) or any(True for _ in pending_rows(places))
        for request in pending:
            request.abandon()

    def cancel(self, request: Request) -> None:
        """Cancels a generation; requested again, it is generated again."""
        self.requests.pop(request.name, None)
        self.unrecorded.pop(request, None)
        future = request.future
        if future is not None:
            self.in_flight.discard(future)
            future.cancel()
