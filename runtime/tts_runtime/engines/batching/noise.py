"""The noise of `streams` for many rows at once, on NumPy arrays or torch tensors; tested equal."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tts_runtime.streams import FIRST, GOLDEN, SECOND, Key, seed_bytes

#: A NumPy array or a torch tensor. The two share their operators, and the functions used here.
Array: TypeAlias = Any


def library(array: Array) -> Any:
    """`numpy` or `torch`, whichever an array belongs to."""
    if isinstance(array, np.ndarray):
        return np
    import torch  # loaded already, since there is a tensor

    return torch


def position_seeds(places: Iterable[tuple[Key, int]]) -> NDArray[np.int64]:
    """`streams.position_seed` of many places, shape [places]."""
    data = b"".join([seed_bytes(key, position) for key, position in places])
    return np.frombuffer(bytearray(data), dtype="<i8").astype(np.int64, copy=False)


def random_bits(seeds: Array, tokens: Array) -> Array:
    """53 random bits for each seed and token id, from 1; shapes broadcast.

    Signed 64-bit integers that wrap, since torch has no unsigned ones: the masks make their right
    shifts those of unsigned ones.
    """
    bits = seeds + tokens * _signed(GOLDEN)
    bits = (bits ^ ((bits >> 30) & 0x3FFFFFFFF)) * _signed(FIRST)
    bits = (bits ^ ((bits >> 27) & 0x1FFFFFFFFF)) * _signed(SECOND)
    bits = bits ^ ((bits >> 31) & 0x1FFFFFFFF)
    return (bits >> 11) & 0x1FFFFFFFFFFFFF


def gumbel(seeds: Array, vocabulary: int) -> Array:
    """As `streams.gumbel`: float64 noise of shape [rows, vocabulary] for seeds [rows]."""
    xp = library(seeds)
    tokens = xp.arange(1, vocabulary + 1, dtype=xp.int64, device=seeds.device)
    noise = xp.asarray(random_bits(seeds[:, None], tokens), dtype=xp.float64)
    # In place: the same numbers, and no copies on the way.
    noise += 0.5
    noise *= 2.0**-53
    for _ in range(2):
        xp.log(noise, out=noise)
        xp.negative(noise, out=noise)
    return noise


def _signed(bits: int) -> int:
    return bits - 2**64 if bits >= 2**63 else bits
