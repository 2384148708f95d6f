"""Reads a run directory: `tts_runtime.open_run(DIR)`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from tts_lang.diagnostics import did_you_mean
from tts_lang.plan.graph import Plan
from tts_lang.plan.serialize import PlanError, from_json
from tts_lang.readers import MAX_PLAN_BYTES, read_written
from tts_runtime.executor import CandidateRecord
from tts_runtime.problems.model import Problem, Trial
from tts_runtime.record import views
from tts_runtime.record.files import (
    ANSWERS,
    DECISIONS,
    MODELS,
    NODES,
    PLAN,
    PROBLEMS,
    REPLIES,
    SUMMARY,
    DirectoryError,
    folder_of,
    read_document,
    read_manifest,
    read_problems,
    seal_of,
    trial_of,
)
from tts_runtime.record.grades import compares
from tts_runtime.record.lines import Damage, lines_of
from tts_runtime.record.manifest import Manifest
from tts_runtime.record.nodes import NodeBatch, records
from tts_runtime.runs.results import Answer
from tts_runtime.stats.paired import PairedComparison, compare_two

if TYPE_CHECKING:
    import pandas
    import pyarrow


@dataclass(frozen=True)
class Tree:
    """What a strategy did for one problem: its nodes by number, its decisions, its answer.

    `graders`: those of the run.
    """

    problem: Problem
    answer: Answer
    nodes: Mapping[int, CandidateRecord]
    decisions: Sequence[Mapping[str, Any]] = ()
    graders: Sequence[str] = ("math",)

    @cached_property
    def compared(self) -> bool:
        """Whether every candidate was graded: the grader does it, and did not fail."""
        return any(node.correct is not None for node in self.nodes.values()) or (
            compares(self.problem, self.graders) and self.answer.ungraded is None
        )

    def grade(self, node: CandidateRecord) -> bool | None:
        """The grade of a candidate; `None`: not known.

        Without an answer it is wrong, but only where every candidate was graded.
        """
        wrong = node.answer is None and node.correct is None and self.compared
        return False if wrong else node.correct

    @property
    def winner(self) -> CandidateRecord | None:
        """The node that was returned; `None` if none was, or the problem failed."""
        return self.nodes.get(self.answer.node or 0)

    def path(self, node: int) -> list[CandidateRecord]:
        """A node and what its text continues, oldest first."""
        found: list[CandidateRecord] = []
        at = self.nodes.get(node)
        while at is not None:
            found.append(at)
            at = self.nodes.get(at.before)
        return found[::-1]

    def ids(self, node: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The ids of a node's prompt and of its whole text, exactly as they were sampled.

        Raises:
            ValueError: They were not kept (`--keep ids`).
        """
        path = self.path(node)
        found = [each.token_ids for each in path]
        prompt = path[0].prompt_ids if path else None
        if prompt is None or any(each is None for each in found):
            raise ValueError(f"the ids of node {node} are not in the record: run with --keep ids")
        return prompt, tuple(id_ for each in found for id_ in each or ())

    def text(self, node: int) -> str:
        """The whole text of a node."""
        return "".join(each.added for each in self.path(node))


@dataclass
class StrategyRecord:
    """The record of one strategy of a run. Reading is lazy, a file at a time.

    Args:
        name: Of the strategy, with the values of a sweep (`majority[n=4]`).
        folder: Where its files are.
        identity: Of the run.
        problems: Of the run, by id; `graders`: what graded them.
        file: Its own, if it is not a shipped one, where it lay when it ran.
        damaged: Lines that cannot be believed, found so far; problems with one are not there.
    """

    name: str
    folder: Path
    identity: str
    problems: Mapping[str, Problem]
    file: str = ""
    damaged: list[Damage] = field(default_factory=list)
    graders: Sequence[str] = ("math",)

    @cached_property
    def plan(self) -> Plan:
        """The plan that ran.

        Raises:
            DirectoryError: It is damaged.
        """
        try:
            plan = from_json(read_written(self.folder / PLAN, MAX_PLAN_BYTES).decode())
            return replace(plan, file=self.file or plan.file)
        except (OSError, UnicodeDecodeError, PlanError) as error:
            raise DirectoryError(f"{self.folder / PLAN} is damaged: {error}") from error

    @cached_property
    def answers(self) -> Mapping[Trial, Answer]:
        """Answers by problem and seed, in the order in which they came, failed problems too."""
        found: dict[Trial, Answer] = {}
        for _, value in self.lines(ANSWERS):
            try:
                answer = Answer.model_validate(value)
            except ValidationError as error:
                reason = f"{error.errors()[0]['loc']}: {error.errors()[0]['msg']}"
                self.damaged.append(Damage(f"{self.folder.name}/{ANSWERS}", 0, reason))
                continue
            # A problem that failed may have been tried again: the last word counts.
            before = found.get(answer.trial)
            if before is None or before.error is not None:
                found[answer.trial] = answer
        return found

    def lines(self, file: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """Good lines of a file of this strategy; the others are `damaged`.

        Raises:
            DirectoryError: The file cannot be read.
        """
        seal = seal_of(self.identity, self.folder.name, file)
        try:
            yield from lines_of(self.folder / file, seal, self.damaged)
        except OSError as error:
            raise DirectoryError(f"{self.folder / file} cannot be read: {error}") from error

    def trees(self) -> Iterator[Tree]:
        """All problems that finished, under each seed, each when its nodes are read."""
        answers = self.answers  # first: an answer that is there has its nodes and decisions
        decisions = self._decisions()
        for trial, nodes in self.nodes():
            answer = answers.get(trial)
            if answer is None:
                continue
            tree = self.tree_of(answer, nodes, decisions.get(trial, ()))
            if tree is not None:
                yield tree

    def tree_of(
        self,
        answer: Answer,
        nodes: Mapping[int, CandidateRecord],
        decisions: Sequence[Mapping[str, Any]],
    ) -> Tree | None:
        """The tree of a problem that finished; what it lacks is `damaged`.

        Without all its nodes it is `None`; without all its decisions it has those that are there.

        Args:
            answer: To the problem.
            nodes: Of it; `decisions`: the last ones, after those that were torn and made again.
        """
        problem = self.problems.get(answer.id)
        damage = self._missing(answer, len(nodes), min(len(decisions), answer.decisions))
        self.damaged += [each for each in damage if each not in self.damaged]
        if problem is None or len(nodes) != answer.nodes:
            return None
        own = decisions[max(0, len(decisions) - answer.decisions) :]
        return Tree(problem, answer, nodes, own, self.graders)

    def _missing(self, answer: Answer, nodes: int, decisions: int) -> list[Damage]:
        """What an answered problem lacks, given how many of its nodes and decisions are there."""
        counts = ((NODES, nodes, answer.nodes), (DECISIONS, decisions, answer.decisions))
        return [
            self._damage(file, answer.trial, f"its {file.partition('.')[0]} are not all there")
            for file, there, wanted in counts
            if there != wanted
        ]

    def _damage(self, file: str, trial: Trial, reason: str) -> Damage:
        seed = f", seed {trial.seed}" if trial.seed else ""
        return Damage(f"{self.folder.name}/{file}", 0, f"problem {trial.problem}{seed}: {reason}")

    def tree(self, problem: str, seed: int | None = None) -> Tree:
        """One problem, under a seed; without one, under the smallest that it was answered under.

        Raises:
            KeyError: It is not there, not finished, or damaged.
        """
        seeds = sorted(trial.seed for trial in self.answers if trial.problem == problem)
        for each in seeds if seed is None else {seed}.intersection(seeds):
            trial = Trial(problem, each)
            answer = self.answers[trial]
            if not answer.nodes:
                return Tree(self.problems[problem], answer, {}, (), self.graders)
            tree = next((tree for tree in self.trees() if tree.answer.trial == trial), None)
            if tree is not None:
                return tree
        if seeds and seed not in (None, *seeds):
            has = ", ".join(map(str, seeds))
            raise KeyError(f"{self.name}: problem {problem!r} has no seed {seed}; it has {has}")
        if seeds:
            raise KeyError(f"{self.name}: the record of problem {problem!r} is damaged")
        hint = did_you_mean(problem, {trial.problem for trial in self.answers})
        what = f"{self.name}: no finished problem {problem!r}"
        raise KeyError(f"{what}; {hint}" if hint else what)

    def nodes(self) -> Iterator[tuple[Trial, dict[int, CandidateRecord]]]:
        """Nodes by problem and seed. What was torn and drawn again has its last ones."""
        current: Trial | None = None
        found: dict[int, CandidateRecord] = {}
        for _, value in self.lines(NODES):
            try:
                batch = NodeBatch.model_validate(value)
                trial = Trial(batch.problem, batch.seed)
                if trial != current or batch.first == 1:
                    if current is not None and trial != current:
                        yield current, found
                    current, found = trial, {}
                records(batch, found)
            except (ValidationError, ValueError) as error:
                self.damaged.append(Damage(f"{self.folder.name}/{NODES}", 0, str(error)[:200]))
        if current is not None:
            yield current, found

    def mismatches(self) -> Iterator[tuple[Trial, Damage]]:
        """Problems whose nodes, decisions and answer do not fit each other, and why.

        Raises:
            DirectoryError: A file cannot be read.
        """
        nodes = {trial: len(each) for trial, each in self.nodes()}
        decisions: Counter[Trial] = Counter()
        places: dict[Trial, int] = {}

        for _, line in self.lines(DECISIONS):
            trial = trial_of(line)
            decisions[trial] += 1
            place = max(line.get("in", ()), default=0)
            if place < places.get(trial, place):
                yield trial, self._damage(DECISIONS, trial, "its lines are not in order")
            places[trial] = place
        for trial, answer in self.answers.items():
            for damage in self._missing(answer, nodes.get(trial, 0), decisions[trial]):
                yield trial, damage
        for trial in {**nodes, **decisions}:
            if trial not in self.answers:
                yield trial, self._damage(ANSWERS, trial, "it has nodes, but no answer")

    def _decisions(self) -> dict[Trial, list[dict[str, Any]]]:
        found: dict[Trial, list[dict[str, Any]]] = {}
        for _, value in self.lines(DECISIONS):
            found.setdefault(trial_of(value), []).append(value)
        return found


class Run:
    """A run directory. Nothing is read before it is asked for.

    Raises:
        DirectoryError: It is none, or of another schema.
    """

    def __init__(self, directory: str | Path) -> None:
        self.directory = Path(directory)
        try:
            self.manifest: Manifest = read_manifest(self.directory)
            self.damaged: list[Damage] = []
            lines = read_problems(self.directory, self.manifest.identity, self.damaged)
        except OSError as error:
            raise DirectoryError(f"{self.directory} cannot be read: {error}") from error
        self.problems: Mapping[str, Problem] = {
            id_: Problem(
                id_,
                str(line["text"]),
                line.get("answer"),
                line.get("fields", {}),
                line.get("grader"),
                tuple((str(role), str(text)) for role, text in line.get("before", ())),
            )
            for id_, line in lines.items()
        }
        names = self.manifest.configuration.get("strategies", {})
        self.strategies: Mapping[str, StrategyRecord] = {
            name: StrategyRecord(
                name,
                self.directory / folder_of(name),
                self.manifest.identity,
                self.problems,
                self.manifest.files.get(name, ""),
                self.damaged,
                self.manifest.configuration.get("graders", ("math",)),
            )
            for name in names
        }

    def strategy(self, name: str | None = None) -> StrategyRecord:
        """One strategy's record; the only one if no name is given.

        Raises:
            KeyError: There is none of this name, or several.
        """
        if name is None and len(self.strategies) == 1:
            return next(iter(self.strategies.values()))
        if name is None or name not in self.strategies:
            swept = [each for each in self.strategies if each.startswith(f"{name}[")]
            hint = None if swept else did_you_mean(name or "", self.strategies)
            listed = ", ".join(swept or self.strategies)
            raise KeyError(f"name one of the run's strategies: {hint or listed}")
        return self.strategies[name]

    @property
    def seeds(self) -> Sequence[int]:
        """The seeds that the run was asked for."""
        return self.manifest.seeds

    def answers(self, strategy: str | None = None, seed: int | None = None) -> list[Answer]:
        """Answers of a strategy, by seed and in the order of the problems; of one seed if given."""
        found = self.strategy(strategy).answers
        seeds = sorted({trial.seed for trial in found}) if seed is None else [seed]
        trials = [Trial(problem, each) for each in seeds for problem in self.problems]
        return [found[trial] for trial in trials if trial in found]

    def tree(self, problem: str, strategy: str | None = None, seed: int | None = None) -> Tree:
        """What a strategy did for one problem, under a seed (the smallest if absent)."""
        return self.strategy(strategy).tree(problem, seed)

    def compare(self, left: str, right: str) -> PairedComparison:
        """A strategy against another, on the same problems and seeds (`stats.paired`).

        Raises:
            KeyError: There is no such strategy.
            ValueError: No answer is graded for both.
        """
        return compare_two({name: self.answers(name) for name in (left, right)}, left, right)

    def rows(self, what: str = "answers") -> Iterable[dict[str, Any]]:
        """`answers` or `nodes` of all strategies, as flat rows.

        Raises:
            ValueError: Something else.
        """
        views.columns(what)
        for record in self.strategies.values():
            if what == "answers":
                for answer in self.answers(record.name):
                    head = {"strategy": record.name, "problem": answer.id}
                    yield head | answer.model_dump(exclude={"id"})
                continue
            for tree in record.trees():
                for node in tree.nodes.values():
                    row = asdict(node)
                    row["scores"] = dict(node.scores)
                    row["winner"] = node.uid == tree.answer.node
                    head = {"strategy": record.name, "problem": tree.problem.id}
                    yield head | {"seed": tree.answer.seed, **row}

    def to_pandas(self, what: str = "answers") -> pandas.DataFrame:
        """`answers` or `nodes` as a data frame; nested values as they are, for Parquet `to_arrow`.

        Tokens and steps of nodes are those of whole paths, so their sums are no costs: see answers.

        Raises:
            ModuleNotFoundError: pandas is not installed.
        """
        return views.to_pandas(what, self.rows(what))

    def to_arrow(self, what: str = "answers") -> pyarrow.Table:
        """`answers` or `nodes` as an Arrow table; nested values as JSON texts.

        Raises:
            ModuleNotFoundError: pyarrow is not installed.
        """
        return views.to_arrow(what, self.rows(what))

    def verify(self) -> list[Damage]:
        """Reads everything, and says what cannot be believed."""
        self.damaged += _damage_in(self)
        return list(dict.fromkeys(self.damaged))

    def _repr_html_(self) -> str:
        """What a notebook shows: how each strategy did."""
        from tts_runtime.runs.html import table

        rows = []
        for name in self.strategies:
            found = self.answers(name)
            right = [answer.correct for answer in found if answer.correct is not None]
            share = f"{sum(right)} of {len(right)}" if right else "-"
            rows.append((name, str(len(found)), share))
        return table(("strategy", "problems", "right"), rows)

    def __repr__(self) -> str:
        return f"Run({str(self.directory)!r}: {', '.join(self.strategies)})"


def open_run(directory: str | Path) -> Run:
    """The record in a run directory (`tts-run --out`).

    Raises:
        DirectoryError: It holds no run, or one of another schema.
    """
    return Run(directory)


# ------------------------------------------------------------------ damage


def _damage_in(run: Run) -> list[Damage]:
    """What cannot be believed of a run, beyond what reading its lines finds.

    Raises:
        DirectoryError: A file cannot be read.
    """
    found: list[Damage] = []
    identity = run.manifest.identity
    try:
        read_document(run.directory / MODELS, seal_of(identity, "", MODELS), found)
        for _ in lines_of(run.directory / REPLIES, seal_of(identity, "", REPLIES), found):
            pass
        for record in run.strategies.values():
            if record.folder.exists():
                seal = seal_of(identity, record.folder.name, SUMMARY)
                read_document(record.folder / SUMMARY, seal, found)
                found += _in_plan(record, run.manifest.configuration.get("plans", {}))
                found += [damage for _, damage in record.mismatches()]
                found += [
                    Damage(f"{run.directory.name}/{PROBLEMS}", 0, f"problem {id_}: it is not there")
                    for id_ in dict.fromkeys(trial.problem for trial in record.answers)
                    if id_ not in run.problems
                ]
    except OSError as error:
        raise DirectoryError(f"{run.directory} cannot be read: {error}") from error
    return found


def _in_plan(record: StrategyRecord, digests: Mapping[str, str]) -> Iterator[Damage]:
    path = record.folder / PLAN
    reason = "it is not there"
    if path.exists():
        digest = sha256(read_written(path, MAX_PLAN_BYTES).removesuffix(b"\n")).hexdigest()
        reason = "it is not the plan that ran" if digest != digests.get(record.name) else ""
    if reason:
        yield Damage(f"{record.folder.name}/{PLAN}", 0, reason)
