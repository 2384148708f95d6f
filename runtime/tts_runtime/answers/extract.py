r"""Find the final answer in a candidate's text (C35).

A marker is a pattern with one placeholder `{}`:

* `\boxed{}` (a placeholder that is the argument of a LaTeX command): the braces must balance, and
  for `\boxed` the synonyms `\fbox` and `\framebox` count too; boxes joined by commas or "and" are
  one list;
* `The answer is {}`, `#### {}`: from the words (upper or lower case) to the end of the sentence or
  line, or to the words after the placeholder (`<answer>{}</answer>`).

The last match wins; empty matches are skipped. Without a match, the phrases that name an answer in
any text (`phrases`), the letter at its beginning and the last mathematics are read.
"""

import re
from collections.abc import Sequence
from functools import lru_cache

from tts_runtime.thoughts import behind_thoughts

DEFAULT_MARKERS = (r"\boxed{}",)
PLACEHOLDER = "{}"

_COMMAND_MARKER = re.compile(r"\\([A-Za-z]+)\s*$")
_BOX_SYNONYMS = ("boxed", "fbox", "framebox")
_BOX_CUES = ("oxed", "fbox", "framebox")
_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)
# A full stop ends the answer unless a digit or a letter follows it directly (3.5, e.g).
_SENTENCE_END = re.compile(r"\.(?=\s|$)|\n|\r")
# `\boxed 8`: to the end of the formula if that is near, else one number, letter or command;
# `\frac12` has two arguments without braces.
_BARE = re.compile(
    r"[ ]*(?:(?P<formula>[^\s$\\{}][^$\n{}]{0,40})(?=\$)"
    r"|(?P<token>-?[0-9][0-9.,]*[0-9]|-?[0-9]|[A-Za-z](?![A-Za-z])"
    r"|\\(?:[dtc]?frac|[dt]?binom)(?:[ ]*(?:[0-9]|\{[^{}]*\})){2}|\\sqrt[ ]*[0-9]"
    r"|\\[A-Za-z]+(?:\{[^{}]*\})*|\((?:[^()\n]|\([^()\n]*\)){1,60}\)))"
)
# Between two boxes of one answer: their formulas' ends, a connective, few words, a name.
_DELIMITER = re.compile(
    r"\\[()\[\]]|\$+|\\(?:q?quad|text|mathrm|[,;:! ])(?![A-Za-z])|\\\\|[{}&~*+]|\s+"
)
_JOINED = re.compile(
    r"(?: ?[A-Za-z()]+){0,3}? ?(?:[,;]? ?(?:and|or)(?: also| either)?|[,;&、，和或])"
    r" ?(?:[A-Za-z][A-Za-z_0-9()' ]{0,12} ?(?:=|:|is|are|\\in|\\approx))? ?"
)
_TURN = re.compile(
    r"\b(?:not?|wait|but|actually|rather|instead|perhaps|maybe|then|so|thus|hence|check|again|is|"
    r"equals|wrong|correction|likely|possibly)\b",
    re.IGNORECASE,
)
# Nearly every phrase (`phrases`) has one of them: looking for them is much faster. Those without
# one (`Ans.`, `Jawaban:`) are read where a text has ended without a marker.
_ASCII_WORDS = ("answer", "correct", "####", "antwort", "resposta", "respuesta", "risposta")
_PHRASE_WORDS = (
    *(*_ASCII_WORDS, "réponse", "ответ", "答", "正解", "结果", "結果", "选", "選", "답"),
    *("उत्तर", "উত্তর", "الإجابة", "الجواب"),
)
# Of a chat's template; some engines give them as text.
_TEMPLATE = re.compile(r"<\|[A-Za-z]\w+\|>|<｜[^｜<>\s]{1,40}｜>|</?s>|<(?:end|start)_of_turn>")
# Some models write their reply in it.
_HTML = re.compile(
    r"</?(?:b|strong|i|em|u|p|br|span|div|mark|code|center|h[1-6])(?:[ ][^<>]{0,80})?/?>",
    re.IGNORECASE,
)
MAXIMUM_BETWEEN = 80
MAXIMUM_JOINED = 60


class MarkerError(ValueError):
    """A marker of a policy's binding without exactly one placeholder, or with no words."""


def extract_answer(
    text: str,
    markers: Sequence[str] = DEFAULT_MARKERS,
    finish: str = "end",
    thinking_end: str | None = None,
) -> str | None:
    """The candidate's answer as written, or None if there is none yet (C35).

    `markers` are the explicit patterns of the policy's binding; they count at any time, and so do
    phrases such as `The final answer is`, once their sentence is complete. The letter at the
    beginning, or the last mathematical span or number, is taken instead only if the policy ended by
    itself (`finish == "end"`). So is what stands in a last box that is never closed; in a text that
    was cut off, such a box is an answer that is not there yet, and no earlier box stands for it.
    `thinking_end` is the text that ends the policy's thinking, by default any of the usual tags: if
    the text has it, only what follows its last occurrence is searched.
    Raises MarkerError for a pattern that is not a marker.
    """
    text = behind_thoughts(text, thinking_end)
    ended = finish == "end"
    best: tuple[int, str] | None = None
    written = text
    if "<" in text:
        text = _TEMPLATE.sub(lambda match: " " * len(match[0]), text)
        if "</" in text:  # else `a<b>c` may be a formula
            text = _HTML.sub(lambda match: " " * len(match[0]), text)
    for marker in markers:
        match = _find_marker(written if "<" in marker else text, marker, ended)
        if match is not None and (best is None or match[0] > best[0]):
            best = match
    if best is not None and not best[1]:
        return None
    begin = 0 if best is None else best[0]
    folded = text[begin:].casefold()
    words = _ASCII_WORDS if folded.isascii() else _PHRASE_WORDS
    for word in words:  # asked of every step's path: `any` is slower
        if word in folded:
            break
    else:
        if best is not None:
            return best[1]
        if not ended:
            return None
    from tts_runtime.answers.phrases import last_answer, phrase_answer

    phrase = phrase_answer(text, best[0] if best is not None else -1, ended)
    if best is not None:
        return phrase or best[1]
    return phrase or (last_answer(text) if ended else None)


@lru_cache(maxsize=64)
def cues_of(markers: tuple[str, ...]) -> frozenset[str] | None:
    """Texts without white space, in lower case, of which a text of ASCII has one if it has an
    answer before its end (whatever case it is in there); `None` if nothing can be said."""
    cues = set(_ASCII_WORDS)
    for marker in markers:
        check_marker(marker)
        before = marker.partition(PLACEHOLDER)[0]
        command = _COMMAND_MARKER.search(before)
        if command is None:
            cues.add(max(before.split(), key=len).lower())
        else:
            cues.update(_BOX_CUES if command[1] in _BOX_SYNONYMS else (command[1].lower(),))
    return frozenset(cues) if all(map(str.isascii, cues)) else None


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
    # The backslash, or `\b` where it was read as an escape.
    lost = r"|(?<![A-Za-z\\])b?oxed(?=\{)" if names is _BOX_SYNONYMS else ""
    return re.compile(rf"\\(?:{'|'.join(names)})(?![A-Za-z])\s*{lost}"), "", True


def _find_marker(text: str, marker: str, ended: bool) -> tuple[int, str] | None:
    """Where the last match is, and its answer (empty: a box that is still open).

    Of a box that is its end: a phrase in it is a part of it.
    """
    start, suffix, balanced = _compile_marker(marker)
    matches = list(start.finditer(text))
    if balanced:
        return _find_box(text, matches, ended) if matches else None
    end = len(text)
    for match in reversed(matches):
        if suffix:
            # Not behind where it was looked for already: one pass, whatever the text.
            place = text.find(suffix, match.end(), end)
            end = min(end, (place if place >= 0 else match.end()) + len(suffix))
            answer = text[match.end() : place].strip() if place >= 0 else ""
        else:
            answer = _sentence(text, match.end())
        if answer:
            return match.start(), answer
    return None


def _find_box(text: str, matches: list[re.Match[str]], ended: bool) -> tuple[int, str] | None:
    closing = _closing_braces(text, matches[0].end())
    boxes: list[tuple[int, int, str]] = []  # start, end, content; the last first
    for match in reversed(matches):
        begin = match.end()
        if text[begin : begin + 1] == "{" and begin not in closing:
            if boxes:
                continue  # an outer box, never closed, of boxes that are
            if not ended:
                return match.start(), ""
            content = _open_content(text, begin + 1)
            if content:
                return text.index(content, begin) + len(content), content
            continue
        if begin in closing:
            end, content = closing[begin] + 1, text[begin + 1 : closing[begin]].strip()
        else:
            bare = _BARE.match(text, begin)
            cut = (bare.end() if bare else begin) == len(text) and not ended
            if cut and not boxes:
                return match.start(), ""
            if bare is None:
                continue
            end, content = bare.end(), (bare["formula"] or bare["token"]).strip()
        if not content:
            continue
        if boxes and (end > boxes[-1][0] or not _is_joined(text[end : boxes[-1][0]])):
            break
        boxes.append((match.start(), end, content))
        if len(boxes) == MAXIMUM_JOINED:
            break
    if not boxes:
        return None
    contents = list(dict.fromkeys(content for _, _, content in reversed(boxes)))
    return boxes[0][1], ", ".join(contents)


def _open_content(text: str, begin: int) -> str:
    """The content of a box that is never closed: to the end of the formula or line."""
    end = re.compile(r"\$|\\[)\]]|\n|$").search(text, begin)
    return text[begin : end.start() if end else len(text)].strip()


def _is_joined(between: str) -> bool:
    if len(between) > MAXIMUM_BETWEEN or "\n\n" in between:
        return False
    plain = _DELIMITER.sub(" ", between)
    plain = " ".join(plain.split()).rstrip("\\")
    return not plain or (_JOINED.fullmatch(plain) is not None and not _TURN.search(plain))


def _closing_braces(text: str, start: int) -> dict[int, int]:
    """The closing place of each opening brace from `start` on; one pass, whatever the text."""
    stack: list[int] = []
    closing: dict[int, int] = {}
    for brace in _BRACE.finditer(text, start):
        if brace[0] == "{":
            stack.append(brace.start())
        elif brace[0] == "}" and stack:
            closing[stack.pop()] = brace.start()
    return closing


def _sentence(text: str, begin: int) -> str:
    sentence_end = _SENTENCE_END.search(text, begin)
    answer = text[begin : sentence_end.start() if sentence_end else len(text)]
    return answer.strip().removesuffix("**").strip()
