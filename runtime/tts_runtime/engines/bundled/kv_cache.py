"""Keys and values of rows that are read together, in NumPy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Segment:
    """Keys [layers, key heads, head, tokens] and values [layers, key heads, tokens, head]."""

    keys: Floats
    values: Floats

    def __len__(self) -> int:
        return int(self.keys.shape[-1])

    def __getitem__(self, part: slice) -> Segment:
        """A view of some of the tokens."""
        return Segment(self.keys[..., part], self.values[..., part, :])


class ArrayCache:
    """Keys and values of some rows.

    Keys are [layers, rows, key heads, head, capacity], so that scores are sums of whole rows of
    memory; values are [layers, rows, key heads, capacity, head].
    """

    def __init__(self, layers: int, rows: int, key_heads: int, head: int, length: int) -> None:
        capacity = _roomy(length)
        self.rows = rows
        # Zeros: what lies beyond a row's end is multiplied by 0, and must be finite.
        self.keys = np.zeros((layers, rows, key_heads, head, capacity), np.float32)
        self.values = np.zeros((layers, rows, key_heads, capacity, head), np.float32)

    def ensure(self, length: int) -> None:
        """Makes room for `length` tokens per row."""
        capacity = self.keys.shape[-1]
        if length > capacity:
            keys, values, more = self.keys, self.values, _roomy(length)
            self.keys = np.zeros((*keys.shape[:-1], more), np.float32)
            self.keys[..., :capacity] = keys
            self.values = np.zeros((*values.shape[:-2], more, values.shape[-1]), np.float32)
            self.values[..., :capacity, :] = values

    @property
    def length(self) -> int:
        """See `KvCache`."""
        return self.keys.shape[-1]

    def put(
        self,
        layer: int,
        rows: NDArray[np.int64],
        positions: NDArray[np.int64],
        keys: Floats,
        values: Floats,
    ) -> None:
        """Stores new tokens: rows, positions [tokens]; others [tokens, key heads, head]."""
        self.keys[layer][rows, :, :, positions] = keys
        self.values[layer][rows, :, positions] = values

    def read(self, row: int, start: int, stop: int) -> Segment:
        """See `KvCache`."""
        return self.copy(
            Segment(self.keys[:, row, :, :, start:stop], self.values[:, row, :, start:stop])
        )

    def write(self, row: int, start: int, segment: Segment) -> None:
        """See `KvCache`."""
        stop = start + len(segment)
        self.ensure(stop)
        self.keys[:, row, :, :, start:stop] = segment.keys
        self.values[:, row, :, start:stop] = segment.values

    def move(self, source: int, target: int, length: int) -> None:
        """See `KvCache`."""
        self.keys[:, target, :, :, :length] = self.keys[:, source, :, :, :length]
        self.values[:, target, :, :length] = self.values[:, source, :, :length]

    def copy(self, segment: Segment) -> Segment:
        """See `KvCache`."""
        return Segment(segment.keys.copy(), segment.values.copy())


def _roomy(length: int) -> int:
    """Room for that many tokens and some more: texts grow, and growing copies all."""
    return 1 << max(7, (length - 1).bit_length())
