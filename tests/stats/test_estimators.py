"""Estimators from n samples: equal to what all subsets, and the published code, give."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tts_runtime.stats.estimators import best_at_k, majority_at_k, pass_at_k

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
