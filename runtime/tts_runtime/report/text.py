"""A study in the terminal: accuracies on a common axis, by difficulty, differences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tts_lang.explain.units import rounded, short
from tts_lang.printable import printable
from tts_runtime.report.difficulty import grouping
from tts_runtime.report.estimates import Estimate, share
from tts_runtime.report.figures import comparisons, rewards
from tts_runtime.report.page import baseline_of
from tts_runtime.report.study import Entry, Study

#: Characters of an axis, at most and at least; on a narrower terminal there is none.
_WIDEST: Final = 72
_LEAST: Final = 16
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
    for block in (
        _accuracy(study, out.width, marks),
        _difficulty(study),
        _differences(study, chosen, out.width, marks),
    ):
        for each in block:
            out.print(each)
    for line in rewards(study):
        auc = "" if line["auc"] is None else f"; right above wrong {line['auc']:.3f}"
        bias = "" if line["length"] is None else f"; score and length {line['length']:+.3f}"
        out.print(
            Text(f"{printable(line['scorer'])}: {line['candidates']:,} candidates{auc}{bias}")
        )


def _heading(text: str) -> Text:
    return Text(text, style="bold")


def _accuracy(study: Study, width: int, marks: Sequence[str]) -> Iterator[Text | Table]:
    rows = [(entry, share(entry.grades())) for entry in study.entries]
    names = [printable(entry.name) + _failed(entry) for entry, _ in rows]
    estimates = [estimate for _, estimate in rows if estimate is not None]
    room = _room(width, names, extra=24)
    yield _heading(f"accuracy, %, with 95 % intervals; tokens drawn per {study.unit}")
    heads = ("strategy", "accuracy", *([] if room else ["95 %"]), "tokens")
    table = _table(*heads)
    scale = _scale(estimates, least=0.0, most=100.0)
    if room:
        table.add_column(_ruler(scale, room), no_wrap=True)
    for (entry, estimate), name in zip(rows, names, strict=True):
        tokens = entry.mean("policy_tokens")
        cells = [name, "not graded" if estimate is None else rounded(estimate.value)]
        if not room:
            cells.append(
                ""
                if estimate is None
                else f"{rounded(estimate.low, 0)}-{rounded(estimate.high, 0)}"
            )
        cells.append("-" if tokens is None else short(tokens))
        if room:
            cells.append("" if estimate is None else _drawn(estimate, scale, room, marks))
        table.add_row(*map(Text, cells))
    yield table


def _failed(entry: Entry) -> str:
    """What is wrong without an answer, as beside the name in tts-run's table."""
    failed = sum(each.failed for each in entry.trials.values())
    return f" ({failed:,} failed)" if failed else ""


def _differences(
    study: Study, baseline: Entry | None, width: int, marks: Sequence[str]
) -> Iterator[Text | Table]:
    if baseline is None:
        return
    compared = comparisons(study, baseline)
    several = len({comparison.right for comparison in compared}) > 1
    rows = [
        (
            printable(comparison.left)
            + (f"\nagainst {printable(comparison.right)}" if several else ""),
            Estimate(
                100 * comparison.difference,
                100 * comparison.low,
                100 * comparison.high,
                comparison.trials,
            ),
            comparison,
        )
        for comparison in compared
    ]
    if not rows:
        return
    same = f", at the same {study.budget} where it ran" if study.budget else ""
    against = printable(baseline.base if several else compared[0].right)
    yield Text("")
    yield _heading(f"difference to {against}{same}, points, paired; p by Holm")
    room = _room(width, [line for name, _, _ in rows for line in name.split("\n")], extra=36)
    table = _table("strategy", "points", "from", "to", "p")
    scale = _scale([gain for _, gain, _ in rows], least=-100.0, most=100.0, zero=True)
    if room:
        table.add_column(_ruler(scale, room), no_wrap=True)
    for name, gain, comparison in rows:
        cells = [name, *(rounded(each, sign="+") for each in (gain.value, gain.low, gain.high))]
        cells.append(f"{comparison.adjusted:.2g}")
        table.add_row(*map(Text, [*cells, _drawn(gain, scale, room, marks)] if room else cells))
    yield table


def _difficulty(study: Study) -> Iterator[Text | Table]:
    groups = grouping(study.problems, study.pass_rates())
    if groups is None:
        return
    graded = study.graded()
    yield Text("")
    yield _heading(f"accuracy by {printable(groups.by)}, %")
    heads = [f"{printable(name)} ({groups.size(name, graded)})" for name in groups.names]
    table = _table("strategy", *heads)
    for entry in study.entries:
        cells = [printable(entry.name)]
        for name in groups.names:
            accuracy = share(
                {
                    key: right
                    for key, right in entry.grades().items()
                    if groups.of.get(key[0]) == name
                }
            )
            cells.append("-" if accuracy is None else rounded(accuracy.value, 0))
        table.add_row(*map(Text, cells))
    yield table


def _table(first: str, *others: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column(first, overflow="fold", min_width=8)
    for name in others:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _room(width: int, names: Sequence[str], extra: int) -> int:
    """Characters that are left for an axis; 0 if they are too few."""
    left = width - min(max(map(len, names), default=8), width // 2) - extra
    return 0 if left < _LEAST else min(left, _WIDEST)


def _scale(
    estimates: Sequence[Estimate], least: float, most: float, *, zero: bool = False
) -> tuple[float, float]:
    """Ends of an axis in steps of 10."""
    low = min((each.low for each in estimates), default=least)
    high = max((each.high for each in estimates), default=most)
    if zero:
        low, high = min(low, 0.0), max(high, 0.0)
    low, high = max(least, low // 10 * 10), min(most, -(-high // 10) * 10)
    return (low, high) if high > low else (least, most)


def _ruler(scale: tuple[float, float], room: int) -> Text:
    low, high = f"{scale[0]:.0f}", f"{scale[1]:.0f}"
    return Text(low + " " * max(1, room - len(low) - len(high)) + high, style="dim")


def _drawn(estimate: Estimate, scale: tuple[float, float], room: int, marks: Sequence[str]) -> str:
    """An interval as a line with ends, the estimate as a dot on it; zero is marked."""

    def place(value: float) -> int:
        share = (value - scale[0]) / (scale[1] - scale[0])
        return max(0, min(room - 1, round(share * (room - 1))))

    dot, line, first, last, zero = marks
    cells = [" "] * room
    if scale[0] < 0 < scale[1]:
        cells[place(0)] = zero
    low, high = place(estimate.low), place(estimate.high)
    cells[low : high + 1] = line * (high - low + 1)
    cells[low], cells[high] = (first, last) if low < high else (line, line)
    cells[place(estimate.value)] = dot
    return "".join(cells).rstrip()
