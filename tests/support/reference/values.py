"""Functions and aggregates of the expression language, one line each where that is possible."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from tests.support.reference.model import Value, Vector


def number(value: Value) -> float | int | None:
    """A value as a number; missing stays missing."""
    if value is None:
        return None
    assert not isinstance(value, str), value
    return value


def truth(value: Value) -> bool:
    """A condition; missing is false (C37)."""
    return value is True


def compare(operator: str, left: Value, right: Value) -> bool:
    """Comparisons with missing are false (C37)."""
    if left is None or right is None:
        return False
    if operator == "==":
        return left == right
    if operator == "!=":
        return left != right
    if operator == "contains":
        return str(right) in str(left)
    if operator == "ends with":
        return str(left).endswith(str(right))
    a: Any = left
    b: Any = right
    if not isinstance(a, str):
        a, b = number(left), number(right)
    return bool({"<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b}[operator])


def of_text(function: str, given: Sequence[Value]) -> Value:
    """What a regular expression finds, by backtracking, and the number that a text is."""
    if any(value is None for value in given):
        return None
    if function == "extract":
        found = re.search(str(given[0]), str(given[1]), re.ASCII)
        return None if found is None else found[min(1, found.re.groups)]
    written = str(given[0]).strip()
    return int(written) if re.fullmatch("-?[0-9]+", written) else None


def arithmetic(function: str, given: Sequence[Value]) -> Value:
    """Arithmetic: a missing argument, or a result that does not exist, is missing (C37)."""
    if any(value is None for value in given):
        return None
    if function == "+" and isinstance(given[0], str):
        return given[0] + str(given[1])
    x, *rest = [value for value in map(number, given) if value is not None]
    try:
        result = _arithmetic(function, x, rest)
    except (ZeroDivisionError, ValueError, OverflowError):
        return None
    if isinstance(result, complex):
        return None
    return None if abs(result) > sys.float_info.max else result  # infinity included (C47)


def _arithmetic(function: str, x: float, rest: list[float | int]) -> complex | float | int:
    if function == "+":
        return x + rest[0]
    if function == "-":
        return x - rest[0]
    if function == "*":
        return x * rest[0]
    if function == "/":
        quotient = Fraction(x) / Fraction(rest[0])
        whole = isinstance(x, int) and isinstance(rest[0], int) and quotient.denominator == 1
        return int(quotient) if whole else x / rest[0]
    if function == "**":
        if isinstance(x, int) and isinstance(rest[0], int) and abs(x) > 1 and rest[0] > 1024:
            raise OverflowError
        power: complex | float = x ** rest[0]
        return power
    if function == "neg":
        return -x
    if function == "log":
        return math.log(x)
    if function == "exp":
        return math.exp(x)
    if function == "sqrt":
        return math.sqrt(x)
    if function == "floor":
        return math.floor(x)
    if function == "ceil":
        return math.ceil(x)
    if function == "abs":
        return abs(x)
    if function == "clip":
        return max(rest[0], min(x, rest[1]))
    if function == "remainder":
        return x % rest[0]
    if function == "erf":
        return math.erf(x)
    if function == "odds":
        return _arithmetic("/", x, [1 - x])
    if function == "least":
        return min(x, rest[0])
    if function == "greatest":
        return max(x, rest[0])
    raise AssertionError(function)


def reduction(how: str, vector: Vector) -> Value:
    """One number of a step vector; an empty vector gives missing (C33)."""
    present = [value for value in vector if value is not None]
    if not vector:
        return None
    if how == "last":
        return vector[-1]
    if how == "first":
        return vector[0]
    if not present:
        return None
    if how == "prod":
        return math.prod(present)
    return aggregate(how, present)


def of_steps(how: str, vector: Vector, argument: float | None) -> Value:
    """A function that looks for a step (C68)."""
    scored = [(score, place) for place, score in enumerate(vector) if score is not None]
    if how in ("argmin", "argmax"):
        sign = 1 if how == "argmin" else -1
        return min(((sign * score, place) for score, place in scored), default=(0, None))[1]
    if argument is None:
        return None
    if how == "first_below":
        return min([place for score, place in scored if score < argument], default=len(vector))
    if how == "nth":
        inside = 0 <= argument < len(vector)
        return vector[math.floor(argument)] if inside else None
    return quantile([score for score, _ in scored], argument)


def aggregate(how: str, present: Sequence[float | int]) -> Value:
    """Over the values that are not missing."""
    if how == "sum":
        return math.fsum(present)
    if not present:
        return None
    if how == "mean":
        return math.fsum(present) / len(present)
    if how == "min":
        return min(present)
    if how == "max":
        return max(present)
    if how == "std":
        middle = math.fsum(present) / len(present)
        return math.sqrt(math.fsum((x - middle) ** 2 for x in present) / len(present))
    raise AssertionError(how)


def quantile(present: Sequence[float | int], q: float) -> Value:
    """Linear interpolation between order statistics: type 7 (C44)."""
    if not present or not 0 <= q <= 1:
        return None
    ordered = sorted(present)
    place = (len(ordered) - 1) * q
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def share(classes: Sequence[float]) -> float:
    """The leading class's part of all votes (C44)."""
    total = math.fsum(classes)
    return max(classes) / total if total > 0 else 0


def lead(classes: Sequence[float]) -> float:
    """P(X > 1/2) for X ~ Beta(v1 + 1, v2 + 1), as a binomial sum (C44)."""
    if not classes:
        return 0
    first, second, *_ = [*sorted((int(votes) for votes in classes), reverse=True), 0]
    trials = first + second + 1
    ways = sum(math.comb(trials, successes) for successes in range(first + 1))
    return float(Fraction(ways, 2**trials))


def entropy(classes: Sequence[float]) -> float:
    """Of the classes' shares, in nats (C44)."""
    total = math.fsum(classes)
    shares = [votes / total for votes in classes if votes > 0]
    return -math.fsum(part * math.log(part) for part in shares) if shares else 0


def softmax(values: Sequence[float | None], temperature: float) -> list[float]:
    """Shifted by the maximum; missing weighs 0 (C44)."""
    present = [value for value in values if value is not None]
    if not present:
        return [0.0 for _ in values]
    top = max(present)
    powers = [0.0 if v is None else math.exp((v - top) / temperature) for v in values]
    total = math.fsum(powers)
    return [power / total for power in powers]
