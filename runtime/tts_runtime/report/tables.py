"""The tables of a study, cell by cell: the terminal and the files show the same ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tts_lang.explain.units import rounded, short
from tts_lang.printable import printable
from tts_runtime.report.difficulty import grouping
from tts_runtime.report.estimates import share
from tts_runtime.report.figures import comparisons
from tts_runtime.report.study import Entry, Study
from tts_runtime.runs.seeds import in_words
from tts_runtime.stats.paired import PairedVerdict, p_shown


class Quantity(NamedTuple):
    """A value, and how it is shown; `strong`: a test tells it apart from zero."""

    value: float
    shown: str
    strong: bool = False


class IntervalCell(NamedTuple):
    """The ends of a 95 % interval."""

    low: Quantity
    high: Quantity

    @property
    def shown(self) -> str:
        """Both ends in words, as a sign may be a minus."""
        return f"{self.low.shown} to {self.high.shown}"


#: Texts are printable, in one line; `None`: not known.
Cell = str | Quantity | IntervalCell | None


@dataclass(frozen=True, slots=True)
class StudyTable:
    """A table; the first column has names.

    Args:
        name: Of its files.
        heading: What it shows, with units.
        titles: One per column.
        rows: One cell per column.
        reach: Least and greatest value of an axis that its estimates may be drawn on, if any.
    """

    name: str
    heading: str
    titles: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    reach: tuple[float, float] | None = None


def tables(study: Study, baseline: Entry | None) -> list[StudyTable]:
    """Accuracy and cost of every strategy, accuracy by difficulty, and differences to a baseline,
    as far as there is data."""
    differences = () if baseline is None else _differences(study, baseline)
    return [_accuracy(study), *_difficulty(study), *differences]


def sources(study: Study) -> list[str]:
    """Of each run: engines, problem set and seeds."""
    several = len(study.runs) > 1
    return [
        printable(
            (f"{name}: " if several else "")
            + "; ".join([
                *(f"{key} {each.get('engine')}" for key, each in run.manifest.engines.items()),
                f"problems {run.manifest.problem_set or 'given'} ({len(run.problems):,})",
                in_words(run.manifest.seeds),
            ]),
            line=True,
        )
        for name, run in study.runs.items()
    ]  # fmt: skip


def _accuracy(study: Study) -> StudyTable:
    rows: list[list[Cell]] = []
    flops = [entry.mean("flops") for entry in study.entries]
    for entry, work in zip(study.entries, flops, strict=True):
        estimate, tokens = share(entry.grades()), entry.mean("policy_tokens")
        name = printable(entry.name, line=True) + _failed(entry)
        rows.append([
            name,
            "not graded" if estimate is None else _rounded(estimate.value),
            "" if estimate is None else _interval(estimate.low, estimate.high, 0),
            *(None if cost is None else Quantity(cost, short(cost)) for cost in (tokens, work)),
        ])  # fmt: skip
    titles = ["strategy", "accuracy", "95 %", "tokens", "FLOPs"]
    costs = f"tokens drawn per {study.unit}"
    if all(work is None for work in flops):
        titles, rows = titles[:-1], [row[:-1] for row in rows]
    else:
        costs = f"tokens drawn and FLOPs per {study.unit}"
    heading = f"accuracy, %, with 95 % intervals; {costs}"
    return StudyTable("accuracy", heading, titles, rows, (0.0, 100.0))


def _failed(entry: Entry) -> str:
    """What is wrong without an answer, as beside the name in tts-run's table."""
    failed = sum(each.failed for each in entry.trials.values())
    return f" ({failed:,} failed)" if failed else ""


def _difficulty(study: Study) -> Iterator[StudyTable]:
    groups = grouping(study.problems, study.pass_rates())
    if groups is None:
        return
    graded = study.graded()
    rows: list[list[Cell]] = []
    for entry in study.entries:
        row: list[Cell] = [printable(entry.name, line=True)]
        for name in groups.names:
            accuracy = share(
                {
                    key: right
                    for key, right in entry.grades().items()
                    if groups.of.get(key[0]) == name
                }
            )
            row.append(None if accuracy is None else _rounded(accuracy.value, 0))
        rows.append(row)
    heads = [f"{printable(name, line=True)} ({groups.size(name, graded)})" for name in groups.names]
    heading = f"accuracy by {printable(groups.by, line=True)}, %"
    yield StudyTable("difficulty", heading, ["strategy", *heads], rows)


def _differences(study: Study, baseline: Entry) -> Iterator[StudyTable]:
    compared = comparisons(study, baseline)
    if not compared:
        return
    several = len({comparison.right for comparison in compared}) > 1
    rows: list[list[Cell]] = [
        [
            printable(each.left, line=True),
            *([printable(each.right, line=True)] if several else []),
            _rounded(
                100 * each.difference, sign="+", strong=each.verdict is not PairedVerdict.OPEN
            ),
            _interval(100 * each.low, 100 * each.high, 1, "+"),
            Quantity(each.adjusted, p_shown(each.adjusted)),
        ]
        for each in compared
    ]
    same = f", at the same {study.budget} where it ran" if study.budget else ""
    against = baseline.base if several else compared[0].right
    heading = printable(f"difference to {against}{same}, points, paired; p by Holm", line=True)
    titles = ["strategy", *(["against"] if several else []), "points", "95 %", "p"]
    yield StudyTable("differences", heading, titles, rows, (-100.0, 100.0))


def _rounded(value: float, places: int = 1, sign: str = "", *, strong: bool = False) -> Quantity:
    return Quantity(value, rounded(value, places, sign), strong)


def _interval(low: float, high: float, places: int, sign: str = "") -> IntervalCell:
    return IntervalCell(_rounded(low, places, sign), _rounded(high, places, sign))
