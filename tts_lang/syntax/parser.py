"""The parser: tokens to a syntax tree, with every syntax error of a file in one go.

It walks the LALR tables that Lark computed. At the start of each statement it marks its stacks. On
an error it reports, goes back to the mark, feeds a `BROKEN` token in place of the statement with
its block, and goes on behind it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from tts_lang.diagnostics import Diagnostic, error, file_error, in_order, suggest
from tts_lang.readers import read_written
from tts_lang.source import Source, Span
from tts_lang.syntax import build_expressions, build_items, build_phrases, nodes
from tts_lang.syntax.build import BUILDERS, Context
from tts_lang.syntax.mistake import Mistake
from tts_lang.syntax.mistakes import explain
from tts_lang.syntax.tables import Tables, load_tables
from tts_lang.syntax.tokens import Token, tokenize
from tts_lang.syntax.words import VERBS

# Importing these modules registers their builders.
_BUILDER_MODULES = (build_expressions, build_items, build_phrases)

MAX_ERRORS = 50
# Of trees: later stages walk them by recursion. Counted in builders, about two for each node.
MAX_DEPTH = 200
_LAYOUT = frozenset({"NL", "INDENT", "DEDENT", "$END"})
# A name follows these words.
_NAMING = frozenset({"strategy", "prompt", "judge", "scorer", "policy", "let", "score"})
# A header without a block, a statement without a strategy.
_OUTSIDE = frozenset({"TTS143", "TTS145"})
# Rules over statements: a broken statement stays one statement and does not break these.
_HOLDS_BROKEN = frozenset({"broken", "suite", "body", "start"})


@dataclass(frozen=True, slots=True)
class ParseResult:
    """A syntax tree, complete but for `Broken` nodes, and what was found wrong with the text."""

    file: nodes.File
    diagnostics: tuple[Diagnostic, ...]
    source: Source

    @property
    def ok(self) -> bool:
        """Whether the whole text was understood."""
        return not any(diagnostic.is_error for diagnostic in self.diagnostics)


def parse(source: Source) -> ParseResult:
    """Parse a strategy file. Never raises for bad text: see `diagnostics` and `Broken`."""
    tokens = tokenize(source)
    run = _Parser(source, tokens.tokens)
    file = run.run()
    found = in_order([*tokens.diagnostics, *run.context.reports])
    diagnostics = _without_echoes(found, run.broken)
    if run.stopped_at is not None or len(diagnostics) > MAX_ERRORS:
        last = diagnostics[: MAX_ERRORS + 1][-1]
        message = f"more than {MAX_ERRORS} errors: the rest is not shown"
        stop = error("TTS150", message, last.span, source)
        diagnostics = (*diagnostics[:MAX_ERRORS], stop)
    return ParseResult(file, diagnostics, source)


def parse_bytes(data: bytes, name: str) -> ParseResult:
    """Parse a file's bytes, which should be UTF-8; a byte order mark and any line ends are fine."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as problem:
        source = Source.of(data[: problem.start].decode("utf-8"), name)
        end = len(source.text)
        broken = Source(name, source.text + "\ufffd")
        report = error(
            "TTS101",
            f"byte 0x{data[problem.start]:02x} is not valid UTF-8",
            Span(end, end + 1),
            broken,
            suggestion="save the file as UTF-8",
        )
        return ParseResult(nodes.File(()), (report,), broken)
    return parse(Source.of(text, name))


def load(path: Path, name: str | None = None) -> ParseResult:
    """Read and parse a file, called `name` in messages; one that cannot be read is a diagnostic."""
    called = str(path) if name is None else name
    try:
        data = read_written(path)
    except OSError as problem:
        reason = problem.strerror or type(problem).__name__
        message = f"cannot read the file: {reason[:1].lower()}{reason[1:]}"
        report = file_error("TTS100", message, called, suggestion=_meant(path))
        return ParseResult(nodes.File(()), (report,), report.source)
    return parse_bytes(data, called)


def _meant(path: Path) -> str | None:
    """The file beside a missing one, or the shipped strategy, that was probably meant."""
    if path.exists():
        return None
    from tts_lang import library

    try:
        beside = [each.stem for each in path.parent.glob("*.tts")]
    except OSError:
        beside = []
    close = suggest(path.stem, beside)
    if close is not None:
        return f"did you mean '{path.with_name(close + '.tts')}'?"
    shipped = library.names()
    name = path.stem if path.stem in shipped else suggest(path.stem, shipped)
    return None if name is None else f"the shipped strategy is called without `.tts`: {name}"


class _BrokenRange(NamedTuple):
    """Offsets of a statement that did not parse: its start, the end of the bad line, its end."""

    start: int
    line_end: int
    end: int


def _without_echoes(
    diagnostics: tuple[Diagnostic, ...], broken: list[_BrokenRange]
) -> tuple[Diagnostic, ...]:
    """One mistake, one message: the first on a line that did not parse.

    A stray parenthesis, say, is found by the tokenizer, and makes the line unreadable for the
    parser too. Lines below a bad header may also seem to be indented wrongly (TTS108).
    """
    dropped: set[int] = set()
    for start, line_end, end in broken:
        inside = [i for i, d in enumerate(diagnostics) if start <= d.span.start <= end]
        on_line = [i for i in inside if diagnostics[i].span.start <= line_end]
        dropped.update(on_line[1:])
        if on_line:
            dropped.update(i for i in inside[1:] if diagnostics[i].code == "TTS108")
    return tuple(d for i, d in enumerate(diagnostics) if i not in dropped)


class _Inline(NamedTuple):
    """Children of a helper rule, spliced into the rule that uses it.

    A repetition nests to the left, and each round keeps the earlier ones as they are: so a mark
    stays valid, and long files take linear time.
    """

    parts: tuple[Any, ...]


# A value on the parser's stack, where it starts and ends, and the depth of its tree.
_Value: TypeAlias = tuple[Any, int, int, int]


class _Mark(NamedTuple):
    """The parser's stacks before a statement."""

    level: int
    first: int
    states: list[int]
    values: list[_Value]


class _Parser:
    def __init__(self, source: Source, tokens: list[Token]) -> None:
        self.source = source
        self.tokens = tokens
        self.tables: Tables = load_tables()
        self.context = Context(source)
        self.states = [0]
        self.values: list[_Value] = []
        self.marks: list[_Mark] = []
        self.level = 0
        self.errors = 0
        self.reported = -1
        self.broken: list[_BrokenRange] = []
        self.stopped_at: int | None = None
        self.too_deep = False
        #: Where the statement begins that goes on with statements outside of a strategy.
        self.outside: int | None = None

    def run(self) -> nodes.File:
        index = 0
        tokens = self.tokens
        while self.stopped_at is None:
            token = tokens[index]
            kind = token.type
            if kind not in _LAYOUT and (index == 0 or tokens[index - 1].type in _LAYOUT):
                self._mark(index)
            elif kind == "INDENT":
                self.level += 1
            elif kind == "DEDENT":
                self.level -= 1
            if self._feed(kind, token):
                if kind == "$END":
                    break
                index += 1
            else:
                index = self._recover(index)
        if self.stopped_at is not None:
            return nodes.File((nodes.Broken(span=Span(0, len(self.source.text))),))
        file: nodes.File = self.values[0][0]
        return file

    def _mark(self, index: int) -> None:
        while self.marks and self.marks[-1].level > self.level:
            self.marks.pop()
        if self.tables.shifts(self.states, "BROKEN"):
            if self.marks and self.marks[-1].level == self.level:
                self.marks.pop()
            self.marks.append(_Mark(self.level, index, self.states.copy(), self.values.copy()))

    # -------------------------------------------------------------------------- moves

    def _feed(self, kind: str, token: Any) -> bool:
        """Shift one terminal, after the reductions it asks for; false if it does not fit."""
        states, rows = self.states, self.tables.rows
        while True:
            action = rows[states[-1]].get(kind)
            if action is None:
                return False
            if action & 1:
                self._reduce(action >> 1)
            else:
                if kind != "$END":
                    states.append(action >> 1)
                    self.values.append((token, token.start, token.end, 0))
                return True

    def _reduce(self, number: int) -> None:
        origin, name, size, kept = self.tables.rules[number]
        states, values = self.states, self.values
        if size == 1 and not name:
            # A rule that only passes its child on, such as `term: factor`: the commonest case.
            states[-1] = self.tables.rows[states[-2]][origin] >> 1
            return
        symbols = values[len(values) - size :]
        if size:
            del values[-size:]
            del states[-size:]
            start, end = symbols[0][1], symbols[-1][2]
        else:
            start = end = values[-1][2] if values else 0
        children = []
        depth = 0
        for place in kept:
            value, _, _, child_depth = symbols[place]
            children.append(value)
            if child_depth > depth:
                depth = child_depth
        if name:
            value = self._build(name, children, Span(start, end), depth)
            depth += len(children) if name == "if_" else 1
        else:
            value = children[0] if len(children) == 1 else _Inline(tuple(children))
        values.append((value, start, end, depth))
        states.append(self.tables.rows[states[-1]][origin] >> 1)

    def _build(self, name: str, children: list[Any], span: Span, depth: int) -> Any:
        types = {type(child) for child in children}
        if _Inline in types:
            children = _spliced(children)
            types = {type(child) for child in children}
        if name not in _HOLDS_BROKEN:
            if nodes.Broken in types:
                named = children[0] if type(children[0]) is nodes.Name else None
                return nodes.Broken(named, span=span)
            if depth > MAX_DEPTH:
                if not self.too_deep:
                    self.too_deep = True
                    message = "this expression is nested too deeply"
                    self.context.refuse("TTS109", message, span, "name its parts with `=`")
                return nodes.Broken(span=span)
        return BUILDERS[name](self.context, children, span)

    # -------------------------------------------------------------------------- errors

    def _recover(self, index: int) -> int:
        """Report the token that does not fit, skip its statement; returns where to go on."""
        token = self.tokens[index]
        if not self.marks:
            self.stopped_at = index
            return index
        mark = self.marks.pop()
        # ERROR tokens have been reported by the tokenizer.
        if token.type != "ERROR" and index != self.reported:
            self._report(mark, index)
            self.reported = index
        elif self.outside == mark.first:
            self.outside = self._skip(mark.first)
        self.errors += 1
        if self.errors > MAX_ERRORS:
            self.stopped_at = index
        self.states, self.values, self.level = mark.states, mark.values, mark.level
        after = self._skip(mark.first)
        start, end = self.tokens[mark.first].start, self.tokens[after - 1].end
        self.broken.append(_BrokenRange(start, self._line_end(index), end))
        broken = nodes.Broken(self._name_at(mark.first), span=Span(start, end))
        self._feed("BROKEN", Token("BROKEN", "", start, end))
        self.values[-1] = (broken, start, end, 0)
        return after

    def _line_end(self, index: int) -> int:
        """Offset of the end of the logical line that holds a token."""
        while self.tokens[index].type not in _LAYOUT:
            index += 1
        return self.tokens[index].end

    def _skip(self, index: int) -> int:
        """Index of the first token after the statement that begins at `index`, block included."""
        tokens, depth = self.tokens, 0
        while True:
            kind = tokens[index].type
            following = tokens[index + 1].type if kind != "$END" else "$END"
            if kind == "INDENT":
                depth += 1
            elif kind == "DEDENT":
                if depth == 0:
                    return index
                depth -= 1
            elif kind == "$END":
                return index
            index += 1
            if depth == 0 and kind in {"NL", "DEDENT"} and following not in {"INDENT", "ELSE"}:
                return index

    def _name_at(self, index: int) -> nodes.Name | None:
        """The name that a broken statement or item would have defined, or changed."""
        first, second, third = (self.tokens[min(index + i, len(self.tokens) - 1)] for i in range(3))
        if not first.text.isidentifier():
            return None
        if second.type == "COMMA" or (second.type == "COLON" and third.type == "ASSIGN"):
            return nodes.Name(first.text, span=first.span)
        if first.text == "let" and third.type == "ASSIGN" and second.text.isidentifier():
            return nodes.Name(second.text, span=second.span)
        if second.type in {"ASSIGN", "EQ"} or (first.type == "NAME" and second.text in VERBS):
            return nodes.Name(first.text, span=first.span)
        # A first word that means nothing may be a misspelled one of these.
        names = first.text in _NAMING or first.type == "NAME"
        if names and third.type != "ASSIGN" and second.text.isidentifier():
            return nodes.Name(second.text, span=second.span)
        return None

    def _report(self, mark: _Mark, index: int) -> None:
        states = mark.states.copy()
        for token in self.tokens[mark.first : index]:
            if not self.tables.advance(states, token.type):
                break
        mistake = Mistake(
            self.source,
            self.tokens,
            mark.first,
            index,
            self.tables.accepts(states),
            top_level=mark.level == 0,
        )
        found = explain(mistake)
        if mark.level == 0:
            # Statements below a header without a block, or without a header: one mistake.
            goes_on = self.outside == mark.first
            self.outside = self._skip(mark.first) if found.code in _OUTSIDE else None
            if goes_on and found.code == "TTS145":
                return
        self.context.reports[found] = None


def _spliced(children: list[Any]) -> list[Any]:
    """Children with the contents of inline values in place; repetitions nest without limit."""
    flat: list[Any] = []
    stack = children[::-1]
    while stack:
        child = stack.pop()
        if type(child) is _Inline:
            stack.extend(child.parts[::-1])
        else:
            flat.append(child)
    return flat
