"""An event loop whose time is simulated: timers fire at once, in order, without waiting.

Runs schedules of hours in milliseconds and always the same way. Nothing outside the loop (sockets,
threads) can wake it.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine, Mapping
from math import inf, nextafter
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from _typeshed import FileDescriptorLike

Result = TypeVar("Result")


class Deadlock(RuntimeError):
    """Every task waits, and no timer is set."""


class VirtualClock(selectors.BaseSelector):
    """A selector that moves time forward instead of waiting."""

    def __init__(self) -> None:
        self.now = 0.0
        self._real = selectors.DefaultSelector()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Advances time by `timeout` seconds."""
        if timeout is None:
            raise Deadlock("every task waits, and no timer is set")
        if timeout > 0:
            self.now = max(self.now + timeout, nextafter(self.now, inf))
        return []

    def register(
        self, fileobj: FileDescriptorLike, events: int, data: Any = None
    ) -> selectors.SelectorKey:
        """As a real selector does; the event loop registers its own wake-up pipe."""
        return self._real.register(fileobj, events, data)

    def unregister(self, fileobj: FileDescriptorLike) -> selectors.SelectorKey:
        """As a real selector does."""
        return self._real.unregister(fileobj)

    def get_map(self) -> Mapping[FileDescriptorLike, selectors.SelectorKey]:
        """As a real selector does."""
        return self._real.get_map()

    def close(self) -> None:
        """As a real selector does."""
        self._real.close()


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop on a virtual clock that starts at 0 seconds."""

    def __init__(self) -> None:
        self._virtual = VirtualClock()
        super().__init__(self._virtual)

    def time(self) -> float:
        """Virtual seconds since the loop was created."""
        return self._virtual.now


def run_virtual(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """As `asyncio.run`, in virtual time.

    Raises:
        Deadlock: Every task waits, no timer is set, and the coroutine has not finished.
    """
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(coroutine)
