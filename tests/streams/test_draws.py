"""Large vocabularies draw what the reference draws, and what it says their tokens' chances are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tts_runtime.engines.base import Sampling
from tts_runtime.engines.batching import draws as module
from tts_runtime.engines.batching.draws import draws, log_normalisers
from tts_runtime.engines.batching.noise import position_seeds
from tts_runtime.engines.batching.sampling import SamplingColumns
from tts_runtime.sampling import draw, log_probabilities
from tts_runtime.streams import derive

KEY = derive(b"root", "draws")
PLAIN = Sampling()
KINDS = ("float32", "bfloat16", "numpy")


def array(logits: NDArray[np.float64], kind: str) -> Any:
    import torch

    if kind == "numpy":
        return logits.astype(np.float32)
    return torch.from_numpy(logits).to(getattr(torch, kind))


def compare(
    logits: NDArray[np.float64], rows: Sequence[Sampling], kind: str, start: int = 0
) -> None:
    """Each row as if alone, by the reference."""
    import torch

    batch = array(logits, kind)
    places = [(KEY, start + number) for number in range(len(rows))]
    seeds: Any = position_seeds(places)
    if kind != "numpy":
        seeds = torch.from_numpy(seeds)
    columns = SamplingColumns.of(rows, batch)
    result = draws(batch, columns, seeds)
    exact = np.asarray(batch if kind == "numpy" else batch.double(), np.float64)
    for number, sampling in enumerate(rows):
        row = exact[number].tolist()
        token = draw(row, sampling, *places[number])
        assert int(result.tokens[number]) == token
        chance = log_probabilities(row)[token]
        assert float(result.logprobs[number]) == pytest.approx(chance, rel=1e-12, abs=1e-12)


def normal(rows: int, size: int, spread: float, seed: int) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(size=(rows, size)) * spread


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "sampling",
    [
        PLAIN,
        Sampling(temperature=0),
        Sampling(temperature=0.00001),
        Sampling(temperature=100.0),
        Sampling(temperature=0.7, top_p=0.8, top_k=20),
        Sampling(top_p=0.95),
        Sampling(top_p=0.99999),
        Sampling(top_k=1),
        Sampling(top_k=3000),
        Sampling(top_k=100_000),
        Sampling(min_p=0.05),
        Sampling(temperature=1.5, min_p=1e-9),
    ],
    ids=str,
)
def test_rows_sampled_alike(sampling: Sampling, kind: str) -> None:
    for spread in (0.01, 3.0):
        compare(normal(3, 4200, spread, 1), [sampling] * 3, kind, start=int(spread))


samplings = st.builds(
    Sampling,
    temperature=st.sampled_from([0.0, 0.0001, 0.6, 1.0, 3.0]),
    top_p=st.sampled_from([1e-9, 0.5, 0.9, 1.0]),
    top_k=st.sampled_from([0, 1, 7, 1023, 1024, 1025, 4199]),
    min_p=st.sampled_from([0.0, 0.05, 1.0]),
)


@settings(deadline=None, max_examples=25, derandomize=True)
@given(
    st.sampled_from(KINDS),
    st.lists(samplings | st.just(PLAIN), min_size=1, max_size=5),
    st.sampled_from(["normal", "flat", "few", "two"]),
    st.integers(0, 1000),
)
def test_rows_with_settings_of_their_own(
    kind: str, rows: list[Sampling], shape: str, seed: int
) -> None:
    """Also where many logits are equal, and where only few tokens may be drawn at all."""
    logits = normal(len(rows), 4200, 2.0, seed)
    if shape == "flat":
        logits[:] = 0.25
    if shape == "two":
        logits = np.round(np.tanh(logits), out=logits)
    if shape == "few":
        logits[:, 3:-3] = -np.inf
    compare(logits, rows, kind, seed)


@pytest.mark.parametrize("kind", KINDS)
def test_banned_tokens_are_not_drawn_and_their_chance_counts(kind: str) -> None:
    import torch

    logits = normal(3, 4200, 1.0, 2)
    logits[1, 17] = 50.0
    logits = array(logits, "bfloat16").double().numpy()
    batch = array(logits, kind)
    places = [(KEY, n) for n in range(3)]
    seeds: Any = position_seeds(places)
    seeds = seeds if kind == "numpy" else torch.from_numpy(seeds)
    banned = {1: {17}, 2: set(range(4200))}
    result = draws(batch, SamplingColumns.of([PLAIN] * 3, batch), seeds, banned)
    token = draw(logits[1], PLAIN, *places[1], forbidden={17})
    assert [int(each) for each in result.tokens[:2]] == [draw(logits[0], PLAIN, *places[0]), token]
    assert float(result.logprobs[1]) == pytest.approx(log_probabilities(logits[1])[token])
    assert float(result.scores[2]) == -np.inf


def test_few_tokens_get_noise_in_64_bits() -> None:
    """The screen is a bound that holds, and one that is worth having."""
    logits: Any = normal(4, 20_000, 3.0, 3).astype(np.float32)
    counted = []
    exact = module._scores

    def counting(row: Any, tokens: Any, temperature: float, seed: Any) -> Any:
        counted.append(len(tokens))
        return exact(row, tokens, temperature, seed)

    with patch.object(module, "_scores", counting):
        draws(logits, SamplingColumns.of([PLAIN] * 4, logits), position_seeds([(KEY, 0)] * 4))
    assert sum(counted) < 200


@pytest.mark.parametrize("temperature", [0.0, 0.5])
def test_numbers_that_are_none_draw_what_they_drew(temperature: float) -> None:
    """A broken model's token does not depend on the way that it is drawn."""
    logits = normal(2, 5000, 1.0, 4)
    logits[0, 7], logits[1, 9] = np.nan, np.inf
    batch = logits.astype(np.float32)
    columns = SamplingColumns.of([Sampling(temperature)] * 2, batch)
    with np.errstate(invalid="ignore"):
        result = draws(batch, columns, position_seeds([(KEY, 0)] * 2))
    assert result.tokens.tolist() == [7, 9]


def test_the_normaliser_is_read_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BLOCK", 10_000)
    logits = normal(7, 5000, 3.0, 5)
    whole = np.log(np.exp(logits / 0.5).sum(axis=1))
    parts = log_normalisers(logits, np.full((7, 1), 0.5))
    np.testing.assert_allclose(parts, whole, rtol=1e-12)


def test_a_device_without_a_kernel_leaves_rows_to_the_generic_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_on_cpu", lambda _: False)
    compare(normal(2, 4200, 2.0, 6), [PLAIN, Sampling(temperature=0)], "float32")
