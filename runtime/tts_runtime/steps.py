"""Where steps end: one function over token ids for the step unit, the `steps` column and scorers.

A step ends at the token that completes a delimiter *and* closes a non-blank piece; leading
delimiters belong to the next step (semantics.md C23). Steps are the closed pieces plus a non-blank
open tail; a tail that is only the rest of the token that closed a piece does not count (C24).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import chain
from typing import Any, Final

#: Pieces of a block (`PieceBlock`).
_BLOCK: Final = 16


class PieceBlock:
    """Pieces that delimiters closed, after those before them: long paths share their beginnings.

    `many`: how many these are, with those before.
    """

    __slots__ = ("before", "many", "pieces")

    def __init__(self, before: PieceBlock | None, pieces: tuple[bytes, ...]) -> None:
        self.before = before
        self.pieces = pieces
        self.many: int = len(pieces) + (0 if before is None else before.many)


class StepSplit:
    """How a path is cut into steps so far; it never changes.

    Args:
        closed: Text of each piece that a delimiter closed, as bytes, delimiter left out.
        tail: Bytes after the last delimiter that closed a piece.
        grown: False while `tail` is only the rest of the token that closed a piece.
    """

    __slots__ = ("_block", "_recent", "grown", "tail")

    def __init__(
        self, closed: Sequence[bytes] = (), tail: bytes = b"", grown: bool = False
    ) -> None:
        block: PieceBlock | None = None
        whole = len(closed) - len(closed) % _BLOCK
        for start in range(0, whole, _BLOCK):
            block = PieceBlock(block, tuple(closed[start : start + _BLOCK]))
        self._block = block
        self._recent = tuple(closed[whole:])
        self.tail = tail
        self.grown = grown

    @classmethod
    def counted(cls, many: int, tail: bytes, grown: bool) -> StepSplit:
        """A split of which only the number of the closed pieces is known."""
        block = PieceBlock(None, ())
        block.many = many
        return _split(block, (), tail, grown)

    @property
    def many_closed(self) -> int:
        """Number of the closed pieces."""
        block = self._block
        return len(self._recent) if block is None else block.many + len(self._recent)

    @property
    def closed(self) -> tuple[bytes, ...]:
        """The closed pieces."""
        if self._block is None:
            return self._recent
        return (*chain.from_iterable(self._blocks()), *self._recent)

    def closed_after(self, many: int) -> tuple[bytes, ...]:
        """The closed pieces without the first `many`."""
        before = 0 if self._block is None else self._block.many
        return self.closed[many:] if many < before else self._recent[many - before :]

    def after(self, before: StepSplit, delimiter: bytes) -> bytes | None:
        """The part that was added to `before`, if this continues it."""
        new, old = self._recent, before._recent
        block = self._block
        if block is not before._block:
            if block is not None and block.before is before._block:  # it is full since then
                new = block.pieces + new
            else:
                new, old = self.closed, before.closed
        many = len(old)
        if new[:many] != old:
            return None
        if len(new) == many + 1:  # as a rule
            added = new[many] + delimiter + self.tail
        else:
            added = delimiter.join((*new[many:], self.tail)) if len(new) > many else self.tail
        tail = before.tail
        if not tail:
            return added
        return added[len(tail) :] if added.startswith(tail) else None

    def _blocks(self) -> list[tuple[bytes, ...]]:
        """The closed pieces without the most recent ones, in blocks."""
        found: list[tuple[bytes, ...]] = []
        block = self._block
        while block is not None:
            found.append(block.pieces)
            block = block.before
        return found[::-1]

    @property
    def steps(self) -> int:
        """Number of steps: closed pieces, and the tail if it counts."""
        block = self._block
        many = len(self._recent) if block is None else block.many + len(self._recent)
        return many + (1 if self.tail and self.grown and self.tail.strip() else 0)

    @property
    def texts(self) -> tuple[str, ...]:
        """Text of each step, stripped; as many as `steps`."""
        last = self._recent
        if self.grown and self.tail.strip():
            last = (*last, self.tail)
        texts = tuple(map(_text, last))
        if self._block is None:
            return texts
        return (*chain.from_iterable(map(_texts, self._blocks())), *texts)

    def texts_after(self, many: int) -> tuple[str, ...]:
        """`texts` without the first `many`, which are closed."""
        block = self._block
        before = 0 if block is None else block.many
        if many < before:
            return self.texts[many:]
        last = self._recent[many - before :]
        if self.grown and self.tail.strip():
            last = (*last, self.tail)
        if len(last) == 1:  # of most steps
            return (last[0].decode("utf-8", "replace").strip(),)
        return tuple([piece.decode("utf-8", "replace").strip() for piece in last])

    def add(self, piece: bytes, delimiter: bytes) -> StepSplit:
        """The split after one more token, whose bytes are `piece`."""
        if not piece:
            return self
        block, recent, tail = self._block, self._recent, self.tail
        if tail:
            data = tail + piece
            found = data.find(delimiter, max(0, len(tail) - len(delimiter) + 1))
        else:
            data = piece
            found = data.find(delimiter)
        if found < 0:
            return _split(block, recent, data, True)
        grown = True
        while found >= 0:
            closed = data[:found]
            if closed.strip():
                grown = False
                recent = (*recent, closed)
                if len(recent) == _BLOCK:
                    block, recent = PieceBlock(block, recent), ()
                data = data[found + len(delimiter) :]
                found = data.find(delimiter)
            else:
                found = data.find(delimiter, found + len(delimiter))
        return _split(block, recent, data, grown)

    def with_grown(self, grown: bool) -> StepSplit:
        """The same, where the tail turns out to be (no) step."""
        return _split(self._block, self._recent, self.tail, grown)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, StepSplit) and (self.closed, self.tail, self.grown) == (
            other.closed,
            other.tail,
            other.grown,
        )

    def __hash__(self) -> int:
        return hash((self.many_closed, self.tail, self.grown))

    def __repr__(self) -> str:
        return f"StepSplit({self.closed!r}, {self.tail!r}, {self.grown!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        # Not block by block: a long path would be too deep to pickle.
        return StepSplit, (self.closed, self.tail, self.grown)


def _split(
    block: PieceBlock | None, recent: tuple[bytes, ...], tail: bytes, grown: bool
) -> StepSplit:
    """What `StepSplit` gives, with blocks that are there."""
    split = _new(StepSplit)
    split._block = block
    split._recent = recent
    split.tail = tail
    split.grown = grown
    return split


_new = object.__new__


@lru_cache(1 << 14)
def _text(piece: bytes) -> str:
    """A step's text, which is asked for again with every later step of its path."""
    return piece.decode("utf-8", errors="replace").strip()


@lru_cache(1 << 10)
def _texts(block: tuple[bytes, ...]) -> tuple[str, ...]:
    return tuple(map(_text, block))


NOTHING = StepSplit()

#: Between texts that are decoded together.
_BETWEEN: Final = "\0"


def added_texts(
    splits: Sequence[StepSplit], before: Sequence[StepSplit | None], delimiter: bytes
) -> list[str | None]:
    """What each adds to another (`StepSplit.after`), as text; nothing where that is not known.

    As a rule it is one piece, of all of them, so that the texts are decoded in one go.
    """
    pieces: list[bytes] = []
    others: list[int] = []
    for split, start in zip(splits, before, strict=True):
        recent = split._recent
        if (
            start is not None
            and recent
            and split._block is start._block
            and recent[:-1] == start._recent
            and not start.tail
            and not split.tail
        ):
            pieces.append(recent[-1])
            continue
        others.append(len(pieces))
        pieces.append(b"")
    texts: list[str | None] = []
    try:
        whole = (delimiter + _BETWEEN.encode()).join([*pieces, b""]).decode()
        texts += whole.split(_BETWEEN)[:-1]
    except UnicodeDecodeError:
        pass
    if len(texts) != len(splits):
        others, texts = [*range(len(splits))], [None] * len(splits)
    for place in others:
        start = before[place]
        added = None if start is None else splits[place].after(start, delimiter)
        # A character that began before would be another one there.
        if added is None or b"\x7f" < added[:1] < b"\xc0":
            texts[place] = None
        else:
            texts[place] = added.decode("utf-8", "replace")
    return texts


def counts(splits: Sequence[StepSplit]) -> list[int]:
    """`StepSplit.steps` of each."""
    return [
        split.steps
        if split.tail
        else len(split._recent)
        if (block := split._block) is None
        else len(split._recent) + block.many
        for split in splits
    ]
