"""Shares of right answers, in per cent, with 95 % intervals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tts_runtime.problems.model import Trial
from tts_runtime.stats.proportions import clustered_wilson


@dataclass(frozen=True)
class Estimate:
    """In per cent, or percentage points. `low` and `high`: ends of the 95 % interval."""

    value: float
    low: float
    high: float
    count: int


def share(grades: Mapping[Trial, bool]) -> Estimate | None:
    """The share of right answers; `None` without grades."""
    if not grades:
        return None
    right = sum(grades.values())
    clusters: dict[str, list[bool]] = {}
    for trial, good in grades.items():
        clusters.setdefault(trial.problem, []).append(good)
    low, high = clustered_wilson((sum(each), len(each)) for each in clusters.values())
    return Estimate(100 * right / len(grades), 100 * low, 100 * high, len(grades))
