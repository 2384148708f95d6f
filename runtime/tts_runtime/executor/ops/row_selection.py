"""Selections that decide row by row: a row is kept or dropped once no row to come can change that.

Of a pool of at most n rows whose best k are kept, a row is kept as soon as the rows that are better
and those that are not known yet are fewer than k together, and dropped as soon as k are better. So
most survivors continue while stragglers decode; what is kept is what would be kept at the end.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Sequence
from functools import partial
from math import inf
from typing import Any, TypeAlias

from tts_lang.plan.graph import Operation
from tts_runtime.executor.rows import Row
from tts_runtime.executor.scheduler import Content, Item, PendingRow, Pool, append, rows_in
from tts_runtime.executor.scope import Decided, PoolKnown, PoolWaits, Scope
from tts_runtime.executor.views import Evaluate, View

#: Where a row stands in its pool: of a row that came as one of several, their place, then its own.
_Place: TypeAlias = tuple[int, ...]


class RowSelection:
    """One execution of a selection on a pool of which rows are pending.

    Args:
        scope: The strategy call.
        operation: The selection.
        pool: Its input.
        by: The value of a row, which depends on nothing but the row.
        view: What `by` is evaluated in.
        many: Rows that are kept, at most.
    """

    def __init__(
        self, scope: Scope, operation: Operation, pool: Pool, by: Evaluate, view: View, many: int
    ) -> None:
        self._scope = scope
        self._operation = operation
        self._round = scope.round
        self._pool = pool
        self._by = by
        self._view = view
        self._many = many
        #: The best rows that are known: missing or not, falling values, places; at most `many`.
        #: The first of them, as many as `_kept`, are kept.
        self._best: list[tuple[bool, Any, _Place, Row, PendingRow]] = []
        self._values: dict[int, Any] = {}
        self._known = 0
        self._pending = 0  # pending rows
        self._coming = 0  # rows that they are, at most
        self._unbounded = 0  # those of which nobody knows how many rows they are
        self._kept: set[int] = set()

    def start(self) -> Pool:
        """The rows that are kept, in pool order; others turn out to be none."""
        scope, pool = self._scope, self._pool
        items: list[Item] = []
        for place, item in enumerate(pool.items):
            append(items, self._take(item, None, (place,)))
        for waits in scope.run.events.listeners(PoolWaits):
            waits(PoolWaits(scope, pool, self.expanded))
        self._decide()
        return Pool(items, True, pool.apart, most=self._many)

    def expanded(self, row: Row) -> bool:
        """Whether a row is known to be kept, so that the program has continued with it."""
        return id(row) in self._kept

    def _take(self, content: Content, slot: PendingRow | None, place: _Place) -> Content:
        """Counts what is known; what becomes of it is told to pending rows, `slot` if given."""
        if type(content) is Row:
            target = PendingRow(b"", 1) if slot is None else slot
            self._rank(content, target, place)
            return target
        if content is None:
            return None
        if type(content) is PendingRow:
            if content.resolved:
                return self._take(content.content, slot, place)
            target = PendingRow(b"", content.most) if slot is None else slot
            self._pending += 1
            self._coming += content.most
            self._unbounded += not content.most
            content.then(partial(self._arrived, target, content.most, place))
            return target
        assert isinstance(content, list)
        found: list[Item] = []
        for number, item in enumerate(content):
            append(found, self._take(item, None, (*place, number)))
        return found

    def _arrived(self, slot: PendingRow, most: int, place: _Place, content: Content) -> None:
        self._pending -= 1
        self._coming -= most
        self._unbounded -= not most
        made = self._take(content, slot, place)
        if made is not slot:
            self._scope.run.resolve(slot, made)
        self._decide()

    def _rank(self, row: Row, target: PendingRow, place: _Place) -> None:
        value = self._by(row, self._view)
        self._values[id(row)] = value
        self._known += 1
        best = self._best
        entry = (value is None, 0 if value is None else -value, place, row, target)
        at = bisect(best, entry)
        best.insert(at, entry)
        if at < len(self._kept):  # better than a row that nothing can displace
            self._keep(row, target)
        if len(best) > self._many:
            self._scope.run.resolve(best.pop()[-1], None)

    def _keep(self, row: Row, target: PendingRow) -> None:
        self._kept.add(id(row))
        self._scope.run.resolve(target, row)

    def _decide(self) -> None:
        """Keeps the rows that would stay among the best whatever comes."""
        coming: float = inf if self._unbounded else self._coming
        if self._pool.most:
            coming = min(coming, self._pool.most - self._known)
        certain = self._many - coming if self._pending else self._many
        best, kept = self._best, self._kept
        while len(kept) < certain and len(kept) < len(best):
            *_, row, target = best[len(kept)]
            self._keep(row, target)
        if not self._pending:
            self._end()

    def _end(self) -> None:
        """All rows are known: what the record says of it."""
        scope, pool = self._scope, self._pool
        pool.items, pool.pending = list(rows_in(pool.items)), False
        for known in scope.run.events.listeners(PoolKnown):
            known(PoolKnown(scope, pool))
        listeners = scope.run.events.listeners(Decided)
        if listeners:
            rows: Sequence[Row] = pool.items  # type: ignore[assignment]
            kept = [place for place, row in enumerate(rows) if id(row) in self._kept]
            values = [self._values[id(row)] for row in rows]
            groups = [range(len(rows))] if rows else []
            for listener in listeners:
                listener(Decided(scope, self._operation, self._round, rows, kept, groups, values))
