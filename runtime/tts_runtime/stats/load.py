"""Reads what comparisons of strategies need from run directories: accuracies, costs, samples."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tts_lang.plan.graph import Plan
from tts_runtime.engines.options import parse_name
from tts_runtime.problems.model import Problem
from tts_runtime.record.files import MANIFEST
from tts_runtime.record.grades import grader_of
from tts_runtime.record.reader import Run, StrategyRecord, Tree, open_run
from tts_runtime.runs.results import Answer
from tts_runtime.stats.samples import SampledProblem, samples_of
from tts_runtime.stats.tuning import Measured, TuningCandidate


class ExperimentError(Exception):
    """Records that cannot be used together; the message says why and what to do."""


#: The cost of an answer, by the names of `--cost`.
COSTS: Mapping[str, Callable[[Answer, Plan], float | None]] = {
    "tokens": lambda answer, _: answer.policy_tokens,
    "flops": lambda answer, _: answer.flops,
    "samples": lambda _, plan: _number(plan.parameters.get("n", 1)),
}


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


@dataclass(frozen=True, slots=True)
class Experiment:
    """Strategies over the same problems, from one or several run directories.

    Args:
        records: By name, with the values of a sweep (`majority[n=4]`).
        answers: Of each strategy, to the same problems under the same seeds; graded ones.
        problems: Their ids.
        left_out: How many graded answers to these problems have a seed that some strategy lacks.
        policies, scorers: Engines, by their names in strategies.
    """

    records: Mapping[str, StrategyRecord]
    answers: Mapping[str, Sequence[Answer]]
    problems: Sequence[str]
    left_out: int
    policies: Mapping[str, str]
    scorers: Mapping[str, str]

    def candidates(self, cost: str) -> list[TuningCandidate]:
        """The results of each strategy on the problems that all have answered.

        Raises:
            ExperimentError: A cost is not known.
        """
        return [
            TuningCandidate(
                name, _measured(name, answers, self.records[name].plan, cost, self.problems)
            )
            for name, answers in self.answers.items()
        ]

    def samples(self, name: str) -> list[SampledProblem]:
        """The solutions of a strategy to these problems."""
        return [samples_of(tree) for tree in self.trees(name)]

    def trees(self, name: str) -> Iterator[Tree]:
        """What a strategy did on these problems, under all of its seeds."""
        ids = set(self.problems)
        return (tree for tree in self.records[name].trees() if tree.problem.id in ids)


def read_experiment(directories: Sequence[str | Path]) -> Experiment:
    """What these runs have of problems and seeds that all their strategies have answered.

    Strategies are compared on what they all did: more seeds of one would only weigh its problems.

    Raises:
        DirectoryError: One is no run directory.
        ExperimentError: They are of other policies or scorers, or of other problems.
    """
    records: dict[str, StrategyRecord] = {}
    answers: dict[str, Sequence[Answer]] = {}
    engines: tuple[dict[str, str], dict[str, str]] = ({}, {})
    runs = [open_run(directory) for directory in directories]
    problems = joined_problems(runs)
    for directory, run in zip(directories, runs, strict=True):
        about = run.manifest.configuration
        for origins, name in zip(engines, ("policies", "scorers"), strict=True):
            for engine, value in _origins(dict(about.get(name, {})), name).items():
                if origins.setdefault(engine, value) != value:
                    what = "what is best depends on policy and reward model, so use them one by one"
                    lost = [each for each in (origins[engine], value) if each.startswith("replay:")]
                    if lost:
                        what = (
                            f"what {lost[0]} was recorded with is not known here: if it is a "
                            "run directory, call this in the folder from which it was replayed"
                        )
                    raise ExperimentError(
                        f"{engine} is {origins[engine]} in one directory and {value} in "
                        f"{directory}: {what}"
                    )
        for name, record in run.strategies.items():
            if name in records:
                raise ExperimentError(f"{name} is in two directories; name one of them")
            records[name] = record
            answers[name] = [each for each in run.answers(name) if each.correct is not None]
    graded = [{each.trial for each in answered} for answered in answers.values()]
    common = set.intersection(*graded) if graded else set()
    if not common:
        raise ExperimentError(
            "no problem has a graded answer of every strategy under one seed: run them over the "
            "same problems, which need gold answers, and under the same seeds"
        )
    ids = {trial.problem for trial in common}
    left_out = sum(trial.problem in ids for trials in graded for trial in trials - common)
    paired = {
        name: [each for each in answered if each.trial in common]
        for name, answered in answers.items()
    }
    return Experiment(records, paired, [id_ for id_ in problems if id_ in ids], left_out, *engines)


def joined_problems(runs: Sequence[Run]) -> dict[str, Problem]:
    """The problems of several runs, by id.

    Raises:
        ExperimentError: Two are called the same, or one was graded in two ways.
    """
    problems: dict[str, Problem] = {}
    graders: dict[str, str] = {}
    for run in runs:
        names = run.manifest.configuration.get("graders", ("math",))
        for id_, problem in run.problems.items():
            there = problems.setdefault(id_, problem)
            grader = grader_of(problem, names)
            other = ""
            if (there.text, there.before) != (problem.text, problem.before):
                other = "another text"
            elif there.answer != problem.answer:
                other = "another gold answer"
            elif graders.setdefault(id_, grader) != grader:
                other = "another grader"
            if other:
                raise ExperimentError(
                    f"problem {id_} has {other} in {run.directory}: use runs of the same problems, "
                    "graded alike, or give each problem an id of its own"
                )
    return problems


def _origins(engines: dict[str, str], kind: str) -> dict[str, str]:
    """Engines by name; what was replayed from a run directory is what that run's engines gave."""
    origins = {}
    for name, engine in engines.items():
        origins[name] = engine
        source = Path(parse_name(engine).argument)
        if engine.startswith("replay:") and (source / MANIFEST).is_file():
            there = dict(open_run(source).manifest.configuration.get(kind, {}))
            origins[name] = _origins(there, kind).get(name, engine)
    return origins


def _measured(
    name: str, answers: Sequence[Answer], plan: Plan, cost: str, problems: Sequence[str]
) -> dict[str, Measured]:
    rows: dict[str, list[Answer]] = {}
    for answer in answers:
        rows.setdefault(answer.id, []).append(answer)
    measured = {}
    for id_ in problems:
        costs = [COSTS[cost](answer, plan) for answer in rows[id_]]
        numbers = [each for each in costs if each is not None]
        if len(numbers) < len(costs):
            raise ExperimentError(f"the {cost} of {name} are not known; choose another --cost")
        right = sum(bool(answer.correct) for answer in rows[id_])
        measured[id_] = Measured(right, len(costs), sum(numbers) / len(numbers))
    return measured
