"""The data of a report: strategies of some runs, small enough to be held in memory.

Of an answer only grades and costs are kept; texts and trees stay in the record.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from json import loads
from pathlib import Path
from typing import Any, Final, NamedTuple

from tts_lang.explain.units import span
from tts_lang.readers import MAX_PLAN_BYTES, read_written
from tts_runtime.problems.model import Problem, Trial
from tts_runtime.record.files import PLAN, SUMMARY, DirectoryError, refuse_twice
from tts_runtime.record.index import RecordIndex
from tts_runtime.record.reader import Run, StrategyRecord, Tree, open_run
from tts_runtime.reliability import Reliability
from tts_runtime.report.reward import RewardTally
from tts_runtime.runs.results import COSTS

Scalar = int | float | str | bool | None

#: Names of the parameter that says how much is spent, most telling first.
_BUDGETS: Final = ("n", "waits", "depth", "width")


class GradedTrial(NamedTuple):
    """The grade and costs of an answer. `correct`: its grade."""

    trial: Trial
    correct: bool | None
    failed: bool
    costs: tuple[int, ...]
    flops: int | None


@dataclass
class Entry:
    """One strategy of one run, at certain parameters.

    Args:
        name: Unique in the study, for readers.
        base: The strategy's name without values of a sweep.
        parameters: Of the plan that ran.
        run: Name of the run's directory.
        seconds: Wall time per answer, of a run of this strategy alone that has ended.
    """

    name: str
    base: str
    parameters: Mapping[str, Scalar]
    run: str
    scorers: tuple[str, ...]
    record: StrategyRecord = field(repr=False)
    index: RecordIndex = field(repr=False)
    tally: RewardTally = field(repr=False)
    seconds: float | None = None
    trials: dict[Trial, GradedTrial] = field(default_factory=dict, repr=False)
    reliability: Reliability = field(default_factory=Reliability, repr=False)
    restarts: int = 0
    waiting: dict[Trial, None] = field(default_factory=dict, repr=False)

    def mean(self, cost: str) -> float | None:
        """A cost per answer, over those that did not fail; `flops` may be unknown."""
        if cost == "seconds":
            return self.seconds
        trials = [each for each in self.trials.values() if not each.failed]
        if cost == "flops":
            values = [each.flops for each in trials]
        else:
            at = COSTS.index(cost)
            values = [each.costs[at] for each in trials]
        numbers = [value for value in values if value is not None]
        return sum(numbers) / len(numbers) if numbers and len(numbers) == len(values) else None

    def grades(self) -> dict[Trial, bool]:
        """Grades by problem and seed, of those that have one."""
        return {
            key: trial.correct for key, trial in self.trials.items() if trial.correct is not None
        }


#: Told of each tree that is read: the entry and the tree.
Reader = Callable[[Entry, Tree], None]


class Study:
    """The strategies of some runs; `update` reads what the runs have added.

    Raises:
        DirectoryError: A directory holds no run, or the same one stands twice.
    """

    def __init__(self, directories: Sequence[Path]) -> None:
        self.directories = [Path(directory) for directory in directories]
        refuse_twice(self.directories)
        self.runs: dict[str, Run] = {}
        self.entries: list[Entry] = []
        self.problems: dict[str, Problem] = {}
        #: Numbers of problems and seeds, in the order in which they came.
        self.places: dict[Trial, int] = {}
        self.version = 0
        self._states: dict[str, object] = dict.fromkeys(_names(self.directories))

    @property
    def unit(self) -> str:
        """What is counted: with several seeds a problem has several answers."""
        return "answer" if len({seed for _, seed in self.places}) > 1 else "problem"

    def update(self, reader: Reader | None = None) -> bool:
        """Reads what has changed since the last time; `reader` is told of each new tree.

        Returns:
            Whether anything has changed.

        Raises:
            DirectoryError: A run cannot be read.
        """
        changed = self.open()
        fresh = [(entry, key) for entry in self.entries for key in self._read(entry)]
        if reader is not None:
            for entry, key in fresh:
                tree = entry.index.tree(key)
                if tree is not None:
                    entry.tally.add(tree)
                    reader(entry, tree)
        changed |= self._read_seconds() or bool(fresh)
        self.version += changed
        return changed

    def open(self) -> bool:
        """Opens the runs, those again whose manifest or problems have changed.

        Returns:
            Whether one was opened.

        Raises:
            DirectoryError: A run cannot be read, or has other problems than the others.
        """
        changed = False
        for name, directory in zip(self._states, self.directories, strict=True):
            changed |= self._open(name, directory)
        return changed

    def _open(self, name: str, directory: Path) -> bool:
        """Opens a run again if its manifest or its problems have changed."""
        state = (_state(directory / "run.json"), _state(directory / "problems.jsonl"))
        if self._states[name] == state:
            return False
        self._states[name] = state
        run = open_run(directory)
        self.runs[name] = run
        for id_, problem in run.problems.items():
            there = self.problems.setdefault(id_, problem)
            if (there.text, there.answer) != (problem.text, problem.answer):
                raise DirectoryError(
                    f"problem {id_!r} of {directory} is another one than in the other runs: "
                    "report runs of different problem sets apart"
                )
        by_folder = {entry.record.folder: entry for entry in self.entries}
        several = len(self.directories) > 1
        for record in run.strategies.values():
            if record.folder in by_folder:
                by_folder[record.folder].record = by_folder[record.folder].index.record = record
            elif not (record.folder / PLAN).exists():
                self._states[name] = None  # it has not begun: look again
            else:
                self.entries.append(_entry(record, name, several))
        return True

    def _read(self, entry: Entry) -> list[Trial]:
        """Reads an entry's new answers; only grades and costs stay in memory."""
        fresh = entry.waiting | entry.index.update()
        if entry.restarts != entry.index.restarts:
            entry.restarts = entry.index.restarts
            entry.trials, entry.reliability = {}, Reliability()
            entry.tally = RewardTally(entry.scorers)
        if not fresh:
            return []
        entry.waiting = {key: None for key in fresh if key[0] not in entry.record.problems}
        trials = []
        for key in fresh:
            answer = None if key in entry.waiting else entry.index.answer(key)
            if answer is None:
                continue
            costs = tuple(getattr(answer, name) for name in COSTS)
            failed = answer.error is not None
            entry.trials[key] = GradedTrial(key, answer.correct, failed, costs, answer.flops)
            entry.reliability += answer.reliability
            self.places.setdefault(key, len(self.places))
            trials.append(key)
        return trials

    def _read_seconds(self) -> bool:
        """Reads times per answer, which a run writes after its last answer; whether any changed."""
        alone = [entry for entry in self.entries if len(self.runs[entry.run].strategies) == 1]
        before = [entry.seconds for entry in alone]
        for entry in alone:
            entry.seconds = _seconds(entry.record)
        return before != [entry.seconds for entry in alone]

    def pass_rates(self) -> dict[str, float]:
        """Of each problem, the share of independent samples that are right: of the strategy that
        has the most of them."""
        counts = [entry.tally.solved for entry in self.entries]
        most = max(counts, key=lambda each: sum(count for _, count in each.values()), default={})
        return {id_: right / count for id_, (right, count) in most.items() if count}

    def graded(self) -> set[str]:
        """Problems for which some strategy has a grade."""
        return {key.problem for entry in self.entries for key in entry.grades()}

    def check_begun(self) -> None:
        """Refuses runs that have nothing to report.

        Raises:
            DirectoryError: No strategy has begun.
        """
        if not self.entries:
            listed = ", ".join(map(str, self.directories))
            raise DirectoryError(f"no strategy has begun in {listed}; `tts-view` waits for it")

    @property
    def budget(self) -> str | None:
        """The parameter that the strategies were swept over, the most telling one."""
        return _most_telling(self.swept())

    def budget_of(self, entry: Entry) -> str | None:
        """The parameter that this entry's strategy was swept over, the most telling one."""
        return _most_telling(self._swept_over([e for e in self.entries if e.base == entry.base]))

    def swept(self) -> set[str]:
        """Parameters with several numbers within one strategy: what an axis can have."""
        return self._swept_over(self.entries)

    @staticmethod
    def _swept_over(entries: Iterable[Entry]) -> set[str]:
        values: dict[tuple[str, str], set[Scalar]] = {}
        for entry in entries:
            for name, value in entry.parameters.items():
                if isinstance(value, int | float) and not isinstance(value, bool):
                    values.setdefault((entry.base, name), set()).add(value)
        return {name for (_, name), numbers in values.items() if len(numbers) > 1}

    def series(self, entry: Entry, without: str | None) -> str:
        """The label of an entry's line in a figure: its name without one parameter's value.

        What differs between entries of a strategy is named, texts and switches too.
        """
        others = [
            f"{name}={value}"
            for name, value in sorted(entry.parameters.items())
            if name != without and self._varies(entry, name)
        ]
        run = f"{entry.run}: " if len(self.directories) > 1 else ""
        return f"{run}{entry.base}" + (f"[{','.join(others)}]" if others else "")

    def _varies(self, entry: Entry, name: str) -> bool:
        same = [each for each in self.entries if each.base == entry.base]
        return len({repr(each.parameters.get(name)) for each in same}) > 1

    def notes(self) -> Iterator[str]:
        """Notes on the runs: damaged files, and settings that differ between runs."""
        damaged = list(dict.fromkeys(d for run in self.runs.values() for d in run.damaged))
        if damaged:
            more = f", and {len(damaged) - 3} more" if len(damaged) > 3 else ""
            listed = "; ".join(map(str, damaged[:3]))
            yield f"damaged lines are left out: {listed}{more}"
        ungraded = {
            len(entry.trials) - len(grades) for entry in self.entries if (grades := entry.grades())
        }
        if any(ungraded):
            count = span(ungraded, self.unit)
            yield f"accuracies leave out what has no grade, {count} of each strategy"
        different = {frozenset(entry.trials) for entry in self.entries}
        if len(different) > 1:
            sizes = {len(each) for each in different}
            count = span(sizes, self.unit) if len(sizes) > 1 else f"other {self.unit}s"
            yield (
                f"strategies have {count} so far: "
                "single accuracies are each over its own, differences over the common ones"
            )


def _most_telling(swept: Collection[str]) -> str | None:
    return next((name for name in _BUDGETS if name in swept), min(swept, default=None))


def _entry(record: StrategyRecord, run: str, several: bool) -> Entry:
    plan = record.plan
    scorers = tuple(scorer.name for scorer in plan.scorers)
    name = f"{run}: {record.name}" if several else record.name
    base = record.name.partition("[")[0]
    parameters = dict(plan.parameters)
    return Entry(
        name, base, parameters, run, scorers, record, RecordIndex(record), RewardTally(scorers)
    )


def _state(path: Path) -> object:
    try:
        about = path.stat()
    except OSError:
        return None
    return about.st_ino, about.st_size, about.st_mtime_ns


def _seconds(record: StrategyRecord) -> float | None:
    """The wall time of a run per answer, which only its summary has: of the answers that it had
    then, as a session that was killed may have added some."""
    try:
        value: Any = loads(read_written(record.folder / SUMMARY, MAX_PLAN_BYTES))
        return float(value["wall_s"]) / int(value["trials"])
    except (OSError, ValueError, KeyError, TypeError, ZeroDivisionError):
        return None


def _names(directories: Sequence[Path]) -> list[str]:
    """Short names of directories, each another one."""
    names: list[str] = []
    for directory in directories:
        parts = directory.resolve().parts
        name = parts[-1] if parts else str(directory)
        deep = 2
        while name in names and deep <= len(parts):
            name = "/".join(parts[-deep:])
            deep += 1
        names.append(name)
    return names
