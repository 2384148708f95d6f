"""A server in this process: its application behind httpx, on simulated engines."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("prometheus_client")

import httpx

from tts_lang.explain.assumptions import Assumed
from tts_runtime.engines.base import PolicyEngine
from tts_runtime.engines.sim.engines import SimPolicy, SimScorer
from tts_runtime.engines.sim.model import SimModel
from tts_runtime.engines.sim.sim_server import Latency
from tts_runtime.runs.limits import CostLimits
from tts_runtime.runs.session import Session
from tts_runtime.serve.admission import Admission
from tts_runtime.serve.app import make_app
from tts_runtime.serve.catalogue import Catalogue
from tts_runtime.serve.keys import Keys
from tts_runtime.serve.service import AnswerService


@pytest.fixture(autouse=True)
def _no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """No secrets of earlier tests: a stream holds back what may become one."""
    monkeypatch.setattr("tts_lang.printable._SECRETS", {})


@dataclass
class Served:
    """A running application, and what is inside it."""

    http: httpx.AsyncClient
    service: AnswerService
    policy: Any
    app: Any

    async def chat(self, text: object = "1 + 1", **body: object) -> httpx.Response:
        """Asks for a chat completion."""
        asked = {"model": "majority@n=3", "messages": [{"role": "user", "content": text}], **body}
        return await self.http.post("/v1/chat/completions", json=asked)

    def idle(self) -> bool:
        """Whether nothing runs or waits, in the server and in the engine."""
        admission, load = self.service.admission, self.policy.load
        counts = () if load is None else (load.running, load.waiting)
        return not any((admission.rows, admission.running, admission.waiting, *counts))


Serve = Callable[..., Any]


@asynccontextmanager
async def serving(
    strategies: list[str] | None = None,
    *,
    settings: Mapping[str, str] | None = None,
    running: int = 1024,
    waiting: int = 100,
    keys: Keys | None = None,
    joined: bool = False,
    latency: Latency | None = None,
    policy: PolicyEngine | None = None,
    others: Mapping[str, PolicyEngine] | None = None,
    **options: Any,
) -> AsyncIterator[Served]:
    """Serves strategies on a simulated PRM and a simulated policy, or another one, and `others`."""
    catalogue = Catalogue(
        strategies or ["majority", "best_of_n"], settings or {}, CostLimits((), Assumed())
    )
    policy = policy or SimPolicy(SimModel(), latency=latency or Latency(token=0.0))
    scorers = {"prm": SimScorer(latency=Latency(token=0.0))}
    async with Session({"policy": policy, **(others or {})}, scorers) as session:
        service = AnswerService(session, catalogue, Admission(running, waiting), **options)
        service.prepare()
        app = make_app(service, keys or Keys(), joined=joined)
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=True)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
            yield Served(http, service, policy, app)


Body = Callable[[Served], Awaitable[None]]
