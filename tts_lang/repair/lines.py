"""Repairs: tries the meanings of a line with an error, and shows those that get further.

A diagnostic's own help says what its place in the compiler knows. Here the line is read as people
mean it who come from Python, SQL or other tools: its parts fill the form of the verb that is meant
(`repair.intent`), its declarations are read off (`repair.items`), and small words are put, replaced
and left out where it stops to parse (`repair.search`). The likelier lines are put into the file
first, which is checked again; what gets past the line becomes the help. Two that are about as
likely and make different plans are both named. Where none helps, the help is the form of the verb,
with what is certain filled in. What a help says of the language ("every loop has a bound") stays
beside the line to write.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import islice
from typing import TypeAlias

from tts_lang.diagnostics import Diagnostic
from tts_lang.library import names
from tts_lang.repair.intent import MOST_SHOWN, Meant, meanings_of
from tts_lang.repair.items import item_lines
from tts_lang.repair.lexicon import KNOWN_WORDS
from tts_lang.repair.scope import KnownNames, names_in_scope
from tts_lang.repair.search import edited
from tts_lang.repair.spelling import spelled
from tts_lang.repair.words import FORMS, NOTES
from tts_lang.source import Source
from tts_lang.syntax.parser import parse
from tts_lang.syntax.words import HARD_WORDS

Check: TypeAlias = Callable[[Source], Sequence[Diagnostic]]
Planner: TypeAlias = Callable[[Source, str], object]

#: Lines with which the whole file is checked again, for one error; errors for which that is done.
MOST_CHECKED = 20
MOST_ERRORS = 3
#: Lines that the search for small words gives, for one spelling of the line.
MOST_EDITED = 6
#: Larger files take long to check, longer lines long to read.
LARGEST_SOURCE = 30_000
LONGEST_LINE = 300
#: Lines that cost less come before the compiler's own help; lines that are about as likely differ
#: by less; forms with open places that are shown, and that come before the compiler's own help.
SURE, NEAR, MOST_OPEN, MOST_STRONG = 0.6, 0.15, 9.0, 8.0

_STRING = re.compile(r'"""|"(?:\\.|[^"\\])*"')
_MARK = re.compile("\x01(\\d+)\x01")
_CALLED = re.compile(r"call a strategy as `(\w+)|import \"(\w+)\.tts\"")
_ASSIGNED = re.compile(r"\s*(\w+) *=(?!=)")
_COMMENT = re.compile(r"\s*#.*")
_MEANT = re.compile(r"did you mean ['`](.+?)['`]\??")
_WRITE = re.compile(r"^write `([^`]*)`(?! and `)")
#: Helps that are one replacement, and nothing else.
_NO_COMMA = "remove the comma"
_EXACT = (_MEANT, re.compile(r"write `[^`]*`"), re.compile(_NO_COMMA))
#: Parts of a help that say how the language is, not what to write.
_FACT = re.compile(
    r"(?:lists|pools|a pool's rows|blocks|names|every|comments|parameters|clauses|the most|`).*"
)
#: Stands in a line for what only its author knows.
_OPEN = re.compile(r"\b[EPNC]\b")
#: Lines that do not stand alone in the body of a strategy.
_PARTIAL = re.compile(r"\s*(?:else\b|above\b|otherwise\b|read\b|retry\b|#)")
#: Comments of other languages.
_COMMENTS = (
    (re.compile(r"(?:^| +)/\* ?(.*?) ?\*/$"), r"  # \1"),
    (re.compile(r"(?:^| +)(?://|--) ?([A-Za-z].*)$"), r"  # \1"),
)


def repaired(
    diagnostics: Sequence[Diagnostic], check: Check, plan: Planner | None = None
) -> tuple[Diagnostic, ...]:
    """The diagnostics of a file, with helps that have been tried.

    Args:
        check: What is wrong with a text.
        plan: The plan of a strategy of a text, if it has one, by which lines are told apart that
            are about as likely; without it all of them differ.
    """
    errors = [diagnostic for diagnostic in diagnostics if diagnostic.is_error][:MOST_ERRORS]
    return tuple(
        _Repair(diagnostic, diagnostics, check, plan).helped if diagnostic in errors else diagnostic
        for diagnostic in diagnostics
    )


class _Repair:
    """One error, its line, and the repairs tried."""

    def __init__(
        self,
        error: Diagnostic,
        diagnostics: Sequence[Diagnostic],
        check: Check,
        plan: Planner | None,
    ) -> None:
        self._error = error
        self._check = check
        self._planner = plan
        source = self._source = error.source
        self._before = {(each.code, each.message) for each in diagnostics if each.source == source}
        self._start = source.text.rfind("\n", 0, error.span.start) + 1
        end = source.text.find("\n", error.span.start)
        self._end = len(source.text) if end < 0 else end
        self._line = source.text[self._start : self._end]
        self._tried: set[str] = set()
        hidden, strings = _hidden(self._line)
        comment = _COMMENT.search(hidden)
        self._tail = "" if comment is None else comment[0]
        code = hidden if comment is None else hidden[: comment.start()]
        self._indent = code[: len(code) - len(code.lstrip())]
        self._code = _MARK.sub(lambda mark: strings[int(mark[1])], code).strip()

    @property
    def helped(self) -> Diagnostic:
        """The error with the best help that there is."""
        error, source = self._error, self._source
        long = len(source.text) > LARGEST_SOURCE or len(self._line) > LONGEST_LINE
        if not self._line.strip() or long or "\n" in source.slice(error.span).strip():
            return error
        if "'''" in self._line and self._without_quotes():
            return replace(error, suggestion='texts of several lines stand in `"""`')
        return self._rewritten or self._described

    @property
    def _rewritten(self) -> Diagnostic | None:
        """The error with a line to write, or with two that it may be."""
        suggested = meant(self._error, self._line, self._start)
        shown: list[tuple[float, str]] = []
        for cost, new in self._candidates:
            if shown and cost > shown[0][0] + NEAR:
                break
            if not shown and cost > SURE and suggested is not None and self._further(suggested):
                return self._error
            if suggested is not None and new.split() == suggested.split() and self._further(new):
                return self._written(shown[0][1]) if shown else self._error
            if self._further(new):
                shown.append((cost, new))
                if len(shown) > 1 and not self._same(shown[0][1], new):
                    return self._either(shown[0][1], new)
        if shown:
            return self._written(shown[0][1])
        return self._error if suggested is not None and self._further(suggested) else None

    @property
    def _described(self) -> Diagnostic:
        """The error with a form or a note, where no line helps."""
        error = self._error
        if error.code.startswith("TTS3"):  # a value is wrong, and the form right
            return error
        suggested = meant(error, self._line, self._start)
        open_ones = [e for e in self._intents if not e.complete and e.cost <= MOST_OPEN]
        form = _shown_form(open_ones[0].line) if open_ones else None
        imports = self._calls_nothing()
        syntax = error.code.startswith("TTS1") or error.suggestion is None or imports
        own = _WRITE.match(error.suggestion or "")
        opened = own is not None and _OPEN.search(own[1]) is not None
        if opened and form is not None and own is not None and own[1] in open_ones[0].line:
            return error
        if form is not None and syntax and open_ones[0].cost <= MOST_STRONG:
            return replace(error, suggestion=form, expected=())
        if suggested is not None and _OPEN.search(suggested) and parses(suggested):
            return error
        hidden, _ = _hidden(self._line.strip())
        for pattern, note in NOTES:
            if (at := pattern.search(hidden)) is not None:
                return replace(error, suggestion=at.expand(note))
        form = form or self._item_form or _form(self._line)
        exact = suggested is not None and any(p.fullmatch(error.suggestion or "") for p in _EXACT)
        if form is None and (exact or imports):
            return replace(error, suggestion=None)
        if form is None or (suggested is None and error.suggestion is not None):
            return error
        return replace(error, suggestion=form, expected=())

    @property
    def _item_form(self) -> str | None:
        """A declaration that parses, although more is missing."""
        if not self._error.code.startswith("TTS1"):
            return None
        if self._code.startswith("read "):
            return next((_shown_form(code) for code, _ in self._items()), None)
        if parses(self._line):
            return None
        for code, cost in self._items():
            if cost < 1 and not self._indent and parses(code):
                return _shown_form(code)
        return None

    # -------------------------------------------------------------------------- lines to try

    @cached_property
    def _intents(self) -> list[Meant]:
        """Meanings of the line, from the words in it."""
        if not self._indent:
            return []
        rest = self._source.text[self._end :].lstrip("\n")
        last = not rest.startswith(" ")
        return meanings_of(self._code, self._names, last=last)

    @cached_property
    def _names(self) -> KnownNames:
        return names_in_scope(self._source.text, self._start, self._source.name)

    def _items(self) -> Iterator[tuple[str, float]]:
        """Declarations and branches that the line can mean."""
        return item_lines(self._code, self._source.text[: self._start], self._names, self._indent)

    @property
    def _candidates(self) -> Iterator[tuple[float, str]]:
        """Lines with their costs, the likelier ones first."""
        costs: dict[str, float] = {}
        for code, cost in self._readings():
            line = f"{self._indent}{code}".replace("\n", f"\n{self._indent}") + self._tail
            costs[line] = min(cost, costs.get(line, cost))
        yield from sorted(((cost, line) for line, cost in costs.items()), key=lambda each: each[0])

    def _readings(self) -> Iterator[tuple[str, float]]:
        code = self._code
        for intent in self._intents:
            if intent.complete and intent.cost <= MOST_SHOWN:
                yield intent.line, intent.cost
        yield from self._items()
        for pattern, new in _COMMENTS:
            match = pattern.search(code)
            if match is None or match[1].split(" ")[0] in self._names.all:
                continue
            if (commented := pattern.sub(new, code)) != code:
                yield commented.strip(), 0.1
        if not self._error.code.startswith("TTS1") or _PARTIAL.match(code):
            return
        names = self._names.all
        plain = spelled(code)
        if plain != code:
            yield plain, 0.2
        for spelling, extra in ((code, 0.3), (plain, 0.5)):
            for new, cost in islice(
                edited(spelling, names, inside=bool(self._indent)), MOST_EDITED
            ):
                yield new, cost + extra

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
        line_end = start + len(new)
        for diagnostic in self._check(Source.of(text, self._source.name)):
            if not diagnostic.is_error or diagnostic.source.name != self._source.name:
                continue
            if (
                diagnostic.source.slice(diagnostic.span) == "}"
            ):  # what closes the block was not reported
                continue
            new_one = (diagnostic.code, diagnostic.message) not in self._before
            # Names that are wrong further down may have been hidden; what does not parse was not.
            if start <= diagnostic.span.start <= line_end or (
                new_one and (diagnostic.span.start < start or diagnostic.code.startswith("TTS1"))
            ):
                return False
        return True

    def _without_quotes(self) -> bool:
        text = self._source.text.replace("'''", '"""')
        after = self._check(Source.of(text, self._source.name))
        return all(each.code != self._error.code for each in after)

    def _calls_nothing(self) -> bool:
        """Whether the help is to call a strategy that neither this file nor the library has."""
        called = _CALLED.match((self._error.suggestion or "").partition(": `")[2] or "")
        called = called or _CALLED.match(self._error.suggestion or "")
        name = None if called is None else called[1] or called[2]
        if called is None or name is None or name in names():
            return False
        if not called[1] and name not in KNOWN_WORDS:
            return False
        return re.search(rf"\bstrategy {name}\b", self._source.text) is None

    # -------------------------------------------------------------------------- what is shown

    def _written(self, new: str) -> Diagnostic:
        shown = "` and `".join(line.strip() for line in new.strip().split("\n"))
        named = re.match(r"(scorer|policy) (\w+)", new)
        if named is not None and '"' in self._code and '"' not in new:
            shown += f"`; the run says which model it is: `--{named[1]} {named[2]}=..."
        facts = [f"; {each}" for each in _facts(self._error) if each not in new]
        return replace(self._error, suggestion=f"write `{shown}`{''.join(facts)}", expected=())

    def _same(self, one: str, other: str) -> bool:
        """Whether the file has the same plan with either line."""
        first = self._plan(one)
        return first is not None and first == self._plan(other)

    def _plan(self, line: str) -> object:
        """The plan of the strategy that the line is in, `None` if there is none."""
        text = f"{self._source.text[: self._start]}{line}{self._source.text[self._end :]}"
        strategies = re.findall(r"^strategy +(\w+)", text[: self._start], re.MULTILINE)
        if self._planner is None or not strategies:
            return None
        return self._planner(Source.of(text, self._source.name), strategies[-1])

    def _either(self, one: str, other: str) -> Diagnostic:
        """A help with open places for parts that the line does not state."""
        first, second = one.split(), other.split()
        before, after = 0, 0
        shortest = min(len(first), len(second))
        while before < shortest and first[before] == second[before]:
            before += 1
        while after < shortest - before and first[-1 - after] == second[-1 - after]:
            after += 1
        parts = [each[before : len(each) - after] for each in (first, second)]
        if all(parts) and not any(HARD_WORDS & {*part} for part in parts):
            form = " ".join([*first[:before], "E", *first[len(first) - after :]])
            values = [" ".join(part) for part in parts]
            help_ = f"the form is `{form}`: E may be `{values[0]}` or `{values[1]}`"
        else:
            help_ = f"it may be `{one.strip()}` or `{other.strip()}`"
        return replace(self._error, suggestion=help_, expected=())


# ------------------------------------------------------------------------------ what is meant


def meant(error: Diagnostic, line: str, start: int) -> str | None:
    """The line as the help itself would have it, if it says so exactly."""
    help_ = error.suggestion or ""
    at, to = error.span.start - start, error.span.end - start
    if help_ == _NO_COMMA and line[max(at, 0) : to] == ",":
        return line[:at] + line[to:]
    if (match := _MEANT.search(help_)) is not None and to <= len(line):
        return line[:at] + match[1] + line[to:]
    if (match := _WRITE.match(help_)) is not None:
        indent = line[: len(line) - len(line.lstrip())]
        head = match[1].split(" ", 1)[0]
        if line.lstrip().startswith(head):
            return indent + match[1]
        place = re.search(rf"(?:=|\breturn) *({re.escape(head)}\b.*)$", line) if head else None
        if place is not None:
            return line[: place.start(1)] + match[1]
    return None


def _facts(error: Diagnostic) -> list[str]:
    """The facts of the language that a syntax error's help states."""
    if not error.code.startswith("TTS1"):
        return []
    parts = (part.partition(": write")[0] for part in (error.suggestion or "").split("; "))
    return [part for part in parts if _FACT.fullmatch(part)]


def _hidden(line: str) -> tuple[str, list[str]]:
    """A line with marks for its texts, and the texts."""
    strings: list[str] = []

    def hide(match: re.Match[str]) -> str:
        strings.append(match[0])
        return f"\x01{len(strings) - 1}\x01"

    return _STRING.sub(hide, line), strings


def parses(line: str) -> bool:
    """Whether a line parses alone, or cannot be parsed alone."""
    if _PARTIAL.match(line):
        return True
    opens = line.rstrip().endswith(":")
    if line == line.lstrip():
        text = line + ("\n    return x\n" if opens else "\n")
    else:
        text = f"strategy s():\n    {line.strip()}\n" + "        x = y\n" * opens + "    return x\n"
    return not any(each.is_error for each in parse(Source.of(text, "line")).diagnostics)


def _shown_form(line: str) -> str:
    parts = "` and `".join(each.strip() for each in line.split("\n"))
    return f"the form is `{parts}`"


def _form(line: str) -> str | None:
    """The form of the verb or statement that a line begins with."""
    code = line.strip()
    verb = re.match(r"(?:return|[A-Za-z_]\w* *=) *\(?([A-Za-z_]\w*)", code)
    head = re.match(r"\w*", code)
    for word in (verb[1] if verb else "", head[0] if head else ""):
        if word in FORMS:
            return f"the form is `{FORMS[word]}`"
    return None
