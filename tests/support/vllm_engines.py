"""Engines of vLLM that tests share: each takes seconds to start."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tts_runtime.engines.base import GenerateRequest, Limits, PolicyEngine, Sampling
from tts_runtime.engines.vllm.options import VllmPolicyOptions
from tts_runtime.engines.vllm.policy import VllmPolicy
from tts_runtime.steps import NOTHING
from tts_runtime.streams import root_key


@dataclass(frozen=True)
class Server:
    """A real `vllm serve` on loopback: base URL (with `/v1`) and the model's name there."""

    url: str
    model: str


def opening(
    engine: PolicyEngine, number: int, limits: Limits, text: str = "What is 1 + 2?"
) -> GenerateRequest:
    """A request from the beginning, with a stream of its own; the number is part of the prompt."""
    prompt = engine.tokenizer.encode(engine.binding.open(f"{number} {text}", thinking=False))
    return GenerateRequest(prompt, (), root_key(7, str(number)), Sampling(), limits, NOTHING)


class Engines:
    """Engines by what they were asked for, kept until the end: each takes seconds to start."""

    def __init__(self, internals: Literal["auto", "off"] = "auto") -> None:
        self._internals = internals
        self._made: dict[tuple[str, int, str], VllmPolicy] = {}

    def policy(
        self, folder: Path, slots: int = 64, dtype: Literal["float32", "bfloat16"] = "float32"
    ) -> VllmPolicy:
        """An engine with little memory."""
        key = (str(folder), slots, dtype)
        if key not in self._made:
            options = VllmPolicyOptions(
                slots=slots, dtype=dtype, kv_cache=0.25, internals=self._internals
            )
            self._made[key] = VllmPolicy(str(folder), options)
        return self._made[key]

    def close(self) -> None:
        """Ends all."""

        async def all_of_them() -> None:
            for engine in self._made.values():
                await engine.close()

        asyncio.run(all_of_them())
