"""Pools in flight: ordered lists of rows, some of which are still being made.

A slot is a place in a pool that resolves to a row, to nothing, or to several rows and slots.
Row-wise operations map slot to slot, so that a candidate goes on while others are still decoding;
everything else waits for `ProblemRun.rows`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeAlias

from tts_runtime.executor.model import Row
from tts_runtime.streams import Key

if TYPE_CHECKING:
    from tts_runtime.executor.requests import Request
    from tts_runtime.executor.speculation import Guess

#: What a place in a pool turns out to be.
Content: TypeAlias = "Row | PendingRow | list[Row | PendingRow] | None"
Item: TypeAlias = "Row | PendingRow"


class PendingRow:
    """A place whose content is not known yet.

    Of a child on its way, `key` is known, and the `request` that it waits for. `most`: it turns out
    to be at most so many rows; 0 where nobody knows.
    """

    __slots__ = ("content", "key", "most", "request", "resolved", "waiters")

    def __init__(self, key: Key = b"", most: int = 0) -> None:
        self.key = key
        self.most = most
        self.request: Request | None = None
        self.resolved = False
        self.content: Content = None
        self.waiters: list[Callable[[Content], None]] | None = None

    def then(self, callback: Callable[[Content], None]) -> None:
        """Calls back once, when the content is known; not for resolved slots."""
        if self.waiters is None:
            self.waiters = [callback]
        else:
            self.waiters.append(callback)


class Pool:
    """An ordered table of rows.

    `pending`: some items may be slots. `apart`: no two rows, now or later, share a stream key, so
    that rows of different slots can be numbered in any order.
    """

    __slots__ = ("_apart", "guess", "items", "pending")

    def __init__(self, items: Sequence[Item], pending: bool, apart: bool | None = None) -> None:
        self.items: list[Item] = list(items)
        self.pending = pending
        self._apart = apart
        #: What its rows will probably be asked for.
        self.guess: Guess | None = None

    @property
    def apart(self) -> bool:
        """See the class; worked out from the rows where they are all known."""
        if self._apart is None:
            self._apart = not self.pending and distinct(self.items)
        return self._apart


def distinct(items: Sequence[Item]) -> bool:
    """Whether rows, and children on their way, all have different keys."""
    return len({item.node.key if type(item) is Row else item.key for item in items}) == len(items)  # type: ignore[union-attr]


def append(items: list[Item], content: Content) -> None:
    """Adds what a place turned out to be."""
    if isinstance(content, list):
        items.extend(content)
    elif content is not None:
        items.append(content)


def rows_in(items: Sequence[Item]) -> Iterator[Row]:
    """The rows that are known, in order."""
    for item in items:
        if type(item) is Row:
            yield item
        else:
            assert isinstance(item, PendingRow)
            content = item.content
            if type(content) is Row:
                yield content
            elif isinstance(content, PendingRow):
                yield from rows_in((content,))
            elif content is not None:
                assert isinstance(content, list)
                yield from rows_in(content)


def open_slots(items: Sequence[Item]) -> Iterator[PendingRow]:
    """The places that are not known yet, in order."""
    for item in items:
        if type(item) is PendingRow:
            if not item.resolved:
                yield item
            elif isinstance(item.content, list):
                yield from open_slots(item.content)
            elif isinstance(item.content, PendingRow):
                yield from open_slots((item.content,))


def settled_rows(
    items: Sequence[Item], many: int | None = None
) -> tuple[list[Row], PendingRow | None]:
    """The rows before the first place that is not known yet (at least `many`), and that place."""
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
