"""Places in a text as the protocol counts them, and as the compiler does.

The protocol counts lines from 0 and, within one, code units: of UTF-16 unless client and server
have agreed on another encoding. The compiler counts characters of the normalised text.
"""

from __future__ import annotations

from lsprotocol.types import Position, Range
from pygls.workspace import PositionCodec

from tts_lang.source import Source, Span


def offset_at(source: Source, place: Position, codec: PositionCodec) -> int:
    """The offset of a place; one past a line or the file means its end."""
    if place.line >= source.position(len(source.text)).line:
        return len(source.text)
    line = source.line(place.line + 1)
    left, count = place.character, 0
    while left > 0 and count < len(line):
        left -= codec.client_num_units(line[count])
        count += 1
    return source.line_start(place.line + 1) + count


def position_of(source: Source, offset: int, codec: PositionCodec) -> Position:
    """The place of an offset."""
    place = source.position(offset)
    before = source.line(place.line)[: place.column - 1]
    return Position(place.line - 1, codec.client_num_units(before))


def range_of(source: Source, span: Span, codec: PositionCodec) -> Range:
    """The range that a span covers."""
    return Range(position_of(source, span.start, codec), position_of(source, span.end, codec))
