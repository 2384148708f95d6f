"""Admission: room for a number of candidates at once, and a fair queue.

The queue is start-time fair (Goyal et al. 1996, Start-time Fair Queuing) between flows: the
requests of one key and of one size, to a power of two. A request waits behind what its own flow has
asked for before, in candidates, so that small requests pass large ones, and keys that ask little
those that ask for much.

Large requests are not interrupted, so one that is small may have to wait for the end of a search. A
part of the room on top is therefore for small ones alone.
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

#: A request of at most this part of the room is small; those may take this part of it on top.
_SMALL: Final = 16
_ON_TOP: Final = 8
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
        running: Candidates of all requests that run, at most, but for an eighth more of small ones;
            a larger request runs alone.
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
        #: Candidates of the small requests that run; who waits: large ones, small ones.
        self._small = 0
        self._queues: tuple[list[_Waiting], list[_Waiting]] = ([], [])
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
        if not self._on_top(weight) and (self._live or not self._fits(weight)):
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
            self._leave(weight)
            self._seconds += _RECENT * (monotonic() - begun - self._seconds)
            self._admit()

    def retry_after(self) -> int:
        """Seconds until the queue has probably moved on."""
        ahead = self._live / max(1, self.running)
        return max(1, min(600, ceil(self._seconds * ahead)))

    def _fits(self, weight: int) -> bool:
        return not self.running or self.rows + weight <= self.limit or self._on_top(weight)

    def _is_small(self, weight: int) -> bool:
        return weight * _SMALL <= self.limit

    def _on_top(self, weight: int) -> bool:
        return self._is_small(weight) and (self._small + weight) * _ON_TOP <= self.limit

    def _leave(self, weight: int) -> None:
        self.rows -= weight
        self.running -= 1
        if self._is_small(weight):
            self._small -= weight

    def _enter(self, start: float, weight: int) -> None:
        self.rows += weight
        self.running += 1
        if self._is_small(weight):
            self._small += weight
        self._clock = max(self._clock, start)

    async def _wait(self, start: float, weight: int) -> None:
        self._number += 1
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue = self._queues[self._is_small(weight)]
        heappush(queue, _Waiting(start, self._number, weight, turn))
        self._live += 1
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # it was its turn just now
                self._leave(weight)
            else:
                self._live -= 1
            self._admit()
            raise

    def _admit(self) -> None:
        while (queue := self._next()) is not None:
            first = heappop(queue)
            self._live -= 1
            self._enter(first.start, first.weight)
            first.turn.set_result(None)
        if not self.running:
            self._finish.clear()
            self._clock = 0.0

    def _next(self) -> list[_Waiting] | None:
        """The queue whose first request may run: the one that came first, else a small one."""
        for queue in self._queues:
            while queue and queue[0].turn.cancelled():
                heappop(queue)
        waiting = sorted((queue for queue in self._queues if queue), key=lambda queue: queue[0])
        if not waiting:
            return None
        if self._fits(waiting[0][0].weight):
            return waiting[0]
        small = self._queues[True]
        return small if small and self._on_top(small[0].weight) else None
