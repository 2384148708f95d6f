"""Pools in flight and what waits for them: pending rows, the queue of callbacks, scheduling.

A pool is an ordered list of rows, some of which are still being made: pending rows, each of which
resolves to a row, to nothing, or to several rows. Row-wise operations map them one by one, so that
a candidate continues while others are still decoding; everything else waits for
`Scheduler.rows`. A pending row that resolves calls back its waiters through one queue, so that
long chains of row-wise operations need no recursion and no tasks.
"""

from __future__ import annotations

import asyncio
from asyncio import Future
from collections import deque
from collections.abc import Callable, Iterator, Sequence, Sized
from itertools import count
from typing import Any, Final, Protocol, TypeAlias

from tts_runtime.executor.rows import Row
from tts_runtime.streams import Key

#: Turns of the event loop in which something usually happens; seconds to sleep if nothing does.
PATIENCE: Final = 100
PAUSE: Final = 0.001

#: What a pending row resolves to.
Content: TypeAlias = "Row | PendingRow | list[Row | PendingRow] | None"
Item: TypeAlias = "Row | PendingRow"


class PendingReply(Protocol):
    """What a pending row waits for: a request to an engine."""

    def leave(self, row: PendingRow, /) -> None:
        """The row is not waited for any more."""


#: A callback, called with what is known, and the two other arguments that it is called with.
Waiter: TypeAlias = "tuple[Callable[[Any, Any, Any], None], Any, Any]"


class PendingRow:
    """A place in a pool whose content is not known yet.

    Args:
        key: Stream key of a child that is being generated, which is known beforehand.
        most: It resolves to at most this many rows; 0: unknown.

    `source`: the request that it waits for, if any.
    """

    __slots__ = ("content", "key", "most", "resolved", "source", "waiters")

    def __init__(self, key: Key = b"", most: int = 0) -> None:
        self.key = key
        self.most = most
        self.source: PendingReply | None = None
        self.resolved = False
        self.content: Content = None
        #: Mostly one.
        self.waiters: Waiter | list[Waiter] | None = None

    def then(
        self, callback: Callable[[Content, Any, Any], None], target: Any = None, about: Any = None
    ) -> None:
        """Calls back once, when the content is known; not for resolved rows.

        Called with `target` and `about` after the content: a closure for each row would cost more.
        """
        waiter, before = (callback, target, about), self.waiters
        if before is None:
            self.waiters = waiter
        elif type(before) is list:
            before.append(waiter)
        else:
            self.waiters = [before, waiter]  # type: ignore[list-item]


#: Makes a request, for a path of fewer tokens than a number, if one is given.
Ask: TypeAlias = "Callable[[int | None], PendingReply | None]"


class Demand:
    """Requests for the pending rows of one pool, which are made only as far as they are needed.

    They are those of a pool that only one vote or selection reads (`EarlyExits.sources`). A request
    may be limited to a number of tokens of the path (C74).
    """

    __slots__ = ("_later", "_sealed")

    def __init__(self) -> None:
        #: What waits, the next one last: its place in the pool, the row, what makes its request.
        self._later: list[tuple[int, PendingRow, Ask]] = []
        self._sealed = False

    def add(self, row: PendingRow, request: Ask) -> None:
        """A row whose request can wait, until the pool is there."""
        if self._sealed:
            row.source = request(None)
        else:
            self._later.append((-1, row, request))

    def seal(self, items: Sequence[Item]) -> bool:
        """Takes the places from the pool; false, with all requests made, if they do not show."""
        self._sealed = True
        places = {id(item): place for place, item in enumerate(items) if type(item) is PendingRow}
        later = [(places.pop(id(row), -1), row, request) for _, row, request in self._later]
        self._later = sorted(later, key=lambda each: -each[0])
        if not places and all(place >= 0 for place, _, _ in later):
            return True
        self.reach(None)
        return False

    def reach(self, places: int | None, tokens: int | None = None) -> None:
        """Makes the requests of the first `places` rows of the pool; of all without a number.

        Rows that come to have `tokens` tokens are lost: they become nothing.
        """
        while self._later and (places is None or self._later[-1][0] < places):
            _, row, request = self._later.pop()
            if not row.resolved:  # nobody has given it up
                row.source = request(tokens)


class Pool:
    """An ordered table of rows.

    `pending`: some items may be pending rows. `apart`: no two rows, now or later, share a stream
    key, so that the children of different items can be numbered in any order. `demand`: makes the
    requests of pending rows; its places are those of `items`. `most`: it has at most this many
    rows; 0: unknown.
    """

    __slots__ = ("_apart", "demand", "items", "most", "pending")

    def __init__(
        self,
        items: Sequence[Item],
        pending: bool = False,
        apart: bool | None = None,
        demand: Demand | None = None,
        most: int = 0,
    ) -> None:
        self.items: list[Item] = list(items)
        self.pending = pending
        self._apart = apart
        self.demand = demand
        self.most = most

    @property
    def single(self) -> bool:
        """Whether it has at most one row, now and later."""
        if len(self.items) != 1:
            return not self.items
        [item] = self.items
        return type(item) is Row or item.most == 1  # type: ignore[union-attr]

    @property
    def apart(self) -> bool:
        """See the class; computed from the rows where they are all known."""
        if self._apart is None:
            self._apart = not self.pending and distinct(self.items)
        return self._apart


def distinct(items: Sequence[Item]) -> bool:
    """Whether all rows, pending ones included, have different keys."""
    return len({item.node.key if type(item) is Row else item.key for item in items}) == len(items)  # type: ignore[union-attr]


def append(items: list[Item], content: Content) -> None:
    """Appends what a pending row has resolved to."""
    if type(content) is list:
        items.extend(content)
    elif content is not None:
        items.append(content)  # type: ignore[arg-type]


def rows_in(items: Sequence[Item]) -> list[Row]:
    """The rows that are known, in order."""
    found: list[Row] = []
    for item in items:
        content: Content = item
        if type(item) is PendingRow:
            content = item.content
        if type(content) is Row:
            found.append(content)
        elif type(content) is PendingRow:
            found += rows_in((content,))
        elif content is not None:
            assert isinstance(content, list)
            found += rows_in(content)
    return found


def pending_rows(items: Sequence[Item]) -> Iterator[PendingRow]:
    """The rows that are not known yet, in order."""
    for item in items:
        if type(item) is PendingRow:
            content = item.content
            if not item.resolved:
                yield item
            elif type(content) is list:
                yield from pending_rows(content)
            elif type(content) is PendingRow:
                yield from pending_rows((content,))


def settled_rows(
    items: Sequence[Item], many: int | None = None
) -> tuple[list[Row], PendingRow | None]:
    """The rows before the first one that is not known yet (at least `many`), and that one."""
    rows: list[Row] = []
    waiting = list(reversed(items))
    while waiting and (many is None or len(rows) < many):
        item = waiting.pop()
        if type(item) is Row:
            rows.append(item)
            continue
        assert isinstance(item, PendingRow)
        if not item.resolved:
            return rows, item
        content = item.content
        if isinstance(content, list):
            waiting.extend(reversed(content))
        elif content is not None:
            waiting.append(content)
    return rows, None


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
        #: A record did not have something: it is waited for as long as anything else can happen.
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
            if settling.remaining:
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

    async def fail_if_blocked(self, error: BaseException, requests: Sized, tasks: Sized) -> None:
        """Ends the run once it can do nothing without what it was refused.

        `requests`: in flight; `tasks`: what may still make something known, this one among them.
        """
        quiet = 0
        while quiet < PATIENCE:
            busy = len(requests) + len(tasks) > 1
            await asyncio.sleep(PAUSE if busy else 0)
            waiting = any(not future.done() for future in self._waits)
            quiet = quiet + 1 if waiting and not busy else 0
        self.fail(error)

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


class _Settling:
    """Counts the rows of a pool that are not known yet."""

    __slots__ = ("future", "remaining")

    def __init__(self, items: Sequence[Item]) -> None:
        self.remaining = 0
        self.future: Future[None] = asyncio.get_running_loop().create_future()
        self._add(items)

    def _add(self, items: Sequence[Item]) -> None:
        for item in items:
            if type(item) is PendingRow:
                if not item.resolved:
                    self.remaining += 1
                    item.then(self._arrived)
                elif isinstance(item.content, list):
                    self._add(item.content)
                elif isinstance(item.content, PendingRow):
                    self._add((item.content,))

    def _arrived(self, content: Content, _target: None, _about: None) -> None:
        if isinstance(content, list):
            self._add(content)
        self.remaining -= 1
        if not self.remaining and not self.future.done():
            self.future.set_result(None)


class _Search:
    """Looks at the rows of a pool as they become known, until one passes a test."""

    __slots__ = ("_remaining", "_test", "found", "future")

    def __init__(self, items: Sequence[Item], test: Callable[[Row], bool]) -> None:
        self.found = False
        self.future: Future[None] = asyncio.get_running_loop().create_future()
        self._test = test
        self._remaining = 1
        self._arrived(list(items), None, None)

    def _look(self, content: Content) -> None:
        if type(content) is Row:
            self.found = self.found or self._test(content)
        elif type(content) is PendingRow:
            if content.resolved:
                self._look(content.content)
            else:
                self._remaining += 1
                content.then(self._arrived)
        elif isinstance(content, list):
            for item in content:
                if self.found:
                    return
                self._look(item)

    def _arrived(self, content: Content, _target: None, _about: None) -> None:
        self._remaining -= 1
        if not self.found:
            self._look(content)
        if (self.found or not self._remaining) and not self.future.done():
            self.future.set_result(None)
