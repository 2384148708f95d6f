"""Numbers for people: exact ones, and short ones for the columns of a table."""

from __future__ import annotations

from collections.abc import Collection
from math import copysign

from tts_lang.explain.costs import RowRange
from tts_lang.values import LARGEST

#: Numbers are written out below this.
_LONGEST = 1e18
_SUFFIXES = ("", "k", "M", "G", "T", "P", "E", "Z", "Y")


def exact(value: float | None) -> str:
    """`16,384`; fractions to one place; a bound that does not exist is said to be so."""
    if value is None:
        return "unbounded"
    if value > LARGEST:
        return ">1e308"
    if value >= _LONGEST:
        return f"{value:.2g}".replace("e+", "e")
    whole = round(value, 1)
    return f"{int(whole):,}" if whole == int(whole) else f"{whole:,.1f}"


def rounded(value: float, places: int = 1, sign: str = "") -> str:
    """A number with that many decimal places, halves away from zero, on every screen the same.

    `63.8` for 63.75, and for what 51 / 80 gives times 100, which is a little less.

    Args:
        value: Within 1e5 of zero.
        places: Digits after the point.
        sign: `+` writes it before positive numbers, too.
    """
    return f"{value + copysign(1e-9, value):{sign}.{places}f}"


def short(value: float | None) -> str:
    """At most five characters: `9999`, `16.4k`, `1.23M`; `inf` for a bound that does not exist."""
    if value is None:
        return "inf"
    if value < 10_000:
        whole = round(value)
        return f"{whole}" if abs(value - whole) < 0.005 or value >= 999.5 else f"{value:.3g}"
    if value > LARGEST:
        return ">1e308"
    size = 0
    while value >= 999.5 and size < len(_SUFFIXES) - 1:
        value /= 1000
        size += 1
    if value >= 999.5:
        return f"{value * 1000.0**size:.0e}".replace("e+", "e")
    # `1.00M` keeps its noughts: they say how exact it is.
    places = 2 if value < 9.995 else 1 if value < 99.95 else 0
    return f"{value:.{places}f}{_SUFFIXES[size]}"


def counted(number: int, noun: str) -> str:
    """`1 answer`, `1,024 answers`."""
    return f"{number:,} {noun}" + "s" * (number != 1)


def span(numbers: Collection[int], noun: str) -> str:
    """`8 answers` if all are the same, else `3 to 8 answers`."""
    least, most = min(numbers), max(numbers)
    return ("" if least == most else f"{least:,} to ") + counted(most, noun)


def row_count(rows: RowRange | None) -> str:
    """`16` if it is always so, else `≤16`."""
    if rows is None:
        return ""
    if rows.high is None:
        return "any"
    return short(rows.high) if rows.low == rows.high else f"≤{short(rows.high)}"
