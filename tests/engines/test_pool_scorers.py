"""Scorers that compare the candidates of a pool: against their definitions, and their limits."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from itertools import combinations
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tts_runtime.engines import scorers as pool_scorers
from tts_runtime.engines.base import (
    CandidateError,
    EngineError,
    Fault,
    ScoreReply,
    ScoreRequest,
)
from tts_runtime.engines.registry import scorer_engine
from tts_runtime.engines.scorers import PoolScorer, common, ratio

LETTERS = st.text("abc\n é", max_size=40)
POOLS = st.lists(st.text("ab ", max_size=12), min_size=1, max_size=6)


def request(text: str, answer: str | None = None) -> ScoreRequest:
    return ScoreRequest("?", {}, text, tuple(text.split("\n\n")), 0, answer)


def scored(name: str, requests: Sequence[ScoreRequest]) -> list[float | None]:
    """The scores of a pool, by the engine of a name."""

    async def main() -> Sequence[ScoreReply]:
        engine = scorer_engine(name)
        try:
            return await engine.score_together(requests)
        finally:
            await engine.close()

    replies = asyncio.run(main())
    assert all(reply.tokens == 0 and len(reply.scores) == 1 for reply in replies)
    return [reply.scores[0] for reply in replies]


def of(name: str, *texts: str) -> list[float | None]:
    return scored(name, [request(text) for text in texts])


def by_table(first: str, second: str) -> int:
    """The longest common subsequence by its textbook table."""
    row = [0] * (len(second) + 1)
    for letter in first:
        before = row[:]
        for place, other in enumerate(second):
            if letter == other:
                row[place + 1] = before[place] + 1
            else:
                row[place + 1] = max(before[place + 1], row[place])
    return row[-1]


@given(LETTERS, LETTERS)
def test_the_ratio_is_that_of_the_longest_common_subsequence(first: str, second: str) -> None:
    length = by_table(first, second)
    assert common(first, second) == common(second, first) == length
    assert ratio(first, second) == ratio(second, first)
    if first or second:
        assert ratio(first, second) == 2 * length / (len(first) + len(second))


def test_ratios_of_known_words() -> None:
    # The examples of python-Levenshtein's documentation.
    assert ratio("Hello world!", "Holly grail!") == pytest.approx(0.583333333333)
    assert ratio("Brian", "Jesus") == 0.0
    assert ratio("", "") == 1.0
    assert ratio("", "a") == 0.0


@given(POOLS)
def test_a_pools_mean_similarity_is_the_mean_over_its_pairs(texts: list[str]) -> None:
    found = of("similarity", *texts)
    if len(texts) == 1:
        assert found == [None]
        return
    numbers = [number for number in found if number is not None]
    assert len(numbers) == len(texts)
    assert all(0 <= number <= 1 for number in numbers)
    assert fmean(numbers) == pytest.approx(
        fmean(ratio(first, second) for first, second in combinations(texts, 2))
    )


def test_means_of_scorers_are_rounded_once() -> None:
    """As those of strategies (C47): three times 0.1 are 0.1 on average."""
    assert of("similarity", "ccccccccca", *["bbbbbbbbba"] * 3)[0] == 0.1
    # None of the words, one of six pairs, one of five triples.
    assert of("diversity?n=3", "a b c d e f g", "a b c d e f", "g")[0] == 11 / 90


def test_similarity_does_not_look_at_capitals() -> None:
    assert of("similarity", "So it is 4", "so it is 4") == [1.0, 1.0]


@given(POOLS)
def test_similarity_and_diversity_belong_to_the_text_not_to_the_place(texts: list[str]) -> None:
    order = sorted(range(len(texts)), key=lambda place: (texts[place], place))
    for name in ("similarity", "diversity"):
        found = of(name, *texts)
        moved = of(name, *(texts[place] for place in order))
        assert moved == [found[place] for place in order]


@given(POOLS, st.sampled_from([0.0, 0.5, 0.8, 1.0]))
def test_a_cluster_is_the_first_whose_first_member_is_similar(
    texts: list[str], threshold: float
) -> None:
    clusters: list[list[str]] = []
    wanted = []
    for text in texts:
        fit = [ratio(cluster[0], text) >= threshold for cluster in clusters]
        if not any(fit):
            clusters.append([])
            fit.append(True)
        clusters[fit.index(True)].append(text)
        wanted.append(fit.index(True))
    assert of(f"clusters?threshold={threshold}", *texts) == wanted


def test_clusters_of_words_and_of_last_steps() -> None:
    long, one, two = "the same long beginning\n\n", "so it is four", "none of this"
    assert of("clusters", long + one, long + two, two) == [0, 0, 1]
    assert of("clusters?last=1", long + one, long + two, two) == [0, 1, 1]
    # Of five words four are equal; of their letters fewer.
    assert of("clusters?by=words", "a b c d impossible", "a b c d easy") == [0, 0]
    assert of("clusters", "a b c d impossible", "a b c d easy") == [0, 1]


def test_answers_are_equal_as_in_a_vote() -> None:
    answers = ("1/2", "7", None, "0.5", r"\frac{1}{2}")
    requests = [request("...", answer) for answer in answers]
    assert scored("answer-clusters", requests) == [0, 1, None, 0, 0]


def test_diversity_is_the_share_of_n_grams_of_ones_own() -> None:
    # Words: x is shared, y and z are not. Pairs: none is shared. Longer ones there are none.
    assert of("diversity", "x y", "X z") == [(1 / 2 + 1) / 2] * 2
    assert of("diversity?n=1", "x y", "x z") == [1 / 2, 1 / 2]
    assert of("diversity", "same words", "same words") == [0.0, 0.0]
    assert of("diversity", "alone", "") == [1.0, None]


@pytest.mark.parametrize("name", pool_scorers.POOL_SCORERS)
@pytest.mark.parametrize("texts", [(), ("",), ("", ""), ("\0\ud800", "\n\n\n")])
def test_every_pool_has_scores(name: str, texts: Sequence[str]) -> None:
    assert len(of(name, *texts)) == len(texts)


@pytest.mark.parametrize("name", ["similarity", "clusters"])
def test_a_pool_that_would_take_minutes_is_refused(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_scorers, "MOST_WORK", 100)
    assert of(name, "a" * 50, "a" * 50) in ([1.0, 1.0], [0, 0])  # equal texts are no work
    match = r"2 candidates of up to 50 characters.*`\?by=words`"
    with pytest.raises(CandidateError, match=match) as caught:
        of(name, "a" * 50, "b" * 50)
    assert caught.value.fault is Fault.TOO_LONG


def test_a_pool_that_nobody_waits_for_is_given_up() -> None:
    begun, ended = threading.Event(), threading.Event()

    class Slow(PoolScorer):
        def scores(
            self, requests: Sequence[ScoreRequest], stopped: Callable[[], bool]
        ) -> list[float | None]:
            begun.set()
            while not stopped():
                pass
            ended.set()
            return [0.0 for _ in requests]

    async def main() -> None:
        engine = Slow()
        future = engine.score_together([request("a")])
        await asyncio.to_thread(begun.wait)
        future.cancel()
        await asyncio.to_thread(ended.wait, 10)
        await engine.close()

    asyncio.run(main())
    assert ended.is_set()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("clusters?threshold=2", "option `threshold`: Input should be less than or equal to 1"),
        ("clusters?treshold=0.5", "did you mean 'threshold'?"),
        ("answer-clusters?last=1", "unknown option `last`; options: it has none"),
        ("similarity?by=letters", "option `by`: Input should be 'characters' or 'words'"),
        ("clusers", "did you mean 'clusters'?"),
    ],
)
def test_wrong_names_and_options_are_explained(name: str, message: str) -> None:
    with pytest.raises(EngineError) as caught:
        scorer_engine(name)
    assert message in str(caught.value)
