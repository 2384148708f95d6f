r"""Read a cleaned answer: numbers, lists, tuples, intervals, sets, unions, matrices, assignments.

Only the scalars inside go to the LaTeX parser and sympy (`expression.py`). Decisions, all of them
documented in `canonical`:

* `1, 2` and `\{2, 1\}` are the same set; `(1, 2)` is ordered, and a pair or an open interval;
* `x = 5`, `x \in \{5\}` and `5` are the same answer; `y = 2x + 3` stays an equation;
* `1 \pm 2` is the set of both;
* `2 < x \le 3` and `(2, 3]` are the same interval.
"""

import re

from tts_runtime.answers.clean import clean
from tts_runtime.answers.latex import depth, enclosed, split_outside
from tts_runtime.answers.numbers import number_key

MAXIMUM_DEPTH = 10
MAXIMUM_ELEMENTS = 60

_BASE = re.compile(r"([0-9A-F]+)_(?:\{([0-9]{1,2})\}|([0-9]{1,2}))")
_ASSIGNMENT = re.compile(
    r"((?:\\[a-z]+|[A-Za-z])(?:_(?:\{[A-Za-z0-9]+\}|[A-Za-z0-9]))?)\s*(?:=|\\in(?![a-z]))(.+)"
)
_MATRIX = re.compile(r"\\begin\{pmatrix\}((?:(?!\\begin).)*)\\end\{pmatrix\}", re.DOTALL)
# One letter, or letters joined by signs, are formulas: "x", "p-q", "a b".
_WORDS = re.compile(r"(?=.*[A-Za-z]{3})[A-Za-z]+(?:[ '\-]+[A-Za-z]+)*|[A-Za-z]{2}")
_COMMAND = re.compile(r"\\[A-Za-z]+")
_CONSTANT_COMMANDS = frozenset(
    re.findall(
        r"\S+",
        r"\frac \sqrt \pi \infty \emptyset \cup \ln \log \exp \sin \cos \tan \cot \sec \csc \cdot "
        r"\times \arcsin \arccos \arctan \begin \end",
    )
)
_NOTHING = r"\emptyset"
_UNION = r"\cup"
_BOTH_SIGNS = r"\pm"


def read_words(text: str) -> str | None:
    """A name or sentence without any digit or sign, in lower case; None for everything else."""
    return text.lower() if _WORDS.fullmatch(text) else None


def read_value(text: str) -> str | None:
    """The canonical form of a cleaned mathematical answer, None if it is none that we understand.

    Its cost is bounded by the limits on depth, elements and the size of each scalar.
    """
    if depth(text) > MAXIMUM_DEPTH:
        return None
    return _read(text.strip())


def _read(text: str) -> str | None:
    number = number_key(text)
    if number is not None:
        return number
    if not text:
        return None
    base = _BASE.fullmatch(text)
    if base is not None:
        return f"{base[1]}_{{{base[2] or base[3]}}}"
    if text == _NOTHING:
        return _NOTHING
    for reader in (_read_list, _read_union, _read_enclosed, _read_matrix, _read_assignment):
        found, key = reader(text)
        if found:
            return key
    from tts_runtime.answers.expression import scalar_key

    return scalar_key(text)


# Each reader says whether the text has its shape, and the form, None if a part is not understood.
Reading = tuple[bool, str | None]
_OTHER: Reading = (False, None)


def _read_list(text: str) -> Reading:
    parts = split_outside(text, ",")
    if len(parts) == 1 and _BOTH_SIGNS not in text:
        return _OTHER
    if len(parts) == 1 and (text[0] in "([" or text.startswith("\\{") or _MATRIX.search(text)):
        return _OTHER
    return True, _set_key(parts)


def _set_key(parts: list[str]) -> str | None:
    r"""The elements sorted and without repetition, as `\{a,b\}`; a single one stands alone."""
    if len(parts) > MAXIMUM_ELEMENTS:
        return None
    signed = [choice for part in parts for choice in _both_signs(part.strip())]
    assignments = [_ASSIGNMENT.fullmatch(part) for part in signed]
    names = {match[1] for match in assignments if match is not None}
    keys: set[str] = set()
    for part, assignment in zip(signed, assignments, strict=True):
        # Values of several unknowns would lose their owner: keep "x=1,y=2" apart from "x=2,y=1".
        if assignment is not None and len(names) > 1:
            value = _read(assignment[2].strip())
            key = None if value is None else f"{assignment[1]}={value}"
        else:
            key = _read(part)
        if key is None:
            return None
        keys.add(key)
    if len(keys) == 1:
        return keys.pop()
    return "\\{" + ",".join(sorted(keys)) + "\\}"


def _both_signs(text: str) -> list[str]:
    if text.count(_BOTH_SIGNS) != 1:
        return [text]
    before, _, after = text.partition(_BOTH_SIGNS)
    return [clean(f"{before.strip()}{sign}{after.strip()}") for sign in "+-"]


def _read_union(text: str) -> Reading:
    parts = split_outside(text, _UNION)
    if len(parts) == 1:
        return _OTHER
    keys = [_read(part.strip()) for part in parts[:MAXIMUM_ELEMENTS]]
    known = [key for key in keys if key is not None]
    if len(known) < len(parts):
        return True, None
    return True, _UNION.join(sorted(set(known)))


def _read_enclosed(text: str) -> Reading:
    if text.startswith("\\{") and text.endswith("\\}") and _closes_last(text):
        return True, _set_key(split_outside(text[2:-2], ","))
    if not enclosed(text, "([", ")]"):
        return _OTHER
    parts = split_outside(text[1:-1], ",")
    if len(parts) == 1:
        return True, _read(parts[0].strip())
    if len(parts) > MAXIMUM_ELEMENTS or (
        text[0] + text[-1] not in ("()", "[]") and len(parts) != 2
    ):
        return True, None
    keys = [_read(part.strip()) for part in parts]
    known = [key for key in keys if key is not None]
    return True, f"{text[0]}{','.join(known)}{text[-1]}" if len(known) == len(keys) else None


def _closes_last(text: str) -> bool:
    return enclosed(text.replace("\\{", "{").replace("\\}", "}"), "{", "}")


def _read_matrix(text: str) -> Reading:
    matrix = _MATRIX.fullmatch(text)
    if matrix is None:
        return _OTHER
    rows = [row.split("&") for row in re.split(r"\\\\", matrix[1]) if row.strip()]
    if not rows or sum(map(len, rows)) > MAXIMUM_ELEMENTS or len({len(row) for row in rows}) > 1:
        return True, None
    keys = [[_read(clean(entry)) for entry in row] for row in rows]
    lines = [[key for key in row if key is not None] for row in keys]
    if [len(row) for row in lines] != [len(row) for row in keys]:
        return True, None
    body = r"\\".join("&".join(row) for row in lines)
    return True, rf"\begin{{pmatrix}}{body}\end{{pmatrix}}"


def _read_assignment(text: str) -> Reading:
    assignment = _ASSIGNMENT.fullmatch(text)
    if assignment is None or assignment[1] == r"\pi" or "=" in assignment[2]:
        return _OTHER
    value = _read(assignment[2].strip())
    if value is None or not is_constant(value):
        return _OTHER
    return True, value


def is_constant(key: str) -> bool:
    """Whether a canonical form has no unknowns."""
    commands = set(_COMMAND.findall(key))
    if not commands <= _CONSTANT_COMMANDS:
        return False
    letters = _COMMAND.sub("", key).replace("{pmatrix}", "")
    return re.search(r"[A-Za-z]", re.sub(r"[ei]", "", letters)) is None
