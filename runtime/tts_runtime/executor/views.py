"""What an expression is evaluated against: an operation's inputs, and the rows of one pool."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import floor
from typing import TYPE_CHECKING, Any

from tts_runtime.executor.model import Candidate, Row

if TYPE_CHECKING:
    from tts_runtime.executor.scope import Scope


class View:
    """One evaluation of an operation's expressions.

    Args:
        scope: The strategy call.
        inputs: The operation's inputs; its pools as lists of rows where the expressions need them.
        rows: The rows of the pool at hand, if they are all known.
        streaming: A generation is being watched: windows must be complete (C27).

    `above` holds, while a tree is walked, the visits of each candidate's parent (C54).
    """

    __slots__ = ("_places", "above", "cache", "inputs", "rows", "scope", "streaming")

    def __init__(
        self,
        scope: Scope,
        inputs: Sequence[Any],
        rows: Sequence[Row] | None = None,
        streaming: bool = False,
    ) -> None:
        self.scope = scope
        self.inputs = inputs
        self.rows = rows
        self.streaming = streaming
        self.above: Mapping[Candidate, int] | None = None
        self.cache: dict[object, Any] = {}
        self._places: dict[int, int] | None = None

    def index(self, row: Row) -> int:
        """The row's place in the pool, from 0."""
        if self._places is None:
            assert self.rows is not None
            self._places = {id(each): place for place, each in enumerate(self.rows)}
        return self._places[id(row)]

    def of(self, rows: Sequence[Row]) -> View:
        """A view of another pool."""
        other = View(self.scope, self.inputs, rows, self.streaming)
        other.above = self.above
        return other

    @staticmethod
    def whole(value: Any) -> int:
        """A value where a count is wanted: fractions are floored, missing counts nothing (C39)."""
        return 0 if value is None else floor(value)


def groups(keys: Sequence[Any]) -> list[list[int]]:
    """Places of equal keys, in order of first row; rows without a key form no group."""
    found: dict[Any, list[int]] = {}
    for place, key in enumerate(keys):
        if key is not None:
            found.setdefault(key, []).append(place)
    return list(found.values())
