"""Keys and values of rows that are read together."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad


@dataclass(frozen=True, slots=True)
class CacheShape:
    """The shape of one token's keys: layers, key heads, and the size of a head."""

    layers: int
    key_heads: int
    head: int
    dtype: torch.dtype = torch.float32
    device: str = "cpu"


class TensorCache:
    """Keys and values of some rows: tensors [layers, 2, rows, key heads, capacity, head size]."""

    def __init__(self, shape: CacheShape, rows: int, capacity: int) -> None:
        self.rows = rows
        # Zeros: what lies beyond a row's end is multiplied by 0, and must be finite.
        size = (shape.layers, 2, rows, shape.key_heads, capacity, shape.head)
        self.data = torch.zeros(size, dtype=shape.dtype, device=shape.device)

    def ensure(self, length: int) -> None:
        """Makes room for `length` tokens per row."""
        capacity = self.data.shape[4]
        if length > capacity:
            self.data = pad(self.data, (0, 0, 0, max(length, 2 * capacity) - capacity))

    @property
    def length(self) -> int:
        """See `KvCache`."""
        return self.data.shape[4]

    def read(self, row: int, start: int, stop: int) -> Tensor:
        """See `KvCache`: [tokens, layers, 2, key heads, head size]."""
        return self.copy(self.data[:, :, row, :, start:stop].movedim(3, 0))

    def write(self, row: int, start: int, segment: Tensor) -> None:
        """See `KvCache`."""
        stop = start + segment.shape[0]
        self.ensure(stop)
        self.data[:, :, row, :, start:stop] = segment.movedim(0, 3)

    def move(self, source: int, target: int, length: int) -> None:
        """See `KvCache`."""
        self.data[:, :, target, :, :length] = self.data[:, :, source, :, :length]

    def copy(self, segment: Tensor) -> Tensor:
        """See `KvCache`."""
        return segment.clone(memory_format=torch.contiguous_format)
