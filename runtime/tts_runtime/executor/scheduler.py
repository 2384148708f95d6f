"""What waits for what: slots, the queue of callbacks, pools whose rows are still on their way.

A slot that resolves calls back what waits for it through one queue, so that long chains of row-wise
operations need no recursion and no tasks.
"""

from __future__ import annotations

import asyncio
from asyncio import Future
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from itertools import count
from typing import Any, TypeAlias

from tts_runtime.executor.model import Row
from tts_runtime.executor.pools import (
    Content,
    Item,
    PendingRow,
    Pool,
    append,
    rows_in,
    settled_rows,
)

#: Work on one row: its content, or the given slot, which the work then resolves.
Work: TypeAlias = Callable[[Row, "PendingRow | None"], Content]

#: What waits for a slot's content; or, with nothing to be told, for its turn in the queue.
_Callbacks: TypeAlias = "Sequence[Callable[[Any], None]]"


class Scheduler:
    """The slots of one problem and the tasks that wait for them."""

    __slots__ = ("_draining", "_queue", "_waits", "dropped", "error", "turns")

    def __init__(self) -> None:
        self.error: BaseException | None = None
        #: A place that was known to hold nothing was left out of a pool: when that is known may
        #: depend on timing.
        self.dropped = False
        #: Counts the operations that have been executed.
        self.turns = count(1)
        self._queue: deque[tuple[_Callbacks, Content]] = deque()
        self._draining = False
        self._waits: set[Future[None]] = set()

    def resolve(self, slot: PendingRow, content: Content) -> None:
        """Makes a slot's content known and calls back what waits for it."""
        if type(content) is list and len(content) == 1:
            # One child on its way: waiting for it costs less than a place inside a place, which
            # everything behind would have to look into.
            content = content[0]
        if type(content) is PendingRow:
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
                assert isinstance(content, PendingRow)
                items.append(content)
                pending = True
            else:
                self.dropped = True
        return Pool(items, pending, pool.apart)

    def _applied(
        self, content: Content, work: Work, slot: PendingRow | None, grows: bool
    ) -> Content:
        """The content after `work`; `slot`, if given, is where it will go."""
        if type(content) is Row:
            return work(content, slot)
        if content is None:
            return None
        if type(content) is PendingRow:
            if content.resolved:
                return self._applied(content.content, work, slot, grows)
            target = PendingRow(b"", 0 if grows else content.most) if slot is None else slot
            content.then(partial(self._mapped, target, work, grows))
            return target
        assert isinstance(content, list)
        found: list[Item] = []
        for item in content:
            made = self._applied(item, work, None, grows)
            self.dropped |= made is None
            append(found, made)
        return found

    def _mapped(self, slot: PendingRow, work: Work, grows: bool, content: Content) -> None:
        made = self._applied(content, work, slot, grows)
        if made is not slot:
            self.resolve(slot, made)

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

    async def wait(self, future: Future[None]) -> None:
        """Waits for a future of this run; raises what made the run fail meanwhile."""
        if self.error is not None:
            raise self.error
        self._waits.add(future)
        try:
            await future
        finally:
            self._waits.discard(future)

    async def breathe(self) -> None:
        """Lets everything else on the event loop have its turn, signals and cancelling included."""
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error

    def fail(self, error: BaseException) -> None:
        """Ends the run: everything that waits is woken with the error."""
        if self.error is None:
            self.error = error
        for future in self._waits:
            if not future.done():
                future.set_exception(self.error)


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
            if type(item) is PendingRow:
                if not item.resolved:
                    self.remaining += 1
                    item.then(self._arrived)
                elif isinstance(item.content, list):
                    self._add(item.content)
                elif isinstance(item.content, PendingRow):
                    self._add((item.content,))

    def _arrived(self, content: Content) -> None:
        if isinstance(content, list):
            self._add(content)
        self.remaining -= 1
        if not self.remaining and not self.future.done():
            self.future.set_result(None)
