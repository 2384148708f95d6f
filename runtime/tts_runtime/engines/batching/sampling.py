"""`tts_runtime.sampling` for many rows at once, on torch tensors; tested equal to it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from math import log

import torch
from torch import Tensor

from tts_runtime.engines.base import EngineError, Sampling
from tts_runtime.sampling import CONFIDENCE_WIDTH
from tts_runtime.streams import random_bits


def gumbel(seeds: Tensor, vocabulary: int) -> Tensor:
    """As `streams.gumbel`: float64 noise of shape [rows, vocabulary] for seeds [rows]."""
    tokens = torch.arange(1, vocabulary + 1, dtype=torch.int64, device=seeds.device)
    # The arithmetic of streams.py uses only operators that arrays and tensors share.
    bits: Tensor = random_bits(seeds[:, None], tokens)  # type: ignore[arg-type, assignment]
    # In place: the same numbers, and nothing is copied on the way.
    noise = bits.to(torch.float64).add_(0.5).mul_(2.0**-53)
    return noise.log_().neg_().log_().neg_()


@dataclass(frozen=True, slots=True)
class SamplingTensors:
    """The sampling settings of a batch as columns [rows, 1]; `None` where no row needs them.

    Where all rows are sampled alike, one row [1, 1] stands for all.
    """

    temperature: Tensor
    greedy: Tensor | None
    top_k: Tensor | None
    top_p: Tensor | None
    min_p: Tensor | None

    @classmethod
    def of(cls, rows: Sequence[Sampling], device: str = "cpu") -> SamplingTensors:
        """The columns of these rows."""
        if len(set(rows)) == 1:
            rows = rows[:1]

        def column(values: list[float]) -> Tensor:
            return torch.tensor(values, dtype=torch.float64, device=device)[:, None]

        def wanted(values: list[float], off: float) -> Tensor | None:
            return column(values) if any(value != off for value in values) else None

        greedy = torch.tensor([row.temperature == 0 for row in rows], device=device)[:, None]
        return cls(
            column([row.temperature or 1.0 for row in rows]),
            greedy if bool(greedy.any()) else None,
            wanted([float(row.top_k) for row in rows], 0.0),
            wanted([row.top_p for row in rows], 1.0),
            wanted([row.min_p for row in rows], 0.0),
        )


def adjust(
    logits: Tensor,
    settings: SamplingTensors,
    forbidden: Mapping[int, Collection[int]] | None = None,
) -> Tensor:
    """As `sampling.adjust`, for float64 logits [rows, vocabulary]; `forbidden` by row."""
    if forbidden:
        logits = logits.clone()
        for row, tokens in forbidden.items():
            logits[row, list(tokens)] = -torch.inf
    scaled = logits / settings.temperature
    if settings.top_k is not None or settings.top_p is not None:
        ordered, order = torch.sort(scaled, descending=True, stable=True)
        if settings.top_k is not None:
            rank = torch.arange(logits.shape[1], device=logits.device)
            out = (rank >= settings.top_k) & (settings.top_k > 0)
            ordered = ordered.masked_fill(out, -torch.inf)
        if settings.top_p is not None:
            probabilities = torch.softmax(ordered, dim=-1)
            before = torch.cumsum(probabilities, dim=-1) - probabilities
            out = (before >= settings.top_p) & (settings.top_p < 1)
            out[:, 0] = False  # at least one token, whatever rounding says
            ordered = ordered.masked_fill(out, -torch.inf)
        scaled = torch.empty_like(scaled).scatter_(-1, order, ordered)
    if settings.min_p is not None:
        least = scaled.amax(dim=-1, keepdim=True) + torch.log(settings.min_p)
        scaled = scaled.masked_fill(scaled < least, -torch.inf)
    return scaled if settings.greedy is None else torch.where(settings.greedy, logits, scaled)


def draw(
    logits: Tensor,
    settings: SamplingTensors,
    seeds: Tensor,
    forbidden: Mapping[int, Collection[int]] | None = None,
) -> Tensor:
    """One token per row, shape [rows]; seeds are `streams.position_seeds` of the rows.

    Raises:
        EngineError: Everything is forbidden in some row.
    """
    scores, tokens = choices(logits, settings, seeds, forbidden)
    if forbidden and bool((scores == -torch.inf).any()):
        raise EngineError("no token may be drawn: `at least` forbids all that the policy knows")
    return tokens


def choices(
    logits: Tensor,
    settings: SamplingTensors,
    seeds: Tensor,
    forbidden: Mapping[int, Collection[int]] | None = None,
) -> tuple[Tensor, Tensor]:
    """Per row, the best score and its token; the score is -inf where everything is forbidden."""
    scores = adjust(logits, settings, forbidden)
    noise = gumbel(seeds, logits.shape[1])
    if settings.greedy is not None:
        noise = noise.masked_fill(settings.greedy, 0.0)
    best = (scores + noise).max(dim=-1)
    return best.values, best.indices


def token_statistics(log_probs: Tensor, names: Collection[str]) -> dict[str, list[float]]:
    """As `sampling.token_statistics`: per name, one number for each row of [rows, vocabulary]."""
    return {name: statistic(log_probs, name).tolist() for name in names}


def statistic(log_probs: Tensor, name: str) -> Tensor:
    """One named statistic of each row, shape [rows]."""
    return _STATISTICS[name](log_probs)


def _confidence(log_probs: Tensor) -> Tensor:
    width = min(CONFIDENCE_WIDTH, log_probs.shape[1])
    return -log_probs.topk(width, dim=-1).values.mean(dim=-1)


def _certainty(log_probs: Tensor) -> Tensor:
    return -(log_probs.mean(dim=-1) + log(log_probs.shape[1]))


def _entropy(log_probs: Tensor) -> Tensor:
    probabilities = log_probs.exp()
    return -torch.where(probabilities > 0, probabilities * log_probs, 0.0).sum(dim=-1)


def _margin(log_probs: Tensor) -> Tensor:
    if log_probs.shape[1] < 2:
        return torch.ones(log_probs.shape[0])
    best = log_probs.topk(2, dim=-1).values.exp()
    return best[:, 0] - best[:, 1]


_STATISTICS = {
    "confidence": _confidence,
    "certainty": _certainty,
    "entropy": _entropy,
    "margin": _margin,
}
