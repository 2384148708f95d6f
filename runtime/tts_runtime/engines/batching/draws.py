"""One token per row of a large vocabulary, and its log-probability, in few passes.

`sampling.choices` defines what is drawn; it ranks and makes noise for every token, in some 45
passes over [rows, vocabulary] in 64 bits. The functions here draw the same tokens:

* At temperature 0: the likeliest token.
* `_among_likeliest`: top-k, top-p and min-p leave few tokens. Only these are ranked and get noise.
* `_screened`: on a CPU, an upper bound of each score in 32 bits finds the few tokens that can have
  the best one; the scores of those are exact.
* `triton_draws`: the same rows on a GPU, in one kernel.

No temporary of rows x vocabulary is larger than the logits in 32 bits.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.util import find_spec
from math import isfinite, log
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tts_runtime.engines.batching.noise import Array, library, random_bits
from tts_runtime.engines.batching.sampling import (
    SamplingColumns,
    beyond_top_p,
    choices,
    log_probabilities,
    penalised,
)
from tts_runtime.streams import FIRST, GOLDEN, SECOND

#: Vocabularies below it are drawn by `sampling.choices`: calls cost more than passes there.
LARGE = 4096
#: Tokens that are ranked first where a filter leaves few.
LIKELIEST = 1024
#: Elements of a 64-bit temporary: 2 MiB, which a core's cache holds.
_BLOCK = 1 << 18
_CHUNK = 1 << 15

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True)
class Draws:
    """What was drawn, arrays of shape [rows] in the library of the logits.

    Args:
        tokens: Ids.
        scores: Logit over temperature plus noise; -inf where every token is forbidden.
        logprobs: Natural log-probabilities of the tokens under the raw distribution, float64.
    """

    tokens: Array
    scores: Array
    logprobs: Array


def draws(
    logits: Array,
    columns: SamplingColumns,
    seeds: Array,
    forbidden: Mapping[int, Collection[int]] | None = None,
) -> Draws:
    """The token of each row; as `sampling.choices`, for logits of any float type."""
    xp = library(logits)
    count, vocabulary = logits.shape
    if columns.penalties:
        alike = replace(columns, penalties=())
        drawn = draws(penalised(logits, columns), alike, seeds, forbidden)
        return replace(drawn, logprobs=_logprobs(logits, drawn.tokens))
    if vocabulary < LARGE:
        if xp is np or not _on_cpu(logits):
            return _generic(logits, columns, seeds, forbidden)
        on_host = _generic(_host(logits), columns.on_host(), np.asarray(seeds), forbidden)
        found = (on_host.tokens, on_host.scores, on_host.logprobs)
        return Draws(*map(xp.from_numpy, found))  # torch's calls take twice as long
    banned = forbidden or {}
    groups: dict[str, list[int]] = {}
    methods = columns.methods * (count if len(columns.methods) == 1 else 1)
    for row, method in enumerate(methods):
        groups.setdefault("generic" if row in banned else method, []).append(row)
    unsure = groups.pop("generic", [])
    tokens = xp.zeros(count, dtype=xp.int64, device=logits.device)
    scores = xp.zeros(count, dtype=xp.float64, device=logits.device)
    for method, rows in groups.items():
        whole = len(rows) == count
        if method == "free" and whole and _has_kernel(logits):
            return _kernel(logits, columns.temperature, seeds)
        found, best, sure = _drawn(
            method,
            logits if whole else logits[rows],
            columns.take(rows),
            seeds if whole else seeds[rows],
        )
        tokens[rows], scores[rows] = found, best
        if sure is not None:
            unsure += [row for row, certain in zip(rows, sure.tolist(), strict=True) if not certain]
    for row in unsure:  # one by one: their temporaries are as large as a row
        bans = {0: banned[row]} if row in banned else None
        single = _generic(logits[row : row + 1], columns.take([row]), seeds[row : row + 1], bans)
        tokens[row], scores[row] = single.tokens[0], single.scores[0]
    return Draws(tokens, scores, _logprobs(logits, tokens))


def _logprobs(logits: Array, tokens: Array) -> Array:
    """Log-probabilities of one token of each row under the raw distribution, shape [rows]."""
    xp = library(logits)
    places = xp.arange(logits.shape[0], device=logits.device)
    if logits.shape[1] < LARGE:
        return log_probabilities(xp.asarray(logits, dtype=xp.float64))[places, tokens]
    chosen = xp.asarray(logits[places, tokens], dtype=xp.float64)
    return chosen - log_normalisers(logits)


def _drawn(
    method: str, logits: Array, columns: SamplingColumns, seeds: Array
) -> tuple[Array, Array, Array | None]:
    """Tokens, scores, and whether they are the right ones (`None`: all are)."""
    xp = library(logits)
    if method == "greedy":
        best = xp.asarray(xp.amax(logits, axis=-1), dtype=xp.float64)
        return xp.argmax(logits, axis=-1), best, None
    if method == "filtered":
        return _among_likeliest(logits, columns, seeds)
    if _has_kernel(logits):
        result = _kernel(logits, columns.temperature, seeds)
        return result.tokens, result.scores, None
    if _on_cpu(logits):
        screened = _screened(_host(logits), columns.temperature, seeds)
        return xp.asarray(screened[0]), xp.asarray(screened[1]), None
    none = xp.zeros(len(logits), dtype=xp.int64, device=logits.device)
    return none, xp.asarray(none, dtype=xp.float64), none > 0  # left to `choices`


def _kernel(logits: Array, temperature: Array, seeds: Array) -> Draws:
    from tts_runtime.engines.batching.triton_draws import drawn

    return Draws(*drawn(logits, temperature, seeds))


def log_normalisers(logits: Array, temperature: Array | None = None) -> Array:
    """Logarithm of the sum of exp(logits / temperature) in float64, shape [rows]."""
    xp = library(logits)
    count, vocabulary = logits.shape
    height = (
        max(1, _BLOCK // vocabulary) if _on_cpu(logits) else max(1, (64 * _BLOCK) // vocabulary)
    )
    parts = []
    for first in range(0, count, height):
        block = xp.asarray(logits[first : first + height], dtype=xp.float64)
        if temperature is not None:
            rows = temperature if temperature.shape[0] == 1 else temperature[first : first + height]
            block = block / rows
        most = xp.amax(block, axis=-1, keepdims=True)
        total = xp.sum(xp.exp(block - most), axis=-1, keepdims=True)
        parts.append((most + xp.log(total))[:, 0])
    joined: Array = xp.concatenate(parts) if xp is np else xp.cat(parts)
    return joined


def _generic(
    logits: Array,
    columns: SamplingColumns,
    seeds: Array,
    forbidden: Mapping[int, Collection[int]] | None,
) -> Draws:
    xp = library(logits)
    exact = xp.asarray(logits, dtype=xp.float64)
    scores, tokens = choices(exact, columns, seeds, forbidden)
    return Draws(tokens, scores, _logprobs(exact, tokens))


def _among_likeliest(
    logits: Array, columns: SamplingColumns, seeds: Array
) -> tuple[Array, Array, Array]:
    """Tokens and scores where the filters keep fewer tokens than are ranked; whether they do."""
    xp = library(logits)
    vocabulary = logits.shape[1]
    most_kept = 0 if columns.top_k is None else int(columns.top_k.max())
    width = min(vocabulary, max(LIKELIEST, most_kept + 1))
    if xp is np:
        ids = np.argpartition(logits, vocabulary - width, axis=-1)[:, vocabulary - width :]
    else:
        ids = logits.topk(width, dim=-1).indices
    rows = xp.arange(logits.shape[0], device=logits.device)[:, None]
    ids = ids[rows, xp.argsort(ids, axis=-1)]  # ties rank in order of id
    values = xp.asarray(logits[rows, ids], dtype=xp.float64)
    order = xp.argsort(-values, axis=-1, stable=True)
    ids, values = ids[rows, order], values[rows, order]
    scaled = values / columns.temperature
    kept = scaled
    limited = xp.zeros_like(scaled[:, :1], dtype=xp.bool)
    if columns.top_k is not None:
        rank = xp.arange(width, device=logits.device)
        limited = limited | (columns.top_k > 0)
        kept = xp.where((rank >= columns.top_k) & (columns.top_k > 0), -xp.inf, kept)
    if columns.top_p is not None:
        shifted = kept - kept[:, :1]
        inside = xp.log(xp.sum(xp.exp(shifted), axis=-1, keepdims=True))
        all_of_it = log_normalisers(logits, columns.temperature)[:, None] - kept[:, :1]
        probabilities = xp.exp(shifted - xp.where(limited, inside, all_of_it))
        before = xp.cumsum(probabilities, axis=-1) - probabilities
        kept = xp.where(beyond_top_p(before, columns.top_p), -xp.inf, kept)
    if columns.log_min_p is not None:
        kept = xp.where(kept < kept[:, :1] + columns.log_min_p, -xp.inf, kept)
    bits = random_bits(seeds[:, None], ids + 1)
    scores = kept - xp.log(-xp.log((xp.asarray(bits, dtype=xp.float64) + 0.5) * 2.0**-53))
    best = xp.amax(scores, axis=-1)
    tokens = xp.amin(xp.where(scores == best[:, None], ids, vocabulary), axis=-1)
    last = (kept > -xp.inf).sum(axis=-1) - 1
    # All that is kept was ranked, and so were all ties at the border.
    sure = values[rows[:, 0], last] > values[:, -1]
    return tokens, best, sure if width < vocabulary else xp.ones_like(sure)


def _screened(logits: Floats, temperature: Array, seeds: Array) -> tuple[NDArray[np.int64], Floats]:
    """Tokens and scores of rows without filters.

    With u the uniform number of a token, its Gumbel noise -log(-log u) is at most -log(1 - u).
    Logit plus this bound, in 32 bits, is compared with the exact score of the token where it is
    largest: what is below cannot win. A handful of tokens remains.
    """
    all_seeds = np.asarray(seeds)
    temperatures = np.broadcast_to(np.asarray(temperature)[:, 0], len(logits))
    scratch = _Scratch(logits.shape[1])
    tokens = np.empty(len(logits), np.int64)
    scores = np.empty(len(logits))
    for number, row in enumerate(logits):
        seed, scale = all_seeds[number : number + 1], float(temperatures[number])
        bounds = scratch.bounds(row, scale, seed.view(np.uint64))
        candidates = np.array([bounds.argmax()])
        [least] = _scores(row, candidates, scale, seed)
        if isfinite(least):
            # More than the roundings of the bounds of all that could win.
            slack = 1e-6 * (abs(least) + 64)
            candidates = np.flatnonzero(bounds >= least - slack)
        exact = _scores(row, candidates, scale, seed)
        tokens[number], scores[number] = candidates[exact.argmax()], exact.max()
    return tokens, scores


def _scores(
    row: Floats, tokens: NDArray[np.int64], temperature: float, seed: NDArray[np.int64]
) -> NDArray[np.float64]:
    bits = random_bits(seed, tokens + 1)
    noise = -np.log(-np.log((bits + 0.5) * 2.0**-53))
    scores: NDArray[np.float64] = row[tokens].astype(np.float64) / temperature + noise
    return scores


class _Scratch:
    """Memory for the bounds of one row after the other."""

    def __init__(self, vocabulary: int) -> None:
        self._counters = _counters(vocabulary)
        self._bounds = np.empty(vocabulary, np.float32)
        self._bits = np.empty(_CHUNK, np.uint64)
        self._other = np.empty(_CHUNK, np.uint64)
        self._noise = np.empty(_CHUNK, np.float32)

    def bounds(
        self, row: Floats, temperature: float, seed: NDArray[np.uint64]
    ) -> NDArray[np.float32]:
        """Upper bounds of the scores of all tokens, up to the roundings of 32 bits."""
        for first in range(0, len(row), _CHUNK):
            part = slice(first, min(first + _CHUNK, len(row)))
            width = part.stop - first
            bits, other, noise = self._bits[:width], self._other[:width], self._noise[:width]
            np.add(self._counters[part], seed, out=bits)
            for shift, factor in ((30, FIRST), (27, SECOND), (31, 1)):
                np.right_shift(bits, np.uint64(shift), out=other)  # as `streams.gumbel`
                np.bitwise_xor(bits, other, out=bits)
                if factor > 1:
                    np.multiply(bits, np.uint64(factor), out=bits)
            np.invert(bits, out=bits)
            np.right_shift(bits, np.uint64(11), out=bits)
            noise[:] = bits
            noise += np.float32(0.5)
            np.log(noise, out=noise)  # log(1 - u) + 53 log 2
            np.subtract(row[part] * np.float32(1 / temperature), noise, out=self._bounds[part])
        self._bounds += np.float32(53 * log(2))
        return self._bounds


@cache
def _counters(vocabulary: int) -> NDArray[np.uint64]:
    """The numbers that are added to a row's seed, one per token id."""
    return np.arange(1, vocabulary + 1, dtype=np.uint64) * np.uint64(GOLDEN)


def _on_cpu(array: Array) -> bool:
    return isinstance(array, np.ndarray) or array.device.type == "cpu"


def _host(array: Array) -> Any:
    """A NumPy view of an array on the CPU, and the array itself where it is elsewhere."""
    if isinstance(array, np.ndarray) or not _on_cpu(array):
        return array
    import torch

    # NumPy has no bfloat16; halves are as slow there.
    return (array.float() if array.element_size() < torch.float32.itemsize else array).numpy()


def _has_kernel(array: Array) -> bool:
    return not isinstance(array, np.ndarray) and array.device.type == "cuda" and _triton_is_there()


@cache
def _triton_is_there() -> bool:
    return find_spec("triton") is not None
