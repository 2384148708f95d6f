"""Intervals of numbers and flags, and expressions evaluated over them.

A flag is a number here: 0 for false, 1 for true, so that `and` is the smaller and `or` the larger.
Every function gives an interval that holds all results for arguments inside its arguments, as
`tts_lang.values` computes them: overflow is missing, and bounds of results that are rounded are a
digit further out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from tts_lang.plan.columns import COLUMNS
from tts_lang.plan.expr import (
    Aggregate,
    Apply,
    Column,
    Const,
    Expr,
    Input,
    PoolWide,
    Random,
    Reduce,
)
from tts_lang.plan.graph import Scorer
from tts_lang.plan.rows import COUNTLESS
from tts_lang.values import LARGEST

INFINITY = math.inf


class Interval(NamedTuple):
    """All numbers from `low` to `high`, and perhaps missing."""

    low: float
    high: float
    missing: bool = False

    def join(self, other: Interval) -> Interval:
        """The smallest interval that holds both."""
        return Interval(
            min(self.low, other.low), max(self.high, other.high), self.missing or other.missing
        )


ANYTHING = Interval(-INFINITY, INFINITY, True)
FLAG = Interval(0, 1)
TRUE, FALSE = Interval(1, 1), Interval(0, 0)


def product(left: float, right: float) -> float:
    """The product of two counts; 0 times infinity is 0."""
    result = _product(left, right)
    return result if result <= COUNTLESS or INFINITY in (left, right) else COUNTLESS


def _product(left: float, right: float) -> float:
    """One bound of an interval times another, where 0 times unbounded is 0."""
    return 0 if left == 0 or right == 0 else left * right


def whole(count: Interval) -> tuple[float, float]:
    """A count as the executor takes it: floored, at least 0 (C39); missing may mean none."""
    low = 0 if count.missing else max(0, _floor(count.low))
    high = max(0, _floor(count.high))
    return min(low, COUNTLESS), high if high == INFINITY else min(high, COUNTLESS)


def _floor(number: float) -> float:
    return number if math.isinf(number) else math.floor(number)


def _ceil(number: float) -> float:
    return number if math.isinf(number) else math.ceil(number)


@dataclass(frozen=True, slots=True)
class IntervalReading:
    """The values that expressions read: rows of pools, intervals of other inputs.

    `scorers` give the ranges of score columns, `context` the longest path in tokens, `last` the
    largest `index` of a row.
    """

    rows: Callable[[int], tuple[float, float]]
    number: Callable[[int], Interval]
    scorers: Mapping[str, Scorer]
    context: float
    last: float = INFINITY


#: Expressions nested deeper than this (a sum of as many terms) are not followed: anything.
_DEEPEST = 200


def evaluate(expression: Expr, reading: IntervalReading, depth: int = 0) -> Interval:
    """An interval that holds the expression's value in every run."""
    match expression:
        case Const(bool() | int() | float() as value) if value == value:
            return Interval(+value, +value)
        case Input(index):
            return reading.number(index)
        case Column(name):
            return _column(name, reading)
        case Reduce("argmin" | "argmax" | "first_below"):
            return Interval(0, reading.context, True)
        case Reduce(how, column):
            return _reduce(how, reading.scorers.get(column))
        case Apply(function, arguments):
            if function in ("!=", "ends with", "contains"):
                return FLAG
            compute = _FUNCTIONS.get(function)  # `odds` has none: its pole makes it anything
            if compute is None or depth > _DEEPEST:
                return ANYTHING
            return compute(*(evaluate(argument, reading, depth + 1) for argument in arguments))
        case Aggregate():
            of = expression.of
            return _aggregate(
                expression,
                ANYTHING
                if of is None or depth > _DEEPEST
                else evaluate(of, replace(reading, last=INFINITY), depth + 1),
                reading,
            )
        case PoolWide("softmax", per=per):
            return Interval(0, 1, per is not None)
        case Random("uniform" | "beta" as distribution):
            return Interval(0, 1, distribution == "beta")
        case Random():
            return Interval(-INFINITY, INFINITY)
    return ANYTHING


def _column(name: str, reading: IntervalReading) -> Interval:
    column = COLUMNS.get(name)
    if column is not None and column.type in ("number", "flag"):
        high = reading.context if column.per_token else column.high
        high = reading.last if name == "index" else high
        return Interval(column.low, high, column.optional)
    scorer = reading.scorers.get(name)
    return _range(scorer) if scorer is not None else ANYTHING


def _range(scorer: Scorer) -> Interval:
    low = -INFINITY if scorer.low is None else scorer.low
    return Interval(low, INFINITY if scorer.high is None else scorer.high, True)


def _reduce(how: str, scorer: Scorer | None) -> Interval:
    if scorer is None:
        return ANYTHING
    span = _range(scorer)
    if how == "sum":
        return Interval(0 if span.low >= 0 else -INFINITY, INFINITY, True)
    if how == "prod":
        fraction = span.low >= 0 and span.high <= 1
        return span._replace(low=0) if fraction else ANYTHING
    return _rounded(span.low, span.high, True) if how in ("mean", "quantile") else span


def _aggregate(node: Aggregate, of: Interval, reading: IntervalReading) -> Interval:
    low, high = reading.rows(node.pool)
    if node.how == "count":
        return Interval(0 if node.per is not None or node.below else low, high)
    if node.how in ("all done", "any done"):
        if high == 0:
            return TRUE if node.how == "all done" else FALSE
        return FLAG
    if node.how in ("share", "lead"):
        return Interval(0, 1)
    if node.how == "entropy":
        return Interval(0, INFINITY)
    if node.how in ("mean", "min", "max", "first", "quantile"):
        missing = of.missing or low == 0 or node.below or node.per is not None
        if node.how in ("mean", "quantile"):
            return _rounded(of.low, of.high, missing or node.how == "quantile")
        return of._replace(missing=missing)
    if node.how == "sum":
        return _computed(min(0, _product(of.low, high)), max(0, _product(of.high, high)))
    return Interval(0, INFINITY, True)  # std


# ------------------------------------------------------------------------------ functions


#: Whole numbers below this are floats, too: results below this are exact or rounded to nearest.
_EXACT = 2**53


def _sure(low: float, high: float, *arguments: Interval) -> Interval:
    """A result that is missing only if an argument is (C37)."""
    return Interval(low, high, any(argument.missing for argument in arguments))


def _outward(bound: float, towards: float) -> float:
    """A bound that allows for the rounding of a large result."""
    if abs(bound) < _EXACT:
        return bound
    return towards if abs(bound) >= LARGEST else math.nextafter(bound, towards)


def _computed(low: float, high: float, *arguments: Interval) -> Interval:
    """A result that is missing also if it is beyond the largest number (C47)."""
    low = -INFINITY if low != low else _outward(low, -INFINITY)
    high = INFINITY if high != high else _outward(high, INFINITY)
    missing = any(argument.missing for argument in arguments)
    return Interval(low, high, missing or math.isinf(low) or math.isinf(high))


def _rounded(low: float, high: float, missing: bool) -> Interval:
    """Bounds of results that are off by a last digit, unless they are whole."""
    if math.isfinite(low) and (low != int(low) or abs(low) >= _EXACT):
        low = math.nextafter(low, -INFINITY)
    if math.isfinite(high) and (high != int(high) or abs(high) >= _EXACT):
        high = math.nextafter(high, INFINITY)
    return Interval(low, high, missing)


def _add(a: Interval, b: Interval) -> Interval:
    return _computed(a.low + b.low, a.high + b.high, a, b)


def _subtract(a: Interval, b: Interval) -> Interval:
    return _computed(a.low - b.high, a.high - b.low, a, b)


def _multiply(a: Interval, b: Interval) -> Interval:
    corners = [_product(x, y) for x in (a.low, a.high) for y in (b.low, b.high)]
    return _computed(min(corners), max(corners), a, b)


def _divide(a: Interval, b: Interval) -> Interval:
    if b.low <= 0 <= b.high:
        return ANYTHING
    corners = [0.0 if math.isinf(y) else x / y for x in (a.low, a.high) for y in (b.low, b.high)]
    return _computed(min(corners), max(corners), a, b)


def _power(a: Interval, b: Interval) -> Interval:
    if a.low < 0 or (a.low == 0 and b.low < 0):
        return ANYTHING
    try:
        corners = [float(x) ** float(y) for x in (a.low, a.high) for y in (b.low, b.high)]
    except OverflowError:
        return ANYTHING
    # Beyond 1 the power grows with the exponent, below 1 it falls: corners hold the extremes.
    result = _computed(min(corners), max(corners), a, b)
    return _rounded(*result)


def _log(a: Interval) -> Interval:
    low = math.log(a.low) if 0 < a.low < INFINITY else -INFINITY
    high = math.log(a.high) if 0 < a.high < INFINITY else INFINITY
    return _rounded(low, high, a.missing or a.low <= 0)


def _exp(a: Interval) -> Interval:
    def at(x: float) -> float:
        try:
            return math.exp(x)
        except OverflowError:
            return INFINITY

    return _rounded(*_computed(at(a.low), at(a.high), a))


def _sqrt(a: Interval) -> Interval:
    low = math.sqrt(a.low) if 0 < a.low < INFINITY else 0.0
    high = math.sqrt(max(0.0, a.high))
    return Interval(low, high, a.missing or a.low < 0)


def _remainder(a: Interval, b: Interval) -> Interval:
    if b.low <= 0:
        return ANYTHING
    if b.high == INFINITY:
        return Interval(0, INFINITY, True)
    return _computed(0, b.high, a, b)


def _erf(a: Interval) -> Interval:
    return Interval(*_rounded(math.erf(a.low), math.erf(a.high), a.missing))


def _abs(a: Interval) -> Interval:
    least = 0 if a.low <= 0 <= a.high else min(abs(a.low), abs(a.high))
    return _sure(least, max(abs(a.low), abs(a.high)), a)


def _least(a: Interval, b: Interval) -> Interval:
    return _sure(min(a.low, b.low), min(a.high, b.high), a, b)


def _greatest(a: Interval, b: Interval) -> Interval:
    return _sure(max(a.low, b.low), max(a.high, b.high), a, b)


def _when(condition: Interval, then: Interval, otherwise: Interval) -> Interval:
    if condition.low >= 1 and not condition.missing:
        return then
    return otherwise if condition.high <= 0 else then.join(otherwise)


def _flag(sure: bool, possible: bool, *arguments: Interval) -> Interval:
    """A comparison: false whenever an argument is missing (C37)."""
    missing = any(argument.missing for argument in arguments)
    return Interval(1 if sure and not missing else 0, 1 if possible else 0)


def _equal(a: Interval, b: Interval) -> Interval:
    sure = a.low == a.high == b.low == b.high
    return _flag(sure, a.low <= b.high and b.low <= a.high, a, b)


def _truth(a: Interval) -> Interval:
    """A flag, where missing is false."""
    return Interval(1 if a.low >= 1 and not a.missing else 0, 0 if a.high <= 0 else 1)


def _not(a: Interval) -> Interval:
    flag = _truth(a)
    return Interval(1 - flag.high, 1 - flag.low)


def _and(a: Interval, b: Interval) -> Interval:
    return _least(_truth(a), _truth(b))


def _or(a: Interval, b: Interval) -> Interval:
    return _greatest(_truth(a), _truth(b))


_FUNCTIONS: dict[str, Callable[..., Interval]] = {
    "+": _add,
    "-": _subtract,
    "*": _multiply,
    "/": _divide,
    "**": _power,
    "neg": lambda a: _sure(-a.high, -a.low, a),
    "==": _equal,
    "<": lambda a, b: _flag(a.high < b.low, a.low < b.high, a, b),
    "<=": lambda a, b: _flag(a.high <= b.low, a.low <= b.high, a, b),
    ">": lambda a, b: _flag(a.low > b.high, a.high > b.low, a, b),
    ">=": lambda a, b: _flag(a.low >= b.high, a.high >= b.low, a, b),
    "and": _and,
    "or": _or,
    "not": _not,
    "if": _when,
    "has": lambda a: Interval(0 if a.missing else 1, 1),
    "log": _log,
    "exp": _exp,
    "sqrt": _sqrt,
    "remainder": _remainder,
    "erf": _erf,
    "floor": lambda a: _sure(_floor(a.low), _floor(a.high), a),
    "ceil": lambda a: _sure(_ceil(a.low), _ceil(a.high), a),
    "abs": _abs,
    "clip": lambda x, low, high: _greatest(low, _least(x, high)),
    "least": _least,
    "greatest": _greatest,
}
