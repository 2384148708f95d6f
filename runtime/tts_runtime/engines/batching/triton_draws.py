"""`draws` on a GPU for rows without filters: noise, choice and log-probability in one kernel.

Each program reads one part of one row once, in registers: it makes the noise of its tokens from
seed and id (`streams.random_bits`), keeps the best score with its token and logit, and the largest
logit with the sum of exponentials. What the parts of a row found is joined afterwards, on arrays of
[rows, parts]. Scores and sums are in 64 bits, as in the reference.
"""

# mypy: ignore-errors
# Triton compiles the source of these functions; it has no types for them.

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

#: Tokens that a program reads at once, and how many times it does.
BLOCK = 1024
STEPS = 4


@triton.jit
def _kernel(
    logits,
    row_stride,
    temperatures,
    temperature_stride,
    seeds,
    vocabulary,
    parts,
    best_scores,
    best_tokens,
    best_logits,
    maxima,
    sums,
    BLOCK: tl.constexpr,
    STEPS: tl.constexpr,
):
    row = tl.program_id(0)
    part = tl.program_id(1)
    temperature = tl.load(temperatures + row * temperature_stride)
    seed = tl.load(seeds + row)
    best = tl.full((), float("-inf"), tl.float64)
    token = tl.full((), 0, tl.int64)
    most = tl.full((), float("-inf"), tl.float64)
    total = tl.full((), 0.0, tl.float64)
    for step in range(STEPS):
        ids = (part * STEPS + step) * BLOCK + tl.arange(0, BLOCK).to(tl.int64)
        inside = ids < vocabulary
        values = tl.load(logits + row * row_stride + ids, mask=inside, other=float("-inf")).to(
            tl.float64
        )
        bits = seed + (ids + 1) * -7046029254386353131
        bits = (bits ^ ((bits >> 30) & 0x3FFFFFFFF)) * -4658895280553007687
        bits = (bits ^ ((bits >> 27) & 0x1FFFFFFFFF)) * -7723592293110705685
        bits = bits ^ ((bits >> 31) & 0x1FFFFFFFF)
        bits = (bits >> 11) & 0x1FFFFFFFFFFFFF
        uniform = (bits.to(tl.float64) + 0.5) * 1.1102230246251565e-16
        scores = values / temperature - tl.log(-tl.log(uniform))
        scores = tl.where(inside, scores, float("-inf"))
        highest = tl.max(scores, axis=0)
        # The lowest id among equals, here and below.
        first = tl.min(tl.where(scores == highest, ids, vocabulary), axis=0)
        better = highest > best
        token = tl.where(better, first, token)
        best = tl.where(better, highest, best)
        peak = tl.maximum(most, tl.max(values, axis=0))
        known = peak > float("-inf")
        before = tl.where(known, total * tl.exp(tl.where(known, most - peak, 0.0)), 0.0)
        here = tl.sum(tl.exp(tl.where(known, values - peak, float("-inf"))), axis=0)
        total = before + tl.where(known, here, 0.0)
        most = peak
    place = row * parts + part
    tl.store(best_scores + place, best)
    tl.store(best_tokens + place, token)
    tl.store(best_logits + place, tl.load(logits + row * row_stride + token).to(tl.float64))
    tl.store(maxima + place, most)
    tl.store(sums + place, total)


def drawn(logits: Tensor, temperature: Tensor, seeds: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Tokens, scores and log-probabilities of rows, each of shape [rows].

    Args:
        logits: [rows, vocabulary], of any float type; consecutive within a row.
        temperature: Above 0, float64 [rows, 1], or [1, 1] for all.
        seeds: int64 [rows].
    """
    if logits.stride(1) != 1:
        logits = logits.contiguous()
    rows, vocabulary = logits.shape
    parts = triton.cdiv(vocabulary, BLOCK * STEPS)

    def empty(dtype: torch.dtype) -> Tensor:
        return torch.empty((rows, parts), dtype=dtype, device=logits.device)

    scores, tokens, chosen = empty(torch.float64), empty(torch.int64), empty(torch.float64)
    maxima, sums = empty(torch.float64), empty(torch.float64)
    _kernel[(rows, parts)](
        logits,
        logits.stride(0),
        temperature,
        0 if temperature.shape[0] == 1 else temperature.stride(0),
        seeds,
        vocabulary,
        parts,
        scores,
        tokens,
        chosen,
        maxima,
        sums,
        BLOCK=BLOCK,
        STEPS=STEPS,
    )
    best = scores.amax(dim=1)
    winners = torch.where(scores == best[:, None], tokens, vocabulary)
    part = winners.argmin(dim=1, keepdim=True)
    most = maxima.amax(dim=1)
    normalisers = most + torch.log((sums * torch.exp(maxima - most[:, None])).sum(dim=1))
    token = tokens.gather(1, part)[:, 0]
    return token, best, chosen.gather(1, part)[:, 0] - normalisers
