"""The cache of partial blocks: less is read, the same is drawn."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.vllm_engines import Engines, opening
from tts_runtime.engines.base import (
    GenerateRequest,
    Generation,
    Limits,
    PolicyEngine,
)
from tts_runtime.engines.bundled.policy import BundledPolicy
from tts_runtime.engines.vllm.options import VllmPolicyOptions
from tts_runtime.engines.vllm.policy import VllmPolicy
from tts_runtime.streams import derive, root_key

LONG = "What is 1 + 2? " * 6


def children(request: GenerateRequest, done: Generation, kept: int) -> list[GenerateRequest]:
    """Two that continue after the first `kept` tokens: the parent's own stream, and another one."""
    again = replace(request, prefix=done.ids[:kept], limits=Limits(20, at_least=20))
    return [again, replace(again, key=derive(request.key, "child", kept))]


async def asked(engine: PolicyEngine, requests: Iterable[GenerateRequest]) -> list[Generation]:
    return list(await asyncio.gather(*map(engine.generate, requests)))


def test_where_a_request_ended_nothing_is_read_again(engines: Engines, policy_folder: Path) -> None:
    """Only the last token is, which was drawn and never read."""
    engine = engines.policy(policy_folder)

    async def main() -> None:
        for length in (31, 32, 33, 70):
            first = opening(engine, length, Limits(length, at_least=length))
            (done,) = await asked(engine, [first])
            assert len(done.ids) == length
            both = await asked(engine, children(first, done, length))
            assert [reply.prefilled for reply in both] == [1, 1]
        # A prompt's last block is cached too, from the next step of the engine on.
        await asked(engine, [replace(first, key=root_key(8, "another"), limits=Limits(2))])
        (same,) = await asked(engine, [replace(first, key=root_key(8, "a third"))])
        assert same.prefilled == 1
        await engine.forget()
        (same,) = await asked(engine, [first])
        assert same.prefilled == len(first.prompt)

    asyncio.run(main())


def test_nothing_is_drawn_otherwise(policy_folder: Path) -> None:
    """Without the cache, with room for few, and preempted for want of blocks."""

    async def tree(engine: PolicyEngine) -> tuple[list[Generation], int]:
        roots = [opening(engine, number, Limits(90, at_least=90), LONG) for number in range(24)]
        answers = grown = await asked(engine, roots)
        read = sum(reply.prefilled for reply in grown)
        for kept in (13, 31, 50, 90):
            pairs = zip(roots, grown, strict=True)
            more = await asked(engine, [new for pair in pairs for new in children(*pair, kept)])
            answers, read = answers + more, read + sum(reply.prefilled for reply in more)
        return answers, read

    async def closed(engine: PolicyEngine) -> tuple[list[Generation], int]:
        try:
            return await tree(engine)
        finally:
            await engine.close()

    expected, _ = asyncio.run(closed(BundledPolicy(policy_folder)))
    read = {}
    for name, options in {
        "none": VllmPolicyOptions(slots=64, kv_cache=0.25, partial_blocks=0),
        "few": VllmPolicyOptions(slots=64, kv_cache=0.25, partial_blocks=0.004),
        # 24 paths of 200 tokens need 24 MiB: some wait, some give their blocks back on the way.
        "many, few blocks": VllmPolicyOptions(slots=64, kv_cache=0.016, partial_blocks=0.125),
    }.items():
        found, read[name] = asyncio.run(closed(VllmPolicy(str(policy_folder), options)))
        for one, other in zip(found, expected, strict=True):
            assert (one.ids, one.finish) == (other.ids, other.finish), name
            # Two implementations in 32-bit floats (NumPy, vLLM): larger numbers agree less closely.
            assert one.logprobs == pytest.approx(other.logprobs, rel=1e-4, abs=1e-4), name
    assert read["few"] < read["none"]
