r"""Answers of multiple choice: `A`, `(A)`, `A.`, `\textbf{(A)}`, `Option A`, `(A) 12`, `A: 12`."""

import re
from dataclasses import dataclass

from tts_runtime.answers.notation import to_latex


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
    r"(?:[.:)]?[*_`$]{0,4}[ \t]*(?=[\r\n]|$)"
    r"|[ ]+is[ ]+(?:the[ ]+)?(?:correct|right|best|answer)\b"
    r"|(?P<text>(?:(?(closed)[.:]?|[.:)]))[*_`$]{0,4}[ \t]+\S))"
)
_FOLLOWING = {"A": "B", "I": "II"}
MAXIMUM_LINE = 60


def read_choice(text: str) -> Choice | None:
    """The choice that an answer names, None if it is no choice."""
    if len(text) > 200:
        return None
    match = _CHOICE.fullmatch(to_latex(text).strip())
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
    if following and re.search(rf"(?<!\w){following}[.:)]", text[match.end() :]):
        return None
    line = text.lstrip().partition("\n")[0].strip(" \t\r*_`")
    return line if len(line) < MAXIMUM_LINE and read_choice(line) is not None else letter


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
