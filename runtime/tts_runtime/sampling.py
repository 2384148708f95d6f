"""From logits to a draw, one position at a time in plain Python: what a draw means.

Engines draw many rows at once with kernels of their own, which are tested against this. Logits are
those of one position, one number a token. Order: penalties, forbidden tokens, temperature, top-k,
top-p, min-p, Gumbel-max (semantics.md C15, C36). Sums are `fsum`'s: the same in every Python.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from heapq import nlargest
from math import exp, fsum, inf, log

from tts_runtime.engines.base import EngineError, Sampling
from tts_runtime.streams import Key, gumbel, position_seed

_GREEDY = Sampling(temperature=0.0)

#: Statistics that an engine can give per token, all under the raw distribution.
STATISTICS = ("confidence", "certainty", "entropy", "margin")
#: Log-probabilities that `confidence` averages (DeepConf, Fu et al. 2025, section 2.2).
CONFIDENCE_WIDTH = 20
#: Probability that top-p's mass may lack: rounded shares of equal tokens add up to a little less,
#: and not to the same in every engine.
TOP_P_ROUNDING = 1e-9

#: Of a draw from nothing.
NOTHING_ALLOWED = (
    "no token may be drawn: `at least` forbids all that the policy knows, or none of its tokens "
    "leads to what `matching` or `one of` asks for"
)

#: Of a draw from logits that are none.
NO_NUMBERS = (
    "the model's numbers are none here (NaN): its weights are damaged, or `dtype` is too narrow "
    "for it, as float16 is for some; choose `dtype=bfloat16` or `dtype=float32`"
)


def adjust(
    logits: Sequence[float], sampling: Sampling, forbidden: Collection[int] = ()
) -> list[float]:
    """Logits of the distribution that is sampled: scaled, and -inf where nothing may be drawn.

    At temperature 0 only forbidden tokens are taken away, and penalties count. Ties at a border of
    top-k or top-p keep the lower token id.
    """
    scaled = list(logits)
    for token, nats in sampling.penalties:
        if token < len(scaled):  # the tokenizer may have more
            scaled[token] -= nats
    for token in forbidden:
        scaled[token] = -inf
    if sampling.temperature == 0:
        return scaled
    if sampling.temperature != 1:
        scaled = [each / sampling.temperature for each in scaled]
    if 0 < sampling.top_k < len(scaled) or sampling.top_p < 1:
        order = sorted(range(len(scaled)), key=scaled.__getitem__, reverse=True)  # stable
        if sampling.top_k > 0:
            for token in order[sampling.top_k :]:
                scaled[token] = -inf
        if sampling.top_p < 1:
            log_probs, before = log_probabilities(scaled), 0.0
            for token in order:
                # At least one token, whatever rounding says.
                if before >= sampling.top_p - TOP_P_ROUNDING and token != order[0]:
                    scaled[token] = -inf
                before += exp(log_probs[token])
    if sampling.min_p > 0:
        least = max(scaled) + log(sampling.min_p)
        scaled = [each if each >= least else -inf for each in scaled]
    return scaled


def draw(
    logits: Sequence[float],
    sampling: Sampling,
    key: Key,
    position: int,
    forbidden: Collection[int] = (),
) -> int:
    """The token of stream `key` at `position`; at temperature 0 the likeliest one."""
    scores = adjust(logits, sampling, forbidden)
    if sampling.temperature > 0:
        noise = gumbel(position_seed(key, position), len(scores))
        scores = [score + each for score, each in zip(scores, noise, strict=True)]
    best = max(scores)
    if best == -inf:
        raise EngineError(NOTHING_ALLOWED)
    return scores.index(best)


def ranked(
    logits: Sequence[float],
    rank: int,
    forbidden: Collection[int] = (),
    sampling: Sampling = _GREEDY,
) -> int:
    """The token of a rank, 0 the likeliest, penalties of `sampling` counted; ties in order of id.

    Raises:
        EngineError: There are not that many tokens.
    """
    allowed = adjust(logits, replace(sampling, temperature=0.0), forbidden)
    possible = len(allowed) - allowed.count(-inf)
    if rank >= possible:
        raise EngineError(
            f"`likeliest` asks for the token of rank {rank + 1}, but the policy can start with "
            f"only {possible}; ask for fewer children"
        )
    return nlargest(rank + 1, range(len(allowed)), key=allowed.__getitem__)[rank]


def log_probabilities(logits: Sequence[float]) -> list[float]:
    """Natural log-probabilities of the distribution that the logits stand for."""
    most = max(logits)
    total = log(fsum([exp(each - most) for each in logits])) + most
    return [each - total for each in logits]


def token_statistics(log_probs: Sequence[float], names: Sequence[str]) -> tuple[float, ...]:
    """The named statistics of one raw distribution.

    confidence: minus the mean of the 20 largest log-probabilities (DeepConf); certainty: mean over
    the vocabulary of -log(V p), the divergence from uniform (self-certainty, Kang et al. 2025);
    entropy in nats; margin: probability of the first minus that of the second token.
    """
    return tuple(_STATISTICS[name](log_probs) for name in names)


def _confidence(log_probs: Sequence[float]) -> float:
    best = nlargest(CONFIDENCE_WIDTH, log_probs)
    return -fsum(best) / len(best)


def _certainty(log_probs: Sequence[float]) -> float:
    return -(fsum(log_probs) / len(log_probs) + log(len(log_probs)))


def _entropy(log_probs: Sequence[float]) -> float:
    # 0 * -inf counts as 0.
    return -fsum([exp(each) * each for each in log_probs if each > -inf])


def _margin(log_probs: Sequence[float]) -> float:
    if len(log_probs) < 2:
        return 1.0
    first, second = nlargest(2, log_probs)
    return exp(first) - exp(second)


_STATISTICS = {
    "confidence": _confidence,
    "certainty": _certainty,
    "entropy": _entropy,
    "margin": _margin,
}
