"""The forward pass in NumPy gives transformers' logits, and a row the same bits in any company."""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from threadpoolctl import threadpool_info, threadpool_limits

from tests.support.tiny_models import tiny_model
from tts_runtime.engines.base import EngineError
from tts_runtime.engines.batching.forward import Integers
from tts_runtime.engines.batching.prefix_reader import PrefixReader
from tts_runtime.engines.bundled import blas, blocks
from tts_runtime.engines.bundled.kv_cache import ArrayCache
from tts_runtime.engines.bundled.llama import Floats, Llama

Doubles = NDArray[np.float64]

IDS = np.random.default_rng(0).integers(0, 100, (3, 50))


def logits_of(model: Llama, ids: Integers, *, block: bool) -> Doubles:
    """Logits [rows, tokens, vocabulary], read in two pieces: the second looks at the first."""
    cache, starts = model.cache(len(ids)), np.zeros(len(ids), np.int64)
    middle = ids.shape[1] // 2
    with model.turn():
        first = model.extend(ids[:, :middle], starts, cache, block=block)
        second = model.extend(ids[:, middle:], starts + middle, cache, block=block)
        hidden = np.concatenate([first, second], axis=1)
        return model.logits(hidden.reshape(ids.size, -1)).reshape(*ids.shape, -1)


def expected_logits(folder: Path, ids: Integers) -> Doubles:
    """Logits of transformers, in float64."""
    import torch
    from transformers import LlamaForCausalLM

    reference = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float64).eval()
    with torch.inference_mode():
        logits: Doubles = reference(torch.from_numpy(ids)).logits.numpy()
        return logits


@pytest.mark.parametrize("key_heads", [4, 2])
def test_logits_equal_those_of_transformers(tmp_path: Path, key_heads: int) -> None:
    folder = tiny_model(tmp_path / "model", key_heads=key_heads)
    model, expected = Llama(folder), expected_logits(folder, IDS)
    for block in (True, False):
        found = logits_of(model, IDS, block=block)
        np.testing.assert_allclose(found, expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float64"])
def test_weights_of_other_types_are_widened(
    policy_folder: Path, tmp_path: Path, dtype: str
) -> None:
    copy_with_weights(policy_folder, tmp_path, dtype)
    expected = expected_logits(tmp_path, IDS)
    np.testing.assert_allclose(
        logits_of(Llama(tmp_path), IDS, block=False), expected, atol=1e-4, rtol=0
    )


def test_weights_of_no_numbers_are_refused(policy_folder: Path, tmp_path: Path) -> None:
    copy_with_weights(policy_folder, tmp_path, "int8")
    with pytest.raises(EngineError, match=r"model\.safetensors: .*I8.* not supported"):
        Llama(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"\x08" + bytes(12))
    with pytest.raises(EngineError, match=r"model\.safetensors: cannot be read as safetensors"):
        Llama(tmp_path)


def copy_with_weights(source: Path, target: Path, dtype: str) -> None:
    """A model's folder with weights of another type."""
    import torch
    from safetensors.torch import load_file, save_file

    (target / "config.json").write_text((source / "config.json").read_text())
    weights = load_file(source / "model.safetensors")
    changed = {name: tensor.to(getattr(torch, dtype)) for name, tensor in weights.items()}
    save_file(changed, target / "model.safetensors")


@pytest.fixture(params=["this machine's blocks", "the smallest blocks"])
def model(
    request: pytest.FixtureRequest, policy_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Llama]:
    """With blocks as this machine's BLAS allows them, and as on one that treats no places alike."""
    if request.param == "the smallest blocks":
        monkeypatch.setattr(blocks, "_rows_agree", lambda *_: False)
        monkeypatch.setattr(blocks, "_queries_agree", lambda *_: False)
    for function in (blocks.block_width, blocks.key_multiple, blocks.query_block):
        function.cache_clear()
    yield Llama(policy_folder)
    for function in (blocks.block_width, blocks.key_multiple, blocks.query_block):
        function.cache_clear()


@pytest.mark.parametrize("block", [False, True])
def test_c63_a_row_has_the_same_bits_alone_beside_others_and_continued(
    model: Llama, block: bool
) -> None:
    """C63: whatever the batch, the place in it, and the pieces that a row is read in."""
    random = np.random.default_rng(1)
    ids = random.integers(0, 100, (21, 40))
    lengths = [40, 3, 17, 25, 33, 8, 1, 12, 20, *random.integers(1, 40, 12)]
    with model.turn():
        together = model.cache(32)
        together.keys[:], together.values[:] = 7.0, -7.0  # left behind by rows before
        batch = model.extend(ids, np.zeros(21, np.int64), together, block=block)
        packed = model.extend(
            ids, np.zeros(21, np.int64), model.cache(21), lengths=np.array(lengths), block=block
        )
        for row, length in enumerate(lengths):
            np.testing.assert_array_equal(packed[row, :length], batch[row, :length])
            text = ids[row : row + 1, :length]
            alone = model.extend(text, np.zeros(1, np.int64), model.cache(1), block=block)
            np.testing.assert_array_equal(alone[0], batch[row, :length])
            if row % 5:
                continue
            cache = model.cache(2)
            for place in range(length):
                # Beside a row that is far longer, so that more keys are read.
                pair = np.array([[1], [ids[row, place]]])
                one = model.extend(pair, np.array([200, place]), cache, block=block)
                np.testing.assert_array_equal(one[1, 0], batch[row, place])
        np.testing.assert_array_equal(
            model.logits(batch[:, 0]), [model.logits(row[None, 0])[0] for row in batch]
        )


def test_the_smallest_blocks_give_the_same_logits(model: Llama, policy_folder: Path) -> None:
    found = logits_of(model, IDS, block=True)
    np.testing.assert_allclose(found, expected_logits(policy_folder, IDS), atol=1e-4, rtol=0)


LENGTHS = st.sampled_from([1, 31, 32, 33, 255, 256, 257, 600])


@settings(deadline=None, max_examples=40, derandomize=True)
@given(LENGTHS, LENGTHS, st.sampled_from([0.01, 1.0, 100.0, 1e4]), st.integers(0, 9))
def test_attention_is_a_softmax_whatever_the_size_of_scores(
    length: int, others: int, scale: float, seed: int
) -> None:
    """Also where `exp` of a score would overflow, or of all scores vanish."""
    random = np.random.default_rng(seed)
    queries, keys, values = (
        random.standard_normal(shape).astype(np.float32)
        for shape in ((2, 1, 8), (2, 8, 1024), (2, 1024, 8))
    )
    queries *= scale
    multiple = blocks.key_multiple(8, 1)  # where this machine's BLAS gives a row the same bits
    longest = max(length, others)
    padded = blocks.padded_length(longest, multiple)
    ends = np.array([length, others])
    hidden = np.arange(padded) >= ends[:, None, None]
    mask = np.where(hidden, -np.inf, 0).astype(np.float32)
    with np.errstate(over="ignore"):  # as in `Llama.turn`
        seen = blocks.attend(queries, keys[..., :padded], values[:, :padded], mask)
    for row, end in enumerate(ends):
        scores = queries[row, 0].astype(np.float64) @ keys[row, :, :end]
        weights = np.exp(scores - scores.max())
        expected = weights @ values[row, :end] / weights.sum()
        np.testing.assert_allclose(seen[row, 0], expected, atol=1e-3 * max(1.0, scale / 100))
        alone = blocks.padded_length(int(end), multiple)
        with np.errstate(over="ignore"):
            single = blocks.attend(
                queries[row], keys[row, :, :alone], values[row, :alone], mask[row, :, :alone]
            )
        np.testing.assert_array_equal(single[0], seen[row, 0])


def test_numpy_gets_its_threads_back(policy_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def threads() -> set[int]:
        return {each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"}

    gc.collect()  # models of other tests that were not closed
    monkeypatch.setattr(blas, "_holders", 0)  # and those that are still used
    monkeypatch.setattr(blas, "_before", [])
    with threadpool_limits(2, user_api="blas"):
        before = threads()
        first, second = Llama(policy_folder), Llama(policy_folder)
        assert threads() == {1}
        first.close()
        first.close()
        assert threads() == {1}
        del second
        gc.collect()
        assert threads() == before


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
    with model.turn():
        first, again = reader.read([(stem, 30), (stem, 30)])
        assert (first.read, again.read) == (30, 0)
        assert reader.read([((*stem, 50, 51), 32)])[0].read == 2
        assert reader.read([((*stem[:20], 60), 21)])[0].read == 1
        assert reader.read([((*stem, 50, 51), 5)])[0].read == 27
        # What is loaded from split and joined segments is what was computed.
        cache, fresh = model.cache(8), model.cache(8)
        reader.load([((*stem, 50, 51), 3)], cache)
        model.extend(np.array([[*stem, 50, 51]]), np.array([0]), fresh)
        np.testing.assert_array_equal(cache.read(3, 0, 32), fresh.read(0, 0, 32))
        for number in range(20):
            reader.read([((*stem[:5], 70, number, *range(20, 40)), 27)])
            reader.trim()
        assert reader.tokens <= 60
        # The stem was used all the time, its old continuation was not.
        assert reader.read([((*stem[:5], 99), 6)])[0].read == 1
        assert reader.read([((*stem, 50, 51), 32)])[0].read == 27


@pytest.mark.parametrize("packs", [True, False])
def test_short_texts_are_not_padded_to_a_long_one(policy_folder: Path, packs: bool) -> None:
    """A model that packs reads no padding; else a pass of their own costs less than much of it."""
    model = Llama(policy_folder)
    model.packs = packs
    passes: list[tuple[int, ...]] = []
    extend = model.extend

    def counted(
        ids: Integers,
        starts: Integers,
        cache: ArrayCache,
        *,
        lengths: Integers | None = None,
        block: bool = False,
    ) -> Floats:
        assert lengths is not None
        passes.append(tuple(lengths))
        return extend(ids, starts, cache, lengths=lengths, block=block)

    model.extend = counted  # type: ignore[method-assign]
    reader = PrefixReader(model, capacity=0, block=True)
    lengths = [60, *range(3, 11)]
    texts = [tuple(range(number, number + length)) for number, length in enumerate(lengths)]
    with model.turn():
        readings = reader.read([(text, 0) for text in texts])
    assert passes == ([(*range(3, 11), 60)] if packs else [tuple(range(3, 11)), (60,)])
    assert [reading.read for reading in readings] == lengths


STEMS = st.lists(  # stem, its length, branch, its length, tokens at the end that are looked at
    st.tuples(
        st.integers(0, 2),
        st.integers(0, 40),
        st.integers(0, 1),
        st.integers(1, 24),
        st.integers(1, 50),
    ),
    min_size=1,
    max_size=8,
)


@given(shapes=st.lists(STEMS, min_size=1, max_size=2))
@example(shapes=[[(0, 40, number % 2, number + 1, 50) for number in range(8)]])
@example(shapes=[[(0, 39, 1, 23, 10), (0, 5, 1, 9, 19), (0, 37, 0, 9, 42)]])
@settings(max_examples=30, deadline=None)
def test_what_texts_share_is_read_once(
    policy_folder: Path, shapes: list[list[tuple[int, int, int, int, int]]]
) -> None:
    """Whatever comes together: hidden states as if read alone, and few tokens read twice."""
    model = Llama(policy_folder)
    reader = PrefixReader(model, capacity=10_000, block=True)
    known: set[tuple[int, ...]] = set()
    for shape in shapes:
        texts = [
            (*range(10 * stem, 10 * stem + cut), *range(50 + 20 * branch, 50 + 20 * branch + rest))
            for stem, cut, branch, rest, _ in shape
        ]
        skipped = [max(0, len(text) - seen) for text, (*_, seen) in zip(texts, shape, strict=True)]
        again: set[tuple[int, ...]] = set()
        with model.turn():
            readings = reader.read(list(zip(texts, skipped, strict=True)))
            for text, skip, reading in zip(texts, skipped, readings, strict=True):
                alone = model.extend(np.array([text]), np.array([0]), model.cache(1), block=True)
                found = np.concatenate([*reading.at(range(skip, len(text)))])
                np.testing.assert_array_equal(found, alone[0, skip:])
                again |= {text[: place + 1] for place in range(skip, len(text))}
        new = {text[: place + 1] for text in texts for place in range(len(text))} - known
        read = sum(reading.read for reading in readings)
        # What is looked at is read in any case; few others are read again.
        assert len(new) <= read <= len(new | again) + 4 * len(texts) + 20
        known |= new
