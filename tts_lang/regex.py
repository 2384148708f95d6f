"""Regular expressions in linear time: what RE2 takes, matched by Pike's virtual machine.

Time is at most the length of the text times that of the expression, whatever they are; so there are
no back-references and nothing looks ahead or behind. The leftmost match counts, and of those at
one place the one that a backtracking search would find first. Source: Cox, R. (2009), Regular
Expression Matching: the Virtual Machine Approach.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from math import inf
from typing import Final, TypeAlias

#: Instructions of one expression, steps of one search, and repeats of one part.
MOST_INSTRUCTIONS: Final = 1_000
MOST_STEPS: Final = 3_000_000
_MOST_REPEATS: Final = 200

_Fits: TypeAlias = Callable[[str], bool]


class RegexError(Exception):
    """An expression that cannot be used; the message says why."""


@dataclass(frozen=True, slots=True)
class _Char:
    """A character that fits; `size`: of the longest in UTF-8, in bytes, at most."""

    fits: _Fits
    size: int = 4


@dataclass(frozen=True, slots=True)
class _Split:
    first: int
    second: int


@dataclass(frozen=True, slots=True)
class _Save:
    slot: int


@dataclass(frozen=True, slots=True)
class _Assert:
    holds: Callable[[str, int], bool]


_Instruction: TypeAlias = "_Char | _Split | _Save | _Assert | None"  # None: a match


@dataclass(frozen=True, slots=True)
class Regex:
    """A compiled expression.

    Args:
        groups: How many parts it captures, of which the first counts.
        longest: Upper bound of the bytes in UTF-8 of what it matches; infinite if unbounded.
    """

    program: tuple[_Instruction, ...]
    groups: int
    longest: float

    @property
    def asserts(self) -> bool:
        """Whether it has an assertion: `^`, `$`, `\\b`."""
        return any(isinstance(each, _Assert) for each in self.program)

    def matches(self, text: str) -> bool:
        """Whether it matches all of a text; for expressions that assert nothing."""
        places = {0}
        for char in text:
            places = {
                place + 1
                for place, instruction in self._reached(places)
                if isinstance(instruction, _Char) and instruction.fits(char)
            }
        return any(instruction is None for _, instruction in self._reached(places))

    def _reached(self, places: set[int]) -> Iterator[tuple[int, _Instruction]]:
        """The instructions at which threads wait for a character, or match."""
        waiting, seen = list(places), set[int]()
        while waiting:
            place = waiting.pop()
            if place in seen:
                continue
            seen.add(place)
            instruction = self.program[place]
            if isinstance(instruction, _Split):
                waiting += (instruction.first, instruction.second)
            elif isinstance(instruction, _Save):
                waiting.append(place + 1)
            else:
                yield place, instruction

    def extract(self, text: str) -> str | None:
        """The first group of the leftmost match, or all of it without groups; `None` without a
        match, or after `MOST_STEPS`."""
        slots = self._search(text)
        if slots is None:
            return None
        start, end = slots[2:4] if self.groups else slots[:2]
        return None if start < 0 or end < 0 else text[start:end]

    def _search(self, text: str) -> tuple[int, ...] | None:
        threads: list[tuple[int, tuple[int, ...]]] = []
        best: tuple[int, ...] | None = None
        steps = 0
        for at in range(len(text) + 1):
            following: list[tuple[int, tuple[int, ...]]] = []
            seen: set[int] = set()
            if best is None:
                threads.append((0, (at, -1, -1, -1)))
            elif not threads:
                break
            char = text[at] if at < len(text) else ""
            for place, slots in threads:
                steps += 1
                matched = self._follow(place, slots, text, at, char, seen, following)
                if matched is not None:
                    best = matched
                    break  # threads of lower priority are cut off
            steps += len(seen)
            if steps > MOST_STEPS:
                return None
            threads = following
        return best

    def _follow(
        self,
        place: int,
        slots: tuple[int, ...],
        text: str,
        at: int,
        char: str,
        seen: set[int],
        following: list[tuple[int, tuple[int, ...]]],
    ) -> tuple[int, ...] | None:
        """Threads of one place behind this character, in order; the slots of a match."""
        waiting = [(place, slots)]
        while waiting:
            place, slots = waiting.pop()
            if place in seen:
                continue
            seen.add(place)
            instruction = self.program[place]
            match instruction:
                case None:
                    return (slots[0], at, *slots[2:])
                case _Char(fits):
                    if char and fits(char):
                        following.append((place + 1, slots))
                case _Split(first, second):
                    waiting += [(second, slots), (first, slots)]
                case _Save(slot):
                    waiting.append((place + 1, (*slots[:slot], at, *slots[slot + 1 :])))
                case _Assert(holds):
                    if holds(text, at):
                        waiting.append((place + 1, slots))
        return None


# ------------------------------------------------------------------ writing an expression

_ASCII: Final = {"d": "0-9", "w": "0-9A-Za-z_", "s": " \\t\\n\\r\\f\\v"}


def escaped(text: str) -> str:
    """An expression that matches this text alone."""
    return "".join(each if each.isalnum() else _escapes(each) for each in text)


def _escapes(char: str) -> str:
    name = next((name for name, escaped in _ESCAPES.items() if escaped == char), None)
    return f"\\{char if name is None else name}"


def for_rust(pattern: str) -> str:
    """The same expression for Rust's `regex` crate, whose classes hold operators, sets and letters
    of all scripts."""
    parts: list[str] = []
    at = 0
    while at < len(pattern):
        char = pattern[at]
        if char == "[":
            inside, at = _rust_class(pattern, at + 1)
            parts.append(inside)
        elif char == "\\":
            parts.append(_rust_escape(pattern[at + 1], inside=False))
            at += 2
        else:
            parts.append(char if char in "()|.*+?{},:" else _hexadecimal(char))
            at += 1
    return "".join(parts)


def _rust_class(pattern: str, at: int) -> tuple[str, int]:
    """A class and the place after it; `at` is the place after its `[`."""
    parts = ["["]
    if pattern[at] == "^":
        parts.append("^")
        at += 1
    first, high = True, False
    while pattern[at] != "]" or first:
        first, char = False, pattern[at]
        at += 1
        if char == "\\":
            char = pattern[at]
            at += 1
            if char.lower() in _ASCII and not high:
                parts.append(_rust_escape(char, inside=True))
                continue
            char = _ESCAPES.get(char, char)
        parts.append(_hexadecimal(char))
        high = not high and pattern[at] == "-" and pattern[at + 1] != "]"
        if high:
            parts.append("-")
            at += 1
    return "".join([*parts, "]"]), at + 1


def _rust_escape(char: str, *, inside: bool) -> str:
    members = _ASCII.get(char.lower())
    if members is None:
        return _hexadecimal(_ESCAPES.get(char, char))
    return members if inside and char.islower() else f"[{'^' * char.isupper()}{members}]"


def _hexadecimal(char: str) -> str:
    return char if char.isascii() and char.isalnum() else f"\\x{{{ord(char):x}}}"


# ------------------------------------------------------------------ reading an expression


@lru_cache(512)
def compiled(pattern: str) -> Regex:
    """Reads an expression.

    Raises:
        RegexError: The expression is wrong.
    """
    reader = _Reader(pattern)
    program = [*reader.alternatives(), None]
    if reader.at < len(pattern):
        raise RegexError("there is a `)` too many")
    if len(program) > MOST_INSTRUCTIONS:
        raise RegexError(f"it is too long: more than {MOST_INSTRUCTIONS} parts, repeats counted")
    return Regex(tuple(program), reader.groups, _longest(program))


_CLASSES: Final[dict[str, str]] = {
    "d": "0123456789",
    "w": "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_",
    "s": " \t\n\r\f\v",
}
_ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v", "0": "\0"}
_LAZY: Final = "it cannot look ahead or behind, name groups or refer back: time would not be linear"


def _utf8(char: str) -> bytes:
    return char.encode("utf-8", "surrogatepass")


def _word(text: str, at: int) -> bool:
    before = at > 0 and text[at - 1] in _CLASSES["w"]
    after = at < len(text) and text[at] in _CLASSES["w"]
    return before != after


class _Reader:
    """Recursive descent; parts are programs whose places count from their own beginning."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.at = 0
        self.groups = 0
        self.flags = ""
        if pattern.startswith("(?") and (end := pattern.find(")")) > 2:
            flags = pattern[2:end]
            if all(flag in "ims" for flag in flags):
                self.flags, self.at = flags, end + 1

    def _peek(self) -> str:
        return self.pattern[self.at : self.at + 1]

    def _next(self) -> str:
        char = self._peek()
        if not char:
            raise RegexError("it ends too early")
        self.at += 1
        return char

    def alternatives(self) -> list[_Instruction]:
        program = self._sequence()
        while self._peek() == "|":
            self.at += 1
            other = self._sequence()
            # split, one, jump, other: a jump is a split to one place.
            end = len(program) + 2 + len(other)
            jump = _Split(end, end)
            program = [
                _Split(1, len(program) + 2),
                *_shifted(program, 1),
                jump,
                *_shifted(other, len(program) + 2),
            ]
        return program

    def _sequence(self) -> list[_Instruction]:
        program: list[_Instruction] = []
        while self._peek() not in ("", "|", ")"):
            part = self._repeated()
            program += _shifted(part, len(program))
            if len(program) > MOST_INSTRUCTIONS:
                raise RegexError(f"it is too long: more than {MOST_INSTRUCTIONS} parts")
        return program

    def _repeated(self) -> list[_Instruction]:
        part = self._atom()
        while (sign := self._peek()) and sign in "*+?{":
            least, most = self._counts()
            greedy = self._peek() != "?"
            self.at += not greedy
            part = _repeat(part, least, most, greedy)
        return part

    def _counts(self) -> tuple[int, int | None]:
        sign = self._next()
        if sign != "{":
            return {"*": (0, None), "+": (1, None), "?": (0, 1)}[sign]
        end = self.pattern.find("}", self.at)
        low, comma, high = self.pattern[self.at : end].partition(",")
        if end < 0 or not low.isdecimal() or (high and not high.isdecimal()):
            raise RegexError("after `{` stand one or two numbers, as in `{2,4}`; else write `\\{`")
        self.at = end + 1
        least, most = int(low), int(high) if high else (None if comma else int(low))
        if max(least, most or 0) > _MOST_REPEATS or (most is not None and most < least):
            raise RegexError(f"repeats go up from the least to at most {_MOST_REPEATS}")
        return least, most

    def _atom(self) -> list[_Instruction]:
        char = self._next()
        if char == "(":
            return self._group()
        if char == "[":
            return [self._class()]
        if char == ".":
            every = "s" in self.flags
            return [_Char(lambda c: every or c != "\n")]
        if char == "^":
            many = "m" in self.flags
            return [_Assert(lambda t, at: at == 0 or (many and t[at - 1] == "\n"))]
        if char == "$":
            many = "m" in self.flags
            return [_Assert(lambda t, at: at == len(t) or (many and t[at] == "\n"))]
        if char == "\\":
            return self._escaped()
        if char in "*+?{":
            raise RegexError(f"there is nothing before `{char}` to repeat")
        return [self._literal(char)]

    def _group(self) -> list[_Instruction]:
        captures = not self.pattern.startswith("?:", self.at)
        if self._peek() == "?":
            if captures:
                raise RegexError(_LAZY)
            self.at += 2
        self.groups += captures
        number = self.groups
        inner = self.alternatives()
        if self._peek() != ")":
            raise RegexError("a `)` is missing")
        self.at += 1
        if not captures or number != 1:  # only the first is asked for
            return inner
        return [_Save(2), *_shifted(inner, 1), _Save(3)]

    def _escaped(self) -> list[_Instruction]:
        char = self._next()
        if char in "bB":
            positive = char == "b"
            return [_Assert(lambda t, at: _word(t, at) == positive)]
        if char in "123456789":
            raise RegexError(_LAZY)
        return [self._escape(char)]

    def _escape(self, char: str) -> _Char:
        if char.lower() in _CLASSES:
            members, positive = frozenset(_CLASSES[char.lower()]), char.islower()
            return _Char(lambda c: (c in members) == positive, 1 if positive else 4)
        if char in _ESCAPES:
            return self._literal(_ESCAPES[char])
        if char.isalnum():
            raise RegexError(f"`\\{char}` has no meaning")
        return self._literal(char)

    def _literal(self, char: str) -> _Char:
        if "i" in self.flags:
            folded = char.casefold()
            return _Char(lambda c: c.casefold() == folded)
        return _Char(lambda c: c == char, len(_utf8(char)))

    def _class(self) -> _Char:
        positive = self._peek() != "^"
        self.at += not positive
        parts: list[_Char] = []
        while self._peek() != "]" or not parts:
            char = self._next()
            if char == "\\":
                low = self._next()
                if low.lower() in _CLASSES:
                    parts.append(self._escape(low))
                    continue
                char = _ESCAPES.get(low, low)
            if self._peek() == "-" and self.pattern[self.at + 1 : self.at + 2] not in ("]", ""):
                self.at += 1
                high = self._next()
                high = _ESCAPES.get(self._next(), high) if high == "\\" else high
                if high < char:
                    raise RegexError(f"`{char}-{high}` is no range")
                parts.append(self._range(char, high))
            else:
                parts.append(self._literal(char))
        self.at += 1
        size = max(part.size for part in parts) if positive else 4
        return _Char(lambda c: any(part.fits(c) for part in parts) == positive, size)

    def _range(self, low: str, high: str) -> _Char:
        if "i" in self.flags:
            return _Char(lambda c: any(low <= each <= high for each in (c, c.lower(), c.upper())))
        return _Char(lambda c: low <= c <= high, len(_utf8(high)))


def _longest(program: list[_Instruction]) -> float:
    """`Regex.longest`: the longest way through; only the end of a repeat leads back."""
    sizes = [0.0] * len(program)
    for place in reversed(range(len(program))):
        match program[place]:
            case _Char(_, size):
                sizes[place] = size + sizes[place + 1]
            case _Split(first, second) if first > place:
                sizes[place] = max(sizes[first], sizes[second])
            case _Split(start):
                repeated = program[start:place]
                endless = any(isinstance(each, _Char) for each in repeated)
                sizes[place] = inf if endless else sizes[place + 1]
            case _Save() | _Assert():
                sizes[place] = sizes[place + 1]
    return sizes[0]


def _shifted(program: list[_Instruction], by: int) -> list[_Instruction]:
    """The instructions with all jumps shifted."""
    return [
        _Split(instruction.first + by, instruction.second + by)
        if isinstance(instruction, _Split)
        else instruction
        for instruction in program
    ]


def _repeat(
    part: list[_Instruction], least: int, most: int | None, greedy: bool
) -> list[_Instruction]:
    copies = least + 1 if most is None else most
    if copies * (len(part) + 2) > 2 * MOST_INSTRUCTIONS:
        raise RegexError(f"it is too long: more than {MOST_INSTRUCTIONS} parts, repeats counted")
    program: list[_Instruction] = []
    for _ in range(least):
        program += _shifted(part, len(program))
    if most is None:
        start, end = len(program), len(program) + len(part) + 2
        program.append(_split(start + 1, end, greedy))
        program += _shifted(part, start + 1)
        program.append(_Split(start, start))
        return program
    size = len(part) + 1
    end = len(program) + (most - least) * size
    for _ in range(most - least):
        program.append(_split(len(program) + 1, end, greedy))
        program += _shifted(part, len(program))
    return program


def _split(inside: int, outside: int, greedy: bool) -> _Split:
    return _Split(inside, outside) if greedy else _Split(outside, inside)
