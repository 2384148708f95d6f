"""Children are numbered in program order, whatever the order in which rows become known (C2, C8).

Every execution of an operation that numbers children has a sequence number in its scope. It may
number a node made at `created` at once, unless an operation between the two has rows that are not
known yet: these might lie on the same node, and come first.
"""

from __future__ import annotations

from asyncio import Future, get_running_loop
from collections.abc import Callable


class NumberingBarrier:
    """One scope's operations that have not numbered all their rows."""

    __slots__ = ("_open", "_sequence", "_waiting", "_watchers", "strict")

    def __init__(self) -> None:
        self._sequence = 0
        self._open: dict[int, int] = {}
        self._waiting: list[tuple[int, int, Callable[[None], None]]] = []
        self._watchers: list[tuple[int, Future[None]]] = []
        #: Rows may lie on nodes made in calls: wait for all earlier operations.
        self.strict = False

    def enter(self) -> int:
        """The sequence number of one more operation."""
        self._sequence += 1
        return self._sequence

    def ready(self, created: int, sequence: int) -> bool:
        """Whether operation `sequence` may number a node made at `created` now."""
        if not self._open:
            return True
        lowest = 0 if self.strict else created
        for earlier in self._open:  # noqa: SIM110  (asked for every row: `any` is slower)
            if lowest < earlier < sequence:
                return False
        return True

    def hold(self, sequence: int) -> None:
        """One more row of this operation waits to be numbered."""
        self._open[sequence] = self._open.get(sequence, 0) + 1

    def wait(self, created: int, sequence: int, numbered: Callable[[None], None]) -> None:
        """Calls `numbered` as soon as the held row may be numbered."""
        self._waiting.append((created, sequence, numbered))

    def release(self, sequence: int, rows: int = 1) -> list[Callable[[None], None]]:
        """Rows have been numbered; gives what may be numbered now."""
        left = self._open[sequence] - rows
        if left:
            self._open[sequence] = left
            return []
        del self._open[sequence]
        woken: list[Callable[[None], None]] = []
        if self._waiting:
            waiting, self._waiting = self._waiting, []
            for created, waiter, numbered in waiting:
                if self.ready(created, waiter):
                    woken.append(numbered)
                else:
                    self._waiting.append((created, waiter, numbered))
        for before, future in self._watchers:
            if not future.done() and self.clear(before):
                future.set_result(None)
        self._watchers = [pair for pair in self._watchers if not pair[1].done()]
        return woken

    def clear(self, before: int) -> bool:
        """Whether every operation before this one has numbered all its rows."""
        return not any(earlier < before for earlier in self._open)

    def cleared(self, before: int) -> Future[None]:
        """Done as soon as `clear(before)`."""
        future: Future[None] = get_running_loop().create_future()
        if self.clear(before):
            future.set_result(None)
        else:
            self._watchers.append((before, future))
        return future
