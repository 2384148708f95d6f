"""Estimators of the result of k samples, from n of them: unbiased, without drawing any.

All are means over the subsets of k of the n samples (without replacement), worked out exactly:

* `pass_at_k`: some sample is right. 1 - C(n - c, k) / C(n, k) (Chen et al. 2021, "Evaluating Large
  Language Models Trained on Code", equation 1; coverage in Brown et al. 2024).
* `majority_at_k`: the most frequent answer is right; answers that are equally frequent are equally
  likely to be chosen (maj@k, Lewkowycz et al. 2022; self-consistency, Wang et al. 2023).
* `best_at_k`: the sample of the highest score is right, equal scores being equally likely.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import comb
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def pass_at_k(samples: int, right: int, k: int) -> float:
    """The chance that one of k samples is right.

    Raises:
        ValueError: k is not from 1 to `samples`.
    """
    _check(samples, k)
    return 1.0 - comb(samples - right, k) / comb(samples, k)


def majority_at_k(
    counts: Mapping[str, int], right: Mapping[str, bool], samples: int, k: int
) -> float:
    """The chance that a vote of k samples is right.

    Args:
        counts: How often each answer (its canonical form) was given.
        right: Which of them are right.
        samples: All samples, those without an answer too: they take a place, and vote for nothing.
        k: Votes.

    Raises:
        ValueError: k is not from 1 to `samples`.
    """
    _check(samples, k)
    blank = samples - sum(counts.values())
    chance = 0.0
    for answer, count in counts.items():
        if right.get(answer):
            others = [each for name, each in counts.items() if name != answer]
            chance += _wins(count, others, blank, samples, k)
    return min(1.0, chance)


def _wins(count: int, others: Sequence[int], blank: int, samples: int, k: int) -> float:
    """The chance that an answer is chosen, which `count` of the samples give.

    If each sample were taken independently with chance k / n, counts of different answers would be
    independent binomials; given that k are taken, they are those of a subset. So products of
    binomial terms, over the chance of k, are the chances wanted, and nothing overflows.
    """
    import numpy as np

    share = k / samples
    whole = _binomial(samples, share)[k]
    if share == 1.0:
        rivals = [each for each in others if each == count]
        return 0.0 if any(each > count for each in others) else 1.0 / (1 + len(rivals))
    won = 0.0
    own = _binomial(count, share)
    rows = {each: _binomial(each, share) for each in set(others)}
    for votes in range(1, min(count, k) + 1):
        # What cannot have as many votes may have any number: all of it is like no answer.
        rivals = [each for each in others if each >= votes]
        rest = _binomial(blank + sum(others) - sum(rivals), share)
        # ways[t, s]: t rivals have as many votes, all together have taken s samples.
        ways: NDArray[np.float64] = np.zeros((1, k + 1))
        ways[0, 0] = 1.0
        for rival in rivals:
            row = rows[rival]
            more = np.zeros((len(ways) + 1, k + 1))
            for tied in range(len(ways)):
                more[tied] += np.convolve(ways[tied], row[:votes])[: k + 1]
                more[tied + 1, votes:] += ways[tied, : k + 1 - votes] * row[votes]
            ways = more
        for tied in range(len(ways)):
            placed = np.convolve(ways[tied], rest)[: k + 1]
            won += own[votes] * placed[k - votes] / (1 + tied)
    return float(won / whole)


def best_at_k(scored: Sequence[tuple[float | None, bool]], k: int) -> float:
    """The chance that the best of k samples by score is right.

    Args:
        scored: Score and grade of every sample; one without a score comes after all others.
        k: Samples to choose from.

    Raises:
        ValueError: k is not from 1 to the number of samples.
    """
    samples = len(scored)
    _check(samples, k)
    groups: dict[float, list[bool]] = {}
    for score, right in scored:
        groups.setdefault(float("-inf") if score is None else score, []).append(right)
    total, below = 0.0, 0
    for score in sorted(groups):
        group = groups[score]
        upto = below + len(group)
        chance = (comb(upto, k) - comb(below, k)) / comb(samples, k)
        total += chance * sum(group) / len(group)
        below = upto
    return total


def _binomial(count: int, share: float) -> NDArray[np.float64]:
    """Chances of 0 to `count` successes."""
    import numpy as np

    row = np.ones(1)
    for _ in range(count):
        row = np.convolve(row, (1 - share, share))
    return row


def _check(samples: int, k: int) -> None:
    if not 1 <= k <= samples:
        raise ValueError(f"k is {k}: from {samples} samples it can be 1 to {samples}")
