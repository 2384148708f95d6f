"""Pieces of the real line: unions, intersections, differences."""

import re
from dataclasses import dataclass, replace
from functools import lru_cache

from tts_runtime.answers.names import CONSTANT_COMMANDS, NAME
from tts_runtime.answers.numbers import number_value

ORDER = re.compile(r"<|>|\\[lg]e(?![A-Za-z])")
_SUBJECT = re.compile(rf"({NAME.pattern})\s*(?:=|\\(?:in|ne)(?![A-Za-z]))")
_TERM = re.compile(r"\\?[A-Za-z]+(?:_\{[^{}]*\}|_\w)?")
LOWEST, HIGHEST = r"-\infty", r"\infty"


@dataclass(frozen=True, slots=True)
class Piece:
    """An interval with its brackets; its ends are canonical forms of constants."""

    opening: str
    low: str
    high: str
    closing: str


def point(value: str) -> Piece:
    """One value."""
    return Piece("[", value, value, "]")


def everything() -> list[Piece]:
    """The real line."""
    return [Piece("(", LOWEST, HIGHEST, ")")]


@lru_cache(maxsize=4096)
def place(key: str) -> float | None:
    """The place of a constant on the real line, None if it is not known."""
    if key in (LOWEST, HIGHEST):
        return float("inf") if key == HIGHEST else float("-inf")
    value = number_value(key)
    if value is not None:
        return float(value)
    from tts_runtime.answers.evaluate import constant

    number = constant(key)
    return None if number is None or number.imag else float(number.real)


def merge(pieces: list[Piece]) -> list[Piece] | None:
    """The union as disjoint pieces from left to right; None if some end has no known place."""
    placed = _placed(pieces)
    if placed is None:
        return None
    merged: list[tuple[float, float, Piece]] = []
    for low, high, piece in sorted(placed, key=lambda each: (each[0], each[2].opening != "[")):
        if low > high or (low == high and (piece.opening, piece.closing) != ("[", "]")):
            continue
        if merged:
            last_low, last_high, last = merged[-1]
            touch = low == last_high and (piece.opening == "[" or last.closing == "]")
            if low < last_high or touch:
                if high > last_high:
                    grown = replace(last, high=piece.high, closing=piece.closing)
                    merged[-1] = (last_low, high, grown)
                elif high == last_high and piece.closing == "]":
                    merged[-1] = (last_low, high, replace(last, closing="]"))
                continue
        merged.append((low, high, piece))
    return [piece for _, _, piece in merged] or None


def combine(pieces: list[Piece]) -> list[Piece] | None:
    """What several conditions on one unknown say: all of them at once if some value fulfils all
    (`x > 1, x < 3`), else any of them (`x < 1, x > 3`)."""
    placed = _placed(pieces)
    if placed is None:
        return None
    low, _, first = max(placed, key=lambda each: (each[0], each[2].opening == "("))
    _, high, last = min(placed, key=lambda each: (each[1], each[2].closing == "]"))
    if low < high:
        return [Piece(first.opening, first.low, last.high, last.closing)]
    return merge(pieces)


def subject(part: str) -> str | None:
    """The unknown that a part of an answer is about; None if it is not plain which."""
    bound = _SUBJECT.match(part)
    name = bound[1] if bound else unknowns(part) if ORDER.search(part) else ""
    return name if NAME.fullmatch(name) else None


def unknowns(inequality: str) -> str:
    """The unknowns of an inequality, in order."""
    names = set(_TERM.findall(inequality)) - CONSTANT_COMMANDS
    return "".join(sorted(names - {r"\le", r"\ge", "e", "i"}))


def without(pieces: list[Piece], removed: list[Piece]) -> list[Piece] | None:
    """What is left of the pieces; None if nothing is, or if some end has no known place."""
    for cut in removed:
        begin, end, placed = place(cut.low), place(cut.high), _placed(pieces)
        if begin is None or end is None or placed is None:
            return None
        pieces = []
        for low, high, piece in placed:
            # Those that this leaves without any value are dropped by `merge`.
            below, above = piece, piece
            if begin < high or (begin == high and cut.opening == "["):
                below = replace(piece, high=cut.low, closing=")" if cut.opening == "[" else "]")
            if end > low or (end == low and cut.closing == "]"):
                above = replace(piece, low=cut.high, opening="(" if cut.closing == "]" else "[")
            pieces += [below, above]
    return merge(pieces)


def mirrored(piece: Piece) -> list[Piece] | None:
    """The piece at or right of zero in which the absolute value lies."""
    if "/" not in piece.low and piece.low.isdigit() and place(piece.high) is not None:
        turned = {"(": ")", "[": "]", ")": "(", "]": "["}
        low = piece.low if piece.low == "0" else "-" + piece.low
        high = "-" + piece.high
        return merge([Piece(turned[piece.closing], high, low, turned[piece.opening]), piece])
    return None


def _placed(pieces: list[Piece]) -> list[tuple[float, float, Piece]] | None:
    placed = []
    for piece in pieces:
        low, high = place(piece.low), place(piece.high)
        if low is None or high is None:
            return None
        placed.append((low, high, piece))
    return placed
