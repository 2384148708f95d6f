"""Pools: ordered lists of rows, some of which are still being made.

Those are pending rows, each of which resolves to a row, to nothing, or to several rows.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, TypeAlias

from tts_runtime.executor.rows import Row
from tts_runtime.streams import Key

#: What a pending row resolves to.
Content: TypeAlias = "Row | PendingRow | list[Row | PendingRow] | None"
Item: TypeAlias = "Row | PendingRow"


class PendingReply(Protocol):
    """The request to an engine that a pending row waits for."""

    def leave(self, row: PendingRow, /) -> None:
        """The row is not waited for any more."""


#: A callback, called with what is known, and the two other arguments that it is called with.
Waiter: TypeAlias = "tuple[Callable[[Any, Any, Any], None], Any, Any]"


class PendingRow:
    """A place in a pool whose content is not known yet.

    Args:
        key: Stream key of a child that is being generated, which is known beforehand.
        most: It resolves to at most this many rows; 0: unknown.

    `source`: the request that it waits for, if any.
    """

    __slots__ = ("content", "key", "most", "resolved", "source", "waiters")

    def __init__(self, key: Key = b"", most: int = 0) -> None:
        self.key = key
        self.most = most
        self.source: PendingReply | None = None
        self.resolved = False
        self.content: Content = None
        #: Mostly one.
        self.waiters: Waiter | list[Waiter] | None = None

    def then(
        self, callback: Callable[[Content, Any, Any], None], target: Any = None, about: Any = None
    ) -> None:
        """Calls back once, when the content is known; not for resolved rows.

        Called with `target` and `about` after the content: a closure for each row would cost more.
        """
        waiter, before = (callback, target, about), self.waiters
        if before is None:
            self.waiters = waiter
        elif type(before) is list:
            before.append(waiter)
        else:
            self.waiters = [before, waiter]  # type: ignore[list-item]


#: Makes a request, for a path of fewer tokens than a number, if one is given.
Ask: TypeAlias = "Callable[[int | None], PendingReply | None]"


class Demand:
    """Requests for the pending rows of one pool, which are made only as far as they are needed.

    They are those of a pool that only one vote or selection reads (`EarlyExits.sources`). A request
    may be limited to a number of tokens of the path (C74).
    """

    __slots__ = ("_later", "_sealed")

    def __init__(self) -> None:
        #: What waits, the next one last: its place in the pool, the row, what makes its request.
        self._later: list[tuple[int, PendingRow, Ask]] = []
        self._sealed = False

    def add(self, row: PendingRow, request: Ask) -> None:
        """A row whose request can wait, until the pool is there."""
        if self._sealed:
            row.source = request(None)
        else:
            self._later.append((-1, row, request))

    def seal(self, items: Sequence[Item]) -> bool:
        """Takes the places from the pool; false, with all requests made, if they do not show."""
        self._sealed = True
        places = {id(item): place for place, item in enumerate(items) if type(item) is PendingRow}
        later = [(places.pop(id(row), -1), row, request) for _, row, request in self._later]
        self._later = sorted(later, key=lambda each: -each[0])
        if not places and all(place >= 0 for place, _, _ in later):
            return True
        self.reach(None)
        return False

    def reach(self, places: int | None, tokens: int | None = None) -> None:
        """Makes the requests of the first `places` rows of the pool; of all without a number.

        Rows that come to have `tokens` tokens are lost: they become nothing.
        """
        while self._later and (places is None or self._later[-1][0] < places):
            _, row, request = self._later.pop()
            if not row.resolved:  # nobody has given it up
                row.source = request(tokens)


class Pool:
    """An ordered table of rows.

    `pending`: some items may be pending rows. `apart`: no two rows, now or later, share a stream
    key, so that the children of different items can be numbered in any order. `demand`: makes the
    requests of pending rows; its places are those of `items`. `most`: it has at most this many
    rows; 0: unknown.
    """

    __slots__ = ("_apart", "demand", "items", "most", "pending")

    def __init__(
        self,
        items: Sequence[Item],
        pending: bool = False,
        apart: bool | None = None,
        demand: Demand | None = None,
        most: int = 0,
    ) -> None:
        self.items: list[Item] = list(items)
        self.pending = pending
        self._apart = apart
        self.demand = demand
        self.most = most

    @property
    def single(self) -> bool:
        """Whether it has at most one row, now and later."""
        if len(self.items) != 1:
            return not self.items
        [item] = self.items
        return type(item) is Row or item.most == 1  # type: ignore[union-attr]

    @property
    def apart(self) -> bool:
        """See the class; computed from the rows where they are all known."""
        if self._apart is None:
            self._apart = not self.pending and distinct(self.items)
        return self._apart


def distinct(items: Sequence[Item]) -> bool:
    """Whether all rows, pending ones included, have different keys."""
    return len({item.node.key if type(item) is Row else item.key for item in items}) == len(items)  # type: ignore[union-attr]


def append(items: list[Item], content: Content) -> None:
    """Appends what a pending row has resolved to."""
    if type(content) is list:
        items.extend(content)
    elif content is not None:
        items.append(content)  # type: ignore[arg-type]


def rows_in(items: Sequence[Item]) -> list[Row]:
    """The rows that are known, in order."""
    found: list[Row] = []
    for item in items:
        content: Content = item
        if type(item) is PendingRow:
            content = item.content
        if type(content) is Row:
            found.append(content)
        elif type(content) is PendingRow:
            found += rows_in((content,))
        elif content is not None:
            assert isinstance(content, list)
            found += rows_in(content)
    return found


def pending_rows(items: Sequence[Item]) -> Iterator[PendingRow]:
    """The rows that are not known yet, in order."""
    for item in items:
        if type(item) is PendingRow:
            content = item.content
            if not item.resolved:
                yield item
            elif type(content) is list:
                yield from pending_rows(content)
            elif type(content) is PendingRow:
                yield from pending_rows((content,))


def settled_rows(
    items: Sequence[Item], many: int | None = None
) -> tuple[list[Row], PendingRow | None]:
    """The rows before the first one that is not known yet (at least `many`), and that one."""
    rows: list[Row] = []
    waiting = list(reversed(items))
    while waiting and (many is None or len(rows) < many):
        item = waiting.pop()
        if type(item) is Row:
            rows.append(item)
            continue
        assert isinstance(item, PendingRow)
        if not item.resolved:
            return rows, item
        content = item.content
        if isinstance(content, list):
            waiting.extend(reversed(content))
        elif content is not None:
            waiting.append(content)
    return rows, None


class Arrivals(ABC):
    """Follows the rows of some places as they become known, whatever stands for them till then."""

    __slots__ = ("waiting",)

    def __init__(self, items: Sequence[Item]) -> None:
        #: Pending rows that are not known yet.
        self.waiting = 1
        self._arrived(list(items), None, None)

    def arrived(self, row: Row) -> None:  # noqa: B027  (not everyone asks)
        """A row is known."""

    @abstractmethod
    def over(self) -> None:
        """All rows are known."""

    def _look(self, content: Content) -> None:
        if type(content) is Row:
            self.arrived(content)
        elif type(content) is PendingRow:
            if content.resolved:
                self._look(content.content)
            else:
                self.waiting += 1
                content.then(self._arrived)
        elif isinstance(content, list):
            for item in content:
                self._look(item)

    def _arrived(self, content: Content, _target: None, _about: None) -> None:
        self.waiting -= 1
        self._look(content)
        if not self.waiting:
            self.over()
