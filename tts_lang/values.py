"""Every function on the values of strategies, once (C33, C37, C44, C47).

A value is a number, a text, a flag or missing (`None`). The checker folds constants with these
functions, the optimiser with the same ones, EXPLAIN expects by them and the executor runs them. The
intervals of `explain/interval.py` are tested against them.

A number is a whole number or a float, finite and at most `sys.float_info.max` from 0. Whole numbers
are exact. What has no such result is missing: an overflow, a division by 0, the logarithm of 0. So
is a text of more than `LONGEST_TEXT` characters. Infinity and NaN are no values: where they come
in, they count as missing. Every function is total and takes bounded time and memory.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any, Final

from tts_lang.regex import RegexError, compiled

#: The largest number, as a whole number.
LARGEST: Final = int(sys.float_info.max)
#: Characters of the longest text that `+` makes.
LONGEST_TEXT: Final = 1_000_000
#: Computed when a plan runs: libraries differ in the last digit, so plans do not hold the result.
AT_RUN_TIME: Final = frozenset(("log", "exp", "erf"))


def is_number(value: object) -> bool:
    """Whether a value is a number of the language: finite, and no flag."""
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= LARGEST


def number(value: object) -> Any:
    """The value if it is a number, else missing."""
    return value if is_number(value) else None


def apply(function: str, arguments: Sequence[Any]) -> Any:
    """The value of a function of `plan.expr.FUNCTIONS`."""
    return FUNCTIONS[function](*arguments)


def foldable(function: str, arguments: Sequence[Any]) -> bool:
    """Whether the result for these arguments is the same on every machine."""
    if function == "**":
        return not any(isinstance(argument, float) for argument in arguments)
    return function not in AT_RUN_TIME


# ------------------------------------------------------------------------------ functions


def _arithmetic(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` on numbers; missing where an argument or the result is no number."""

    def total(*arguments: Any) -> Any:
        for argument in arguments:
            if not is_number(argument):
                return None
        try:
            return number(function(*arguments))
        except (ArithmeticError, ValueError):
            return None

    return total


_add_numbers = _arithmetic(lambda a, b: a + b)


def _add(a: Any, b: Any) -> Any:
    if isinstance(a, str) and isinstance(b, str):
        return a + b if len(a) + len(b) <= LONGEST_TEXT else None
    return _add_numbers(a, b)


def _divide(a: float, b: float) -> float:
    if isinstance(a, int) and isinstance(b, int) and a % b == 0:
        return a // b
    return a / b


def _power(a: Any, b: Any) -> Any:
    whole = isinstance(a, int) and isinstance(b, int)
    if whole and b > 0 and (abs(a).bit_length() - 1) * b >= sys.float_info.max_exp:
        return None  # at least 2 ** 1024: not computed
    return a**b


def _comparable(a: Any, b: Any) -> bool:
    return (is_number(a) and is_number(b)) or (isinstance(a, str) and isinstance(b, str))


def _ordered(function: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    return lambda a, b: _comparable(a, b) and function(a, b)


def _there(value: Any) -> bool:
    """Neither missing nor a float that is no number."""
    return value is not None and not (isinstance(value, float) and not math.isfinite(value))


def _text_test(function: Callable[[str, str], bool]) -> Callable[[Any, Any], bool]:
    return lambda a, b: isinstance(a, str) and isinstance(b, str) and function(a, b)


def _extract(pattern: Any, text: Any) -> str | None:
    if not isinstance(pattern, str) or not isinstance(text, str):
        return None
    try:
        return compiled(pattern).extract(text)
    except RegexError:  # of a plan that no compiler made
        return None


#: `12`, `-1,234.5`, `.5e-3`, `45%`; the longest number has 309 digits.
_NUMBER: Final = re.compile(
    r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d+)?(?:[eE][-+]?\d+)?%?", re.ASCII
)


def text_number(text: Any) -> Any:
    """The number that a text spells, without surrounding white space; else missing (C76)."""
    if not isinstance(text, str) or len(text) > 1_000:
        return None
    stripped = text.strip().replace("\u2212", "-")
    if _NUMBER.fullmatch(stripped) is None or not any(map(str.isdigit, stripped)):
        return None
    plain = stripped.removesuffix("%").replace(",", "")
    try:
        result = number(int(plain) if plain.lstrip("+-").isdigit() else float(plain))
    except ValueError:
        return None
    return result if result is None or not stripped.endswith("%") else _divide(result, 100)


#: Every function of `plan.expr.FUNCTIONS`. The executor leaves arguments of `and`, `or` and `if`
#: that decide nothing unevaluated, which changes no value.
FUNCTIONS: Final[Mapping[str, Callable[..., Any]]] = {
    "+": _add,
    "-": _arithmetic(lambda a, b: a - b),
    "*": _arithmetic(lambda a, b: a * b),
    "/": _arithmetic(_divide),
    "**": _arithmetic(_power),
    "neg": _arithmetic(lambda a: -a),
    "==": lambda a, b: _there(a) and _there(b) and bool(a == b),
    "!=": lambda a, b: _there(a) and _there(b) and bool(a != b),
    "<": _ordered(lambda a, b: a < b),
    "<=": _ordered(lambda a, b: a <= b),
    ">": _ordered(lambda a, b: a > b),
    ">=": _ordered(lambda a, b: a >= b),
    "and": lambda a, b: a is True and b is True,
    "or": lambda a, b: a is True or b is True,
    "not": lambda a: a is not True,
    "if": lambda condition, then, otherwise: then if condition is True else otherwise,
    "has": _there,
    "ends with": _text_test(lambda text, end: text.endswith(end)),
    "contains": _text_test(lambda text, part: part in text),
    "extract": _extract,
    "number": text_number,
    "log": _arithmetic(math.log),
    "exp": _arithmetic(math.exp),
    "sqrt": _arithmetic(math.sqrt),
    "floor": _arithmetic(math.floor),
    "ceil": _arithmetic(math.ceil),
    "abs": _arithmetic(abs),
    "clip": _arithmetic(lambda x, low, high: max(low, min(x, high))),
    "odds": _arithmetic(lambda x: _divide(x, 1 - x)),
    "remainder": _arithmetic(lambda a, b: a % b),
    "erf": _arithmetic(math.erf),
    "least": _arithmetic(min),
    "greatest": _arithmetic(max),
}


# ------------------------------------------------------------------------------ many numbers


def present(values: Sequence[Any]) -> list[Any]:
    """The numbers that are not missing."""
    return [value for value in values if _there(value)]


def _exact(numbers: Sequence[float]) -> Fraction:
    return sum(map(Fraction, numbers), Fraction(0))


def _rounded(exact: Fraction) -> float | None:
    try:
        return float(exact)
    except OverflowError:
        return None


def total(numbers: Sequence[float]) -> float | None:
    """The exact sum, rounded once; missing beyond the largest number."""
    try:
        return math.fsum(numbers)
    except OverflowError:  # perhaps only on the way
        return _rounded(_exact(numbers)) if all(map(is_number, numbers)) else None
    except ValueError:  # of both infinities
        return None


def votes(weights: Sequence[float]) -> float:
    """The weight of a vote's class: the sum, or the largest number if it is beyond that."""
    cast = total(weights)
    return sys.float_info.max if cast is None else cast


def mean(numbers: Sequence[float]) -> float | None:
    """The exact mean, rounded once; missing for none, or if one is no number."""
    size = len(numbers)
    if not size:
        return None
    try:
        guess = math.fsum(numbers) / size
    except (OverflowError, ValueError):
        guess = math.inf
    if not guess:
        return guess  # so is the sum, or too small to be anything else
    if 1e-280 < abs(guess) < 1e280 and size < 2**26:
        if not size & (size - 1):
            return guess  # halving is exact
        # The guess in two parts, so that each times the size is exact (Dekker 1971).
        split = 134217729.0 * guess
        high = split - (split - guess)
        off = math.fsum((*numbers, -high * size, (high - guess) * size)) / size
        low, high = guess + off * (1 - 1e-15), guess + off * (1 + 1e-15)
        if low == high:  # else it is between two numbers, too close to say
            return low
    try:
        return float(_exact(numbers) / size)
    except (OverflowError, ValueError):  # infinite, not one, or beyond the largest number
        return None


def std(numbers: Sequence[float]) -> float | None:
    """Population standard deviation."""
    middle = mean(numbers)
    if middle is None:
        return None
    try:
        return math.sqrt(math.fsum((x - middle) ** 2 for x in numbers) / len(numbers))
    except OverflowError:
        scale = max(map(abs, numbers))
        inner = std([x / scale for x in numbers])
        return None if inner is None else number(inner * scale)


def quantile(numbers: Sequence[float], q: float) -> float | None:
    """Linear interpolation between order statistics, type 7 of Hyndman and Fan 1996."""
    if not numbers or not 0 <= q <= 1:
        return None
    ordered = sorted(numbers)
    place = (len(ordered) - 1) * q
    below = math.floor(place)
    low, high = ordered[below], ordered[min(below + 1, len(ordered) - 1)]
    step = _add_numbers(high, -low)
    if step is None:  # the two are too far apart
        return _rounded(Fraction(low) + (Fraction(high) - Fraction(low)) * Fraction(place - below))
    result: float = low + step * (place - below)
    return result


#: Aggregates over the values that are not missing; `sum` of none is 0, the others are missing.
AGGREGATES: Final[Mapping[str, Callable[[Sequence[float]], float | None]]] = {
    "mean": mean,
    "sum": total,
    "min": lambda numbers: min(numbers, default=None),
    "max": lambda numbers: max(numbers, default=None),
    "std": std,
}

#: Reductions of a step vector; `last` and `first` may be missing themselves.
REDUCTIONS: Final[Mapping[str, Callable[[Sequence[Any]], Any]]] = {
    "last": lambda vector: number(vector[-1]) if vector else None,
    "first": lambda vector: number(vector[0]) if vector else None,
    "min": lambda vector: min(present(vector), default=None),
    "max": lambda vector: max(present(vector), default=None),
    "mean": lambda vector: mean(present(vector)),
    "prod": lambda vector: number(math.prod(present(vector))) if present(vector) else None,
    "sum": lambda vector: total(present(vector)) if present(vector) else None,
}


def _extreme(vector: Sequence[Any], choose: Callable[..., float]) -> int | None:
    """The index of the first step that has the chosen one of the scores."""
    there = present(vector)
    return list(vector).index(choose(there)) if there else None


def _first_below(vector: Sequence[Any], limit: Any) -> int | None:
    if not is_number(limit):
        return None
    below = (place for place, score in enumerate(vector) if _there(score) and score < limit)
    return next(below, len(vector))


def _nth(vector: Sequence[Any], place: Any) -> Any:
    if not is_number(place) or not 0 <= place < len(vector):
        return None
    return number(vector[math.floor(place)])


#: `plan.expr.STEP_FUNCTIONS` of a step vector and an argument (C68).
STEP_FUNCTIONS: Final[Mapping[str, Callable[..., Any]]] = {
    "argmin": lambda vector, _: _extreme(vector, min),
    "argmax": lambda vector, _: _extreme(vector, max),
    "first_below": _first_below,
    "nth": _nth,
    "quantile": lambda vector, q: quantile(present(vector), q) if is_number(q) else None,
}


def reduce_steps(how: str, vector: Sequence[Any], argument: Any = None) -> Any:
    """One number of a step vector, by a reduction or another function of steps."""
    reduction = REDUCTIONS.get(how)
    return STEP_FUNCTIONS[how](vector, argument) if reduction is None else reduction(vector)


def first_steps(vector: Sequence[Any], many: Any) -> Sequence[Any]:
    """The first scores, that many of them; none where the number is missing."""
    return vector[: max(0, math.floor(many))] if is_number(many) else ()


# ------------------------------------------------------------------------------ votes and pools


def softmax(numbers: Sequence[float | None], temperature: float) -> list[float]:
    """Shifted by the maximum; missing weighs 0."""
    floats = [None if x is None else float(x) for x in numbers]
    top = max((x for x in floats if x is not None), default=None)
    if top is None:
        return [0.0 for _ in numbers]
    powers = [0.0 if x is None else math.exp((x - top) / temperature) for x in floats]
    whole = math.fsum(powers)
    return [power / whole for power in powers]


def in_turn(numbers: Sequence[float | None]) -> tuple[float, ...] | None:
    """A sort key of several numbers, missing ones last; missing if all are (C75)."""
    if all(number is None for number in numbers):
        return None
    return tuple(-math.inf if number is None else number for number in numbers)


def ranks(numbers: Sequence[Any]) -> list[int | None]:
    """1 for the largest, equal numbers (or numbers `in_turn`) share a rank; missing has none."""
    ordered = sorted((number for number in numbers if number is not None), reverse=True)
    place: dict[Any, int] = {}
    for rank, number in enumerate(ordered, 1):
        place.setdefault(number, rank)
    return [None if number is None else place[number] for number in numbers]


def _shares(classes: Sequence[float]) -> list[float]:
    """Each class's share of all votes; empty if none was cast."""
    cast = total(classes)
    if cast is None:
        exact = _exact(classes)
        return [float(Fraction(votes) / exact) for votes in classes]
    return [votes / cast for votes in classes] if cast > 0 else []


def share(classes: Sequence[float]) -> float:
    """The leading class's part of all votes cast."""
    return max(_shares(classes), default=0)


def entropy(classes: Sequence[float]) -> float:
    """Of the classes' shares, in nats."""
    shares = [part for part in _shares(classes) if part > 0]
    return -math.fsum(part * math.log(part) for part in shares) if shares else 0


#: Votes up to which `lead` adds up binomials, and up to which it uses the continued fraction.
_BINOMIAL, _FRACTION = 4096, 100_000


def lead(classes: Sequence[float]) -> float:
    """P(X > 1/2), X ~ Beta(v1 + 1, v2 + 1), v1 and v2 the votes of the two leading classes.

    Adaptive consistency (Aggarwal et al. 2023). Whole votes: the exact binomial sum
    P(Binomial(v1 + v2 + 1, 1/2) <= v1); weighted or many votes: the incomplete beta function.
    """
    if not classes:
        return 0.0
    first, second = sorted([*map(float, classes), 0.0], reverse=True)[:2]
    if first + second > _FRACTION:
        return 1.0 - _many_votes(first, second)
    if first + second <= _BINOMIAL and first.is_integer() and second.is_integer():
        trials = int(first) + int(second) + 1
        ways = sum(math.comb(trials, successes) for successes in range(int(first) + 1))
        return float(Fraction(ways, 2**trials))
    return _beta_cdf_at_half(second + 1, first + 1)


def _beta_cdf_at_half(a: float, b: float) -> float:
    """I(1/2; a, b), by its continued fraction (Lentz's method, Press et al., section 6.4)."""
    if (a + 1) / (a + b + 2) < 0.5:
        return 1.0 - _beta_cdf_at_half(b, a)
    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + (a + b) * math.log(0.5)
    tiny = 1e-300
    c, d = 1.0, 1.0 - (a + b) * 0.5 / (a + 1)
    d = 1.0 / (d if abs(d) > tiny else tiny)
    value = d
    for m in range(1, 10_000):
        for numerator in (
            m * (b - m) * 0.5 / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * 0.5 / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1.0 + numerator * d
            d = 1.0 / (d if abs(d) > tiny else tiny)
            c = 1.0 + numerator / c
            c = c if abs(c) > tiny else tiny
            value *= c * d
        if abs(c * d - 1.0) < 1e-16:
            break
    return math.exp(log_front) * value / a


def _many_votes(first: float, second: float) -> float:
    """I(1/2; first + 1, second + 1) for many votes (Temme 1982, the first two terms)."""
    most = max(first, second)  # scaled by it, so that nothing overflows
    a, b = first / most + 1 / most, second / most + 1 / most
    n = a + b
    u = (first - second) / most / n
    if u > 0.1:
        return 0.0  # less than any float tells apart from 0
    if abs(u) < 1e-2:  # the series, since the logarithms cancel
        half = u * u * (0.5 + u * u / 12 + u**4 / 30)
        correction = -5 * u / 12
    else:
        half = 0.5 * ((1 + u) * math.log1p(u) + (1 - u) * math.log1p(-u))
        correction = math.sqrt(1 - u * u) / u - 1 / math.copysign(math.sqrt(2 * half), u)
    z = n * half * most
    tail = 0.5 * math.erfc(math.copysign(math.sqrt(z), u))
    return tail + math.exp(-z) / math.sqrt(2 * math.pi * n * most) * correction


#: Over the weights of vote classes.
CLASSES: Final[Mapping[str, Callable[[Sequence[float]], float]]] = {
    "share": share,
    "lead": lead,
    "entropy": entropy,
}
