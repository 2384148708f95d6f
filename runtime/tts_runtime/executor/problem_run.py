"""One problem in flight: what it has asked of the engines, the memo of requests, the costs.

Everything here runs on one event loop.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
from asyncio import CancelledError, Future, Task
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeGuard, TypeVar

from tts_runtime.answers.boundary import settled
from tts_runtime.engines.base import (
    CandidateError,
    EngineError,
    Fault,
    GenerateRequest,
    Generation,
    ScorerEngine,
    ScoreReply,
    ScoreRequest,
)
from tts_runtime.executor.costs import CostCounter
from tts_runtime.executor.early_exit import EVERYTHING
from tts_runtime.executor.errors import unforeseen
from tts_runtime.executor.model import Conversation, Node, Row, opening
from tts_runtime.executor.outcome import Counts, Observer, ProblemLike, Work
from tts_runtime.executor.policies import Policy
from tts_runtime.executor.pools import PendingRow, Pool, open_slots
from tts_runtime.executor.requests import Arrived, Request, name_of, whole_name
from tts_runtime.executor.scheduler import Scheduler
from tts_runtime.reliability import Recorder
from tts_runtime.streams import Key, root_key, thinking_key

if TYPE_CHECKING:
    from tts_lang.plan.graph import Scorer
    from tts_runtime.executor.bind import Bound
    from tts_runtime.executor.settings import Settings
    from tts_runtime.executor.shared import Shared
    from tts_runtime.executor.speculation import Early, Speculator

Reply = TypeVar("Reply")


class ProblemRun(Scheduler):
    """The state of one problem."""

    __slots__ = (
        "_bill",
        "_generations",
        "_idle",
        "_in_flight",
        "_records",
        "_tasks",
        "_watched",
        "bound",
        "closed",
        "early",
        "fields",
        "observer",
        "openings",
        "problem",
        "recorded",
        "recorder",
        "replies",
        "root_key",
        "settled",
        "shared",
        "speculator",
        "whole",
        "work",
    )

    def __init__(
        self,
        bound: Bound,
        problem: ProblemLike,
        seed: int,
        observer: Observer,
        shared: Shared | None = None,
        speculator: Speculator | None = None,
        work: Work | None = None,
    ) -> None:
        super().__init__()
        self.bound = bound
        #: What engines do; what they do for several strategies is counted by `shared`.
        self.work = Work() if work is None else work
        self.shared = shared
        self.speculator = speculator
        self.problem = problem
        self.observer = observer
        self.root_key: Key = root_key(seed, problem.id)
        gold = {} if problem.answer is None else {"answer": problem.answer}
        self.fields = {**problem.fields, **gold}
        self._bill = CostCounter()
        self.recorder = Recorder()
        self.closed = False
        #: The answer is known: what is in flight is not waited for.
        self.settled = False
        #: No candidate was given up as needless.
        self.whole = True
        #: Something has stopped waiting, or may have: what was asked for depends on timing.
        self.early = False
        self.openings: dict[bool, Node] = {}
        #: Scores by request, or what waits for them: scoring's memo (C62).
        self.replies: dict[Any, Any] = {}
        #: Where something may stop early: scorers' replies by request.
        self.recorded: dict[Any, Future[Any]] = {}
        self._records = bound.program.needless is not EVERYTHING
        self._watched: dict[Any, list[Request]] = {}
        self._generations: dict[Any, Request] = {}
        self._in_flight: set[Future[Any]] = set()
        self._tasks: set[Task[None]] = set()
        self._idle: Future[None] | None = None

    # ------------------------------------------------------------------ life

    async def finished(self) -> None:
        """Waits until nothing is in flight any more."""
        if self.error is not None:
            raise self.error
        if self._in_flight or self._tasks:
            self._idle = asyncio.get_running_loop().create_future()
            await self.wait(self._idle)

    async def stop(self) -> None:
        """Cancels what is in flight and waits for its end."""
        for future in self._in_flight:
            future.cancel()
        self._in_flight.clear()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.gather(*tasks, return_exceptions=True)
        if self.speculator is not None:
            self.speculator.leave(self)

    async def close(self) -> None:
        """Stops, and forgets everything."""
        self.closed = True
        await self.stop()
        # Without these cycles a finished problem is freed at once. Left to the garbage collector,
        # they took a third of the executor's time.
        self._generations.clear()
        self._watched.clear()
        self.replies.clear()
        self.recorded.clear()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Runs a coroutine beside the others; its failure is the run's."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            error = task.exception()
            if error is not None:
                self.fail(error)
        self.check_idle()

    def check_idle(self) -> None:
        """Wakes `finished` if nothing is in flight."""
        idle = self._idle
        if idle is not None and not self._in_flight and not self._tasks and not idle.done():
            idle.set_result(None)

    @property
    def counts(self) -> Counts:
        """What the replies that the program has been given cost."""
        return self._bill.counts

    # ------------------------------------------------------------------ replies

    def did(self, future: Future[Generation]) -> None:
        """An engine is done with a generation, whether or not anybody waits for it."""
        if self.shared is None:
            self.work.generated(future)

    def watch(
        self, future: Future[Reply], arrived: Callable[[Reply | CandidateError], None]
    ) -> None:
        """Calls `arrived` with a scorer's reply, or why there is none for these candidates.

        The failure of the engine as a whole is the run's.
        """
        self._in_flight.add(future)
        future.add_done_callback(partial(self._arrived, arrived))

    def _arrived(
        self, arrived: Callable[[Reply | CandidateError], None], future: Future[Reply]
    ) -> None:
        if self.shared is None:
            self.work.scored(future)  # type: ignore[arg-type]
        if not self.landed(future):
            return
        reply: Reply | CandidateError
        try:
            reply = future.result()
        except (Exception, CancelledError) as error:  # noqa: BLE001  (whatever it is)
            told = _told(error)
            if not self.loses_one(told):
                self.broken(told)
                return
            reply = told
        if self.error is not None:
            return
        try:
            arrived(reply)
        except Exception as problem:  # noqa: BLE001  (kept: `execute` raises it or reports it)
            self.fail(problem)
        if self.speculator is not None:
            self.speculator.poke()
        self.check_idle()

    def landed(self, future: Future[Any]) -> bool:
        """Whether a future that is done is still waited for."""
        in_flight = self._in_flight
        if future in in_flight:
            in_flight.remove(future)
            return True
        if not future.cancelled():
            future.exception()  # looked at: nobody has to hear of it
        return False

    def loses_one(self, error: BaseException) -> TypeGuard[CandidateError]:
        """Whether an error loses one candidate only; with `strict` it loses the problem (C64)."""
        return isinstance(error, CandidateError) and not self.bound.strict

    def broken(self, error: BaseException) -> None:
        """An engine failed a request that is waited for."""
        if isinstance(error, CancelledError):
            error = EngineError("the engine gave up a request (was it closed?)")
        elif not isinstance(error, EngineError):  # an engine's library, out of memory perhaps
            error = EngineError(f"the engine broke: {type(error).__name__}: {error}")
        self.fail(error)

    # ------------------------------------------------------------------ policies

    def opening(self, thinks: bool) -> Node:
        """The first node of the problem's own conversation, or of the thinking one."""
        policy = self.bound.program.default
        thinks = thinks and policy.binding.thinking is not None
        node = self.openings.get(thinks)
        if node is None:
            key = thinking_key(self.root_key) if thinks else self.root_key
            conversation = Conversation(key, self.problem.text, thinking=thinks, own=True)
            node = self.openings[thinks] = opening(conversation, policy)
        return node

    def generate(
        self, settings: Settings, node: Node, request: GenerateRequest, arrived: Arrived
    ) -> Request:
        """Asks a policy to go on from a node; the same request twice is one (C62)."""
        asked = Request(self, node, settings.policy)
        name = name_of(settings, node, request)
        before = self._generations.setdefault(name, asked)
        if before is not asked and not before.same_path(node):
            name = whole_name(name, request)
            before = self._generations.setdefault(name, asked)
        before.join(arrived)
        if before is asked:
            asked.name = name
            self._submit(asked, request)
        return before

    def _submit(self, asked: Request, request: GenerateRequest) -> None:
        if self.speculator is not None:
            self.speculator.make_room(asked.policy.engine)
        if self._records and request.limits.stop_when is not None:
            self._watched.setdefault(_stream(asked.policy, request), []).append(asked)
        future = asked.future = self.ask(asked.policy, request)
        self._in_flight.add(future)
        future.add_done_callback(asked)

    def ask(self, policy: Policy, request: GenerateRequest) -> Future[Generation]:
        """A policy's reply to a request, which other strategies may have asked for."""
        if self.shared is None:
            return policy.engine.generate(request)
        return self.shared.generate(policy.engine, request)

    def deliver(self, slot: PendingRow, row: Row) -> None:
        """Makes a child's row known, once its answer can be compared without computing here."""
        later = row.node.answer_later() if row.node.done else None
        if later is None:
            self.resolve(slot, row)
        else:
            self.spawn(self._deliver(slot, row, later))

    async def _deliver(
        self, slot: PendingRow, row: Row, later: concurrent.futures.Future[Any]
    ) -> None:
        await settled(later)
        if not slot.resolved:  # nobody has given it up
            self.resolve(slot, row)
        if self.speculator is not None:
            self.speculator.poke()

    def reply_to(self, asked: Request) -> Generation | None:
        """The reply to a request of the same name on the same path, if there is one."""
        before = self._generations.get(asked.name)
        return None if before is None or not before.same_path(asked.node) else before.reply

    def watched(self, policy: Policy, request: GenerateRequest) -> list[Generation]:
        """Replies to requests that differ from this one at most in their `stop when`."""
        requests = self._watched.get(_stream(policy, request), ())
        return [asked.reply for asked in requests if asked.reply is not None]

    def drew(self, asked: Request, tokens: int) -> None:
        """Counts a generation that the program asked for."""
        self._bill.generated(asked.policy, asked.node, tokens)
        self.observer.tokens_drawn(tokens)
        if self.speculator is not None:
            self.speculator.drawn(tokens)

    # ------------------------------------------------------------------ what runs ahead

    def precede(self, settings: Settings, request: GenerateRequest, early: Early) -> bool:
        """Makes a place for a request that runs ahead; false if the program has made it."""
        name = early.name = name_of(settings, early.node, request)
        return self._generations.setdefault(name, early) is early

    def adopt(self, early: Early) -> None:
        """The program has come to a request that ran ahead: from here on it is like any other."""
        if early.reply is not None:
            self.drew(early, early.reply.drawn)
        elif early.future is not None:
            self._in_flight.add(early.future)

    def ask_again(self, early: Early, request: GenerateRequest) -> None:
        """What ran ahead was not allowed to go as far as the program asks."""
        if early.future is not None and self.landed(early.future) and self.error is None:
            self._submit(early, request)

    def renounce(self, early: Early) -> None:
        """A request that ran ahead counts as never made."""
        if self._generations.get(early.name) is early:
            del self._generations[early.name]

    # ------------------------------------------------------------------ scorers

    def score(self, engine: ScorerEngine, request: ScoreRequest) -> Future[ScoreReply]:
        """Asks a scorer."""
        ask = engine.score if self.shared is None else partial(self.shared.score, engine)
        future = _future(ask, request)
        if self._records:
            self.recorded[score_name(engine, request)] = future
        return future

    def score_together(
        self, engine: ScorerEngine, requests: Sequence[ScoreRequest]
    ) -> Future[Sequence[ScoreReply]]:
        """Asks a scorer that sees a whole pool."""
        future = _future(engine.score_together, requests)
        if self.shared is not None:
            self.shared.scored_together(future)
        if self._records:
            self.recorded[pool_name(engine, requests)] = future
        return future

    def scored(
        self, scorer: Scorer, request: ScoreRequest, reply: ScoreReply | CandidateError
    ) -> None:
        """Counts a path that the program had scored."""
        read = ScoreReply(()) if isinstance(reply, CandidateError) else reply
        self._bill.scored(scorer.name, scorer.steps, request, read)

    # ------------------------------------------------------------------ what is needless

    def drop(self, pool: Pool) -> None:
        """Gives up the children of a pool that are still on their way: they are no rows of it."""
        for slot in open_slots(pool.items):
            if slot.request is not None:
                self.whole = False
                slot.request.leave(slot)
                self.resolve(slot, None)
        self.check_idle()

    def settle(self) -> None:
        """What is still in flight cannot change the answer: nobody will wait for it (C45)."""
        self.settled, self.whole = True, False
        for request in self._generations.values():
            if request.pending:
                request.abandon()

    def unasked(self, request: Request) -> None:
        """A generation that is cancelled; asked for again, it is generated."""
        self._generations.pop(request.name, None)
        future = request.future
        if future is not None:
            self._in_flight.discard(future)
            future.cancel()


def _future(ask: Callable[..., Future[Reply]], asked: Any) -> Future[Reply]:
    """A scorer's future; one that refuses at once gives a future that has failed."""
    try:
        return ask(asked)
    except Exception as error:  # noqa: BLE001  (a scorer may be anybody's code)
        future: Future[Reply] = asyncio.get_running_loop().create_future()
        future.set_exception(_told(error))
        return future


def _told(error: BaseException) -> BaseException:
    """A scorer's error; an exception of its code, with the line, is that of the candidate."""
    if isinstance(error, EngineError | CancelledError):
        return error
    told = CandidateError(Fault.EXCEPTION, unforeseen(error))
    told.__cause__ = error
    return told


def score_name(engine: ScorerEngine, request: ScoreRequest) -> Any:
    """What equal requests for a score have in common, within a problem."""
    return id(engine), request.text, request.steps, request.known, request.answer


def pool_name(engine: ScorerEngine, requests: Sequence[ScoreRequest]) -> Any:
    """What equal requests for the scores of a pool have in common, within a problem."""
    return tuple([score_name(engine, request) for request in requests])


def _stream(policy: Policy, request: GenerateRequest) -> Any:
    """A request but for its `stop when`."""
    return policy.name, replace(request, limits=replace(request.limits, stop_when=None))
