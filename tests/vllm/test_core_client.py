"""The core client against a scripted engine core: an error reaches its request only."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from types import SimpleNamespace
from typing import Any

import pytest

from tts_runtime.engines.base import EngineError, GenerateRequest, Limits, Sampling
from tts_runtime.engines.vllm.core_client import CoreClient, CoreRequest
from tts_runtime.engines.vllm.generate_call import EngineContext, GenerateCall
from tts_runtime.engines.vllm.protocol import ProcessorConfig
from tts_runtime.steps import NOTHING


class Counting(CoreRequest[int]):
    """Adds up what it is given; over at 3, whatever vLLM says."""

    def __init__(self, *, odd: bool = False) -> None:
        self.odd, self.sum, self.requests, self.gone = odd, 0, 0, False

    @property
    def over(self) -> bool:
        return self.sum >= 3

    def following(self, name: str) -> Any:
        self.requests += 1
        return SimpleNamespace(request_id=name, odd=self.odd)

    def take(self, output: Any) -> None:
        self.sum += output.value

    def reply(self) -> int:
        return self.sum

    def cancelled(self) -> None:
        self.gone = True


class Core:
    """Notes what it is sent; cannot send what is odd."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.aborted: list[str] = []

    async def add_request_async(self, request: Any) -> None:
        if request.odd:
            raise TypeError("cannot be encoded")
        self.names.append(request.request_id)

    async def abort_requests_async(self, names: list[str]) -> None:
        self.aborted += names


class Scripted:
    """A service whose thread is the test's, and vLLM's front end, which gets the rest."""

    def __init__(self) -> None:
        self.closed = False
        self.others: list[Any] = []
        front = SimpleNamespace(
            process_outputs=lambda outputs: self.others.extend(outputs),
            propagate_error=lambda error: self.others.append(error),
        )
        self.core = Core()
        self.client = SimpleNamespace(output_processor=front, engine_core=self.core)

    def soon(self, work: Callable[[], None]) -> None:
        asyncio.get_running_loop().call_soon(work)

    def gives(self, name: str, value: int, reason: str | None = None) -> None:
        output = SimpleNamespace(request_id=name, value=value, finish_reason=reason)
        self.client.output_processor.process_outputs([output])


def with_client(
    main: Callable[[CoreClient[int], Scripted], Coroutine[Any, Any, None]],
) -> None:
    service = Scripted()
    asyncio.run(main(CoreClient(service, "policy `p`"), service))  # type: ignore[arg-type]


async def passes() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_a_call_goes_on_until_its_reply_is_known() -> None:
    """vLLM ends early: asked again. The reply comes early: vLLM is told to stop."""

    async def main(core_client: CoreClient[int], service: Scripted) -> None:
        call = Counting()
        future = core_client.ask(call)
        await passes()
        service.gives(service.core.names[0], 1, "stop")
        await passes()
        assert (call.requests, core_client.unfinished) == (2, 1)
        service.gives("another", 9)
        service.gives(service.core.names[1], 2)
        assert await future == 3
        await passes()
        assert service.core.aborted == [service.core.names[1]]
        assert [other.request_id for other in service.others] == ["another"]
        assert core_client.unfinished == 0

    with_client(main)


def test_what_cannot_be_sent_fails_alone() -> None:
    async def main(core_client: CoreClient[int], service: Scripted) -> None:
        futures = [core_client.ask(Counting(odd=odd)) for odd in (False, True, False)]
        await passes()
        assert len(service.core.names) == 2
        for name in service.core.names:
            service.gives(name, 3, "stop")
        found = await asyncio.gather(*futures, return_exceptions=True)
        assert (found[0], found[2]) == (3, 3)
        assert isinstance(found[1], TypeError)
        assert core_client.unfinished == 0

    with_client(main)


def test_a_cancelled_call_is_aborted_once() -> None:
    async def main(core_client: CoreClient[int], service: Scripted) -> None:
        early, late = Counting(), Counting()
        core_client.ask(early).cancel()  # before anything is sent
        future = core_client.ask(late)
        await passes()
        future.cancel()
        await passes()
        assert service.core.aborted == service.core.names
        assert (len(service.core.names), early.gone, late.gone) == (1, False, True)
        service.gives(service.core.names[0], 3)  # was on its way: nobody's any more
        assert core_client.unfinished == 0

    with_client(main)


def test_a_dead_engine_fails_every_call() -> None:
    async def main(core_client: CoreClient[int], service: Scripted) -> None:
        from vllm.v1.engine.exceptions import EngineDeadError

        futures = [core_client.ask(Counting()) for _ in range(2)]
        await passes()
        service.client.output_processor.propagate_error(EngineDeadError())
        found = await asyncio.gather(*futures, return_exceptions=True)
        assert all(isinstance(each, EngineError) and "vLLM broke" in str(each) for each in found)
        assert len(service.others) == 1

    with_client(main)


def test_a_request_that_vllm_gives_up_is_an_error() -> None:
    config = ProcessorConfig("nowhere", (), (0,), "\n\n", 4)
    tokenizer: Any = SimpleNamespace(pieces=[b""] * 4)
    context = EngineContext(config, tokenizer, frozenset(), True, None, lambda r: r)
    request = GenerateRequest((1,), (), b"k" * 16, Sampling(), Limits(5), NOTHING)
    call = GenerateCall(request, context)
    assert call.following("one").prompt_token_ids == [1]
    output = SimpleNamespace(prefill_stats=None, finish_reason="abort", new_token_ids=[2])
    with pytest.raises(EngineError, match=r"vLLM ended a request by itself \(abort\)"):
        call.take(output)
