"""Confidence intervals of a share of right answers.

Answers to one problem under several seeds are not independent: a hard problem is wrong under all of
them. So problems are clusters. The interval is Wilson's (1927) at the effective sample size, n over
the design effect: the cluster-robust variance of the share (Liang and Zeger 1986, with the factor
G / (G - 1) for G clusters), over that of n independent answers. Kott and Carr (1997) and Dean and
Pagano (2015) recommend this interval for survey data; Miller (2024, "Adding Error Bars to Evals")
the same variance for evaluations. With one seed it is exactly Wilson's interval, and it stays
within 0 and 1 where a normal interval does not.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import sqrt

#: Two-sided 95 % quantile of the standard normal distribution.
Z95 = 1.959963984540054


def wilson(successes: float, trials: float) -> tuple[float, float]:
    """The 95 % Wilson score interval of a proportion (Wilson 1927); (0, 1) without trials.

    Both counts may be effective ones.
    """
    if trials <= 0:
        return 0.0, 1.0
    share = successes / trials
    square = Z95 * Z95
    centre = share + square / (2 * trials)
    spread = Z95 * sqrt(share * (1 - share) / trials + square / (4 * trials * trials))
    scale = 1 + square / trials
    # At the ends the interval reaches 0 or 1 exactly, which rounding would miss.
    low = (centre - spread) / scale if successes else 0.0
    high = (centre + spread) / scale if successes < trials else 1.0
    return low, high


def clustered_wilson(clusters: Iterable[tuple[int, int]]) -> tuple[float, float]:
    """The 95 % interval of the share of right answers, for answers in clusters.

    Args:
        clusters: Of each problem, how many answers are right, and how many there are.

    Returns:
        The interval of the share over all answers; (0, 1) without answers.
    """
    counted = [(right, count) for right, count in clusters if count]
    answers = sum(count for _, count in counted)
    if not answers:
        return 0.0, 1.0
    right = sum(right for right, _ in counted)
    effective = effective_size(counted)
    if effective == answers:
        return wilson(right, answers)
    return wilson(right * effective / answers, effective)


def effective_size(clusters: list[tuple[int, int]]) -> float:
    """The number of independent answers worth as much as these clustered ones (`clustered_wilson`).

    At most the number of answers, and not fewer than of clusters where all answers agree, so that
    no variance can be seen.
    """
    answers = sum(count for _, count in clusters)
    right = sum(right for right, _ in clusters)
    if len(clusters) == answers:
        return answers
    if right in (0, answers) or len(clusters) < 2:
        return len(clusters)
    share = right / answers
    between = sum((right - share * count) ** 2 for right, count in clusters)
    between *= len(clusters) / (len(clusters) - 1)
    alone = answers * answers * share * (1 - share) / (answers - 1)
    return min(answers, answers * alone / between) if between else answers
