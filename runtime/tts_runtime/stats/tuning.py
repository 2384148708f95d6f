"""The compute-optimal choice: which strategy, at which budget, for problems of which difficulty.

Snell et al. (2024), section 3: for a budget choose the strategy of the highest accuracy, bin by bin
of difficulty, on one half of the problems, and measure it on the other, both ways round. Whatever
was recorded can be chosen, with any parameters: nothing is drawn. A choice holds for the policy and
the scorers that the record is of (Liu et al. 2025, "reward-aware").
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from math import exp, log
from random import Random
from typing import Final

from tts_runtime.stats.proportions import clustered_wilson

#: Of the bootstrap of a budget ratio.
_RESAMPLES: Final = 1000


@dataclass(frozen=True, slots=True)
class Measured:
    """The results of a strategy on one problem: right answers, answers, mean cost."""

    right: int
    answers: int
    cost: float

    @property
    def accuracy(self) -> float:
        """The share of right answers."""
        return self.right / self.answers


@dataclass(frozen=True, slots=True)
class TuningCandidate:
    """A strategy that can be chosen, with its parameters: what it did on each problem."""

    name: str
    measured: Mapping[str, Measured]


@dataclass(frozen=True, slots=True)
class TunedPoint:
    """The result of a choice at one budget.

    Args:
        budget: Mean cost per problem that a choice may have in its bin; `None`: that of the
            baseline in this bin.
        choice: Per bin, the strategy chosen on all problems: what is written.
        right: Per problem, right answers and answers of what the other half of the problems chose.
        costs: Per problem, the mean cost of these, with the cost of finding its bin.
        ceiling: Accuracy of the best choice per bin on the very problems that it is measured on:
            no choice by these bins from these strategies can be better here.
        best_single: The best one strategy for all problems, chosen as the bins' are; its accuracy.
    """

    budget: float | None
    baseline: str | None
    choice: tuple[str, ...]
    right: Mapping[str, tuple[int, int]]
    costs: Mapping[str, float]
    ceiling: float
    best_single: float

    @property
    def accuracy(self) -> float:
        """Validated: each problem by the choice of the half that it is not in."""
        return _share(self.right.values())

    @property
    def cost(self) -> float:
        """The mean of `costs`."""
        return sum(self.costs.values()) / len(self.costs)

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the accuracy."""
        return clustered_wilson(self.right.values())


def _share(counts: Iterable[tuple[int, int]]) -> float:
    listed = list(counts)
    answers = sum(count for _, count in listed)
    return sum(right for right, _ in listed) / answers if answers else 0.0


def halves(bins: Mapping[str, int]) -> tuple[list[str], list[str]]:
    """Two halves of the problems, every bin in both; by a digest of the ids, so always the same."""
    sides: tuple[list[str], list[str]] = ([], [])
    ordered = sorted(bins, key=lambda id_: (bins[id_], sha256(id_.encode()).digest()))
    for place, id_ in enumerate(ordered):
        sides[place % 2].append(id_)
    return sides


def tuned(
    candidates: Sequence[TuningCandidate],
    bins: Mapping[str, int],
    *,
    number: int | None = None,
    budget: float | None = None,
    baseline: TuningCandidate | None = None,
    overhead: Mapping[str, float] | None = None,
) -> TunedPoint | None:
    """The choice at one budget, and what it gives; `None` if nothing fits the budget.

    Args:
        candidates: What can be chosen; each was measured on all problems of `bins`.
        bins: Of each problem, its bin, 0 the easiest.
        number: How many bins there are, if some of the hardest may be empty. An empty bin has the
            choice of the one before it: the nearest that was measured.
        budget: Mean cost per problem in any bin; or instead
        baseline: No choice may cost more, in its bin, than this strategy does there.
        overhead: Cost of finding the bin, which counts (probes of a predicted difficulty), by the
            candidate that is then chosen, which may use what was drawn for it.
    """
    extra = overhead or {}
    everything = list(bins)
    number = number or max(bins.values()) + 1
    members = [[id_ for id_ in everything if bins[id_] == at] for at in range(number)]

    def allowed(at: int) -> float:
        if baseline is not None:
            return _cost(baseline, members[at])
        return float("inf") if budget is None else budget

    def choose(at: int, ids: Sequence[str]) -> TuningCandidate | None:
        """The best for a bin, judged on `ids`; the cheaper one of equals."""
        most = allowed(at) * (1 + 1e-9)
        fit = [
            candidate
            for candidate in candidates
            if _cost(candidate, members[at]) + extra.get(candidate.name, 0.0) <= most
        ]
        return max(
            fit,
            key=lambda candidate: (_accuracy(candidate, ids), -_cost(candidate, ids)),
            default=None,
        )

    def choices(ids: Sequence[str]) -> list[TuningCandidate] | None:
        judged_on = set(ids)
        used = [at for at in range(number) if members[at]]
        nearest = [
            max((each for each in used if each <= at), default=used[0]) for at in range(number)
        ]
        chosen = {
            at: choose(at, [id_ for id_ in members[at] if id_ in judged_on] or ids) for at in used
        }
        nearest_choices = [chosen[at] for at in nearest]
        return (
            [each for each in nearest_choices if each is not None] if all(nearest_choices) else None
        )

    final = choices(everything)
    if final is None:
        return None
    sides = halves(bins)
    validated = [choices(sides[1]), choices(sides[0])]
    right: dict[str, tuple[int, int]] = {}
    costs: dict[str, float] = {}
    for side, chosen in zip(sides, validated, strict=True):
        assert chosen is not None  # what fits does not depend on the half
        for id_ in side:
            name, measured = chosen[bins[id_]].name, chosen[bins[id_]].measured[id_]
            right[id_] = (measured.right, measured.answers)
            costs[id_] = measured.cost + extra.get(name, 0.0)
    best = _share([_counts(final[bins[id_]], id_) for id_ in everything])
    return TunedPoint(
        budget,
        None if baseline is None else baseline.name,
        tuple(each.name for each in final),
        right,
        costs,
        best,
        _single(candidates, sides, allowed_cost=_budget(baseline, budget, everything)),
    )


def least_budget(
    candidates: Sequence[TuningCandidate], bins: Mapping[str, int], overhead: Mapping[str, float]
) -> float:
    """The smallest budget of `tuned` that fits a candidate in every bin that has problems."""
    members: dict[int, list[str]] = {}
    for id_, at in bins.items():
        members.setdefault(at, []).append(id_)
    return max(
        min(_cost(each, ids) + overhead.get(each.name, 0.0) for each in candidates)
        for ids in members.values()
    )


def _budget(baseline: TuningCandidate | None, budget: float | None, ids: Sequence[str]) -> float:
    if baseline is not None:
        return _cost(baseline, ids)
    return float("inf") if budget is None else budget


def _single(
    candidates: Sequence[TuningCandidate], sides: tuple[list[str], list[str]], allowed_cost: float
) -> float:
    """Accuracy of one strategy for all problems, chosen on the other half each time."""
    whole = [*sides[0], *sides[1]]
    fit = [each for each in candidates if _cost(each, whole) <= allowed_cost * (1 + 1e-9)]
    if not fit:
        return 0.0
    counts: list[tuple[int, int]] = []
    for side, other in (sides, sides[::-1]):
        judged = other or side
        chosen = max(fit, key=lambda each: (_accuracy(each, judged), -_cost(each, judged)))
        counts += [_counts(chosen, id_) for id_ in side]
    return _share(counts)


def _counts(candidate: TuningCandidate, id_: str) -> tuple[int, int]:
    return candidate.measured[id_].right, candidate.measured[id_].answers


def _accuracy(candidate: TuningCandidate, ids: Sequence[str]) -> float:
    return _share([_counts(candidate, id_) for id_ in ids])


def _cost(candidate: TuningCandidate, ids: Sequence[str]) -> float:
    return sum(candidate.measured[id_].cost for id_ in ids) / len(ids)


def budget_ratio(
    points: Sequence[TunedPoint], baseline: TuningCandidate
) -> tuple[float | None, float | None, float | None]:
    """The ratio of a baseline's cost to that of the choice, at the baseline's accuracy.

    The choice's accuracy at each budget, joined over the logarithm of its cost; where that line
    first reaches the baseline's accuracy, the baseline's cost is divided by its cost. The interval
    is a bootstrap over problems, choices as they are (Efron and Tibshirani 1993).

    Returns:
        The ratio and its 95 % interval; `None` where the accuracy is not reached (the ratio is then
        below that of the dearest point).
    """
    ids = list(baseline.measured)
    ratio = _ratio(points, baseline, ids)
    random = Random(0)
    drawn = [
        _ratio(points, baseline, random.choices(ids, k=len(ids))) or 0.0 for _ in range(_RESAMPLES)
    ]
    drawn.sort()
    low, high = drawn[round(0.025 * _RESAMPLES)], drawn[round(0.975 * _RESAMPLES) - 1]
    return ratio, low or None, high or None


def _ratio(
    points: Sequence[TunedPoint], baseline: TuningCandidate, ids: Sequence[str]
) -> float | None:
    target = _accuracy(baseline, ids)
    curve = sorted(
        (
            sum(each.costs[id_] for id_ in ids) / len(ids),
            _share([each.right[id_] for id_ in ids]),
        )
        for each in points
    )
    before: tuple[float, float] | None = None
    for cost, accuracy in curve:
        if accuracy >= target:
            at = cost
            if before is not None and before[0] > 0:
                part = (target - before[1]) / (accuracy - before[1])
                at = exp(log(before[0]) + part * (log(cost) - log(before[0])))
            return _cost(baseline, ids) / at if at else None
        before = (cost, accuracy)
    return None
