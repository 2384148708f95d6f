"""A proxy that passes requests on to a server, and spoils some: faults of every kind by name."""

from __future__ import annotations

import gzip
import json
import random
import socket
import socketserver
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Final

from tests.support.server import tried

#: Seconds that one which drips or keeps silent does so, at most.
_PATIENCE: Final = 20.0


def _reply(status: int, body: bytes, **headers: str) -> bytes:
    """A whole answer."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"{name}: {value}" for name, value in named.items()]
    lines = [f"HTTP/1.1 {status} X", f"content-length: {len(body)}", "connection: close", *lines]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def _json(value: Any, status: int = 200, **headers: str) -> bytes:
    return _reply(status, json.dumps(value).encode(), content_type="application/json", **headers)


def _completion(**choice: Any) -> bytes:
    return _json({"choices": [{"text": "so", "finish_reason": "stop", **choice}]})


def _usage(value: Any) -> bytes:
    choice = {"text": "so \\boxed{2}", "finish_reason": "stop"}
    usage = {"prompt_tokens": value, "completion_tokens": value}
    return _json({"choices": [choice], "usage": usage})


#: Answers instead of the right one; `KEY` stands for the key that the request came with.
ANSWERS: Final[Mapping[str, bytes]] = {
    "429": _json({"error": {"message": "slow down"}}, 429),
    "500": _reply(500, b"<html>oops"),
    "503 soon": _json({"error": "busy"}, 503, retry_after="1"),
    "503 tomorrow": _json({"error": "busy"}, 503, retry_after="86400"),
    "521": _reply(521, b"origin down"),
    "409": _json({"error": {"message": "conflict"}}, 409),
    "400": _json({"error": {"message": "no", "param": "zzz"}}, 400),
    "401": _json({"error": {"message": "key KEY has expired"}}, 401),
    "404": _json({"error": {"message": "gone"}}, 404),
    "301": _reply(301, b"", location="https://127.0.0.1:1/KEY"),
    "307 on and on": _reply(307, b"", location="/v1/completions"),
    "307 nowhere": _reply(307, b"", location="http://[::bad"),
    "bad gzip": _reply(200, b"no gzip", content_encoding="gzip"),
    "cut gzip": _reply(200, gzip.compress(b'{"choices": []}')[:12], content_encoding="gzip"),
    "bomb": _reply(200, gzip.compress(b" " * (70 << 20), 1), content_encoding="gzip"),
    "deep": _reply(200, b"[" * 200_000 + b"]" * 200_000),
    "deep object": _reply(200, b'{"choices":' * 200_000),
    "data 5": _json({"data": 5}),
    "null": _json(None),
    "null choices": _json({"choices": None}),
    "two choices": _json({"choices": [{"text": "a"}, {"text": "b"}]}),
    "error under 200": _json({"error": {"message": "busy KEY", "code": 503}}),
    "key": _json({"error": {"message": "x" * 390 + "KEY"}}, 500),
    "usage": _usage(10**18),
    "usage below 0": _usage(-7),
    "usage text": _usage("many"),
    "usage 1e999": _reply(200, b'{"choices":[{"text":"s"}],"usage":{"completion_tokens":1e999}}'),
    "html": _reply(200, b"<html>sign in"),
    "empty": _reply(200, b""),
    "no UTF-8": _reply(200, b'{"choices": [{"text": "\xff\xfe", "finish_reason": "stop"}]}'),
    "half": _reply(200, b'{"choices": [{"te'),
    "numbers": _completion(text=5, logprobs={"tokens": 3}),
    "logprobs": _completion(logprobs={"tokens": ["so"], "token_logprobs": [None]}),
    "NaN": _reply(200, b'{"choices":[{"text":NaN,"logprobs":Infinity}]}'),
    "big number": _reply(200, b'{"choices":[{"index":' + b"9" * 5000 + b"}]}"),
    "filtered": _completion(finish_reason="content_filter"),
    "tools": _completion(finish_reason="tool_calls", text=None),
    "given up": _completion(finish_reason="abort"),
    "endless line": _reply(200, b"data: " + b"x" * (9 << 20), content_type="text/event-stream"),
    "stream error": _reply(200, b'data: {"error": "KEY"}\n\n', content_type="text/event-stream"),
    "strange stream": _reply(
        200, b"data: [\n\ndata: 5\n\nid: 7\n\n: ping\n\ndata:\n\n", content_type="text/event-stream"
    ),
}
#: What becomes of the connection instead.
BREAKS: Final = ("closed", "reset", "cut", "garbage", "wrong length", "drip", "silence", "restart")
FAULTS: Final = (*ANSWERS, *BREAKS)
#: Those after which the same request is answered, so that nothing is lost.
PASSING: Final = frozenset(
    (
        *("429", "500", "503 soon", "503 tomorrow", "521", "409", "error under 200", "key", "null"),
        *("bad gzip", "cut gzip", "deep", "deep object", "data 5", "null choices", "two choices"),
        *("html", "empty", "half", "numbers", "NaN", "big number", "given up", "stream error"),
        *("strange stream", "307 nowhere", "closed", "reset", "cut", "garbage", "wrong length"),
        *("silence", "restart"),
    )
)


class FaultProxy:
    """A running proxy.

    Args:
        port: Of the server.
        faults: Which fault the n-th request meets, by n.
    """

    def __init__(self, port: int, faults: Mapping[int, str]) -> None:
        self.met: list[str] = []
        #: Faults that were met before a run had begun.
        self.early: list[str] = []
        self.requests = 0
        self._upstream = port
        self._faults = faults
        self._begun = False
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._served = _Listener(("127.0.0.1", 0), self._handle)
        self.port = self._served.server_address[1]

    @contextmanager
    def running(self) -> Iterator[FaultProxy]:
        """Passes on in threads of its own."""
        threads = [self._serve()]
        self._threads = threads
        try:
            yield self
        finally:
            self._stopped.set()
            with self._lock:
                self._served.shutdown()
                self._served.server_close()
            for thread in threads:
                thread.join()

    def _serve(self) -> threading.Thread:
        thread = threading.Thread(target=self._served.serve_forever, args=(0.01,))
        thread.start()
        return thread

    def _handle(self, connection: socket.socket) -> None:
        with suppress(OSError):
            self._answer(connection)
        with suppress(OSError):
            connection.close()

    def _answer(self, connection: socket.socket) -> None:
        head, body = _read(connection)
        if not head:
            return
        asked = json.loads(body) if body else {}
        with self._lock:
            fault = self._faults.get(self.requests)
            self.requests += 1
            self._begun = self._begun or ("seed" in asked and not tried(asked))
            if fault is not None:
                (self.met if self._begun else self.early).append(fault)
        if fault is None:
            self._pass(connection, head, body)
        elif fault in ANSWERS:
            key = next((line for line in head.split(b"\r\n") if b"earer " in line), b"")
            said = ANSWERS[fault]
            spoken = said.replace(b"KEY", key.rpartition(b" ")[2] or b"KEY")
            # The length that was said is kept: what is longer is cut by who reads it.
            connection.sendall(_relength(spoken))
        else:
            getattr(self, "_" + fault.replace(" ", "_"))(connection, head, body)

    def _upstreamed(self, head: bytes, body: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", self._upstream)) as server:
            server.sendall(head.replace(b"\r\n", b"\r\nconnection: close\r\n", 1) + body)
            found = b""
            while part := server.recv(65536):
                found += part
        return found

    def _pass(self, connection: socket.socket, head: bytes, body: bytes) -> None:
        found = self._upstreamed(head, body)
        connection.sendall(found.replace(b"\r\n", b"\r\nconnection: close\r\n", 1))

    def _closed(self, connection: socket.socket, _head: bytes, _body: bytes) -> None:
        connection.close()

    def _reset(self, connection: socket.socket, _head: bytes, _body: bytes) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def _cut(self, connection: socket.socket, head: bytes, body: bytes) -> None:
        found = self._upstreamed(head, body)
        connection.sendall(found[: len(found) // 2])

    def _garbage(self, connection: socket.socket, _head: bytes, _body: bytes) -> None:
        connection.sendall(random.Random(0).randbytes(3000))

    def _wrong_length(self, connection: socket.socket, _head: bytes, _body: bytes) -> None:
        connection.sendall(b'HTTP/1.1 200 X\r\ncontent-length: 9999\r\n\r\n{"choices": []}')

    def _drip(self, connection: socket.socket, _head: bytes, _body: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 X\r\ncontent-length: 99999\r\n\r\n")
        ends = time.monotonic() + _PATIENCE
        while time.monotonic() < ends and not self._stopped.wait(0.05):
            connection.sendall(b" ")

    def _silence(self, _connection: socket.socket, _head: bytes, _body: bytes) -> None:
        self._stopped.wait(_PATIENCE)

    def _restart(self, connection: socket.socket, _head: bytes, _body: bytes) -> None:
        """Dies in the middle of a request, and is back a moment later."""
        connection.close()
        with self._lock:
            if self._stopped.is_set():
                return
            self._served.shutdown()
            self._served.server_close()
            self._stopped.wait(0.3)
            self._served = _Listener(("127.0.0.1", self.port), self._handle)
            self._threads.append(self._serve())


def _relength(reply: bytes) -> bytes:
    head, _, body = reply.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    lines[1] = b"content-length: %d" % len(body)
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def _read(connection: socket.socket) -> tuple[bytes, bytes]:
    """A request's head and body."""
    found = b""
    while b"\r\n\r\n" not in found:
        part = connection.recv(65536)
        if not part:
            return b"", b""
        found += part
    head, _, body = found.partition(b"\r\n\r\n")
    length = next(
        (
            int(line.partition(b":")[2])
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"content-length:")
        ),
        0,
    )
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n", body


class _Listener(socketserver.ThreadingTCPServer):
    """Connections, each handled by a function in a thread of its own."""

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, place: tuple[str, int], handle: Callable[[socket.socket], None]) -> None:
        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                handle(self.request)

        super().__init__(place, Handler)
