"""Where steps end: one function over token ids for the step unit, the `steps` column and scorers.

A step ends at the token that completes a delimiter *and* closes a non-blank piece; leading
delimiters belong to the next step (semantics.md C23). Steps are the closed pieces plus a non-blank
open tail; a tail that is only the rest of the token that closed a piece does not count (C24).
"""

from __future__ import annotations

from tts_runtime.fast_dataclass import fast_dataclass


@fast_dataclass(frozen=True, slots=True)
class StepSplit:
    """How a path is cut into steps so far.

    Args:
        closed: Text of each piece that a delimiter closed, as bytes, delimiter left out.
        tail: Bytes after the last delimiter that closed a piece.
        grown: False while `tail` is only the rest of the token that closed a piece.
    """

    closed: tuple[bytes, ...] = ()
    tail: bytes = b""
    grown: bool = False

    @property
    def steps(self) -> int:
        """Number of steps: closed pieces, and the tail if it counts."""
        return len(self.closed) + (self.grown and bool(self.tail.strip()))

    @property
    def texts(self) -> tuple[str, ...]:
        """Text of each step, stripped; as many as `steps`."""
        pieces = (*self.closed, self.tail) if self.steps > len(self.closed) else self.closed
        return tuple(piece.decode("utf-8", errors="replace").strip() for piece in pieces)

    def add(self, piece: bytes, delimiter: bytes) -> StepSplit:
        """The split after one more token, whose bytes are `piece`."""
        if not piece:
            return self
        data = self.tail + piece
        start = max(0, len(self.tail) - len(delimiter) + 1)
        found = data.find(delimiter, start)
        if found < 0:
            return StepSplit(self.closed, data, True)
        closed = self.closed
        count = len(closed)
        while found >= 0:
            if data[:found].strip():
                closed = (*closed, data[:found])
                data = data[found + len(delimiter) :]
                found = data.find(delimiter)
            else:
                found = data.find(delimiter, found + len(delimiter))
        return StepSplit(closed, data, len(closed) == count)


NOTHING = StepSplit()
