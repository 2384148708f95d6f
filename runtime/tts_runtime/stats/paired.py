"""Compares strategies on the same problems and seeds.

Both see the same problems (and, where they share expansions, the same samples), so what counts is
where they differ. Problems are the unit, as in `stats.proportions`: a problem's difference is the
sum over its seeds.

* **Interval**: paired bootstrap over problems (Efron and Tibshirani 1993, chapter 13; clusters are
  drawn whole, Field and Welsh 2007), percentiles of 10,000 resamples with a fixed seed.
* **p**: the exact sign-flip test (Fisher's randomisation test for pairs): if neither strategy is
  better, a problem's difference is as likely to have the other sign. With one seed it is McNemar's
  exact test (1947), the binomial test of the problems that only one of them solves.
* **Several comparisons** are adjusted by Holm (1979), which holds for any dependence.

NumPy alone: SciPy and statsmodels would double what an installation takes. The tests compare the
results with theirs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tts_runtime.problems.model import Trial

#: Of the bootstrap.
RESAMPLES: Final = 10_000
_LEVEL: Final = 0.05


def p_shown(p: float) -> str:
    """A p value in a table: `<0.001`, `0.012`, `0.34`."""
    return "<0.001" if p < 0.001 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


class Graded(Protocol):
    """An answer (`runs.results.Answer`), as far as it is compared."""

    @property
    def trial(self) -> Trial:
        """The problem and seed of the answer."""

    @property
    def correct(self) -> bool | None:
        """Its grade, if it has one."""


class PairedVerdict(Enum):
    """The verdict of a comparison at the 5 % level."""

    BETTER = "better"
    WORSE = "worse"
    OPEN = "cannot tell"


@dataclass(frozen=True, slots=True)
class PairedComparison:
    """A strategy against another, on the trials that both have a grade for.

    Args:
        left, right: Their names; `difference` is the accuracy of `left` minus that of `right`.
        problems, trials: On how many problems, and problems times seeds.
        left_only, right_only: Trials that only this one solves.
        low, high: 95 % interval of the difference.
        p: Two-sided; `adjusted`: the same for all comparisons made together (Holm).
    """

    left: str
    right: str
    problems: int
    trials: int
    left_only: int
    right_only: int
    difference: float
    low: float
    high: float
    p: float
    adjusted: float

    @property
    def verdict(self) -> PairedVerdict:
        """Whether `left` is better, worse, or it cannot be told."""
        if self.adjusted >= _LEVEL:
            return PairedVerdict.OPEN
        return PairedVerdict.BETTER if self.difference > 0 else PairedVerdict.WORSE


def compare(
    answers: Mapping[str, Iterable[Graded]], pairs: Sequence[tuple[str, str]]
) -> list[PairedComparison]:
    """Compares pairs of strategies, `p` adjusted for all of these pairs that have trials.

    Args:
        answers: Of each strategy, by its name.
        pairs: Names: which is compared with which.

    Raises:
        KeyError: A strategy without answers here.
    """
    graded = {
        name: {
            each.trial: bool(each.correct) for each in graded_answers if each.correct is not None
        }
        for name, graded_answers in answers.items()
    }
    compared = [_compared(left, right, graded[left], graded[right]) for left, right in pairs]
    tested = [at for at, (_, _, _, trials, *_) in enumerate(compared) if trials]
    adjusted = dict(zip(tested, holm([compared[at][-1] for at in tested]), strict=True))
    return [PairedComparison(*each, adjusted.get(at, 1.0)) for at, each in enumerate(compared)]


def compare_two(answers: Mapping[str, Iterable[Graded]], left: str, right: str) -> PairedComparison:
    """Compares two strategies.

    Raises:
        KeyError: A strategy without answers here.
        ValueError: No answer is graded for both.
    """
    [comparison] = compare(answers, [(left, right)])
    if not comparison.trials:
        raise ValueError(f"{left} and {right}: no answer is graded for both")
    return comparison


def _compared(
    left: str,
    right: str,
    first: Mapping[Trial, bool],
    second: Mapping[Trial, bool],
) -> tuple[str, str, int, int, int, int, float, float, float, float]:
    both = [trial for trial in first if trial in second]
    sums: dict[str, tuple[int, int]] = {}
    for trial in both:
        total, count = sums.get(trial.problem, (0, 0))
        sums[trial.problem] = total + first[trial] - second[trial], count + 1
    clusters = list(sums.values())
    left_only = sum(first[trial] and not second[trial] for trial in both)
    right_only = sum(second[trial] and not first[trial] for trial in both)
    difference = (left_only - right_only) / len(both) if both else 0.0
    low, high = paired_interval(clusters)
    p = sign_flip_p([total for total, _ in clusters])
    return (
        *(left, right, len(clusters), len(both), left_only, right_only),
        *(difference, low, high, p),
    )


def paired_interval(
    clusters: Sequence[tuple[int, int]], resamples: int = RESAMPLES
) -> tuple[float, float]:
    """The 95 % bootstrap interval of the mean difference.

    Args:
        clusters: Of each problem, the sum of its differences, and of how many trials.
        resamples: How many.

    Returns:
        The interval; (-1, 1) without problems. Where the difference is the same on every problem so
        are all resamples, and the interval is that of the share of problems where it could be
        another all the same (Clopper and Pearson 1934), up to -1 or 1.
    """
    import numpy as np

    count = len(clusters)
    if not count:
        return -1.0, 1.0
    kinds = Counter(clusters)
    if len({Fraction(total, trials) for total, trials in kinds}) == 1:
        total, trials = clusters[0]
        mean, most = total / trials, 1 - (_LEVEL / 2) ** (1 / count)
        return mean - most * (1 + mean), mean + most * (1 - mean)
    values = np.array(list(kinds), dtype=float)
    often = np.array(list(kinds.values()), dtype=float)
    drawn = np.random.default_rng(0).multinomial(count, often / count, size=resamples)
    means = (drawn @ values[:, 0]) / (drawn @ values[:, 1])
    low, high = np.quantile(means, (_LEVEL / 2, 1 - _LEVEL / 2))
    return float(low), float(high)


def sign_flip_p(differences: Iterable[int]) -> float:
    """The two-sided p of the exact sign-flip test of these differences; 1 if all are 0.

    The distribution of the sum over all signs is the Fourier transform of its characteristic
    function, a product over the sizes. It is tilted first (Esscher 1932), so that its mean is the
    sum that was seen: small p then have as many right digits as large ones.
    """
    import numpy as np

    listed = [each for each in differences if each]
    seen = abs(sum(listed))
    if not seen:
        return 1.0
    counted = Counter(map(abs, listed))
    sizes, counts = np.array(list(counted)), np.array(list(counted.values()))
    reach = int(sizes @ counts)  # the largest sum
    tilt = _tilt(sizes, counts, seen)
    points = 1 << (2 * reach).bit_length()  # sums from -reach to reach
    angles = 2 * np.pi / points * np.arange(points // 2 + 1)
    transform = np.ones(len(angles), complex)
    for size, count in counted.items():
        sines = np.tanh(tilt * size) * np.sin(size * angles)
        transform *= (np.cos(size * angles) - 1j * sines) ** count
    tilted = np.fft.irfft(transform, points)[seen : reach + 1]
    scale = counts @ (np.log1p(np.exp(-2 * tilt * sizes)) - np.log(2))
    tail = tilted @ np.exp(tilt * (reach - np.arange(seen, reach + 1)) + scale)
    return min(1.0, 2 * float(tail))


def _tilt(sizes: NDArray[np.int64], counts: NDArray[np.int64], seen: int) -> float:
    """The t at which signs drawn in proportion to exp(t x) have the sum `seen` in the mean.

    It is 20, where all signs are as good as positive, if there is none.
    """
    import numpy as np

    low, high = 0.0, 20.0
    for _ in range(50):
        middle = (low + high) / 2
        if (sizes * counts) @ np.tanh(middle * sizes) < seen:
            low = middle
        else:
            high = middle
    return high


def holm(ps: Sequence[float]) -> list[float]:
    """p values adjusted for being several (Holm 1979), in their order."""
    adjusted = [0.0] * len(ps)
    largest = 0.0
    for rank, place in enumerate(sorted(range(len(ps)), key=ps.__getitem__)):
        largest = max(largest, min(1.0, (len(ps) - rank) * ps[place]))
        adjusted[place] = largest
    return adjusted
