"""Aggregates over a pool, and values that need the whole pool but differ from row to row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from tts_lang import values as functions
from tts_lang.plan import expr
from tts_runtime.executor.model import Candidate, Row
from tts_runtime.executor.views import View, groups

if TYPE_CHECKING:
    from tts_runtime.executor.expressions import Compiler, Evaluate
    from tts_runtime.executor.sites import Site

#: The aggregate of some rows (seen in a view of their pool), for a row (seen in its own view).
_Number: TypeAlias = Callable[[Sequence[Row], View, Row, View], Any]


#: Aggregates of the rows themselves, not of numbers taken of them.
OF_ROWS: Final = ("count", "first", "quantile", "all done", "any done")


def weight_of(value: Any, row: Row, place: int, site: Site) -> float:
    """A weight: missing weighs nothing, below 0 is an error (C20, C43)."""
    if value is None:
        return 0.0
    if value < 0:
        raise site.error(
            f"the weight of candidate {place + 1} ({_excerpt(row)}) is {value}",
            "weights must be 0 or more: transform the score, as in `exp(E)` or `clip(E, 0, 1)`",
        )
    return float(value)


def _excerpt(row: Row) -> str:
    text = " ".join(row.node.text.split())
    return repr(text if len(text) <= 40 else f"{text[:37]}...")


def weights_of(weight: Evaluate | None, rows: Sequence[Row], view: View, site: Site) -> list[float]:
    """The weight of every row, 1 where none is given."""
    if weight is None:
        return [1.0] * len(rows)
    return [weight_of(weight(row, view), row, place, site) for place, row in enumerate(rows)]


def ancestors(row: Row) -> list[Candidate]:
    """What a row was made from, nearest first, without itself."""
    found: list[Candidate] = []
    candidate = row.candidate
    while True:
        source = candidate.before if candidate.before is not None else candidate.parent
        if source is None:
            return found
        candidate = source.candidate
        found.append(candidate)


def aggregate(compiler: Compiler, expression: expr.Aggregate) -> Evaluate:
    """One number from the rows of an input."""
    pool = expression.pool
    number = _number(compiler, expression)
    if expression.below:
        return _below(pool, number)
    if expression.per is not None:
        return _per(pool, compiler.column(expression.per), number)
    slot = object()

    def over_all(row: Row, view: View) -> Any:
        if slot not in view.cache:
            rows: Sequence[Row] = view.inputs[pool]
            view.cache[slot] = number(rows, view.of(rows), row, view)
        return view.cache[slot]

    return over_all


def _below(pool: int, number: _Number) -> Evaluate:
    def below(row: Row, view: View) -> Any:
        rows: Sequence[Row] = view.inputs[pool]
        key = ("below", pool)
        if key not in view.cache:
            view.cache[key] = [set(ancestors(each)) for each in rows]
        lines: list[set[Candidate]] = view.cache[key]
        chosen = [each for each, line in zip(rows, lines, strict=True) if row.candidate in line]
        return number(chosen, view.of(rows), row, view)

    return below


def _per(pool: int, column: Evaluate, number: _Number) -> Evaluate:
    slot = object()

    def per(row: Row, view: View) -> Any:
        if slot not in view.cache:
            rows: Sequence[Row] = view.inputs[pool]
            inner = view.of(rows)
            keys = [column(each, inner) for each in rows]
            by_key = {
                keys[places[0]]: number([rows[place] for place in places], inner, row, view)
                for places in groups(keys)
            }
            view.cache[slot] = by_key, number([], inner, row, view)
        by_key, none = view.cache[slot]
        return by_key.get(column(row, view), none)

    return per


def _number(compiler: Compiler, expression: expr.Aggregate) -> _Number:
    """The aggregate of some rows (seen in `inner`), asked for by `row` (seen in `view`)."""
    how = expression.how
    if how == "count":
        return lambda rows, _inner, _row, _view: len(rows)
    if how == "all done":
        return lambda rows, _inner, _row, _view: all(each.node.done for each in rows)
    if how == "any done":
        return lambda rows, _inner, _row, _view: any(each.node.done for each in rows)
    if how in functions.CLASSES:
        return _classes(compiler, expression)
    assert expression.of is not None
    of = compiler.compile(expression.of)
    if how == "first":
        return lambda rows, inner, _row, _view: of(rows[0], inner) if rows else None
    if how == "quantile":
        assert expression.quantile is not None
        wanted = compiler.compile(expression.quantile)

        def quantile(rows: Sequence[Row], inner: View, row: Row, view: View) -> Any:
            q = wanted(row, view)
            values = functions.present([of(each, inner) for each in rows])
            return None if q is None else functions.quantile(values, q)

        return quantile
    function = functions.AGGREGATES[how]
    return lambda rows, inner, _row, _view: function(
        functions.present([of(each, inner) for each in rows])
    )


def _classes(compiler: Compiler, expression: expr.Aggregate) -> _Number:
    function = functions.CLASSES[expression.how]
    key, weight = compiler.column(expression.on), compiler.optional(expression.weight)
    site = compiler.site

    def of_classes(rows: Sequence[Row], inner: View, _row: Row, _view: View) -> float:
        weights = weights_of(weight, rows, inner, site)
        keys = [key(each, inner) for each in rows]
        sums = [functions.votes([weights[p] for p in places]) for places in groups(keys)]
        return function(sums) if sums else 0

    return of_classes


def pool_wide(compiler: Compiler, expression: expr.PoolWide) -> Evaluate:
    """softmax or rank of the row at hand among the rows of its pool, or of its group."""
    of = compiler.compile(expression.of)
    temperature = compiler.optional(expression.temperature)
    per = None if expression.per is None else compiler.column(expression.per)
    site = compiler.site

    def heat(row: Row, view: View) -> float:
        value = 1.0 if temperature is None else temperature(row, view)
        if value is None or value <= 0:
            raise site.error(f"the temperature of softmax is {value}", "it must be above 0")
        return float(value)

    def values(row: Row, view: View) -> list[Any]:
        rows = view.rows
        assert rows is not None
        numbers = [of(each, view) for each in rows]
        found: list[Any] = [None] * len(rows)
        keys = [0] * len(rows) if per is None else [per(each, view) for each in rows]
        for places in groups(keys):
            given = [numbers[place] for place in places]
            if expression.how == "softmax":
                worth: Sequence[Any] = functions.softmax(given, heat(row, view))
            else:
                worth = functions.ranks(given)
            for place, value in zip(places, worth, strict=True):
                found[place] = value
        return found

    slot = object()

    def for_row(row: Row, view: View) -> Any:
        if slot not in view.cache:
            view.cache[slot] = values(row, view)
        return view.cache[slot][view.index(row)]

    return for_row
