"""A record as training data, in the formats of TRL's trainers.

Solutions of one problem, under all seeds and by all strategies of a run, are taken together; equal
texts count once for fine-tuning and pairs, and as often as they were drawn for estimates and
trajectories.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, TypeVar

from tts_lang.explain.units import counted
from tts_runtime.executor import CandidateRecord
from tts_runtime.problems.model import Problem, Trial
from tts_runtime.record.nodes import kind_of
from tts_runtime.record.reader import Run, Tree
from tts_runtime.replay.rundirs import places_of
from tts_runtime.steps import NOTHING

#: What can be written.
FORMATS: Final = ("sft", "preference", "stepwise", "prm", "trajectories")
#: A field of problems whose text a record of others does not have.
_MISSING: Final = "text_missing"

Row = dict[str, Any]
D = TypeVar("D")


@dataclass(frozen=True, slots=True)
class TrainingSolution:
    """A solution that ended by itself and was graded: its steps and its whole text."""

    text: str
    steps: tuple[str, ...]
    right: bool


@dataclass(frozen=True, slots=True)
class Trajectory:
    """A solution token by token, as it was sampled.

    Args:
        prompt: Ids of the prompt.
        ids: What follows it: sampled ids and forced ones.
        logprobs: Of each id under the policy as it sampled; `None` where it was forced.
        text: Of `ids`.
        right: Its grade.
    """

    prompt: tuple[int, ...]
    ids: tuple[int, ...]
    logprobs: tuple[float | None, ...]
    text: str
    right: bool


def rows(
    run: Run,
    form: str,
    strategies: Sequence[str],
    *,
    chat: bool,
    say: Callable[[str], None] = lambda _: None,
) -> Iterator[Row]:
    """The rows of a data set.

    Args:
        run: The record.
        form: `sft`: prompt and completion of every right solution. `preference`: a right and a
            wrong solution with the longest beginning of steps that two such share, a pair for each
            place where they part. `stepwise`: a solution's steps, each right if a right solution
            was drawn below it (Wang et al. 2024, Math-Shepherd, section 3.2, hard estimation).
            `prm`: the same with the share of right solutions below each step (soft estimation).
            `trajectories`: every draw, token by token, with its grade as the reward.
        strategies: Of the run, by name.
        chat: Messages in place of texts (not for steps, which TRL has as texts only).
        say: Takes a line about what is left out.

    Raises:
        ValueError: The record does not have the texts of its problems, or a run has other graders
            than those that grade every candidate; or trajectories, and their ids or
            log-probabilities were not kept.
    """
    if form == "trajectories":
        for problem, drawn in _drawn(run, strategies, _trajectory, say):
            yield from (_of_tokens(problem, each) for each in drawn)
        return
    delimiter = _delimiter(run)

    def solution(tree: Tree, node: CandidateRecord) -> TrainingSolution:
        text = tree.text(node.uid)
        return TrainingSolution(text, _steps(text, delimiter), node.correct is True)

    everything = _drawn(run, strategies, solution, say)
    lost = 0 if chat else sum(bool(problem.before) for problem, _ in everything)
    if lost:
        say(f"left out, as only --chat has them: the messages before {counted(lost, 'problem')}")
    for problem, solutions in everything:
        if problem.fields.get(_MISSING):
            raise ValueError(f"the record does not have the text of problem {problem.id}")
        prompt: Any = problem.messages if chat else problem.text

        def reply(text: str) -> Any:
            return [{"role": "assistant", "content": text}] if chat else text

        if form == "sft":
            for text in dict.fromkeys(each.text for each in solutions if each.right):
                yield {"prompt": prompt, "completion": reply(text)}
        elif form == "preference":
            for chosen, rejected in _pairs(solutions):
                yield {"prompt": prompt, "chosen": reply(chosen), "rejected": reply(rejected)}
        else:
            yield from _labelled(problem.text, solutions, soft=form == "prm")


def _delimiter(run: Run) -> bytes:
    for about in run.manifest.engines.values():
        binding = about.get("binding")
        if isinstance(binding, Mapping):
            return str(binding.get("step_delimiter", "\n\n")).encode()
    return b"\n\n"


def _drawn(
    run: Run,
    strategies: Sequence[str],
    read: Callable[[Tree, CandidateRecord], D],
    say: Callable[[str], None],
) -> list[tuple[Problem, list[D]]]:
    """What ended by itself and was graded, by problem; draws that strategies share count once."""
    drawn: dict[Trial, Counter[tuple[Hashable, D]]] = {}
    ungraded = 0
    for name in strategies:
        for tree in run.strategy(name).trees():
            mine: Counter[tuple[Hashable, D]] = Counter()
            trial = tree.answer.trial
            places = places_of(trial, tree.nodes) if len(strategies) > 1 else {}
            for node in tree.nodes.values():
                if node.finish != "end" or node.prompt is not None or kind_of(node.op) != "sampled":
                    continue
                if tree.grade(node) is None:
                    ungraded += 1
                    continue
                # Equal texts of two streams are two draws.
                place = places.get(node.uid)
                mine[place and place.key, read(tree, node)] += 1
            drawn[trial] = drawn.get(trial, Counter()) | mine
    if ungraded and not any(drawn.values()):
        raise ValueError(
            "no candidate has a grade: problems without a gold answer, or a grader that grades "
            "only what is returned"
        )
    if ungraded:
        say(f"left out, as they have no grade: {counted(ungraded, 'solution')}")
    found: dict[str, list[D]] = {}
    for trial, solutions in drawn.items():
        found.setdefault(trial.problem, []).extend(each for _, each in solutions.elements())
    return [(run.problems[id_], listed) for id_, listed in found.items()]


def _trajectory(tree: Tree, node: CandidateRecord) -> Trajectory:
    try:
        prompt, ids = tree.ids(node.uid)
    except ValueError as error:
        raise ValueError(f"{error},logprobs") from error
    path = tree.path(node.uid)
    logprobs = tuple(
        each for part in path for each in part.token_logprobs or (None,) * len(part.token_ids or ())
    )
    if sum(each is not None for each in logprobs) < node.tokens:
        raise ValueError(
            f"the log-probabilities of node {node.uid} are not in the record: run with --keep "
            "ids,logprobs, on an engine that gives them"
        )
    return Trajectory(prompt, ids, logprobs, tree.text(node.uid), node.correct is True)


def _of_tokens(problem: Problem, drawn: Trajectory) -> Row:
    """The columns of TRL's rollouts: what was forced has no part in the loss (`env_mask` 0)."""
    return {
        "id": problem.id,
        "prompt": problem.text,
        "completion": drawn.text,
        "prompt_ids": drawn.prompt,
        "completion_ids": drawn.ids,
        "logprobs": [0.0 if each is None else each for each in drawn.logprobs],
        "env_mask": [int(each is not None) for each in drawn.logprobs],
        "reward": float(drawn.right),
    }


def _steps(text: str, delimiter: bytes) -> tuple[str, ...]:
    split = NOTHING.add(text.encode("utf-8", "replace"), delimiter)
    steps = (*split.closed, *([split.tail] if split.tail.strip() else []))
    return tuple(step.decode("utf-8", "replace").strip() for step in steps)


def _pairs(solutions: Sequence[TrainingSolution]) -> Iterator[tuple[str, str]]:
    """A right and a wrong solution for each beginning after which two such part; longest first."""
    below: dict[tuple[str, ...], dict[str, dict[bool, TrainingSolution]]] = {}
    for solution in solutions:
        for many, step in enumerate(solution.steps):
            group = below.setdefault(solution.steps[:many], {})
            group.setdefault(step, {}).setdefault(solution.right, solution)
    for beginning in sorted(below, key=len, reverse=True):
        steps = below[beginning]
        parted = (
            (steps[one][True].text, steps[other][False].text)
            for one in steps
            for other in steps
            if one != other and True in steps[one] and False in steps[other]
        )
        yield from islice(parted, 1)


def _labelled(prompt: str, solutions: Sequence[TrainingSolution], *, soft: bool) -> Iterator[Row]:
    right: dict[tuple[str, ...], int] = {}
    drawn: dict[tuple[str, ...], int] = {}
    for solution in solutions:
        for many in range(1, len(solution.steps) + 1):
            beginning = solution.steps[:many]
            drawn[beginning] = drawn.get(beginning, 0) + 1
            right[beginning] = right.get(beginning, 0) + solution.right
    for steps in dict.fromkeys(solution.steps for solution in solutions if solution.steps):
        beginnings = [steps[: many + 1] for many in range(len(steps))]
        row: Row = {"prompt": prompt, "completions": list(steps)}
        if soft:
            row["labels"] = [right[each] / drawn[each] for each in beginnings]
            row["drawn"] = [drawn[each] for each in beginnings]
        else:
            row["labels"] = [right[each] > 0 for each in beginnings]
        yield row
