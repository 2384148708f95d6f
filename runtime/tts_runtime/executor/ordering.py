"""One execution of an operation that numbers children: each row as soon as its number is settled.

Where no two rows can share a stream (`Pool.apart`), rows go on as they become known; otherwise the
whole pool is waited for and numbered in row order. The barrier keeps operations in program order.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

from tts_runtime.executor.model import Row
from tts_runtime.executor.pools import Content, Item, PendingRow, Pool, append, distinct
from tts_runtime.executor.scope import Scope

#: Numbers a row's children and gives them, or the given slot, which they then resolve.
Make: TypeAlias = Callable[[Row, "PendingRow | None"], Content]


class OrderedNumbering:
    """Takes the next sequence number of a scope."""

    __slots__ = ("_barrier", "_make", "_most", "_run", "sequence")

    def __init__(self, scope: Scope) -> None:
        self._run = scope.run
        self._barrier = scope.barrier
        self.sequence = scope.barrier.enter()
        self._make: Make
        self._most = 0

    async def turn(self) -> None:
        """Waits until every earlier operation has numbered all its rows."""
        if not self._barrier.clear(self.sequence):
            await self._run.wait(self._barrier.cleared(self.sequence))

    async def apply(self, pool: Pool, make: Make, *, in_order: bool = False, most: int = 0) -> Pool:
        """Every row's children in its place; `in_order`: `make` must see rows in pool order.

        `most`: at most so many rows come of one; 0 where nobody knows.
        """
        if not in_order and pool.apart and (pool.pending or not self._barrier.clear(self.sequence)):
            self._make = make
            self._most = most
            items: list[Item] = []
            for item in pool.items:
                content = self._streamed(item, None)
                self._run.dropped |= content is None
                append(items, content)
            return Pool(items, True, True)
        rows = await self._run.rows(pool)
        await self.turn()
        made: list[Item] = []
        for row in rows:
            append(made, make(row, None))
        return Pool(
            made, any(type(item) is PendingRow for item in made), pool.apart or distinct(made)
        )

    def _streamed(self, content: Content, place: PendingRow | None) -> Content:
        """The children, or where they will be: in `place`, if one is given."""
        barrier, sequence = self._barrier, self.sequence
        if type(content) is Row:
            created = content.candidate.created
            if barrier.ready(created, sequence):
                return self._make(content, place)
            barrier.hold(sequence)
            slot = PendingRow(b"", self._most) if place is None else place
            barrier.wait(created, sequence, partial(self._turn_comes, slot, content))
            return slot
        if type(content) is PendingRow:
            if content.resolved:
                return self._streamed(content.content, place)
            barrier.hold(sequence)
            slot = PendingRow(b"", content.most * self._most) if place is None else place
            content.then(partial(self._known, slot))
            return slot
        if content is None:
            return None
        assert isinstance(content, list)
        items: list[Item] = []
        for item in content:
            append(items, self._streamed(item, None))
        return items

    def _known(self, slot: PendingRow, content: Content) -> None:
        self._made(slot, self._streamed(content, slot))

    def _turn_comes(self, slot: PendingRow, row: Row, _: None) -> None:
        self._made(slot, self._make(row, slot))

    def _made(self, slot: PendingRow, content: Content) -> None:
        if content is not slot:
            self._run.resolve(slot, content)
        woken = self._barrier.release(self.sequence)
        if woken:
            self._run.later(woken)
