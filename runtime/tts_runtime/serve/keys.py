"""API keys: who may ask, how often, how much at once, and for how many tokens.

A line of the file is a key and its limits; `#` begins a comment:

    sk-alice  name=alice rate=60/min concurrency=8 tokens=2e6/day
    sk-bob    name=bob
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from math import ceil
from pathlib import Path
from time import monotonic
from typing import Final

from tts_lang.diagnostics import did_you_mean
from tts_lang.readers import read_written
from tts_runtime.serve.errors import ApiError

_PERIODS: Final = {"second": 1, "s": 1, "minute": 60, "min": 60, "hour": 3600, "day": 86_400}
_LIMIT: Final = re.compile(r"([0-9][0-9._]*(?:e[0-9]+)?)(?:/([a-z]+))?")
_LIMITS: Final = ("name", "rate", "concurrency", "tokens")
#: Shorter keys can be guessed.
_SHORTEST: Final = 8


class KeyFileError(Exception):
    """A key file that cannot be used; the message names the line."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """An amount per period; `seconds` is `None` for as long as the server runs."""

    amount: float
    seconds: int | None


@dataclass(slots=True)
class ApiKey:
    """A key: its limits, and what has been used of them.

    Args:
        name: In logs and metrics.
        rate: Requests; `tokens`: drawn by policies.
        concurrency: Requests at once.
    """

    name: str
    rate: Allowance | None = None
    concurrency: int | None = None
    tokens: Allowance | None = None
    clock: Callable[[], float] = monotonic
    in_flight: int = 0
    _spent: float = 0.0
    _reserved: float = 0.0
    _period: int = -1
    _credit: float = field(default=-1.0)
    _seen: float = 0.0

    @contextmanager
    def request(self, bound: int | None) -> Iterator[Callable[[int | None], None]]:
        """One request within the limits; gives the function that takes the tokens it has drawn.

        The plan's bound is reserved until the end, so that a budget is never exceeded. Then the
        request is charged with what the function was told last: a number, or `None` where nobody
        knows, which counts as all that was reserved, as does not calling it.

        Args:
            bound: Tokens that the request may draw, at most; `None`: any number.

        Raises:
            ApiError: Not within the limits; when to come back.
        """
        if self.concurrency is not None and self.in_flight >= self.concurrency:
            message = f"{self.in_flight} requests of this key run already; it may have no more"
            raise _refused(message, "concurrency", 1)
        self._take_one()
        reserved = self._reserve(bound)
        drawn = reserved

        def paid(tokens: int | None) -> None:
            nonlocal drawn
            drawn = reserved if tokens is None else min(reserved, tokens)

        self.in_flight += 1
        try:
            yield paid
        finally:
            self.in_flight -= 1
            self._reserved -= reserved
            self._spent += drawn

    def _take_one(self) -> None:
        """A token bucket: one period's requests at most at once."""
        if self.rate is None or self.rate.seconds is None:
            return
        now = self.clock()
        per_second = self.rate.amount / self.rate.seconds
        if self._credit < 0:
            self._credit, self._seen = self.rate.amount, now
        self._credit = min(self.rate.amount, self._credit + (now - self._seen) * per_second)
        self._seen = now
        if self._credit < 1 - 1e-9:
            wait = ceil((1 - self._credit) / per_second)
            raise _refused("too many requests of this key", "rate", wait)
        self._credit -= 1

    def _reserve(self, bound: int | None) -> float:
        if self.tokens is None:
            return 0.0
        seconds = self.tokens.seconds
        now = self.clock()
        if seconds is not None and int(now // seconds) != self._period:
            self._period, self._spent = int(now // seconds), 0.0
        left = self.tokens.amount - self._spent - self._reserved
        if bound is None:
            message = "nothing bounds the tokens of this model, and this key has a budget"
            raise ApiError(403, message, "over_budget")
        if bound > left:
            message = f"this may draw {bound:,} tokens, but the key has {max(0, int(left)):,} left"
            if seconds is None or bound > self.tokens.amount:
                raise ApiError(403, message, "over_budget")
            raise _refused(message, "budget", ceil(seconds - now % seconds))
        self._reserved += bound
        return float(bound)


def _refused(message: str, code: str, after: int) -> ApiError:
    headers = {"Retry-After": str(after)}
    return ApiError(429, f"{message}; come back in {after} s", f"{code}_exceeded", headers=headers)


class Keys:
    """The API keys of a file, or access for everybody."""

    def __init__(self, keys: dict[str, ApiKey] | None = None) -> None:
        self._keys = keys
        self._everybody = ApiKey("everybody")

    @property
    def open(self) -> bool:
        """Whether everybody may ask."""
        return self._keys is None

    def of(self, authorization: str | None) -> ApiKey:
        """The key in an `Authorization` header.

        Raises:
            ApiError: It is missing or unknown.
        """
        if self._keys is None:
            return self._everybody
        scheme, _, secret = (authorization or "").partition(" ")
        key = None
        if scheme.lower() == "bearer":
            # Compared as digests: how long it takes says nothing about the keys.
            key = self._keys.get(_digest(secret.strip()))
        if key is None:
            raise ApiError(
                401,
                "the API key is missing or unknown: send `Authorization: Bearer KEY`",
                "invalid_api_key",
                headers={"WWW-Authenticate": "Bearer"},
            )
        return key


def _digest(secret: str) -> str:
    return sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def read_keys(path: Path) -> Keys:
    """The keys of a file.

    Raises:
        KeyFileError: It cannot be read, or a line is wrong.
    """
    try:
        text = read_written(path).decode("utf-8-sig")  # editors on Windows begin with a mark
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise KeyFileError(f"{path} cannot be read: {reason}") from error
    except UnicodeDecodeError as error:
        raise KeyFileError(f"{path} is not UTF-8 text") from error
    keys: dict[str, ApiKey] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        try:
            key = _key(words, number)
        except ValueError as error:
            raise KeyFileError(f"{path}:{number}: {error}") from None
        if _digest(words[0]) in keys:
            raise KeyFileError(f"{path}:{number}: this key is there already")
        keys[_digest(words[0])] = key
    if not keys:
        raise KeyFileError(f"{path} holds no key; a line is KEY name=alice rate=60/min")
    return Keys(keys)


def _key(words: list[str], number: int) -> ApiKey:
    if len(words[0]) < _SHORTEST:
        raise ValueError(f"a key has at least {_SHORTEST} characters")
    if not words[0].isascii():
        raise ValueError("a key is made of ASCII characters: no others arrive in a header")
    key = ApiKey(f"key {number}")
    names = [word.partition("=")[0] for word in words[1:]]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ValueError(f"`{twice}` is there twice")
    for word in words[1:]:
        name, equals, value = word.partition("=")
        if name not in _LIMITS or not equals or not value:
            hint = did_you_mean(name, _LIMITS) or f"limits are {', '.join(_LIMITS)}"
            raise ValueError(f"`{word}`: expected LIMIT=VALUE; {hint}")
        if name == "name":
            key.name = value
            continue
        allowance = _allowance(name, value)
        if name == "concurrency":
            key.concurrency = int(allowance.amount)
        elif name == "rate":
            key.rate = allowance
        else:
            key.tokens = allowance
    return key


def _allowance(name: str, text: str) -> Allowance:
    match = _LIMIT.fullmatch(text)
    try:
        amount = float(match[1].replace("_", "")) if match else -1.0
    except ValueError:
        amount = -1.0
    period = match[2] if match else None
    examples = {"rate": "60/min", "concurrency": "8", "tokens": "2e6/day"}
    wrong = period is not None and (period not in _PERIODS or name == "concurrency")
    if amount < 1 or amount == float("inf") or wrong or (name == "rate" and period is None):
        raise ValueError(f"`{name}={text}`: expected a limit such as {name}={examples[name]}")
    return Allowance(amount, None if period is None else _PERIODS[period])
