"""Several servers of one model: load is spread, conversations keep to one, failures move them."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack

import pytest

import tts_runtime
from tests.support.server import Fault, Server, sim_server
from tts_runtime.engines.base import EngineError
from tts_runtime.engines.openai.replicas import addresses
from tts_runtime.problems import Problem
from tts_runtime.runs.results import Result

PROBLEMS = [Problem(str(number), f"What is {number}?", "2") for number in range(6)]


def ran(servers: list[Server], options: str = "") -> Result:
    urls = ",".join(f"{server.root}/v1" for server in servers)
    settings = tts_runtime.Settings(
        policies={"policy": f"openai:{urls}#sim{options}"}, scorers={"prm": "sim"}
    )
    parameters = {"n": 4, "depth": 3}
    [result] = tts_runtime.run("beam_search", PROBLEMS, settings=settings, parameters=parameters)
    assert [answer.error for answer in result.answers] == [None] * len(PROBLEMS)
    return result


def started(stack: ExitStack, count: int) -> list[Server]:
    return [stack.enter_context(sim_server(vllm=True).running()) for _ in range(count)]


def test_load_is_spread_and_problems_keep_to_their_server() -> None:
    with ExitStack() as stack:
        servers = started(stack, 3)
        alone = ran(servers[:1])
        servers[0].requests.clear()
        together = ran(servers)
        assert [each.answer for each in together.answers] == [each.answer for each in alone.answers]
        asked = [len(server.bodies()) for server in servers]
        assert min(asked) > sum(asked) / 6
        opened = [{tuple(body["prompt"][:10]) for body in server.bodies()} for server in servers]
        assert sum(map(len, opened)) == len(set.union(*opened)) == len(PROBLEMS)


def test_a_server_that_fails_loses_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with ExitStack() as stack:
        servers = started(stack, 2)
        alone = ran(servers[1:])
        servers[0].faults = lambda number, _: Fault(status=500) if number > 5 else None
        together = ran(servers, "?attempts=1")
        assert [each.answer for each in together.answers] == [each.answer for each in alone.answers]
        assert "its requests go to the other servers" in caplog.text


def test_a_server_that_is_away_at_the_beginning_is_left_out(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with ExitStack() as stack:
        [gone] = started(stack, 1)
    with ExitStack() as stack:
        servers = started(stack, 1)
        ran([gone, *servers])
        assert "left out" in caplog.text
    with pytest.raises(EngineError, match="cannot be reached"):
        ran([gone, *servers])


def test_servers_of_different_models_are_refused() -> None:
    with ExitStack() as stack:
        one = stack.enter_context(sim_server(vllm=True).running())
        other = stack.enter_context(sim_server(vllm=True, window=128).running())
        with pytest.raises(EngineError, match="must serve the same model"):
            ran([one, other])


def test_all_servers_away_end_the_run_with_their_reason() -> None:
    with ExitStack() as stack:
        servers = started(stack, 2)
        for server in servers:
            server.faults = lambda *_: Fault(status=500)
        urls = ",".join(f"{server.root}/v1" for server in servers)
        settings = tts_runtime.Settings(
            policies={"policy": f"openai:{urls}#sim?attempts=1&patience=0"}
        )
        [result] = tts_runtime.run("greedy", PROBLEMS[:1], settings=settings)
        assert "HTTP 500" in str(result.answers[0].error)


def test_commas_separate_addresses_only() -> None:
    assert addresses("http://a/v1,http://b/v1#m") == ["http://a/v1#m", "http://b/v1#m"]
    assert addresses("http://a/v1,b#m,http://c") == ["http://a/v1,b#m,http://c"]
    assert addresses("https://a/v1") == ["https://a/v1"]


def test_replicas_close_what_is_in_flight() -> None:
    from tts_runtime.engines.openai.replicas import Replicas
    from tts_runtime.engines.sim.engines import SimPolicy

    async def closed() -> None:
        replicas = Replicas([SimPolicy(), SimPolicy()])
        assert replicas.exact
        await replicas.close()

    asyncio.run(closed())
