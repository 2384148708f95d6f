"""Long texts that branch like a tree, as those of a search do: what they share is read once."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tts_runtime.engines.batching.forward import Forward, Integers
from tts_runtime.engines.batching.prefix_reader import PrefixReader

#: Tokens of a segment of a tree, at most.
SEGMENT = 300


class Remembering:
    """A cache that keeps the tokens themselves in place of their keys and values."""

    def __init__(self, rows: int, length: int) -> None:
        self.tokens = np.full((rows, length), -1)

    @property
    def rows(self) -> int:
        return len(self.tokens)

    @property
    def length(self) -> int:
        return self.tokens.shape[1]

    def read(self, row: int, start: int, stop: int) -> NDArray[np.int64]:
        return self.tokens[row, start:stop].copy()

    def write(self, row: int, start: int, segment: NDArray[np.int64]) -> None:
        self.tokens[row, start : start + len(segment)] = segment

    def move(self, source: int, target: int, length: int) -> None:
        self.tokens[target, :length] = self.tokens[source, :length]

    def copy(self, segment: NDArray[np.int64]) -> NDArray[np.int64]:
        return segment.copy()


def states(tokens: Integers) -> NDArray[np.int64]:
    """Hidden states [tokens, 1]: each depends on all tokens so far, and on where they stand."""
    weighted: Integers = np.cumsum(tokens * np.arange(1, len(tokens) + 1))
    return weighted[:, None]


class Summing(Forward):
    """A model whose hidden states show what it was given of a text, read or remembered."""

    packs = True

    @property
    def vocabulary(self) -> int:
        return 1000

    def turn(self) -> AbstractContextManager[object]:
        return nullcontext()

    def cache(self, rows: int, length: int = 128) -> Remembering:
        return Remembering(rows, length)

    def extend(
        self,
        ids: Integers,
        starts: Integers,
        cache: Any,
        *,
        lengths: Integers | None = None,
        block: bool = False,  # noqa: ARG002
    ) -> NDArray[np.int64]:
        assert lengths is not None
        hidden = np.zeros((*ids.shape, 1), np.int64)
        for row, (start, many) in enumerate(zip(starts, lengths, strict=True)):
            cache.write(row, start, ids[row, :many])
            hidden[row, :many] = states(cache.tokens[row, : start + many])[start:]
        return hidden

    def logits(self, hidden: Any) -> Any:  # noqa: ARG002
        raise AssertionError("nobody draws")


def leaves(
    draw: random.Random, depth: int, path: tuple[int, ...] = ()
) -> Iterator[tuple[int, ...]]:
    """Texts of a random tree, whose segments differ in length."""
    path += tuple(draw.choices(range(1000), k=draw.randint(1, SEGMENT)))
    if not depth or draw.random() < 0.25:
        yield path
        return
    for _ in range(draw.randint(1, 3)):
        yield from leaves(draw, depth - 1, path)


@given(seed=st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_what_a_tree_shares_is_read_once(seed: int) -> None:
    """At most one token in a hundred is read again, where no more than one token is looked at."""
    draw = random.Random(seed)
    texts = sorted(set(leaves(draw, 4)))
    draw.shuffle(texts)
    reader = PrefixReader(Summing(), capacity=1 << 20, block=True)
    new = {text[: place + 1] for text in texts for place in range(len(text))}
    readings = reader.read([(text, len(text) - 1) for text in texts])
    for text, reading in zip(texts, readings, strict=True):
        [found] = reading.at([len(text) - 1])
        assert found == states(np.array(text))[-1]
    read = sum(reading.read for reading in readings)
    assert len(new) <= read <= 1.01 * len(new) + 12


@given(seed=st.integers(0, 10_000), capacity=st.sampled_from([0, 1, 50, 1 << 20]))
@settings(max_examples=40, deadline=None)
def test_rows_hold_the_texts_that_are_loaded(seed: int, capacity: int) -> None:
    """Equal ones, those that end in the middle of others, and what was trimmed in between, too."""
    draw = random.Random(seed)
    reader = PrefixReader(Summing(), capacity, block=False)
    texts: list[tuple[int, ...]] = [()]
    for _ in range(6):
        beginnings = [text[: draw.randint(0, len(text))] for text in draw.choices(texts, k=5)]
        texts = [text + tuple(draw.choices(range(2), k=draw.randint(1, 20))) for text in beginnings]
        texts += texts[:2]
        reader.read([(text, len(text)) for text in texts])
        cache = Remembering(len(texts), 200)
        reader.load(zip(texts, range(len(texts)), strict=True), cache)
        for row, text in enumerate(texts):
            assert tuple(cache.tokens[row, : len(text)]) == text
        cache.write(row, len(text), np.array([3]))
        reader.remember([*text, 3], cache, row)
        reader.trim()
        assert reader.tokens <= capacity
