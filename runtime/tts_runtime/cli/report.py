"""The output of `tts-run` at the end of a run."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console

from tts_lang.printable import printable
from tts_runtime.cli.display import remarks
from tts_runtime.cli.tables import (
    TableColumn,
    captions,
    comparison_caption,
    comparison_table,
    laid_out,
    run_line,
    table,
)
from tts_runtime.engines.base import Exactness
from tts_runtime.reliability import warnings_of
from tts_runtime.runs.results import Result, named_in
from tts_runtime.runs.sweeps import Shift
from tts_runtime.stats.paired import PairedComparison, compare


def print_table(results: Sequence[Result]) -> None:
    """The table, and the lines below it; comparisons with the first strategy, if several ran."""
    summaries = [result.summary for result in results]
    lines = (
        *captions(summaries),
        run_line(summaries[0]),
        printable(named_in(summaries)),
        *remarks(summaries),
    )
    _print(lambda width: table(summaries, width), lines)
    names = [each.strategy for each in summaries if each.accuracy is not None]
    if len(names) > 1:
        answers = {result.summary.strategy: result.answers for result in results}
        print_comparisons(compare(answers, [(name, names[0]) for name in names[1:]]))


def print_comparisons(comparisons: Sequence[PairedComparison]) -> None:
    """Comparisons with one strategy, as a table of their own; those without trials by name."""
    tried = [each for each in comparisons if each.trials]
    print()
    if tried:
        _print(lambda width: comparison_table(tried, width), [comparison_caption(tried)])
    left_out = ", ".join(each.left for each in comparisons if not each.trials)
    if left_out:
        print(printable(f"not compared, no graded answer in common: {left_out}"))


def print_rows(
    title: str,
    names: Sequence[str],
    columns: Sequence[TableColumn],
    dropped: Sequence[str],
    lines: Sequence[str],
) -> None:
    """Any table, with lines below it (`tables.laid_out`)."""
    _print(lambda width: laid_out(title, names, list(columns), dropped, width), lines)


def _print(shown: Callable[[int | None], str], lines: Sequence[str]) -> None:
    """A table in the width of the terminal, and lines below it."""
    console = Console(emoji=False)  # `orm=python:fire:f` is no picture
    # Nobody has to read the lines of a pipe at once, unless a width is asked for.
    fixed = console.is_terminal or "COLUMNS" in os.environ
    print(shown(console.width if fixed else None))
    for line in lines:
        console.print(line, style="italic", highlight=False, markup=False, soft_wrap=not fixed)


def print_remarks(results: Sequence[Result], shifts: Sequence[Shift]) -> None:
    """Warnings and notes about the numbers, to standard error."""
    for result in results:
        for warning in warnings_of(result.summary.reliability):
            say(printable(f"warning: {result.summary.strategy}: {warning}"))
    if len(results) > 1:
        fresh = [a for result in results for a in result.answers if a.trial not in result.resumed]
        alone = sum(answer.policy_tokens for answer in fresh)
        drawn = results[0].work.policy_tokens
        if drawn < alone:
            say(f"shared: {drawn:,} tokens drawn instead of {alone:,}")
    for shift in shifts:
        cost = "nothing is shared there"
        if shift.calls is not None:
            cost += f", {shift.calls:,} calls a problem at most where {shift.nested:,} would do"
        say(
            f"note: {printable(shift.site)}: other children at each value, since an earlier "
            f"expansion of the same rows changes (C14): {cost}"
        )
    level = Exactness.weakest(result.summary.exactness for result in results)
    if level is Exactness.NONE:
        say("note: not exact: an engine cannot follow the random streams")
    elif level is Exactness.NEAR_TIES:
        say("note: exact up to near ties: an engine's numbers round by the batch")


def print_failures(results: Sequence[Result], out: Path | None) -> bool:
    """The first error of the answers that failed, to standard error; whether there is one."""
    failed = [answer for result in results for answer in result.answers if answer.error]
    if not failed:
        return False
    answers = [answer for result in results for answer in result.answers]
    what = "problems" if len({each.id for each in answers}) == len(answers) else "answers"
    say(
        f"{len(failed)} of {len(answers)} {what} failed; the first, "
        f"{printable(failed[0].id, line=True)}:\n{printable(failed[0].error)}"
    )
    if out is not None:
        say("the same command tries them again")
    return True


def interrupted(out: Path | None, done: int, total: int) -> str:
    """The results of a run that the user stopped."""
    if not total:
        return "interrupted before the first problem"
    progress = f"{done:,} of {total:,} problems"
    if out is None:
        return (
            f"interrupted after {progress}: no results are kept (--out DIR keeps finished problems "
            "and continues from there)"
        )
    return (
        f"interrupted: {progress} are kept in {out} (answers.jsonl, nodes.jsonl)\n"
        "  help: the same command continues from there"
    )


def say(line: str) -> None:
    """A line to standard error, after what is in standard output."""
    sys.stdout.flush()
    print(line, file=sys.stderr)
