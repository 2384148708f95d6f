"""A clock for retries: waiting takes no time and is written down."""

from __future__ import annotations

import asyncio


class FakeClock:
    """Seconds pass only by sleeping."""

    def __init__(self, now: float = 1_000_000.0) -> None:
        self.time = now
        self.slept: list[float] = []

    def now(self) -> float:
        """Seconds since the epoch."""
        return self.time

    async def sleep(self, seconds: float) -> None:
        """Passes at once; others get their turn."""
        self.slept.append(seconds)
        self.time += seconds
        await asyncio.sleep(0)
