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

#: Attention reads places up to the longest row, rounded up to a multiple of the first of these
#: numbers that this machine's BLAS allows. No product is over more keys than the last.
_KEYS = (64, 128, 256)
_MOST_KEYS = _KEYS[-1]

#: Scores are shifted before `exp` only where the highest of a query is further from 0 than this.
_FAR = 60.0
#: Sums of `exp` in between are those of scores whose highest is not that far.
_SURE = (1e-20, 1e20)


def padded_length(length: int, multiple: int) -> int:
    """Keys that are read for rows of up to `length` tokens; `multiple` of `key_multiple`."""
    multiple = multiple if length <= _MOST_KEYS else _MOST_KEYS
    return -(-length // multiple) * multiple


def attend(
    queries: Floats, keys: Floats, values: Floats, mask: Floats, out: Floats | None = None
) -> Floats:
    """What queries see: [..., queries, head].

    Args:
        queries: [..., queries, head].
        keys: [..., head, length]; a length of `padded_length`.
        values: [..., length, head].
        mask: [..., queries, length], 0 where a query may look and -inf elsewhere.
        out: Where the result goes.
    """
    length = keys.shape[-1]
    parts = [slice(first, first + _MOST_KEYS) for first in range(0, length, _MOST_KEYS)]
    weights = [_scores(queries, keys, mask, part) for part in parts]
    total = _exponentials(weights)
    if not (total.min() > _SURE[0] and total.max() < _SURE[1]):
        weights = [_scores(queries, keys, mask, part) for part in parts]
        highest = reduce(np.maximum, (score.max(axis=-1, keepdims=True) for score in weights))
        shift = np.where(np.abs(highest) < _FAR, np.float32(0), highest)
        for score in weights:
            score -= shift
        total = _exponentials(weights)
    seen: Floats = np.matmul(weights[0], values[..., parts[0], :], out=out)
    for weight, part in zip(weights[1:], parts[1:], strict=True):
        seen += weight @ values[..., part, :]
    seen /= total[..., None]
    return seen


def _scores(queries: Floats, keys: Floats, mask: Floats, part: slice) -> Floats:
    scores: Floats = queries @ keys[..., part]
    scores += mask[..., part]
    return scores


def _exponentials(scores: list[Floats]) -> Floats:
    """Replaces scores by their exponentials; gives the sum of each query's."""
    ones = np.ones(scores[0].shape[-1], np.float32)
    return reduce(np.add, [np.vecdot(np.exp(score, out=score), ones) for score in scores])


@lru_cache
def block_width(shapes: frozenset[tuple[int, int]]) -> int:
    """Rows of a block in products [rows, inputs] @ [inputs, outputs] of these shapes."""
    return next(width for width in (8, 4, 2, 1) if width == 1 or _rows_agree(shapes, width))


@lru_cache
def query_block(head: int) -> int:
    """Queries that attend in one product, for heads of this size."""
    return next(
        count for count in (8, 4, 2, 1) if count == 1 or _queries_agree(head, count, _MOST_KEYS)
    )


@lru_cache
def key_multiple(head: int, count: int) -> int:
    """The multiple to which numbers of keys up to 256 are rounded up, for that many queries."""
    return next(
        multiple
        for multiple in _KEYS
        if multiple == _MOST_KEYS or _queries_agree(head, count, multiple)
    )


def _rows_agree(shapes: Iterable[tuple[int, int]], width: int) -> bool:
    random = np.random.default_rng(0)
    for inputs, outputs in shapes:
        weights = random.standard_normal((inputs, outputs), np.float32)
        row = random.standard_normal((1, inputs), np.float32)
        product = np.repeat(row, width, axis=0) @ weights
        if not np.array_equal(product, np.broadcast_to(product[:1], product.shape)):
            return False
    return True


def _queries_agree(head: int, count: int, multiple: int) -> bool:
    """Whether equal queries see the same, at each place and with more and more keys after theirs.

    Longer texts are read 256 keys at a time, so this much is enough. Sums in another order are
    often equal all the same, several are compared.
    """
    random = np.random.default_rng(0)
    many, most = 32, 3 * _MOST_KEYS
    keys = random.standard_normal((many, head, most), np.float32)
    values = random.standard_normal((many, most, head), np.float32)
    queries = np.repeat(random.standard_normal((many, 1, head), np.float32), count, axis=1)
    lengths = sorted({padded_length(length, multiple) for length in range(1, most)})
    for last in (0, 19, 61, 100, 200, 300):
        expected: Floats | None = None
        for length in lengths:
            if length > last:
                visible = np.where(np.arange(length) > last, -np.inf, 0).astype(np.float32)
                mask = np.broadcast_to(visible, (count, length))
                seen = attend(queries, keys[..., :length], values[:, :length], mask)
                expected = seen[:, :1] if expected is None else expected
                if not (seen == expected).all():
                    return False
    return True
