"""Verbs that choose, order and combine rows without any engine."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import ceil
from typing import Any

from tts_lang.plan import graph
from tts_runtime.executor.expressions import Evaluate, needs_pool
from tts_runtime.executor.model import Row
from tts_runtime.executor.pools import Content, PendingRow, Pool
from tts_runtime.executor.program import Builder, Work
from tts_runtime.executor.scope import Scope
from tts_runtime.executor.views import View, groups


def whole_pool(rows: Sequence[Row]) -> Pool:
    """A pool of rows that are all known."""
    return Pool(rows, False)


def grouped(rows: Sequence[Row], per: Evaluate | None, view: View) -> list[list[int]]:
    """Places of each group's rows; all of them without `per`."""
    if per is None:
        return [list(range(len(rows)))] if rows else []
    return groups([per(row, view) for row in rows])


def compiled_key(builder: Builder, name: str | None) -> Evaluate | None:
    """The column of a `per`."""
    return None if name is None else builder.compiler.column(name)


def empty(_builder: Builder, _spec: graph.Empty) -> Work:
    """`none`."""

    async def work(_scope: Scope, _inputs: Sequence[Any]) -> Sequence[Any]:
        return (whole_pool(()),)

    return work


def compute(builder: Builder, spec: graph.Compute) -> Work:
    """A number, text or flag."""
    value = builder.compiler.compile(spec.value)

    async def work(scope: Scope, inputs: Sequence[Any]) -> Sequence[Any]:
        view = await scope.view(inputs, whole=True)
        return (value(scope.problem, view),)

    return work


def where(builder: Builder, spec: graph.Where) -> Work:
    """The rows for which the condition is true, not missing (C37)."""
    condition = builder.compiler.compile(spec.condition)
    whole = needs_pool(spec.condition)

    async def work(scope: Scope, inputs: Sequence[Any]) -> Sequence[Any]:
        pool: Pool = inputs[0]
        view = await scope.view(inputs, whole)

        def kept(row: Row, _: PendingRow | None) -> Content:
            return row if condition(row, view) is True else None

        return (scope.run.map(pool, kept),)

    return work


def let(builder: Builder, spec: graph.Let) -> Work:
    """A computed column; children inherit it (C31)."""
    value = builder.compiler.compile(spec.value)
    whole = needs_pool(spec.value)
    name = spec.name

    async def work(scope: Scope, inputs: Sequence[Any]) -> Sequence[Any]:
        pool: Pool = inputs[0]
        view = await scope.view(inputs, whole)

        def computed(row: Row, _: PendingRow | None) -> Content:
            return row.with_let(name, value(row, view))

        return (scope.run.map(pool, computed),)

    return work


def descending(places: Sequence[int], values: Sequence[Any]) -> list[int]:
    """Places by falling value, ties in their order, missing last (C39)."""
    there = [place for place in places if values[place] is not None]
    missing = [place for place in places if values[place] is None]
    # A stable sort that is reversed keeps ties in their order.
    return sorted(there, key=lambda place: values[place], reverse=True) + missing


def select(builder: Builder, spec: graph.Select) -> Work:
    """The best rows, of each group, in pool order (C39)."""
    compiler = builder.compiler
    by, count = compiler.compile(spec.by), compiler.optional(spec.count)
    share, per = compiler.optional(spec.share), compiled_key(builder, spec.per)

    async def work(scope: Scope, inputs: Sequence[Any]) -> Sequence[Any]:
        view = await scope.view(inputs, whole=True)
        rows: list[Row] = view.inputs[0]
        values = [by(row, view) for row in rows]
        part = 0 if share is None else share(scope.problem, view) or 0
        many = 0 if count is None else max(0, view.whole(count(scope.problem, view)))
        kept: set[int] = set()
        for places in grouped(rows, per, view):
            if share is not None:
                # As written in decimal: 7 % of 100 is 7, though 0.07 * 100 > 7 in binary.
                many = max(1, ceil(Fraction(str(part)) * len(places)))
            kept.update(descending(places, values)[:many])
        return (whole_pool([row for place, row in enumerate(rows) if place in kept]),)

    return work


def first(builder: Builder, spec: graph.First) -> Work:
    """The first rows, of each group."""
    count, per = builder.compiler.compile(spec.count), compiled_key(builder, spec.per)
    needless = builder.program.needless
    value = builder.operation.outputs[0]
    source = needless.firsts.get(value)

    async def work(scope: Scope, inputs: Sequence[Any]) -> Sequence[Any]:
        if source is not None:
            view = View(scope, inputs)
            many = max(0, view.whole(count(scope.problem, view)))
            scope.run.early = True
            rows = await scope.run.leading(inputs[0], many)
            if value in needless.final:
                scope.run.settle()
            else:
                scope.run.drop(scope.values[source])
            return (whole_pool(rows),)
        view = await scope.view(inputs, whole=True)
        rows = view.inputs[0]
        many = max(0, view.whole(count(scope.problem, view)))
        kept = {place for places in grouped(rows, per, view) for place in places[:many]}
        return (whole_pool([row for place, row in enumerate(rows) if place in kept]),)

    return work


def sort(builder: Builder, spec: graph.Sort) -> Work:
    """Largest first, stable, missing last; group after group with `per`."""
    by, per = builder.compiler.compile(spec.by), compiled_key(builder, spec.per)

    async def work(scope: Scope, inputs: Sequence[Any]) -> Sequence[Any]:
        view = await scope.view(inputs, whole=True)
        rows: list[Row] = view.inputs[0]
        values = [by(row, view) for row in rows]
        return (
            whole_pool(
                [
                    rows[place]
                    for places in grouped(rows, per, view)
                    for place in descending(places, values)
                ]
            ),
        )

    return work


def dedupe(builder: Builder, spec: graph.Dedupe) -> Work:
    """The first row of each key; a missing key equals nothing (C52)."""
    key, per = builder.compiler.column(spec.key), compiled_key(builder, spec.per)

    async def work(scope: Scope, inputs: Sequence[Any]) -> Sequence[Any]:
        view = await scope.view(inputs, whole=True)
        rows: list[Row] = view.inputs[0]
        kept: set[int] = set()
        for places in grouped(rows, per, view):
            seen: set[Any] = set()
            for place in places:
                value = key(rows[place], view)
                if value is None or value not in seen:
                    kept.add(place)
                    seen.add(value)
        return (whole_pool([row for place, row in enumerate(rows) if place in kept]),)

    return work


def union(_builder: Builder, _spec: graph.Union) -> Work:
    """Input 0, then the rows of input 1 that are not in it (C30, C51)."""

    async def work(scope: Scope, inputs: Sequence[Any]) -> Sequence[Any]:
        left, right = await scope.settled(inputs[:2])
        return (whole_pool([*left, *_without(right, left)]),)

    return work


def difference(_builder: Builder, _spec: graph.Difference) -> Work:
    """The rows of input 0 that are not in input 1 (C51)."""

    async def work(scope: Scope, inputs: Sequence[Any]) -> Sequence[Any]:
        left, right = await scope.settled(inputs[:2])
        return (whole_pool(_without(left, right)),)

    return work


def _without(rows: Sequence[Row], others: Sequence[Row]) -> list[Row]:
    there = {row.candidate for row in others}
    return [row for row in rows if row.candidate not in there]
