"""A study in the terminal: accuracies on a common axis, by difficulty, differences."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tts_lang.printable import printable
from tts_runtime.report.figures import rewards
from tts_runtime.report.page import baseline_of
from tts_runtime.report.study import Study
from tts_runtime.report.tables import Cell, IntervalCell, Quantity, StudyTable, tables

#: Characters of an axis, at most and at least; on a narrower terminal there is none.
_WIDEST: Final = 72
_LEAST: Final = 16
#: Characters between columns.
_GAP: Final = 2
#: An estimate, its interval, ends of the interval, zero; and where only ASCII can be written.
_MARKS: Final = ("●", "─", "├", "┤", "│")
_PLAIN: Final = ("*", "-", "[", "]", "|")


def print_study(study: Study, baseline: str | None = None, console: Console | None = None) -> None:
    """Reads a study and prints it: colors only on a terminal, no line longer than it is wide.

    Raises:
        DirectoryError: A run cannot be read.
        KeyError: There is no strategy `baseline`.
    """
    study.open()
    study.check_begun()
    study.update(lambda _entry, _tree: None)
    out = console or Console(highlight=False, emoji=False, markup=False)
    chosen = baseline_of(study, baseline)
    marks = _MARKS if out.encoding.lower().startswith("utf") else _PLAIN
    for at, shown in enumerate(tables(study, chosen)):
        if at:
            out.print()
        out.print(Text(shown.heading, style="bold"))
        out.print(_laid_out(shown, out.width, marks))
    for line in rewards(study):
        auc = "" if line["auc"] is None else f"; right above wrong {line['auc']:.3f}"
        bias = "" if line["length"] is None else f"; score and length {line['length']:+.3f}"
        out.print(
            Text(f"{printable(line['scorer'])}: {line['candidates']:,} candidates{auc}{bias}")
        )


def _laid_out(table: StudyTable, width: int, marks: Sequence[str]) -> Table:
    """A table with the cells of `table`, beside an axis if there is room."""
    folded = 2 if table.titles[1] == "against" else 1
    names = ["\nagainst ".join(map(_words, row[:folded])) for row in table.rows]
    cells = [[_words(cell) for cell in row[folded:]] for row in table.rows]
    titles = table.titles[folded:]
    drawn = _table(table.titles[0], *titles)
    bars = [_bar(row) for row in table.rows]
    taken = sum(max(map(len, column)) + _GAP for column in zip(titles, *cells, strict=True))
    lines = [line for name in names for line in name.split("\n")]
    room = 0 if table.reach is None else _room(width, lines, taken + 2 * _GAP)
    if table.reach is not None and room:
        scale = _scale([each for each in bars if each is not None], *table.reach)
        drawn.add_column(_ruler(scale, room), no_wrap=True)
    for name, row, bar in zip(names, cells, bars, strict=True):
        if room:
            row.append("" if bar is None else _drawn(bar, scale, room, marks))
        drawn.add_row(*map(Text, [name, *row]))
    return drawn


def _words(cell: Cell) -> str:
    return "-" if cell is None else cell if isinstance(cell, str) else cell.shown


class _Bar(NamedTuple):
    """What an axis shows of a row: an estimate and the ends of its interval."""

    value: float
    low: float
    high: float


def _bar(row: Sequence[Cell]) -> _Bar | None:
    for number, ends in pairwise(row):
        if isinstance(number, Quantity) and isinstance(ends, IntervalCell):
            return _Bar(number.value, ends.low.value, ends.high.value)
    return None


def _table(first: str, *others: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="dim")
    table.add_column(first, overflow="fold", min_width=8)
    for name in others:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _room(width: int, names: Sequence[str], extra: int) -> int:
    """Characters that are left for an axis; 0 if they are too few."""
    left = width - min(max(map(len, names), default=8), width // 2) - extra
    return 0 if left < _LEAST else min(left, _WIDEST)


def _scale(bars: Sequence[_Bar], least: float, most: float) -> tuple[float, float]:
    """IntervalCell of an axis in steps of 10; one of differences has zero on it."""
    low = min((each.low for each in bars), default=least)
    high = max((each.high for each in bars), default=most)
    if least < 0:
        low, high = min(low, 0.0), max(high, 0.0)
    low, high = max(least, low // 10 * 10), min(most, -(-high // 10) * 10)
    return (low, high) if high > low else (least, most)


def _ruler(scale: tuple[float, float], room: int) -> Text:
    low, high = f"{scale[0]:.0f}", f"{scale[1]:.0f}"
    return Text(low + " " * max(1, room - len(low) - len(high)) + high, style="dim")


def _drawn(bar: _Bar, scale: tuple[float, float], room: int, marks: Sequence[str]) -> str:
    """An interval as a line with ends, the estimate as a dot on it; zero is marked."""

    def place(value: float) -> int:
        share = (value - scale[0]) / (scale[1] - scale[0])
        return max(0, min(room - 1, round(share * (room - 1))))

    dot, line, first, last, zero = marks
    cells = [" "] * room
    if scale[0] < 0 < scale[1]:
        cells[place(0)] = zero
    low, high = place(bar.low), place(bar.high)
    cells[low : high + 1] = line * (high - low + 1)
    cells[low], cells[high] = (first, last) if low < high else (line, line)
    cells[place(bar.value)] = dot
    return "".join(cells).rstrip()
