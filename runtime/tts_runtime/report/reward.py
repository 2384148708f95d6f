"""Behaviour of reward models: score against the length of a solution, and against its grade.

Read a tree at a time. Of the finished candidates of a strategy an even sample is kept, so that
memory does not grow with the run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from tts_runtime.record.reader import Tree
from tts_runtime.stats.samples import samples_of

#: Finished candidates that are kept of one strategy and scorer.
MOST: Final = 20_000


class ScoredCandidate(NamedTuple):
    """A complete solution. `tokens`: sampled, on its whole path; `right`: its grade, if known."""

    problem: str
    tokens: int
    score: float
    right: bool | None


@dataclass
class _Sample:
    """Every 2^k-th of a stream, k growing so that at most `MOST` are kept."""

    stride: int = 1
    seen: int = 0

    def __post_init__(self) -> None:
        self.candidates: list[ScoredCandidate] = []

    def add(self, each: ScoredCandidate) -> None:
        if self.seen % self.stride == 0:
            if len(self.candidates) == MOST:
                self.candidates = self.candidates[::2]
                self.stride *= 2
            if self.seen % self.stride == 0:
                self.candidates.append(each)
        self.seen += 1


class RewardTally:
    """Finished candidates of one strategy by scorer.

    Args:
        scorers: Names that the strategy uses.
    """

    def __init__(self, scorers: Sequence[str]) -> None:
        self._samples = {scorer: _Sample() for scorer in scorers}
        #: Of problems whose samples are independent: how many are right, and how many there are.
        self.solved: dict[str, tuple[int, int]] = {}
        self.selected = 0

    def add(self, tree: Tree) -> None:
        """Adds a problem's complete solutions."""
        drawn = samples_of(tree)
        self.selected += not drawn.independent
        if drawn.graded and drawn.independent:
            right, count = self.solved.get(drawn.problem, (0, 0))
            right += sum(sample.correct for sample in drawn.samples)
            self.solved[drawn.problem] = right, count + len(drawn.samples)
        for sample in drawn.samples:
            for scorer, candidates in self._samples.items():
                score = sample.score(scorer, "last")
                if score is not None:
                    right_one = sample.correct if drawn.graded else None
                    candidates.add(ScoredCandidate(drawn.problem, sample.tokens, score, right_one))

    def sampled(self, scorer: str) -> Sequence[ScoredCandidate]:
        """The even sample of a scorer's candidates."""
        sample = self._samples.get(scorer)
        return () if sample is None else sample.candidates

    def seen(self, scorer: str) -> int:
        """The number of finished candidates that the scorer has scored."""
        sample = self._samples.get(scorer)
        return 0 if sample is None else sample.seen


@dataclass(frozen=True)
class Behaviour:
    """The behaviour of a scorer on the finished candidates of one strategy.

    Args:
        length: Spearman's correlation of score and tokens within problems, the mean over problems
            weighted by their candidates; `None` where nothing varies.
        auc: The chance that of two candidates of one problem, one right and one wrong, the right
            one has the higher score (ties count half); `None` without such pairs.
    """

    count: int
    length: float | None
    auc: float | None


def behaviour(candidates: Sequence[ScoredCandidate]) -> Behaviour:
    """Measures a scorer."""
    by_problem: dict[str, list[ScoredCandidate]] = {}
    for each in candidates:
        by_problem.setdefault(each.problem, []).append(each)
    total = weight = 0.0
    won = pairs = 0.0
    for group in by_problem.values():
        correlation = _spearman([each.tokens for each in group], [each.score for each in group])
        if correlation is not None:
            total += correlation * len(group)
            weight += len(group)
        good = [each.score for each in group if each.right is True]
        bad = [each.score for each in group if each.right is False]
        if good and bad:
            won += _wins(good, bad)
            pairs += len(good) * len(bad)
    return Behaviour(
        len(candidates), total / weight if weight else None, won / pairs if pairs else None
    )


def _wins(good: Sequence[float], bad: Sequence[float]) -> float:
    """Pairs in which the first is higher, ties half (Mann and Whitney 1947)."""
    ranks = _ranks([*good, *bad])
    return sum(ranks[: len(good)]) - len(good) * (len(good) + 1) / 2


def _ranks(values: Sequence[float]) -> list[float]:
    """Ranks from 1, equal values have the mean of theirs."""
    order = sorted(range(len(values)), key=values.__getitem__)
    ranks = [0.0] * len(values)
    at = 0
    while at < len(order):
        end = at
        while end < len(order) and values[order[end]] == values[order[at]]:
            end += 1
        for place in range(at, end):
            ranks[order[place]] = (at + end + 1) / 2
        at = end
    return ranks


def _spearman(one: Sequence[float], other: Sequence[float]) -> float | None:
    """Spearman's rank correlation; `None` where one of them does not vary."""
    first, second = _ranks(one), _ranks(other)
    mean = (len(first) + 1) / 2
    across = sum((a - mean) * (b - mean) for a, b in zip(first, second, strict=True))
    spread = sum((a - mean) ** 2 for a in first) * sum((b - mean) ** 2 for b in second)
    return across / spread**0.5 if spread > 0 else None
