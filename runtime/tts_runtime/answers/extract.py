r"""Find the final answer in a candidate's text (C35).

A marker is a pattern with one placeholder `{}`:

* `\boxed{}` (a placeholder that is the argument of a LaTeX command): the braces must balance, and
  for `\boxed` the synonyms `\fbox` and `\framebox` count too;
* `The answer is {}`, `#### {}`: from the words (upper or lower case) to the end of the sentence or
  line, or to the words after the placeholder (`<answer>{}</answer>`).

The match that starts last wins; empty matches are skipped.
"""

import re
from collections.abc import Sequence
from functools import lru_cache

DEFAULT_MARKERS = (r"\boxed{}",)
PLACEHOLDER = "{}"

_COMMAND_MARKER = re.compile(r"\\([A-Za-z]+)\s*$")
_BOX_SYNONYMS = ("boxed", "fbox", "framebox")
_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)
# A full stop ends the answer unless a digit or a letter follows it directly (3.5, e.g).
_SENTENCE_END = re.compile(r"\.(?=\s|$)|\n|\r")
_NUMBER = (
    r"(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])(?:\.[0-9]+)?|[0-9]+(?:\.[0-9]+)?|(?<![0-9])\.[0-9]+)"
    r"(?:/[0-9]+)?"
)
# The minus of "10-5" subtracts, the minus of "= -5" belongs to the number.
_LAST_NUMBER = re.compile(rf"(?<![0-9A-Za-z)}}\]])-{_NUMBER}|{_NUMBER}")


class MarkerError(ValueError):
    """A marker of a policy's binding without exactly one placeholder, or with no words."""


def extract_answer(
    text: str,
    markers: Sequence[str] = DEFAULT_MARKERS,
    finish: str = "end",
    thinking_end: str | None = None,
) -> str | None:
    """The candidate's answer as written, or None if there is none yet (C35).

    `markers` are the explicit patterns of the policy's binding; they count at any time. The last
    number in the text is taken instead only if the policy ended by itself (`finish == "end"`).
    `thinking_end` is the text that ends the policy's thinking: if the text has it, only what
    follows its last occurrence is searched.
    Raises MarkerError for a pattern that is not a marker.
    """
    if thinking_end:
        end = text.rfind(thinking_end)
        if end >= 0:
            text = text[end + len(thinking_end) :]
    best: tuple[int, str] | None = None
    for marker in markers:
        found = _find_marker(text, marker)
        if found is not None and (best is None or found[0] > best[0]):
            best = found
    if best is not None:
        return best[1]
    return _last_number(text) if finish == "end" else None


def check_marker(marker: str) -> None:
    """Raise MarkerError unless `marker` has one placeholder and some text before it."""
    before, placeholder, after = marker.partition(PLACEHOLDER)
    if not placeholder or PLACEHOLDER in after or not before.strip():
        raise MarkerError(
            f"the answer marker {marker!r} must be some text followed by one {{}} for the answer, "
            r"such as '\boxed{}' or 'The answer is {}'"
        )


@lru_cache(maxsize=64)
def _compile_marker(marker: str) -> tuple[re.Pattern[str], str, bool]:
    """The pattern that starts the marker, the text that ends it, whether braces must balance."""
    check_marker(marker)
    before, _, after = marker.partition(PLACEHOLDER)
    command = _COMMAND_MARKER.search(before)
    if command is None:
        words = r"\s+".join(re.escape(word) for word in before.split())
        return re.compile(words + r"[\s:*]*", re.IGNORECASE), after.strip(), False
    names = _BOX_SYNONYMS if command[1] in _BOX_SYNONYMS else (command[1],)
    return re.compile(rf"\\(?:{'|'.join(names)})\s*(?=\{{)"), "", True


def _find_marker(text: str, marker: str) -> tuple[int, str] | None:
    start, suffix, balanced = _compile_marker(marker)
    matches = list(start.finditer(text))
    closing: dict[int, int] = {}
    if balanced and matches:
        closing = _closing_braces(text, matches[0].end())
    for match in reversed(matches):
        begin = match.end()
        if balanced:
            if begin not in closing:
                continue
            answer = text[begin + 1 : closing[begin]].strip()
        else:
            answer = _until(text, begin, suffix)
        if answer:
            return match.start(), answer
    return None


def _closing_braces(text: str, start: int) -> dict[int, int]:
    """Where each opening brace from `start` on is closed: one pass, whatever the text holds."""
    stack: list[int] = []
    closing: dict[int, int] = {}
    for brace in _BRACE.finditer(text, start):
        if brace[0] == "{":
            stack.append(brace.start())
        elif brace[0] == "}" and stack:
            closing[stack.pop()] = brace.start()
    return closing


def _until(text: str, begin: int, suffix: str) -> str:
    if suffix:
        end = text.find(suffix, begin)
        return text[begin:end].strip() if end >= 0 else ""
    sentence_end = _SENTENCE_END.search(text, begin)
    answer = text[begin : sentence_end.start() if sentence_end else len(text)]
    return answer.strip().removesuffix("**").strip()


def _last_number(text: str) -> str | None:
    last: str | None = None
    for match in _LAST_NUMBER.finditer(text):
        last = match[0]
    return last
