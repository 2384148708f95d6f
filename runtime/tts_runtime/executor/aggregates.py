"""Numbers of a whole pool (C37, C44): plain ones, and those of vote classes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Final

from tts_runtime.executor.functions import mean


def std(numbers: Sequence[float]) -> float | None:
    """Population standard deviation."""
    middle = mean(numbers)
    if middle is None:
        return None
    return math.sqrt(math.fsum((x - middle) ** 2 for x in numbers) / len(numbers))


def quantile(numbers: Sequence[float], q: float) -> float | None:
    """Linear interpolation between order statistics, type 7 of Hyndman and Fan 1996."""
    if not numbers or not 0 <= q <= 1:
        return None
    ordered = sorted(numbers)
    place = (len(ordered) - 1) * q
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


#: Over the values that are not missing; `sum` of none is 0, the others are missing.
NUMBERS: Final[dict[str, Callable[[Sequence[float]], float | None]]] = {
    "mean": mean,
    "sum": math.fsum,
    "min": lambda numbers: min(numbers, default=None),
    "max": lambda numbers: max(numbers, default=None),
    "std": std,
}


def share(classes: Sequence[float]) -> float:
    """The leading class's part of all votes cast."""
    total = math.fsum(classes)
    return max(classes) / total if total > 0 else 0


def entropy(classes: Sequence[float]) -> float:
    """Of the classes' shares, in nats."""
    total = math.fsum(classes)
    shares = [votes / total for votes in classes if votes > 0]
    return -math.fsum(part * math.log(part) for part in shares) if shares else 0


def lead(classes: Sequence[float]) -> float:
    """P(X > 1/2), X ~ Beta(v1 + 1, v2 + 1), v1 and v2 the votes of the two leading classes.

    Adaptive consistency (Aggarwal et al. 2023). Whole votes: the exact binomial sum
    P(Binomial(v1 + v2 + 1, 1/2) <= v1); weighted votes: the incomplete beta function.
    """
    if not classes:
        return 0.0
    first, second = sorted([*classes, 0.0], reverse=True)[:2]
    if float(first).is_integer() and float(second).is_integer():
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


#: Over the weights of vote classes.
CLASSES: Final[dict[str, Callable[[Sequence[float]], float]]] = {
    "share": share,
    "lead": lead,
    "entropy": entropy,
}

#: What the rows themselves say.
COUNTED: Final = ("count", "first", "quantile", "all done", "any done")


def softmax(numbers: Sequence[float | None], temperature: float) -> list[float]:
    """Shifted by the maximum; missing weighs 0."""
    top = max((number for number in numbers if number is not None), default=None)
    if top is None:
        return [0.0 for _ in numbers]
    powers = [0.0 if x is None else math.exp((x - top) / temperature) for x in numbers]
    total = math.fsum(powers)
    return [power / total for power in powers]


def ranks(numbers: Sequence[float | None]) -> list[int | None]:
    """1 for the largest, equal numbers share a rank; missing has none."""
    ordered = sorted((number for number in numbers if number is not None), reverse=True)
    place: dict[float, int] = {}
    for rank, number in enumerate(ordered, 1):
        place.setdefault(number, rank)
    return [None if number is None else place[number] for number in numbers]
