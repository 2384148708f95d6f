"""Arithmetic on constants, as the executor would do it (missing spreads as C37 says)."""

from __future__ import annotations

import math
from collections.abc import Callable

from tts_lang.plan.expr import Apply, Const, Expr, Scalar

# exp and log come from one pinned implementation when a plan runs (C44), so their values are not
# baked into plans; `**` of fractions is computed from them.
_NOT_FOLDED = frozenset({"log", "exp"})

# Whole numbers beyond this many bits would only slow the compiler down.
_WIDEST = 1024


class NotConstant(Exception):
    """The expression depends on something that is known only when the strategy runs."""


def fold(function: str, *arguments: Expr) -> Expr:
    """`Apply`, or its value if every argument is a constant."""
    made = Apply(function, arguments)
    if not all(isinstance(argument, Const) for argument in arguments):
        return made
    if function in _NOT_FOLDED:
        return made
    values = [argument.value for argument in arguments if isinstance(argument, Const)]
    if function == "**" and not all(isinstance(value, int) for value in values):
        return made
    return Const(apply(function, values))


def constant(expression: Expr) -> Scalar:
    """The value of an expression of constants; `NotConstant` for any other."""
    if isinstance(expression, Const):
        return expression.value
    if isinstance(expression, Apply):
        return apply(expression.function, [constant(each) for each in expression.arguments])
    raise NotConstant


def is_constant(expression: Expr) -> bool:
    """Whether `constant` gives a value."""
    try:
        constant(expression)
    except NotConstant:
        return False
    return True


def whole(expression: Expr) -> bool:
    """Whether a number is certainly whole, so that a count needs no rounding."""
    if isinstance(expression, Const):
        return isinstance(expression.value, int)
    if isinstance(expression, Apply):
        if expression.function in {"floor", "ceil"}:
            return True
        if expression.function in {"+", "-", "*", "neg", "abs", "least", "greatest"}:
            return all(whole(each) for each in expression.arguments)
    return getattr(expression, "how", None) == "count"


def apply(function: str, values: list[Scalar]) -> Scalar:
    """One function of the plan's expressions on values; `None` is missing."""
    if function == "has":
        return values[0] is not None
    if function == "if":
        return values[1] if values[0] else values[2]
    if function in _LOGIC:
        return _LOGIC[function](values)
    if function in _COMPARISONS:
        if any(value is None for value in values):
            return False
        return _COMPARISONS[function](*values)
    if any(value is None for value in values):
        return None
    try:
        result = _ARITHMETIC[function](*values)
    except (ArithmeticError, ValueError):
        return None
    return _tidy(result)


def _tidy(result: Scalar | complex) -> Scalar:
    if isinstance(result, complex):
        return None
    if isinstance(result, float) and not math.isfinite(result):
        return None
    if isinstance(result, int) and result.bit_length() > _WIDEST:
        return None
    return result


def _divide(left: float, right: float) -> float:
    if isinstance(left, int) and isinstance(right, int) and right != 0 and left % right == 0:
        return left // right
    return left / right


def _power(base: float, exponent: float) -> Scalar | complex:
    if isinstance(base, int) and isinstance(exponent, int) and exponent >= 0:
        if base.bit_length() * exponent > _WIDEST:
            return None
        return int(base**exponent)
    result: float | complex = base**exponent
    return result


def _odds(x: float) -> float:
    return x / (1 - x)


def _clip(x: float, low: float, high: float) -> float:
    return max(low, min(x, high))


_LOGIC: dict[str, Callable[[list[Scalar]], bool]] = {
    "and": lambda values: bool(values[0]) and bool(values[1]),
    "or": lambda values: bool(values[0]) or bool(values[1]),
    "not": lambda values: not values[0],
}
_COMPARISONS: dict[str, Callable[..., bool]] = {
    "==": lambda left, right: left == right,
    "!=": lambda left, right: left != right,
    "<": lambda left, right: left < right,
    "<=": lambda left, right: left <= right,
    ">": lambda left, right: left > right,
    ">=": lambda left, right: left >= right,
    "ends with": lambda text, end: text.endswith(end),
    "contains": lambda text, part: part in text,
}
_ARITHMETIC: dict[str, Callable[..., Scalar | complex]] = {
    "+": lambda left, right: left + right,
    "-": lambda left, right: left - right,
    "*": lambda left, right: left * right,
    "/": _divide,
    "**": _power,
    "neg": lambda x: -x,
    "log": math.log,
    "exp": math.exp,
    "sqrt": math.sqrt,
    "floor": math.floor,
    "ceil": math.ceil,
    "abs": abs,
    "clip": _clip,
    "odds": _odds,
    "least": min,
    "greatest": max,
}
