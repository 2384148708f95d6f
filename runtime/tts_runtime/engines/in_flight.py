"""The tasks of an engine that are in flight: one for each request."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Generic, TypeVar

from tts_runtime.engines.base import Load

T = TypeVar("T")


class InFlight(Generic[T]):
    """Tasks that the event loop would forget; each leaves when it is done."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[T]] = set()

    def start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Starts a request; cancelling the task ends it."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def load(self, slots: int) -> Load:
        """The load of an engine with this many slots."""
        running = min(len(self._tasks), slots)
        return Load(running, slots, len(self._tasks) - running)

    async def cancel(self) -> None:
        """Cancels all of them, and waits until they have ended."""
        tasks = [*self._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
