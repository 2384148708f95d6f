"""How papers choose among candidates, with the documents' tie rules.

Ties go to the earlier candidate, a missing score loses against every other, and a missing weight
weighs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from math import ceil, comb, exp, floor, fsum, prod

from tests.support.published.lab import Lab
from tests.support.published.path import Path
from tts_runtime.streams import resample_key, uniform

Score = float | None
Scorer = Callable[[Path], Score]


def last(scores: Sequence[Score]) -> Score:
    """The score of the last step."""
    return scores[-1] if scores else None


def least(scores: Sequence[Score]) -> Score:
    """The worst step."""
    return min((score for score in scores if score is not None), default=None)


def product(scores: Sequence[Score]) -> Score:
    """All steps right, if they were independent."""
    present = [score for score in scores if score is not None]
    return prod(present) if present else None


def average(scores: Sequence[Score]) -> Score:
    """The mean."""
    present = [score for score in scores if score is not None]
    return fsum(present) / len(present) if present else None


REDUCTIONS = {"last": last, "min": least, "prod": product, "mean": average}


def by_prm(lab: Lab, reduce: Callable[[Sequence[Score]], Score] = last) -> Scorer:
    """A path's score by the process reward model."""
    return lambda path: reduce(lab.prm(path))


def ranked(scores: Sequence[Score]) -> list[int]:
    """Places, best first."""
    return sorted(
        range(len(scores)),
        key=lambda place: (scores[place] is None, -(scores[place] or 0.0), place),
    )


def top_of(paths: Sequence[Path], number: int, scores: Sequence[Score]) -> list[Path]:
    """The paths of the best scores, in the order in which they stand."""
    return [paths[place] for place in sorted(ranked(scores)[: max(0, number)])]


def top(paths: Sequence[Path], number: int, score: Scorer) -> list[Path]:
    """The best paths, in the order in which they stand."""
    return top_of(paths, number, [score(path) for path in paths])


def best(paths: Sequence[Path], score: Scorer) -> Path | None:
    """The best path."""
    return next(iter(top(paths, 1, score)), None)


def vote(lab: Lab, paths: Sequence[Path], weight: Scorer = lambda _: 1.0) -> Path | None:
    """A solution with the answer whose solutions weigh most; of these the heaviest."""
    classes: dict[str, list[tuple[float, Path]]] = {}
    for path in paths:
        answer = lab.answer(path)
        if answer is not None:
            classes.setdefault(answer, []).append((weight(path) or 0.0, path))
    elected: list[tuple[float, Path]] = []
    heaviest = -1.0
    for members in classes.values():
        total = fsum(given for given, _ in members)
        if total > heaviest:
            heaviest, elected = total, members
    leader: tuple[float, Path] | None = None
    for member in elected:
        if leader is None or member[0] > leader[0]:
            leader = member
    return None if leader is None else leader[1]


def quantile(values: Sequence[Score], part: float) -> Score:
    """Linear between order statistics."""
    ordered = sorted(value for value in values if value is not None)
    if not ordered:
        return None
    place = (len(ordered) - 1) * part
    low, high = floor(place), min(floor(place) + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def shares(lab: Lab, paths: Sequence[Path]) -> list[int]:
    """Votes of the answers, most first."""
    answers = [lab.answer(path) for path in paths]
    present = [answer for answer in answers if answer is not None]
    return sorted((present.count(answer) for answer in set(present)), reverse=True)


def agreement(lab: Lab, paths: Sequence[Path]) -> float:
    """The leading answer's part of the votes cast."""
    votes = shares(lab, paths)
    return votes[0] / sum(votes) if votes else 0.0


def sure_of_leader(lab: Lab, paths: Sequence[Path]) -> float:
    """P(the leader beats the second) under a flat prior: the Beta(v1 + 1, v2 + 1) tail above 1/2.

    For whole parameters it is a binomial sum: at most v1 successes in v1 + v2 + 1 fair trials.
    """
    if not shares(lab, paths):
        return 0.0
    first, second, *_ = [*shares(lab, paths), 0]
    trials = first + second + 1
    return float(Fraction(sum(comb(trials, k) for k in range(first + 1)), 2**trials))


def softmax(scores: Sequence[Score], heat: float) -> list[float]:
    """exp(score / heat), normalised; a missing score has no part."""
    present = [score for score in scores if score is not None]
    if not present:
        return [0.0 for _ in scores]
    powers = [0.0 if s is None else exp((s - max(present)) / heat) for s in scores]
    return [power / fsum(powers) for power in powers]


def odds(score: Score) -> Score:
    """p / (1 - p): the exponential of the logit."""
    return None if score is None or score == 1 else score / (1 - score)


def evenly(number: int, places: int) -> list[int]:
    """That many dealt out one by one, the earlier first."""
    return [number // places + (place < number % places) for place in range(places)]


def rounded_up(number: int, weights: Sequence[float]) -> list[int]:
    """Heaviest first, each the ceiling of its share of what is left (equal shares of nothing)."""
    exact = [Fraction(weight) for weight in weights]
    if not any(exact):
        exact = [Fraction(1) for _ in exact]
    dealt = [0 for _ in exact]
    weight_left = sum(exact)
    for place in sorted(range(len(exact)), key=lambda place: -exact[place]):
        if number > 0 and exact[place] > 0:
            dealt[place] = min(number, ceil(number * exact[place] / weight_left))
            number -= dealt[place]
            weight_left -= exact[place]
    return dealt


def resample(lab: Lab, paths: Sequence[Path], number: int, weights: Sequence[Score]) -> list[Path]:
    """Systematic resampling: one uniform number, then evenly spaced points on the weights' line."""
    exact = [Fraction(weight or 0.0) for weight in weights]
    if not any(exact):
        exact = [Fraction(1) for _ in exact]
    names = tuple((path.key, len(path.ids)) for path in paths)
    start = Fraction(uniform(resample_key(lab.root, names, lab.resamplings[names])))
    lab.resamplings[names] += 1
    chosen: list[Path] = []
    reached = Fraction(0)
    point = 0
    for path, weight in zip(paths, exact, strict=True):
        reached += weight
        while point < number and (start + point) / number * sum(exact) < reached:
            chosen.append(path)
            point += 1
    return chosen
