"""Intervals of accuracies: equal to scipy's and statsmodels', and true as often as they say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tts_runtime.stats.proportions import Z95, clustered_wilson, effective_size, wilson

Clusters = list[tuple[int, int]]
CLUSTERS = st.lists(
    st.integers(0, 6).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), max_size=12
)


@given(st.integers(1, 100_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_is_that_of_scipy(counts: tuple[int, int]) -> None:
    from scipy.stats import binomtest

    right, answers = counts
    known = binomtest(right, answers).proportion_ci(method="wilson")
    assert wilson(right, answers) == pytest.approx((known.low, known.high), abs=1e-12)


@given(st.lists(st.booleans(), max_size=40))
def test_one_answer_per_problem_gives_wilson(answers: list[bool]) -> None:
    found = clustered_wilson((int(right), 1) for right in answers)
    assert found == wilson(sum(answers), len(answers))


@given(CLUSTERS)
def test_any_clusters_give_an_interval_around_the_share(clusters: Clusters) -> None:
    low, high = clustered_wilson(clusters)
    answers = sum(count for _, count in clusters)
    share = sum(right for right, _ in clusters) / answers if answers else 0.5
    assert 0 <= low <= share <= high <= 1
    assert high > low
    assert (low, high) == pytest.approx(clustered_wilson(reversed(clusters)))


def test_the_variance_is_statsmodels_cluster_robust_one() -> None:
    from statsmodels.api import OLS

    clusters = [(0, 3), (2, 5), (4, 4), (1, 5), (5, 5), (0, 1), (3, 4)]
    values = [each < right for right, count in clusters for each in range(count)]
    groups = [place for place, (_, count) in enumerate(clusters) for _ in range(count)]
    y = np.array(values, float)
    fit = OLS(y, np.ones_like(y)).fit(cov_type="cluster", cov_kwds={"groups": np.array(groups)})
    share, variance = float(y.mean()), float(fit.bse[0]) ** 2
    alone = share * (1 - share) / (len(y) - 1)
    assert effective_size(clusters) == pytest.approx(len(y) * alone / variance)
    # Far from 0 and 1 the interval is close to the normal one of the same variance.
    many = clusters * 40
    low, high = clustered_wilson(many)
    spread = Z95 * np.sqrt(variance * 6 / 7 / 40)
    assert (low, high) == pytest.approx((share - spread, share + spread), abs=2e-3)


def test_seeds_that_agree_say_no_more_than_one() -> None:
    one = [(0, 1), (1, 1), (1, 1), (0, 1), (1, 1)] * 8
    low, high = clustered_wilson([(5 * right, 5) for right, _ in one])
    assert (low, high) == pytest.approx(wilson(24, 40), abs=0.01)
    assert clustered_wilson([(5, 5)] * 40) == wilson(40, 40)
    assert clustered_wilson([(0, 5)] * 40) == wilson(0, 40)
    assert clustered_wilson([(3, 5)]) == wilson(0.6, 1)
    # Nor do seeds that agree less than chance has it say more than as many problems.
    assert effective_size([(1, 2)] * 9 + [(0, 2)]) == 20


def test_the_interval_holds_the_true_share_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    for problems, seeds, (alpha, beta) in (
        (40, 5, (0.5, 0.5)),
        (100, 3, (2.0, 0.4)),
        (25, 8, (1, 1)),
    ):
        true, rounds, held, naive = alpha / (alpha + beta), 600, 0, 0
        rates = rng.beta(alpha, beta, (rounds, problems))
        for counts in rng.binomial(seeds, rates):
            low, high = clustered_wilson((int(right), seeds) for right in counts)
            held += low <= true <= high
            low, high = wilson(int(counts.sum()), problems * seeds)
            naive += low <= true <= high
        assert 0.92 < held / rounds < 0.98
        assert naive / rounds < 0.9  # what the clusters are for
