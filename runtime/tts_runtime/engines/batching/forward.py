"""What batches and readers need of a causal model: NumPy's or torch's, they only pass arrays on."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

#: An array of the model's kind. It can be sliced.
Array: TypeAlias = Any
Integers: TypeAlias = "NDArray[np.int64]"


class KvCache(Protocol):
    """Keys and values of rows that are read together."""

    @property
    def rows(self) -> int:
        """How many rows it has; `Forward.cache` may give more than it was asked for."""

    @property
    def length(self) -> int:
        """How many tokens a row holds; `write` and `Forward.extend` make room for more."""

    def read(self, row: int, start: int, stop: int) -> Array:
        """A copy of a row's keys and values at positions start..stop: [tokens, ...]."""

    def write(self, row: int, start: int, segment: Array) -> None:
        """Stores a segment from `read` at positions start onwards, making room for it."""

    def move(self, source: int, target: int, length: int) -> None:
        """Copies one row's first `length` tokens to another row."""

    def copy(self, segment: Array) -> Array:
        """A copy of a part of a segment, in memory of its own."""


class Forward(Protocol):
    """A causal model that reads rows, each after its own beginning."""

    #: Rows of different lengths are read without filling up the shorter ones.
    packs: bool

    @property
    def vocabulary(self) -> int:
        """Rows of the embedding: ids are below it."""

    def turn(self) -> AbstractContextManager[object]:
        """The context in which an engine's thread calls everything below, and uses caches."""

    def cache(self, rows: int, length: int = 128) -> Any:
        """An empty `KvCache` of the model's kind, with room for these rows of this length."""

    def extend(
        self,
        ids: Integers,
        starts: Integers,
        cache: Any,
        *,
        lengths: Integers | None = None,
        block: bool = False,
    ) -> Array:
        """Reads tokens after those in the cache; gives hidden states [rows, tokens, hidden].

        Args:
            ids: [rows, tokens]; row i belongs to row i of the cache.
            starts: [rows], the position of each row's first token.
            cache: From `cache`; extended in place. Padding at a row's end is written too, and
                overwritten later.
            lengths: [rows], how many of a row's tokens count; what is given for the others means
                nothing, and models that `pack` do not read them. By default all.
            block: Attend for several tokens at once: faster for many tokens, but with other
                roundings than one token at a time. Models with one way of attending ignore it.
        """

    def logits(self, hidden: Array) -> Array:
        """Logits [rows, vocabulary] of hidden states [rows, hidden], of any float type."""
