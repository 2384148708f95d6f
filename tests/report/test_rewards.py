"""What a report says of reward models: their scores against lengths and grades."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tts_runtime
from tts_runtime.problems import Problem
from tts_runtime.report.figures import _calibration, _groups, _lengths, rewards
from tts_runtime.report.reward import MOST, ScoredCandidate, behaviour
from tts_runtime.report.study import Study
from tts_runtime.runs.sweeps import swept
from tts_runtime.stats.proportions import clustered_wilson


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(1, 5), st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.booleans()),
        min_size=2,
        max_size=30,
    )
)
def test_what_a_scorer_does_is_what_scipy_says(
    candidates: list[tuple[int, float, bool]],
) -> None:
    from scipy import stats

    kept = [ScoredCandidate("p", tokens, score, right) for tokens, score, right in candidates]
    found = behaviour(kept)
    tokens, scores = [each.tokens for each in kept], [each.score for each in kept]
    if len(set(tokens)) > 1 and len(set(scores)) > 1:
        assert found.length == pytest.approx(stats.spearmanr(tokens, scores).statistic)
    else:
        assert found.length is None
    good = [each.score for each in kept if each.right]
    bad = [each.score for each in kept if not each.right]
    if good and bad:
        pairs = len(good) * len(bad)
        assert found.auc == pytest.approx(stats.mannwhitneyu(good, bad).statistic / pairs)
    else:
        assert found.auc is None


def scored(problems: int, scores: int) -> list[ScoredCandidate]:
    """Candidates of one length whose score and grade depend on their problem."""
    return [
        ScoredCandidate(f"p{at % problems}", 7, (at % problems + at % 3) / 1e4, at % problems > 1)
        for at in range(scores)
    ]


def test_intervals_of_scores_have_problems_as_clusters() -> None:
    from statsmodels.api import OLS

    right = [each for each in scored(5, 60) if each.right]
    [row] = _lengths(right)
    groups = np.array([int(each.problem[1:]) for each in right])
    y = np.array([each.score for each in right])
    fit = OLS(y, np.ones_like(y)).fit(cov_type="cluster", cov_kwds={"groups": groups})
    [(low, high)] = fit.conf_int()
    assert (row["value"], row["low"], row["high"]) == pytest.approx((y.mean(), low, high), rel=1e-5)
    [row] = _lengths([each._replace(score=each.score * 1e-200) for each in right])
    assert (row["low"], row["high"]) == pytest.approx(
        (low * 1e-200, high * 1e-200), rel=1e-5, abs=0
    )
    low, high = clustered_wilson((12 * (at > 1), 12) for at in range(5))
    for score in (0.5, 0.0):
        [row] = _calibration("prm", [each._replace(score=score) for each in scored(5, 60)])
        assert row["at"] == score
        assert (row["value"], row["low"], row["high"]) == pytest.approx((60, 100 * low, 100 * high))


def test_one_problem_alone_has_no_interval() -> None:
    assert [(row["low"], row["high"]) for row in _lengths(scored(1, 20))] == [(None, None)]
    [row] = _lengths([each._replace(right=True) for each in scored(2, 20)])
    assert row["low"] < row["value"] < row["high"]
    # Nor have scores whose sum is no number; their mean is one.
    largest = [each._replace(score=1e308 * (-1) ** at) for at, each in enumerate(scored(6, 60))]
    rows = _lengths([*largest, *(each._replace(score=1e308, tokens=9) for each in largest)])
    assert {(row["low"], row["high"]) for row in rows if row["at"] == 7} == {(None, None)}
    assert {row["value"] for row in rows if row["at"] == 9} == {1e308}


@pytest.mark.parametrize("count", [1, 7, 8, 16, 17, 18, 19, 20, 23, 100])
def test_groups_of_scores_are_of_about_one_size(count: int) -> None:
    candidates = [ScoredCandidate("p", at, 0.5, right=True) for at in range(count)]
    sizes = [len(group) for group in _groups(candidates, "tokens")]
    assert (len(sizes), sum(sizes)) == (min(count, 8), count)
    assert max(sizes) - min(sizes) <= 1


def test_memory_of_a_scorer_does_not_grow_with_the_run() -> None:
    from tts_runtime.report.reward import _Sample

    sample = _Sample()
    for at in range(5 * MOST + 7):
        sample.add(ScoredCandidate("p", at, 0.5, None))
    assert MOST // 2 <= len(sample.candidates) <= MOST
    assert sample.seen == 5 * MOST + 7
    steps = {other.tokens - one.tokens for one, other in pairwise(sample.candidates)}
    assert len(steps) == 1


def test_a_scorer_is_judged_where_it_has_pruned_nothing(tmp_path: Path) -> None:
    """Of those strategies, where it has scored most."""
    sampling, _ = swept(["best_of_n"], {}, ["n=2,4"])
    searching, _ = swept(["beam_search"], {"depth": "2"}, ["n=8"])
    gold: dict[str, str] = {}
    for out in ("first", "second"):  # what the first returned is right in the second
        problems = [Problem(str(at), f"{at} + 1", gold.get(str(at), "none")) for at in range(6)]
        settings = tts_runtime.Settings(
            policies={"policy": "sim"}, scorers={"prm": "sim"}, out=tmp_path / out
        )
        results = tts_runtime.run([*searching, *sampling], problems, settings=settings)
        gold = {each.id: each.answer or "none" for each in results[-1].answers}
    study = Study([tmp_path / "second"])
    study.update(lambda _entry, _tree: None)
    entry = study.entries[-1]
    candidates = [
        ScoredCandidate(tree.problem.id, node.tokens, score, node.correct is True)
        for tree in entry.record.trees()
        for node in tree.nodes.values()
        if isinstance(scores := node.scores["prm"], tuple)
        for score in scores[-1:]
        if score is not None
    ]
    assert entry.tally.sampled("prm") == candidates
    assert {each.right for each in candidates} == {True, False}
    measured = behaviour(candidates)
    assert rewards(study) == [
        {
            "scorer": "prm",
            "strategy": "best_of_n[n=4]",
            "candidates": len(candidates),
            "length": measured.length,
            "auc": measured.auc,
        }
    ]
