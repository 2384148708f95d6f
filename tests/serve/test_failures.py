"""Requests whose engine or strategy fails: what clients are told, and what is counted."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.serve.conftest import serving
from tests.serve.test_hostile import refused
from tts_runtime.engines.errors import CandidateError, EngineError, Fault
from tts_runtime.engines.sim.engines import SimPolicy
from tts_runtime.engines.sim.sim_server import FaultPlan, SimServer
from tts_runtime.serve.errors import without_places


def test_tokens_of_a_request_that_fails_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit = SimServer.submit

    def broken(self: Any, *rest: Any) -> Any:
        self._faults = FaultPlan(dict.fromkeys(range(1, 100), "gone"))
        return submit(self, *rest)

    monkeypatch.setattr(SimServer, "submit", broken)
    file = tmp_path / "mine.tts"
    file.write_text(
        "strategy mine():\n    pool = sample 1 step\n    return vote (expand pool by 2)\n"
    )

    async def asked() -> None:
        async with serving([str(file)]) as served:
            reply = await served.chat(model="mine", seed=2)
            assert refused(reply)["code"] == "engine_failed"
            metrics = served.service.metrics.text().decode()
            name = 'tts_tokens_total{kind="drawn"'
            [line] = [each for each in metrics.splitlines() if each.startswith(name)]
            assert float(line.split()[-1]) == served.policy.counts.tokens > 0

    asyncio.run(asked())


def test_an_engine_that_breaks_tells_no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    message = "http://10.0.0.7:8000/v1 answers 500: see /home/me/models/secret/log.txt"
    submit = SimServer.submit

    def broken(self: Any, *rest: Any) -> Any:
        self._faults = FaultPlan(dict.fromkeys(range(100), message))
        return submit(self, *rest)

    monkeypatch.setattr(SimServer, "submit", broken)

    async def asked() -> None:
        async with serving() as served:
            assert isinstance(served.policy, SimPolicy)
            reply = await served.chat()
            assert reply.status_code == 502
            assert refused(reply)["code"] == "engine_failed"
            assert "10.0.0.7" not in reply.text
            assert "/home" not in reply.text
            assert "secret" not in reply.text

    asyncio.run(asked())


@pytest.mark.parametrize(
    ("error", "status", "wait"),
    [
        (EngineError("HTTP 429: too many requests"), 502, None),
        (EngineError("HTTP 429: too many requests", 29.5), 503, "30"),
        (CandidateError(Fault.UNUSABLE, "no JSON: HTTP 429"), 502, None),  # of each candidate
    ],
)
def test_an_engine_that_fails_says_when_to_come_back(
    monkeypatch: pytest.MonkeyPatch, error: EngineError, status: int, wait: str | None
) -> None:
    def limited(*_: object) -> asyncio.Future[Any]:
        future = asyncio.get_running_loop().create_future()
        future.set_exception(error)
        return future

    monkeypatch.setattr(SimServer, "submit", limited)

    async def asked() -> None:
        async with serving() as served:
            reply = await served.chat()
            assert reply.status_code == status
            assert reply.headers.get("retry-after") == wait
            assert refused(reply)["code"] == "engine_failed"
            assert "429" in refused(reply)["message"]

    asyncio.run(asked())


def test_a_strategy_that_fails_is_no_failure_of_an_engine(tmp_path: Path) -> None:
    file = tmp_path / "mine.tts"
    file.write_text(
        "strategy mine():\n    pool = sample 2\n    return vote pool weighted by 0 - tokens\n"
    )

    async def asked() -> None:
        async with serving([str(file)]) as served:
            reply = await served.chat(model="mine")
            assert reply.status_code == 500
            assert refused(reply)["code"] == "strategy_failed"

    asyncio.run(asked())


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("/home/me/x.tts:3: no", "x.tts:3: no"),
        ("see ~/models/a/b.txt", "see b.txt"),
        ("at http://localhost:8000/v1#m", "at the server"),
        ("server http://10.0.0.7/v1: HTTP 500", "the server: HTTP 500"),
        ("asked (https://a.example/v1), then", "asked (the server), then"),
        ("1/2 of a/b", "1/2 of a/b"),
        ("`/srv/model`: gone", "`model`: gone"),
        ("../up/x", "x"),
    ],
)
def test_messages_lose_folders_and_addresses(text: str, told: str) -> None:
    assert without_places(text) == told
