"""Tokens per second of the bundled engine and of transformers' `generate`, on the same requests.

    python benchmarks/engine_throughput.py [MODEL_FOLDER] [--requests N] [--rounds N]

Both sample at temperature 1 until the policy ends or a limit is reached: the engine from the
candidates' streams, with 64 slots that are refilled, `generate` in batches of 64. Rounds alternate,
so that other work on the machine hits both alike; printed are the median and the range of the
rounds' ratios. The engine has one thread, `generate` one and all: on a busy machine one is faster.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from pathlib import Path

import torch
from transformers import LlamaForCausalLM

from benchmarks.paired import spread
from tts_runtime.engines.base import GenerateRequest, Limits, Sampling
from tts_runtime.engines.bundled.policy import BundledPolicy
from tts_runtime.paths import bundled
from tts_runtime.steps import NOTHING
from tts_runtime.streams import child_key, root_key

SLOTS = 64
PROBLEM = "Start with 17; a: *3; b: +45; c: -8; d: *7; e: +12 (mod 100)"


def requests(policy: BundledPolicy, count: int, max_tokens: int) -> list[GenerateRequest]:
    """`count` samples, 16 of each of several prompts of one length (no padding for `generate`)."""
    found = []
    for number in range(count):
        problem, sample = divmod(number, 16)
        text = PROBLEM.replace("17", str(10 + problem % 90))
        prompt = policy.tokenizer.encode(policy.binding.open(text, thinking=False))
        key = child_key(root_key(0, str(problem)), b"", 0, 0, sample, b"benchmark")
        found.append(GenerateRequest(prompt, (), key, Sampling(), Limits(max_tokens), NOTHING))
    return found


async def engine_round(policy: BundledPolicy, asked: list[GenerateRequest]) -> tuple[int, float]:
    """Tokens and seconds of the engine."""
    begin = time.perf_counter()
    replies = await asyncio.gather(*map(policy.generate, asked))
    return sum(reply.drawn for reply in replies), time.perf_counter() - begin


def generate_round(model: LlamaForCausalLM, asked: list[GenerateRequest]) -> tuple[int, float]:
    """Tokens and seconds of `generate`; tokens after a row's end do not count."""
    tokens = 0
    end = model.generation_config.eos_token_id
    begin = time.perf_counter()
    for first in range(0, len(asked), SLOTS):
        batch = asked[first : first + SLOTS]
        prompts = torch.tensor([request.prompt for request in batch])
        written = model.generate(
            prompts,
            attention_mask=torch.ones_like(prompts),
            do_sample=True,
            top_k=0,
            max_new_tokens=batch[0].limits.max_tokens,
        )[:, prompts.shape[1] :]
        ended = (written == end).int().cumsum(dim=1)
        tokens += int(((ended == 0) | ((ended == 1) & (written == end))).sum())
    return tokens, time.perf_counter() - begin


async def main() -> None:
    """Reads the options and measures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=None)
    parser.add_argument("--requests", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--max-tokens", type=int, default=200)
    parser.add_argument(
        "--generate-threads", type=int, nargs="+", default=sorted({1, torch.get_num_threads()})
    )
    options = parser.parse_args()
    folder = options.folder or bundled("policy")
    model = LlamaForCausalLM.from_pretrained(folder).eval()
    ratios: dict[int, list[float]] = {threads: [] for threads in options.generate_threads}
    for number in range(options.rounds):
        policy = BundledPolicy(folder, slots=SLOTS)
        asked = requests(policy, options.requests, options.max_tokens)
        tokens, seconds = await engine_round(policy, asked)
        await policy.close()
        print(f"round {number}: engine {tokens} tokens, {tokens / seconds:.0f}/s", flush=True)
        for threads in options.generate_threads:
            torch.set_num_threads(threads)
            others, other_seconds = generate_round(model, asked)
            ratios[threads].append((tokens / seconds) / (others / other_seconds))
            print(
                f"round {number}: generate, {threads} threads, {others} tokens, "
                f"{others / other_seconds:.0f}/s",
                flush=True,
            )
    for threads, found in ratios.items():
        print(f"engine / generate on {threads} threads, tokens per second: {spread(found)}")


if __name__ == "__main__":
    asyncio.run(main())
