"""When failed requests are retried: on a fixed schedule, but not before a server's own time."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final, Protocol

_AGAIN: Final = re.compile(
    r"""(?:(?:try\ again|retry)\ (?:in|after)|"retryDelay"\s*:\s*")\s*
    (?:(\d{1,6})\s*h(?:ours?)?\s*)?(?:(\d{1,6})\s*m(?:in(?:ute)?s?)?(?![a-z])\s*)?
    (?:(\d{1,9}(?:\.\d{0,9})?)\s*(ms|milliseconds?|s|secs?|seconds?)\b)?""",
    re.IGNORECASE | re.VERBOSE,
)


def passes(status: int) -> bool:
    """Whether a retry may succeed after this status.

    Of the 5xx, only "not implemented" and "version not supported" are permanent; 520 to 529 come
    from proxies (Cloudflare) and overloaded hosts.
    """
    if status in (408, 409, 425, 429):
        return True
    return 500 <= status < 600 and status not in (501, 505)


class Transient(Exception):
    """A failure that a retry may resolve.

    Args:
        reason: What happened, for the message if retries fail.
        least: Seconds that the server asks to wait, at least.
    """

    def __init__(self, reason: str, least: float = 0.0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.least = least


class Spoilt(Transient):
    """A malformed reply; if retries do not help, it is the request's fault."""


class Away(Transient):
    """Nothing answers at the server's address."""


class Clock(Protocol):
    """Time; tests let it pass at once."""

    def now(self) -> float:
        """Seconds since the epoch."""

    async def sleep(self, seconds: float) -> None:
        """Waits for some seconds."""


class WallClock:
    """The machine's time."""

    def now(self) -> float:
        """Seconds since the epoch."""
        return time.time()

    async def sleep(self, seconds: float) -> None:
        """Waits for some seconds."""
        await asyncio.sleep(seconds)


@dataclass(frozen=True, slots=True)
class Schedule:
    """Waits between attempts: `first` seconds, then `factor` times the last, at most `longest`.

    Without jitter, so that the same failures give the same run: a client spreads waits of several
    requests evenly, up to twice as long. A waiting request occupies its slot, so that an overloaded
    server is not flooded.

    Args:
        attempts: Maximum number of attempts per request.
        first, factor, longest: As above, in seconds.
        patience: Seconds to wait for an unreachable server, and for one that asks for a longer
            wait.
    """

    attempts: int = 7
    first: float = 0.5
    factor: float = 2.0
    longest: float = 30.0
    patience: float = 300.0

    def wait(self, failures: int) -> float:
        """Seconds to wait after `failures` (>= 1) failures."""
        return min(self.longest, self.first * self.factor ** (failures - 1))


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds that a reply asks to wait: a number, or a date by the server's clock (RFC 9110).

    `None` without the header or with one that cannot be read.
    """
    text = headers.get("retry-after", "").strip()
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        wanted = _seconds(text)
        if wanted is None:
            return None
        sent = _seconds(headers.get("date", ""))
        return max(0.0, wanted - (now if sent is None else sent))
    # NaN compares false.
    return seconds if seconds >= 0 else None


def wait_in(said: str) -> float:
    """Seconds after which a reply says to try again, where no header does; else 0.

    Gemini has them in `retryDelay`, OpenAI, Azure and Groq in their message: `in 7m12.5s`.
    """
    found = _AGAIN.search(said)
    if found is None:
        return 0.0
    hours, minutes, seconds, unit = found.groups()
    last = float(seconds or 0) / (1000 if (unit or "").startswith("m") else 1)
    return float(hours or 0) * 3600 + float(minutes or 0) * 60 + last


def _seconds(date: str) -> float | None:
    """An HTTP date in seconds since the epoch."""
    try:
        moment = parsedate_to_datetime(date)
        return moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()
    except (ValueError, OverflowError):
        return None
