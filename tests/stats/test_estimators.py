"""Estimators from n samples: equal to what all subsets, and the published code, give."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tts_runtime.stats.estimators import best_at_k, majority_at_k, pass_at_k
from tts_runtime.stats.samples import (
    Rule,
    Sample,
    SampledProblem,
    best,
    coverage,
    majority,
    mean_over,
    weighted,
)

ANSWERS = st.lists(st.sampled_from(["a", "b", "c", "d", None]), min_size=1, max_size=8)


def published(n: int, c: int, k: int) -> float:
    """pass@k as human-eval computes it (Chen et al. 2021, figure 3)."""
    if n - c < k:
        return 1.0
    return float(1.0 - np.prod(1.0 - k / np.arange(n - c + 1, n + 1)))


@given(
    st.integers(1, 300).flatmap(
        lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n))
    )
)
def test_pass_at_k_is_the_published_one(given: tuple[int, int, int]) -> None:
    assert pass_at_k(*given) == pytest.approx(published(*given), abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(ANSWERS, st.data())
def test_a_vote_of_k_is_the_mean_over_all_subsets(
    answers: list[str | None], data: st.DataObject
) -> None:
    k = data.draw(st.integers(1, len(answers)))
    right = {"a": True, "b": data.draw(st.booleans())}
    total, subsets = 0.0, list(combinations(answers, k))
    for subset in subsets:
        counts = {each: subset.count(each) for each in subset if each is not None}
        tied = [each for each, n in counts.items() if n == max(counts.values())]
        total += sum(right.get(each, False) for each in tied) / len(tied) if tied else 0
    counts = {each: answers.count(each) for each in answers if each is not None}
    assert majority_at_k(counts, right, len(answers), k) == pytest.approx(total / len(subsets))


@given(
    st.lists(
        st.tuples(st.sampled_from([None, 0.1, 0.5, 0.9]), st.booleans()), min_size=1, max_size=8
    ),
    st.data(),
)
def test_the_best_of_k_is_the_mean_over_all_subsets(
    scored: list[tuple[float | None, bool]], data: st.DataObject
) -> None:
    k = data.draw(st.integers(1, len(scored)))
    total, subsets = 0.0, list(combinations(scored, k))
    for subset in subsets:
        values = [-1.0 if score is None else score for score, _ in subset]
        top = [
            right for value, (_, right) in zip(values, subset, strict=True) if value == max(values)
        ]
        total += sum(top) / len(top)
    assert best_at_k(scored, k) == pytest.approx(total / len(subsets))


def test_many_samples_stay_exact() -> None:
    counts = {"a": 400, "b": 350, "c": 200}
    found = [majority_at_k(counts, {"a": True}, 1000, k) for k in (1, 2, 64, 999, 1000)]
    assert found[0] == pytest.approx(0.4)
    assert found == sorted(found)
    assert found[-1] == 1.0
    assert majority_at_k({"a": 3, "b": 3}, {"a": True}, 6, 6) == 0.5
    assert majority_at_k({}, {}, 4, 2) == 0.0


@pytest.mark.parametrize("k", [0, 5, -1])
def test_more_than_there_is_cannot_be_estimated(k: int) -> None:
    with pytest.raises(ValueError, match="from 4 samples it can be 1 to 4"):
        pass_at_k(4, 1, k)
    with pytest.raises(ValueError, match="from 4 samples it can be 1 to 4"):
        best_at_k([(0.5, True)] * 4, k)
    with pytest.raises(ValueError, match="from 4 samples it can be 1 to 4"):
        majority_at_k({"a": 4}, {}, 4, k)


#: Answer, grade, and the scores of two steps.
POOL = [
    Sample(key, key == "right", 1, 2, {"prm": scores})
    for key, scores in [
        ("right", (0.9, 0.2)),
        ("right", (0.5, 0.5)),
        ("wrong", (0.1, 0.8)),
        (None, (0.9, 0.9)),
        ("wrong", (None, 0.7)),
    ]
]


@pytest.mark.parametrize(
    ("rule", "k", "expected"),
    [
        (coverage, 1, 2 / 5),
        (coverage, 4, 1.0),
        (majority, 5, 1 / 2),
        (best("prm", "last"), 5, 0.0),  # what has no answer is the best, and not right
        (best("prm", "last"), 1, 2 / 5),
        (weighted("prm", "last"), 5, 0.0),  # 0.7 to 0.8: the sample without all scores has no vote
        (weighted("prm", "min"), 5, 1.0),
        (weighted("prm", "prod"), 5, 1.0),
        (weighted("prm", "mean"), 5, 1.0),
        (weighted("none", "last"), 5, 1 / 2),  # without any score the earliest answer
    ],
)
def test_rules_see_answers_grades_and_scores(rule: Rule, k: int, expected: float) -> None:
    problem = SampledProblem("p", 0, True, True, POOL)
    assert rule(problem, k) == pytest.approx(expected)
    unsolved = [replace(each, key="wrong", correct=False) for each in POOL]
    both = [problem, SampledProblem("unsolved", 0, True, True, unsolved)]
    assert mean_over(both, k, rule) == pytest.approx(expected / 2)
    # Problems with fewer samples, or without grades, are left out.
    others = [
        SampledProblem("few", 0, True, True, POOL[: k - 1]),
        SampledProblem("ungraded", 0, False, True, POOL),
    ]
    assert mean_over([problem, *others], k, rule) == pytest.approx(expected)
    assert mean_over(others, k, rule) is None


def test_weighted_votes_of_samples_are_those_of_the_language() -> None:
    """Sums are exact, so equal ones are a tie; what is below 0, or missing, weighs nothing."""

    def voted(*samples: tuple[str, float | None], k: int | None = None) -> float:
        pool = [Sample(key, key == "a", 1, 1, {"orm": score}) for key, score in samples]
        return weighted("orm", "last")(SampledProblem("p", 0, True, True, pool), k or len(pool))

    assert sum([0.1] * 10) != 1.0
    assert voted(*[("a", 0.1)] * 10, ("b", 1.0)) == 10 / 11  # the earliest row is one of these
    assert voted(("a", None), ("b", None), ("a", None), ("b", 0.0)) == 0.5
    assert voted(("a", None), ("a", None), ("b", 0.1)) == 0.0
    assert voted(("a", None)) == 1.0
    assert voted(("a", 0.1), ("b", -3.0), ("b", 0.05)) == 1.0
    assert voted(("a", 1.0), ("b", 2.0), ("b", 1.0), k=1) == pytest.approx(1 / 3)
    # Of 12,870 subsets some are drawn: half of them have the one that is right.
    assert voted(("a", 1.0), *[("b", 0.1)] * 15, k=8) == pytest.approx(0.5, abs=0.1)
