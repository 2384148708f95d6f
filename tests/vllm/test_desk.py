"""The desk against a scripted engine core: what goes wrong reaches who asked, and nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from types import SimpleNamespace
from typing import Any

import pytest

from tts_runtime.engines.base import EngineError, GenerateRequest, Limits, Sampling
from tts_runtime.engines.vllm.core_client import Call, Desk
from tts_runtime.engines.vllm.generate_call import Generating, Ground
from tts_runtime.engines.vllm.protocol import World
from tts_runtime.steps import NOTHING


class Counting(Call[int]):
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


def with_desk(
    main: Callable[[Desk[int], Scripted], Coroutine[Any, Any, None]],
) -> None:
    service = Scripted()
    asyncio.run(main(Desk(service, "policy `p`"), service))  # type: ignore[arg-type]


async def passes() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_a_call_goes_on_until_its_reply_is_known() -> None:
    """vLLM ends early: asked again. The reply comes early: vLLM is told to stop."""

    async def main(desk: Desk[int], service: Scripted) -> None:
        call = Counting()
        future = desk.ask(call)
        await passes()
        service.gives(service.core.names[0], 1, "stop")
        await passes()
        assert (call.requests, desk.unfinished) == (2, 1)
        service.gives("another", 9)
        service.gives(service.core.names[1], 2)
        assert await future == 3
        await passes()
        assert service.core.aborted == [service.core.names[1]]
        assert [other.request_id for other in service.others] == ["another"]
        assert desk.unfinished == 0

    with_desk(main)


def test_what_cannot_be_sent_fails_alone() -> None:
    async def main(desk: Desk[int], service: Scripted) -> None:
        futures = [desk.ask(Counting(odd=odd)) for odd in (False, True, False)]
        await passes()
        assert len(service.core.names) == 2
        for name in service.core.names:
            service.gives(name, 3, "stop")
        found = await asyncio.gather(*futures, return_exceptions=True)
        assert (found[0], found[2]) == (3, 3)
        assert isinstance(found[1], TypeError)
        assert desk.unfinished == 0

    with_desk(main)


def test_a_cancelled_call_is_aborted_once() -> None:
    async def main(desk: Desk[int], service: Scripted) -> None:
        early, late = Counting(), Counting()
        desk.ask(early).cancel()  # before anything is sent
        future = desk.ask(late)
        await passes()
        future.cancel()
        await passes()
        assert service.core.aborted == service.core.names
        assert (len(service.core.names), early.gone, late.gone) == (1, False, True)
        service.gives(service.core.names[0], 3)  # was on its way: nobody's any more
        assert desk.unfinished == 0

    with_desk(main)


def test_a_dead_engine_fails_every_call() -> None:
    async def main(desk: Desk[int], service: Scripted) -> None:
        from vllm.v1.engine.exceptions import EngineDeadError

        futures = [desk.ask(Counting()) for _ in range(2)]
        await passes()
        service.client.output_processor.propagate_error(EngineDeadError())
        found = await asyncio.gather(*futures, return_exceptions=True)
        assert all(isinstance(each, EngineError) and "vLLM broke" in str(each) for each in found)
        assert len(service.others) == 1

    with_desk(main)


def test_a_request_that_vllm_gives_up_is_an_error() -> None:
    world = World("nowhere", (), (0,), "\n\n", 4)
    ground = Ground(world, SimpleNamespace(pieces=[b""] * 4), frozenset(), True, None, lambda r: r)  # type: ignore[arg-type]
    request = GenerateRequest((1,), (), b"k" * 16, Sampling(), Limits(5), NOTHING)
    call = Generating(request, ground)
    assert call.following("one").prompt_token_ids == [1]
    output = SimpleNamespace(prefill_stats=None, finish_reason="abort", new_token_ids=[2])
    with pytest.raises(EngineError, match=r"vLLM ended a request by itself \(abort\)"):
        call.take(output)
