"""where, let, select, first, sort, vote, dedupe and sets of rows: nothing here needs an engine."""

from __future__ import annotations

import asyncio
from bisect import bisect
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import partial
from math import ceil, inf
from typing import Any, TypeAlias

from tts_lang.plan import graph
from tts_lang.plan.expr import Aggregate, fields_in, node_is_flag
from tts_lang.plan.reads import needs_pool
from tts_lang.values import votes
from tts_runtime.executor.pools import (
    Arrivals,
    Content,
    Item,
    PendingRow,
    Pool,
    Waiter,
    append,
    rows_in,
)
from tts_runtime.executor.problem_run import ProblemRun
from tts_runtime.executor.program import Action, Builder, handles
from tts_runtime.executor.rows import Row
from tts_runtime.executor.scope import Decided, PoolKnown, PoolWaits, Scope
from tts_runtime.executor.views import (
    Evaluate,
    View,
    descending,
    grouped,
    groups,
    rank,
    weights_of,
)


@handles(graph.Empty)
def empty(_builder: Builder, _spec: graph.Empty) -> Action:
    """`none`."""

    async def action(_scope: Scope, _inputs: Sequence[Any]) -> Sequence[Any]:
        return (Pool([]),)

    return action


@handles(graph.Compute)
def compute(builder: Builder, spec: graph.Compute) -> Action:
    """A number, text or flag."""
    value = builder.compiler.compile(spec.value)
    asked = spec.value
    ends = isinstance(asked, Aggregate) and node_is_flag(asked) and builder.program.by_row

    async def action(scope: Scope, inputs: Sequence[Any]) -> Sequence[Any]:
        if ends and isinstance(asked, Aggregate) and inputs[asked.pool].pending:
            # One row that is not done tells that not all are, before the others are known.
            every = asked.how == "all done"
            found = await scope.some(inputs[asked.pool], lambda row: row.node.done is not every)
            return (found is not every,)
        view = await scope.view(inputs, whole=True)
        return (value(scope.problem, view),)

    return action


@handles(graph.Where)
def where(builder: Builder, spec: graph.Where) -> Action:
    """The rows for which the condition is true, not missing (C37)."""
    condition, operation = builder.compiler.compile(spec.condition), builder.operation
    whole = needs_pool(spec.condition)

    async def action(scope: Scope, inputs: Sequence[Any]) -> Sequence[Any]:
        pool: Pool = inputs[0]
        view = await scope.view(inputs, whole)
        listeners, number = scope.run.events.listeners(Decided), scope.round

        def keep(row: Row, _: PendingRow | None) -> Content:
            value = condition(row, view)
            for listener in listeners:
                kept = (0,) if value is True else ()
                listener(Decided(scope, operation, number, (row,), kept, ((0,),), (value,)))
            return row if value is True else None

        return (scope.run.map(pool, keep),)

    return action


@handles(graph.Let)
def let(builder: Builder, spec: graph.Let) -> Action:
    """A computed column; children inherit it (C31)."""
    value = builder.compiler.compile(spec.value)
    whole = needs_pool(spec.value)
    name = spec.name

    async def action(scope: Scope, inputs: Sequence[Any]) -> Sequence[Any]:
        pool: Pool = inputs[0]
        view = await scope.view(inputs, whole)

        def computed(row: Row, _: PendingRow | None) -> Content:
            return row.with_let(name, value(row, view))

        return (scope.run.map(pool, computed),)

    return action


@handles(graph.Select)
def select(builder: Builder, spec: graph.Select) -> Action:
    """The best rows, of each group, in pool order (C39)."""
    compiler, operation = builder.compiler, builder.operation
    by, count = compiler.compile(spec.by), compiler.optional(spec.count)
    share, per = compiler.optional(spec.share), compiler.column_or_none(spec.per)
    by_row = builder.program.by_row and share is None and per is None
    by_row = by_row and not any(map(needs_pool, fields_in(spec)))

    async def action(scope: Scope, inputs: Sequence[Any]) -> Sequence[Any]:
        pool: Pool = inputs[0]
        if by_row and pool.pending and count is not None:
            view = await scope.view(inputs, whole=False)
            many = max(0, view.whole(count(scope.problem, view)))
            return (RowSelection(scope, operation, pool, by, view, many).start(),)
        view = await scope.view(inputs, whole=True)
        rows: list[Row] = view.inputs[0]
        values = [by(row, view) for row in rows]
        part = 0 if share is None else share(scope.problem, view) or 0
        many = 0 if count is None else max(0, view.whole(count(scope.problem, view)))
        found = grouped(rows, per, view)
        kept: list[int] = []
        for places in found:
            if share is not None:
                # As written in decimal: 7 % of 100 is 7, though 0.07 * 100 > 7 in binary.
                many = max(1, ceil(Fraction(str(part)) * len(places)))
            kept += descending(rows, places, values)[:many]
        kept.sort()
        return (scope.decided(operation, rows, kept, found, values),)

    return action


@handles(graph.First)
def first(builder: Builder, spec: graph.First) -> Action:
    """The first rows, of each group."""
    compiler, operation = builder.compiler, builder.operation
    count, per = compiler.compile(spec.count), compiler.column_or_none(spec.per)

    async def action(scope: Scope, inputs: Sequence[Any]) -> Sequence[Any]:
        view = await scope.view(inputs, whole=True)
        rows: list[Row] = view.inputs[0]
        many = max(0, view.whole(count(scope.problem, view)))
        found = grouped(rows, per, view)
        kept = sorted([place for places in found for place in places[:many]])
        return (scope.decided(operation, rows, kept, found),)

    return action


@handles(graph.Sort)
def sort(builder: Builder, spec: graph.Sort) -> Action:
    """Largest first, stable, missing last; group after group with `per`."""
    compiler, operation = builder.compiler, builder.operation
    by, per = compiler.compile(spec.by), compiler.column_or_none(spec.per)

    async def action(scope: Scope, inputs: Sequence[Any]) -> Sequence[Any]:
        view = await scope.view(inputs, whole=True)
        rows: list[Row] = view.inputs[0]
        values = [by(row, view) for row in rows]
        found = grouped(rows, per, view)
        kept = [place for places in found for place in descending(rows, places, values)]
        return (scope.decided(operation, rows, kept, found, values),)

    return action


@handles(graph.Dedupe)
def dedupe(builder: Builder, spec: graph.Dedupe) -> Action:
    """The first row of each key; a missing key equals nothing (C52)."""
    compiler, operation = builder.compiler, builder.operation
    key, per = compiler.column(spec.key), compiler.column_or_none(spec.per)

    async def action(scope: Scope, inputs: Sequence[Any]) -> Sequence[Any]:
        view = await scope.view(inputs, whole=True)
        rows: list[Row] = view.inputs[0]
        keys = [key(row, view) for row in rows]
        found = grouped(rows, per, view)
        kept: list[int] = []
        for places in found:
            seen: set[Any] = set()
            for place in places:
                if keys[place] is None or keys[place] not in seen:
                    kept.append(place)
                    seen.add(keys[place])
        kept.sort()
        return (scope.decided(operation, rows, kept, found, keys),)

    return action


@handles(graph.Union)
def union(_builder: Builder, _spec: graph.Union) -> Action:
    """Input 0, then the rows of input 1 that are not in it (C30, C51)."""

    async def action(scope: Scope, inputs: Sequence[Any]) -> Sequence[Any]:
        left, right = await scope.settled(inputs[:2])
        return (Pool([*left, *_without(right, left)]),)

    return action


@handles(graph.Difference)
def difference(_builder: Builder, _spec: graph.Difference) -> Action:
    """The rows of input 0 that are not in input 1 (C51)."""

    async def action(scope: Scope, inputs: Sequence[Any]) -> Sequence[Any]:
        left, right = await scope.settled(inputs[:2])
        return (Pool(_without(left, right)),)

    return action


def _without(rows: Sequence[Row], others: Sequence[Row]) -> list[Row]:
    there = {row.candidate for row in others}
    return [row for row in rows if row.candidate not in there]


@handles(graph.Vote)
def vote(builder: Builder, spec: graph.Vote) -> Action:
    """The heaviest class's heaviest row, ties to the earliest; one per group (C42, C43)."""
    compiler, operation = builder.compiler, builder.operation
    on, weight = compiler.column(spec.on), compiler.optional(spec.weight)
    per = compiler.column_or_none(spec.per)

    async def action(scope: Scope, inputs: Sequence[Any]) -> Sequence[Any]:
        view = await scope.view(inputs, whole=True)
        rows: list[Row] = view.inputs[0]
        weights = weights_of(weight, rows, view, operation)
        keys = [on(row, view) for row in rows]
        found = grouped(rows, per, view)
        winners = [winner(places, keys, weights) for places in found]
        kept = [place for place in winners if place is not None]
        return (scope.decided(operation, rows, kept, found, keys, weights),)

    return action


def winner(places: Sequence[int], keys: Sequence[Any], weights: Sequence[float]) -> int | None:
    """The place that represents the elected class among some places; none if all abstain."""
    classes = [[places[at] for at in group] for group in groups([keys[place] for place in places])]
    if not classes:
        return None
    # `max` keeps the first of equals, and classes and their rows are in order of first row.
    elected = max(classes, key=lambda group: votes([weights[place] for place in group]))
    return max(elected, key=lambda place: weights[place])


# ------------------------------------------------------------------ row by row

#: Where a row stands in its pool: of a row that came as one of several, their place, then its own.
_Place: TypeAlias = tuple[int, ...]


class _FirstArrivals(Arrivals):
    """Waits until a row of a pool is known, and for those that become known in the same turn.

    `then` is called once, with whether the pool is known by then.
    """

    __slots__ = ("_run", "_then", "_turn")

    def __init__(
        self, run: ProblemRun, items: Sequence[Item], then: Callable[[bool], None]
    ) -> None:
        self._run = run
        self._then: Callable[[bool], None] | None = then
        self._turn = False
        super().__init__(items)

    def arrived(self, _row: Row) -> None:
        if not self._turn:
            self._turn = True
            turn: Waiter = (self._turn_over, None, None)
            asyncio.get_running_loop().call_soon(self._run.call_back, [turn])

    def _turn_over(self, _content: None, _target: None, _about: None) -> None:
        if self._run.error is None and not self._run.closed:
            self.over()

    def over(self) -> None:
        then, self._then = self._then, None
        if then is not None:
            then(not self.waiting)


class RowSelection:
    """One execution of a selection on a pool of which rows are pending.

    A row is kept or dropped once no row to come can change that. Of a pool of at most n rows whose
    best k are kept, a row is kept as soon as the rows that are better and those that are not known
    yet are fewer than k together, and dropped as soon as k are better. So most survivors continue
    while stragglers decode; what is kept is what would be kept at the end.

    Args:
        scope: The strategy call.
        operation: The selection.
        pool: Its input.
        by: The value of a row, which depends on nothing but the row.
        view: What `by` is evaluated in.
        many: Rows that are kept, at most.
    """

    def __init__(
        self,
        scope: Scope,
        operation: graph.Operation,
        pool: Pool,
        by: Evaluate,
        view: View,
        many: int,
    ) -> None:
        self._scope = scope
        self._operation = operation
        self._round = scope.round
        self._pool = pool
        self._by = by
        self._view = view
        self._many = many
        #: The best rows that are known, by rank and place; at most `many`.
        #: The first of them, as many as `_kept`, are kept.
        self._best: list[tuple[int, Any, _Place, Row, PendingRow]] = []
        self._listeners = scope.run.events.listeners(Decided)
        self._values: dict[int, Any] = {}
        self._known = 0
        self._pending = 0  # pending rows
        self._coming = 0  # rows that they are, at most
        self._unbounded = 0  # those of which nobody knows how many rows they are
        self._kept = 0

    def start(self) -> Pool:
        """The rows that are kept, in pool order; others turn out to be none.

        It begins once rows have arrived, with all that arrive together: where these are the pool,
        as from an engine that answers in batches, no row needs a pending row of its own.
        """
        scope, pool, many = self._scope, self._pool, self._many
        for waits in scope.run.events.listeners(PoolWaits):
            waits(PoolWaits(scope, pool, self.expanded))
        slot = PendingRow(b"", many)
        _FirstArrivals(scope.run, pool.items, partial(self._begin, slot))
        return Pool([slot], True, pool.apart, most=many)

    def _begin(self, slot: PendingRow, all_known: bool) -> None:
        self._scope.run.resolve(slot, self._at_once() if all_known else self._row_by_row())

    def _at_once(self) -> list[Item]:
        """The rows that are kept of a pool that is known."""
        rows, by, view = rows_in(self._pool.items), self._by, self._view
        values = [by(row, view) for row in rows]
        kept = sorted(descending(rows, range(len(rows)), values)[: self._many])
        self._known_all(rows, kept, values)
        return [rows[place] for place in kept]

    def _row_by_row(self) -> list[Item]:
        items: list[Item] = []
        pending = coming = unbounded = 0
        arrived = self._arrived
        for place, item in enumerate(self._pool.items):
            if type(item) is PendingRow and not item.resolved:
                most = item.most
                pending += 1
                coming += most
                unbounded += not most
                target = PendingRow(b"", most)
                item.then(arrived, target, (most, (place,)))
                items.append(target)
            else:
                append(items, self._take(item, None, (place,)))
        self._pending += pending
        self._coming += coming
        self._unbounded += unbounded
        self._decide()
        return items

    def expanded(self, row: Row) -> bool:
        """Whether a row is known to be kept, so that the program has continued with it."""
        return any(entry[3] is row for entry in self._best[: self._kept])

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
            most = content.most
            self._pending += 1
            self._coming += most
            self._unbounded += not most
            target = PendingRow(b"", most) if slot is None else slot
            content.then(self._arrived, target, (most, place))
            return target
        assert isinstance(content, list)
        found: list[Item] = []
        for number, item in enumerate(content):
            append(found, self._take(item, None, (*place, number)))
        return found

    def _arrived(self, content: Content, slot: PendingRow, about: tuple[int, _Place]) -> None:
        most, place = about
        self._pending -= 1
        self._coming -= most
        if not most:
            self._unbounded -= 1
        if type(content) is Row:
            self._rank(content, slot, place)
        else:
            made = self._take(content, slot, place)
            if made is not slot:
                self._scope.run.resolve(slot, made)
        self._decide()

    def _rank(self, row: Row, target: PendingRow, place: _Place) -> None:
        value = self._by(row, self._view)
        if self._listeners:
            self._values[id(row)] = value
        self._known += 1
        best = self._best
        entry = (*rank(row, value), place, row, target)
        at = bisect(best, entry)
        best.insert(at, entry)
        if at < self._kept:  # better than a row that nothing can displace
            self._kept += 1
            self._scope.run.resolve(target, row)
        if len(best) > self._many:
            self._scope.run.resolve(best.pop()[-1], None)

    def _decide(self) -> None:
        """Keeps the rows that would stay among the best whatever comes."""
        best, place = self._best, self._kept
        if place < len(best):
            certain: float = self._many
            if self._pending:
                coming: float = inf if self._unbounded else self._coming
                most = self._pool.most
                if most and most - self._known < coming:
                    coming = most - self._known
                certain -= coming
            while place < certain and place < len(best):
                _, _, _, row, target = best[place]
                place = self._kept = place + 1
                self._scope.run.resolve(target, row)
        if not self._pending:
            self._end()

    def _end(self) -> None:
        """All rows are known."""
        rows = rows_in(self._pool.items)
        kept: list[int] = []
        values: list[Any] = []
        if self._listeners:
            chosen = {id(entry[3]) for entry in self._best[: self._kept]}
            kept = [place for place, row in enumerate(rows) if id(row) in chosen]
            values = [self._values[id(row)] for row in rows]
        self._known_all(rows, kept, values)

    def _known_all(self, rows: list[Row], kept: Sequence[int], values: Sequence[Any]) -> None:
        """Reports the complete pool, and the decision for the record."""
        scope, pool = self._scope, self._pool
        pool.items, pool.pending = rows, False  # type: ignore[assignment]
        for known in scope.run.events.listeners(PoolKnown):
            known(PoolKnown(scope, pool))
        groups = [range(len(rows))] if rows else []
        for listener in self._listeners:
            listener(Decided(scope, self._operation, self._round, rows, kept, groups, values))
