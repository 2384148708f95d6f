"""The client of every server: connections, keys, retries, and messages for failures."""

from __future__ import annotations

import asyncio
import logging
from codecs import BOM_UTF8
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar

from aiohttp import ClientError, ClientResponse
from pydantic import Field

from tts_lang.printable import concealed
from tts_lang.readers import MAX_REPLY_BYTES, parse_json
from tts_runtime.engines.base import CandidateError, EngineError, Fault
from tts_runtime.engines.http.address import Address, Key
from tts_runtime.engines.http.connections import Connections, broken, lines_of
from tts_runtime.engines.http.retry import (
    Away,
    Clock,
    Schedule,
    Spoilt,
    Transient,
    WallClock,
    passes,
    retry_after,
    wait_in,
)
from tts_runtime.engines.http.semaphore import PrioritySemaphore
from tts_runtime.engines.http.words import Words, problem_in, shown, words_in
from tts_runtime.engines.options import NoOptions

_LOGGER = logging.getLogger(__name__)

Reply = TypeVar("Reply")

#: Attempts per request when a server is opened.
_TO_OPEN: Final = 3
#: Timeout of each of them, in seconds: the first may have to load the model.
_OPENING: Final = 300.0
#: Its multiples, without their whole parts, lie evenly between 0 and 1 however many there are.
_GOLDEN: Final = 0.618034
#: What lines before the first data of a stream begin with.
_FIELDS: Final = (":", "event:", "id:", "retry:")
#: Characters of a text of which a part is quoted.
_LOOKED_AT: Final = 100_000


class HttpOptions(NoOptions):
    """Options of every engine on a server."""

    key_env: str | None = Field(default=None, description="Environment variable with the API key")
    key_header: str = Field(
        default="authorization",
        pattern="^[A-Za-z0-9-]+$",
        description="Header of the key; Azure: api-key",
    )
    concurrency: int = Field(
        default=64,
        gt=0,
        description="Maximum number of concurrent requests; of a policy on vLLM 256 by default",
    )
    timeout: float = Field(
        default=600.0, gt=0, description="Seconds without data until a request fails"
    )
    attempts: int = Field(default=7, gt=0, description="Maximum number of attempts per request")
    patience: float = Field(
        default=300.0, ge=0, description="Seconds to wait for an unreachable server"
    )
    deadline: float = Field(
        default=3600.0, ge=0, description="Seconds for a request and its retries; 0: no limit"
    )


class Refused(EngineError):
    """An error reply that a retry would not change.

    Args:
        status: HTTP status.
        words: The server's description of the error.
        raw: The whole reply.
    """

    def __init__(self, message: str, status: int, words: Words, raw: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.words = words
        self.raw = raw


class Failing(Transient):
    """An internal error of the server (500).

    Args:
        refused: What it is if a retry changes nothing.
        least: As for `Transient`.
    """

    def __init__(self, reason: str, refused: Refused, least: float = 0.0) -> None:
        super().__init__(reason, least)
        self.refused = refused


class HttpClient:
    """Requests to one server.

    Args:
        address: Where it is.
        key: Its API key.
        options: Limits.
        clock: Passes the time between attempts.
    """

    def __init__(
        self, address: Address, key: Key, options: HttpOptions, clock: Clock | None = None
    ) -> None:
        self.address = address
        self._key = key
        self._options = options
        self._schedule = Schedule(attempts=options.attempts, patience=options.patience)
        self._clock = clock or WallClock()
        self._semaphore = PrioritySemaphore(options.concurrency)
        self._paused_until = 0.0
        self._waited = False
        self._pauses = self._waiting = 0
        self._spread = 0.0
        self._connections = Connections(address, key, options.concurrency, options.timeout)

    def to_open(self) -> HttpClient:
        """A client for opening a server, in an event loop of its own.

        It gives up soon: the user has just started a run, perhaps with a wrong address.
        """
        deadline = min(self._options.deadline or _OPENING, _OPENING)
        fewer = {
            "attempts": min(_TO_OPEN, self._options.attempts),
            "patience": 0.0,
            "deadline": deadline,
        }
        options = self._options.model_copy(update=fewer)
        return HttpClient(self.address, self._key, options, self._clock)

    async def retried(self, work: Callable[[], Awaitable[Reply]], priority: int = 0) -> Reply:
        """The result of `work`, retried while it raises `Transient`.

        Raises:
            EngineError: It does not succeed.
        """
        async with self._semaphore.permit(priority):
            return await self._retried(work)

    async def _retried(self, work: Callable[[], Awaitable[Reply]]) -> Reply:
        started = self._clock.now()
        attempts = failures = 0
        away: float | None = None
        while True:
            started += await self._pause()
            pauses = self._pauses
            try:
                async with asyncio.timeout(self._left(started)):
                    reply = await work()
                self._waited = False
                return reply
            except Transient as error:
                problem = error
            except TimeoutError:
                raise self._late(f"no answer in time (attempt {attempts + 1})") from None
            reason = shown(concealed(problem.reason))
            failures += 1
            if isinstance(problem, Away):
                # A server that was there may be restarting.
                away = self._clock.now() if away is None else away
                lost = self._clock.now() - away >= self._schedule.patience
            else:
                away = None
                attempts += 1
                lost = False
            if attempts >= self._schedule.attempts or (
                lost and failures >= self._schedule.attempts
            ):
                raise self._given_up(problem, f"{reason}; given up after {failures} attempts")
            wait = max(problem.least, self._schedule.wait(failures))
            if wait > max(self._schedule.patience, self._schedule.longest):
                if not self._may_pause(wait, pauses):
                    raise EngineError(
                        f"{self._where}: {reason}; it asks to wait {wait:.0f} seconds", wait
                    )
                continue
            left = self._left(started)
            if left is not None and wait >= left:
                raise self._late(reason)
            # Requests that returned together would be refused together, again and again.
            self._spread = (self._spread + _GOLDEN) % 1 if self._waiting else 0.0
            wait += self._spread * (wait if left is None else min(wait, left - wait))
            self._waiting += 1
            try:
                await self._clock.sleep(wait)
            finally:
                self._waiting -= 1

    def _may_pause(self, wait: float, pauses: int) -> bool:
        """Whether all requests pause because the server asks for a long wait.

        They pause once, until one of them succeeds. `pauses`: their number at the request's start.
        """
        patience = self._schedule.patience
        if pauses < self._pauses:
            return True
        if self._waited or not patience:
            return False
        self._waited = True
        self._pauses += 1
        self._paused_until = self._clock.now() + patience
        _LOGGER.warning(
            "%s asks to wait %.0f seconds: all requests pause for %.0f (?patience)",
            self._where,
            wait,
            patience,
        )
        return True

    async def _pause(self) -> float:
        """Waits while all requests pause; returns the seconds waited."""
        rest = self._paused_until - self._clock.now()
        if rest <= 0:
            return 0.0
        await self._clock.sleep(rest)
        return rest

    def _left(self, started: float) -> float | None:
        """Seconds until the deadline of a request and its retries; `None` without one."""
        if not self._options.deadline:
            return None
        return max(0.0, self._options.deadline - (self._clock.now() - started))

    def _late(self, reason: str) -> EngineError:
        return CandidateError(
            Fault.UNUSABLE,
            f"{self._where}: {reason}; the deadline of {self._options.deadline:g} seconds "
            "(?deadline) has passed",
        )

    def _given_up(self, problem: Transient, reason: str) -> EngineError:
        """A failing server ends a problem; a malformed reply ends a candidate."""
        message = f"{self._where}: {reason}"
        if isinstance(problem, Spoilt):
            return CandidateError(Fault.UNUSABLE, message)
        return EngineError(message, problem.least or None)

    # ------------------------------------------------------------------ one attempt

    async def get(self, url: str) -> Any:
        """The JSON at a URL, in one attempt.

        Raises:
            Transient, EngineError: There is none.
        """
        return await self._json("GET", url, None)

    async def post(self, url: str, body: Mapping[str, Any]) -> Any:
        """The JSON reply to a POST request, in one attempt; errors as for `get`."""
        return await self._json("POST", url, body)

    async def _json(self, method: str, url: str, body: Mapping[str, Any] | None) -> Any:
        async with self._answer(method, url, body) as response:
            content = await self._content(response)
        text = content.decode("utf-8", errors="replace")
        try:
            found = parse_json(text)
        except ValueError as error:
            raise Spoilt(f"the answer is not JSON ({error}): {_quoted(text)}") from None
        self._check_reply(found, response.headers, text)
        return found

    async def events(self, url: str, body: Mapping[str, Any]) -> AsyncGenerator[Any, None]:
        """The JSON of server-sent events as they arrive, in one attempt; errors as for `get`.

        Leaving the loop early closes the connection, which ends the request at the server. The
        reply of a server that does not stream is the only event.

        Raises:
            Transient: In particular, when the stream ends without `[DONE]`.
        """
        async with self._answer("POST", url, body) as response:
            data: list[str] = []
            whole: list[str] = []  # a reply that is no stream, whatever its header says
            streamed = failed = False
            async for line in lines_of(response):
                if line.startswith("data:"):
                    streamed = True
                    whole.clear()
                if whole or (line.strip() and not streamed and not line.startswith(_FIELDS)):
                    whole.append(line)
                    continue
                if line.startswith("event:"):
                    failed = line[6:].strip() == "error"
                if line and not line.startswith("data:"):
                    continue
                part = line[5:].strip()
                if part == "[DONE]" and not data:
                    return
                data += [part] if part else []
                if not data:
                    failed = failed and bool(line)  # an event without data is none
                    continue
                if line and (failed or len(data) > 1):
                    continue
                try:
                    event = self._event("\n".join(data), response.headers, failed=failed)
                except Spoilt:
                    if not line:
                        raise
                    continue  # an event of several lines ends with an empty one
                data.clear()
                failed = False
                yield event
            if data or whole:
                yield self._event("\n".join(whole or data), response.headers, failed=failed)
            if whole:
                return
        raise Transient("the stream broke off")

    @asynccontextmanager
    async def _answer(
        self, method: str, url: str, body: Mapping[str, Any] | None
    ) -> AsyncIterator[ClientResponse]:
        """A successful response whose body is still to be read.

        Raises:
            Transient, EngineError: It is not successful.
        """
        try:
            response = await self._connections.send(method, url, body)
            try:
                if response.status >= 300:
                    content = await self._content(response)
                    self._check(response.status, response.headers, content)
                yield response
            finally:
                response.close()  # a connection whose reply has been read is back in the pool
        except ClientError as error:
            raise broken(error, self._options.timeout) from None

    async def _content(self, response: ClientResponse) -> bytes:
        """The whole decompressed body, without a byte order mark."""
        found = bytearray()
        async for part in response.content.iter_any():
            found += part
            if len(found) > MAX_REPLY_BYTES:
                raise CandidateError(
                    Fault.UNUSABLE,
                    f"{self._where}: a reply of more than {MAX_REPLY_BYTES >> 20} MiB is not read",
                )
        return bytes(found).removeprefix(BOM_UTF8)

    def _event(self, data: str, headers: Mapping[str, str], *, failed: bool = False) -> Any:
        """An event's JSON; `failed`: the event is called an error.

        Raises:
            Transient, EngineError: It is none, or an error.
        """
        if failed:
            words = words_in(data.encode())
            self._raise(words.status, words, headers, data)
        try:
            event = parse_json(data)
        except ValueError as error:
            raise Spoilt(f"the stream is not JSON ({error}): {_quoted(data)}") from None
        self._check_reply(event, headers, data)
        return event

    def _check_reply(self, found: Any, headers: Mapping[str, str], text: str) -> None:
        """Raises an error that came with a successful status, by its code."""
        words = problem_in(found)
        if words is not None:
            self._raise(words.status, words, headers, text)

    def _check(self, status: int, headers: Mapping[str, str], content: bytes) -> None:
        """Raises the error of an unsuccessful status."""
        self._raise(status, words_in(content), headers, content.decode("utf-8", errors="replace"))

    def _raise(self, status: int, words: Words, headers: Mapping[str, str], raw: str) -> None:
        words = words.concealed()
        said = f"HTTP {status}" + (f": {words.reason}" if words.reason else "")
        message = f"{self._where}: {self._meaning(status)}{shown(said)}"
        refused = Refused(message, status, words, concealed(raw))
        if not passes(status) or words.code == "insufficient_quota":
            raise refused
        least = retry_after(headers, self._clock.now())
        if least is None:
            least = wait_in(raw)
        if status == 500:
            raise Failing(said, refused, least)
        raise Transient(said, least)

    def _meaning(self, status: int) -> str:
        """Advice to the user about an HTTP status."""
        variable = self._key.variable
        if status in (401, 403):
            if self._key.text:
                return f"the key in {variable} is refused (expired, or for another account?): "
            return (
                f"it requires a key: set the environment variable {variable}, or name another with "
                "?key_env=NAME: "
            )
        return ""

    @property
    def _where(self) -> str:
        return f"server {self.address.base}"

    async def close(self) -> None:
        """Closes all connections."""
        await self._connections.close()


def _quoted(text: str) -> str:
    """The beginning of a text."""
    return repr(concealed(text[:_LOOKED_AT])[:80])
