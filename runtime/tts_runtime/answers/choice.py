r"""Answers of multiple choice: `A`, `(A)`, `A.`, `\textbf{(A)}`, `Option A`, `(A) 12`, `A: 12`."""

import re
from dataclasses import dataclass

from tts_runtime.answers.notation import to_latex
from tts_runtime.answers.remarks import SENTENCE_GAP


@dataclass(frozen=True, slots=True)
class Choice:
    """The letter of a choice, and what stands behind it (empty if nothing does)."""

    letter: str
    content: str


_OPENING = (
    r"(?:[\s${*]|\\(?:text[a-z]*|mathrm|mathbf|mathsf|mbox|boxed|fbox|bf|rm)(?![A-Za-z])|\\[(\[])*"
)
_CHOICE = re.compile(
    rf"{_OPENING}"
    r"(?P<word>(?:(?:the )?(?:correct )?(?:answer|option|choice)(?: is)?|选项?)\s*:?\s*)?"
    rf"{_OPENING}"
    r"(?:\((?P<round>[A-Za-z])\s*\)|\[(?P<square>[A-J])\]|(?P<bare>[A-Za-z]))"
    r"(?P<point>[\s}*]*[.):])?(?P<gap>(?:[\s}*~$]|\\[ ,;:!)\]]|\\q?quad(?![A-Za-z]))*)"
    r"(?P<content>.*)",
    re.IGNORECASE | re.DOTALL,
)
_CLOSED = re.compile(r"[\s}*$.,]|\\[)\]]")
# A continuation of this kind makes the letter part of a formula or a list.
_FORMULA = re.compile(
    r"[+/^_=<>,;&|!(\[':-](?!\s*[0-9.]|\s*\\[a-z]*frac)|[+/^_=<>,;&|!]|"
    r"\\(?:text\s*\{\s*)?(?:and|or|cup|cap|setminus|times|cdot|in|le|ge|lt|gt|ne|to|equiv|pm|div)"
    r"(?![A-Za-z])|(?:and|or)(?![A-Za-z])",
    re.IGNORECASE,
)
# The beginning of a reply.
_LEADING = re.compile(
    r"[\s*_`$]*(?i:(?:the[ ])?(?:option|choice|answer)[ ]+[*_]{0,4})?"
    r"(?:[(\[](?P<closed>[A-J])[)\]]|(?P<bare>[A-J])(?!\w))[*_`$]{0,4}"
    r"(?:[.:)．]?[*_`$]{0,4}[ \t]*(?=[\r\n]|$)"
    r"|[ ]+is[ ]+(?:the[ ]+)?(?:correct|right|best|answer)\b|,?[ ]+(?:because|since)\b"
    r"|(?P<text>(?:(?(closed)[.:]?|[.:)]))[*_`$]{0,4}[ \t]+\S|．[*_`$]{0,4}[ \t]*\S))"
)
# A full stop of full width has its gap in it: "A．5".
_WIDE = re.compile(r"(?<!\w)([A-J])．")
_FOLLOWING = {"A": "B", "I": "II"}
# Several choices: what may stand around the letters, and the letters themselves.
_LIST_MARKS = re.compile(
    r"\\(?:text[a-z]*|mathrm|mathbf|mathsf|mbox)(?![A-Za-z])|\\ |[${}()\[\]*.]"
)
_LETTERS = re.compile(r"[A-J]{2,10}|[A-J](?:\s*(?:[,;/]|\\?&|and\b|,\s*and\b|[、和与])\s*[A-J])+")
MAXIMUM_LINE = 60
MAXIMUM_SENTENCE = 300
# A letter with which a statement begins.
_MARKS = r"[*_`$\"”]{0,6}"
_STATED = re.compile(
    rf"{_MARKS}(?:(?P<closed>[(\[（]?[A-J][)\]）])(?!\w)|(?P<bare>[A-J])(?![A-Za-z0-9_'’])){_MARKS}"
)
# Behind it: more letters, a reason or another remark, what the letter stands for; `A - BC`,
# `C (x+1)` and `A (1, 2)` are formulas.
_AND = r"(?:[,;/&、，]|\band\b|\bor\b|[和与或とや와과])"
_SEVERAL = re.compile(
    rf"\s*{_AND}[\s,]*(?:(?:and|or)\s+)?{_MARKS}[(\[]?[A-J][)\]]?{_MARKS}"
    rf"(?=\s*(?:$|[.;:\u3040-\u30ff\uac00-\ud7a3]|are\b|{_AND}))"
)
_RIGHT = (
    r"(?i:(?:clearly|the|to be|therefore|thus|most|likely)\s+){0,3}(?i:correct|right|best|answer)\b"
)
_REASON = re.compile(
    r"\s*(?:$|[,，;；。]|\(?(?i:because|since|as|which|where|given|due|rather|instead|weil|porque|pois"
    rf"|parce|perché)\b|(?:and |but )?not [(\[*]*[A-J]\b|is {_RIGHT}"
    r"|因|是?正确|是?对|选?项|[\u3040-\u30ff\uac00-\ud7a3])"
)
_REMARK = re.compile(
    r"[.:：．]|\s+\((?=[^\w(]*[-0-9.,/]+\W*\)|.*[^\W\d_]{2})(?!\s*-?[0-9./]+\s*,).*\)\W*$|\s*（"
    r"|\s+[-–—]\s+(?=\W*(?:a\s+)?[^\W\d_]{2})(?!\W*[A-Z]{2}(?![^\W\d_]))"
    r"|[–—](?=[^\W\d_]{2})"
)
# The last sentence of a reply: "So option C is correct.", "It must be (B)", "My choice: B".
_NAMED = rf"{_MARKS}(?:[(\[（](?P<closed>[A-J])[)\]）]|(?P<bare>[A-J])\)?(?![\w'’])){_MARKS}"
_CORRECT = re.compile(
    r"(?:(?i:\b(?:option|choice|answer|alternative)\s+|(?:^|[,:]|\bso|\bthus|\bhence|\btherefore|\bonly)\s*)"
    rf"|(?=[*_`]*[(\[])){_NAMED}"
    rf"\s+(?i:is|must be|would be|should be|seems|appears|looks)\s+{_RIGHT}"
)
_ENDS = re.compile(
    r"\b(?:(?i:(?:it|this|that|which|one|option|choice|letter) (?:must|should|would|has to) be)"
    r"|(?P<weak>(?i:is|be))(?!\W+(?i:option|choice|answer))|(?i:it['’]?s|it is|choose|pick"
    r"|select|(?:option|choice|answer|letter)(?: is)?|go with|going with)\b)"
    rf"[\s:*_]+(?i:(?:option|choice|answer)\s+)?{_NAMED}"
    r"(?:[.!]?\s*$|,?\s+(?:because|since|as)\b|\s*[–—]\s+(?:an?\s+)?(?=[^\W\d_]{2}))"
)
_THUS = re.compile(rf"\b(?i:so|thus|hence|therefore),?\s+{_NAMED}[.!]?$")
_DENIED = re.compile(
    r"\b(?:and|or|nor)\s*$|(?:n['’]t|\b(?:not|never|cannot|eliminated?|excluded?|rule[sd]? out"
    r"|reject|than|except|unlike|if|whether|both|either|neither))\b(?:(?!\.\s)[^,;:]){0,30}$",
    re.IGNORECASE,
)


def read_choice(text: str) -> Choice | None:
    """The choice that an answer names, None if it is no choice."""
    if len(text) > 200:
        return None
    match = _CHOICE.fullmatch(to_latex(_WIDE.sub(r"\1. ", text)).strip())
    if match is None:
        return None
    letter = match["round"] or match["square"] or match["bare"]
    if match["word"]:
        letter = letter.upper()
    content = match["content"].strip()
    if not _CLOSED.sub("", content):
        if letter not in "ABCDEFGHIJ" and not match["word"]:
            return None
        return Choice(letter, "")
    marked = match["round"] or match["square"] or match["point"]
    if letter not in "ABCDEFGHIJ" or not marked or _FORMULA.match(content):
        return None
    point = (match["point"] or "").strip(" }*")
    if point in (".", ":") and not match["gap"] and not match["round"]:
        return None
    return Choice(letter, _balanced(content))


def several_choices(text: str) -> frozenset[str] | None:
    """The letters that an answer names as several choices, None for one choice and all else.

    `A, C`, `(A) and (C)`, `\\text{A/C}`, `AC`; of `A or C`, one is not said to be right.
    """
    if len(text) > MAXIMUM_LINE:
        return None
    letters = _LIST_MARKS.sub(" ", to_latex(text)).strip()
    if _LETTERS.fullmatch(letters) is None:
        return None
    names = re.findall(r"[A-J]", letters)
    return frozenset(names) if len(set(names)) == len(names) else None


def leading_choice(text: str) -> str | None:
    """The choice with which a reply begins, None if it begins with something else.

    `B` alone in its line, `Option B is correct`, or a label and text: `B) Jupiter`. The lines of a
    list are none: `A) 1`, `B) 2`.
    """
    match = _LEADING.match(text)
    if match is None:
        return None
    letter = match["closed"] or match["bare"]
    following = _FOLLOWING.get(letter)
    if match["text"] is None:
        return letter
    if following and re.search(rf"(?<!\w){following}[.:)．]", text[match.end() :]):
        return None
    line = text.lstrip().partition("\n")[0].strip(" \t\r*_`")
    return line if len(line) < MAXIMUM_LINE and read_choice(line) is not None else letter


def stated_choice(statement: str) -> str | None:
    """The choice that an answer's sentence gives, None if it begins with something else.

    `(B), because 3 > 2` and `B (Jupiter)` give the letter, `(B) Jupiter` all of it; `A, B and C` is
    no choice, but several.
    """
    statement = statement[:MAXIMUM_SENTENCE]
    match = _STATED.match(statement)
    if match is None or _SEVERAL.match(statement, match.end()):
        return None
    letter = match["closed"] or match["bare"]
    if _REASON.match(statement, match.end()):
        return letter
    if match["closed"]:
        return statement if len(statement) < MAXIMUM_LINE else letter
    return letter if _REMARK.match(statement, match.end()) else None


def concluded_choice(text: str) -> str | None:
    """The letter that the last sentence of a reply names: `So option C is correct.`"""
    sentence = SENTENCE_GAP.split(text[-MAXIMUM_SENTENCE:].rstrip())[-1].strip()
    for pattern in (_ENDS, _CORRECT, _THUS):
        for match in reversed(list(pattern.finditer(sentence))):
            bare = match["bare"]
            if bare and pattern is _ENDS and match["weak"]:
                continue  # "the winner is B", "the constant must be C": a name
            if not _DENIED.search(sentence, 0, match.start()):
                return match["closed"] or bare
    return None


def _balanced(content: str) -> str:
    """The content without closing braces and dollars of what was opened before the letter."""
    content = content.strip()
    while content.endswith(("}", "$", "*")):
        if content.endswith("}") and content.count("}") <= content.count("{"):
            break
        if content.endswith("$") and content.count("$") % 2 == 0:
            break
        content = content[:-1].rstrip()
    return content
