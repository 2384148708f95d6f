"""An event loop whose time is simulated: timers fire at once, in order, without waiting.

Runs schedules of hours in milliseconds and always the same way. Nothing outside the loop (sockets,
threads) can wake it, so it needs nothing of the system's: it runs in a browser, too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from math import inf, nextafter
from typing import Any, TypeVar

Result = TypeVar("Result")


class Deadlock(RuntimeError):
    """Every task waits, and no timer is set."""


class _Clock:
    """What asyncio's loop takes for a selector; it moves time forward instead of waiting."""

    def __init__(self) -> None:
        self.now = 0.0

    def select(self, timeout: float | None = None) -> Sequence[Any]:
        """Advances time by `timeout` seconds; there are never any events."""
        if timeout is None:
            raise Deadlock("every task waits, and no timer is set")
        if timeout > 0:
            self.now = max(self.now + timeout, nextafter(self.now, inf))
        return ()


class VirtualLoop(asyncio.BaseEventLoop):
    """An event loop on a virtual clock that starts at 0 seconds."""

    def __init__(self) -> None:
        super().__init__()
        self._selector = _Clock()

    def time(self) -> float:
        """Virtual seconds since the loop was created."""
        return self._selector.now

    def _process_events(self, event_list: Sequence[Any]) -> None:
        """Nothing: there are no events. `BaseEventLoop` calls it after `select`."""

    def _write_to_self(self) -> None:
        """Nothing: what calls from a thread is seen when time continues."""


def run_virtual(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """As `asyncio.run`, in virtual time; inside a running loop, too, which stands still meanwhile.

    Raises:
        Deadlock: Every task waits, no timer is set, and the coroutine has not finished.
    """
    around = asyncio._get_running_loop()  # a browser's counts as running all the time
    asyncio._set_running_loop(None)
    try:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            return runner.run(coroutine)
    finally:
        asyncio._set_running_loop(around)
