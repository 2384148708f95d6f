"""Figures of how accuracy grows with compute."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations


def control(compute: Sequence[float], least: float, most: float) -> float:
    """The share of runs whose compute lies between two limits (s1, Muennighoff et al. 2025)."""
    return sum(least <= each <= most for each in compute) / len(compute) if compute else 0.0


def slope(points: Sequence[tuple[float, float]]) -> float | None:
    """s1's Scaling: the mean slope of accuracy over compute, over all pairs of runs.

    Pairs of equal compute have no slope and are left out; `None` if no pair is left.
    """
    pairs = [
        (high[1] - low[1]) / (high[0] - low[0])
        for low, high in combinations(sorted(points), 2)
        if high[0] > low[0]
    ]
    return sum(pairs) / len(pairs) if pairs else None


def performance(points: Sequence[tuple[float, float]]) -> float:
    """s1's Performance: the highest accuracy of any run."""
    return max((accuracy for _, accuracy in points), default=0.0)


def matched_multiple(size_ratio: float, token_ratio: float) -> float:
    """The multiple of inference of a smaller model that costs the FLOPs of a larger one.

    Pre-training takes 6 x parameters x tokens, inference 2 x parameters x tokens. A model of M
    times the parameters, trained on as many tokens, is matched by M + 3 (M - 1) / R times the
    inference of the small one (Snell et al. 2024, section 7).

    Args:
        size_ratio: M, parameters of the larger model over those of the smaller one.
        token_ratio: R, tokens of all inference over those of pre-training.

    Raises:
        ValueError: M below 1, or R not above 0.
    """
    if size_ratio < 1 or token_ratio <= 0:
        raise ValueError("the size ratio must be 1 or more, the token ratio above 0")
    return size_ratio + 3 * (size_ratio - 1) / token_ratio
