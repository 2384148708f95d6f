"""Compute-optimal scaling: the difficulty decides which method spends the budget."""

from __future__ import annotations

from math import fsum

from tests.support.published import beams, voting
from tests.support.published.choosing import Score, by_prm
from tests.support.published.lab import Lab
from tests.support.published.path import Path
from tests.support.published.worlds import PUBLISHED, published


def predicted_difficulty(lab: Lab, probes: int) -> Score:
    """Mean final PRM score of some samples. Snell et al. (2024), section 3.2 (predicted)."""
    scores = [by_prm(lab)(path) for path in lab.sample(lab.problem, probes)]
    present = [score for score in scores if score is not None]
    return fsum(present) / len(present) if present else None


@published
def compute_optimal(
    lab: Lab, n: int = 16, probes: int = 8, easy: float = 0.8, hard: float = 0.4
) -> Path | None:
    """Easy: majority; medium: DVTS; hard: beam search. Snell et al. (2024), section 3.2."""
    seen = predicted_difficulty(lab, probes)
    if seen is not None and seen > easy:
        return voting.majority(lab.again(), n)
    if seen is not None and seen > hard:
        return beams.dvts(lab.again(), n)
    return beams.beam_search(lab.again(), n)


@published
def compute_optimal_oracle(
    lab: Lab,
    n: int = 16,
    easy: float = 0.5,
    hard: float = 0.1,
    on_easy: str = "majority",
    on_medium: str = "dvts",
    on_hard: str = "beam_search",
) -> Path | None:
    """By absolute pass@1: easy above 50 %, hard below 10 %. Liu et al. (2025), section 3.2."""
    pass_rate = lab.task.fields["pass_rate"]
    name = on_easy if pass_rate > easy else on_medium if pass_rate > hard else on_hard
    return PUBLISHED[name](lab.again(), n)


@published
def compute_optimal_quantiles(
    lab: Lab,
    n: int = 16,
    probes: int = 8,
    q80: float = 0.9,
    q60: float = 0.8,
    q40: float = 0.6,
    q20: float = 0.4,
    bin1: str = "weighted_best_of_n",
    bin2: str = "weighted_best_of_n",
    bin3: str = "beam_search",
    bin4: str = "beam_search",
    bin5: str = "beam_search",
) -> Path | None:
    """Five quantile bins, the best method of each. Snell et al. (2024), section 3.2."""
    seen = predicted_difficulty(lab, probes)
    for quantile, method in ((q80, bin1), (q60, bin2), (q40, bin3), (q20, bin4)):
        if seen is not None and seen > quantile:
            return PUBLISHED[method](lab.again(), n)
    return PUBLISHED[bin5](lab.again(), n)
