"""Paired comparisons: equal to scipy's and statsmodels', and wrong as rarely as they say."""

from __future__ import annotations

from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tts_runtime.runs.results import Answer
from tts_runtime.stats.paired import PairedVerdict, compare, holm, paired_interval, sign_flip_p
from tts_runtime.stats.proportions import Z95

FEW = st.lists(st.integers(-3, 3), max_size=9)


def answers(grades: list[list[bool | None]]) -> list[Answer]:
    """Of each problem, the grades under its seeds."""
    return [
        Answer(id=str(problem), seed=seed, correct=grade)
        for problem, row in enumerate(grades)
        for seed, grade in enumerate(row)
    ]


@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 40))
def test_with_one_seed_the_test_is_mcnemars(won: int, lost: int, same: int) -> None:
    from statsmodels.stats.contingency_tables import mcnemar

    known = mcnemar([[same, won], [lost, 0]], exact=True)
    found = sign_flip_p([1] * won + [-1] * lost + [0] * same)
    assert found == pytest.approx(min(1.0, known.pvalue), rel=1e-9)


@settings(max_examples=30, deadline=None)
@given(FEW.filter(any))
def test_the_sign_flip_test_is_scipys_exact_permutation_test(differences: list[int]) -> None:
    from scipy.stats import permutation_test

    if len(differences) < 2:
        differences = [*differences, 0]
    pair = (np.array(differences, float), np.zeros(len(differences)))
    known = permutation_test(
        pair, lambda a, b, axis: np.sum(a - b, axis), permutation_type="samples", vectorized=True,
        n_resamples=np.inf,
    )  # fmt: skip
    assert sign_flip_p(differences) == pytest.approx(known.pvalue)


@pytest.mark.parametrize(("won", "lost"), [(50_400, 49_600), (800, 200), (100, 0)])
def test_many_problems_are_tested_exactly(won: int, lost: int) -> None:
    from scipy.stats import binomtest

    for size in (1, 3):
        found = sign_flip_p([size] * won + [-size] * lost)
        assert found == pytest.approx(binomtest(won, won + lost).pvalue, rel=1e-9, abs=0)


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), max_size=8))
def test_holm_is_that_of_statsmodels(ps: list[float]) -> None:
    from statsmodels.stats.multitest import multipletests

    with patch("gc.collect"):  # it collects garbage in every call: half a second in the whole suite
        known = multipletests(ps, method="holm")[1] if ps else []
    assert holm(ps) == pytest.approx(list(known))


def test_the_interval_is_scipys_bootstrap() -> None:
    from scipy.stats import bootstrap

    rng = np.random.default_rng(1)
    sums = rng.choice([-1, 0, 0, 0, 1, 1], 150)
    known = bootstrap((sums,), np.mean, method="percentile", rng=rng).confidence_interval
    found = paired_interval([(int(each), 1) for each in sums])
    assert found == pytest.approx((known.low, known.high), abs=0.01)
    many = rng.choice([-1, 0, 1, 1], 20_000)
    spread = Z95 * many.std() / 20_000**0.5
    assert paired_interval([(int(each), 1) for each in many]) == pytest.approx(
        (many.mean() - spread, many.mean() + spread), abs=spread / 15
    )
    # Three seeds that agree say what one says.
    assert paired_interval([(3 * int(each), 3) for each in sums]) == found


def test_no_difference_seen_is_none_proved() -> None:
    low, high = paired_interval([(0, 1)] * 100)
    assert low == -high
    assert high == pytest.approx(1 - 0.025 ** (1 / 100))
    assert paired_interval([]) == (-1, 1)
    assert (sign_flip_p([]), sign_flip_p([0, 0])) == (1.0, 1.0)


@pytest.mark.parametrize(
    ("clusters", "low", "high"),
    [
        ([(1, 1)], -0.95, 1),
        ([(-1, 1)], -1, 0.95),
        ([(1, 1)] * 6, 2 * 0.025 ** (1 / 6) - 1, 1),
        ([(2, 2), (1, 1), (3, 3)], 2 * 0.025 ** (1 / 3) - 1, 1),
        ([(1, 2), (2, 4)], 1.5 * 0.025**0.5 - 1, 1 - 0.5 * 0.025**0.5),
    ],
)
def test_a_difference_of_every_problem_is_none_of_all(
    clusters: list[tuple[int, int]], low: float, high: float
) -> None:
    assert paired_interval(clusters) == pytest.approx((low, high))


def test_equal_strategies_are_told_apart_as_rarely_as_said() -> None:
    rng = np.random.default_rng(3)
    wrong = covered = 0
    for _ in range(400):
        rates = rng.beta(0.7, 0.7, 60)
        sums = rng.binomial(3, rates) - rng.binomial(3, rates)
        wrong += sign_flip_p(map(int, sums)) < 0.05
        low, high = paired_interval([(int(each), 3) for each in sums], 1000)
        covered += low <= 0 <= high
    assert 0.005 < wrong / 400 < 0.06  # exact tests are conservative
    assert 0.91 < covered / 400 < 0.98


def test_only_what_both_graded_is_compared() -> None:
    a = answers([[True, True], [True, None], [False, True], [True]])
    b = answers([[False, True], [True, True], [None, False], [True]])
    [found] = compare({"a": a, "b": b}, [("a", "b")])
    assert (found.problems, found.trials) == (4, 5)
    assert (found.left_only, found.right_only) == (2, 0)
    assert (found.difference, found.verdict) == (0.4, PairedVerdict.OPEN)
    assert (found.low, found.high) == paired_interval([(1, 2), (0, 1), (1, 1), (0, 1)])
    [back] = compare({"a": a, "b": b}, [("b", "a")])
    assert (back.low, back.high) == pytest.approx((-found.high, -found.low), abs=0.02)


def test_who_won_is_said_or_that_it_cannot_be_told() -> None:
    names = {
        "good": answers([[True]] * 40),
        "fair": answers([[at % 2 == 0] for at in range(40)]),
        "same": answers([[at % 2 == 0 or at == 1] for at in range(40)]),
    }
    found = compare(names, [("good", "fair"), ("same", "fair"), ("fair", "good")])
    assert [each.verdict for each in found] == [
        PairedVerdict.BETTER,
        PairedVerdict.OPEN,
        PairedVerdict.WORSE,
    ]
    assert all(each.adjusted >= each.p for each in found)
    # A pair without answers is no comparison, for which the others would have to pay.
    pairs = [("good", "fair"), ("good", "none"), ("same", "fair")]
    alone = compare(names, [pairs[0], pairs[2]])
    assert compare({**names, "none": []}, pairs)[::2] == alone
