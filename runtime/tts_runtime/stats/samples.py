"""The solutions in a record, and what other rules would have made of them: nothing is drawn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb
from random import Random
from typing import Final

from tts_lang.values import reduce_steps, votes
from tts_runtime.executor import CandidateRecord
from tts_runtime.record.reader import Tree
from tts_runtime.stats.estimators import best_at_k, majority_at_k, pass_at_k

#: The language's reductions of steps to one number that are compared.
REDUCTIONS: Final = ("last", "min", "prod", "mean")
#: Subsets by which a weighted vote is estimated where there are more of them.
SUBSETS: Final = 200


@dataclass(frozen=True, slots=True)
class Sample:
    """A solution: its answer, grade, length, and scores by scorer."""

    key: str | None
    correct: bool
    tokens: int
    steps: int
    scores: Mapping[str, tuple[float | None, ...] | float | None]

    def score(self, scorer: str, reduction: str) -> float | None:
        """One number; missing if the solution has none, or a step has none."""
        value = self.scores.get(scorer)
        if not isinstance(value, tuple):
            return value
        reduced: float | None = None if None in value else reduce_steps(reduction, value)
        return reduced


@dataclass(frozen=True, slots=True)
class SampledProblem:
    """The solutions to one problem under one seed.

    Args:
        graded: They have grades (a gold answer, and a grader that grades every candidate).
        samples: The solutions; where they have grades, those whose grade is known.
        ungraded: How many others there are then: they do not count as wrong.
        independent: Each was drawn on its own from the problem, and none because of another: only
            then what k of them would give says what k samples give.
    """

    problem: str
    seed: int
    graded: bool
    independent: bool
    samples: Sequence[Sample]
    ungraded: int = 0


def samples_of(tree: Tree) -> SampledProblem:
    """Solutions of a tree: candidates that no other continues, and that are done or were cut."""
    continued = {node.before for node in tree.nodes.values()}
    solutions = [
        node
        for node in tree.nodes.values()
        if node.finish is not None and node.uid not in continued and (node.done or _cut(node))
    ]
    grades = [tree.grade(each) for each in solutions]
    graded = any(each is not None for each in grades) if grades else tree.compared
    samples = [
        Sample(
            solution.answer_key,
            bool(grade),
            solution.tokens,
            solution.steps,
            dict(solution.scores),
        )
        for solution, grade in zip(solutions, grades, strict=True)
        if grade is not None or not graded
    ]
    return SampledProblem(
        tree.problem.id,
        tree.answer.seed,
        graded,
        all(not each.parent and each.op == "expand" for each in solutions),
        samples,
        len(solutions) - len(samples),
    )


def _cut(node: CandidateRecord) -> bool:
    """Whether a limit cut a solution; steps that a limit cut may have been pruned instead."""
    return node.finish == "length" and (node.sampling or {}).get("unit") == "solutions"


def own_draws(tree: Tree) -> list[CandidateRecord]:
    """The solutions that a strategy draws from the problem itself.

    Strategies draw the same of them, in the same order, as far as they sample alike: called after
    another one, such a strategy pays only for what the other has not drawn (C2, C66).
    """
    return [
        node
        for node in tree.nodes.values()
        if node.op == "expand" and not node.parent and node.stream is None
    ]


def scorers_of(problems: Iterable[SampledProblem]) -> dict[str, bool]:
    """Scorers of the solutions; whether they score steps."""
    scorers: dict[str, bool] = {}
    for problem in problems:
        for sample in problem.samples:
            for name, value in sample.scores.items():
                scorers[name] = scorers.get(name, False) or isinstance(value, tuple)
    return scorers


def whole(problems: Sequence[SampledProblem]) -> bool:
    """Whether all pools are of one size: votes end theirs once they are decided (C66)."""
    return len({len(each.samples) + each.ungraded for each in problems}) < 2


Rule = Callable[[SampledProblem, int], float]


def coverage(problem: SampledProblem, k: int) -> float:
    """pass@k."""
    right = sum(sample.correct for sample in problem.samples)
    return pass_at_k(len(problem.samples), right, k)


def majority(problem: SampledProblem, k: int) -> float:
    """maj@k."""
    counts = Counter(each.key for each in problem.samples if each.key is not None)
    right = {each.key: True for each in problem.samples if each.correct and each.key is not None}
    return majority_at_k(counts, right, len(problem.samples), k)


def best(scorer: str, reduction: str) -> Rule:
    """The sample of the highest score: best-of-k."""

    def rule(problem: SampledProblem, k: int) -> float:
        scored = [(each.score(scorer, reduction), each.correct) for each in problem.samples]
        return best_at_k(scored, k)

    return rule


def weighted(scorer: str, reduction: str) -> Rule:
    """A vote weighted by the score: the mean over all subsets, or over some of a fixed seed."""

    def rule(problem: SampledProblem, k: int) -> float:
        samples = problem.samples
        subsets: Iterable[Sequence[Sample]] = combinations(samples, k)
        if comb(len(samples), k) > SUBSETS:
            random = Random(f"{problem.problem} {problem.seed} {k}")
            subsets = (random.sample(samples, k) for _ in range(SUBSETS))
        chances = [_vote(subset, scorer, reduction) for subset in subsets]
        return sum(chances) / len(chances)

    return rule


def _vote(samples: Sequence[Sample], scorer: str, reduction: str) -> float:
    """The chance that the vote is right: of classes that tie, that of the earliest row is elected
    (C43), and in any order each of their rows is as likely to be it."""
    weights: dict[str, list[float]] = {}
    right: set[str] = set()
    for sample in samples:
        if sample.key is not None:
            # As in the language, what has no score weighs nothing, and may be elected all the same.
            weights.setdefault(sample.key, []).append(
                max(0.0, sample.score(scorer, reduction) or 0)
            )
            if sample.correct:
                right.add(sample.key)
    if not weights:
        return 0.0
    cast = {key: votes(each) for key, each in weights.items()}
    top = max(cast.values())
    tied = {key: len(weights[key]) for key, weight in cast.items() if weight == top}
    return sum(rows for key, rows in tied.items() if key in right) / sum(tied.values())


def mean_over(problems: Iterable[SampledProblem], k: int, rule: Rule) -> float | None:
    """The mean over problems with at least k samples and with grades; `None` without any."""
    values = [rule(each, k) for each in problems if each.graded and len(each.samples) >= k]
    return sum(values) / len(values) if values else None
