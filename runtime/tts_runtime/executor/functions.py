"""Functions and reductions of the expression language on values (C33, C37).

A value is a number, a text, a flag or missing (`None`). Arithmetic on a missing argument, and any
result that is no finite real number, is missing; comparisons with missing are false.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Final

#: Integers are kept exact up to this many bits; larger powers are computed in floating point.
_EXACT_BITS: Final = 1024


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return None if isinstance(value, complex) else value


def arithmetic(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` on numbers, missing where an argument or the result is."""

    def total(*arguments: Any) -> Any:
        if None in arguments:
            return None
        try:
            return _finite(function(*arguments))
        except (ZeroDivisionError, ValueError, OverflowError):
            return None

    return total


def _add(a: Any, b: Any) -> Any:
    if isinstance(a, str) or isinstance(b, str):
        return f"{a}{b}"
    return a + b


def _power(a: Any, b: Any) -> Any:
    if isinstance(a, int) and isinstance(b, int) and abs(a).bit_length() * abs(b) > _EXACT_BITS:
        return float(a) ** b
    return a**b


def _compare(function: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def compared(a: Any, b: Any) -> bool:
        if a is None or b is None or isinstance(a, str) != isinstance(b, str):
            return False
        return function(a, b)

    return compared


def equal(a: Any, b: Any) -> bool:
    """Equal and not missing."""
    return a is not None and b is not None and bool(a == b)


def different(a: Any, b: Any) -> bool:
    """Different and neither missing."""
    return a is not None and b is not None and bool(a != b)


#: Every function of `expr.FUNCTIONS` but `and`, `or`, `if`, which do not evaluate all arguments.
FUNCTIONS: Final[dict[str, Callable[..., Any]]] = {
    "+": arithmetic(_add),
    "-": arithmetic(lambda a, b: a - b),
    "*": arithmetic(lambda a, b: a * b),
    "/": arithmetic(lambda a, b: a / b),
    "**": arithmetic(_power),
    "neg": arithmetic(lambda a: -a),
    "==": equal,
    "!=": different,
    "<": _compare(lambda a, b: a < b),
    "<=": _compare(lambda a, b: a <= b),
    ">": _compare(lambda a, b: a > b),
    ">=": _compare(lambda a, b: a >= b),
    "not": lambda a: a is not True,
    "has": lambda a: a is not None,
    "ends with": lambda a, b: a is not None and b is not None and str(a).endswith(str(b)),
    "contains": lambda a, b: a is not None and b is not None and str(b) in str(a),
    "log": arithmetic(math.log),
    "exp": arithmetic(math.exp),
    "sqrt": arithmetic(math.sqrt),
    "floor": arithmetic(math.floor),
    "ceil": arithmetic(math.ceil),
    "abs": arithmetic(abs),
    "clip": arithmetic(lambda x, low, high: max(low, min(x, high))),
    "odds": arithmetic(lambda x: x / (1 - x)),
    "least": arithmetic(min),
    "greatest": arithmetic(max),
}


def present(values: Sequence[Any]) -> list[Any]:
    """Those that are not missing."""
    return [value for value in values if value is not None]


def mean(numbers: Sequence[float]) -> float | None:
    """Missing for none."""
    return math.fsum(numbers) / len(numbers) if numbers else None


#: Reductions of a step vector; `last` and `first` may be missing themselves.
REDUCTIONS: Final[dict[str, Callable[[Sequence[Any]], Any]]] = {
    "last": lambda vector: vector[-1] if vector else None,
    "first": lambda vector: vector[0] if vector else None,
    "min": lambda vector: min(present(vector), default=None),
    "max": lambda vector: max(present(vector), default=None),
    "mean": lambda vector: mean(present(vector)),
    "prod": lambda vector: math.prod(present(vector)) if present(vector) else None,
    "sum": lambda vector: math.fsum(present(vector)) if present(vector) else None,
}
