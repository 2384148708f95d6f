"""What `tts-run` shows on the screen: progress bars while it runs, one table at the end."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars
from rich.table import Table

from tts_lang.plan.graph import Plan
from tts_runtime.results import Answer, Summary
from tts_runtime.runner import Progress


class Screen(Progress):
    """One progress bar a strategy, with accuracy so far and sampled tokens per second."""

    def __init__(self, console: Console) -> None:
        self._bars = Bars(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[state]}"),
            TimeElapsedColumn(),
            console=console,
        )
        self._tokens = 0
        self._graded: list[int] = []
        self._correct: list[int] = []
        self._tasks: list[TaskID] = []

    def __enter__(self) -> Screen:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def run_starts(self, plans: Sequence[Plan], problems: int) -> None:
        self._tokens = 0
        self._graded, self._correct = [0] * len(plans), [0] * len(plans)
        self._tasks = [
            self._bars.add_task(plan.strategy, total=problems, state="") for plan in plans
        ]

    def tokens_drawn(self, count: int) -> None:
        self._tokens += count
        self._show(0)

    def problem_done(self, strategy: int, answer: Answer) -> None:
        self._graded[strategy] += answer.correct is not None
        self._correct[strategy] += bool(answer.correct)
        self._bars.advance(self._tasks[strategy])
        self._show(strategy)

    def run_ends(self) -> None:
        for task in self._tasks:
            self._bars.stop_task(task)

    def _show(self, strategy: int) -> None:
        """The bar of a strategy; the first one shows the tokens that all of them take."""
        elapsed = self._bars.tasks[0].elapsed or 0.0
        first = elapsed > 0 and not strategy
        speed = f"{self._tokens / elapsed:,.0f} tokens/s" if first else ""
        graded = self._graded[strategy]
        right = f"{self._correct[strategy] / graded:.0%} right" if graded else ""
        self._bars.update(self._tasks[strategy], state=f"{speed:>16}  {right}")


def table(summaries: Sequence[Summary]) -> Table:
    """One row a strategy: accuracy with its 95 % interval, tokens per problem, wall time."""
    caption = "tokens: means per problem, as if alone; wall time: until the last answer"
    shown = Table(box=box.SIMPLE_HEAD, caption=caption, caption_justify="left", padding=(0, 1))
    shown.add_column("strategy", no_wrap=True)
    tokens = ("policy\ntokens", "prompt\ntokens", "scorer\ntokens")
    for title in ("accuracy", "95 %\ninterval", *tokens, "wall\ntime"):
        shown.add_column(title, justify="right", no_wrap=True)
    for summary in summaries:
        count = max(1, summary.problems)
        low, high = summary.accuracy_low, summary.accuracy_high
        shown.add_row(
            summary.strategy + (f" ({summary.failed} failed)" if summary.failed else ""),
            "no gold" if summary.accuracy is None else f"{100 * summary.accuracy:.1f} %",
            "" if low is None or high is None else f"{100 * low:.0f} - {100 * high:.0f}",
            f"{summary.policy_tokens / count:,.0f}",
            f"{summary.prompt_tokens / count:,.0f}",
            f"{summary.scorer_tokens / count:,.0f}",
            f"{summary.wall_s:,.0f} s" if summary.wall_s >= 100 else f"{summary.wall_s:.1f} s",
        )
    return shown
