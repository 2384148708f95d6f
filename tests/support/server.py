"""A small OpenAI-compatible server on the loopback address, well-behaved or not, for tests."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.support.server_model import HashModel, choice, event, generate
from tts_runtime.engines.openai.payloads import SEEDS
from tts_runtime.engines.openai.setup import PROBE
from tts_runtime.engines.sim.model import SimTokenizer
from tts_runtime.streams import position_seed

#: The seed of what engines ask when they are opened.
_TRIED = position_seed(PROBE, 0) & SEEDS


@dataclass(frozen=True)
class Style:
    """Which server it pretends to be.

    Args:
        vllm: Its further options, and its list of models.
        completions, chat: The interfaces that it has.
        logprobs: Most log-probabilities a token; -1: it knows none and ignores the wish.
        ids: Prompts may be ids.
        usage: It counts tokens.
        opening: Its chat template, `{message}` for the message; empty: none.
        window: Tokens.
        names: Models that it lists; `None`: it has no list.
        key: What it wants to see.
    """

    vllm: bool = False
    completions: bool = True
    chat: bool = True
    logprobs: int = 20
    ids: bool = True
    usage: bool = True
    opening: str = "{message}\n"
    window: int = 256
    names: tuple[str, ...] | None = ("sim",)
    key: str = ""


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one request.

    Args:
        status, headers, body: An answer instead of the right one; status 0: the right one, spoilt.
        stall: Say nothing until the server is stopped.
        cut: Bytes of the right answer after which the connection closes; -1: none.
        events: Events of the stream after which it ends without `[DONE]`; -1: all.
        body: With status 200, what is sent.
    """

    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = '{"error": {"message": "try again"}}'
    stall: bool = False
    cut: int = -1
    events: int = -1


class Server:
    """A running server.

    `faults(number, body)` may spoil the `number`-th request for tokens or scores; `requests` holds
    all that was asked as (path, body); `broken` counts connections that the client closed early.
    """

    def __init__(self, model: HashModel, style: Style) -> None:
        self.model = model
        self.style = style
        self.faults: Callable[[int, Mapping[str, Any]], Fault | None] = lambda _n, _body: None
        self.routes: dict[str, Callable[[Mapping[str, Any]], Any]] = {}
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self.broken = 0
        self.busy = self.peak = 0
        self.lock = threading.Lock()
        self.stopped = threading.Event()
        self.reached = threading.Event()
        self._served = _Quiet(("127.0.0.1", 0), _handler(self))
        self._served.broken = self._broke

    def _broke(self) -> None:
        with self.lock:
            self.broken += 1

    @property
    def root(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self._served.server_address[1]}"

    @property
    def url(self) -> str:
        """Where its interface is, with the model."""
        return f"{self.root}/v1#sim"

    def bodies(self, ending: str = "completions") -> list[dict[str, Any]]:
        """What was asked under paths with this ending, but for what engines try when opened."""
        return [body for path, body in self.requests if path.endswith(ending) and not tried(body)]

    @contextmanager
    def running(self) -> Iterator[Server]:
        """Serves in a thread of its own."""
        thread = threading.Thread(target=self._served.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield self
        finally:
            self.stopped.set()
            self._served.shutdown()
            thread.join()
            self._served.server_close()


def tried(body: Mapping[str, Any]) -> bool:
    """Whether this is asked by an engine that is being opened."""
    return body.get("seed") == _TRIED


def first(*faults: Fault) -> Callable[[int, Mapping[str, Any]], Fault | None]:
    """The first requests go wrong like this, in order."""
    left = list(faults)
    return lambda _number, _body: left.pop(0) if left else None


def sim_server(**changes: Any) -> Server:
    """A server of a random model over the simulated tokenizer."""
    return Server(HashModel(SimTokenizer(), {0: "<end>", 1: "<eot>"}), Style(**changes))


class _Quiet(ThreadingHTTPServer):
    """Clients that hang up are counted, not reported."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128  # beyond it, a connection waits a second for its second attempt
    broken: Callable[[], None]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection broke, or the test server has an error of its own."""
        if isinstance(sys.exception(), ConnectionError):
            self.broken()
        else:
            super().handle_error(request, client_address)


class Refusal(Exception):
    """An error of the server's own."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def _handler(server: Server) -> type[BaseHTTPRequestHandler]:
    class Handler(_Handler):
        test_server = server

    return Handler


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # a reply is several writes, and none waits 40 ms
    test_server: Server

    def log_message(self, *_: Any) -> None:
        """Says nothing."""

    def do_GET(self) -> None:
        style = self.test_server.style
        self._guarded(lambda: self._models(style))

    def do_POST(self) -> None:
        length = int(self.headers.get("content-length", 0))
        body = json.loads(self.rfile.read(length))
        server = self.test_server
        with server.lock:
            server.requests.append((self.path, body))
            number = sum(1 for _, each in server.requests if not tried(each)) - 1
            server.busy += 1
            server.peak = max(server.peak, server.busy)
        try:
            self._guarded(lambda: self._post(number, body))
        finally:
            with server.lock:
                server.busy -= 1

    def _guarded(self, work: Callable[[], None]) -> None:
        style = self.test_server.style
        try:
            if style.key and self.headers.get("authorization") != f"Bearer {style.key}":
                said = self.headers.get("authorization", "no key")
                raise Refusal(401, f"Incorrect API key provided: {said}")
            work()
        except Refusal as error:
            self._answer({"error": {"message": str(error), "code": error.status}}, error.status)

    def _models(self, style: Style) -> None:
        if style.names is None or not self.path.endswith("/v1/models"):
            raise Refusal(404, "Not Found")
        more = {"owned_by": "vllm", "max_model_len": style.window} if style.vllm else {}
        self._answer({"data": [{"id": name, "object": "model", **more} for name in style.names]})

    def _post(self, number: int, body: dict[str, Any]) -> None:
        server, style = self.test_server, self.test_server.style
        asked = "tokenize" not in self.path and not tried(body)
        fault = server.faults(number, body) if asked else None
        if fault is not None and fault.stall:
            server.reached.set()
            server.stopped.wait()
            self.close_connection = True
            return
        if fault is not None and fault.status:
            self._answer(fault.body.encode(), fault.status, fault.headers)
            return
        if self.path in server.routes:
            self._answer(server.routes[self.path](body), fault=fault)
        elif self.path == "/tokenize" and style.vllm:
            if not style.opening:
                raise Refusal(400, "no chat template")
            self._answer({"tokens": list(self._opened(body["messages"]).encode())})
        elif self.path == "/detokenize" and style.vllm:
            self._answer({"prompt": bytes(body["tokens"]).decode()})
        elif self.path == "/v1/completions" and style.completions:
            prompt = body.get("prompt")
            if isinstance(prompt, list):
                if not style.ids:
                    raise Refusal(400, "prompt must be a string")
                self._generated(prompt, body, body.get("logprobs"), fault, chat=False)
            else:
                ids = server.model.tokenizer.encode(str(prompt))
                self._generated(list(ids), body, body.get("logprobs"), fault, chat=False)
        elif self.path == "/v1/chat/completions" and style.chat:
            text = self._opened(body["messages"])
            top = body.get("top_logprobs", 0) if body.get("logprobs") else None
            ids = server.model.tokenizer.encode(text)
            self._generated(list(ids), body, top, fault, chat=True)
        else:
            raise Refusal(404, "Not Found")

    def _opened(self, messages: list[dict[str, str]]) -> str:
        """The chat template's text, with what the last message has begun."""
        begun = messages[-1]["content"] if messages[-1]["role"] == "assistant" else ""
        asked = next(each["content"] for each in messages if each["role"] == "user")
        if begun and not self.test_server.style.vllm:
            raise Refusal(400, "the last message must be the user's")
        return self.test_server.style.opening.replace("{message}", asked) + begun

    def _generated(
        self,
        prompt: list[int],
        body: dict[str, Any],
        top: int | None,
        fault: Fault | None,
        *,
        chat: bool,
    ) -> None:
        server, style = self.test_server, self.test_server.style
        if body["model"] != "sim":
            raise Refusal(404, "The model does not exist")
        if style.logprobs >= 0 and top is not None:
            if top > style.logprobs:
                raise Refusal(400, f"at most {style.logprobs} logprobs")
            body = {**body, "_top": top}
        if len(prompt) >= style.window:
            raise Refusal(400, f"maximum context length is {style.window} tokens")
        tokens = generate(server.model, prompt, body, style.window)
        if body.get("stream"):
            self._streamed(tokens, len(prompt), body, fault, chat=chat)
            return
        found = list(tokens)
        _, finish, stop = found[-1]
        written = [each for each, _, _ in found]
        made = choice(server.model, written, finish, stop, body, vllm=style.vllm, chat=chat)
        reply: dict[str, Any] = {"choices": [made]}
        if style.usage:
            reply["usage"] = {"prompt_tokens": len(prompt), "completion_tokens": len(written)}
        self._answer(reply, fault=fault)

    def _streamed(
        self,
        tokens: Iterator[Any],
        prompt: int,
        body: dict[str, Any],
        fault: Fault | None,
        *,
        chat: bool,
    ) -> None:
        server, style = self.test_server, self.test_server.style
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        count = 0
        for written, finish, stop in tokens:
            if fault is not None and count == fault.events:
                self._chunk(b"")
                return
            if fault is not None and count == fault.cut:
                self.close_connection = True
                return
            made = choice(server.model, [written], finish, stop, body, vllm=style.vllm, chat=chat)
            self._chunk(event({"choices": [made]}))
            count += 1
        if style.usage:
            counted = {"prompt_tokens": prompt, "completion_tokens": count}
            self._chunk(event({"choices": [], "usage": counted}))
        self._chunk(event(b"[DONE]"))
        self._chunk(b"")

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n" % len(data) + data + b"\r\n")
        self.wfile.flush()

    def _answer(
        self,
        reply: Any,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        fault: Fault | None = None,
    ) -> None:
        data = reply if isinstance(reply, bytes) else json.dumps(reply).encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        if fault is not None and fault.cut >= 0:
            data = data[: fault.cut]
            self.close_connection = True
        self.wfile.write(data)
        self.wfile.flush()
