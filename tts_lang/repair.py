"""Repairs of lines with errors: rewrites that are tried, and shown only if the file gets further.

A diagnostic's own help says what its place in the compiler knows. Here the line is rewritten as
people mean it who come from Python, SQL or other tools (`tts_lang.repair_rules`), and by putting,
replacing and leaving out single words where it stops to parse. What parses is put into the file,
which is checked again; what gets past the line becomes the help. A `did you mean` that repairs
nothing is dropped, and the form of the verb or statement stands in for it. What a help says of the
language ("every loop has a bound") stays beside the line to write.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TypeAlias

from tts_lang.diagnostics import Diagnostic
from tts_lang.library import names
from tts_lang.repair_rules import RULES, SPARE_NAMES, WORDS
from tts_lang.repair_words import CONNECTIVES, FORMS, NOTES, SUPERFLUOUS, WRONG_CONNECTIVES
from tts_lang.source import Source
from tts_lang.syntax.parser import parse

Rules: TypeAlias = Sequence[tuple[re.Pattern[str], str]]
Check: TypeAlias = Callable[[Source], Sequence[Diagnostic]]

#: Lines with which the whole file is checked again, for one error; errors for which that is done.
MOST_CHECKED = 30
MOST_ERRORS = 3
#: Lines that are parsed alone, for one error; words that are changed in one.
MOST_PARSED = 300
MOST_EDITS = 3
#: Larger files take long to check, longer lines long to rewrite.
LARGEST_SOURCE = 30_000
LONGEST_LINE = 300

_STRING = re.compile(r'"""|"(?:\\.|[^"\\])*"')
_MARK = re.compile("\x01(\\d+)\x01")
_CALLED = re.compile(r"call a strategy as `(\w+)")
_ASSIGNED = re.compile(r"\s*(\w+) *=(?!=)")
_COMMENT = re.compile(r"\s*#.*")
_TOKEN = re.compile(r'"(?:\\.|[^"\\])*"|[A-Za-z_]\w*|\d[\w.]*%?|\*\*|[<>=!]=|\S')
_MEANT = re.compile(r"did you mean ['`](.+?)['`]\??")
_WRITE = re.compile(r"^write `([^`]*)`(?! and `)")
#: Helps that are one replacement, and nothing else.
_EXACT = (_MEANT, re.compile(r"write `[^`]*`"))
#: Parts of a help that say how the language is, not what to write.
_FACT = re.compile(
    r"(?:lists|pools|a pool's rows|blocks|names|every|comments|parameters|clauses|the most|`).*"
)
#: Stands in a line for what only its author knows.
_OPEN = re.compile(r"\b[EPNC]\b")
#: Lines that do not stand alone in the body of a strategy.
_PARTIAL = re.compile(r"\s*(?:else\b|above\b|otherwise\b|read\b|retry\b|#)")


def repaired(found: Sequence[Diagnostic], check: Check) -> tuple[Diagnostic, ...]:
    """The diagnostics of a file, with helps that have been tried."""
    errors = [each for each in found if each.is_error][:MOST_ERRORS]
    return tuple(_Repair(each, found, check).helped if each in errors else each for each in found)


class _Repair:
    """One error, the line that it is on, and what has been tried."""

    def __init__(self, error: Diagnostic, found: Sequence[Diagnostic], check: Check) -> None:
        self._error = error
        self._check = check
        source = self._source = error.source
        self._before = {(each.code, each.message) for each in found if each.source == source}
        self._start = source.text.rfind("\n", 0, error.span.start) + 1
        end = source.text.find("\n", error.span.start)
        self._end = len(source.text) if end < 0 else end
        self._line = source.text[self._start : self._end]
        self._tried: set[str] = set()

    @property
    def helped(self) -> Diagnostic:
        """The error with the best help that there is."""
        error, source = self._error, self._source
        long = len(source.text) > LARGEST_SOURCE or len(self._line) > LONGEST_LINE
        if not self._line.strip() or long or "\n" in source.slice(error.span).strip():
            return error
        if "'''" in self._line and self._without_quotes():
            return replace(error, suggestion='texts of several lines stand in `"""`')
        for new in rewritten(self._line, "", WORDS):
            if self._further(new):
                return self._written(new)
        said = meant(error, self._line, self._start)
        if said is not None and self._further(said):
            return error
        for new in self._candidates():
            if self._further(new):
                return self._written(new)
        if said is not None and _OPEN.search(said) and _stops(said, [1]) is None:
            return error
        hidden, _ = _hidden(self._line.strip())
        for pattern, note in NOTES:
            if (at := pattern.search(hidden)) is not None:
                return replace(error, suggestion=at.expand(note))
        form = _form(self._line)
        exact = said is not None and any(p.fullmatch(error.suggestion or "") for p in _EXACT)
        if form is None and (exact or self._calls_nothing()):
            return replace(error, suggestion=None)
        if form is None or (said is None and error.suggestion is not None):
            return error
        return replace(error, suggestion=form, expected=())

    def _calls_nothing(self) -> bool:
        """Whether the help is to call a strategy that neither this file nor the library has."""
        called = _CALLED.match(self._error.suggestion or "")
        if called is None or called[1] in names():
            return False
        return re.search(rf"\bstrategy {called[1]}\b|{called[1]}\.tts", self._source.text) is None

    def _written(self, new: str) -> Diagnostic:
        shown = "` and `".join(line.strip() for line in new.strip().split("\n"))
        facts = [f"; {each}" for each in _facts(self._error) if each not in new]
        return replace(self._error, suggestion=f"write `{shown}`{''.join(facts)}", expected=())

    def _further(self, new: str) -> bool:
        """Whether the file gets past this line if it is written so."""
        if new in self._tried or new == self._line or len(self._tried) >= MOST_CHECKED:
            return False
        if (name := _ASSIGNED.match(new)) and "=" not in self._line:
            # `assert C` becomes no variable: what gets a name is read somewhere.
            others = self._source.text[: self._start] + self._source.text[self._end :]
            if not re.search(rf"\b{name[1]}\b", others):
                return False
        self._tried.add(new)
        text, start = self._source.text, self._start
        text = text[:start] + new + text[self._end :]
        here = start + len(new)
        for each in self._check(Source.of(text, self._source.name)):
            if not each.is_error or each.source.name != self._source.name:
                continue
            if each.source.slice(each.span) == "}":  # what closes the block was not reported
                continue
            new_one = (each.code, each.message) not in self._before
            # Names that are wrong further down may have been hidden; what does not parse was not.
            if start <= each.span.start <= here or (
                new_one and (each.span.start < start or each.code.startswith("TTS1"))
            ):
                return False
        return True

    def _without_quotes(self) -> bool:
        text = self._source.text.replace("'''", '"""')
        after = self._check(Source.of(text, self._source.name))
        return all(each.code != self._error.code for each in after)

    def _candidates(self) -> Iterator[str]:
        """Lines that parse, the likelier ones first."""
        budget = [MOST_PARSED]
        ruled = list(rewritten(self._line, self._source.text[: self._start], RULES))
        once, twice = ruled[:MOST_CHECKED], ruled[MOST_CHECKED:]
        yield from (new for new in once if _parses(new, budget))
        if self._error.code.startswith("TTS1"):
            yield from _edited(self._line, budget)
            for new in once[:8]:
                yield from _edited(new, budget)
        yield from (new for new in twice if _parses(new, budget))


# ------------------------------------------------------------------------------ what is meant


def meant(error: Diagnostic, line: str, start: int) -> str | None:
    """The line as the help itself would have it, if it says so exactly."""
    help_ = error.suggestion or ""
    at, to = error.span.start - start, error.span.end - start
    if (found := _MEANT.search(help_)) is not None and to <= len(line):
        return line[:at] + found[1] + line[to:]
    if (found := _WRITE.match(help_)) is not None:
        indent = line[: len(line) - len(line.lstrip())]
        head = found[1].split(" ", 1)[0]
        if line.lstrip().startswith(head):
            return indent + found[1]
        place = re.search(rf"(?:=|\breturn) *({re.escape(head)}\b.*)$", line) if head else None
        if place is not None:
            return line[: place.start(1)] + found[1]
    return None


def _facts(error: Diagnostic) -> list[str]:
    """What the help for something that does not parse says of the language."""
    if not error.code.startswith("TTS1"):
        return []
    parts = (part.partition(": write")[0] for part in (error.suggestion or "").split("; "))
    return [part for part in parts if _FACT.fullmatch(part)]


def rewritten(line: str, before: str, rules: Rules) -> Iterator[str]:
    """The line by one rule, then by two; `before` is the text above it."""
    hidden, strings = _hidden(line)

    def show(text: str) -> str:
        return _MARK.sub(lambda mark: strings[int(mark[1])], text)

    comment = _COMMENT.search(hidden)
    tail = "" if comment is None else comment[0]
    code = hidden if comment is None else hidden[: comment.start()]
    indent = code[: len(code) - len(code.lstrip())]
    names = _pools(before)
    once = list(_applied(code.strip(), names, rules))
    twice = [new for text in once[:12] for new in _applied(text, names, rules)]
    for text in dict.fromkeys((*once, *twice)):
        yield show(indent + text.replace("\n", "\n" + indent) + tail)


def _hidden(line: str) -> tuple[str, list[str]]:
    """A line with marks for its texts, and the texts."""
    strings: list[str] = []

    def hide(match: re.Match[str]) -> str:
        strings.append(match[0])
        return f"\x01{len(strings) - 1}\x01"

    return _STRING.sub(hide, line), strings


def _applied(code: str, names: Sequence[str], rules: Rules) -> Iterator[str]:
    for pattern, replacement in rules:
        if pattern.search(code) is None:
            continue
        if SPARE_NAMES not in replacement:
            yield pattern.sub(replacement, code)
            continue
        for name in names:  # a pool that the line does not name: the latest ones
            yield pattern.sub(replacement.replace(SPARE_NAMES, name), code)


def _pools(before: str) -> list[str]:
    """Variables of the strategy so far, the latest first."""
    found = re.findall(r"^\s+([A-Za-z_]\w*) *=(?!=)", before, re.MULTILINE)
    return list(dict.fromkeys(reversed(found)))[:3]


# ------------------------------------------------------------------------------ single words


def _edited(line: str, budget: list[int]) -> Iterator[str]:
    """Lines that parse after a few words are put, replaced or left out where they do not."""
    waiting = deque([(line, 0)])
    seen = {line}
    while waiting and budget[0] > 0:
        current, edits = waiting.popleft()
        at = _stops(current, budget)
        if at is None:
            if edits:
                yield current
            continue
        if edits < MOST_EDITS:
            for new in _one_word(current, at):
                if new not in seen:
                    seen.add(new)
                    waiting.append((new, edits + 1))


def _one_word(line: str, at: int) -> Iterator[str]:
    tokens = list(_TOKEN.finditer(line))
    place = next((n for n, token in enumerate(tokens) if token.end() > at), len(tokens))
    for near in (place, place - 1):
        if not 0 <= near < len(tokens):
            continue
        token = tokens[near]
        before, after = line[: token.start()], line[token.end() :]
        if token[0].lower() in WRONG_CONNECTIVES:
            yield from (_put(before, word, after) for word in CONNECTIVES if word != token[0])
        if token[0].lower() in SUPERFLUOUS:
            yield (
                f"{before.rstrip()} {after.lstrip()}".rstrip()
                if before.strip()
                else (before + after.lstrip())
            )
    if place < len(tokens):
        start = tokens[place].start()
        yield from (_put(line[:start], word, f" {line[start:]}") for word in CONNECTIVES)


def _put(before: str, word: str, after: str) -> str:
    """A word or sign between two parts of a line, with the blanks that it has there."""
    if before.strip() and word in {":", ","}:
        before = before.rstrip()
    return f"{before}{' ' if word == '=' and before[-1:] != ' ' else ''}{word}{after}"


def _parses(new: str, budget: list[int]) -> bool:
    return budget[0] > 0 and _stops(new, budget) is None


def _stops(new: str, budget: list[int]) -> int | None:
    """Where a line does not parse; `None` if it does, or cannot be parsed alone."""
    budget[0] -= 1
    if _PARTIAL.match(new):
        return None
    indent = len(new) - len(new.lstrip())
    opens = new.rstrip().endswith(":")
    if not indent:
        text, shift = new + ("\n    return x\n" if opens else "\n"), 0
        if opens and not new.startswith("strategy"):
            return None
    else:
        head = "strategy s():\n"
        text = head + "\n".join(" " * 4 + line[indent:] for line in new.split("\n"))
        text += "\n        x = y\n    return x\n" if opens else "\n    return x\n"
        shift = len(head) + 4 - indent
    errors = [each for each in parse(Source.of(text, "line")).diagnostics if each.is_error]
    return max(errors[0].span.start - shift, 0) if errors else None


def _form(line: str) -> str | None:
    """How the verb or statement that a line begins with is written."""
    code = line.strip()
    verb = re.match(r"(?:return|[A-Za-z_]\w* *=) *\(?([A-Za-z_]\w*)", code)
    head = re.match(r"\w*", code)
    for word in (verb[1] if verb else "", head[0] if head else ""):
        if word in FORMS:
            return f"the form is `{FORMS[word]}`"
    return None
