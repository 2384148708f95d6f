"""Reads of expressions and operators: columns, random numbers, the pool around a row."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tts_lang.plan import expr
from tts_lang.plan.clauses import keys_of
from tts_lang.plan.columns import NEEDS_POOL
from tts_lang.plan.expr import Expr, fields_in, walk

#: Expressions that need the whole pool, or whose order of evaluation counts (draws).
_WHOLE: Final = (expr.Aggregate, expr.PoolWide, expr.Random)
#: Expressions that are evaluated for one row.
_OF_A_ROW: Final = (
    *(expr.Column, expr.Reduce, expr.JudgeWords),
    *(expr.Statistic, expr.PoolWide, expr.Random),
)


def nodes_of(spec: object) -> Iterator[Expr]:
    """Every expression in an operator, or in a part of one, with all subexpressions."""
    for outermost in fields_in(spec):
        yield from walk(outermost)


def needs_pool(expression: Expr) -> bool:
    """Whether it can be evaluated only once the rows of all pools are known (C56)."""
    return any(
        isinstance(part, _WHOLE)
        or (isinstance(part, expr.Column) and part.name in NEEDS_POOL)
        or (isinstance(part, expr.Aggregate) and part.per in NEEDS_POOL)
        for part in walk(expression)
    )


def of_a_row(expression: Expr) -> bool:
    """Whether it may differ from row to row of one pool."""
    return any(
        isinstance(part, _OF_A_ROW)
        or (isinstance(part, expr.Aggregate) and (part.per is not None or part.below))
        for part in walk_outside_pools(expression)
    )


def walk_outside_pools(expression: Expr) -> Iterator[Expr]:
    """The expression and its subexpressions, but for what aggregates take of their own rows."""
    waiting = [expression]
    while waiting:
        current = waiting.pop()
        yield current
        if not isinstance(current, expr.Aggregate):
            waiting.extend(expr.children(current))
        elif current.quantile is not None:
            waiting.append(current.quantile)


def draws(part: object) -> bool:
    """Whether evaluating an expression, or running an operator, uses up random numbers."""
    return any(isinstance(node, expr.Random) for node in nodes_of(part))


def columns_read(spec: object) -> set[str]:
    """Every column that an operator reads by name, of any of its pools."""
    names = set(keys_of(spec))
    for node in nodes_of(spec):
        match node:
            case expr.Column(name):
                names.add(name)
            case expr.Reduce(column=column) | expr.JudgeWords(column):
                names.add(column)
            case expr.Aggregate(per=per, on=on):
                names.update(key for key in (per, on) if key is not None)
            case expr.PoolWide(per=str() as key):
                names.add(key)
    return names
