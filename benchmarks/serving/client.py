"""Clients of the benchmark: as little as HTTP needs, so that they cost less than the server."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.serving.served import ServedSetup


@dataclass(frozen=True)
class HttpReply:
    """A reply over a socket."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body's value."""
        return json.loads(self.body)


@dataclass(frozen=True)
class Target:
    """A running server."""

    port: int

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection of its own."""
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def raw(self, request: bytes) -> HttpReply:
        """Sends these bytes, and reads one reply; the connection is closed."""
        reader, writer = await self.connect()
        try:
            writer.write(request)
            with suppress(ConnectionError):
                await writer.drain()
            return await read_reply(reader)
        finally:
            writer.close()

    async def get(self, path: str) -> Any:
        """The value at a path."""
        head = f"GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
        return (await self.raw(head.encode())).json()

    async def ask(self, model: str, key: str = "", **body: Any) -> HttpReply:
        """Asks for a chat completion."""
        return await self.raw(chat(model, key, **body))


def chat(model: str, key: str = "", **body: Any) -> bytes:
    """A request for a chat completion."""
    asked = {"model": model, "messages": [{"role": "user", "content": "1 + 1"}], **body}
    return post(json.dumps(asked).encode(), key)


def post(body: bytes, key: str = "", more: str = "") -> bytes:
    """A POST of a body."""
    head = "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\n"
    if key:
        head += f"authorization: Bearer {key}\r\n"
    head += more or f"content-length: {len(body)}\r\n"
    return f"{head}\r\n".encode() + body


async def read_reply(reader: asyncio.StreamReader) -> HttpReply:
    """The reply on a connection that the server closes.

    Raises:
        ConnectionError: There is none.
    """
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        body = b""
        with suppress(ConnectionError):  # it may be reset behind the reply
            while more := await reader.read(1 << 16):
                body += more
    except asyncio.IncompleteReadError as error:
        raise ConnectionError("closed without a reply") from error
    first, *lines = head.decode("latin-1").strip().split("\r\n")
    headers = {
        name.lower(): value.strip() for name, _, value in (each.partition(":") for each in lines)
    }
    if headers.get("transfer-encoding") == "chunked":
        body = _whole(body)
    return HttpReply(int(first.split()[1]), headers, body)


def _whole(chunks: bytes) -> bytes:
    found = b""
    while chunks:
        size, _, rest = chunks.partition(b"\r\n")
        length = int(size or b"0", 16)
        found, chunks = found + rest[:length], rest[length + 2 :]
        if not length:
            break
    return found


def kill(writer: asyncio.StreamWriter) -> None:
    """Resets a connection, as a process does that is killed with data unread."""
    linger = struct.pack("ii", 1, 0)
    with suppress(OSError):
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    writer.transport.abort()


@asynccontextmanager
async def server(setup: ServedSetup) -> AsyncIterator[Target]:
    """A server in a process of its own; it ends with the block."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "benchmarks.serving.served",
        json.dumps(asdict(setup)),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(60):
            port = int(await process.stdout.readline())
        yield Target(port)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def settled(target: Target) -> dict[str, int]:
    """What the server holds once nothing runs, after ten seconds at most."""
    for _ in range(100):
        state = await target.get("/state")
        if not state["rows"] and not state["requests"] and not state["engine"]:
            break
        await asyncio.sleep(0.1)
    found: dict[str, int] = await target.get("/state?objects=1")
    return found
