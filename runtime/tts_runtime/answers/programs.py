r"""Answers as programs print them, written as LaTeX: `Matrix([[1, 2]])`, `Abs(x)`, `oo`, `0x1F`."""

import re

from tts_runtime.answers.latex import enclosed, matching, split_outside

_BASES = {"x": 16, "o": 8, "b": 2}
_PREFIXED = re.compile(r"([+-]?)0([xX][0-9A-Fa-f]+|[bB][01]+|[oO][0-7]+)")
_CALL = re.compile(r"(?<![A-Za-z\\])(?:(?P<bars>[aA]bs)|(?P<pair>floor|ceil)(?:ing)?|Matrix)\s*\(")
_NAMES = (
    (re.compile(r"(?<![A-Za-z\\])a(sin|cos|tan)(?=\s*\()"), r"\\arc\1 "),
    (re.compile(r"(?<![A-Za-z\\])oo(?![A-Za-z])"), r"\\infty "),
    (re.compile(r"(?<![A-Za-z\\])Pi(?![A-Za-z])"), r"\\pi "),
    (re.compile(r"(?:Rational|Fraction)\((-?[0-9]+), ?([0-9]+)\)"), r"\\frac{\1}{\2}"),
)
# Beside unknowns, `I` may be one of them; alone, it is a letter or a numeral.
_COMPLEX = re.compile(r"(?=.*[0-9+*/-])(?:[0-9.+\-*/()\[\]{}, ]|sqrt|exp|pi|(?<!I)I(?!I))+")


def from_program(text: str) -> str:
    """The text with what programs write in their own way as LaTeX."""
    prefixed = _PREFIXED.fullmatch(text)
    if prefixed is not None:
        sign, digits = prefixed.groups()
        return f"{sign}{digits[1:].upper()}_{{{_BASES[digits[0].lower()]}}}"
    for pattern, replacement in _NAMES:
        text = pattern.sub(replacement, text)
    if _COMPLEX.fullmatch(text):
        text = text.replace("I", "i")
    return _calls(text)


def _calls(text: str) -> str:
    match = _CALL.search(text)
    if match is None:
        return text
    end = matching(text, match.end() - 1)
    if end is None:
        return text
    inner = _calls(text[match.end() : end])
    if match["bars"]:
        written: str | None = f"|{inner}|"
    elif match["pair"]:
        written = rf"\l{match['pair']} {inner}\r{match['pair']} "
    else:
        written = _matrix(inner.strip())
    call = text[match.start() : end + 1] if written is None else written
    return text[: match.start()] + call + _calls(text[end + 1 :])


def _matrix(inner: str) -> str | None:
    if not enclosed(inner, "[", "]"):
        return None
    rows = [row.strip() for row in split_outside(inner[1:-1], ",")]
    if all(enclosed(row, "[", "]") for row in rows):
        rows = [" & ".join(split_outside(row[1:-1], ",")) for row in rows]
    body = r" \\ ".join(rows)
    return rf"\begin{{pmatrix}}{body}\end{{pmatrix}}"
