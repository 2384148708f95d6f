"""Groups of problems by difficulty: by a field, or by how often the policy solves them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tts_runtime.problems.model import Problem
from tts_runtime.stats.difficulty import ABSOLUTE, THREE, bins_of

#: Names of fields that give a level, and that give the policy's pass rate.
_LEVELS: Final = ("level", "difficulty", "difficulty_level")
_RATES: Final = ("pass_rate", "pass@1", "solve_rate")
#: Levels that can still be drawn side by side.
_MOST: Final = 8


@dataclass(frozen=True)
class Grouping:
    """Names of groups, easiest first, and the group of each problem that has one.

    Args:
        by: What it is made of, for readers.
    """

    names: Sequence[str]
    of: Mapping[str, str]
    by: str

    def size(self, name: str, problems: Iterable[str]) -> int:
        """How many of these problems are in a group."""
        return sum(self.of.get(each) == name for each in problems)


def grouping(problems: Mapping[str, Problem], measured: Mapping[str, float]) -> Grouping | None:
    """The groups of problems; `None` where nothing says how hard they are.

    Args:
        problems: By id; a field of theirs comes first.
        measured: Shares of right samples, for problems without such a field.
    """
    for field in _RATES:
        rates = {id_: _number(each.fields.get(field)) for id_, each in problems.items()}
        valid = {id_: rate for id_, rate in rates.items() if rate is not None and 0 <= rate <= 1}
        if valid:
            return by_rate(valid, f"the problem set's {field}")
    for field in _LEVELS:
        written = {id_: each.fields.get(field) for id_, each in problems.items()}
        levels = {id_: str(level) for id_, level in written.items() if level is not None}
        names = sorted(set(levels.values()), key=_order)
        if 2 <= len(names) <= _MOST:
            of = {id_: _level(field, level) for id_, level in levels.items()}
            return Grouping(
                [_level(field, name) for name in names], of, f"the problem set's {field}"
            )
    return by_rate(measured, "the samples recorded here") if measured else None


def by_rate(rates: Mapping[str, float], source: str) -> Grouping:
    """Easy, medium and hard problems by the share of the policy's samples that solve them."""
    of = {id_: THREE[at] for id_, at in bins_of(rates, ABSOLUTE).items()}
    names = [name for name in THREE if name in of.values()]
    cuts = f"easy above {ABSOLUTE[1]:.0%}, hard up to {ABSOLUTE[0]:.0%}"
    return Grouping(names, of, f"{source} ({cuts} of samples right)")


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except ValueError:
        return None


def _level(field: str, level: str) -> str:
    return f"{field} {level}" if _number(level) is not None else level


def _order(level: str) -> tuple[float, str]:
    words = {"easy": 0.0, "medium": 1.0, "hard": 2.0}
    number = _number(level.rpartition(" ")[2])
    return (words.get(level.lower(), 9.0) if number is None else number, level)
