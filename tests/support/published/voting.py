"""Repeated sampling: one solution, votes, best-of-n, adaptive and confidence-based variants."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, fsum

from tests.support.published.choosing import (
    REDUCTIONS,
    Score,
    Scorer,
    agreement,
    best,
    by_prm,
    quantile,
    sure_of_leader,
    top,
    vote,
)
from tests.support.published.lab import Lab
from tests.support.published.path import Path
from tests.support.published.worlds import published


@published
def greedy(lab: Lab) -> Path:
    """Greedy decoding. Wei et al. (2022), section 3.1."""
    return lab.sample(lab.problem, temperature=0)[0]


@published
def chain_of_thought(lab: Lab) -> Path:
    """One sampled solution. Wei et al. (2022), section 2."""
    return lab.sample(lab.problem)[0]


@published
def majority(lab: Lab, n: int = 16) -> Path | None:
    """Self-consistency: the most frequent answer. Wang et al. (2023), section 2."""
    return vote(lab, lab.sample(lab.problem, n))


@published
def best_of_n(lab: Lab, n: int = 16, reduce: str = "last") -> Path | None:
    """The solution that the verifier scores highest. Cobbe et al. (2021), section 4.

    Step scores are reduced by the last, least, product or mean: Snell et al. (2024), appendix E.
    """
    return best(lab.sample(lab.problem, n), by_prm(lab, REDUCTIONS[reduce]))


@published
def weighted_best_of_n(lab: Lab, n: int = 16, reduce: str = "last") -> Path | None:
    """Verifier scores of equal answers are summed. Li et al. (2023), section 3."""
    return vote(lab, lab.sample(lab.problem, n), by_prm(lab, REDUCTIONS[reduce]))


@published
def adaptive_consistency(lab: Lab, most: int = 40, sure: float = 0.95) -> Path | None:
    """Sample until the Beta criterion holds. Aggarwal et al. (2023), section 3."""
    solutions = [lab.sample(lab.problem)[0]]
    while len(solutions) < most and sure_of_leader(lab, solutions) <= sure:
        solutions += lab.sample(lab.problem)
    return vote(lab, solutions)


@published
def rejection_sampling(lab: Lab, limit: int = 4000, tries: int = 32) -> Path | None:
    """The first of that many tries that ends within the limit, at temperature 1.

    Muennighoff et al. (2025), section 3.1; the tries are drawn side by side, so all are paid.
    """
    for solution in lab.sample(lab.problem, tries, most=limit, temperature=1):
        if solution.finish == "end":
            return solution
    return None


def group_confidences(values: Sequence[float], window: int) -> list[float]:
    """Means over all windows of that many tokens; a shorter trace is one window.

    Fu et al. (2025), DeepConf, section 3.1; token confidence is minus the mean log-probability of
    the likeliest tokens.
    """
    width = min(window, len(values))
    return [
        fsum(values[start : start + width]) / width
        for start in range(len(values) - width + 1)
        if width
    ]


def lowest_group(values: Sequence[float], window: int) -> Score:
    """Lowest group confidence. Section 3.1."""
    return min(group_confidences(values, window), default=None)


def bottom_tenth(values: Sequence[float], window: int) -> Score:
    """Bottom-10 % group confidence. Section 3.1."""
    groups = sorted(group_confidences(values, window))
    lowest = groups[: ceil(len(groups) / 10)]
    return fsum(lowest) / len(lowest) if lowest else None


def tail(values: Sequence[float], window: int) -> Score:
    """Confidence of the last tokens. Section 3.1."""
    return fsum(values[-window:]) / len(values[-window:]) if values else None


def _filtered_vote(lab: Lab, n: int, keep: int, weight: Scorer) -> Path | None:
    """The authors' code filters and counts traces that have an answer only."""
    sampled = lab.sample(lab.problem, n, statistics=("confidence",))
    traces = [trace for trace in sampled if lab.answer(trace) is not None]
    kept = top(traces, max(1, -(-len(traces) * keep // 100)), weight)
    return vote(lab, kept, weight)


@published
def deepconf_offline(lab: Lab, n: int = 16, keep: str = "10%", window: int = 2048) -> Path | None:
    """Keep the surest keep % of the traces; they vote by confidence. Section 3.2."""
    percent = int(keep.rstrip("%"))
    return _filtered_vote(lab, n, percent, lambda p: lowest_group(p.values("confidence"), window))


@published
def deepconf_bottom(lab: Lab, n: int = 16, keep: str = "10%", window: int = 2048) -> Path | None:
    """The same by the bottom tenth of the groups. Section 3.2."""
    percent = int(keep.rstrip("%"))
    return _filtered_vote(lab, n, percent, lambda p: bottom_tenth(p.values("confidence"), window))


@published
def deepconf_tail(lab: Lab, n: int = 16, keep: str = "10%", window: int = 2048) -> Path | None:
    """The same by the tail. Section 3.2."""
    percent = int(keep.rstrip("%"))
    return _filtered_vote(lab, n, percent, lambda p: tail(p.values("confidence"), window))


@published
def confidence_vote(lab: Lab, n: int = 16) -> Path | None:
    """Confidence-weighted majority without a filter, by average trace confidence. Section 3.2."""
    return vote(
        lab,
        lab.sample(lab.problem, n, statistics=("confidence",)),
        lambda path: average_of(path.values("confidence")),
    )


def average_of(values: Sequence[float]) -> Score:
    """The mean over the tokens of a trace."""
    return fsum(values) / len(values) if values else None


@published
def self_certainty(lab: Lab, n: int = 16, power: float = 0.5) -> Path | None:
    """Borda voting: rank r of n casts (n - r + 1) ** p. Kang et al. (2025), section 4."""
    solutions = lab.sample(lab.problem, n, statistics=("certainty",))
    scores = [average_of(path.values("certainty")) for path in solutions]

    def votes(path: Path) -> Score:
        mine = average_of(path.values("certainty"))
        if mine is None:
            return None
        rank = 1 + sum(other is not None and other > mine for other in scores)
        return float((n - rank + 1) ** power)

    return vote(lab, solutions, votes)


@published
def self_certainty_best(lab: Lab, n: int = 16) -> Path | None:
    """The highest self-certainty wins. Kang et al. (2025), section 3."""
    solutions = lab.sample(lab.problem, n, statistics=("certainty",))
    return best(solutions, lambda path: average_of(path.values("certainty")))


@published
def deepconf_online(
    lab: Lab,
    warm: int = 16,
    most: int = 512,
    keep: str = "10%",
    sure: float = 0.95,
    window: int = 2048,
) -> Path | None:
    """A warm-up sets the bar; traces whose group confidence falls below are cut off. Section 3.3.

    Sampling ends at a consensus of `sure` or at the budget; traces above the bar vote.
    """

    def confidence(path: Path) -> Score:
        return lowest_group(path.values("confidence"), window)

    traces = lab.sample(lab.problem, warm, statistics=("confidence",))
    bar = quantile([confidence(path) for path in traces], 1 - int(keep.rstrip("%")) / 100)

    def too_low(values: Sequence[float]) -> bool:
        group = tail(values, window) if len(values) >= window else None
        return group is not None and bar is not None and group < bar

    for _ in range(most - warm):
        if agreement(lab, traces) >= sure:
            break
        traces += lab.sample(lab.problem, statistics=("confidence",), cut_off=too_low)
    kept = [
        path
        for path in traces
        if bar is not None and (value := confidence(path)) is not None and value >= bar
    ]
    return vote(lab, kept, confidence)


@published
def multiple_choice(
    lab: Lab, n: int = 8, choices: str = "A|B", marker: str = "\n\nThe answer is \\boxed{"
) -> Path | None:
    """Each solution then names a choice, and these vote. Willard and Louf (2023), 4."""
    pool = [lab.force(path, marker) for path in lab.sample(lab.problem, n)]
    chosen = [path for each in pool for path in lab.sample(each, matching=choices)]
    return vote(lab, [lab.force(path, "}") for path in chosen])
