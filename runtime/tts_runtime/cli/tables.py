"""The table at the end of `tts-run`, for terminals of any width."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tts_lang.explain.units import counted, rounded, short, span
from tts_lang.printable import printable
from tts_runtime.runs.results import Summary, accuracy_over
from tts_runtime.stats.paired import PairedComparison, p_shown

#: Columns dropped on a narrow terminal, in this order; `--json` has them all.
DROPPED: Final = ("prompt tokens", "FLOPs", "scorer tokens", "95 % interval")

#: Characters that names keep, if they need them, before a column is dropped; and in any case.
_NAME: Final = 20
_LEAST: Final = 8
_GAP: Final = 2

#: Parts of a name, between which it is wrapped.
_PARTS: Final = re.compile(r" ?\([^)]*\)|[^][, ]*[][, ]|[^][, ]+")


@dataclass(frozen=True, slots=True)
class TableColumn:
    """A title and one cell per row; neither is ever truncated."""

    title: str
    cells: Sequence[str]

    @property
    def lines(self) -> tuple[str, str]:
        """The title in two lines."""
        first, _, last = self.title.rpartition(" ")
        return first, last

    @property
    def width(self) -> int:
        return max(map(len, (*self.lines, *self.cells)))


def table(summaries: Sequence[Summary], width: int | None = None) -> str:
    """One row per strategy: accuracy with its 95 % interval, costs per problem.

    Args:
        width: Characters per line; unlimited if absent. On a narrow terminal names are wrapped and
            columns dropped in the order of `DROPPED`; the last line names them.
    """
    names = [
        printable(each.strategy) + (f" ({each.failed} failed)" * (each.failed > 0))
        for each in summaries
    ]
    return laid_out("strategy", names, _columns(summaries), DROPPED, width)


def captions(summaries: Sequence[Summary]) -> list[str]:
    """The lines below the table that explain its columns."""
    seeds = " and seed" * any(each.trials != each.problems for each in summaries)
    return [
        f"tokens and FLOPs: mean per problem{seeds} of what the strategy needs, each prompt, token "
        "and step counted once (docs/semantics.md, C66)",
        *accuracy_over(summaries),
    ]


def comparison_table(comparisons: Sequence[PairedComparison], width: int | None = None) -> str:
    """One row per comparison with one strategy, the same for all; `width` as in `table`."""
    against = printable(comparisons[0].right)
    columns = [
        TableColumn(
            "difference", [rounded(100 * each.difference, sign="+") for each in comparisons]
        ),
        TableColumn("95 % interval", [_points(each.low, each.high) for each in comparisons]),
        TableColumn("won lost", [f"{each.left_only} : {each.right_only}" for each in comparisons]),
        TableColumn("p", [p_shown(each.adjusted) for each in comparisons]),
        TableColumn("verdict", [each.verdict.value for each in comparisons]),
    ]
    names = [printable(each.left) for each in comparisons]
    return laid_out(f"against {against}", names, columns, ("won lost", "95 % interval"), width)


def comparison_caption(comparisons: Sequence[PairedComparison]) -> str:
    """The line below: on what, by which methods."""
    trials = {each.trials for each in comparisons}
    several = (
        f", adjusted for {len(comparisons)} comparisons (Holm)" if len(comparisons) > 1 else ""
    )
    seeds = " and seeds" * any(each.trials != each.problems for each in comparisons)
    return (
        f"difference: points of accuracy, on {span(trials, 'answer')} to the same problems{seeds}; "
        "interval: bootstrap over problems; "
        f"p: exact sign-flip test (McNemar){several}; `cannot tell`: p is 0.05 or more"
    )


def _points(low: float, high: float) -> str:
    return f"{rounded(100 * low, 0, '+')} to {rounded(100 * high, 0, '+')}"


def laid_out(
    title: str,
    names: Sequence[str],
    columns: list[TableColumn],
    dropped: Sequence[str],
    width: int | None,
) -> str:
    """A table of any columns: see `table`."""
    longest = max(map(len, (title, *names)))
    left_out: list[str] = []
    room = longest
    if width is not None:
        for dropped_title in (*dropped, None):
            room = width - 1 - sum(column.width + _GAP for column in columns)
            if room >= min(longest, _NAME) or dropped_title is None:
                break
            columns = [column for column in columns if column.title != dropped_title]
            left_out.append(dropped_title)
        room = max(_LEAST, min(longest, room))
    *above, heading = _pieces(title, room)
    lines = [
        *(f" {piece}" for piece in above),
        _line("", [column.lines[0] for column in columns], columns, room),
        _line(heading, [column.lines[1] for column in columns], columns, room),
    ]
    if not lines[-2]:
        del lines[-2]
    lines.append(" " + "─" * (max(map(len, lines)) - 1))
    for row, name in enumerate(names):
        first, *others = _pieces(name, room)
        lines.append(_line(first, [column.cells[row] for column in columns], columns, room))
        lines += [f"   {piece}" for piece in others]
    if width is not None and left_out:
        remark = f"omitted, the terminal is too narrow: {', '.join(left_out)}"
        lines += textwrap.wrap(remark, max(_LEAST, width), break_on_hyphens=False)
    return "\n".join(lines)


def percent(value: float | None) -> str:
    """A share in the cells of a table."""
    return "-" if value is None else f"{rounded(100 * value)} %"


def interval(low: float, high: float) -> str:
    """An interval of a share in the cells of a table."""
    return f"{rounded(100 * low, 0)} - {rounded(100 * high, 0)}"


def _columns(summaries: Sequence[Summary]) -> list[TableColumn]:
    counts = [max(1, each.trials - each.failed) for each in summaries]

    def means(name: str) -> list[str]:
        totals = [getattr(each, name) for each in summaries]
        return [f"{total / count:,.0f}" for total, count in zip(totals, counts, strict=True)]

    flops = [
        "unknown" if each.flops is None else short(each.flops / count)
        for each, count in zip(summaries, counts, strict=True)
    ]
    return [
        TableColumn("accuracy", [_percent(each) for each in summaries]),
        TableColumn("95 % interval", [_interval(each) for each in summaries]),
        TableColumn("policy tokens", means("policy_tokens")),
        TableColumn("prompt tokens", means("prompt_tokens")),
        TableColumn("scorer tokens", means("scorer_tokens")),
        TableColumn("FLOPs", flops),
    ]


def _percent(summary: Summary) -> str:
    return "not graded" if summary.accuracy is None else percent(summary.accuracy)


def _interval(summary: Summary) -> str:
    low, high = summary.accuracy_low, summary.accuracy_high
    return "" if low is None or high is None else interval(low, high)


def _line(name: str, cells: Sequence[str], columns: Sequence[TableColumn], room: int) -> str:
    parts = [name.ljust(room)]
    parts += [cell.rjust(column.width) for cell, column in zip(cells, columns, strict=True)]
    return (" " + (" " * _GAP).join(parts)).rstrip()


def _pieces(name: str, room: int) -> list[str]:
    """A name wrapped between its parts, lines after the first indented by two.

    Only a part that is longer than a line is split.
    """
    pieces = [""]
    for part in _PARTS.findall(name):
        most = room - 2 * (len(pieces) > 1)
        if pieces[-1] and len((pieces[-1] + part).rstrip()) > most:
            pieces.append("")
            most = room - 2
        pieces[-1] += part.lstrip() if not pieces[-1] else part
        while len(pieces[-1].rstrip()) > most:
            pieces[-1:] = [pieces[-1][:most], pieces[-1][most:]]
            most = room - 2
    return pieces


def run_line(summary: Summary) -> str:
    """The time of the whole run, and the work of its engines."""
    work, seconds = summary.engines, summary.wall_s
    time = f"{seconds:,.0f} s" if seconds >= 100 else f"{seconds:.1f} s"
    drawn = f"engines drew {work.policy_tokens + work.cancelled_tokens:,} tokens"
    if work.cancelled_calls:
        drawn += f" ({counted(work.cancelled_calls, 'request')} cancelled)"
    parts = [f"{drawn} and processed {work.prompt_tokens:,} prompt and path tokens"]
    if work.scorer_calls:
        parts.append(f"scorers processed {work.scorer_tokens:,}")
    if work.speculated_tokens:
        parts.append(f"{work.speculated_tokens:,} ran ahead, {work.wasted_tokens:,} of them wasted")
    return f"the run: {time}; {', '.join(parts)}"
