"""Draws follow the distribution that the sampling settings describe (C12, C15, C36)."""

from __future__ import annotations

from importlib import import_module
from math import inf, log
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tts_runtime.engines.base import EngineError, Sampling
from tts_runtime.engines.batching import noise
from tts_runtime.engines.batching import sampling as batch_sampling
from tts_runtime.sampling import (
    STATISTICS,
    adjust,
    draw,
    log_probabilities,
    ranked,
    token_statistics,
)
from tts_runtime.streams import derive, position_seed

LOGITS = [1.2, -0.5, 0.3, 2.0, -1.0, 0.3, 1.9, -3.0]
SETTINGS = {
    "plain": Sampling(),
    "temperature": Sampling(temperature=0.6),
    "hot": Sampling(temperature=2.5),
    "top-p": Sampling(top_p=0.8),
    "top-k": Sampling(top_k=5),
    "min-p": Sampling(min_p=0.15),
    "all": Sampling(temperature=0.8, top_k=6, top_p=0.9, min_p=0.1),
}

logits_lists = st.lists(
    st.sampled_from([-2.0, -0.5, 0.0, 0.25, 0.5, 1.0, 3.0]) | st.floats(-8, 8),
    min_size=2,
    max_size=9,
)
samplings = st.builds(
    Sampling,
    temperature=st.sampled_from([0.0, 0.3, 1.0, 1.7]),
    top_p=st.sampled_from([0.1, 0.5, 0.9, 1.0]),
    top_k=st.integers(0, 10),
    min_p=st.sampled_from([0.0, 0.05, 0.5, 1.0]),
)


def expected_probabilities(sampling: Sampling) -> list[float]:
    """The truncated softmax, computed the slow and obvious way."""
    weights = [float(np.exp(x / sampling.temperature)) for x in LOGITS]
    kept = sorted(range(len(weights)), key=lambda token: (-weights[token], token))
    if sampling.top_k:
        kept = kept[: sampling.top_k]
    total, mass = sum(weights[token] for token in kept), 0.0
    nucleus: list[int] = []
    for token in kept:
        if nucleus and mass >= sampling.top_p:
            break
        nucleus.append(token)
        mass += weights[token] / total
    kept = [t for t in nucleus if weights[t] >= sampling.min_p * max(weights)]
    total = sum(weights[token] for token in kept)
    return [weights[token] / total if token in kept else 0.0 for token in range(len(weights))]


@pytest.mark.parametrize("name", SETTINGS)
def test_streams_sample_from_the_softmax_distribution(name: str) -> None:
    from scipy.stats import chisquare

    sampling, draws = SETTINGS[name], 20_000
    # Half of the draws along one stream, half at one position of many streams.
    keys = [derive(b"root", n) for n in range(draws // 2)]
    places = [*((keys[0], t) for t in range(draws // 2)), *((key, 3) for key in keys)]
    seeds = noise.position_seeds(places)
    assert seeds[:200].tolist() == [position_seed(*place) for place in places[:200]]
    tokens = (adjust(LOGITS, sampling) + noise.gumbel(seeds, len(LOGITS))).argmax(axis=1)
    expected = np.array(expected_probabilities(sampling))
    counts = np.bincount(tokens, minlength=len(LOGITS))
    assert counts[expected == 0].sum() == 0
    result = chisquare(counts[expected > 0], expected[expected > 0] * draws)
    assert result.pvalue > 1e-3
    assert [draw(LOGITS, sampling, *place) for place in places[:200]] == tokens[:200].tolist()


def test_neighbouring_positions_and_streams_are_independent() -> None:
    """A joint chi-square over pairs: (t, t + 1) of one stream, and child 0 against child 1."""
    from scipy.stats import chisquare

    first, second = derive(b"root", "a"), derive(b"root", "b")
    for one, other in (((first, 0), (first, 1)), ((first, 0), (second, 0))):
        table = np.zeros((4, 4))
        for n in range(6000):
            a = draw(LOGITS[:4], Sampling(), one[0], one[1] + 2 * n)
            b = draw(LOGITS[:4], Sampling(), other[0], other[1] + 2 * n)
            table[a, b] += 1
        p = np.exp(log_probabilities(LOGITS[:4]))
        assert chisquare(table.ravel(), np.outer(p, p).ravel() * 6000).pvalue > 1e-3


def test_ties_go_to_the_lower_token() -> None:
    """C15: at the borders of top-k and top-p, in argmax and in ranks."""
    flat = [0.0] * 5
    assert np.isfinite(adjust(flat, Sampling(top_k=2))).tolist() == [1, 1, 0, 0, 0]
    assert np.isfinite(adjust(flat, Sampling(top_p=0.5))).tolist() == [1, 1, 1, 0, 0]
    assert draw(flat, Sampling(temperature=0), b"k", 0) == 0
    assert [ranked(flat, rank) for rank in range(3)] == [0, 1, 2]


def test_temperature_zero_ignores_key_and_truncation() -> None:
    """C15."""
    for top_k in (0, 1, 3):
        sampling = Sampling(temperature=0, top_k=top_k, top_p=0.3)
        assert {draw(LOGITS, sampling, derive(b"k", n), n) for n in range(20)} == {3}


def test_forbidden_tokens_are_never_drawn_and_make_room_in_top_k() -> None:
    sampling = Sampling(top_k=2)
    drawn = {draw(LOGITS, sampling, b"k", t, forbidden={3}) for t in range(200)}
    assert drawn == {6, 0}
    with pytest.raises(EngineError, match="no token may be drawn"):
        draw(LOGITS, Sampling(), b"k", 0, forbidden=set(range(8)))


def test_rank_beyond_the_vocabulary_is_an_error() -> None:
    with pytest.raises(EngineError, match="ask for fewer children"):
        ranked(LOGITS, 7, forbidden={0})


def test_c15_equal_tokens_that_have_top_p_together_are_enough() -> None:
    """Whatever their sum is in floating point; as many again are left out."""
    sampling = Sampling(temperature=0.3, top_p=0.5)
    for equal in range(1, 41):
        logits = [-2.0] * 2 * equal
        rows = np.array([logits])
        columns = batch_sampling.SamplingColumns.of([sampling], rows)
        [batched] = batch_sampling.adjust(rows, columns)
        for kept in (adjust(logits, sampling), batched.tolist()):
            assert [score > -inf for score in kept] == [True] * equal + [False] * equal


@settings(deadline=None, max_examples=150, derandomize=True)
@given(
    st.sampled_from(["numpy", "torch"]),
    logits_lists,
    st.lists(samplings, min_size=1, max_size=4),
    st.integers(0, 1000),
)
def test_rows_of_a_batch_draw_what_the_reference_draws(
    name: str, logits: list[float], rows: list[Sampling], seed: int
) -> None:
    """Rows with different settings in one batch, each as if alone."""
    library: Any = import_module(name)
    key, banned = derive(b"key", seed), {0: {1}}
    seeds = library.asarray([position_seed(key, t) for t in range(len(rows))])
    array = library.asarray([logits] * len(rows), dtype=library.float64)
    columns = batch_sampling.SamplingColumns.of(rows, array)
    adjusted = np.asarray(batch_sampling.adjust(array, columns, banned))
    tokens = batch_sampling.choices(array, columns, seeds, banned)[1].tolist()
    assert array.tolist() == [logits] * len(rows)  # left as it was
    for number, sampling in enumerate(rows):
        forbidden = banned.get(number, set())
        reference = adjust(logits, sampling, forbidden)
        np.testing.assert_allclose(adjusted[number], reference, rtol=1e-12)
        assert tokens[number] == draw(logits, sampling, key, number, forbidden)


@settings(deadline=None, max_examples=50, derandomize=True)
@given(logits_lists)
def test_statistics_follow_their_definitions(logits: list[float]) -> None:
    import torch

    log_probs = log_probabilities(logits)
    p = sorted(np.exp(log_probs), reverse=True)
    confidence, certainty, entropy, margin = token_statistics(log_probs, STATISTICS)
    assert sum(p) == pytest.approx(1)
    assert confidence == pytest.approx(-sum(log(x) for x in p) / len(p))
    assert certainty == pytest.approx(-sum(log(x * len(p)) for x in p) / len(p))
    assert entropy == pytest.approx(-sum(x * log(x) for x in p))
    assert margin == pytest.approx(p[0] - p[1])
    for rows in (np.array([log_probs]), torch.tensor([log_probs], dtype=torch.float64)):
        batched = batch_sampling.token_statistics(rows, STATISTICS)
        for name, value in zip(STATISTICS, (confidence, certainty, entropy, margin), strict=True):
            assert batched[name] == [pytest.approx(value)]
        exact = np.asarray(batch_sampling.log_probabilities(3.0 + rows))[0]
        np.testing.assert_allclose(exact, log_probs, rtol=1e-12, atol=1e-12)


def test_confidence_averages_the_twenty_likeliest() -> None:
    log_probs = log_probabilities([float(number) for number in range(50)])
    assert token_statistics(log_probs, ("confidence",))[0] == pytest.approx(
        -sum(log_probs[-20:]) / 20
    )
