"""Is an answer right? Looser than the vote's equality (C42): math-verify decides what is left."""

import logging
import re
from collections.abc import Iterable

from tts_runtime.answers.canonical import AnswerKind, canonical, canonical_form
from tts_runtime.answers.clean import clean
from tts_runtime.answers.numbers import number_key

# math-verify compares with simplify() and solve(); without its alarm signals, which work in the
# main thread only and make results depend on the machine's speed, size is what bounds the time.
MAXIMUM_LENGTH = 80
MAXIMUM_RADICALS = 4
MAXIMUM_EXPONENT = 10
_FUNCTION = re.compile(r"\\(?:sin|cos|tan|cot|sec|csc|arc|ln|log|exp)|[|]|\^\{?[^0-9{-]")
_RADICAL = re.compile(r"\\sqrt|\^\{[^}]*/")
_EXPONENT = re.compile(r"\^\{?-?([0-9]+)")
_RELATION = re.compile(r"[=<>]|\\(?:le|ge|ne|in)(?![A-Za-z])")
_WHOLE = re.compile(r"-?[0-9]{1,12}")
_LONG_NUMBER = re.compile(r"[0-9]{21}|!")

_PERCENT = re.compile(r"\\?%|percent")
_BASE = re.compile(r"([0-9A-F]+)_\{[0-9]+\}")


def grade(answer: str | None, gold: str) -> bool:
    """Whether `answer` is as good as `gold`. A missing answer is wrong (C40). Never raises.

    Equal canonical forms are right. So are: a percentage given as its value (`50\\%`, `0.5`), a
    number without the base that the gold answer names, and what math-verify accepts, among it
    decimals that agree with the gold value to six places.
    """
    if answer is None:
        return False
    if canonical(answer) == canonical(gold):
        return True
    if _percent_value(answer, gold) or _percent_value(gold, answer):
        return True
    gold_base = _BASE.fullmatch(canonical(gold))
    if gold_base is not None:
        return canonical(answer) == number_key(gold_base[1])
    return _verify(answer, gold)


def warm_up(golds: Iterable[str | None]) -> None:
    """Loads what grading answers like these needs: a second that belongs to no run.

    Nothing if all of them are whole numbers, as almost all answers will then be.
    """
    for gold in golds:
        if gold is not None and not _WHOLE.fullmatch(clean(gold)):
            grade(r"\frac{1}{3}", r"\sqrt{2}")
            return


def _percent_value(percent: str, plain: str) -> bool:
    if not _PERCENT.search(percent) or _PERCENT.search(plain):
        return False
    value = number_key(clean(percent))
    return value is not None and canonical(plain) == canonical(rf"{value}e-2")


def _verify(answer: str, gold: str) -> bool:
    forms = canonical_form(answer), canonical_form(gold)
    texts = clean(answer), clean(gold)
    if all(map(_WHOLE.fullmatch, texts)):
        return False  # different, and no reason to load a computer algebra system
    if any(form.kind is AnswerKind.TEXT for form in forms) or not all(map(_is_small, texts)):
        return False
    # Two equations would be solved, which no size bounds well (a small one took 40 seconds).
    if all(_RELATION.search(text) for text in texts):
        return False
    import math_verify

    # Each call without a timeout would warn that it has none.
    logging.getLogger("math_verify").setLevel(logging.ERROR)
    configuration = [math_verify.LatexExtractionConfig()]
    # Decimals must stay decimals (a canonical form is exact, and would never be "close enough").
    answer_tree, gold_tree = (
        math_verify.parse(f"${text}$", configuration, parsing_timeout=None) for text in texts
    )
    return bool(math_verify.verify(gold_tree, answer_tree, timeout_seconds=None))


def _is_small(text: str) -> bool:
    small = (
        len(text) <= MAXIMUM_LENGTH
        and len(_RADICAL.findall(text)) <= MAXIMUM_RADICALS
        and not _LONG_NUMBER.search(text)
        and all(int(power[1]) <= MAXIMUM_EXPONENT for power in _EXPONENT.finditer(text))
    )
    if not small or not _FUNCTION.search(text):
        return small
    from tts_runtime.answers import expression, normal_form

    tree = expression.parse(text)
    return tree is not None and normal_form.is_simple(tree)
