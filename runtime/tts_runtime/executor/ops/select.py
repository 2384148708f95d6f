"""where, let, select, first, sort, vote, dedupe and sets of rows: nothing here needs an engine."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import ceil
from typing import Any

from tts_lang.plan import graph
from tts_lang.plan.expr import Aggregate, fields_in, node_is_flag
from tts_lang.plan.reads import needs_pool
from tts_lang.values import votes
from tts_runtime.executor.ops.row_selection import RowSelection
from tts_runtime.executor.program import Action, Builder, handles
from tts_runtime.executor.rows import Row
from tts_runtime.executor.scheduler import Content, PendingRow, Pool
from tts_runtime.executor.scope import Decided, Scope
from tts_runtime.executor.views import descending, grouped, groups, weights_of


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
            kept += descending(places, values)[:many]
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
        kept = [place for places in found for place in descending(places, values)]
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
