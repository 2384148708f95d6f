"""A semaphore whose waiters are ordered by priority: the lowest number goes first."""

from __future__ import annotations

import asyncio
import heapq
from asyncio import Future
from itertools import count
from types import TracebackType


class PrioritySemaphore:
    """Limits concurrent requests.

    Args:
        width: Maximum number of concurrent requests.
    """

    def __init__(self, width: int) -> None:
        self._free = width
        self._order = count()
        self._waiting: list[tuple[int, int, Future[None]]] = []

    def permit(self, priority: int) -> Permit:
        """A place for one request: `async with semaphore.permit(priority): ...`"""
        return Permit(self, priority)

    async def enter(self, priority: int) -> None:
        """Waits for a free place and takes it."""
        if self._free:
            self._free -= 1
            return
        place: Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (priority, next(self._order), place))
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self.leave()  # it was granted just before: the next waiter gets it
            raise

    def leave(self) -> None:
        """Passes the place to the first waiter."""
        while self._waiting:
            _, _, place = heapq.heappop(self._waiting)
            if not place.done():
                place.set_result(None)
                return
        self._free += 1


class Permit:
    """A request's place in a semaphore."""

    def __init__(self, semaphore: PrioritySemaphore, priority: int) -> None:
        self._semaphore = semaphore
        self._priority = priority

    async def __aenter__(self) -> None:
        await self._semaphore.enter(self._priority)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._semaphore.leave()
