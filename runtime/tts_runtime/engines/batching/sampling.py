"""`tts_runtime.sampling` for many rows at once, on NumPy arrays or torch tensors; tested equal."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from math import inf, log
from typing import Any

import numpy as np

from tts_runtime.engines.base import Sampling
from tts_runtime.engines.batching.noise import Array, gumbel, library
from tts_runtime.engines.matching import TokenIds
from tts_runtime.sampling import CONFIDENCE_WIDTH, TOP_P_ROUNDING


@dataclass(frozen=True, slots=True)
class SamplingColumns:
    """The sampling settings of a batch as columns [rows, 1]; `None` where no row needs them.

    Where all rows are sampled alike, one row [1, 1] stands for all.
    """

    temperature: Array
    greedy: Array | None
    top_k: Array | None
    top_p: Array | None
    log_min_p: Array | None
    #: How each row is drawn: greedy, filtered (top-k, top-p, min-p) or free.
    methods: tuple[str, ...]
    #: Of each row, as `Sampling.penalties`; empty where no row has any.
    penalties: tuple[tuple[tuple[int, float], ...], ...] = ()

    @classmethod
    def of(cls, rows: Sequence[Sampling], like: Array) -> SamplingColumns:
        """The columns of these rows, in the library and on the device of an array."""
        xp = library(like)
        if len(set(rows)) == 1:
            rows = rows[:1]

        def column(values: Sequence[float | bool], dtype: Any) -> Array:
            return xp.asarray(values, dtype=dtype, device=like.device)[:, None]

        def needed(values: list[float], off: float) -> Array | None:
            on = any(value != off for value in values)
            return column(values, xp.float64) if on else None

        greedy = [row.temperature == 0 for row in rows]
        return cls(
            column([row.temperature or 1.0 for row in rows], xp.float64),
            column(greedy, xp.bool) if any(greedy) else None,
            needed([float(row.top_k) for row in rows], 0.0),
            needed([row.top_p for row in rows], 1.0),
            needed([log(row.min_p) if row.min_p else -inf for row in rows], -inf),
            tuple(_method(row) for row in rows),
            tuple(row.penalties for row in rows) if any(row.penalties for row in rows) else (),
        )

    def take(self, rows: Sequence[int]) -> SamplingColumns:
        """The columns of some of the rows."""
        if len(self.methods) == 1:
            return self

        def some(column: Array | None) -> Array | None:
            return None if column is None else column[list(rows)]

        return SamplingColumns(
            self.temperature[list(rows)],
            some(self.greedy),
            some(self.top_k),
            some(self.top_p),
            some(self.log_min_p),
            tuple(self.methods[row] for row in rows),
            tuple(self.penalties[row] for row in rows) if self.penalties else (),
        )

    def on_host(self) -> SamplingColumns:
        """The same in NumPy, of columns on the CPU."""

        def there(column: Array | None) -> Array | None:
            return None if column is None else np.asarray(column)

        return SamplingColumns(
            np.asarray(self.temperature),
            there(self.greedy),
            there(self.top_k),
            there(self.top_p),
            there(self.log_min_p),
            self.methods,
        )


def _method(row: Sampling) -> str:
    if row.temperature == 0:
        return "greedy"
    return "filtered" if row.top_k or row.top_p < 1 or row.min_p else "free"


def penalised(logits: Array, columns: SamplingColumns) -> Array:
    """The logits in float64 without what `avoiding` takes from them."""
    xp = library(logits)
    found = xp.asarray(logits, dtype=xp.float64, copy=True)
    groups: dict[tuple[tuple[int, float], ...], list[int]] = {}
    for row in range(len(found)):
        groups.setdefault(columns.penalties[row % len(columns.penalties)], []).append(row)
    for penalties, rows in groups.items():
        known = [each for each in penalties if each[0] < found.shape[1]]
        if known:
            places = xp.asarray(rows, device=found.device)[:, None]
            tokens = xp.asarray([token for token, _ in known], device=found.device)
            nats = xp.asarray([nats for _, nats in known], dtype=xp.float64, device=found.device)
            found[places, tokens] -= nats
    return found


def _ids(tokens: Collection[int], logits: Array) -> Array:
    """Those of the ids that have a logit, as an index."""
    ids = tokens.ids if isinstance(tokens, TokenIds) else np.array([*tokens], np.int64)
    ids = ids[ids < logits.shape[1]]
    xp = library(logits)
    return ids if xp is np else xp.asarray(ids, device=logits.device)


def adjust(
    logits: Array, columns: SamplingColumns, forbidden: Mapping[int, Collection[int]] | None = None
) -> Array:
    """As `sampling.adjust`, for float64 logits [rows, vocabulary]; `forbidden` by row."""
    xp = library(logits)
    if columns.penalties:
        logits = penalised(logits, columns)
    if forbidden:
        logits = xp.asarray(logits, copy=True)
        for row, tokens in forbidden.items():
            logits[row, _ids(tokens, logits)] = -xp.inf
    scaled = logits / columns.temperature
    if columns.top_k is not None or columns.top_p is not None:
        rows = xp.arange(logits.shape[0], device=logits.device)[:, None]
        order = xp.argsort(-scaled, axis=-1, stable=True)
        ordered = scaled[rows, order]
        if columns.top_k is not None:
            rank = xp.arange(logits.shape[1], device=logits.device)
            out = (rank >= columns.top_k) & (columns.top_k > 0)
            ordered = xp.where(out, -xp.inf, ordered)
        if columns.top_p is not None:
            probabilities = xp.exp(log_probabilities(ordered))
            before = xp.cumsum(probabilities, axis=-1) - probabilities
            ordered = xp.where(beyond_top_p(before, columns.top_p), -xp.inf, ordered)
        scaled = xp.empty_like(scaled)
        scaled[rows, order] = ordered
    if columns.log_min_p is not None:
        least = xp.amax(scaled, axis=-1, keepdims=True) + columns.log_min_p
        scaled = xp.where(scaled < least, -xp.inf, scaled)
    return scaled if columns.greedy is None else xp.where(columns.greedy, logits, scaled)


def beyond_top_p(before: Array, top_p: Array) -> Array:
    """Whether the probability before each token [rows, tokens in order] is top-p's mass."""
    out: Array = (before >= top_p - TOP_P_ROUNDING) & (top_p < 1)
    out[:, 0] = False  # at least one token, whatever rounding says
    return out


def choices(
    logits: Array,
    columns: SamplingColumns,
    seeds: Array,
    forbidden: Mapping[int, Collection[int]] | None = None,
) -> tuple[Array, Array]:
    """Per row, the best score and its token; the score is -inf where every token is forbidden.

    Logits are float64 [rows, vocabulary], seeds `streams.position_seeds` of the rows.
    """
    xp = library(logits)
    noise = gumbel(seeds, logits.shape[1])
    if columns.greedy is not None:
        noise = xp.where(columns.greedy, 0.0, noise)
    scores = adjust(logits, columns, forbidden) + noise
    return xp.amax(scores, axis=-1), xp.argmax(scores, axis=-1)


def log_probabilities(logits: Array) -> Array:
    """Natural log-probabilities of each row of [rows, vocabulary], float64."""
    xp = library(logits)
    logits = xp.asarray(logits, dtype=xp.float64)
    shifted = logits - xp.amax(logits, axis=-1, keepdims=True)
    return shifted - xp.log(xp.sum(xp.exp(shifted), axis=-1, keepdims=True))


def token_statistics(log_probs: Array, names: Collection[str]) -> dict[str, list[float]]:
    """As `sampling.token_statistics`: per name, one number for each row of [rows, vocabulary]."""
    return {name: statistic(log_probs, name).tolist() for name in names}


def statistic(log_probs: Array, name: str) -> Array:
    """One named statistic of each row, shape [rows]."""
    return _STATISTICS[name](log_probs)


def _confidence(log_probs: Array) -> Array:
    return -_largest(log_probs, min(CONFIDENCE_WIDTH, log_probs.shape[1])).mean(axis=-1)


def _certainty(log_probs: Array) -> Array:
    return -(log_probs.mean(axis=-1) + log(log_probs.shape[1]))


def _entropy(log_probs: Array) -> Array:
    xp = library(log_probs)
    probabilities = xp.exp(log_probs)
    return -xp.where(probabilities > 0, probabilities * log_probs, 0.0).sum(axis=-1)


def _margin(log_probs: Array) -> Array:
    xp = library(log_probs)
    if log_probs.shape[1] < 2:
        return xp.ones_like(log_probs[:, 0])
    best = xp.exp(_largest(log_probs, 2))
    return xp.amax(best, axis=-1) - xp.amin(best, axis=-1)


def _largest(values: Array, count: int) -> Array:
    """The largest numbers of each row, in any order."""
    if library(values) is np:
        return np.partition(values, -count, axis=-1)[:, -count:]
    return values.topk(count, dim=-1).values


_STATISTICS = {
    "confidence": _confidence,
    "certainty": _certainty,
    "entropy": _entropy,
    "margin": _margin,
}
