"""One problem in flight: what waits for what, the memo of requests, the costs.

Everything here runs on one event loop. A slot that resolves calls back what waits for it through
one queue, so that long chains of row-wise operations need no recursion and no tasks.
"""

from __future__ import annotations

import asyncio
from asyncio import Future, Task
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from tts_runtime.engines.base import (
    EngineError,
    GenerateRequest,
    Generation,
    ScorerEngine,
    ScoreReply,
    ScoreRequest,
)
from tts_runtime.executor.model import Conversation, Node, Row, opening
from tts_runtime.executor.outcome import Counts, Observer, ProblemLike
from tts_runtime.executor.policies import Policy
from tts_runtime.executor.pools import (
    Content,
    Item,
    Pool,
    Slot,
    append,
    open_slots,
    rows_in,
    settled_rows,
)
from tts_runtime.streams import Key, root_key, thinking_key

if TYPE_CHECKING:
    from tts_runtime.executor.bind import Bound
    from tts_runtime.executor.settings import Settings
    from tts_runtime.executor.shared import Shared

Reply = TypeVar("Reply")

#: Work on one row: its content, or the given slot, which the work then resolves.
Work: TypeAlias = Callable[[Row, "Slot | None"], Content]


class Run:
    """The state of one problem."""

    __slots__ = (
        "_draining",
        "_generations",
        "_idle",
        "_in_flight",
        "_queue",
        "_read",
        "_tasks",
        "_trails",
        "_waits",
        "bound",
        "closed",
        "counts",
        "error",
        "fields",
        "observer",
        "openings",
        "problem",
        "replies",
        "root_key",
        "settled",
        "shared",
    )

    def __init__(
        self,
        bound: Bound,
        problem: ProblemLike,
        seed: int,
        observer: Observer,
        shared: Shared | None = None,
    ) -> None:
        self.bound = bound
        self.shared = shared
        self.problem = problem
        self.observer = observer
        self.root_key: Key = root_key(seed, problem.id)
        gold = {} if problem.answer is None else {"answer": problem.answer}
        self.fields = {**problem.fields, **gold}
        self.counts = Counts()
        self.error: BaseException | None = None
        self.closed = False
        #: The answer is known: what is in flight is not waited for.
        self.settled = False
        self.openings: dict[bool, Node] = {}
        #: Scores by request, or what waits for them: scoring's memo (C62).
        self.replies: dict[Any, Any] = {}
        self._generations: dict[Any, Request] = {}
        self._trails: dict[Any, int] = {}
        self._read: set[Any] = set()
        self._queue: deque[tuple[Sequence[Callable[[Any], None]], Content]] = deque()
        self._draining = False
        self._in_flight: set[Future[Any]] = set()
        self._tasks: set[Task[None]] = set()
        self._waits: set[Future[None]] = set()
        self._idle: Future[None] | None = None

    # ------------------------------------------------------------------ slots

    def resolve(self, slot: Slot, content: Content) -> None:
        """Makes a slot's content known and calls back what waits for it."""
        if type(content) is list and len(content) == 1:
            # One child on its way: waiting for it costs less than a place inside a place, which
            # everything behind would have to look into.
            content = content[0]
        if type(content) is Slot:
            if not content.resolved:
                content.then(partial(self.resolve, slot))
                return
            content = content.content
        slot.content = content
        slot.resolved = True
        waiters = slot.waiters
        if waiters is not None:
            slot.waiters = None
            self._queue.append((waiters, content))
            if not self._draining:
                self._drain()

    def later(self, callbacks: list[Callable[[None], None]]) -> None:
        """Calls back in the same queue, after what is waiting there."""
        if callbacks:
            self._queue.append((callbacks, None))
            if not self._draining:
                self._drain()

    def _drain(self) -> None:
        self._draining = True
        queue = self._queue
        try:
            while queue:
                waiters, content = queue.popleft()
                for waiter in waiters:
                    waiter(content)
        except Exception as error:  # noqa: BLE001  (kept: `execute` raises it or reports it)
            self.fail(error)
        finally:
            self._draining = False

    def map(self, pool: Pool, work: Work, *, grows: bool = False) -> Pool:
        """Every row's content in its place; rows that are not known yet get theirs later.

        `grows`: the work may make several rows of one.
        """
        items: list[Item] = []
        pending = False
        for item in pool.items:
            content = self._applied(item, work, None, grows)
            if type(content) is Row:
                items.append(content)
            elif type(content) is list:
                items.extend(content)
                pending = True
            elif content is not None:
                assert isinstance(content, Slot)
                items.append(content)
                pending = True
        return Pool(items, pending, pool.apart)

    def _applied(self, content: Content, work: Work, slot: Slot | None, grows: bool) -> Content:
        """The content after `work`; `slot`, if given, is where it will go."""
        if type(content) is Row:
            return work(content, slot)
        if content is None:
            return None
        if type(content) is Slot:
            if content.resolved:
                return self._applied(content.content, work, slot, grows)
            target = Slot(b"", 0 if grows else content.most) if slot is None else slot
            content.then(partial(self._mapped, target, work, grows))
            return target
        assert isinstance(content, list)
        found: list[Item] = []
        for item in content:
            append(found, self._applied(item, work, None, grows))
        return found

    def _mapped(self, slot: Slot, work: Work, grows: bool, content: Content) -> None:
        made = self._applied(content, work, slot, grows)
        if made is not slot:
            self.resolve(slot, made)

    # ------------------------------------------------------------------ waiting

    async def rows(self, pool: Pool) -> list[Row]:
        """All rows of a pool, once they are known."""
        if pool.pending:
            settling = _Settling(pool.items)
            if settling.remaining:
                await self.wait(settling.future)
            pool.items = list(rows_in(pool.items))
            pool.pending = False
        return pool.items  # type: ignore[return-value]

    async def leading(self, pool: Pool, many: int) -> list[Row]:
        """The first rows of a pool, once they are known, whatever becomes of those behind (C58)."""
        while True:
            rows, pending = settled_rows(pool.items, many)
            if pending is None or len(rows) >= many:
                return rows[:many]
            known: Future[None] = asyncio.get_running_loop().create_future()
            pending.then(partial(_done, known))
            await self.wait(known)

    def drop(self, pool: Pool) -> None:
        """Gives up the children of a pool that are still on their way: they are no rows of it."""
        for slot in open_slots(pool.items):
            if slot.request is not None:
                slot.request.leave(slot)
                self.resolve(slot, None)
        self._check_idle()

    async def wait(self, future: Future[None]) -> None:
        """Waits for a future of this run; raises what made the run fail meanwhile."""
        if self.error is not None:
            raise self.error
        self._waits.add(future)
        try:
            await future
        finally:
            self._waits.discard(future)

    async def finished(self) -> None:
        """Waits until nothing is in flight any more."""
        if self.error is not None:
            raise self.error
        if self._in_flight or self._tasks:
            self._idle = asyncio.get_running_loop().create_future()
            await self.wait(self._idle)

    def fail(self, error: BaseException) -> None:
        """Ends the run: everything that waits is woken with the error."""
        if self.error is None:
            self.error = error
        for future in self._waits:
            if not future.done():
                future.set_exception(self.error)

    async def close(self) -> None:
        """Cancels what is in flight and waits for its end."""
        self.closed = True
        for future in self._in_flight:
            future.cancel()
        self._in_flight.clear()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.gather(*tasks, return_exceptions=True)

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
        self._check_idle()

    def watch(self, future: Future[Reply], arrived: Callable[[Reply], None]) -> None:
        """Calls `arrived` with an engine's reply; an engine's failure is the run's."""
        self._in_flight.add(future)
        future.add_done_callback(partial(self._arrived, arrived))

    def forget(self, future: Future[Any]) -> None:
        """Cancels a request whose answer nobody needs any more."""
        self._in_flight.discard(future)
        future.cancel()

    def _arrived(self, arrived: Callable[[Reply], None], future: Future[Reply]) -> None:
        wanted = future in self._in_flight
        self._in_flight.discard(future)
        if future.cancelled():
            if wanted and not self.closed:
                self.fail(EngineError("the engine gave up a request (was it closed?)"))
            return
        error = future.exception()
        if self.closed or self.error is not None or not wanted:
            return
        if error is not None:
            if not isinstance(error, EngineError):  # an engine's library, out of memory perhaps
                error = EngineError(f"the engine broke: {type(error).__name__}: {error}")
            self.fail(error)
            return
        try:
            arrived(future.result())
        except Exception as problem:  # noqa: BLE001  (kept: `execute` raises it or reports it)
            self.fail(problem)
        self._check_idle()

    def _check_idle(self) -> None:
        idle = self._idle
        if idle is not None and not self._in_flight and not self._tasks and not idle.done():
            idle.set_result(None)

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
        self,
        settings: Settings,
        node: Node,
        request: GenerateRequest,
        arrived: Callable[[Generation], None],
    ) -> Request:
        """Asks a policy to go on from a node; the same request twice is one (C62)."""
        policy = settings.policy
        limits = request.limits
        asked = Request(self, arrived)
        name: object = object()  # what looks at every token is nobody else's
        if limits.stop_when is None:
            name = (
                settings.signature,
                limits.max_tokens,
                node.trail(policy, request, self._trails),
                # Temperature 0 ignores the key, so greedy children are one request (C15).
                request.key if request.sampling.temperature else b"",
                request.first_rank,
            )
        before = self._generations.setdefault(name, asked)
        if before is not asked:
            before.join(arrived)
            return before
        asked.name = name
        self.counts.policy_calls += 1
        self.counts.prompt_tokens += self._unread(policy, node)
        engine = policy.engine
        shared = self.shared
        asked.future = (
            engine.generate(request) if shared is None else shared.generate(engine, request)
        )
        self.watch(asked.future, asked)
        return asked

    def score(self, engine: ScorerEngine, request: ScoreRequest) -> Future[ScoreReply]:
        """Asks a scorer."""
        self.counts.scorer_calls += 1
        return engine.score(request) if self.shared is None else self.shared.score(engine, request)

    def score_together(
        self, engine: ScorerEngine, requests: Sequence[ScoreRequest]
    ) -> Future[Sequence[ScoreReply]]:
        """Asks a scorer that sees a whole pool."""
        self.counts.scorer_calls += len(requests)
        future = engine.score_together(requests)
        if self.shared is not None:
            self.shared.scored_together(future, len(requests))
        return future

    def settle(self) -> None:
        """What is still in flight cannot change the answer: nobody will wait for it (C45)."""
        self.settled = True
        for request in self._generations.values():
            if request.future is not None and not request.future.done():
                self.counts.cancelled_calls += 1
                request.abandon()

    def unasked(self, request: Request) -> None:
        """A generation that is cancelled; asked for again, it is generated."""
        self.counts.cancelled_calls += 1
        self._generations.pop(request.name, None)
        if request.future is not None:
            self.forget(request.future)

    def _unread(self, policy: Policy, node: Node) -> int:
        """Prompt and path tokens that the policy has neither read nor drawn in this problem."""
        read = self._read
        count = 0
        place: Node | None = node
        while place is not None:
            mark = (policy.name, place.place)
            if mark in read:
                return count
            read.add(mark)
            if not place.sampled or place.policy is not policy:
                count += len(place.ids)
            place = place.parent
        # A conversation has several first nodes when calls run on lanes of their own.
        prompt = (policy.name, node.conversation.key)
        if prompt not in read:
            read.add(prompt)
            count += len(node.conversation.prompt(policy))
        return count


class Request:
    """A request for a generation, and who waits for the reply."""

    __slots__ = ("_reply", "_run", "_waiting", "future", "name")

    def __init__(self, run: Run, arrived: Callable[[Generation], None]) -> None:
        self.name: Any = None
        self.future: Future[Generation] | None = None
        self._run = run
        self._reply: Generation | None = None
        self._waiting = [arrived]

    def abandon(self) -> None:
        """Nobody waits any more, whatever comes."""
        self._waiting = []

    def leave(self, slot: Slot) -> None:
        """The child in this place is not waited for; nobody else: the request is cancelled."""
        self._waiting = [each for each in self._waiting if getattr(each, "slot", None) is not slot]
        if not self._waiting and self._reply is None:
            self._run.unasked(self)

    def join(self, arrived: Callable[[Generation], None]) -> None:
        """One more who asks for the same."""
        if self._reply is None:
            self._waiting.append(arrived)
        else:
            arrived(self._reply)

    def __call__(self, generation: Generation) -> None:
        run = self._run
        run.counts.policy_tokens += generation.drawn
        run.observer.tokens_drawn(generation.drawn)
        self._reply = generation
        waiting, self._waiting = self._waiting, []
        for arrived in waiting:
            arrived(generation)


def _done(future: Future[None], _content: Content) -> None:
    if not future.done():
        future.set_result(None)


class _Settling:
    """Counts the slots of a pool that are not known yet."""

    __slots__ = ("future", "remaining")

    def __init__(self, items: Sequence[Item]) -> None:
        self.remaining = 0
        self.future: Future[None] = asyncio.get_running_loop().create_future()
        self._add(items)

    def _add(self, items: Sequence[Item]) -> None:
        for item in items:
            if type(item) is Slot:
                if not item.resolved:
                    self.remaining += 1
                    item.then(self._arrived)
                elif isinstance(item.content, list):
                    self._add(item.content)
                elif isinstance(item.content, Slot):
                    self._add((item.content,))

    def _arrived(self, content: Content) -> None:
        if isinstance(content, list):
            self._add(content)
        self.remaining -= 1
        if not self.remaining and not self.future.done():
            self.future.set_result(None)
