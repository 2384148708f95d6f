"""Names and constants: what stands beside the equals sign of an answer, by its text alone."""

import re

_SUBSCRIPT = r"(?:_(?:\{[A-Za-z0-9,+\- ]+\}|[A-Za-z0-9]))"
_LETTER = r"(?:[A-Za-z]|\\[a-zA-Z]+)"
_POWER = r"(?:\^(?:[2-9]|\{[2-9]\}))"
# As cleaned: `\frac{dy}{dx}`, `\frac{d^{2}y}{dx^2}`.
_DERIVATIVE = rf"\\frac\{{d{_POWER}?\s*{_LETTER}\}}\{{d\s*{_LETTER}{_POWER}?\}}"
#: Its function is missing in the operator, which stands before it: `\frac{d}{dx}`.
DERIVATIVE = re.compile(_DERIVATIVE.replace(_LETTER, f"(?P<function>{_LETTER}?)", 1))
NAME = re.compile(rf"(?:\\[a-zA-Z]+|[A-Za-z]){_SUBSCRIPT}?'*|{_DERIVATIVE}")
NAMES = re.compile(rf"\((?:{NAME.pattern})(?:,(?:{NAME.pattern}))+\)")
FUNCTION = re.compile(
    rf"(?:[A-Za-z]'*(?:\^\{{[-'0-9a-z\\ ]+\}}|\^[0-9'])?{_SUBSCRIPT}?\(\s*[a-z](?:,\s*[a-z])*\s*\)"
    r"|[A-Za-z]_(?:\{[a-z](?:[+-][0-9])?\}|[a-z]))"
)
_COMMAND = re.compile(r"\\[A-Za-z]+")
CONSTANT_COMMANDS = frozenset(
    re.findall(
        r"\S+",
        r"\frac \sqrt \pi \infty \emptyset \cup \ln \log \exp \sin \cos \tan \cot \sec \csc \cdot "
        r"\times \arcsin \arccos \arctan \begin \end \pm \binom \lfloor \rfloor \lceil \rceil",
    )
)


def is_quantity(text: str) -> bool:
    """Whether the left side of an equation names what is asked for: `AB`, `|AB|`, `P(A)`, `A:B`.

    A sum, a multiple or a power of unknowns is an equation to solve instead.
    """
    bare = re.sub(r"_\{[^{}]*\}|_[A-Za-z0-9]", "", text)
    bare = re.sub(r"(?<=[A-Za-z'])\([^()]*\)|(?<=[A-Za-z])\[[^\[\]]*\]", "", bare)
    bare = re.sub(r"\^\{(?:-1|\\prime)\}|\^\\circ|\\text\{[^{}]*\}", "A", bare)
    bare = _COMMAND.sub("A", bare)
    return bool(re.fullmatch(r"[A-Za-z|{}:/()' *\[\]]*[A-Za-z][A-Za-z|{}:/()' *\[\]]*", bare))


def is_constant(text: str) -> bool:
    """Whether a cleaned text or canonical form has no unknowns."""
    commands = set(_COMMAND.findall(text))
    if not text or not commands <= CONSTANT_COMMANDS:
        return False
    letters = _COMMAND.sub("", text).replace("{pmatrix}", "")
    return re.search(r"[A-Za-z]", re.sub(r"[ei]", "", letters)) is None
