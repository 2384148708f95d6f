"""The bundled PRM behind HTTP, for programs that send whole paths each time.

    python -m benchmarks.peers.reward     # prints its address

`POST /`: the scores of some texts; `GET /`: the tokens of all paths so far, each time they came.
"""

from __future__ import annotations

import asyncio
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from tts_runtime.engines.base import ScoreRequest
from tts_runtime.engines.bundled.prm import BundledPrm
from tts_runtime.paths import bundled


class Reward:
    """The PRM on an event loop of its own."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        Thread(target=self.loop.run_forever, daemon=True).start()
        self.prm = BundledPrm(bundled("prm"), known_tokens=0)
        self.read = 0

    def scores(self, problem: str, texts: list[str]) -> list[float]:
        """The score of the last step of each text."""

        async def all_of_them() -> list[float]:
            return await asyncio.gather(*(self._score(problem, text) for text in texts))

        return asyncio.run_coroutine_threadsafe(all_of_them(), self.loop).result()

    async def _score(self, problem: str, text: str) -> float:
        steps = tuple(step for step in text.split("\n\n") if step.strip())
        if not steps:
            return 0.0
        reply = await self.prm.score(ScoreRequest(problem, {}, "\n\n".join(steps), steps))
        self.read += reply.opening + sum(reply.sizes)
        return reply.scores[-1] or 0.0


def main() -> None:
    """Serves on a free port."""
    reward = Reward()

    class Handler(BaseHTTPRequestHandler):
        """One request."""

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
            self._reply(reward.scores(asked["problem"], asked["texts"]))

        def do_GET(self) -> None:
            self._reply(reward.read)

        def log_message(self, *_: Any) -> None:
            """Says nothing."""

        def _reply(self, value: object) -> None:
            body = json.dumps(value).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(f"http://127.0.0.1:{server.server_address[1]}/", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
