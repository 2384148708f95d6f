"""The lean forward pass gives transformers' logits, alone and in any batch."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor
from transformers import LlamaForCausalLM

from tests.support.tiny_models import tiny_model
from tts_runtime.engines.base import EngineError
from tts_runtime.engines.batching.prefix_reader import PrefixReader
from tts_runtime.engines.bundled.llama import Llama
from tts_runtime.engines.torch.kv_cache import Cache


@pytest.mark.parametrize("key_heads", [4, 2])
def test_logits_equal_those_of_transformers(tmp_path: Path, key_heads: int) -> None:
    folder = tiny_model(tmp_path / "model", key_heads=key_heads)
    model = Llama(folder)
    reference = LlamaForCausalLM.from_pretrained(folder).eval()
    ids = torch.randint(0, 100, (3, 50), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = reference(ids).logits
        for block in (True, False):
            # In two pieces, so that the second reads the first one's keys and values.
            cache, starts = model.cache(8), torch.zeros(3, dtype=torch.int64)
            first = model.extend(ids[:, :30], starts, cache, block=block)
            second = model.extend(ids[:, 30:], starts + 30, cache, block=block)
            hidden = torch.cat([first, second], dim=1).reshape(150, -1)
            logits = model.logits(hidden).view(3, 50, -1)
            torch.testing.assert_close(logits, expected, atol=1e-4, rtol=0)


def test_a_row_does_not_see_its_neighbours(policy_folder: Path) -> None:
    """C63: rows of other lengths and garbage beyond a row's end change nothing that matters."""
    model = Llama(policy_folder)
    ids = torch.randint(0, 100, (9, 40), generator=torch.Generator().manual_seed(1))
    lengths = [40, 3, 17, 25, 33, 8, 1, 12, 20]
    with torch.inference_mode():
        together = model.cache(16)
        together.data.fill_(7.0)
        batch = model.extend(ids, torch.zeros(9, dtype=torch.int64), together)
        for row, length in enumerate(lengths):
            alone = model.extend(
                ids[row : row + 1, :length],
                torch.zeros(1, dtype=torch.int64),
                model.cache(8),
            )
            torch.testing.assert_close(alone[0], batch[row, :length], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("attention_bias", True),
        ("model_type", "mistral"),
        ("hidden_act", "gelu"),
        ("rope_parameters", {"rope_type": "yarn", "rope_theta": 1e4}),
    ],
)
def test_other_architectures_are_refused_by_name(
    policy_folder: Path, tmp_path: Path, key: str, value: object
) -> None:
    config = json.loads((policy_folder / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {key: value}))
    expected = "yarn" if key == "rope_parameters" else f"{key}={value}"
    with pytest.raises(EngineError, match=expected):
        Llama(tmp_path)


def test_a_binding_cannot_promise_more_context_than_the_model(policy_folder: Path) -> None:
    with pytest.raises(EngineError, match="context 300 is more than the 256 positions"):
        Llama(policy_folder, 300)


def test_missing_weights_are_named(policy_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text((policy_folder / "config.json").read_text())
    with pytest.raises(EngineError, match="no weights"):
        Llama(tmp_path)


def test_prefixes_are_read_once_and_forgotten_in_time(policy_folder: Path) -> None:
    model = Llama(policy_folder)
    reader = PrefixReader(model, capacity=60, block=False)
    stem = tuple(range(10, 40))
    with torch.inference_mode():
        first, again = reader.read([(stem, 30), (stem, 30)])
        assert (first.start, again.start) == (0, 30)
        assert reader.read([((*stem, 50, 51), 32)])[0].start == 30
        assert reader.read([((*stem[:20], 60), 21)])[0].start == 20
        assert reader.read([((*stem, 50, 51), 5)])[0].start == 5
        # What is loaded from split and joined segments is what was computed.
        cache, fresh = model.cache(8), model.cache(8)
        reader.load((*stem, 50, 51), cache, 3)
        model.extend(torch.tensor([[*stem, 50, 51]]), torch.tensor([0]), fresh)
        torch.testing.assert_close(cache.read(3, 0, 32), fresh.read(0, 0, 32), atol=1e-5, rtol=1e-5)
        for number in range(20):
            reader.read([((*stem[:5], 70, number, *range(20, 40)), 27)])
            reader.trim()
        assert reader.tokens <= 60
        # The stem was used all the time, its old continuation was not.
        assert reader.read([((*stem[:5], 99), 6)])[0].start == 5
        assert reader.read([((*stem, 50, 51), 32)])[0].start == 5


def test_short_texts_are_not_padded_to_a_long_one(policy_folder: Path) -> None:
    """They are read in a pass of their own; a little padding is cheaper than a pass."""
    model = Llama(policy_folder)
    passes: list[tuple[int, ...]] = []
    extend = model.extend

    def counted(ids: Tensor, starts: Tensor, cache: Cache, *, block: bool = False) -> Tensor:
        passes.append(tuple(ids.shape))
        return extend(ids, starts, cache, block=block)

    model.extend = counted  # type: ignore[method-assign]
    reader = PrefixReader(model, capacity=0, block=True)
    lengths = [60, *range(3, 11)]
    texts = [tuple(range(number, number + length)) for number, length in enumerate(lengths)]
    with torch.inference_mode():
        readings = reader.read([(text, 0) for text in texts])
    assert sorted(passes) == [(1, 60), (8, 10)]
    assert [len(reading.hidden) for reading in readings] == lengths


STEMS = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 40), st.integers(0, 1), st.integers(1, 24)),
    min_size=1,
    max_size=8,
)


@given(shapes=st.lists(STEMS, min_size=1, max_size=2))
@example(shapes=[[(0, 40, number % 2, number + 1) for number in range(8)]])
@settings(max_examples=30, deadline=None)
def test_what_texts_share_is_read_once(
    policy_folder: Path, shapes: list[list[tuple[int, int, int, int]]]
) -> None:
    """Whatever comes together: hidden states as if read alone, and few tokens read twice."""
    model = Llama(policy_folder)
    reader = PrefixReader(model, capacity=10_000, block=True)
    known: set[tuple[int, ...]] = set()
    for shape in shapes:
        texts = [
            (*range(10 * stem, 10 * stem + cut), *range(50 + 20 * branch, 50 + 20 * branch + rest))
            for stem, cut, branch, rest in shape
        ]
        with torch.inference_mode():
            readings = reader.read([(text, len(text) - 1) for text in texts])
            for text, reading in zip(texts, readings, strict=True):
                alone = model.extend(torch.tensor([text]), torch.tensor([0]), model.cache(8))
                torch.testing.assert_close(reading.hidden[-1], alone[0, -1], atol=1e-4, rtol=1e-4)
        new = {text[: place + 1] for text in texts for place in range(len(text))} - known
        known |= new
        read = sum(len(text) - reading.start for text, reading in zip(texts, readings, strict=True))
        # A text's last token is read in any case; 4 tokens a text, or 12 in all, may be read again.
        assert len(new) <= read <= len(new) + (1 + 4) * len(texts) + 12
