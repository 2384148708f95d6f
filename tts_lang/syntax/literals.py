"""The values of literals, and their errors."""

from __future__ import annotations

import math
import re

from tts_lang.syntax.words import UNIT_WORDS, is_name

_NUMBER = re.compile(r"[0-9]+(?:_[0-9]+)*(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?%?")
_THOUSANDS = re.compile(r"([0-9]+)[kK]")
_EXPONENT = re.compile("[eE][0-9]*")
_LONGEST_NUMBER = 40
_ESCAPES = {"n": "\n", "t": "\t", '"': '"', "\\": "\\"}


def number_problem(literal: str) -> tuple[str | None, str | None]:
    """The error in a number as written and a suggestion, or `(None, None)`."""
    if len(literal) > _LONGEST_NUMBER:
        return f"a number of more than {_LONGEST_NUMBER} characters", None
    if _NUMBER.fullmatch(literal):
        if math.isinf(float(literal.rstrip("%").replace("_", ""))):
            return f"the number {literal} is too large", None
        return None, None
    if thousands := _THOUSANDS.fullmatch(literal):
        return f"`{literal}` is not a number", f"write {thousands.group(1)}_000"
    if literal.startswith("."):
        return f"`{literal}` needs a digit before the point", f"write 0{literal}"
    if literal.endswith("."):
        return f"`{literal}` needs a digit after the point", f"write {literal}0"
    digits = re.match(r"[0-9][0-9_]*", literal)
    head = digits.group().rstrip("_") if digits else ""
    rest = literal[len(head) :]
    if head and rest in UNIT_WORDS:
        return f"`{literal}` is not a number", f"write a space: `{head} {rest}`"
    if head not in {"", "0"} and is_name(rest) and not _EXPONENT.fullmatch(rest):
        return f"`{literal}` is not a number", f"write a product as `{head} * {rest}`"
    return f"`{literal}` is not a number", "write numbers as 16, 16_000, 0.5, 1e-3 or 10%"


def number_value(literal: str) -> int | float:
    """The value of a good number literal; for `10%` that is 10."""
    digits = literal.rstrip("%").replace("_", "")
    return int(digits) if digits.isdigit() else float(digits)


def string_value(literal: str) -> str:
    """The value of a `"..."` literal; an unknown escape stands for itself."""
    if "\\" not in literal:
        return literal[1:-1]
    return re.sub(r"\\(.)", lambda match: _ESCAPES.get(match[1], match[0]), literal[1:-1])


def string_literal(value: str) -> str:
    """A `"..."` literal with this value."""
    for character, escape in (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n"), ("\t", "\\t")):
        value = value.replace(character, escape)
    return f'"{value}"'


def block_lines(content: str) -> tuple[list[str], int]:
    """The lines of a block text between its quotes, and the indentation they share.

    The first line counts only for the text, not for the indentation: it follows the quotes. Blank
    lines do not count either.
    """
    lines = content.split("\n")
    shared = min(
        (len(line) - len(line.lstrip(" ")) for line in lines[1:] if line.strip()), default=0
    )
    return lines, shared


def block_value(literal: str) -> str:
    '''The value of a """...""" literal: first newline and shared indentation dropped.'''
    lines, shared = block_lines(literal[3:-3])
    rest = [line[shared:] if line.strip() else "" for line in lines[1:]]
    if not lines[0].strip() and rest:
        return "\n".join(rest)
    return "\n".join([lines[0], *rest])
