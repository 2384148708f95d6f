"""Connections to one server: a pool, redirects, and what a failure of one means."""

from __future__ import annotations

import json
import os
import re
import ssl
from base64 import b64encode
from codecs import BOM_UTF8
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final
from urllib.parse import unquote
from urllib.request import getproxies, proxy_bypass

import aiohttp
import certifi
import orjson
from yarl import URL

from tts_lang.printable import concealed
from tts_lang.readers import MAX_EVENT_BYTES, MAX_STREAM_BYTES
from tts_runtime.engines.base import CandidateError, EngineError, Fault
from tts_runtime.engines.http.address import Address, Key
from tts_runtime.engines.http.retry import Away, Spoilt, Transient

#: Timeout of a connection, in seconds.
_CONNECT: Final = 20.0
#: Seconds until an unused connection is closed: servers close theirs after five.
_KEPT: Final = 4.0
#: Maximum number of redirects.
_REDIRECTS: Final = 5
#: Bytes of a header of a reply.
_HEADER: Final = 1 << 16
_LINE_END: Final = re.compile(rb"\r\n?|\n")


class Connections:
    """A pool of connections to one server, opened in the event loop that uses it.

    Args:
        address: The server.
        key: Its API key.
        width: Maximum number of connections.
        timeout: Seconds without data until a request fails.
    """

    def __init__(self, address: Address, key: Key, width: int, timeout: float) -> None:
        self._address = address
        self._key = key
        self._width = width
        self._timeout = timeout
        self._session: aiohttp.ClientSession | None = None

    async def send(
        self, method: str, url: str, body: Mapping[str, Any] | None
    ) -> aiohttp.ClientResponse:
        """The response to a request, following redirects; its body is still to be read.

        The key goes to the server's own address only, and a redirect that would drop the body is
        not followed.

        Raises:
            aiohttp.ClientError: The connection broke (`broken`).
            Transient, EngineError: A redirect leads nowhere, or the address or the environment's
                proxy is none.
        """
        session = self._open()
        headers = {"accept-encoding": "gzip", **self._key.headers()}
        data = None if body is None else _encoded(body)
        if data is not None:
            headers["content-type"] = "application/json"
        here = URL(self._address.with_query(url))
        for _ in range(_REDIRECTS):
            proxy, password = (None, {}) if self._address.local else _proxy(here)
            try:
                response = await session.request(
                    method,
                    here,
                    data=data,
                    # Without encryption there is no CONNECT: the proxy reads the request itself.
                    headers=headers | password if here.scheme == "http" else headers,
                    allow_redirects=False,
                    proxy=proxy,
                    proxy_headers=password,
                )
            except UnicodeError:
                raise EngineError(
                    f"server {self._address.base}: `{here.host}` is no name of a machine: a part "
                    "of it is empty or too long"
                ) from None
            location = response.headers.get("location")
            if location is None or response.status not in (301, 302, 303, 307, 308):
                return response
            response.close()
            try:
                there = here.join(URL(location))
            except ValueError:
                raise Transient("it redirects to an address that is none") from None
            dropped = data is not None and response.status <= 303
            if dropped or here.scheme != there.scheme:
                raise EngineError(
                    f"server {self._address.base}: HTTP {response.status}: it redirects to "
                    f"{unquote(str(there))}: use that address"
                )
            if here.origin() != there.origin():
                for name in self._key.headers():
                    headers.pop(name, None)
            here = there
        raise EngineError(
            f"server {self._address.base}: too many redirects, last to {unquote(str(here))}"
        )

    async def close(self) -> None:
        """Closes all connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            secure = self._address.root.startswith("https")
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=self._width,
                    keepalive_timeout=_KEPT,
                    # Reading the machine's certificates takes longer than many requests.
                    ssl=_certificates() if secure else True,
                ),
                timeout=aiohttp.ClientTimeout(
                    total=None, sock_connect=min(_CONNECT, self._timeout), sock_read=self._timeout
                ),
                max_line_size=_HEADER,
                max_field_size=_HEADER,
            )
        return self._session


def _proxy(here: URL) -> tuple[URL | None, dict[str, str]]:
    """The proxy that the environment names for an address, if any, and the header of its password.

    aiohttp's own look-up reads passwords from `.netrc`, too, where the key's header would stand.

    Raises:
        EngineError: It is of a kind that is not supported.
    """
    named = getproxies().get(here.scheme)
    if not named or proxy_bypass(here.host or ""):
        return None, {}
    try:
        proxy = URL(named if "://" in named else f"http://{named}")
    except ValueError:
        proxy = URL()
    if proxy.scheme not in ("http", "https") or not proxy.host:
        kind = f"of kind `{proxy.scheme}`" if proxy.scheme and proxy.host else "no address"
        raise EngineError(
            f"the proxy in the environment variable {here.scheme}_proxy is {kind}: name an HTTP "
            f"proxy, or unset it, or let NO_PROXY={here.host}"
        )
    word = b64encode(f"{proxy.user or ''}:{proxy.password or ''}".encode()).decode()
    password = {} if proxy.user is None else {"proxy-authorization": f"Basic {word}"}
    return proxy.with_user(None), password


def broken(error: aiohttp.ClientError, timeout: float) -> Transient:
    """A failed connection as an error; `timeout`: see `Connections`."""
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
        why = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
        said = concealed(str(getattr(why, "strerror", None) or why)) or "no connection in time"
        if isinstance(error, aiohttp.ClientProxyConnectionError):
            said = f"through the environment's proxy {error.host}:{error.port}: {said}"
        return Away(f"cannot be reached ({said})")
    if isinstance(error, aiohttp.ServerTimeoutError):
        return Transient(f"said nothing for {timeout:g} seconds (?timeout)")
    said = concealed(str(error))
    if isinstance(error, aiohttp.ClientPayloadError) and "encoding" in said:
        return Spoilt(f"the answer cannot be unpacked ({said})")
    return Transient(f"the connection broke ({said or type(error).__name__})")


async def lines_of(response: aiohttp.ClientResponse) -> AsyncIterator[str]:
    """The lines of a body, as they come; CR, LF and CR LF end them, a byte order mark is none.

    Raises:
        CandidateError: A line, or the body, is longer than any reply.
    """
    rest, total, half, first = b"", 0, False, True
    async for part in response.content.iter_any():
        # A line ends at its CR, without waiting for the LF that may come in the next part.
        *lines, rest = _LINE_END.split(rest + part[half and part[:1] == b"\n" :])
        half = part[-1:] == b"\r"
        total += len(part)
        if total > MAX_STREAM_BYTES or max(len(rest), *map(len, lines), 0) > MAX_EVENT_BYTES:
            raise CandidateError(Fault.UNUSABLE, "a stream is longer than any reply")
        for line in lines:
            yield (line.removeprefix(BOM_UTF8) if first else line).decode("utf-8", "replace")
            first = False
    if rest:
        yield (rest.removeprefix(BOM_UTF8) if first else rest).decode("utf-8", "replace")


def _encoded(body: Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(body)
    except TypeError:  # halves of surrogate pairs, integers of more than 64 bits
        return json.dumps(body, allow_nan=False).encode()


def _certificates() -> ssl.SSLContext:
    """Those that the environment names, else those that come with Python's packages.

    Raises:
        EngineError: They cannot be read.
    """
    file, folder = (os.environ.get(name) for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"))
    if file or folder:
        try:
            return ssl.create_default_context(cafile=file or None, capath=folder or None)
        except OSError as error:
            name = "SSL_CERT_FILE" if file else "SSL_CERT_DIR"
            raise EngineError(
                f"the certificates in the environment variable {name} (`{file or folder}`) cannot "
                f"be read ({error.strerror or error}): correct or unset it"
            ) from error
    return ssl.create_default_context(cafile=certifi.where())
