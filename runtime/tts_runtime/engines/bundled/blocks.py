"""Matrix products and attention in which a row has the same bits in every batch (C63).

How a BLAS adds depends on a product's shape and on the place within it: OpenBLAS on AVX2 adds
otherwise for rows 0 to 5 of a dozen than for rows 6 to 11. A policy that draws from such numbers
could write other texts in other batches. So a product is made of blocks of one shape, the largest
of a few whose places this machine's BLAS treats alike; a block of one row always qualifies.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache, reduce

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

#: Attention reads places up to the longest row, rounded up to a multiple of the first number, and
#: from the second on to a multiple of that; no product is over more keys.
_KEYS = (32, 256)

#: Scores are shifted before `exp` only where the highest of a query is further from 0 than this.
_FAR = 60.0


def padded_length(length: int, multiple: int) -> int:
    """Keys that are read for rows of up to `length` tokens; `multiple` of `key_multiple`."""
    multiple = multiple if length <= _KEYS[1] else _KEYS[1]
    return -(-length // multiple) * multiple


def attend(queries: Floats, keys: Floats, values: Floats, mask: Floats) -> Floats:
    """What queries see: [..., queries, head].

    Args:
        queries: [..., queries, head].
        keys: [..., head, length]; a length of `padded_length`.
        values: [..., length, head].
        mask: [..., queries, length], 0 where a query may look and -inf elsewhere.
    """
    parts = [slice(first, first + _KEYS[1]) for first in range(0, keys.shape[-1], _KEYS[1])]
    scores = [queries @ keys[..., part] for part in parts]
    moderate = all(score.min() > -_FAR and score.max() < _FAR for score in scores)
    for score, part in zip(scores, parts, strict=True):
        score += mask[..., part]
    if not moderate:
        highest = reduce(np.maximum, (score.max(axis=-1, keepdims=True) for score in scores))
        shift = np.where(np.abs(highest) < _FAR, np.float32(0), highest)
        for score in scores:
            score -= shift
    for score in scores:
        np.exp(score, out=score)
    ones = np.ones(scores[0].shape[-1], np.float32)
    total = reduce(np.add, (np.vecdot(score, ones) for score in scores))
    pairs = zip(scores, parts, strict=True)
    products = (np.matmul(score, values[..., part, :]) for score, part in pairs)
    seen: Floats = reduce(np.add, products)
    seen /= total[..., None]
    return seen


@lru_cache
def block_width(shapes: frozenset[tuple[int, int]]) -> int:
    """Columns of a block in products [outputs, inputs] @ [inputs, columns] of these shapes."""
    return next(width for width in (16, 8, 4, 2, 1) if width == 1 or _columns_agree(shapes, width))


@lru_cache
def key_multiple(head: int) -> int:
    """What numbers of keys up to 256 are rounded up to, for heads of this size."""
    return next(
        multiple for multiple in _KEYS if multiple == _KEYS[1] or _queries_agree(head, 1, multiple)
    )


@lru_cache
def query_block(head: int) -> int:
    """Queries that attend in one product."""
    multiple = key_multiple(head)
    return next(
        count for count in (8, 4, 2, 1) if count == 1 or _queries_agree(head, count, multiple)
    )


def _columns_agree(shapes: Iterable[tuple[int, int]], width: int) -> bool:
    random = np.random.default_rng(0)
    for outputs, inputs in shapes:
        weights = random.standard_normal((outputs, inputs), np.float32)
        column = random.standard_normal((inputs, 1), np.float32)
        by_rows, by_columns = np.repeat(column, width, axis=1), np.repeat(column.T, width, axis=0).T
        for block in (by_rows, by_columns):  # the two ways in which a block lies in memory
            product = weights @ block
            if not np.array_equal(product, np.broadcast_to(product[:, :1], product.shape)):
                return False
    return True


def _queries_agree(head: int, count: int, multiple: int) -> bool:
    """Whether equal queries see the same, at each place and with more and more keys after theirs.

    Longer texts are read 256 keys at a time, so this much is enough.
    """
    random = np.random.default_rng(0)
    keys = random.standard_normal((head, 3 * _KEYS[1]), np.float32)
    values = random.standard_normal((3 * _KEYS[1], head), np.float32)
    queries = np.repeat(random.standard_normal((1, head), np.float32), count, axis=0)
    lengths = sorted({padded_length(length, multiple) for length in range(1, 3 * _KEYS[1])})
    for last in (0, 19, 100, 200, 300):
        results: set[bytes] = set()
        for length in lengths:
            if length > last:
                visible = np.where(np.arange(length) > last, -np.inf, 0).astype(np.float32)
                mask = np.broadcast_to(visible, (count, length))
                seen = attend(queries, keys[:, :length], values[:length], mask)
                results.update(row.tobytes() for row in seen)
        if len(results) > 1:
            return False
    return True
