"""The server of the benchmark: `tts-serve`'s application on simulated engines, in this process.

    python -m benchmarks.serving.served '{"slots": 64}'

It prints its port. `/state` says what it holds; `/answers` how long the session took for the
answer under each seed, which the clients subtract from what they have waited.
"""

from __future__ import annotations

import asyncio
import gc
import json
import socket
import sys
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any

import uvicorn
from fastapi.responses import JSONResponse

from tts_lang.explain.assumptions import Assumed
from tts_runtime.engines.sim.engines import SimPolicy, SimScorer
from tts_runtime.engines.sim.model import SimModel
from tts_runtime.engines.sim.sim_server import Latency
from tts_runtime.runs.limits import CostLimits
from tts_runtime.runs.session import Session
from tts_runtime.serve import app as http
from tts_runtime.serve.admission import Admission
from tts_runtime.serve.catalogue import Catalogue
from tts_runtime.serve.keys import Keys, read_keys
from tts_runtime.serve.service import AnswerService


@dataclass(frozen=True)
class ServedSetup:
    """How the server is set up; times in seconds."""

    strategies: list[str] = field(default_factory=lambda: ["greedy", "majority", "best_of_n"])
    overhead: float = 0.0
    token: float = 0.0
    slots: int = 0
    running: int = 1024
    waiting: int = 4096
    keys: str = ""
    patience: float = 30.0


async def serve(setup: ServedSetup) -> None:
    """Serves until the process is ended."""
    http._SLOWEST_BODY = http._SLOWEST_READER = setup.patience  # type: ignore[misc]
    latency = Latency(overhead=setup.overhead, token=setup.token, slots=setup.slots)
    policy = SimPolicy(SimModel(), latency=latency)
    scorers = {"prm": SimScorer(latency=Latency(token=0.0))}
    catalogue = Catalogue(setup.strategies, {}, CostLimits((), Assumed()))
    admission = Admission(setup.running, setup.waiting)
    times: dict[int, float] = {}
    async with Session({"policy": policy}, scorers) as session:
        answer = session.answer

        async def timed(*given: Any, seed: int, **named: Any) -> Any:
            begun = monotonic()
            try:
                return await answer(*given, seed=seed, **named)
            finally:
                times[seed] = monotonic() - begun

        session.answer = timed  # type: ignore[method-assign,assignment]
        service = AnswerService(session, catalogue, admission)
        service.prepare()
        keys = Keys() if not setup.keys else read_keys(Path(setup.keys))
        app = http.make_app(service, keys)

        @app.get("/state")
        async def state(objects: bool = False) -> JSONResponse:
            if objects:
                gc.collect()
            counts = policy.counts
            held = {
                "rows": admission.rows,
                "requests": admission.running + admission.waiting,
                "engine": counts.running + counts.waiting,
                "tasks": len(asyncio.all_tasks()),
                "objects": len(gc.get_objects()) if objects else 0,
                "resident": _resident(),
            }
            return JSONResponse(held)

        @app.get("/answers")
        async def answers() -> JSONResponse:
            return JSONResponse(times)

        listening = socket.create_server(("127.0.0.1", 0), backlog=4096)
        print(listening.getsockname()[1], flush=True)
        config = uvicorn.Config(
            app, log_config=None, h11_max_incomplete_event_size=64 << 10, timeout_keep_alive=120
        )
        await uvicorn.Server(config).serve([listening])


def _resident() -> int:
    """Bytes of this process in memory."""
    [line] = [
        line
        for line in Path("/proc/self/status").read_text().splitlines()
        if line.startswith("VmRSS")
    ]
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    asyncio.run(serve(ServedSetup(**json.loads(sys.argv[1]))))
