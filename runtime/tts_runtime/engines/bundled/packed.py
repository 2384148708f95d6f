"""The layout of the tokens of a pass: packed for matrix products, in blocks for attention.

A product over all tokens takes blocks of rows, whatever row of the cache each token belongs to;
attention takes blocks of one row's queries. Rows with as many blocks attend together.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from tts_runtime.engines.bundled.blocks import Floats, key_multiple, padded_length, query_block

Integers = NDArray[np.int64]

_INFINITE, _NOTHING = np.float32(np.inf), np.float32(0)


@dataclass(frozen=True, slots=True)
class RowGroup:
    """Neighbouring rows that attend together.

    Args:
        rows: Of the cache.
        tokens: Which of the packed tokens look. A row's last token fills its last block.
        shape: Rows, blocks, and queries in a block.
        length: Keys that are read.
        mask: See `attend`: [rows, blocks, 1, 1, queries, length].
    """

    rows: slice
    tokens: Integers | slice
    shape: tuple[int, int, int]
    length: int
    mask: Floats


@dataclass(frozen=True, slots=True)
class Packed:
    """The tokens of a pass.

    Args:
        rows, columns: Where each one stands in [rows, tokens].
        ids, positions: Their ids, and positions in their rows; with zeros up to whole blocks.
        groups: How they attend.
    """

    rows: Integers
    columns: Integers
    ids: Integers
    positions: Integers
    groups: tuple[RowGroup, ...]

    @classmethod
    def of(
        cls,
        ids: Integers,
        starts: Integers,
        lengths: Integers | None,
        width: int,
        head: int,
        block: bool,
    ) -> Packed:
        """Packs ids [rows, tokens], of which each row has as many as `lengths` says."""
        count, most = ids.shape
        if lengths is None or int(lengths.min()) == most:
            lengths, borders = np.full(count, most), [0, count]
            rows, columns = np.divmod(np.arange(count * most), most)
        else:
            rows, columns = np.nonzero(np.arange(most) < lengths[:, None])
            borders = []
        filled = np.zeros((2, -(-len(rows) // width) * width), np.int64)
        filled[0, : len(rows)] = ids[rows, columns]
        filled[1, : len(rows)] = starts[rows] + columns
        queries = query_block(head) if block else 1
        multiple = key_multiple(head, queries)
        blocks = -(-lengths // queries)
        borders = borders or [0, *(np.flatnonzero(np.diff(blocks)) + 1).tolist(), count]
        offsets = np.cumsum(lengths) - lengths
        groups = []
        for first, last in pairwise(borders):
            part = slice(first, last)
            shape = (last - first, int(blocks[first]), queries)
            own, begin = lengths[part], offsets[part]
            groups.append(_group(part, shape, own, starts[part], begin, multiple))
        return cls(rows, columns, filled[0], filled[1], tuple(groups))


def _group(
    rows: slice,
    shape: tuple[int, int, int],
    lengths: Integers,
    starts: Integers,
    offsets: Integers,
    multiple: int,
) -> RowGroup:
    size = shape[1] * shape[2]
    places = np.arange(size)
    tokens: Integers | slice = slice(int(offsets[0]), int(offsets[0]) + size * len(lengths))
    if int(lengths.min()) < size:
        places = np.minimum(places, lengths[:, None] - 1)
        tokens = (offsets[:, None] + places).ravel()
    positions = starts[:, None] + places
    length = padded_length(int(positions.max()) + 1, multiple)
    hidden = np.arange(length) > positions[:, :, None]
    mask = np.where(hidden, -_INFINITE, _NOTHING)
    return RowGroup(rows, tokens, shape, length, mask.reshape(*shape[:2], 1, 1, shape[2], length))
