"""Graders that compare an answer with the gold answer: mathematics, text, number, choice."""

from __future__ import annotations

import contextlib
import math
import re
import unicodedata
from collections.abc import Sequence
from concurrent.futures import Future
from fractions import Fraction

from pydantic import Field

from tts_runtime.answers.boundary import Grade, form, form_later, grade_later, settled
from tts_runtime.engines.options import NoOptions
from tts_runtime.graders.base import Grader, Submission

#: Two numbers agree to this share of the gold one, where no tolerance is given.
RELATIVE = 1e-6
# Directly at the number as well, where letters are factors elsewhere; `10pm` is a time.
_UNIT = re.compile(
    r"(?<=[0-9}])\s*(?!pm)(?:[fpnuµμmkMGT]|\\mu\s*)?"
    r"(?:[mgsAVWJNFHKCLlTΩΩ]|Pa|Hz|mol|eV|\\Omega)\s*$"
    r"|(?<=[0-9}])\s+M\s*$"  # mol/L; `5M` may be millions
)
#: A decimal comma: one that groups no digits.
_COMMA = re.compile(r"^[^\w(\[{]*(?:0,[0-9]+|[0-9]+,(?:[0-9]{1,2}|[0-9]{4,}))(?![0-9,])[^0-9,]*$")
#: A label as it is written before a choice; a letter in any other company.
_LABEL = re.compile(r"[*(\[]{0,3}([A-Z])[*)\].:]{0,4}")
_LETTER = re.compile(r"[\W_]{0,3}([A-Za-z])[\W_]{0,3}")


class MathGrader(Grader):
    """Mathematical equality, by value where both sides have one ([answers.md](answers.md))."""

    every_candidate = True

    async def grade(self, submission: Submission) -> Grade:
        """Equal forms, or equal values; worked out in a process under limits where it is hard."""
        gold = submission.problem.answer
        assert gold is not None  # `needs_gold`
        later = grade_later(submission.answer, gold)
        if isinstance(later, Future):
            await settled(later)
            later = grade_later(submission.answer, gold)
        assert isinstance(later, Grade)
        return later


class TextOptions(NoOptions):
    """Of `text`."""

    case: bool = Field(default=True, description="Capitals matter")


class TextGrader(Grader):
    """The same text, white space and Unicode's ways of writing one character apart."""

    every_candidate = True

    def __init__(self, options: TextOptions) -> None:
        self._case = options.case

    async def grade(self, submission: Submission) -> Grade:
        """Whether both texts are one."""
        gold, answer = submission.problem.answer, submission.answer
        assert gold is not None
        return Grade(answer is not None and self._plain(answer) == self._plain(gold))

    def _plain(self, text: str) -> str:
        plain = " ".join(unicodedata.normalize("NFC", text).split())
        return plain if self._case else plain.casefold()


class NumberOptions(NoOptions):
    """Of `number`; with both, either is enough."""

    tolerance: float = Field(default=0, ge=0, allow_inf_nan=False, description="Absolute")
    relative: float = Field(default=0, ge=0, lt=1, description="Of the gold number's size")


class NumberGrader(Grader):
    """Numbers within a tolerance of the gold number; units and what is no number do not count."""

    every_candidate = True

    def __init__(self, options: NumberOptions) -> None:
        stated = options.tolerance > 0 or options.relative > 0
        self._absolute = Fraction(options.tolerance)
        self._relative = Fraction(options.relative if stated else RELATIVE)

    async def grade(self, submission: Submission) -> Grade:
        """Whether the distance is within the tolerance, borders included (up to rounding)."""
        gold, answer = submission.problem.answer, submission.answer
        assert gold is not None
        expected = await number_of(gold)
        if expected is None:
            return Grade(None, f"the gold answer {gold[:60]!r} is no number", "gold")
        number = None if answer is None else await number_of(answer)
        if number is None:
            return Grade(False)
        allowed = max(self._absolute, self._relative * abs(expected))
        # 0.1 as a float is a little more than a tenth: a border that is written counts.
        return Grade(abs(number - expected) <= allowed * (1 + Fraction(1, 10**12)))


async def number_of(text: str) -> Fraction | None:
    """The number that an answer is: `1,000`, `1/2`, `1e-3`, `x = 5`, `10^{-5}`, `12 cm`, `500nm`.

    What is no plain number is worked out in a process under limits.
    """
    from tts_runtime.answers.clean import clean
    from tts_runtime.answers.numbers import MAXIMUM_LENGTH, number_key, number_value

    if len(text) > MAXIMUM_LENGTH:
        return None
    text = _UNIT.sub("", text)
    if _COMMA.search(text):
        text = text.replace(",", ".")
    key = number_key(text) or number_key(clean(text))
    value = None if key is None else number_value(key)
    if value is not None:
        return value
    with contextlib.suppress(ValueError, OverflowError):
        read = float(clean(text))
        return Fraction(read) if math.isfinite(read) else None
    if not re.search(r"[0-9]", text):
        return None
    later = form_later(text)
    if isinstance(later, Future):
        await settled(later)
    return number_value(form(text).key)


class ChoiceGrader(Grader):
    """The letter of the gold choice, or that choice's text (field `choices`); of several, all."""

    every_candidate = True

    async def grade(self, submission: Submission) -> Grade:
        """Whether both name one choice."""
        from tts_runtime.answers.choice import several_choices

        gold = submission.problem.answer
        assert gold is not None
        listed = submission.problem.fields.get("choices")
        choices = [str(each) for each in listed] if isinstance(listed, list | tuple) else []
        expected = letter_of(gold, choices)
        answer = submission.answer
        if expected is None:
            several = several_choices(gold)
            if several is None:
                return Grade(None, f"the gold answer {gold[:60]!r} is no choice", "gold")
            return Grade(answer is not None and several_choices(answer) == several)
        return Grade(answer is not None and letter_of(answer, choices) == expected)


def letter_of(text: str, choices: Sequence[str]) -> str | None:
    """The letter that a text names: `B`, `(b)`, `B) 12`, or the text of a choice.

    A label of a choice is one even where a choice's text is that letter (blood groups, variables).
    """
    from tts_runtime.answers.choice import read_choice, stated_choice

    plain = " ".join(text.split())
    label = _LABEL.fullmatch(plain)
    if label is not None and ord(label[1]) - ord("A") < (len(choices) or 26):
        return label[1]
    for place, choice in enumerate(choices):
        if plain == " ".join(choice.split()):
            return chr(ord("A") + place)
    alone = _LETTER.fullmatch(plain)
    if alone is not None:
        return alone[1].upper()
    choice_read = read_choice(text)
    if choice_read is not None:
        return choice_read.letter.upper()
    stated = stated_choice(plain)  # with a reason behind the letter
    if stated is not None:
        return stated.strip("()[]（）")[0]
    if not choices:
        return None
    key = form(text).key
    same = [place for place, choice in enumerate(choices) if form(choice).key == key]
    return chr(ord("A") + same[0]) if len(same) == 1 else None
