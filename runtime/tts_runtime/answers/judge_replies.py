"""A judge's reply, read as numbers (C34).

With `after TEXT` the verdict is what follows the last TEXT directly. Without it, the verdict is
looked for where judges write theirs: in double brackets or a box, after words such as "score" or
"best", alone on the first or last line; else it is the only number that can be meant. Where a
person could not tell, the reply is unreadable, and the judge is asked again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, lru_cache
from typing import Final, TypeAlias

from tts_lang.plan.graph import Judge
from tts_lang.plan.template import Template
from tts_runtime.answers.judge_numbers import (
    ANSWERS,
    Scale,
    numbered,
    plain,
    verdict_at,
    verdicts_in,
)
from tts_runtime.binding import Binding
from tts_runtime.thoughts import THOUGHT_TAGS

#: One number a row that the judge saw.
Reading: TypeAlias = "list[float | None]"

#: Characters that are looked at: behind a marker, or at the beginning and at the end of a reply.
_REACH: Final = 2000

_BRACKETED: Final = re.compile(
    r"\[\[([^\[\]\n]{1,40})\]\]|\\boxed\s*\{([^{}\n]{1,40})\}"
    r"|<(?:score|grade|rating|answer|verdict|result|best|choice)>([^<>\n]{1,40})</",
    re.IGNORECASE,
)
_SCORING: Final = re.compile(
    r"\b(?:score[sd]?|grade[sd]?|rat(?:e|es|ed|ing)|mark|verdict|judge?ment|result|overall"
    r"|gives?|deserves?|awards?|assign)\b",
    re.IGNORECASE,
)
_CHOOSING: Final = re.compile(
    r"\b(?:best|better|winner|winning|choose|chose|choice|pick|picked|prefer|select|selected"
    r"|preferred|favou?r|vote|verdict|judge?ment|go with)\b",
    re.IGNORECASE,
)
_PRAISED: Final = re.compile(
    r"(?<![\w.])([0-9]{1,9})[\])*_`]*\s+(?:wins\b|(?:is|was|looks|seems)\s+(?:clearly\s+|the\s+|much\s+"
    r"|slightly\s+|a\s+bit\s+)*(?:best|better|right|correct|superior|stronger|winner|preferable"
    r"|preferred)\b)",
    re.IGNORECASE,
)
#: Before a word that is denied.
_DENIED: Final = re.compile(
    r"(?:\b(?:not|no|never|neither|nor|hardly|cannot|isn't|aren't)|n['\u2019]t)\s+(?:\w+\s+){0,2}$",
    re.IGNORECASE,
)


def final_text(reply: str, binding: Binding, message: str) -> str:
    """A reply to a message without its thoughts; nothing while it still thinks."""
    pairs = list(THOUGHT_TAGS)
    if binding.thinking is not None:
        begin, end = binding.thinking.begin.strip(), binding.thinking.end.strip()
        pairs.append((begin, end))
        opened = binding.open(message, thinking=False).rstrip().endswith(begin)
        if begin and opened and end not in reply:
            return ""
    for _, end in pairs:
        reply = reply.rpartition(end)[2]
    for begin, _ in pairs:
        reply = reply.partition(begin)[0] if begin else reply
    return reply


def read(judge: Judge, reply: str, rows: int) -> Reading | None:
    """The reply's numbers, one a row; `None` if it cannot be read."""
    text = plain(reply)
    marked = False
    if judge.after is not None:
        ends = [match.end() for match in _marker(judge.after).finditer(text)]
        if ends:
            text, marked = text[ends[-1] : ends[-1] + _REACH], True
        elif not _asks_with(judge.template, judge.after):
            return None
    if not marked and len(text) > 2 * _REACH:
        text = f"{text[:_REACH]}\n{text[-_REACH:]}"
    return READERS[judge.read](judge, text, marked, rows)


def _asks_with(template: Template, after: str) -> bool:
    """Whether a question ends with the marker, so that a reply may begin with the verdict."""
    last = template.parts[-1] if template.parts else ""
    return isinstance(last, str) and last.rstrip().endswith(after.rstrip())


@lru_cache(maxsize=64)
def _marker(after: str) -> re.Pattern[str]:
    """Finds a marker: in any case, decorated, with a remark before its colon (`Grade (0-10):`)."""
    pieces = [re.escape(piece) for piece in re.findall(r"\w+|[^\w\s]", plain(after))]
    gap = r"[\s*_`\"']*"
    if len(pieces) > 1 and pieces[-1] == ":":
        pieces.insert(-1, r"(?:\([^()\n]{0,40}\)|\[[^\[\]\n]{0,40}\]|out of [0-9]+)?")
    words = gap.join(pieces)
    begin = r"(?<![^\W\d_])" if re.match(r"\w", after) else ""
    end = r"(?![^\W\d_])" if re.search(r"\w$", after) else ""
    return re.compile(begin + words + end, re.IGNORECASE)


def _number(judge: Judge, text: str, marked: bool, rows: int) -> Reading | None:
    """A number in the judge's range."""
    value = _value(text, marked, Scale(judge.low, judge.high), _SCORING)
    return None if value is None else [value] * rows


def _choice(judge: Judge, text: str, marked: bool, rows: int) -> Reading | None:
    """1 for the chosen candidate, 0 for the others; or the number of an option."""
    if judge.options:
        return _option(judge.options, text, marked, rows)
    value = _value(text, marked, Scale(places=rows), _CHOOSING)
    return None if value is None else [float(place == value) for place in range(1, rows + 1)]


def _value(text: str, marked: bool, scale: Scale, cues: re.Pattern[str]) -> float | None:
    if marked:
        verdict = verdict_at(numbered(text) if scale.places else text, 0, scale)
        return None if verdict is None else verdict.value
    for look in (_bracketed, _cued, _praised, _alone, _only):
        values = list(look(text, scale, cues))
        if values:
            return values[0] if len(set(values)) == 1 else None
    return None


def _bracketed(text: str, scale: Scale, _cues: re.Pattern[str]) -> Iterator[float | None]:
    """In double brackets, a box or a tag: all alike, or the one on the last line."""
    matches = list(_BRACKETED.finditer(text))
    if matches and "\n" not in text[matches[-1].end() :].strip():
        last = text.rstrip().rfind("\n") + 1
        matches = [match for match in matches if match.start() >= last] or matches
    for match in matches:
        if not scale.places and ANSWERS.search(text, max(0, match.start() - 40), match.start()):
            continue  # of the problem, not of the judge
        content = next(filter(None, match.groups()), "")
        verdict = verdict_at(content, 0, scale)
        yield None if verdict is None else verdict.value


def _cued(text: str, scale: Scale, cues: re.Pattern[str]) -> Iterator[float | None]:
    """After a word that announces a verdict; the last one counts."""
    for cue in reversed(list(cues.finditer(text))):
        verdict = verdict_at(text, cue.end(), scale)
        if verdict is not None:
            denied = _DENIED.search(text, max(0, cue.start() - 40), cue.start())
            yield None if denied else verdict.value
            return


def _praised(text: str, scale: Scale, _cues: re.Pattern[str]) -> Iterator[float | None]:
    """Candidates that are said to be the best."""
    if scale.places:
        for match in _PRAISED.finditer(text):
            yield float(match[1]) if int(match[1]) in range(1, scale.places + 1) else None


def _alone(text: str, scale: Scale, _cues: re.Pattern[str]) -> Iterator[float | None]:
    """On the first or the last line, with nothing else on it."""
    lines = [line for line in text.splitlines() if line.strip()]
    for line in (lines[:1] + lines[-1:]) if lines else ():
        verdict = verdict_at(line, 0, scale)
        if verdict is not None and not re.search(r"[^\W_]", line[verdict.end :]):
            yield verdict.value


def _only(text: str, scale: Scale, _cues: re.Pattern[str]) -> Iterator[float | None]:
    """Every number that can be meant."""
    return (verdict.value for verdict in verdicts_in(text, scale))


# ------------------------------------------------------------------ options

_CLEAR: Final = (
    r"[\s*_`\"'\])}.]*(?:$|[.,;:!?\n(\u2013\u2014-]|(?i:(?:because|since|as|but|though)\b))"
)
_ANNOUNCED: Final = (
    r"(?i:(?:answer|verdict|judge?ment|conclusion|decision|rating|result)\W{0,4}(?:is|:|=)?)"
    r"\W{0,4}"
)

#: Between a marker and an option.
_SKIPPED: Final = (
    r"(?i:[\s*_`\"'$\[\](){}|=:>-]|\\(?:boxed|text|textbf|mathrm)|\b(?:it|this|is|that|was|the|answer"
    r"|option|choice)\b)*"
)
#: Options that mean nothing in front of another word: "no errors", "A solution".
_COMMON: Final = ("no", "a", "i")
#: Before a word that stands apart at the end of a reply.
_APART: Final = re.compile(
    r"(?:^|[\n.,;:!?]|\b(?:is|so|say|thus|therefore|hence|answer|verdict))[\s*_`\"'$\[({]*$",
    re.IGNORECASE,
)


def _option(
    options: Sequence[tuple[str, float]], text: str, marked: bool, rows: int
) -> Reading | None:
    """The number of the word that is the verdict."""
    # The longer word first: "very likely" is not "likely".
    spelled = sorted(options, key=lambda option: len(option[0]), reverse=True)
    words = "|".join(_spelled(word) for word, _ in spelled)

    @cache
    def worth(name: str) -> float:
        return next(number for word, number in spelled if re.fullmatch(_spelled(word), name))

    word = rf"(?<!\w)({words})(?!\w)"
    if marked:
        match = re.compile(_SKIPPED + word).match(text)
        if match is None or re.match(
            rf"\W{{0,4}}(?:(?:or|and)\b|/)\W{{0,4}}{word}", text[match.end() :]
        ):
            return None
        return [float(worth(match[1]))] * rows
    named = list(re.finditer(word, text))
    for look in (_announced_option, _outer_options, _allowed_options):
        chosen = {worth(name) for name in look(text, word, named)}
        if chosen:
            return [float(chosen.pop())] * rows if len(chosen) == 1 else None
    return None


def _spelled(word: str) -> str:
    """A word in any case ("weiß" as "WEISS"), a letter as it is: "a" may be an article."""
    if len(word) == 1:
        return re.escape(word)
    return f"(?i:{re.escape(word)}|{re.escape(word.casefold())})"


def _announced_option(text: str, word: str, _named: Sequence[re.Match[str]]) -> Iterator[str]:
    """After a word that announces a verdict; the last one counts."""
    names = [each[1] for each in re.finditer(rf"\b{_ANNOUNCED}{word}(?!\s+(?:or|and)\b)", text)]
    yield from names[-1:]


def _outer_options(text: str, word: str, named: Sequence[re.Match[str]]) -> Iterator[str]:
    """Options at the beginning or the end of a reply."""
    first = re.match(rf"[\W_]*?{word}{_CLEAR}", text)
    if first is not None:
        yield first[1]
    if named and not re.search(r"[^\W_]", text[named[-1].end() :]):
        before = text[max(0, named[-1].start() - 40) : named[-1].start()]
        if _APART.search(before) and not _DENIED.search(before):
            yield named[-1][1]


def _allowed_options(text: str, _word: str, named: Sequence[re.Match[str]]) -> Iterator[str]:
    """Every option that is named and not denied."""
    for option in named:
        denied = _DENIED.search(text, max(0, option.start() - 40), option.start())
        clear = option[1].lower() not in _COMMON or re.match(_CLEAR, text[option.end() :])
        if clear and not denied:
            yield option[1]


# ------------------------------------------------------------------ rankings

#: Repetitions are bounded: nothing that a judge writes may take long to read.
_MARKS: Final = r"[\s*_`#\[({]{0,8}"
_LABEL: Final = r"(?:solutions?|candidates?|responses?|answers?|options?|no\.?|number)"
_ITEM: Final = (
    _MARKS + rf"(?:{_LABEL}{_MARKS})?" + r"([0-9]{1,9})(?![0-9]|[.,][0-9]|\w)[*_`\])}]{0,8}"
)
_LINK: Final = (
    r"\s{0,8}(?:[,;]?\s{0,8}(?:and\s)?(?:then|followed by|over)\b"
    r"|[-=]?>|[>\u227b\u00bb\u2192=<\u227a,;]|\n\s{0,8}[-*\u2022]?)"
)
_CHAIN: Final = re.compile(rf"{_ITEM}(?:{_LINK}{_ITEM})*", re.IGNORECASE)
_LISTED: Final = re.compile(r"^[ \t]*\(?([0-9]{1,9})[.):][ \t]+(.*)$", re.MULTILINE)
_NTH: Final = re.compile(r"\b[0-9]+(?:st|nd|rd|th)\b\s*(?:place)?[:.]?", re.IGNORECASE)


def _ranking(_judge: Judge, text: str, marked: bool, rows: int) -> Reading | None:
    """(n - place) / (n - 1) by the order in which candidates are named; missing for the others."""
    order = _order(_NTH.sub("", text), marked)
    if not order or len(set(order)) < len(order) or not set(order) <= set(range(1, rows + 1)):
        return None
    if rows == 1:
        return [1.0]
    return [
        (rows - 1 - order.index(place)) / (rows - 1) if place in order else None
        for place in range(1, rows + 1)
    ]


def _order(text: str, marked: bool) -> list[int]:
    """Candidates as named, the best first; none where they are not in one order."""
    lines = list(_LISTED.finditer(text))
    items = [re.match(_ITEM, line[2], re.IGNORECASE) for line in lines]
    if len(lines) > 1 and [int(line[1]) for line in lines] == list(range(1, len(lines) + 1)):
        candidates = [int(item[1]) for item in items if item is not None]
        if len(candidates) == len(lines):
            return candidates
    chains = list(_CHAIN.finditer(text))
    if marked:
        chains = [chain for chain in chains[:1] if not re.search(r"\w", text[: chain.start()])]
    if not chains:
        return []
    if re.search(r"worst\s+(?:first|to\s+best)", text, re.IGNORECASE):
        return []
    chain = max(reversed(chains), key=lambda each: len(re.findall(r"[0-9]+", each[0])))[0]
    order = [int(number) for number in re.findall(r"[0-9]+", chain)]
    signs = set(re.findall(r"[<=>\u227a]", re.sub(r"[-=]>", ">", chain)))
    if "=" in signs or len({sign in "<\u227a" for sign in signs}) > 1:
        return []
    return order[::-1] if signs & {"<", "\u227a"} else order


#: Ways to read a reply; `probability` reads the distribution, not a reply (executor/ops/judge.py).
READERS: Final[Mapping[str, Callable[[Judge, str, bool, int], Reading | None]]] = {
    "number": _number,
    "choice": _choice,
    "ranking": _ranking,
}
