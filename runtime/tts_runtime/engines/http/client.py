"""One client for every server: connections, keys, retries, and what a failure means to the user."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Mapping
from typing import Any, Final, TypeVar

import httpx

from tts_runtime.engines.base import EngineError
from tts_runtime.engines.http.address import Address, Key
from tts_runtime.engines.http.gate import Gate
from tts_runtime.engines.http.options import HttpOptions
from tts_runtime.engines.http.retry import (
    PASSING,
    Clock,
    Schedule,
    Transient,
    WallClock,
    retry_after,
)

Reply = TypeVar("Reply")

#: Seconds to reach a server that is there.
_CONNECT: Final = 20.0
#: How often a question is sent when a server is opened.
_TO_OPEN: Final = 3
_LONGEST_REASON: Final = 400


class Refused(EngineError):
    """A server's answer that sending again would not change.

    Args:
        status: HTTP status.
        reason: The server's own words.
    """

    def __init__(self, message: str, status: int, reason: str) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason


class HttpClient:
    """Requests to one server.

    Args:
        address: Where it is.
        key: What it wants to see.
        options: Limits.
        clock: Passes the time between attempts.
    """

    def __init__(
        self, address: Address, key: Key, options: HttpOptions, clock: Clock | None = None
    ) -> None:
        self.address = address
        self._key = key
        self._options = options
        self._schedule = Schedule(attempts=options.attempts)
        self._clock = clock or WallClock()
        self._gate = Gate(options.concurrency)
        self._http: httpx.AsyncClient | None = None

    def to_open(self) -> HttpClient:
        """A client for the first questions to a server, in an event loop of their own.

        It gives up soon: who waits has just started a run, with a wrong address perhaps.
        """
        fewer = {"attempts": min(_TO_OPEN, self._options.attempts)}
        return HttpClient(
            self.address, self._key, self._options.model_copy(update=fewer), self._clock
        )

    async def retried(self, work: Callable[[], Awaitable[Reply]], priority: int = 0) -> Reply:
        """The result of `work`, done again while it raises `Transient`.

        Raises:
            EngineError: It never succeeded, or never would.
        """
        async with self._gate.turn(priority):
            return await self._retried(work)

    async def _retried(self, work: Callable[[], Awaitable[Reply]]) -> Reply:
        schedule = self._schedule
        started = self._clock.now()
        failures = 0
        while True:
            try:
                left = self._left(started)
                async with asyncio.timeout(left):
                    return await work()
            except Transient as error:
                failures += 1
                problem = error
            except TimeoutError:
                raise self._late(f"no answer in time (attempt {failures + 1})") from None
            if failures >= schedule.attempts:
                raise EngineError(
                    f"{self._where}: {problem.reason}; given up after {failures} attempts"
                ) from problem
            wait = schedule.wait(failures)
            if problem.wait is not None:
                wait = problem.wait
                if wait > schedule.patience:
                    raise EngineError(
                        f"{self._where}: {problem.reason}; it asks to wait {wait:.0f} seconds"
                    ) from problem
            left = self._left(started)
            if left is not None and wait >= left:
                raise self._late(problem.reason) from problem
            await self._clock.sleep(wait)

    def _left(self, started: float) -> float | None:
        """Seconds until the deadline of a request and its repetitions; `None` without one."""
        if not self._options.deadline:
            return None
        return max(0.0, self._options.deadline - (self._clock.now() - started))

    def _late(self, reason: str) -> EngineError:
        return EngineError(
            f"{self._where}: {reason}; the deadline of {self._options.deadline:g} seconds "
            "(?deadline) is over"
        )

    # ------------------------------------------------------------------ one attempt

    async def get(self, url: str) -> Any:
        """The JSON behind an address, in one attempt.

        Raises:
            Transient, EngineError: There is none.
        """
        return await self._json("GET", url, None)

    async def post(self, url: str, body: Mapping[str, Any]) -> Any:
        """The JSON that a server answers with, in one attempt; errors as `get`."""
        return await self._json("POST", url, body)

    async def _json(self, method: str, url: str, body: Mapping[str, Any] | None) -> Any:
        try:
            response = await self._open().request(method, url, json=body)
        except httpx.TransportError as error:
            raise self._broken(error) from error
        self._check(response.status_code, response.headers, response.content)
        try:
            return response.json()
        except ValueError as error:
            raise Transient(f"the answer is not JSON: {response.text[:80]!r}") from error

    async def events(self, url: str, body: Mapping[str, Any]) -> AsyncGenerator[Any, None]:
        """The JSON of server-sent events, as they come, in one attempt; errors as `get`.

        Leaving the loop early closes the connection, which ends the request at the server.

        Raises:
            Transient: Among others, when the stream ends without `[DONE]`.
        """
        try:
            async with self._open().stream("POST", url, json=body) as response:
                if response.status_code >= 300:
                    content = await response.aread()
                    self._check(response.status_code, response.headers, content)
                async for line in response.aiter_lines():
                    if not line.startswith("data:"):
                        continue
                    data = line[5:].strip()
                    if data == "[DONE]":
                        return
                    yield self._event(data)
        except httpx.TransportError as error:
            raise self._broken(error) from error
        raise Transient("the stream broke off")

    def _event(self, data: str) -> Any:
        try:
            event = json.loads(data)
        except ValueError as error:
            raise Transient(f"the stream is not JSON: {data[:80]!r}") from error
        problem = event.get("error") if isinstance(event, dict) else None
        if problem:
            # The status was sent before anything went wrong, so the event says what kind it is.
            code = problem.get("code") if isinstance(problem, dict) else None
            status = code if isinstance(code, int) else 500
            self._check(max(400, status), {}, data.encode())
        return event

    def _check(self, status: int, headers: Mapping[str, str], content: bytes) -> None:
        """Raises what a status means."""
        if status < 300:
            return
        reason, code = _reason(content)
        reason = self._key.hidden(reason)
        said = f"HTTP {status}" + (f": {reason}" if reason else "")
        if status in PASSING and code != "insufficient_quota":
            raise Transient(said, retry_after(headers, self._clock.now()))
        raise Refused(f"{self._where}: {self._meaning(status)}{said}", status, reason)

    def _meaning(self, status: int) -> str:
        """What a status asks the user to do."""
        variable = self._key.variable
        if status in (401, 403):
            if self._key.text:
                return f"the key in {variable} is refused (expired, or of another account?): "
            return (
                f"it wants a key: set the environment variable {variable}, or name another with "
                "?key_env=NAME: "
            )
        return ""

    def _broken(self, error: httpx.TransportError) -> Transient:
        """The failure of a connection, in words."""
        if isinstance(error, httpx.ConnectTimeout | httpx.ConnectError):
            return Transient(f"cannot be reached ({error or 'no connection in time'})")
        if isinstance(error, httpx.TimeoutException):
            return Transient(f"said nothing for {self._options.timeout:g} seconds (?timeout)")
        return Transient(f"the connection broke ({str(error) or type(error).__name__})")

    # ------------------------------------------------------------------ connections

    @property
    def _where(self) -> str:
        return f"server {self.address.base}"

    def _open(self) -> httpx.AsyncClient:
        """The connection pool, opened in the event loop that uses it."""
        if self._http is None:
            width = self._options.concurrency
            headers = {"authorization": f"Bearer {self._key.text}"} if self._key.text else {}
            self._http = httpx.AsyncClient(
                headers=headers,
                timeout=httpx.Timeout(
                    self._options.timeout, connect=min(_CONNECT, self._options.timeout), pool=None
                ),
                limits=httpx.Limits(max_connections=width, max_keepalive_connections=width),
                trust_env=not self.address.local,
                # Reading the machine's certificates takes longer than many a request.
                verify=self.address.root.startswith("https"),
            )
        return self._http

    async def close(self) -> None:
        """Closes all connections."""
        http, self._http = self._http, None
        if http is not None:
            await http.aclose()


def at_once(work: Coroutine[Any, Any, Reply]) -> Reply:
    """Runs asynchronous work to its end, inside or outside an event loop.

    Engines are opened by plain calls, also from within a loop, and opening one asks its server a
    few things first.
    """
    results: list[Reply] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(asyncio.run(work))
        except BaseException as error:  # noqa: BLE001  (raised below, in the caller's thread)
            errors.append(error)

    thread = threading.Thread(target=run, name="tts-open-server", daemon=True)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


def _reason(content: bytes) -> tuple[str, object]:
    """A server's own words for an error, and its code if it is JSON of the usual forms."""
    text = content.decode("utf-8", errors="replace").strip()
    code: object = None
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if isinstance(found, dict):
        inner = found.get("error", found)
        if isinstance(inner, dict):
            code = inner.get("code")
            text = str(inner.get("message") or inner.get("detail") or text)
        elif isinstance(inner, str):
            text = inner
    text = " ".join(text.split())
    return (text[:_LONGEST_REASON] + "..." if len(text) > _LONGEST_REASON else text), code
