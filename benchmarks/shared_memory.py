"""Memory of a policy and a reward model on one device: what a strategy takes with which division.

    python benchmarks/shared_memory.py --split 4.7 13.3 --split 9.1 8.9    # in .venv-vllm

Each division is the MiB that each model's cache of keys and values has, through vLLM on a CPU: of
the bundled policy, 4 KiB a token, and of a tiny random reward model of family er-prm that is made
as deep as needed for 8 KiB a token, so that tokens cost twice as much as the policy's, as those of
7 billion parameters do beside 1.5 billion. 4.7 and 13.3 MiB are a window of each and as many tokens
for both; 9.1 and 8.9 what a plan gets that scores each path once (`sharing.tokens_kept`).
"""

from __future__ import annotations

import argparse
import asyncio
import os
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import tts_lang
from benchmarks.paired import processor_time
from tts_runtime import Session
from tts_runtime.paths import bundled
from tts_runtime.problems import problems_named


async def measured(prm: Path, mib: tuple[float, float], chosen: argparse.Namespace) -> str:
    """What some rounds took, each under a seed of its own."""
    sizes = [each / 1024 for each in mib]
    policy = f"vllm:{bundled('policy')}?kv_cache={sizes[0]}&context=512&partial_blocks=0.05"
    scorer = f"er-prm:{prm}?engine=vllm&kv_cache={sizes[1]}&context=1024&partial_blocks=0"
    plan = tts_lang.compile(chosen.strategy, n=chosen.n)
    problems = problems_named("arith")[: chosen.limit]
    times, read = [], []
    async with Session({"policy": policy}, {"prm": scorer}) as session:
        await session.run(plan, problems[:1])  # opens them
        for seed in range(chosen.rounds):
            before = processor_time()
            [result] = await session.run(plan, problems, seeds=[seed])
            times.append(processor_time() - before)
            read.append(result.summary.engines.scorer_tokens)
    return (
        f"{mib[0]} and {mib[1]} MiB: {median(times):.2f} s of processor time ({min(times):.2f} to "
        f"{max(times):.2f}), {median(read):,.0f} tokens read by the reward model"
    )


def main() -> None:
    """Prints a line for each division."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--strategy", default="best_of_n")
    parser.add_argument("-n", type=int, default=16)
    parser.add_argument("--limit", type=int, default=10, help="problems of `arith`")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--split", type=float, nargs=2, action="append", required=True)
    chosen = parser.parse_args()
    os.environ["VLLM_LOGGING_LEVEL"] = "ERROR"
    from tests.support.tiny_prms import make_er_prm

    one = {"num_attention_heads": 1, "num_key_value_heads": 1, "num_hidden_layers": 32}
    with TemporaryDirectory() as place:
        folder = make_er_prm(Path(place), **one)
        for policy, prm in chosen.split:
            print(asyncio.run(measured(folder, (policy, prm), chosen)), flush=True)


if __name__ == "__main__":
    main()
