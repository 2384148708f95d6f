"""Addresses of servers (`http://host:8000/v1#model`), and API keys from environment variables.

A key never appears in a command line, a run directory or a message.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import quote, urlsplit

from tts_lang.printable import conceal
from tts_runtime.engines.base import EngineError
from tts_runtime.engines.options import refuse_key

#: The variable of the key unless `key_env` names another.
DEFAULT_KEY = "OPENAI_API_KEY"
#: Shorter texts are words (`EMPTY`, as in vLLM's documentation), not secrets.
_SECRET = 6
#: Ends of addresses that are copied from examples for `curl`.
_ENDPOINT = re.compile(r"/+(chat/)?completions$")
_VERSION = re.compile(r"v\d+(alpha|beta)?\d*")
#: Kubernetes' way to a service, with the version of its own interface.
_CLUSTER = re.compile(r".*/(services|pods)/[^/]+/proxy(?=/|$)")


@dataclass(frozen=True, slots=True)
class Address:
    """A server and one of its models.

    Args:
        root: Without the version: `http://host:8000`.
        base: Of the OpenAI interface: `http://host:8000/v1`.
        model: As the server calls it; empty: its only one.
        query: Query string of every request: `api-version=2024-10-21`.
        guessed: The user wrote no version at its end, and no endpoint.
    """

    root: str
    base: str
    model: str
    query: str = ""
    guessed: bool = False

    def with_query(self, url: str) -> str:
        """A URL with the query string."""
        return f"{url}?{self.query}" if self.query else url

    @property
    def host(self) -> str:
        """The machine's name."""
        return urlsplit(self.root).hostname or ""

    @property
    def local(self) -> bool:
        """Whether the server runs on this machine, so that no proxy is used."""
        try:
            return self.host == "localhost" or ip_address(self.host).is_loopback
        except ValueError:
            return False


def parse_address(written: str, text: str, api_version: str | None = None) -> Address:
    """The address of an engine name.

    Without a version in its path it gets `/v1`, unless it is that of an endpoint.

    Args:
        written: The whole engine name, for messages.
        text: What follows `openai:` or `http:`, without options.
        api_version: Azure's, where each deployment has an address without a version.

    Raises:
        EngineError: No http(s) address, or one with a password in it.
    """
    refuse_key(written)
    url, _, model = text.partition("#")
    if url.startswith("//"):
        kind = written.partition(":")[0].replace("https", "http")
        address = f"{kind}:{written}" if kind == "http" else f"{kind}:http:{text}"
        raise EngineError(
            f"engine `{written}`: for a server write `{address}" + ("`" if model else "#MODEL`")
        )
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise EngineError(f"engine `{written}`: `{url}` is no address: {error}") from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        hosted = written == f"openai:{url}" and re.fullmatch(r"[\w.-]+", url)
        raise EngineError(
            f"engine `{written}`: expected an address as `http://HOST:PORT/v1#MODEL`"
            + (f", found `{url}`" if url else "")
            + (f"; of OpenAI's own models it is `openai/{url}`" if hosted else "")
        )
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    place = f"{parts.scheme}://{host}" + (f":{port}" if port else "")
    path = parts.path.rstrip("/")
    endpoint = _ENDPOINT.search(path)
    path = path if endpoint is None else path[: endpoint.start()]
    head, slash, last = path.rpartition("/")
    query = "" if api_version is None else f"api-version={quote(api_version, safe='')}"
    if slash and last.startswith("v") and last[1:].isdigit():
        return Address(place + head, place + path, model, query)
    if api_version is not None:
        if head.endswith("/deployments"):
            return Address(place + path, place + path, model or last, query)
        base = f"{place}{path.removesuffix('/openai')}/openai/deployments/{model}"
        return Address(base, base, model, query)
    own = _CLUSTER.sub("", path)
    versioned = any(map(_VERSION.fullmatch, own.split("/")))  # Gemini: `/v1beta/openai`
    added = "" if versioned or endpoint is not None else "/v1"
    return Address(place + path, place + path + added, model, guessed=endpoint is None)


@dataclass(frozen=True, slots=True, repr=False)
class Key:
    """An API key; only the server sees its text.

    Args:
        variable: The environment variable that it comes from.
        text: Empty: none is sent.
        header: `authorization` (as `Bearer`), or Azure's `api-key`.
    """

    variable: str
    text: str
    header: str = "authorization"

    def headers(self) -> dict[str, str]:
        """Headers of a request."""
        if not self.text:
            return {}
        bearer = "Bearer " if self.header == "authorization" else ""
        return {self.header: bearer + self.text}


def find_key(variable: str | None, header: str = "authorization") -> Key:
    """The key in an environment variable, which is concealed from now on.

    Raises:
        EngineError: The requested variable is not set, or contains characters that headers cannot.
    """
    name = variable or DEFAULT_KEY
    text = os.environ.get(name, "").strip()
    if variable and not text:
        raise EngineError(
            f"the environment variable {name} (?key_env) is not set: put the key into it"
        )
    for place, letter in enumerate(text, 1):
        if not "!" <= letter <= "~":
            raise EngineError(
                f"the key in the environment variable {name} has {_named(letter)} (character "
                f"{place} of {len(text)}), which no key has: put the key alone in"
            )
    if len(text) >= _SECRET:
        conceal(text, f"${name}")
    return Key(name, text, header.lower())


def _named(letter: str) -> str:
    """The kind of a character, in words that do not show it."""
    if letter in "\r\n\x0b\x0c\x85\u2028\u2029":
        return "a line break"
    if letter.isspace():
        return "a space"
    return "a control character" if ord(letter) < 0xA0 else "a character outside ASCII"
