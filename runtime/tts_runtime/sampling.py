"""From logits to a draw: the NumPy reference that every engine's own kernels are tested against.

All functions take the logits of one position, shape [vocabulary], and compute in float64. Order:
forbidden tokens, temperature, top-k, top-p, min-p, Gumbel-max (semantics.md C15, C36).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from math import log

import numpy as np
from numpy.typing import NDArray

from tts_runtime.engines.base import EngineError, Sampling
from tts_runtime.streams import Key, gumbel, position_seed

Floats = NDArray[np.float64]

#: Statistics that an engine can give per token, all under the raw distribution.
STATISTICS = ("confidence", "certainty", "entropy", "margin")
#: Log-probabilities that `confidence` averages (DeepConf, Fu et al. 2025, section 2.2).
CONFIDENCE_WIDTH = 20


def adjust(logits: Floats, sampling: Sampling, forbidden: Collection[int] = ()) -> Floats:
    """Logits of the distribution that is sampled: scaled, and -inf where nothing may be drawn.

    At temperature 0 only forbidden tokens are taken away. Ties at a border of top-k or top-p keep
    the lower token id.
    """
    scaled = np.asarray(logits, np.float64)
    if forbidden:
        scaled = scaled.copy()
        scaled[list(forbidden)] = -np.inf
    if sampling.temperature == 0:
        return scaled
    scaled = scaled / sampling.temperature
    if 0 < sampling.top_k < scaled.size or sampling.top_p < 1:
        order = np.argsort(-scaled, kind="stable")
        if sampling.top_k > 0:
            scaled[order[sampling.top_k :]] = -np.inf
        if sampling.top_p < 1:
            ordered = np.exp(log_probabilities(scaled)[order])
            before = np.cumsum(ordered) - ordered
            before[0] = 0.0  # at least one token, whatever rounding says
            scaled[order[before >= sampling.top_p]] = -np.inf
    if sampling.min_p > 0:
        scaled[scaled < scaled.max() + log(sampling.min_p)] = -np.inf
    return scaled


def draw(
    logits: Floats,
    sampling: Sampling,
    key: Key,
    position: int,
    forbidden: Collection[int] = (),
) -> int:
    """The token of stream `key` at `position`; at temperature 0 the likeliest one."""
    scores = adjust(logits, sampling, forbidden)
    if sampling.temperature > 0:
        seed = np.array([position_seed(key, position)], np.int64)
        scores = scores + gumbel(seed, scores.size)[0]
    token = int(scores.argmax())
    if scores[token] == -np.inf:
        raise EngineError("no token may be drawn: `at least` forbids all that the policy knows")
    return token


def ranked(logits: Floats, rank: int, forbidden: Collection[int] = ()) -> int:
    """The token of a rank, 0 the likeliest; ties in order of id.

    Raises:
        EngineError: There are not that many tokens.
    """
    allowed = adjust(logits, Sampling(temperature=0.0), forbidden)
    if rank >= np.count_nonzero(allowed > -np.inf):
        raise EngineError(
            f"`likeliest` asks for the token of rank {rank + 1}, but the policy can start with "
            f"only {np.count_nonzero(allowed > -np.inf)}; ask for fewer children"
        )
    return int(np.argsort(-allowed, kind="stable")[rank])


def log_probabilities(logits: Floats) -> Floats:
    """Natural log-probabilities of the distribution that the logits stand for."""
    exact = np.asarray(logits, np.float64)
    shifted = exact - exact.max()
    normalised: Floats = shifted - np.log(np.exp(shifted).sum())
    return normalised


def token_statistics(log_probs: Floats, names: Sequence[str]) -> tuple[float, ...]:
    """The named statistics of one raw distribution.

    confidence: minus the mean of the 20 largest log-probabilities (DeepConf); certainty: mean over
    the vocabulary of -log(V p), the divergence from uniform (self-certainty, Kang et al. 2025);
    entropy in nats; margin: probability of the first minus that of the second token.
    """
    return tuple(_STATISTICS[name](log_probs) for name in names)


def _confidence(log_probs: Floats) -> float:
    width = min(CONFIDENCE_WIDTH, log_probs.size)
    return float(-np.partition(log_probs, -width)[-width:].mean())


def _certainty(log_probs: Floats) -> float:
    return float(-(log_probs.mean() + log(log_probs.size)))


def _entropy(log_probs: Floats) -> float:
    probabilities = np.exp(log_probs)
    # 0 * -inf counts as 0.
    return float(-np.where(probabilities > 0, probabilities * log_probs, 0.0).sum())


def _margin(log_probs: Floats) -> float:
    if log_probs.size < 2:
        return 1.0
    second, first = np.partition(log_probs, -2)[-2:]
    return float(np.exp(first) - np.exp(second))


_STATISTICS = {
    "confidence": _confidence,
    "certainty": _certainty,
    "entropy": _entropy,
    "margin": _margin,
}
