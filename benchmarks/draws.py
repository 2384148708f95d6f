"""What drawing from streams costs beside plain sampling, for vocabularies of large models.

    python benchmarks/draws.py [--device cuda] [--rows 1 32 256] [--vocabulary 32000 128256 151936]

Three ways, in turn, on the same random logits: `draws` (what the engines call), the reference for
many rows (`sampling.choices` and its log-probabilities), and plain sampling as engines do it (for
top-k and top-p by a sort; then softmax, exponential noise, argmax, log-softmax). Medians of
processor time on a CPU (on one thread), of wall time on a GPU; the spread is that of the paired
ratios.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from statistics import median, quantiles

import torch
from torch import Tensor

from tts_runtime.engines.base import Sampling
from tts_runtime.engines.batching.draws import draws
from tts_runtime.engines.batching.noise import position_seeds
from tts_runtime.engines.batching.sampling import SamplingColumns, choices, log_probabilities
from tts_runtime.streams import derive

SETTINGS = {
    "no filter": Sampling(),
    "top-k 20, top-p 0.8": Sampling(temperature=0.7, top_k=20, top_p=0.8),
    "top-p 0.95": Sampling(temperature=0.6, top_p=0.95),
}


def plain(logits: Tensor, sampling: Sampling) -> tuple[Tensor, Tensor]:
    """Tokens and log-probabilities as engines sample them, in 32 bits."""
    scaled = logits.float() / sampling.temperature
    if sampling.top_k or sampling.top_p < 1:
        ordered, places = scaled.sort(dim=-1)
        if sampling.top_k:
            least = ordered[:, -sampling.top_k :][:, :1]
            ordered = ordered.masked_fill(ordered < least, -torch.inf)
        mass = ordered.softmax(dim=-1).cumsum(dim=-1)
        ordered = ordered.masked_fill(mass <= 1 - sampling.top_p, -torch.inf)
        scaled = torch.empty_like(ordered).scatter_(1, places, ordered)
    noise = torch.empty_like(scaled).exponential_()
    tokens = (scaled.softmax(dim=-1) / noise).argmax(dim=-1)
    return tokens, logits.float().log_softmax(dim=-1).gather(1, tokens[:, None])


def seconds(work: Callable[[], object], device: str) -> float:
    """Processor time on a CPU, wall time on a GPU."""
    if device == "cpu":
        begin = time.process_time()
        work()
        return time.process_time() - begin
    torch.cuda.synchronize()
    begin = time.perf_counter()
    work()
    torch.cuda.synchronize()
    return time.perf_counter() - begin


def main() -> None:
    """Reads the options and measures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rows", type=int, nargs="+", default=[1, 32, 256])
    parser.add_argument("--vocabulary", type=int, nargs="+", default=[32_000, 128_256, 151_936])
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"torch {torch.__version__}, {options.device}; milliseconds, ratios with quartiles")
    for vocabulary in options.vocabulary:
        for rows in options.rows:
            generator = torch.Generator(options.device).manual_seed(0)
            logits = 3 * torch.randn((rows, vocabulary), generator=generator, device=options.device)
            seeds = torch.from_numpy(position_seeds([(derive(b"key", n), 7) for n in range(rows)]))
            seeds = seeds.to(options.device)
            for name, sampling in SETTINGS.items():
                report(logits, seeds, name, sampling, options.repeats)


def report(logits: Tensor, seeds: Tensor, name: str, sampling: Sampling, repeats: int) -> None:
    """One line of the table."""
    rows, vocabulary = logits.shape
    device = logits.device.type
    columns = SamplingColumns.of([sampling] * rows, logits)

    def reference() -> Tensor:
        exact = logits.double()
        tokens: Tensor = choices(exact, columns, seeds)[1]
        log_probabilities(exact).gather(1, tokens[:, None])
        return tokens

    same = bool((draws(logits, columns, seeds).tokens == reference()).all())
    plain(logits, sampling)
    ours, theirs, slow = [], [], []
    for repeat in range(repeats):
        ours.append(seconds(lambda: draws(logits, columns, seeds), device))
        theirs.append(seconds(lambda: plain(logits, sampling), device))
        if repeat < 2:
            slow.append(seconds(reference, device))
    ratios = [one / other for one, other in zip(ours, theirs, strict=True)]
    low, middle, high = quantiles(ratios, n=4)
    print(
        f"{vocabulary:7} x {rows:4}, {name:20} draws {1e3 * median(ours):8.2f}, plain "
        f"{1e3 * median(theirs):8.2f}, reference {1e3 * median(slow):8.2f}; "
        f"draws / plain {middle:.2f} ({low:.2f} to {high:.2f})"
        + ("" if same else "; OTHER TOKENS THAN THE REFERENCE"),
        flush=True,
    )


if __name__ == "__main__":
    main()
