"""The engine for OpenAI-compatible servers against a real `vllm serve` on loopback."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from math import isnan

import pytest

from tests.support.vllm_engines import Server
from tts_runtime.engines.base import (
    Finish,
    GenerateRequest,
    Generation,
    Limits,
    PolicyEngine,
    Sampling,
)
from tts_runtime.engines.bundled.policy import BundledPolicy
from tts_runtime.engines.registry import policy_engine
from tts_runtime.paths import bundled
from tts_runtime.steps import NOTHING
from tts_runtime.streams import root_key
from tts_runtime.tokens import to_bytes

TEXTS = (
    "Start with 35; a: +4; b: *3 (mod 100)",
    "Start with 7; a: *7; b: -8; c: +30 (mod 100)",
    "Start with 90; a: +15 (mod 100)",
)


def test_the_fixture_serves(served_policy: Server) -> None:
    with urllib.request.urlopen(f"{served_policy.url}/models") as reply:
        assert [each["id"] for each in json.load(reply)["data"]] == [served_policy.model]


@pytest.mark.parametrize("logprobs", [True, False])
@pytest.mark.parametrize("limits", [Limits(60), Limits(60, steps=1)], ids=["whole", "a step"])
def test_greedy_texts_are_those_of_the_bundled_engine(
    served_policy: Server, limits: Limits, logprobs: bool
) -> None:
    """By ids, as the tokenizer is given; whether log-probabilities are wanted or not."""
    folder = bundled("policy")
    name = f"openai:{served_policy.url}#{served_policy.model}?tokenizer={folder}"
    served, own = policy_engine(name), BundledPolicy(folder)

    async def answers(engine: PolicyEngine) -> list[Generation]:
        requests = [
            GenerateRequest(
                own.tokenizer.encode(own.binding.open(text, thinking=False)),
                (),
                root_key(0, text),
                Sampling(temperature=0.0),
                limits,
                NOTHING,
                logprobs=logprobs,
            )
            for text in TEXTS
        ]
        try:
            return await asyncio.gather(*map(engine.generate, requests))
        finally:
            await engine.close()

    expected = asyncio.run(answers(own))
    found = asyncio.run(answers(served))
    assert not served.exact
    for one, other in zip(found, expected, strict=True):
        assert to_bytes(own.tokenizer, one.ids) == to_bytes(own.tokenizer, other.ids)
        assert one.finish is other.finish
        if logprobs:
            assert one.logprobs == pytest.approx(other.logprobs, abs=1e-3)
        else:
            assert all(map(isnan, one.logprobs))
        assert one.drawn == other.drawn
    assert {one.finish for one in found} <= {Finish.STOP, Finish.END, Finish.LENGTH}
