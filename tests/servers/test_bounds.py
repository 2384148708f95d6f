"""No server holds a run for ever, fills its memory, or loses it by being away for a moment."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Mapping

import pytest

from tests.servers.conftest import Subject, requests_for
from tests.servers.test_behaviours import RIGHT, chats_only, result_of, serving
from tests.support.fault_proxy import FaultProxy
from tests.support.scripted_server import Reply, chat
from tests.support.server import Fault, Server, first, sim_server
from tts_runtime.engines.base import CandidateError, EngineError, Limits
from tts_runtime.engines.base import Fault as Reason
from tts_runtime.engines.http.client import HttpOptions
from tts_runtime.engines.openai.options import ServerOptions
from tts_runtime.engines.openai.policy import OpenAIPolicy

EVENT = 'data: {"choices": [{"text": "a"}]}\n\n'


def behind(server: Server, faults: Mapping[int, str]) -> FaultProxy:
    """A proxy before a server."""
    return FaultProxy(int(server.root.rpartition(":")[2]), faults)


def texts(port: int, many: int = 3, **options: object) -> list[str]:
    """What a policy writes through a proxy."""

    async def main() -> list[str]:
        url = f"http://127.0.0.1:{port}/v1#sim"
        engine = OpenAIPolicy(url, ServerOptions.model_validate(options))
        try:
            asked = map(engine.generate, requests_for(engine, many, Limits(8)))
            found = await asyncio.gather(*asked)
            return [repr(each.ids) for each in found]
        finally:
            await engine.close()

    return asyncio.run(main())


def test_a_byte_now_and_then_ends_with_the_deadline() -> None:
    """The silence between two bytes is never long enough for `timeout`."""
    with (
        sim_server(vllm=True).running() as server,
        behind(server, {4: "drip"}).running() as proxy,
        pytest.raises(
            CandidateError, match=r"the deadline of 0\.5 seconds .* has passed"
        ) as caught,
    ):
        texts(proxy.port, deadline=0.5)
    assert caught.value.fault is Reason.UNUSABLE
    assert "drip" in proxy.met + proxy.early


def test_there_is_a_deadline_by_default() -> None:
    assert 0 < HttpOptions().deadline <= 3600
    engine = HttpOptions(deadline=0)
    assert engine.deadline == 0


def test_a_server_that_is_restarted_loses_nothing() -> None:
    with sim_server(vllm=True).running() as server:
        with behind(server, {}).running() as proxy:
            whole = texts(proxy.port)
        with behind(server, {5: "restart", 7: "restart"}).running() as proxy:
            assert texts(proxy.port, concurrency=1) == whole
    assert "restart" in proxy.met


def test_a_server_that_stays_away_is_waited_for_as_long_as_was_said(vllm: Subject) -> None:
    async def work(engine: OpenAIPolicy) -> None:
        vllm.server.stopped.set()
        vllm.server._served.shutdown()
        vllm.server._served.server_close()
        await engine.generate(requests_for(engine, 1, Limits(8))[0])

    with pytest.raises(EngineError, match=r"cannot be reached .*; given up after \d+ attempts"):
        vllm.run(work, patience=100)
    assert 100 <= sum(vllm.clock.slept) <= 100 + 2 * 30


@pytest.mark.parametrize("packed", [True, False])
def test_bodies_have_a_limit_once_they_are_unpacked(
    packed: bool, monkeypatch: pytest.MonkeyPatch, vllm: Subject
) -> None:
    vllm.answers(1, Limits(8))
    monkeypatch.setattr("tts_runtime.engines.http.client.MAX_REPLY_BYTES", 1 << 20)
    data = b" " * (2 << 20)
    body = gzip.compress(data) if packed else data
    headers = {"content-encoding": "gzip"} if packed else {}
    with (
        serving(chats_only(lambda _asked: Reply(body, headers=headers))) as server,
        pytest.raises(CandidateError, match="more than 1 MiB is not read"),
    ):
        result_of(server)


def test_lines_of_streams_have_a_limit(vllm: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tts_runtime.engines.http.connections.MAX_EVENT_BYTES", 1 << 10)
    limits = Limits(8, stop_when=lambda _partial: False)
    for body in ("data: " + "x" * 5000, f"{EVENT}data: {'y' * 5000}\n\n"):
        vllm.server.faults = first(Fault(200, {"content-type": "text/event-stream"}, body))
        with pytest.raises(CandidateError, match="longer than any reply"):
            vllm.answers(1, limits)


def test_an_endless_stream_has_a_limit(vllm: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    """Comments, which bring nothing, count as well."""
    monkeypatch.setattr("tts_runtime.engines.http.connections.MAX_STREAM_BYTES", 1 << 10)
    limits = Limits(8, stop_when=lambda _partial: False)
    body = ": ping\n\n" * 500
    vllm.server.faults = first(Fault(200, {"content-type": "text/event-stream"}, body))
    with pytest.raises(CandidateError, match="longer than any reply"):
        vllm.answers(1, limits)


def test_nonsense_at_every_attempt_is_its_candidates_fault(vllm: Subject) -> None:
    vllm.server.faults = lambda _number, _body: Fault(200, body='{"data": 5}')
    with pytest.raises(CandidateError, match="unknown form") as caught:
        vllm.answers(1, Limits(8), attempts=2)
    assert caught.value.fault is Reason.UNUSABLE


@pytest.mark.parametrize("count", [10**18, -1, "many", None, 2**80, 1e300, True, [3]])
def test_counts_that_cannot_be_are_not_believed(count: object) -> None:
    def answer(_asked: object) -> Reply:
        reply = chat(RIGHT)
        reply.body["usage"] = {"prompt_tokens": count, "completion_tokens": count}
        return reply

    with serving(chats_only(answer)) as server:
        result = result_of(server)
    assert result.summary.accuracy == 1.0
    assert 2 * 5 < result.summary.policy_tokens < 2 * 20
