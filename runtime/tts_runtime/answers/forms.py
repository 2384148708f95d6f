r"""One canonical form per answer (C42): two answers are in the same vote class iff forms are equal.

Equivalence by construction; `canonical(canonical(x)) == canonical(x)`; a pure function of the text,
without clocks. What it takes for equal, beyond layout and units (see `clean`) and equal values:

* numbers: `1,000` = `1 000` = `1000`, `0.5` = `1/2` = `\frac12`, `0.\overline{3}` = `1/3`,
  `5 million` = `5000000`; percent and degree signs count as units, so `50\%` = `50` (the
  convention of the MATH data set), not `0.5`;
* a number in a base keeps it: `52_8` is neither `52` nor `42`;
* lists and sets are unordered; repetition counts in a list (`1, 1, 2`), not in a set; tuples,
  intervals, matrices and sequences with dots are ordered;
* `x = 5` = `5` (any one name), `f(x) = 2x` = `2x`, `(x, y) = (1, 2)` = `(1, 2)`, a chain of
  equalities is its last side, `x \in [1, 2]` = `[1, 2]` = `1 \le x \le 2`, `-x > -1` = `x < 1`;
  equations with unknowns on both sides are equal up to order and a constant factor; equations
  that are always true are equal only if their sides are;
* `A`, `(A)`, `A.`, `Option A`, `\textbf{(A)}\ 10` name the same choice;
* names and sentences: upper and lower case, but a single letter keeps its case.

Everything else, and what is beyond the size limits, is compared as cleaned text, with all braces.
"""

import re
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

from tts_runtime.answers.choice import read_choice
from tts_runtime.answers.clean import clean
from tts_runtime.answers.numbers import MAXIMUM_LENGTH, number_key
from tts_runtime.answers.structure import read_value, read_words

_PRIME = re.compile(r"\^(?:\{(?:\s*\\prime)+\s*\}|\\prime(?![A-Za-z])\s*)")
_COMMAND = re.compile(r"(\\[A-Za-z]+) (?![A-Za-z])")
_ARGUMENT = re.compile(r"([_^])\s*([A-Za-z0-9+*-]|\\[A-Za-z]+(?![A-Za-z{\[]))\s*")


class AnswerKind(Enum):
    """Kinds of answers."""

    NUMBER = "number"
    EXPRESSION = "expression"
    TEXT = "text"


@dataclass(frozen=True, slots=True)
class Canonical:
    """The canonical form of an answer. `fallback`: mathematics that was not understood (or was
    too large) and is compared as text, unlike names and sentences, which are text by nature."""

    key: str
    kind: AnswerKind
    fallback: bool = False


def canonical(answer: str) -> str:
    """The canonical form: the key of the answer's vote class. Never raises."""
    number = number_key(answer)
    return number if number is not None else canonical_form(answer).key


def canonical_form(answer: str) -> Canonical:
    """The canonical form and how the answer was understood."""
    if len(answer) <= MAXIMUM_LENGTH:
        return _form(answer)
    # Too long to be read or kept: whole numbers have any length, all else is text.
    answer = " ".join(answer.split())
    if len(answer) <= MAXIMUM_LENGTH:
        return _form(answer)
    digits = answer.removeprefix("-")
    if digits.isascii() and digits.isdigit():
        return Canonical(number_key(answer) or answer, AnswerKind.NUMBER)
    return Canonical(answer, AnswerKind.TEXT, fallback=True)


@lru_cache(maxsize=65536)
def _form(answer: str) -> Canonical:
    cleaned = clean(answer)
    # Cleaning may have removed the signs of a choice.
    choice = read_choice(answer) or read_choice(cleaned)
    if choice is not None:
        return Canonical(choice.letter, AnswerKind.TEXT)
    number = number_key(cleaned)
    if number is not None:
        return Canonical(number, AnswerKind.NUMBER)
    words = read_words(cleaned)
    if words is not None:
        return Canonical(words, AnswerKind.TEXT)
    value = read_value(cleaned)
    if value is not None:
        key = clean(value)
        # Keep only forms that are their own canonical form: then canonical() is idempotent
        # whatever sympy prints.
        if number_key(key) == key:
            return Canonical(key, AnswerKind.NUMBER)
        if is_stable(key):
            return Canonical(key, AnswerKind.EXPRESSION)
    braced = _braced(cleaned)
    if braced != cleaned and clean(braced) == braced:
        return _form(braced)
    return Canonical(cleaned, AnswerKind.TEXT, fallback=True)


def _braced(text: str) -> str:
    r"""The text of a formula with all braces and no loose spaces: `\sum_{k=1}^{n}`, `M^{T}`."""
    text = _PRIME.sub(lambda match: "'" * match[0].count("prime"), text)
    return _COMMAND.sub(r"\1", _ARGUMENT.sub(r"\1{\2}", text))


def is_stable(key: str) -> bool:
    """Whether a form is read as itself."""
    choice = read_choice(key)
    if choice is not None:
        return choice.letter == key
    reread = read_value(key)
    return reread is not None and clean(reread) == key and read_words(key) is None
