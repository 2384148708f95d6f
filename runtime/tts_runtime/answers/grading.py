"""Is an answer right? Looser than the vote's equality (C42), except that two units must agree."""

import math
import re
from fractions import Fraction
from functools import lru_cache
from typing import Any

from tts_runtime.answers.choice import read_choice, several_choices
from tts_runtime.answers.clean import clean, unit_of
from tts_runtime.answers.forms import canonical
from tts_runtime.answers.intervals import ORDER
from tts_runtime.answers.keys import key
from tts_runtime.answers.measures import factor
from tts_runtime.answers.names import NAME, is_constant
from tts_runtime.answers.numbers import MAXIMUM_LENGTH, number_key, number_value, ratio_key
from tts_runtime.answers.parts import Structure, StructureKind
from tts_runtime.answers.structure import read
from tts_runtime.answers.units import contradict, dimensions

# Two decimals of a value agree to this share of it; a whole number, being exact, needs more.
TOLERANCE = 1.0001e-6
WHOLE_TOLERANCE = 1e-9
# Lists are compared element by element only up to this many.
MAXIMUM_ELEMENTS = 16

_WHOLE = re.compile(r"-?[0-9]{1,12}")
_PERCENT = re.compile(r"\\?%|percent|pct")
_BASE = re.compile(r"(-?[0-9][0-9A-F]*|[A-F][0-9A-F]*)_\{[0-9]+\}")
_BASE_TEN = re.compile(r"[0-9]\s*_\s*(?:\{\s*)?(?:\\text\{\s*)?(?:10(?![0-9])|ten)")
_DECIMAL_COMMA = re.compile(r"-?(?:0,[0-9]+|[1-9][0-9]*,(?:[0-9]{2}|[0-9]{4,}))")
_GROUPED_COMMA = re.compile(r"-?[1-9][0-9]{0,2}(?:\.[0-9]{3})+,[0-9]+")
_DECIMAL = re.compile(r"(?<![0-9])[0-9]*\.([0-9]+)|[0-9][eE]-?[0-9]")
_PLAIN_COMMA = re.compile(r"(?:[A-Za-z]=)?-?[0-9]+,[0-9]+")
_POINT = re.compile(r"[A-Z]'?(\(.+,.+\))")
# What contests ask for: "Find m + n."
_SUM = re.compile(r"[A-Za-z](?:\+[A-Za-z])+=(.+)")
# Not times of the day: `10:05`.
_RATIO = re.compile(r"([1-9][0-9]*):([1-9][0-9]*)")
_QUOTIENT = re.compile(r"([0-9]+)/([0-9]+)")
# Beside a number: combinations, and thousands in short.
_COUNTED = re.compile(
    r"(?<![A-Za-z\\])([ACP])(?:\(([0-9]{1,3}),([0-9]{1,3})\)|_\{?([0-9]{1,3})\}?\^\{?([0-9]{1,3})\}?)"
)
_SHORTENED = re.compile(r"(-?[0-9]+(?:\.[0-9]+)?)([kKMB])")
_THOUSANDS = {"k": 10**3, "m": 10**6, "b": 10**9}
_RESIDUE = re.compile(r"(-?[0-9]+)\\pmod\{[0-9]+\}")
_HALF_OF_DAY = re.compile(r"([0-9]{1,2}:[0-9]{2})\\text\{[ap]m\}")
_SAME_WORDS = ({"true", "yes"}, {"false", "no"})
_COLLECTIONS = (StructureKind.LIST, StructureKind.SET, StructureKind.UNION)


def grade(answer: str | None, gold: str) -> bool:
    """Whether `answer` is as good as `gold`. A missing answer is wrong (C40). Never raises.

    Equal canonical forms are right, unless both name units that differ. So are: a percentage given
    as its value (`50\\%`, `0.5`), a number without the base that the gold answer names, the
    content of a choice, formulas with equal values, values without the names that the gold answer
    gives them, and decimals that agree with the gold value to six digits.
    """
    if answer is None:
        return False
    if max(len(answer), len(gold)) > MAXIMUM_LENGTH:
        return canonical(answer) == canonical(gold)
    return _grade(answer, gold)


@lru_cache(maxsize=16384)
def _grade(answer: str, gold: str) -> bool:
    choices = read_choice(answer), read_choice(gold)
    if choices[0] is not None and choices[1] is not None:
        return choices[0].letter == choices[1].letter
    for choice, other in zip(choices, (gold, answer), strict=True):
        if choice is not None and choice.content and _grade(choice.content, other):
            return True
    if all(map(_WHOLE.fullmatch, (answer, gold))):
        return int(answer) == int(gold)
    several = several_choices(answer), several_choices(gold)
    # Of the two, one must be a list: `A/C` and `C/A` are quotients.
    if None not in several and any("," in text or "and" in text for text in (answer, gold)):
        return several[0] == several[1]
    units = unit_of(answer), unit_of(gold)
    forms = canonical(answer), canonical(gold)
    if contradict(*units):
        return _same_measure(*forms, factor(*units))
    if any(map(_same_angle, forms, reversed(forms), units)):
        return True
    if forms[0] == forms[1]:
        return True
    if _percent_value(answer, gold) or _percent_value(gold, answer):
        return True
    if _same_ratio(*forms) or _same_ratio(*reversed(forms)):
        return True
    gold_base = _BASE.fullmatch(forms[1])
    if gold_base is not None:
        return forms[0] == number_key(gold_base[1]) and not _BASE_TEN.search(answer)
    texts = clean(answer), clean(gold)
    if all(map(_WHOLE.fullmatch, texts)):
        return False  # different, and no reason to load a computer algebra system
    left, right = _structure(_as_asked(answer, *texts)), _structure(texts[1])
    if {left.kind, right.kind} == {StructureKind.WORDS, StructureKind.SCALAR}:
        # Letters side by side are a product where the other answer is a formula.
        left, right = (Structure(StructureKind.SCALAR, text) for text in texts)
    return same(left, right)


def _same_measure(answer: str, gold: str, worth: Fraction | None) -> bool:
    """Whether numbers in two units are one measure. `worth`: of the first unit in the second."""
    values = number_value(answer), number_value(gold)
    if worth is None or values[0] is None or values[1] is None:
        return False
    return values[0] * worth == values[1]


def _same_angle(degrees: str, radians: str, unit: str) -> bool:
    """Whether degrees, named so, are the radians of a multiple of pi."""
    if set(dimensions(unit)) != {"degree"} or r"\pi" not in radians:
        return False
    value = number_value(degrees)
    return value is not None and canonical(rf"({value})\pi/180") == radians


def _as_asked(written: str, answer: str, gold: str) -> str:
    """A cleaned answer in the notation of the gold answer, where that decides how it is read."""
    value = number_value(number_key(gold) or "")
    if value is not None:
        answer = _counted(answer)
        shortened = _SHORTENED.fullmatch(answer)
        # `2k` alone is a formula; `\\$2k` is none.
        if shortened is not None and (shortened[2] != "k" or unit_of(written)):
            return str(Fraction(shortened[1]) * _THOUSANDS[shortened[2].lower()])
    if value is not None and value.denominator > 1 and _PLAIN_COMMA.fullmatch(answer):
        # A list of whole numbers is no fraction, unless a space shows that it is one.
        return answer if ", " in written else answer.replace(",", ".")
    total = _SUM.fullmatch(answer)
    if total is not None and is_constant(gold):
        return total[1]
    residue = _RESIDUE.fullmatch(answer)
    if residue is not None and value is not None:
        return residue[1]
    half = _HALF_OF_DAY.fullmatch(answer)
    if half is not None and half[1] == gold:
        return gold
    point = _POINT.fullmatch(answer)
    return point[1] if point is not None and gold.startswith("(") else answer


def _counted(answer: str) -> str:
    """`C(10,3)` and `C_{10}^{3}`, names of a point and a constant elsewhere, as `10C3`; `A`, as
    `P`, counts orders."""

    def chosen(match: re.Match[str]) -> str:
        count, drawn = (int(match[at] or match[at + 2]) for at in (2, 3))
        if drawn > count:
            return match[0]  # a point
        return f"({(math.comb if match[1] == 'C' else math.perm)(count, drawn)})"

    return _COUNTED.sub(chosen, answer)


def _structure(cleaned: str) -> Structure:
    # On the continent the comma is the decimal point.
    if _GROUPED_COMMA.fullmatch(cleaned):
        return read(cleaned.replace(".", "").replace(",", "."))
    return read(cleaned.replace(",", ".") if _DECIMAL_COMMA.fullmatch(cleaned) else cleaned)


def _same_ratio(ratio: str, fraction: str) -> bool:
    """Whether `2:3` is given as the fraction `2/3`."""
    parts, quotient = _RATIO.fullmatch(ratio), _QUOTIENT.fullmatch(fraction)
    if parts is None or quotient is None:
        return False
    return int(parts[1]) * int(quotient[2]) == int(parts[2]) * int(quotient[1])


def _percent_value(percent: str, plain: str) -> bool:
    if not _PERCENT.search(percent) or _PERCENT.search(plain):
        return False
    value = number_value(canonical(percent))
    return value is not None and canonical(plain) == str(value / 100)


def same(left: Structure, right: Structure) -> bool:
    """Whether two structures say the same, part by part."""
    keys = key(left), key(right)
    if keys[0] is not None and keys[0] == keys[1]:
        return True
    left, right = _once(left), _once(right)
    kinds = {left.kind, right.kind}
    if kinds == {StructureKind.SCALAR}:
        return _same_scalar(left.text, right.text)
    if StructureKind.RECORD in kinds:
        return _same_record(left, right)
    if kinds <= set(_COLLECTIONS):
        # One of several conditions is not all of them; a union of values has these as elements.
        union = next((each for each in (left, right) if each.kind is StructureKind.UNION), left)
        conditions = len(kinds) > 1 and any(ORDER.search(item.text) for item in union.items)
        return not conditions and _same_elements(left, right)
    if kinds == {StructureKind.TUPLE, StructureKind.MATRIX}:
        rows, matrix = (left, right) if left.kind is StructureKind.TUPLE else (right, left)
        column = [row.items[0] for row in matrix.items if len(row.items) == 1]
        if rows.text == "()" and len(column) == len(matrix.items):
            return _in_order(rows.items, tuple(column))
        return rows.text == "[]" and _in_order(rows.items, matrix.items)
    if kinds == {StructureKind.TUPLE, StructureKind.LIST}:
        # Without brackets, but in order. `[1,2]` may be an interval, `[1,2,3]` is none.
        brackets = left.text or right.text
        listed = brackets == "()" or (brackets == "[]" and len(left.items) != 2)
        return listed and _in_order(left.items, right.items)
    if kinds == {StructureKind.RATIO} and bool(left.items) != bool(right.items):
        # `12:30` may be a time of the day; beside `2:5`, which is none, it is not.
        parts = _RATIO.fullmatch(left.text or right.text)
        return parts is not None and ratio_key(parts.groups()) == keys[bool(left.text)]
    if kinds == {StructureKind.WORDS}:
        return {left.text, right.text} in _SAME_WORDS
    if len(kinds) > 1 or left.text != right.text:
        return False
    return bool(left.items) and _in_order(left.items, right.items)


def _once(structure: Structure) -> Structure:
    """One value that is given several times: `1/2 or 0.5`."""
    if structure.kind not in _COLLECTIONS:
        return structure
    keys = {key(item) for item in structure.items}
    return structure.items[0] if len(keys) == 1 and None not in keys else structure


def _in_order(left: tuple[Structure, ...], right: tuple[Structure, ...]) -> bool:
    return len(left) == len(right) and all(map(same, left, right))


def _same_elements(left: Structure, right: Structure) -> bool:
    """Each element has its partner; who repeats one may face a list that does not."""
    ours, theirs = list(left.items), list(right.items)
    if max(len(ours), len(theirs)) > MAXIMUM_ELEMENTS:
        return False
    distinct = [_distinct(items) for items in (ours, theirs)]
    if len(distinct[0]) == len(ours) or len(distinct[1]) == len(theirs):
        ours, theirs = distinct
    if len(ours) != len(theirs):
        return False
    for item in ours:
        partner = next((at for at, other in enumerate(theirs) if same(item, other)), None)
        if partner is None:
            return False
        del theirs[partner]
    return True


def _distinct(items: list[Structure]) -> list[Structure]:
    by_key: dict[str, Structure] = {}
    for at, item in enumerate(items):
        form = key(item)
        by_key.setdefault(form if form is not None else f"\x00{at}", item)
    return list(by_key.values())


def _same_record(left: Structure, right: Structure) -> bool:
    record, other = (left, right) if left.kind is StructureKind.RECORD else (right, left)
    if other.kind is StructureKind.RECORD:
        return record.names == other.names and _in_order(record.items, other.items)
    if other.kind is StructureKind.TUPLE:
        return other.text == "()" and _in_order(record.items, other.items)
    return other.kind in _COLLECTIONS and _same_elements(
        Structure(StructureKind.LIST, items=record.items), other
    )


def _same_scalar(left: str, right: str) -> bool:
    if left == right:
        return True
    if not left or not right:
        return False
    values = number_value(number_key(left) or ""), number_value(number_key(right) or "")
    if values[0] is not None and values[1] is not None:
        return values[0] == values[1] or _close(left, right, values[0], values[1])
    for one, other in ((left, right), (right, left)):
        name, sign, value = one.partition("=")
        if not sign or "=" in value + other or name == value:
            continue
        if NAME.fullmatch(name) and not is_constant(other):
            return _same_scalar(value, other)
        if is_constant(name) and is_constant(value):
            return _same_scalar(value, other)  # what a calculation, right or wrong, ends with
    import tts_runtime.answers.evaluate as evaluate

    if evaluate.equal(left, right):
        return True
    if not (is_constant(left) and is_constant(right)):
        return False
    numbers = evaluate.constant(left), evaluate.constant(right)
    return None not in numbers and _close(left, right, *numbers)


def _close(left: str, right: str, first: Any, second: Any) -> bool:
    """Whether two different values are one up to the rounding of a decimal."""
    places = [_DECIMAL.search(text) for text in (left, right)]
    written = [match[1] and len(match[1]) for match in places if match is not None]
    if not written or (len(written) == 2 and written[0] == written[1]):
        return False
    whole = any(map(_WHOLE.fullmatch, (left, right)))
    tolerance = WHOLE_TOLERANCE if whole else TOLERANCE
    return bool(abs(first - second) <= tolerance * max(abs(first), abs(second)))
