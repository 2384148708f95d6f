"""Strategies measured on the bundled models: what the gallery and the findings are drawn from."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tts_runtime.stats.proportions import wilson
from tts_runtime.stats.tuned_file import base_of

if TYPE_CHECKING:
    from tts_runtime import Answer, Progress
    from tts_runtime.problems import Problem

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "benchmarks" / "data"
IMAGES = ROOT / "docs" / "images"

#: Difficulty by the policy's pass rate, as Liu et al. (2025) cut it: from 0.5, from 0.1, below.
GROUPS = ("easy", "medium", "hard")
ALL = "all"
#: Problems in flight at once: bounds memory where many plans run together.
IN_FLIGHT = 12

#: The horizontal axis of figures.
DRAWN = "tokens drawn per problem"

Value = int | float | str


@dataclass(frozen=True, slots=True)
class Point:
    """A strategy at certain parameters.

    Args:
        strategy: A shipped name.
        parameters: In place of its defaults.
    """

    strategy: str
    parameters: tuple[tuple[str, Value], ...] = ()

    @property
    def label(self) -> str:
        """As one would call it."""
        return f"{self.strategy}({', '.join(f'{key} = {value}' for key, value in self.parameters)})"


def point(strategy: str, **parameters: Value) -> Point:
    """A strategy at certain parameters."""
    return Point(strategy, tuple(parameters.items()))


@dataclass(frozen=True, slots=True)
class Measured:
    """What a strategy did on every problem, in the order of the problems.

    Args:
        strategy, parameters: The point.
        right: A `1` for each problem answered correctly, else `0`.
        failed: Problems that ended with an error (and count as wrong).
        tokens: Tokens drawn per problem, as if the strategy ran alone.
        scorer_tokens: Tokens that scorers read per problem.
    """

    strategy: str
    parameters: Mapping[str, Value]
    right: str
    failed: int
    tokens: float
    scorer_tokens: float

    @property
    def point(self) -> Point:
        """Where it was measured."""
        return Point(self.strategy, tuple(self.parameters.items()))

    @property
    def accuracy(self) -> float:
        """Share of problems answered correctly."""
        return self.right.count("1") / len(self.right)


@dataclass(frozen=True, slots=True)
class Run:
    """Measurements on one list of problems.

    Args:
        problems: Their identifiers.
        groups: Their difficulties, in the same order.
        models: Fingerprints of the models' weights.
        seed: Of the run.
        rows: What was measured.
    """

    problems: tuple[str, ...]
    groups: tuple[str, ...]
    models: Mapping[str, str]
    seed: int
    rows: tuple[Measured, ...]

    def row(self, wanted: Point) -> Measured:
        """The measurement of a point.

        Raises:
            KeyError: It was not measured.
        """
        for row in self.rows:
            if row.point == wanted:
                return row
        raise KeyError(wanted.label)


def group_of(problem: Problem) -> str:
    """A problem's difficulty."""
    rate = float(str(problem.fields["pass_rate"]))
    return "easy" if rate >= 0.5 else "medium" if rate >= 0.1 else "hard"


#: More problems than those that ship, with pass rates: `python -m benchmarks.more_problems`.
LARGER = "larger"


def chosen(limit: int | None, name: str = "arith") -> list[Problem]:
    """The first `limit` bundled test problems, or of a set in benchmarks/data."""
    from tts_runtime import problems_named

    file = DATA / f"{name}.jsonl"
    return problems_named(str(file) if file.exists() else name, limit=limit)


def recorded(
    points: Sequence[Point], problems: Sequence[Problem], folders: Sequence[Path], seed: int = 0
) -> Run:
    """The same as `measure`, from run directories that have the points; others are left out."""
    from tts_lang.compiler import compile_strategy
    from tts_runtime import open_run

    ids = [problem.id for problem in problems]
    known = [record for folder in folders for record in open_run(folder).strategies.values()]
    rows = []
    for each in dict.fromkeys(points):
        plan = compile_strategy(each.strategy, settings=dict(each.parameters))
        for record in known:
            if (base_of(record.plan), record.plan.parameters) == (plan.strategy, plan.parameters):
                answers = {one.id: one for one in record.answers.values() if one.seed == seed}
                if answers.keys() >= set(ids):
                    rows.append(measured_by(each, [answers[id_] for id_ in ids]))
                    break
    groups = tuple(group_of(problem) for problem in problems)
    return Run(tuple(ids), groups, fingerprints(), seed, tuple(rows))


def measured_by(point: Point, answers: Sequence[Answer]) -> Measured:
    """What these answers, one per problem, say of a point."""
    return Measured(
        point.strategy,
        dict(point.parameters),
        "".join("1" if answer.correct else "0" for answer in answers),
        sum(answer.error is not None for answer in answers),
        round(sum(answer.policy_tokens for answer in answers) / len(answers), 1),
        round(sum(answer.scorer_tokens for answer in answers) / len(answers), 1),
    )


def measure(points: Sequence[Point], problems: Sequence[Problem], seed: int = 0) -> Run:
    """Runs all points together, so that what they share is drawn once."""
    from tts_lang.compiler import compile_strategy
    from tts_runtime import Settings, run

    points = list(dict.fromkeys(points))
    plans = [compile_strategy(each.strategy, settings=dict(each.parameters)) for each in points]
    known = {"prm": "bundled", "orm": "bundled:last"}
    used = {scorer.name for plan in plans for scorer in plan.scorers if scorer.field is None}
    settings = Settings(
        scorers={name: known[name] for name in known if name in used},
        seeds=seed,
        concurrency=IN_FLIGHT,
    )
    results = run(plans, problems, settings=settings, progress=_tenths(len(plans) * len(problems)))
    rows = []
    for each, result in zip(points, results, strict=True):
        rows.append(measured_by(each, result.answers))
        print(f"{each.label:60} {rows[-1].accuracy:6.1%} {rows[-1].tokens:8.0f} tokens", flush=True)
    return Run(
        tuple(problem.id for problem in problems),
        tuple(group_of(problem) for problem in problems),
        fingerprints(),
        seed,
        tuple(rows),
    )


def _tenths(total: int) -> Progress:
    """Says on standard error whenever another tenth is done."""
    from tts_runtime import Progress

    class Tenths(Progress):
        done = 0

        def problem_done(self, strategy: int, answer: Answer) -> None:  # noqa: ARG002
            before, self.done = self.done, self.done + 1
            if before * 10 // total < self.done * 10 // total:
                sys.stderr.write(f"{self.done:,} of {total:,} answers\n")

    return Tenths()


def fingerprints() -> dict[str, str]:
    """The first digits of the SHA-256 of the bundled models' weights."""
    folder = ROOT / "runtime" / "bundled"
    return {
        name: hashlib.sha256((folder / name / "model.safetensors").read_bytes()).hexdigest()[:12]
        for name in ("policy", "prm")
    }


def estimated(series: str, at: float | str, row: Measured) -> dict[str, Any]:
    """A measurement as a row of a figure: accuracy in per cent, with its 95 % Wilson interval."""
    low, high = wilson(row.right.count("1"), len(row.right))
    value = 100 * row.accuracy
    return {"series": series, "at": at, "value": value, "low": 100 * low, "high": 100 * high}


def save(path: Path, runs: Mapping[str, Run]) -> None:
    """Writes runs, by name, one measurement a line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = []
    for name, run in runs.items():
        head = {key: value for key, value in asdict(run).items() if key != "rows"}
        rows = ",\n".join(f"  {json.dumps(asdict(row))}" for row in run.rows)
        lines.append(f'{json.dumps(name)}: {json.dumps(head)[:-1]}, "rows": [\n{rows}]}}')
    path.write_text("{" + ",\n".join(lines) + "}\n", encoding="utf-8")


def load(path: Path) -> dict[str, Run]:
    """Runs as they were saved; none if nothing was."""
    if not path.exists():
        return {}
    values = json.loads(path.read_text(encoding="utf-8"))
    return {
        name: Run(
            tuple(value["problems"]),
            tuple(value["groups"]),
            value["models"],
            value["seed"],
            tuple(Measured(**row) for row in value["rows"]),
        )
        for name, value in values.items()
    }


def provenance(run: Run) -> str:
    """On what a run was measured, for readers."""
    count = {group: run.groups.count(group) for group in GROUPS}
    parts = ", ".join(f"{number} {group}" for group, number in count.items())
    models = ", ".join(f"{name} `{mark}`" for name, mark in run.models.items())
    name, kind = run.problems[0].partition("-")[0], "bundled test problems"
    if name != "test":
        kind = f"problems of benchmarks/data/{name}.jsonl"
    return f"{len(run.problems)} {kind} ({parts}), seed {run.seed}; weights: {models}"


def write_or_complain(pages: Mapping[Path, str]) -> None:
    """Writes pages where they differ, and says which."""
    for path, text in pages.items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            sys.stderr.write(f"wrote {path.relative_to(ROOT)}\n")
