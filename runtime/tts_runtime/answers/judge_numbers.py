"""Finds the number that a text gives as its verdict, among all the numbers that it mentions.

A verdict may be decorated (`**3**`, `[[3]]`, `\\boxed{3}`, `(3)`) and have a denominator (`3/10`,
`3 out of 10`). A number that counts something (`9 slips`) or names something (`step 3`) is none,
and where a person could not say which of two numbers is meant (`6 or 7`), neither is.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite
from typing import Final

#: Full-width forms as ASCII, circled digits as digits; what only decorates a digit goes.
_PLAIN: Final[dict[int, int | str]] = {
    **{code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)},
    **{0x2460 + place: str(place + 1) for place in range(20)},
    **dict.fromkeys((0xFE0F, 0x20E3, 0x200B, 0x2060), ""),
}
_HALVES: Final = "¼½¾⅐⅑⅒⅓⅔⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞"
_STRUCK: Final = re.compile(r"~~[^~\n]*~~")

_DIGITS: Final = (
    r"(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])(?:\.[0-9]+)?|[0-9]+(?:[.,][0-9]+)?|\.[0-9]+)"
)
_NUMBER: Final = re.compile(rf"[+\-\u2212]?{_DIGITS}[{_HALVES}]?|[{_HALVES}]")
_THOUSANDS: Final = re.compile(r"[+\-\u2212]?[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?")

#: Texts between a marker and its number that belong to neither.
_DECORATION: Final = re.compile(
    r"""(?:\s | [-=]+> | [*_`~#"'|$:=\[\](){}]
      | [\u2018\u2019\u201c\u201d\u00ab\u00bb\u2022\u2192\u27f6\u2248]
      | [-\u2013\u2014](?=\s) | ^>\s | </?[A-Za-z]\w*> | <(?=[0-9.,]+>)
      | \\(?:boxed|fbox|text|textbf|mathbf|mathrm|bf|rm)(?![A-Za-z]) | \\[()\[\]]
      )+""",
    re.VERBOSE | re.MULTILINE,
)
_WORD: Final = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)*\.?")
#: Words that may stand before a verdict, at most.
_WORDS: Final = 24
_FILLING: Final = (
    "a an the this that it its is are be as of at to for with about around approximately roughly "
    "i i'd i'll i'm we we'd my our would will shall should could can have has been do "
    "say rate rated rating give given giving gives gave assign assigned award get gets receive "
    "receives deserve deserves earn earns choose chose pick prefer select vote go think believe "
    "score scored grade graded mark number value verdict judgment judgement result overall final "
    "scale point total solid strong full perfect one therefore so hence clearly best better"
)
_FILLERS: Final = frozenset(_FILLING.split())
_CANDIDATES: Final = (
    "solutions? candidates? responses? answers? options? choices? assistants? models? outputs? "
    "attempts? proposals? samples? no number index"
)
_CANDIDATE: Final = re.compile(f"(?:{'|'.join(_CANDIDATES.split())})", re.IGNORECASE)
_PLACES: Final = (
    "steps? lines? parts? problems? questions? equations? eqs? cases? sections? pages? figures? "
    "tables? theorems? lemmas? chapters? points? items? rows? versions? paragraphs? exercises?"
)
_COUNTED: Final = (
    "slips? errors? mistakes? flaws? gaps? issues? typos? problems? steps? lines? parts? claims? "
    "reasons? times? ways? cases? solutions? candidates? responses? answers? options? words? "
    "sentences? paragraphs? equations? others? remaining minor major small big serious"
)

_UNITS: Final = re.compile(
    r"\s*(?:(?:points?|pts?|stars?|marks?)\b\.?|分(?!之)|点(?![0-9])|점)", re.IGNORECASE
)
_ORDINAL: Final = re.compile(
    rf"(?:st|nd|rd|th)\b(?:\s+(?:{'|'.join(_CANDIDATES.split())}|one)\b)?", re.IGNORECASE
)
_ORDINALS: Final = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth")
_NTH_CANDIDATE: Final = re.compile(
    # `a`: no long s, which `lower` would leave.
    rf"\b((?ai:{'|'.join(_ORDINALS)}))(?=\s+(?i:{'|'.join(_CANDIDATES.split())}|one)\b)"
)
_CLOSING: Final = re.compile(r"""[*_`~"'$\])}\u2019\u201d]+|\\[)\]]""")
_OF: Final = re.compile(rf"\s*[(\[]?\s*(?:/|out of|of)\s*[*_]*(?P<end>{_DIGITS})", re.IGNORECASE)
_OUT_OF: Final = re.compile(rf"(?:out of|/)\s*(?P<end>{_DIGITS})[\])]?,?", re.IGNORECASE)
_SPAN: Final = re.compile(
    rf"(?P<low>[+\-\u2212]?{_DIGITS})\s*(?:-|\u2013|to)\s*(?P<high>{_DIGITS})[\])]?,?",
    re.IGNORECASE,
)
_PERCENT: Final = re.compile(r"\s*(?:%|percent\b)", re.IGNORECASE)
#: Directly behind a number, where it is a part of something longer: 3.5.2, 9:30, 3*5.
_GLUED: Final = re.compile(r"[.,:][0-9]|[*\u00d7^+=][ ]?[0-9(]")
_COUNTS: Final = re.compile(
    rf"\s+(?:of\s+(?:the|these|those|them|its|all)\b|(?:{'|'.join(_COUNTED.split())})\b)",
    re.IGNORECASE,
)
_NAMES: Final = re.compile(
    rf"\b(?:{'|'.join(_PLACES.split())})\s*(?:#|no\.?\s|number\s)?\s*\(?"
    r"(?:[0-9]+\s*(?:,|and|&|or|to|-|\u2013)\s*)*$",
    re.IGNORECASE,
)
#: Before a number that is an answer to the problem.
ANSWERS: Final = re.compile(
    r"\b(?:answer|sum|product|equals?)\b\s*(?:is|was|:|=|of|(?:should|would|must)\s+be)?"
    r"[\s*_`$\[({]*$",
    re.IGNORECASE,
)
#: Before a number that is said not to be the verdict.
_REJECTED: Final = re.compile(
    r"\b(?:worst|weakest|worse|rejects?|rejected|eliminates?|discards?|wrong|incorrect|fails?|except"
    r"|unlike|without|not|never|cannot|than|over|below|above|under|n't)\W+(?:\w+\W+){0,3}$",
    re.IGNORECASE,
)
_SEVERAL: Final = re.compile(
    rf"""(?:[ \t\u00a0\u202f]+[0-9]
      | [.,;!?\s-]*(?:(?:no|oh|hmm|wait|actually|sorry|rather|correction|make\ that
          |i\ mean)\W+){{1,3}}{_DIGITS}
      | \s*(?:(?:to|or)\s+[*_\[(]*{_DIGITS}
      | (?:[-=]+>|\u2192)\s*{_DIGITS}
      | [-\u2013]\s*{_DIGITS}(?!\s*[A-Za-z])
      | ,\s*\#?{_DIGITS}\s*(?:$|[,.;)\]\n]|(?:and|or|are)\b)
      | [^.!?\n]{{0,40}}?\b(?:at\ first|no\ wait|no,|wait|on\ reflection|correction|make\ that
          |or\ rather|actually)\b[^.!?\n\d]{{0,30}}{_DIGITS}
      # The number itself, not some other: "8, as 6/8 is reduced to 3/4".
      | (?:[^\w.!?\n]|\b(?:points?|but|then|later|now|which|i|we|it|was|is)\b){{0,12}}
          \b(?:revised|changed|lowered|raised|updated|adjusted|reduced|corrected)
          \ (?:\w+\ )?to\s+[*_\[(]*{_DIGITS}
    ))""",
    re.VERBOSE | re.IGNORECASE,
)
_ALSO: Final = re.compile(
    rf"\s*(?:and|&|,?\s*or|nor|\+|=)\s*(?:(?:{'|'.join(_CANDIDATES.split())})\s*)?[\[(*#]*[0-9]",
    re.IGNORECASE,
)
_FORMULA: Final = re.compile(
    r"\s*[+*\u00d7^=<>\u2264\u2265]=?\s*(?:[0-9(]|[A-Za-z]\b)|\s+(?:minus|plus|times)\s+[0-9]",
    re.IGNORECASE,
)
_FAULTY: Final = re.compile(
    r"""\s*(?:,\s*which\s+)?(?:
        (?:is|was|looks|seems)\s+(?:also\s+|clearly\s+|nearly\s+|slightly\s+)*
          (?:wrong|incorrect|not|worse|close|flawed|weaker|false|invalid|incomplete|bad)
      | (?:has|had|contains|makes|made)\s+(?!(?:\w+\s+)?(?:no|fewest|fewer|least|zero)\b)
          (?:\w+\s+){0,3}?(?:slip|error|mistake|flaw|gap|issue|problem|typo)s?\b
      | fails\b
      | [^.(\n]{0,20}\b(?:tie[sd]?|equal(?:ly)?)\b
    )""",
    re.VERBOSE | re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Scale:
    """The valid verdicts: numbers from `low` to `high`, or one of `places` candidates."""

    low: float | None = None
    high: float | None = None
    places: int = 0

    def named_at(self, text: str, start: int) -> re.Match[str] | None:
        """Words that only name the scale: `out of 10`, `0-10`, `from 0 to 10`."""
        outer = _OUT_OF.match(text, start)
        if outer is not None and number_of(outer["end"]) == (self.places or self.high):
            return outer
        span = _SPAN.match(text, start)
        ends = (1, self.places) if self.places else (self.low, self.high)
        if span is not None and (number_of(span["low"]), number_of(span["high"])) == ends:
            return span
        return None


@dataclass(frozen=True, slots=True)
class NumberVerdict:
    """A number that is a verdict; `value` is missing where it is an unusable one. `end`: behind."""

    value: float | None
    end: int


def plain(text: str) -> str:
    """A text without what is struck out, its digits and signs in ASCII."""
    return _STRUCK.sub("", text.translate(_PLAIN))


def numbered(text: str) -> str:
    """A text whose candidates have their places as numbers: `second solution` is the 2nd."""
    return _NTH_CANDIDATE.sub(lambda match: f"{_ORDINALS.index(match[1].lower()) + 1}th", text)


def number_of(written: str) -> float:
    """A number as written: with a decimal comma, thousands, or a fraction sign behind."""
    part = 0.0
    if written[-1] in _HALVES:
        part = unicodedata.numeric(written[-1])
        written = written[:-1]
    if _THOUSANDS.fullmatch(written):
        written = written.replace(",", "")
    whole = float(written.replace(",", ".").replace("\u2212", "-")) if written else 0.0
    return whole + part


def verdict_at(text: str, begin: int, scale: Scale) -> NumberVerdict | None:
    """The verdict that begins here, after decoration and words that say nothing.

    `None`: something else stands here.
    """
    start = begin
    labelled = False
    for _ in range(_WORDS):
        decoration = _DECORATION.match(text, start)
        if decoration is not None:
            start = decoration.end()
        outer = scale.named_at(text, start)
        if outer is not None:
            start = outer.end()
            continue
        if labelled and scale.places and text[start : start + 1] == "-":
            start += 1  # candidate-2
        number = _NUMBER.match(text, start)
        if number is not None:
            if labelled and not scale.places:
                return None
            return _judged(text, number, begin, scale)
        word = _WORD.match(text, start)
        if word is None:
            return None
        name = word[0].rstrip(".").lower().replace("\u2019", "'")
        labelled = _CANDIDATE.fullmatch(name) is not None
        if not labelled and (word[0].endswith(".") or name not in _FILLERS):
            return None
        start = word.end()
    return None


def _judged(text: str, number: re.Match[str], begin: int, scale: Scale) -> NumberVerdict | None:
    """A number of a text from `begin` on as a verdict; `None` where it is something else's."""
    begin = max(begin, number.start() - 60)
    if _NAMES.search(text, begin, number.start()):
        return None
    if not scale.places and ANSWERS.search(text, begin, number.start()):
        return None
    if _lists(text, number):
        return None
    end = number.end()
    units = _UNITS.match(text, end)
    ordinal = _ORDINAL.match(text, end) if scale.places else None
    if (closing := units or ordinal) is not None:
        end = closing.end()
    elif text[end : end + 1].isalnum() or _GLUED.match(text, end):
        return NumberVerdict(None, end)
    if (closing := _CLOSING.match(text, end)) is not None:
        end = closing.end()
    usable = True
    if (outer := _OF.match(text, end)) is not None:
        usable = number_of(outer["end"]) == (scale.places or scale.high or number_of(outer["end"]))
        end = outer.end()
    elif ordinal is None and _COUNTS.match(text, end):
        return None
    elif (percent := _PERCENT.match(text, end)) is not None:
        usable = scale.high in (None, 100) and not scale.places
        end = percent.end()
    usable = usable and not _SEVERAL.match(text, end)
    if scale.places:
        usable = usable and not (_ALSO.match(text, end) or _FAULTY.match(text, end))
    else:
        usable = usable and not _FORMULA.match(text, end)
    return NumberVerdict(_inside(number_of(number[0]), scale) if usable else None, end)


def _lists(text: str, number: re.Match[str]) -> bool:
    """Whether a number is the first of a numbered list."""
    if number[0] != "1" or not re.match(r"[.)]\s+\S", text[number.end() :]):
        return False
    return re.search(r"\n\s{0,8}2[.)]\s", text[number.end() :]) is not None


def _inside(value: float, scale: Scale) -> float | None:
    if not isfinite(value):
        return None
    if scale.places:
        return value if value in range(1, scale.places + 1) else None
    low, high = scale.low, scale.high
    inside = (low is None or value >= low) and (high is None or value <= high)
    return value if inside else None


def verdicts_in(text: str, scale: Scale) -> Iterator[NumberVerdict]:
    """Every number of a text that could be meant as a verdict, in order."""
    end = 0
    for number in _NUMBER.finditer(text):
        start = number.start()
        if start < end or _within(text, start):
            continue
        if (outer := scale.named_at(text, start)) is not None:
            end = outer.end()
            continue
        if _REJECTED.search(text, max(0, start - 40), start):
            continue
        verdict = _judged(text, number, 0, scale)
        if verdict is not None:
            end = verdict.end
            yield verdict


def _within(text: str, start: int) -> bool:
    """Whether a number belongs to a word or a formula that begins before it."""
    before = text[max(0, start - 3) : start]
    return bool(re.search(r"[\w.]$|[=+*/^<>\u00d7\u00f7]\s?$", before)) and not before.endswith("_")
