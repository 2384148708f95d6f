r"""Measures in several units, and what units of one kind are worth: 2 h 30 min is 2.5 hours.

Only within one system: miles are no exact number of kilometres that anybody answers with.
"""

import re
from fractions import Fraction
from itertools import pairwise

from tts_runtime.answers.units import base_unit, dimensions

#: Per system, its units with their size in the first of them.
_SYSTEMS = (
    {"s": 1, "min": 60, "h": 3600, "day": 86400, "week": 604800},
    {"month": 1, "year": 12},
    {"mg": 1, "g": 10**3, "kg": 10**6},
    {"oz": 1, "lb": 16},
    {"mm": 1, "cm": 10, "m": 10**3, "km": 10**6},
    {"inch": 1, "ft": 12, "yd": 36, "mi": 63360},
    {"ml": 1, "l": 1000},
    {"cent": 1, "dollar": 100},
)
_SIZES = {name: (next(iter(system)), size) for system in _SYSTEMS for name, size in system.items()}
_PART = r"([0-9]+(?:\.[0-9]+)?)[\s~]*(?:\\(?:text|mathrm)\{\s*)?([A-Za-z]+)\.?(?:\s*\})?"
_BETWEEN = r"(?:[\s~,]|\\[,; ]|and\b|\\text\{\s*and\s*\})*"
_MEASURE = re.compile(rf"{_PART}(?:{_BETWEEN}{_PART})(?:{_BETWEEN}{_PART})?")


def as_one(text: str) -> str:
    """`5 feet 3 inches` in its largest unit, any other text as it is.

    Each part is less than one of the unit before it: `3 m and 500 cm` are two measures.
    """
    match = _MEASURE.fullmatch(text) if text[:1].isdigit() else None
    if match is None:
        return text
    parts = [part for part in match.groups() if part is not None]
    names = [_unit(name, parts[1::2]) for name in parts[1::2]]
    sizes = [_SIZES.get(name, ("", 0)) for name in names]
    values = [Fraction(value) * size for value, (_, size) in zip(parts[::2], sizes, strict=True)]
    one_system = len({system for system, _ in sizes}) == 1 and sizes[0][1] > 0
    less = all(value < size for (_, size), value in zip(sizes, values[1:], strict=False))
    falling = all(before[1] > after[1] for before, after in pairwise(sizes))
    if not (one_system and less and falling and parts[0].isdigit()):
        return text
    total = sum(values, Fraction()) / sizes[0][1]
    return rf"\frac{{{total.numerator}}}{{{total.denominator}}} \text{{ {names[0]}}}"


def _unit(name: str, beside: list[str]) -> str:
    """The unit that a name is beside others: `in` is no preposition, `m` may be minutes."""
    if name == "in":
        return "inch"
    times = {base_unit(other) for other in beside} & {"h", "s"}
    return "min" if name == "m" and times else base_unit(name)


def factor(unit: str, other: str) -> Fraction | None:
    """What one of a unit is in another of its kind; None if they are of two kinds, or unknown."""
    sizes = _size(unit), _size(other)
    if sizes[0] is None or sizes[1] is None or sizes[0][0] != sizes[1][0]:
        return None
    return sizes[0][1] / sizes[1][1]


def _size(unit: str) -> tuple[dict[str, int], Fraction] | None:
    """Powers of the smallest units, and the size in these."""
    powers: dict[str, int] = {}
    size = Fraction(1)
    for name, power in dimensions(unit).items():
        if name not in _SIZES:
            return None
        smallest, worth = _SIZES[name]
        powers[smallest] = powers.get(smallest, 0) + power
        size *= Fraction(worth) ** power
    return (powers, size) if powers else None
