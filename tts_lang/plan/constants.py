"""Expressions of constants, computed as the executor would (`tts_lang.values`)."""

from __future__ import annotations

import tts_lang.values as values
from tts_lang.plan.expr import Apply, Const, Expr, Scalar


class NotConstant(Exception):
    """The expression depends on something that is known only when the strategy runs."""


def fold(function: str, *arguments: Expr) -> Expr:
    """`Apply`, or its value if every argument is a constant and the value the same everywhere."""
    constants = [argument.value for argument in arguments if isinstance(argument, Const)]
    if len(constants) < len(arguments) or not values.foldable(function, constants):
        return Apply(function, arguments)
    return Const(values.apply(function, constants))


def constant(expression: Expr) -> Scalar:
    """The value of an expression of constants; `NotConstant` for any other."""
    if isinstance(expression, Const):
        return expression.value
    if isinstance(expression, Apply):
        arguments = [constant(each) for each in expression.arguments]
        result: Scalar = values.apply(expression.function, arguments)
        return result
    raise NotConstant


def literal_number(expression: Expr | None) -> float | None:
    """The number that an expression is, if it is a literal."""
    if isinstance(expression, Const) and isinstance(expression.value, int | float):
        return expression.value
    return None


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
