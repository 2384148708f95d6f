"""The difficulty of problems for a policy, from the samples of a run.

*Oracle*: the share of a problem's samples that are right, pass@1 (Snell et al. 2024, section 3.2;
Liu et al. 2025). *Predicted*: the mean score of its samples, without a gold answer (Snell et al.).
Bins are *absolute* (easy above 50 %, medium above 10 %, hard; Liu et al.) or quantiles, five in
Snell et al. The first bin is the easiest; a border belongs to the harder bin, as `above` of the
language has it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from tts_lang.values import mean
from tts_runtime.stats.samples import SampledProblem

#: Lower borders of the absolute bins, from the hardest on.
ABSOLUTE: Final = (0.1, 0.5)
#: Names of three bins, from the easiest on.
THREE: Final = ("easy", "medium", "hard")


def pass_rates(problems: Iterable[SampledProblem]) -> dict[str, float]:
    """Of each problem, the share of right samples over all seeds; those without samples are left
    out."""
    return _means(
        (sampled.problem, float(sample.correct))
        for sampled in problems
        for sample in sampled.samples
        if sampled.graded
    )


def predicted(problems: Iterable[SampledProblem], scorer: str) -> dict[str, float]:
    """Of each problem, the mean score of its samples, of those that have one."""
    scored = (
        (sampled.problem, sample.score(scorer, "last"))
        for sampled in problems
        for sample in sampled.samples
    )
    return _means((problem, score) for problem, score in scored if score is not None)


def _means(values: Iterable[tuple[str, float]]) -> dict[str, float]:
    by_problem: dict[str, list[float]] = {}
    for problem, value in values:
        by_problem.setdefault(problem, []).append(value)
    # As the language has it, to the last digit: a border is a problem's own value.
    return {problem: float(mean(each) or 0) for problem, each in by_problem.items()}


def quantile_borders(ease: Iterable[float], bins: int) -> tuple[float, ...]:
    """Borders between bins that hold about as many problems each, rising; equal ones are merged."""
    ordered = sorted(ease)
    count = len(ordered)
    borders = {ordered[-(-count * at // bins) - 1] for at in range(1, bins)} if ordered else set()
    return tuple(sorted(borders - set(ordered[-1:])))


def borders_of(ease: Mapping[str, float], bins: int | None, what: str) -> tuple[float, ...]:
    """Borders of that many bins of equal size, or of the absolute ones.

    Raises:
        ValueError: Absolute ones of `what` is no pass rate.
    """
    if bins is not None:
        return quantile_borders(ease.values(), bins)
    if not all(0 <= value <= 1 for value in ease.values()):
        raise ValueError(
            f"--bins: {what} is no pass rate, which absolute bins are made of: name a number of "
            "bins"
        )
    return ABSOLUTE


def bins_of(ease: Mapping[str, float], borders: Sequence[float]) -> dict[str, int]:
    """The bin of each problem, 0 the easiest: above the last border."""
    return {id_: len(borders) - bisect_left(borders, value) for id_, value in ease.items()}


def bin_names(borders: Sequence[float]) -> list[str]:
    """Names of the bins, from the easiest on."""
    if len(borders) == 2:
        return list(THREE)
    return [f"level {at + 1}" for at in range(len(borders) + 1)]
