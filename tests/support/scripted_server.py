"""A loopback server that answers as a function says: how other servers behave, a row a test."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Asked:
    """A request: its path with the query, its headers in lower case, its JSON."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: Mapping[str, Any]

    @property
    def chat(self) -> bool:
        """Whether it asks for a chat completion."""
        return self.path.partition("?")[0].endswith("/chat/completions")


@dataclass(frozen=True)
class Reply:
    """An answer: JSON, or the bytes themselves; `events` are streamed instead."""

    body: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    events: tuple[Any, ...] | None = None


class ScriptedServer:
    """A running server; `asked` holds all requests."""

    def __init__(self, answer: Callable[[Asked], Reply]) -> None:
        self.answer = answer
        self.asked: list[Asked] = []
        self._lock = threading.Lock()
        self._served = _Quiet(("127.0.0.1", 0), _handler(self))
        self._served.daemon_threads = True
        self._served.block_on_close = False

    @property
    def root(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self._served.server_address[1]}"

    def note(self, asked: Asked) -> None:
        """Keeps a request."""
        with self._lock:
            self.asked.append(asked)

    def sent(self) -> list[Mapping[str, Any]]:
        """The bodies of requests for tokens."""
        return [each.body for each in self.asked if each.path.partition("?")[0].endswith("tions")]

    @contextmanager
    def running(self) -> Iterator[ScriptedServer]:
        """Serves in a thread of its own."""
        thread = threading.Thread(target=self._served.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield self
        finally:
            self._served.shutdown()
            thread.join()
            self._served.server_close()


class _Quiet(ThreadingHTTPServer):
    """Clients that hang up are not reported."""

    request_queue_size = 128  # beyond it, a connection waits a second for its second attempt

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection broke, or the test server has an error of its own."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


def _handler(server: ScriptedServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # a reply is several writes, and none waits 40 ms

        def log_message(self, *_: Any) -> None:
            """Says nothing."""

        def do_GET(self) -> None:
            self._reply({})

        def do_POST(self) -> None:
            data = self.rfile.read(int(self.headers.get("content-length", 0)))
            self._reply(json.loads(data))

        def _reply(self, body: Mapping[str, Any]) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            asked = Asked(self.command, self.path, headers, body)
            server.note(asked)
            reply = server.answer(asked)
            try:
                self._send(reply)
            except ConnectionError:
                self.close_connection = True

        def _send(self, reply: Reply) -> None:
            data = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
            if reply.events is not None:
                lines = [
                    each if isinstance(each, str) else json.dumps(each) for each in reply.events
                ]
                data = b"".join(f"data: {line}\n\n".encode() for line in [*lines, "[DONE]"])
            self.send_response(reply.status)
            kind = "text/event-stream" if reply.events is not None else "application/json"
            for name, value in {"content-type": kind, **reply.headers}.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)
            self.wfile.flush()

    return Handler


def models(**entry: Any) -> Reply:
    """The usual list of models, of one named `m`."""
    return Reply({"data": [{"id": "m", "context_length": 512, **entry}]})


def chat(
    content: Any, finish: str | None = "stop", drawn: int | None = None, **message: Any
) -> Reply:
    """A chat completion."""
    body: dict[str, Any] = {
        "choices": [
            {"index": 0, "message": {"content": content, **message}, "finish_reason": finish}
        ]
    }
    if drawn is not None:
        body["usage"] = {"prompt_tokens": 5, "completion_tokens": drawn}
    return Reply(body)


def completion(text: str, finish: str = "stop", **more: Any) -> Reply:
    """A completion."""
    return Reply({"choices": [{"index": 0, "text": text, "finish_reason": finish, **more}]})


def refused(message: str, status: int = 400, **error: Any) -> Reply:
    """An error in OpenAI's form."""
    return Reply({"error": {"message": message, **error}}, status)
