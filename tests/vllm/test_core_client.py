"""The core client over both transports, against a scripted vLLM: an error reaches its request."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from vllm import SamplingParams
from vllm.exceptions import VLLMValidationError

from tts_runtime.engines.base import (
    CandidateError,
    EngineError,
    GenerateRequest,
    Limits,
    Sampling,
)
from tts_runtime.engines.vllm.core_client import (
    CoreClient,
    CoreRequest,
    PublicTransport,
    Transport,
    VllmOutput,
    VllmRequest,
)
from tts_runtime.engines.vllm.generate_call import EngineContext, GenerateCall
from tts_runtime.engines.vllm.internals import CoreTransport
from tts_runtime.engines.vllm.protocol import ProcessorConfig
from tts_runtime.steps import NOTHING

#: Prompts that vLLM refuses, or cannot send.
REFUSED, ODD = [0], [-1]


class Summing(CoreRequest[int]):
    """Adds up the tokens that it is given; over at 3, whatever vLLM says."""

    def __init__(self, ids: Sequence[int] = (1,)) -> None:
        self.ids = list(ids)
        self.sum, self.requests, self.gone = 0, 0, False

    @property
    def over(self) -> bool:
        return self.sum >= 3

    def following(self, name: str) -> VllmRequest:
        self.requests += 1
        return VllmRequest(name, self.ids, SamplingParams())

    def take(self, output: VllmOutput) -> None:
        self.sum += sum(output.ids)

    def reply(self) -> int:
        return self.sum

    def cancelled(self) -> None:
        self.gone = True


class ScriptedVllm(ABC):
    """A service whose thread is the test's, with an engine that says what the test says."""

    transport: Transport

    def __init__(self) -> None:
        self.closed = False
        self.names: list[str] = []
        self.aborted: list[str] = []

    @property
    def client(self) -> ScriptedVllm:
        """vLLM's engine."""
        return self

    def soon(self, work: Callable[[], None]) -> None:
        asyncio.get_running_loop().call_soon(work)

    def accept(self, name: str, ids: Sequence[int]) -> None:
        """Notes a request."""
        if ids == REFUSED:
            raise VLLMValidationError("no such token")
        if ids == ODD:
            raise TypeError("cannot be encoded")
        self.names.append(name)

    @abstractmethod
    def give(self, name: str, token: int, reason: str | None = None) -> None:
        """One step's output."""

    @abstractmethod
    def die(self, error: Exception) -> None:
        """The engine is dead."""


class ScriptedCore(ScriptedVllm):
    """vLLM's engine core, and its front end, which gets the outputs that are not ours."""

    def __init__(self) -> None:
        super().__init__()
        self.transport = CoreTransport()
        self.others: list[Any] = []
        self.engine_core = self
        self.output_processor = SimpleNamespace(
            process_outputs=lambda outputs, *_: self.others.extend(outputs),
            propagate_error=lambda error: self.others.append(error),
        )

    async def add_request_async(self, request: Any) -> None:
        self.accept(request.request_id, request.prompt_token_ids)

    async def abort_requests_async(self, names: list[str]) -> None:
        self.aborted += names

    def give(self, name: str, token: int, reason: str | None = None) -> None:
        output = SimpleNamespace(
            request_id=name,
            new_token_ids=[token],
            new_logprobs=None,
            finish_reason=reason,
            prefill_stats=None,
            kv_transfer_params=None,
        )
        self.output_processor.process_outputs([output], 0.0)

    def die(self, error: Exception) -> None:
        self.output_processor.propagate_error(error)


class ScriptedGenerate(ScriptedVllm):
    """vLLM's documented `AsyncLLM.generate`."""

    def __init__(self) -> None:
        super().__init__()
        self.transport = PublicTransport()
        self.queues: dict[str, asyncio.Queue[Any]] = {}

    async def generate(
        self, prompt: Any, parameters: Any, name: str, **_: Any
    ) -> AsyncIterator[Any]:
        assert parameters is not None
        self.accept(name, prompt["prompt_token_ids"])
        queue = self.queues[name] = asyncio.Queue()
        finish = None
        try:
            while finish is None:
                found = await queue.get()
                if isinstance(found, Exception):
                    raise found
                token, finish = found
                output = SimpleNamespace(token_ids=[token], logprobs=None, finish_reason=finish)
                yield SimpleNamespace(
                    outputs=[output], num_cached_tokens=None, kv_transfer_params=None
                )
        except (asyncio.CancelledError, GeneratorExit):
            self.aborted.append(name)
            raise

    def give(self, name: str, token: int, reason: str | None = None) -> None:
        if name in self.queues:
            self.queues[name].put_nowait((token, reason))

    def die(self, error: Exception) -> None:
        for queue in self.queues.values():
            queue.put_nowait(error)


@pytest.fixture(params=[ScriptedCore, ScriptedGenerate])
def vllm(request: pytest.FixtureRequest) -> ScriptedVllm:
    """Each transport in turn."""
    scripted: ScriptedVllm = request.param()
    return scripted


def with_client(
    vllm: ScriptedVllm, main: Callable[[CoreClient[int]], Coroutine[Any, Any, None]]
) -> None:
    async def all_of_it() -> None:
        await main(CoreClient(vllm, "policy `p`", vllm.transport))  # type: ignore[arg-type]

    asyncio.run(all_of_it())


async def passes() -> None:
    for _ in range(9):
        await asyncio.sleep(0)


def test_a_request_continues_until_its_reply_is_complete(vllm: ScriptedVllm) -> None:
    """vLLM ends early: another request. The reply is complete early: vLLM is told to stop."""

    async def main(client: CoreClient[int]) -> None:
        request = Summing()
        future = client.submit(request)
        await passes()
        vllm.give(vllm.names[0], 1, "stop")
        await passes()
        assert (request.requests, client.unfinished) == (2, 1)
        vllm.give("another", 9)
        vllm.give(vllm.names[1], 2)
        assert await future == 3
        await passes()
        assert vllm.aborted == [vllm.names[1]]
        assert client.unfinished == 0
        if isinstance(vllm, ScriptedCore):
            assert [other.request_id for other in vllm.others] == ["another"]

    with_client(vllm, main)


def test_what_cannot_be_sent_fails_alone(vllm: ScriptedVllm) -> None:
    async def main(client: CoreClient[int]) -> None:
        futures = [client.submit(Summing(ids)) for ids in ([1], ODD, REFUSED, [1])]
        await passes()
        assert len(vllm.names) == 2
        for name in vllm.names:
            vllm.give(name, 3, "stop")
        found = await asyncio.gather(*futures, return_exceptions=True)
        assert (found[0], found[3]) == (3, 3)
        assert [type(each) for each in found[1:3]] == [EngineError, CandidateError]
        assert "cannot be encoded" in str(found[1])
        assert "vLLM refuses the request: no such token" in str(found[2])
        assert client.unfinished == 0

    with_client(vllm, main)


def test_a_cancelled_request_is_aborted_once(vllm: ScriptedVllm) -> None:
    async def main(client: CoreClient[int]) -> None:
        early, late = Summing(), Summing()
        client.submit(early).cancel()  # before anything is sent
        future = client.submit(late)
        await passes()
        future.cancel()
        await passes()
        assert vllm.aborted == vllm.names
        assert (len(vllm.names), early.gone, late.gone) == (1, False, True)
        vllm.give(vllm.names[0], 3)  # was on its way: nobody's any more
        await passes()
        assert client.unfinished == 0

    with_client(vllm, main)


def test_what_an_aborted_request_had_drawn_is_told() -> None:
    """vLLM's core tells it late; an output that was just on its way is not it."""
    vllm, told = ScriptedCore(), list[int]()

    async def main() -> None:
        client = CoreClient[int](vllm, "p", vllm.transport, told.append)  # type: ignore[arg-type]
        future = client.submit(Summing())
        await passes()
        future.cancel()
        await passes()
        vllm.give(vllm.names[0], 3)
        vllm.give(vllm.names[0], 3, "abort")
        assert told == [1]

    asyncio.run(main())


def test_a_dead_engine_fails_every_request(vllm: ScriptedVllm) -> None:
    async def main(client: CoreClient[int]) -> None:
        futures = [client.submit(Summing()) for _ in range(2)]
        await passes()
        vllm.die(RuntimeError("out of memory"))
        found = await asyncio.gather(*futures, return_exceptions=True)
        assert all(isinstance(each, EngineError) for each in found)
        assert all("vLLM broke: out of memory" in str(each) for each in found)
        if isinstance(vllm, ScriptedCore):
            assert len(vllm.others) == 1  # vLLM's own requests learn of it

    with_client(vllm, main)


def test_a_core_transport_that_is_closed_leaves_vllm_as_it_was() -> None:
    vllm = ScriptedCore()
    front = vllm.output_processor
    before = front.process_outputs, front.propagate_error
    vllm.transport.open(vllm, "ours-", lambda _: None, lambda _, __: None)
    assert front.process_outputs is not before[0]
    vllm.transport.close()
    assert (front.process_outputs, front.propagate_error) == before


def test_a_request_that_vllm_gives_up_is_an_error() -> None:
    config = ProcessorConfig("nowhere", (), (0,), "\n\n", 4)
    tokenizer: Any = SimpleNamespace(pieces=[b""] * 4)
    context = EngineContext(config, tokenizer, frozenset(), True, None, lambda r: r)
    request = GenerateRequest((1,), (), b"k" * 16, Sampling(), Limits(5), NOTHING)
    call = GenerateCall(request, context)
    assert call.following("one").ids == [1]
    with pytest.raises(EngineError, match=r"vLLM ended a request by itself \(abort\)"):
        call.take(VllmOutput("one", [2], finish="abort"))
