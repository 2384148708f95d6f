"""Children are numbered in program order, whatever the order in which rows become known (C2, C8).

Every execution of an operation that numbers children has a sequence number in its scope. It may
number a node made at `created` at once, unless an operation between the two has rows that are not
known yet: these might lie on the same node, and come first.
"""

from __future__ import annotations

from asyncio import Future, get_running_loop
from collections.abc import Callable
from typing import TypeAlias

from tts_runtime.executor.rows import Row
from tts_runtime.executor.scheduler import (
    Content,
    Item,
    PendingRow,
    Pool,
    Scheduler,
    Waiter,
    append,
    distinct,
)

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

    def hold(self, sequence: int) -> None:
        """One more row of this operation waits to be numbered."""
        self._open[sequence] = self._open.get(sequence, 0) + 1

    def wait(self, created: int, sequence: int, numbered: Waiter) -> None:
        """Calls `numbered` as soon as the held row may be numbered."""
        self._waiting.append((created, sequence, numbered))

    def release(self, sequence: int, rows: int = 1) -> list[Waiter]:
        """Rows have been numbered; gives what may be numbered now."""
        left = self._open[sequence] - rows
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
        future: Future[None] = get_running_loop().create_future()
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
            hold, sequence, known = self._barrier.hold, self.sequence, self._known
            for item in pool.items:
                if type(item) is PendingRow and not item.resolved:
                    hold(sequence)
                    slot = PendingRow(b"", item.most * most)
                    item.then(known, slot)
                    items.append(slot)
                    continue
                content = self._streamed(item, None)
                self._run.has_gaps |= content is None
                append(items, content)
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
        if made is not slot:
            self._run.resolve(slot, made)
        woken = self._barrier.release(self.sequence)
        if woken:
            self._run.call_back(woken)

    def _turn_comes(self, _: None, slot: PendingRow, row: Row) -> None:
        self._made(slot, self._make(row, slot))

    def _made(self, slot: PendingRow, content: Content) -> None:
        if content is not slot:
            self._run.resolve(slot, content)
        woken = self._barrier.release(self.sequence)
        if woken:
            self._run.call_back(woken)
