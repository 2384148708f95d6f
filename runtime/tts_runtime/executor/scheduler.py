"""Rows as they become known: what waits for them, and the numbers that their children get.

Row-wise operations map the rows of a pool one by one, so that a candidate continues while others
are still decoding; everything else waits for `Scheduler.rows`. A pending row that resolves calls
back its waiters through one queue, so that long chains of row-wise operations need no recursion and
no tasks.

Children are numbered in program order, whatever the order in which rows become known (C2, C8).
Every execution of an operation that numbers children has a sequence number in its scope. It may
number a node made at `created` at once, unless an operation between the two has rows that are not
known yet: these might lie on the same node, and come first.
"""

from __future__ import annotations

import asyncio
from asyncio import Future
from collections import deque
from collections.abc import Callable, Sequence, Sized
from itertools import count
from typing import Final, TypeAlias

from tts_runtime.executor.pools import (
    Arrivals,
    Content,
    Item,
    PendingRow,
    Pool,
    Waiter,
    append,
    distinct,
    pending_rows,
    rows_in,
    settled_rows,
)
from tts_runtime.executor.rows import Row

#: Turns of the event loop in which something usually happens; seconds to sleep if nothing does.
PATIENCE: Final = 100
PAUSE: Final = 0.001

#: Work on one row: its content, or the given pending row, which the work then resolves.
RowWork: TypeAlias = Callable[[Row, "PendingRow | None"], Content]


class Scheduler:
    """The pending rows of one problem and the tasks that wait for them."""

    __slots__ = (
        "_draining",
        "_queue",
        "_waits",
        "calls_made",
        "error",
        "has_gaps",
        "lacking",
        "turns",
        "unrecorded",
    )

    def __init__(self) -> None:
        self.error: BaseException | None = None
        #: Some row was known to be none before its pool was made, and was left out: when that is
        #: known may depend on timing.
        self.has_gaps = False
        #: Numbers the operations that are executed.
        self.turns = count(1)
        #: Numbers the strategy calls.
        self.calls_made = count(1)
        self._queue: deque[tuple[Waiter | list[Waiter], Content]] = deque()
        self._draining = False
        self._waits: set[Future[None]] = set()
        #: What a record does not have, by request: fails the run once nothing else can happen.
        self.unrecorded: dict[object, BaseException] = {}
        #: `fail_if_blocked` runs.
        self.lacking = False

    def resolve(self, slot: PendingRow, content: Content) -> None:
        """Makes a pending row's content known and calls back what waits for it."""
        if type(content) is list and len(content) == 1:
            # One pending child: waiting for it costs less than a pending row inside a pending row,
            # which everything after would have to look into.
            content = content[0]
        if type(content) is PendingRow:
            if not content.resolved:
                content.then(self._resolved, slot)
                return
            content = content.content
        slot.content = content
        slot.resolved = True
        waiters = slot.waiters
        if waiters is not None:
            slot.waiters = None
            if self._draining:
                self._queue.append((waiters, content))
            else:
                self._drain(waiters, content)

    def _resolved(self, content: Content, slot: PendingRow, _about: None) -> None:
        self.resolve(slot, content)

    def call_back(self, callbacks: list[Waiter]) -> None:
        """Calls back through the same queue, after what is queued there."""
        if self._draining:
            self._queue.append((callbacks, None))
        else:
            self._drain(callbacks, None)

    def _drain(self, waiters: Waiter | list[Waiter], content: Content) -> None:
        self._draining = True
        queue = self._queue
        try:
            while True:
                each = waiters if isinstance(waiters, list) else (waiters,)
                for callback, target, about in each:
                    callback(content, target, about)
                if not queue:
                    break
                waiters, content = queue.popleft()
        except Exception as error:  # noqa: BLE001  (stored: `execute` raises or reports it)
            self.fail(error)
        finally:
            self._draining = False

    def map(self, pool: Pool, work: RowWork, *, grows: bool = False) -> Pool:
        """Applies `work` to every row, to pending ones as soon as they are known.

        `grows`: the work may make several rows of one.
        """
        items: list[Item] = []
        pending = False
        mapped, about = self._mapped, (work, grows)
        for item in pool.items:
            if type(item) is PendingRow and not item.resolved:
                target = PendingRow(b"", 0 if grows else item.most)
                item.then(mapped, target, about)
                items.append(target)
                pending = True
                continue
            content = self._applied(item, work, None, grows)
            if type(content) is Row:
                items.append(content)
            elif type(content) is list:
                items.extend(content)
                pending = True
            elif content is not None:
                assert isinstance(content, PendingRow)
                items.append(content)
                pending = True
            else:
                self.has_gaps = True
        demand = pool.demand
        if demand is not None and (grows or len(items) != len(pool.items)):
            demand.reach(None)
            demand = None
        return Pool(items, pending, pool.apart, demand, 0 if grows else pool.most)

    def _applied(
        self, content: Content, work: RowWork, slot: PendingRow | None, grows: bool
    ) -> Content:
        """The content after `work`; `slot`, if given, receives it."""
        if type(content) is Row:
            return work(content, slot)
        if content is None:
            return None
        if type(content) is PendingRow:
            if content.resolved:
                return self._applied(content.content, work, slot, grows)
            target = PendingRow(b"", 0 if grows else content.most) if slot is None else slot
            content.then(self._mapped, target, (work, grows))
            return target
        assert isinstance(content, list)
        found: list[Item] = []
        for item in content:
            made = self._applied(item, work, None, grows)
            self.has_gaps |= made is None
            append(found, made)
        return found

    def _mapped(self, content: Content, slot: PendingRow, about: tuple[RowWork, bool]) -> None:
        work, grows = about
        if type(content) is Row:
            made = work(content, slot)
        else:
            made = self._applied(content, work, slot, grows)
        if made is not slot:
            self.resolve(slot, made)

    async def rows(self, pool: Pool) -> list[Row]:
        """All rows of a pool, once they are known."""
        if pool.pending:
            if pool.demand is not None:
                pool.demand.reach(None)
            settling = _Settling(pool.items)
            if settling.waiting:
                await self.wait(settling.future)
            pool.items = rows_in(pool.items)  # type: ignore[assignment]
            pool.pending = False
        return pool.items  # type: ignore[return-value]

    async def some(self, pool: Pool, test: Callable[[Row], bool]) -> bool:
        """Whether a row passes a test, as soon as one that does is known."""
        search = _Search(pool.items, test)
        if not search.future.done():
            await self.wait(search.future)
        return search.found

    async def leading(self, pool: Pool, many: int) -> list[Row]:
        """The first rows of a pool, as soon as they are known, without the rest (C58)."""
        while True:
            rows, pending = settled_rows(pool.items, many)
            if pending is None or len(rows) >= many:
                return rows[:many]
            known: Future[None] = asyncio.get_running_loop().create_future()
            pending.then(_done, known)
            await self.wait(known)

    async def known(self, items: Sequence[Item]) -> None:
        """Waits for all rows of these places."""
        while (pending := next(pending_rows(items), None)) is not None:
            future: Future[None] = asyncio.get_running_loop().create_future()
            pending.then(_done, future)
            await self.wait(future)

    async def wait(self, future: Future[None]) -> None:
        """Waits for a future of this run; raises if the run fails meanwhile."""
        if self.error is not None:
            raise self.error
        self._waits.add(future)
        try:
            await future
        finally:
            self._waits.discard(future)

    async def yield_to_others(self) -> None:
        """Lets the event loop run everything else, signals and cancellation included."""
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error

    async def fail_if_blocked(self, requests: Sized, tasks: Sized) -> None:
        """Ends the run once it can do nothing without what is not recorded, unless it gives it up.

        `requests`: in flight; `tasks`: what may still make something known, this one among them.
        """
        quiet = 0
        while self.unrecorded and quiet < PATIENCE:
            active = bool(requests) or self.active(tasks)
            await asyncio.sleep(PAUSE if active else 0)
            quiet = 0 if active else quiet + 1
        self.lacking = False
        for error in self.unrecorded.values():
            self.fail(error)

    def active(self, tasks: Sized) -> bool:
        """Whether the program or a task of it can continue: each waits for one thing at a time."""
        waiting = sum([not future.done() for future in self._waits])
        return waiting <= len(tasks) - self.lacking  # `fail_if_blocked` waits for the others

    def fail(self, error: BaseException) -> None:
        """Ends the run: everything that waits is woken with the error."""
        if self.error is None:
            self.error = error
        for future in self._waits:
            if not future.done():
                future.set_exception(self.error)


def _done(_content: Content, future: Future[None], _about: None) -> None:
    if not future.done():
        future.set_result(None)


class _Settling(Arrivals):
    """Waits for all rows."""

    __slots__ = ("future",)

    def __init__(self, items: Sequence[Item]) -> None:
        self.future: Future[None] = asyncio.get_running_loop().create_future()
        super().__init__(items)

    def over(self) -> None:
        _done(None, self.future, None)


class _Search(_Settling):
    """Waits for a row that passes a test."""

    __slots__ = ("_test", "found")

    def __init__(self, items: Sequence[Item], test: Callable[[Row], bool]) -> None:
        self.found = False
        self._test = test
        super().__init__(items)

    def arrived(self, row: Row) -> None:
        if not self.found and self._test(row):
            self.found = True
            self.over()


#: Numbers a row's children and gives them, or the given pending row, which they then resolve.
NumberChildren: TypeAlias = Callable[[Row, "PendingRow | None"], Content]


class NumberingBarrier:
    """The operations of one scope that have not numbered all their rows yet."""

    __slots__ = ("_open", "_sequence", "_waiting", "_watchers", "strict")

    def __init__(self) -> None:
        self._sequence = 0
        self._open: dict[int, int] = {}
        self._waiting: list[tuple[int, int, Waiter]] = []
        self._watchers: list[tuple[int, Future[None]]] = []
        #: Rows may lie on nodes made in calls: wait for all earlier operations.
        self.strict = False

    def enter(self) -> int:
        """The sequence number of one more operation."""
        self._sequence += 1
        return self._sequence

    def ready(self, created: int, sequence: int) -> bool:
        """Whether operation `sequence` may number a node made at `created` now."""
        if created + 1 >= sequence and not self.strict:  # there is none between
            return True
        lowest = 0 if self.strict else created
        for earlier in self._open:  # noqa: SIM110  (asked for every row: `any` is slower)
            if lowest < earlier < sequence:
                return False
        return True

    def hold(self, sequence: int, rows: int = 1) -> None:
        """More rows of this operation wait to be numbered."""
        if rows:
            self._open[sequence] = self._open.get(sequence, 0) + rows

    def wait(self, created: int, sequence: int, numbered: Waiter) -> None:
        """Calls `numbered` as soon as the held row may be numbered."""
        self._waiting.append((created, sequence, numbered))

    def release(self, sequence: int) -> list[Waiter]:
        """A row has been numbered; gives what may be numbered now."""
        left = self._open[sequence] - 1
        if left:
            self._open[sequence] = left
            return []
        del self._open[sequence]
        woken: list[Waiter] = []
        if self._waiting:
            waiting, self._waiting = self._waiting, []
            for created, waiter, numbered in waiting:
                if self.ready(created, waiter):
                    woken.append(numbered)
                else:
                    self._waiting.append((created, waiter, numbered))
        for before, future in self._watchers:
            if not future.done() and self.clear(before):
                future.set_result(None)
        self._watchers = [pair for pair in self._watchers if not pair[1].done()]
        return woken

    def clear(self, before: int) -> bool:
        """Whether every operation before this one has numbered all its rows."""
        return not any(earlier < before for earlier in self._open)

    def cleared(self, before: int) -> Future[None]:
        """Done as soon as `clear(before)`."""
        future: Future[None] = asyncio.get_running_loop().create_future()
        if self.clear(before):
            future.set_result(None)
        else:
            self._watchers.append((before, future))
        return future


class OrderedNumbering:
    """One execution of an operation that numbers children; takes the next sequence number.

    Where no two rows can share a stream (`Pool.apart`), rows are numbered as they become known;
    otherwise the whole pool is waited for and numbered in row order. The barrier of the scope keeps
    operations in program order.
    """

    __slots__ = ("_barrier", "_make", "_most", "_run", "sequence")

    def __init__(self, run: Scheduler, barrier: NumberingBarrier) -> None:
        self._run = run
        self._barrier = barrier
        self.sequence = barrier.enter()
        self._make: NumberChildren
        self._most = 0

    async def turn(self) -> None:
        """Waits until every earlier operation has numbered all its rows."""
        if not self._barrier.clear(self.sequence):
            await self._run.wait(self._barrier.cleared(self.sequence))

    async def apply(
        self, pool: Pool, make: NumberChildren, *, in_order: bool = False, most: int = 0
    ) -> Pool:
        """Replaces every row by its children; `in_order`: `make` must see rows in pool order.

        `most`: one row gives at most this many; 0: unknown.
        """
        if not in_order and pool.apart and (pool.pending or not self._barrier.clear(self.sequence)):
            self._make = make
            self._most = most
            items: list[Item] = []
            waiting, known = 0, self._known
            for item in pool.items:
                if type(item) is PendingRow and not item.resolved:
                    waiting += 1
                    slot = PendingRow(b"", item.most * most)
                    item.then(known, slot)
                    items.append(slot)
                    continue
                content = self._streamed(item, None)
                self._run.has_gaps |= content is None
                append(items, content)
            self._barrier.hold(self.sequence, waiting)
            return Pool(items, True, True, most=pool.most * most)
        rows = await self._run.rows(pool)
        await self.turn()
        made: list[Item] = []
        for row in rows:
            append(made, make(row, None))
        return Pool(
            made, any(type(item) is PendingRow for item in made), pool.apart or distinct(made)
        )

    def _streamed(self, content: Content, place: PendingRow | None) -> Content:
        """The children, or the pending row that they will resolve: `place`, if given."""
        barrier, sequence = self._barrier, self.sequence
        if type(content) is Row:
            created = content.candidate.created
            if barrier.ready(created, sequence):
                return self._make(content, place)
            barrier.hold(sequence)
            slot = PendingRow(b"", self._most) if place is None else place
            barrier.wait(created, sequence, (self._turn_comes, slot, content))
            return slot
        if type(content) is PendingRow:
            if content.resolved:
                return self._streamed(content.content, place)
            barrier.hold(sequence)
            slot = PendingRow(b"", content.most * self._most) if place is None else place
            content.then(self._known, slot)
            return slot
        if content is None:
            return None
        assert isinstance(content, list)
        items: list[Item] = []
        for item in content:
            append(items, self._streamed(item, None))
        return items

    def _known(self, content: Content, slot: PendingRow, _about: None) -> None:
        if type(content) is Row and self._barrier.ready(content.candidate.created, self.sequence):
            made = self._make(content, slot)
        else:
            made = self._streamed(content, slot)
        self._made(slot, made)

    def _turn_comes(self, _: None, slot: PendingRow, row: Row) -> None:
        self._made(slot, self._make(row, slot))

    def _made(self, slot: PendingRow, content: Content) -> None:
        if content is not slot:
            self._run.resolve(slot, content)
        woken = self._barrier.release(self.sequence)
        if woken:
            self._run.call_back(woken)
