"""What a bare GPU machine can show: draws, the `transformers:` engine's answers and its speed.

    bash benchmarks/gpu.sh

On a Llama of random weights (1 B parameters on a GPU) with a vocabulary of 128,256 tokens:

1. The same requests one at a time and all at once, in float32 and bfloat16: the part of the texts
   that are equal. float32 runs are marked exact, so that there it has to be all.
2. Tokens per second of the engine against transformers' `generate`, paired, with the same slots.

`benchmarks/draws.py` measures drawing alone.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Literal, TypeAlias

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from tts_runtime.engines.base import GenerateRequest, Generation, Limits, Sampling
from tts_runtime.engines.options import PolicyOptions
from tts_runtime.engines.torch.policy import TransformersPolicy
from tts_runtime.paths import bundled
from tts_runtime.steps import NOTHING
from tts_runtime.streams import child_key, root_key

VOCABULARY = 128_256
Dtype: TypeAlias = Literal["float32", "bfloat16"]
DTYPES: tuple[Dtype, ...] = ("float32", "bfloat16")


def write_model(folder: Path, hidden: int, layers: int, device: str) -> None:
    """A Llama of random weights; the bundled policy's words, then words that no text has."""
    words = json.loads((bundled("policy") / "tokenizer.json").read_text())
    vocabulary = words["model"]["vocab"]
    for token in range(len(vocabulary), VOCABULARY):
        vocabulary[f"<w{token}>"] = token
    (folder / "tokenizer.json").write_text(json.dumps(words))
    for name in ("tokenizer_config.json", "binding.yaml"):
        (folder / name).write_text((bundled("policy") / name).read_text())
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=hidden,
        intermediate_size=4 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=hidden // 64,
        num_key_value_heads=max(1, hidden // 256),
        max_position_embeddings=1024,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
    )
    with torch.device(device):
        model = LlamaForCausalLM(config)
    model.save_pretrained(folder)


def requests(policy: TransformersPolicy, count: int, tokens: int) -> list[GenerateRequest]:
    """`count` samples of some prompts."""
    found = []
    for number in range(count):
        prompt = policy.tokenizer.encode(policy.binding.open(f"{number % 8} + 1", thinking=False))
        key = child_key(root_key(0, str(number)), b"", 0, 0, number, b"benchmark")
        sampling = Sampling(temperature=0.8, top_p=0.95) if number % 2 else Sampling()
        found.append(GenerateRequest(prompt, (), key, sampling, Limits(tokens), NOTHING))
    return found


def policy_of(folder: Path, slots: int, device: str, dtype: Dtype) -> TransformersPolicy:
    """The engine on a device."""
    return TransformersPolicy(str(folder), PolicyOptions(slots=slots, device=device, dtype=dtype))


async def answered(
    folder: Path, slots: int, device: str, dtype: Dtype, count: int, tokens: int
) -> list[Generation]:
    """The replies to the same requests."""
    policy = policy_of(folder, slots, device, dtype)
    replies = await asyncio.gather(*map(policy.generate, requests(policy, count, tokens)))
    await policy.close()
    return list(replies)


async def same_texts(folder: Path, device: str, count: int, tokens: int) -> None:
    """Alone against batched."""
    for dtype in DTYPES:
        alone = await answered(folder, 1, device, dtype, count, tokens)
        together = await answered(folder, count, device, dtype, count, tokens)
        same = sum(one.ids == other.ids for one, other in zip(alone, together, strict=True))
        print(f"{dtype}: {same} of {count} texts alone as in a batch of {count}", flush=True)


def generate_speed(model: LlamaForCausalLM, prompts: Sequence[Sequence[int]], tokens: int) -> float:
    """Tokens per second of `generate` in one batch."""
    ids = torch.tensor([list(prompt) for prompt in prompts], device=model.device)
    begin = time.perf_counter()
    written = model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        do_sample=True,
        top_k=0,
        max_new_tokens=tokens,
        min_new_tokens=tokens,
    )
    count: int = (written.shape[1] - ids.shape[1]) * len(prompts)
    return count / (time.perf_counter() - begin)


async def speed(folder: Path, device: str, slots: int, tokens: int, turns: int) -> None:
    """The engine against `generate`, in turn."""
    dtype: Dtype = "bfloat16" if device != "cpu" else "float32"
    model = LlamaForCausalLM.from_pretrained(folder, dtype=getattr(torch, dtype)).to(device).eval()
    policy = policy_of(folder, slots, device, dtype)
    asked = requests(policy, slots, tokens)
    await asyncio.gather(*map(policy.generate, asked))  # compiles kernels
    ratios, ours, theirs = [], [], []
    for _ in range(turns):
        begin = time.perf_counter()
        replies = await asyncio.gather(*map(policy.generate, asked))
        ours.append(sum(reply.drawn for reply in replies) / (time.perf_counter() - begin))
        theirs.append(generate_speed(model, [request.prompt for request in asked], tokens))
        ratios.append(ours[-1] / theirs[-1])
    await policy.close()
    print(
        f"{dtype}, {slots} slots: engine {median(ours):.0f} tokens/s, generate "
        f"{median(theirs):.0f}; ratio {median(ratios):.2f} "
        f"({min(ratios):.2f} to {max(ratios):.2f})",
        flush=True,
    )


def main() -> None:
    """Reads the options and measures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--hidden", type=int, default=2048)
    parser.add_argument("--layers", type=int, default=16)
    parser.add_argument("--slots", type=int, nargs="+", default=[1, 16, 64, 256])
    parser.add_argument("--tokens", type=int, default=64)
    options = parser.parse_args()
    name = torch.cuda.get_device_name() if options.device == "cuda" else options.device
    print(f"{name}, torch {torch.__version__}", flush=True)
    with TemporaryDirectory() as place:
        folder = Path(place)
        write_model(folder, options.hidden, options.layers, options.device)
        asyncio.run(same_texts(folder, options.device, 32, options.tokens))
        for slots in options.slots:
            asyncio.run(speed(folder, options.device, slots, options.tokens, 5))


if __name__ == "__main__":
    main()
