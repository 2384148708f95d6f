"""Progress of a run: bars on a terminal, a line now and then elsewhere; lines below the table."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from time import monotonic
from typing import Self

from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, Task, TextColumn
from rich.progress import Progress as Bars
from rich.text import Text

from tts_lang.plan.graph import Plan
from tts_lang.printable import printable
from tts_runtime.engines.base import Load, PolicyEngine
from tts_runtime.executor import Outcome
from tts_runtime.reliability import footer
from tts_runtime.runs.progress import Progress
from tts_runtime.runs.results import Answer, Summary

#: Seconds over which speed is measured; least seconds between two lines without a terminal.
_WINDOW, _PAUSE = 15.0, 30.0
#: Problems that must have finished before the time left is estimated from them.
_LEAST_FINISHED = 3


class Status(Progress):
    """Counts events and describes them in a line; a context manager around the run."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._start = self._opened = clock()
        self._opening = ""
        self._policies: Mapping[str, PolicyEngine] = {}
        self._drawn: deque[tuple[float, int]] = deque()
        self.problems = 0
        #: The latest outcome of each strategy.
        self.outcomes: dict[int, Outcome] = {}
        self.strategies: list[StrategyProgress] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Stops showing anything."""

    @property
    def total(self) -> int:
        """Problems of all strategies together; 0 before the run starts."""
        return self.problems * len(self.strategies)

    @property
    def done(self) -> int:
        """Number of finished problems."""
        return sum(strategy.done for strategy in self.strategies)

    # ------------------------------------------------------------------ events

    def engine_opens(self, name: str, engine: str) -> None:
        self._opening = f"loading {printable(f'{name}={engine}', line=True)}"

    def run_starts(
        self, plans: Sequence[Plan], problems: int, policies: Mapping[str, PolicyEngine]
    ) -> None:
        self._opening = ""
        self._start = self._clock()
        self._policies = policies
        self.problems = problems
        self.strategies = [StrategyProgress() for _ in plans]

    def tokens_drawn(self, count: int) -> None:
        self._drawn.append((self._clock(), count))

    def outcome(self, strategy: int, outcome: Outcome) -> None:
        self.outcomes[strategy] = outcome

    def problem_resumed(self, strategy: int, answer: Answer) -> None:
        self.strategies[strategy].add(answer, fresh=False)

    def problem_done(self, strategy: int, answer: Answer) -> None:
        self.strategies[strategy].add(answer, fresh=True)

    def run_ends(self) -> None:
        self._policies = {}

    # ------------------------------------------------------------------ in words

    def left(self, strategy: int) -> str:
        """Estimated time left for a strategy; empty if unknown."""
        state = self.strategies[strategy]
        return self._left(state.fresh, self.problems - state.done)

    def all_left(self) -> str:
        """Estimated time left for the run: not that of the slowest, since strategies share work."""
        return self._left(
            sum(strategy.fresh for strategy in self.strategies), self.total - self.done
        )

    def _left(self, fresh: int, missing: int) -> str:
        if fresh < _LEAST_FINISHED or missing == 0:
            return ""
        return f"{_duration((self._clock() - self._start) / fresh * missing)} left"

    def line(self) -> str:
        """Time, speed, and load of the engines."""
        now = self._clock()
        parts = [_duration(now - self._opened)]
        if self._opening:
            return f"{parts[0]}  {self._opening}"
        while self._drawn and self._drawn[0][0] < now - _WINDOW:
            self._drawn.popleft()
        seconds = min(_WINDOW, now - self._start)
        if seconds >= 1:
            parts.append(f"{sum(count for _, count in self._drawn) / seconds:,.0f} tokens/s")
        for name, engine in self._policies.items():
            if engine.load is not None:
                busy = _busy(engine.load)
                parts.append(f"{name} {busy}" if len(self._policies) > 1 else busy)
        return "  ".join(parts)


class StrategyProgress:
    """Progress of one strategy."""

    def __init__(self) -> None:
        self.done = self.fresh = self.failed = self._graded = self._correct = 0

    def add(self, answer: Answer, *, fresh: bool) -> None:
        """Counts a problem; `fresh`: this process finished it, not an earlier session."""
        self.done += 1
        self.fresh += fresh
        self.failed += answer.error is not None
        self._graded += answer.correct is not None
        self._correct += bool(answer.correct)

    @property
    def summary(self) -> str:
        """Accuracy so far, and failed problems."""
        right = f"{self._correct / self._graded:.0%} correct" if self._graded else ""
        return f"{right}  {self.failed} failed" if self.failed else right


def _busy(load: Load) -> str:
    """The load of an engine, such as `64/64 slots, 1,200 queued`."""
    running = (
        f"{load.running:,}/{load.slots:,} slots" if load.slots else f"{load.running:,} running"
    )
    return running + (f", {load.waiting:,} queued" if load.waiting else "")


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class _State(ProgressColumn):
    """Computed when it is shown: requests finish far more often than that."""

    max_refresh = 0.5

    def __init__(self, status: Status) -> None:
        super().__init__()
        self._status = status

    def render(self, task: Task) -> Text:
        strategy = self._status.strategies[task.id]
        return Text(f"{strategy.summary:>12}  {self._status.left(task.id)}")


class _LiveBars(Bars):
    def __init__(self, status: Status, console: Console) -> None:
        self._status = status  # before super().__init__ renders
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
        )
        super().__init__(*columns, _State(status), console=console, refresh_per_second=4)

    def get_renderables(self) -> Iterable[RenderableType]:
        if self.tasks:
            yield self.make_tasks_table(self.tasks)
        yield Text(self._status.line(), style="dim")


class Screen(Status):
    """A bar per strategy and a line for the run; for terminals."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._bars = _LiveBars(self, console)

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def stop(self) -> None:
        self._bars.stop()

    def run_starts(
        self, plans: Sequence[Plan], problems: int, policies: Mapping[str, PolicyEngine]
    ) -> None:
        super().run_starts(plans, problems, policies)
        for plan in plans:
            self._bars.add_task(printable(plan.strategy, line=True), total=problems)

    def problem_resumed(self, strategy: int, answer: Answer) -> None:
        super().problem_resumed(strategy, answer)
        self._bars.advance(self._bars.task_ids[strategy])

    def problem_done(self, strategy: int, answer: Answer) -> None:
        super().problem_done(strategy, answer)
        self._bars.advance(self._bars.task_ids[strategy])


class Lines(Status):
    """A line every half minute, none in a short run; for logs and pipes."""

    def __init__(self, console: Console, clock: Callable[[], float] = monotonic) -> None:
        super().__init__(clock)
        self._console = console
        self._last_line = clock()

    def tokens_drawn(self, count: int) -> None:
        super().tokens_drawn(count)
        self._print_line()

    def problem_done(self, strategy: int, answer: Answer) -> None:
        super().problem_done(strategy, answer)
        self._print_line()

    def _print_line(self) -> None:
        if self._clock() - self._last_line < _PAUSE:
            return
        self._last_line = self._clock()
        parts = [f"{self.done:,} of {self.total:,} problems", self.line(), self.all_left()]
        line = "  ".join(filter(None, parts))
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)


def shown_on(console: Console) -> Status:
    """The display that suits a console."""
    return Screen(console) if console.is_terminal else Lines(console)


def remarks(summaries: Sequence[Summary]) -> list[str]:
    """Lines below the table: what went wrong with candidates, per strategy."""
    return [
        f"{summary.strategy}: {line}"
        for summary in summaries
        for line in footer(summary.reliability)
    ]
