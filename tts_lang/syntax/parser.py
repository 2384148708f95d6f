"""The parser: tokens to a syntax tree, with every syntax error of a file in one go.

The tokens are fed to Lark's `InteractiveParser`, which is copied at the start of each statement. On
an error the parser goes back to that copy, reads a `BROKEN` token in place of the statement with
its block, and continues after it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import lark
from lark.exceptions import UnexpectedToken

from tts_lang.diagnostics import Diagnostic, error, file_error, in_order, suggest
from tts_lang.readers import MAX_TEXT_BYTES, TooLarge, is_there, read_written
from tts_lang.source import Source, Span
from tts_lang.syntax import nodes
from tts_lang.syntax.build import TreeBuilder
from tts_lang.syntax.builders import BUILDERS
from tts_lang.syntax.grammar import lark_parser
from tts_lang.syntax.syntax_errors import explain
from tts_lang.syntax.tokens import Token, tokenize
from tts_lang.syntax.unexpected import ErrorContext
from tts_lang.syntax.words import VERBS

if TYPE_CHECKING:
    from lark.parsers.lalr_interactive_parser import InteractiveParser

MAX_ERRORS = 50
_LAYOUT = frozenset({"NL", "INDENT", "DEDENT", "$END"})
# A name follows these words.
_NAMING = frozenset({"strategy", "prompt", "judge", "scorer", "policy", "let", "score"})
# A header without a block, a statement without a strategy.
_OUTSIDE = frozenset({"TTS143", "TTS145"})


@dataclass(frozen=True, slots=True)
class ParseResult:
    """A syntax tree, complete but for `Broken` nodes, and the diagnostics of the text."""

    file: nodes.File
    diagnostics: tuple[Diagnostic, ...]
    source: Source

    @property
    def ok(self) -> bool:
        """Whether the whole text was understood."""
        return not any(diagnostic.is_error for diagnostic in self.diagnostics)


@lru_cache(maxsize=256)
def parse(source: Source) -> ParseResult:
    """Parse a strategy file. Never raises for bad text: see `diagnostics` and `Broken`.

    A file is parsed once although it is compiled for every point of a sweep, or has many
    strategies; the tree is frozen.
    """
    if len(source.text) > MAX_TEXT_BYTES:
        return _unread(TooLarge(MAX_TEXT_BYTES), source.name)
    tokens = tokenize(source)
    run = _Run(source, tokens.tokens)
    file = run.file()
    ordered = in_order([*tokens.diagnostics, *run.diagnostics])
    diagnostics = _without_echoes(ordered, run.ranges)
    if run.too_many or len(diagnostics) > MAX_ERRORS:
        last = diagnostics[: MAX_ERRORS + 1][-1]
        message = f"more than {MAX_ERRORS} errors: the rest is not shown"
        stop = error("TTS150", message, last.span, source)
        diagnostics = (*diagnostics[:MAX_ERRORS], stop)
    return ParseResult(file, diagnostics, source)


def parse_value(name: str, value: str, where: str) -> tuple[nodes.Expression | None, ParseResult]:
    """The value of a setting `NAME = VALUE`: `None` if it is no expression.

    The result has the source that its spans point into, and the errors.
    """
    parsed = parse(Source(where, f"strategy s():\n    {name} = {value}\n    return s\n"))
    item = parsed.file.items[0] if parsed.ok else None
    first = item.body[0] if isinstance(item, nodes.StrategyDeclaration) else None
    return first.value if isinstance(first, nodes.AssignStatement) else None, parsed


def parse_bytes(data: bytes, name: str) -> ParseResult:
    """Parse a file's bytes, which should be UTF-8; a byte order mark and any line ends are fine."""
    if len(data) > MAX_TEXT_BYTES:
        return _unread(TooLarge(MAX_TEXT_BYTES), name)
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
        return _unread(problem, called, _meant(path))
    return parse_bytes(data, called)


def _unread(problem: OSError, name: str, suggestion: str | None = None) -> ParseResult:
    """An empty file, and why it was not read."""
    if isinstance(problem, TooLarge):
        suggestion = "move some of its strategies to a second file, and `import` that"
    reason = problem.strerror or type(problem).__name__
    message = f"cannot read the file: {reason[:1].lower()}{reason[1:]}"
    report = file_error("TTS100", message, name, suggestion=suggestion)
    return ParseResult(nodes.File(()), (report,), report.source)


def _meant(path: Path) -> str | None:
    """The file beside a missing one, or the shipped strategy, that was probably meant."""
    if is_there(path):
        return None
    import tts_lang.library as library

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


class _Mark(NamedTuple):
    """The parser before a statement: the level of its block, its first token."""

    level: int
    first: int
    parser: InteractiveParser


class _Run:
    """Feeds the tokens of a file to Lark's parser, and recovers from errors."""

    def __init__(self, source: Source, tokens: list[Token]) -> None:
        self.source = source
        self.tokens = tokens
        self.parser = lark_parser().parse_interactive()
        self.diagnostics: list[Diagnostic] = []
        self.ranges: list[_BrokenRange] = []
        self.too_many = False
        self._broken: dict[int, nodes.Broken] = {}
        self._marks: list[_Mark] = []
        self._level = 0
        self._reported = -1
        #: The first token of statements that stand outside of a strategy like those before.
        self._outside: int | None = None

    def file(self) -> nodes.File:
        """The syntax tree; `diagnostics` has the errors."""
        tree = None
        index = 0
        while tree is None:
            token = self.tokens[index]
            if token.type == "INDENT":
                self._level += 1
            elif token.type == "DEDENT":
                self._level -= 1
            elif token.type not in _LAYOUT and self.tokens[index - 1].type in _LAYOUT:
                self._mark(index)  # for the first token, the one before is `$END`
            try:
                tree = self.parser.feed_token(_for_lark(token))
                index += 1
            except UnexpectedToken:
                index = self._recover(index)
                if self.too_many:
                    return nodes.File((nodes.Broken(span=Span(0, len(self.source.text))),))
        builder = TreeBuilder(BUILDERS, self.source, self._broken)
        file = builder.build(tree)
        self.diagnostics += builder.reports
        return file

    def _mark(self, index: int) -> None:
        while self._marks and self._marks[-1].level > self._level:
            self._marks.pop()
        if "BROKEN" in self.parser.choices():  # type: ignore[no-untyped-call]
            if self._marks and self._marks[-1].level == self._level:
                self._marks.pop()
            self._marks.append(_Mark(self._level, index, _copy(self.parser)))

    # -------------------------------------------------------------------------- errors

    def _recover(self, index: int) -> int:
        """Report the token that does not fit and skip its statement, block included.

        Returns:
            The index of the next token.
        """
        while self._marks:
            mark = self._marks.pop()
            after = self._skip(mark.first)
            start, end = self.tokens[mark.first].start, self.tokens[after - 1].end
            parser = _copy(mark.parser)
            try:
                parser.feed_token(_for_lark(Token("BROKEN", "", start, end)))
            except UnexpectedToken:
                continue  # a place that looks like a statement, such as an arm of `choose`
            break
        else:
            self.too_many = True
            return index
        # ERROR tokens have been reported by the tokenizer.
        if self.tokens[index].type != "ERROR" and index != self._reported:
            self._report(mark, index)
            self._reported = index
        elif self._outside == mark.first:
            self._outside = after
        self.parser, self._level = parser, mark.level
        # A block that belongs to a broken header is not read, and gives names their values, too.
        # Its lines continue a header without a colon.
        last = after if mark.level else mark.first + 1
        names = tuple(
            name
            for at in range(mark.first, last)
            if at == mark.first or self._begins_line(at)
            for name in self._names_at(at)
        )
        self._broken[start] = nodes.Broken(names, span=Span(start, end))
        self.ranges.append(_BrokenRange(start, self._line_end(index), end))
        self.too_many = len(self.ranges) > MAX_ERRORS
        return after

    def _begins_line(self, index: int) -> bool:
        """Whether a token is the first of a line, of a statement or continued."""
        last = self.tokens[index - 1]
        return "\n" in self.source.text[last.end : self.tokens[index].start] or last.type in _LAYOUT

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

    def _names_at(self, index: int) -> Iterator[nodes.Name]:
        """The names that a line of a broken statement or item would have defined, or changed."""
        first, second, third = (self.tokens[min(index + i, len(self.tokens) - 1)] for i in range(3))
        if not first.text.isidentifier():
            return
        end = next(at for at in count(index) if self.tokens[at].type in _LAYOUT)
        last = self.tokens[end - 1]
        if first.type == "NAME" and second.type == "COMMA":  # `a, b = 1, 2`
            until = next((at for at in range(index, end) if self.tokens[at].type == "ASSIGN"), end)
            for token in self.tokens[index:until]:
                if token.type == "NAME":
                    yield nodes.Name(token.text, span=token.span)
        elif (
            (first.type == "NAME" and (second.type == "COLON" or second.text in VERBS))
            or (second.type == "LT" and third.type == "MINUS")  # `pool <- sample 4`
            or second.type in {"ASSIGN", "EQ"}
        ):
            yield nodes.Name(first.text, span=first.span)
        elif third.type == "ASSIGN" and second.text.isidentifier():  # `let few = first 2 of pool`
            yield nodes.Name(second.text, span=second.span)
        elif end - index > 3 and self.tokens[end - 2].text in {"as", "into"}:
            if last.type == "NAME":  # `sample 4 into pool`
                yield nodes.Name(last.text, span=last.span)
        # A first word that means nothing may be a misspelled one of these.
        elif (first.text in _NAMING or first.type == "NAME") and second.text.isidentifier():
            yield nodes.Name(second.text, span=second.span)

    def _report(self, mark: _Mark, index: int) -> None:
        # The failed attempt has changed the parser: go there again.
        parser = _copy(mark.parser)
        try:
            for token in self.tokens[mark.first : index]:
                parser.feed_token(_for_lark(token))
        except UnexpectedToken:
            return  # a statement inside did not parse either, which has been reported
        accepts = frozenset(parser.accepts())  # type: ignore[no-untyped-call]
        diagnostic = explain(
            ErrorContext(
                self.source,
                self.tokens,
                mark.first,
                index,
                accepts,
                top_level=mark.level == 0,
            )
        )
        if mark.level == 0:
            # Statements below a header without a block, or without a header: one mistake.
            continues = self._outside == mark.first
            self._outside = self._skip(mark.first) if diagnostic.code in _OUTSIDE else None
            if continues and diagnostic.code == "TTS145":
                return
        self.diagnostics.append(diagnostic)


def _copy(parser: InteractiveParser) -> InteractiveParser:
    """A parser in the same state; both can continue, since parse trees are not changed."""
    copied: InteractiveParser = parser.copy(deepcopy_values=False)  # type: ignore[no-untyped-call]
    return copied


def _for_lark(token: Token) -> lark.Token:
    return lark.Token(token.type, token.text, start_pos=token.start, end_pos=token.end)
