"""When a request that failed is sent again: a fixed schedule, unless the server names a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Protocol


def passes(status: int) -> bool:
    """Whether the same request may succeed after this status.

    Of the 5xx only "not implemented" and "version not supported" say that it never will; 520 to 529
    are those of proxies (Cloudflare) and of overloaded hosts.
    """
    if status in (408, 409, 425, 429):
        return True
    return 500 <= status < 600 and status not in (501, 505)


class Transient(Exception):
    """A failure that may pass.

    Args:
        reason: What happened, for the message if it never passes.
        wait: Seconds that the server asks to wait; `None`: it says nothing.
    """

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.wait = wait


class Spoilt(Transient):
    """An answer that is none; asked for often enough, it is its request's fault."""


class Away(Transient):
    """Nobody answers at the server's address."""


class Clock(Protocol):
    """Time, which tests make pass at once."""

    def now(self) -> float:
        """Seconds since the epoch."""

    async def sleep(self, seconds: float) -> None:
        """Lets so many seconds pass."""


class WallClock:
    """The machine's time."""

    def now(self) -> float:
        """Seconds since the epoch."""
        return time.time()

    async def sleep(self, seconds: float) -> None:
        """Lets so many seconds pass."""
        await asyncio.sleep(seconds)


@dataclass(frozen=True, slots=True)
class Schedule:
    """Waits between attempts: `first` seconds, then `factor` times the last, at most `longest`.

    Without jitter: the same failures give the same run. The engine's concurrency limit holds while
    a request waits, so that a server in trouble is not asked by everybody at once.

    Args:
        attempts: How often a request is sent, at most.
        first, factor, longest: As above, in seconds.
        patience: So long a server that is away is waited for, and one that asks for a longer
            wait.
    """

    attempts: int = 7
    first: float = 0.5
    factor: float = 2.0
    longest: float = 30.0
    patience: float = 300.0

    def wait(self, failures: int) -> float:
        """Seconds to wait after so many failures (>= 1)."""
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
    # A NaN is no number of seconds: it compares false.
    return seconds if seconds >= 0 else None


def _seconds(date: str) -> float | None:
    """An HTTP date in seconds since the epoch."""
    try:
        moment = parsedate_to_datetime(date)
        return moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()
    except (ValueError, OverflowError):
        return None
