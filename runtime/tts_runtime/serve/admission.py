"""Who may run: room for a number of candidates at once, a fair queue for the others.

The queue is start-time fair (Goyal et al. 1996, Start-time Fair Queuing) between flows: the
requests of one key and of one size, to a power of two. A request waits behind what its own flow has
asked for before, in candidates, so that small requests pass large ones, and keys that ask little
those that ask for much.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from heapq import heappop, heappush
from math import ceil
from time import monotonic
from typing import Final

from tts_runtime.serve.errors import ApiError

#: Weight of the last request in the mean time that requests take.
_RECENT: Final = 0.1


@dataclass(order=True, slots=True)
class _Waiting:
    start: float
    number: int
    weight: int = field(compare=False)
    turn: asyncio.Future[None] = field(compare=False)


class Admission:
    """Room for requests.

    Args:
        running: Candidates of all requests that run, at most; a larger request runs alone.
        waiting: Requests that wait, at most; any more are refused with 429.
    """

    def __init__(self, running: int, waiting: int) -> None:
        self.limit = running
        self.longest = waiting
        #: Candidates of the requests that run; requests that run.
        self.rows = 0
        self.running = 0
        #: While false, nobody is admitted: the server is ending.
        self.open = True
        self._queue: list[_Waiting] = []
        self._live = 0
        self._number = 0
        self._clock = 0.0
        self._finish: dict[tuple[str, int], float] = {}
        self._seconds = 1.0

    @property
    def waiting(self) -> int:
        """Requests that wait."""
        return self._live

    @asynccontextmanager
    async def room(self, key: str, rows: int) -> AsyncIterator[None]:
        """Room for a request of that many candidates, from its turn on.

        Raises:
            ApiError: Too many wait, or the server is ending; when to come back.
        """
        weight = min(rows, self.limit)
        if not self.open:
            raise ApiError(
                503, "the server is ending", "shutting_down", headers={"Retry-After": "5"}
            )
        flow = key, weight.bit_length()
        start = max(self._clock, self._finish.get(flow, 0.0))
        self._finish[flow] = start + weight
        if self._live or not self._fits(weight):
            if self._live >= self.longest:
                self._finish[flow] = start
                after = self.retry_after()
                raise ApiError(
                    429,
                    f"{self._live} requests wait already; come back in {after} s",
                    "overloaded",
                    headers={"Retry-After": str(after)},
                )
            await self._wait(start, weight)
        else:
            self._enter(start, weight)
        begun = monotonic()
        try:
            yield
        finally:
            self.rows -= weight
            self.running -= 1
            self._seconds += _RECENT * (monotonic() - begun - self._seconds)
            self._admit()

    def retry_after(self) -> int:
        """Seconds until the queue has probably moved on."""
        ahead = self._live / max(1, self.running)
        return max(1, min(600, ceil(self._seconds * ahead)))

    def _fits(self, weight: int) -> bool:
        return not self.running or self.rows + weight <= self.limit

    def _enter(self, start: float, weight: int) -> None:
        self.rows += weight
        self.running += 1
        self._clock = max(self._clock, start)

    async def _wait(self, start: float, weight: int) -> None:
        self._number += 1
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heappush(self._queue, _Waiting(start, self._number, weight, turn))
        self._live += 1
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # it was its turn just now
                self.rows -= weight
                self.running -= 1
            else:
                self._live -= 1
            self._admit()
            raise

    def _admit(self) -> None:
        while self._queue:
            first = self._queue[0]
            if first.turn.cancelled():
                heappop(self._queue)
                continue
            if not self._fits(first.weight):
                return
            heappop(self._queue)
            self._live -= 1
            self._enter(first.start, first.weight)
            first.turn.set_result(None)
        if not self.running:
            self._finish.clear()
            self._clock = 0.0
