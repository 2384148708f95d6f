"""Keys and values of rows that are read together, in NumPy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


class ArrayCache:
    """Keys and values of some rows.

    Keys are [layers, rows, key heads, head, capacity], so that scores are sums of whole rows of
    memory; values are [layers, rows, key heads, capacity, head].
    """

    def __init__(
        self, layers: int, rows: int, key_heads: int, head: int, capacity: int = 128
    ) -> None:
        self.rows = rows
        # Zeros: what lies beyond a row's end is multiplied by 0, and must be finite.
        self.keys = np.zeros((layers, rows, key_heads, head, capacity), np.float32)
        self.values = np.zeros((layers, rows, key_heads, capacity, head), np.float32)

    def ensure(self, length: int) -> None:
        """Makes room for `length` tokens per row."""
        capacity = self.keys.shape[-1]
        if length > capacity:
            more = max(length, 2 * capacity) - capacity
            unchanged = [(0, 0)] * 3
            self.keys = np.pad(self.keys, [*unchanged, (0, 0), (0, more)])
            self.values = np.pad(self.values, [*unchanged, (0, more), (0, 0)])

    def put(self, layer: int, positions: NDArray[np.int64], keys: Floats, values: Floats) -> None:
        """Stores new tokens: positions [rows, tokens]; others [rows, tokens, key heads, head]."""
        rows = np.arange(len(positions))[:, None]
        self.keys[layer][rows, :, :, positions] = keys
        self.values[layer][rows, :, positions] = values

    def read(self, row: int, start: int, stop: int) -> Floats:
        """See `KvCache`: [tokens, 2, layers, key heads, head]."""
        keys = self.keys[:, row, :, :, start:stop]
        values = self.values[:, row, :, start:stop]
        return np.stack([keys.transpose(3, 0, 1, 2), values.transpose(2, 0, 1, 3)], axis=1)

    def write(self, row: int, start: int, segment: Floats) -> None:
        """See `KvCache`."""
        stop = start + len(segment)
        self.ensure(stop)
        self.keys[:, row, :, :, start:stop] = segment[:, 0].transpose(1, 2, 3, 0)
        self.values[:, row, :, start:stop] = segment[:, 1].transpose(1, 2, 0, 3)

    def move(self, source: int, target: int, length: int) -> None:
        """See `KvCache`."""
        self.keys[:, target, :, :, :length] = self.keys[:, source, :, :, :length]
        self.values[:, target, :, :length] = self.values[:, source, :, :length]

    def copy(self, segment: Floats) -> Floats:
        """See `KvCache`."""
        return segment.copy()
