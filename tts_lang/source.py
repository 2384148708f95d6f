"""Source text of a strategy file, and spans into it."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A half-open range of character offsets into the normalised text of one source."""

    start: int
    end: int

    def to(self, other: Span) -> Span:
        """The smallest span that holds both."""
        return Span(min(self.start, other.start), max(self.end, other.end))


NOWHERE = Span(0, 0)


@dataclass(frozen=True, slots=True)
class Position:
    """A place as people count it: line and column from 1, the column in characters."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Source:
    """The text of one file: line ends are `\\n`, and there is no byte order mark."""

    name: str
    text: str
    _line_starts: tuple[int, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        starts = [0]
        find = self.text.find
        while (at := find("\n", starts[-1])) >= 0:
            starts.append(at + 1)
        object.__setattr__(self, "_line_starts", tuple(starts))

    @classmethod
    def of(cls, text: str, name: str = "<text>") -> Source:
        """Normalise `text`: every line end becomes `\\n`, a leading byte order mark is dropped."""
        if text.startswith("\ufeff"):
            text = text[1:]
        return cls(name, text.replace("\r\n", "\n").replace("\r", "\n"))

    def position(self, offset: int) -> Position:
        """Line and column of a character offset; an offset past the end means the end."""
        offset = max(0, min(offset, len(self.text)))
        line = bisect_right(self._line_starts, offset)
        return Position(line, offset - self._line_starts[line - 1] + 1)

    def line(self, number: int) -> str:
        """Line `number` (from 1) without its line end; empty past the last line."""
        if not 1 <= number <= len(self._line_starts):
            return ""
        start = self._line_starts[number - 1]
        end = self.text.find("\n", start)
        return self.text[start:] if end < 0 else self.text[start:end]

    def line_start(self, number: int) -> int:
        """Offset of the first character of line `number` (from 1)."""
        return self._line_starts[number - 1]

    def slice(self, span: Span) -> str:
        """The text that a span covers."""
        return self.text[span.start : span.end]
