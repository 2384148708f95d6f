"""Completion: words that the grammar allows at the cursor, and names that fit."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import lark
from lark.exceptions import UnexpectedToken

import tts_lang.library as library
from tts_lang.check import builtins
from tts_lang.check.scope import FileScope, Role
from tts_lang.lsp.project import EditorFiles, strategy_files
from tts_lang.lsp.symbols import columns_in_reach
from tts_lang.plan.ops import KEEPING
from tts_lang.plan.template import ROW_SLOTS
from tts_lang.reference import column_meaning, meaning
from tts_lang.source import Source, Span
from tts_lang.syntax import nodes
from tts_lang.syntax.grammar import lark_parser
from tts_lang.syntax.tokens import Token, tokenize
from tts_lang.syntax.words import HARD_WORDS, SOFT_WORDS

_LAYOUT = frozenset({"NL", "INDENT", "DEDENT", "$END"})
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_NUMBER = re.compile(r"\d[\w.]*\Z")
_SLOT = re.compile(r"\{ *[A-Za-z_.]*\Z")
_BY_TERMINAL = {word.upper(): word for word in HARD_WORDS | SOFT_WORDS}
_BY_TERMINAL |= {each: f"{each.lower()}s" for each in ("SOLUTION", "STEP", "THOUGHT", "TOKEN")}
_READINGS = ("number", "choice", "ranking", "probability")
#: Files that are offered for an import.
_MOST_FILES = 200


class Offer(NamedTuple):
    """Something to put at the cursor.

    Args:
        kind: "keyword", "function", "column", "variable", "parameter", "strategy", "prompt",
            "scorer", "policy", "file", "slot" or "value".
        detail: How it is written, or where it comes from.
        about: What it means.
    """

    label: str
    kind: str
    detail: str = ""
    about: str = ""


@dataclass(slots=True)
class _Item:
    """The item of a file in which the cursor is, read from the tokens before it alone."""

    tokens: list[Token] = field(default_factory=list)
    parameters: list[str] = field(default_factory=list)
    variables: list[str] = field(default_factory=list)
    columns: list[str] = field(default_factory=list)
    continued: tuple[str, ...] = ()  # words that continue the statement above

    @property
    def word(self) -> str:
        """The word that it begins with."""
        return self.tokens[0].text if self.tokens else ""


def complete(files: EditorFiles, source: Source, offset: int) -> tuple[Span, list[Offer]]:
    """The completions at an offset, and the range that they would replace."""
    before = source.text[:offset]
    read = tokenize(Source(source.name, before))
    if read.comments and read.comments[-1].end >= offset > read.comments[-1].start:
        return Span(offset, offset), []
    typed = _WORD.search(before)
    start = typed.start() if typed else offset
    text_start = _open_text(read.tokens, offset)
    if text_start is not None:
        return _in_text(files, source, before, text_start)
    if typed is None and _NUMBER.search(before):  # a number is being typed
        return Span(offset, offset), []
    tokens = list(tokenize(Source(source.name, before[:start])).tokens)
    while tokens and (tokens[-1].type in _LAYOUT or tokens[-1].type == "ERROR"):
        tokens.pop()
    item, statement = _place(source, tokens, start)
    scope = files.scope(source)
    offers = _offers(scope, item, statement)
    unique: dict[str, Offer] = {}
    for each in offers:
        unique.setdefault(each.label, each)
    return Span(start, offset), list(unique.values())


def _open_text(tokens: list[Token], offset: int) -> int | None:
    """The start of a text that is not closed before the offset."""
    inside = [each for each in tokens if each.type == "ERROR" and each.text.startswith('"')]
    return inside[-1].start if inside and inside[-1].end >= offset else None


# ------------------------------------------------------------------------------ where it is


def _place(source: Source, tokens: list[Token], offset: int) -> tuple[_Item, list[Token]]:
    """The item around the cursor, and the tokens of the statement that is being written."""
    line_start = source.text.rfind("\n", 0, offset) + 1
    first_of_line = not source.text[line_start:offset].strip()
    if first_of_line and offset == line_start:
        return _Item(), []
    firsts = [n for n, each in enumerate(tokens) if each.text and _is_first(tokens, n)]
    heads = [n for n in firsts if source.position(tokens[n].start).column == 1]
    if not heads:
        return _Item(), []
    item = _Item(tokens[heads[-1] :])
    _note_names(item)
    if first_of_line:
        column = offset - line_start
        item.continued = _continued(source, [tokens[n] for n in firsts if n > heads[-1]], column)
        last = source.position(tokens[firsts[-1]].start).column - 1
        opens = tokens[-1].type == "COLON"
        if column <= last or opens or firsts[-1] == heads[-1]:
            return item, []  # a new statement; deeper lines continue the one above
    return item, tokens[firsts[-1] :]


def _continued(source: Source, firsts: list[Token], column: int) -> tuple[str, ...]:
    """`else` below an `if`, the arms of a `choose`."""
    for first in reversed(firsts):
        place = source.position(first.start).column - 1
        if place < column:
            return ("above", "otherwise") if first.type == "CHOOSE" else ()
        if place == column:
            arms = ("above", "otherwise") if first.type == "ABOVE" else ()
            return ("else",) if first.type in ("IF", "ELSE") else arms
    return ()


def _is_first(tokens: list[Token], place: int) -> bool:
    """Whether a statement or item begins with a token."""
    return place == 0 or tokens[place - 1].type in _LAYOUT


def _note_names(item: _Item) -> None:
    tokens = item.tokens
    header = True
    depth = 0
    for n, token in enumerate(tokens):
        following = tokens[n + 1].type if n + 1 < len(tokens) else ""
        depth += (token.type == "LPAR") - (token.type == "RPAR")
        if header:
            names = depth == 1 and token.type in ("LPAR", "COMMA")
            if names and n + 1 < len(tokens) and tokens[n + 1].text.isidentifier():
                item.parameters.append(tokens[n + 1].text)
            header = token.type != "INDENT"
        elif following == "ASSIGN" and (tokens[n - 1].type in _LAYOUT or n == 0):
            item.variables.append(token.text)
        elif token.type == "LET" and n + 1 < len(tokens):
            item.columns.append(tokens[n + 1].text)


# ------------------------------------------------------------------------------ what fits


def _offers(scope: FileScope, item: _Item, statement: list[Token]) -> Iterator[Offer]:
    accepted = _accepted(item, statement)
    if not statement:
        yield from (_offer(word, "keyword") for word in item.continued)
    last = statement[-1].type if statement else ""
    head = statement[0].type if statement else ""
    if "NAME" in accepted or not accepted:
        yield from _names(scope, item, statement, head, last)
    special = (
        _wants_key(statement) or (last == "BY" and head == "SCORE") or last in ("ASK", "KEEPING")
    )
    if not special:
        for terminal in sorted(accepted):
            word = _BY_TERMINAL.get(terminal)
            # A soft word where any name may stand is a name, unless it begins something.
            if word is not None and (
                word in HARD_WORDS or "NAME" not in accepted or _begins(word, last)
            ):
                entry = meaning(word)
                form, about = entry if entry is not None else ("", "")
                yield Offer(word, "keyword", form, about)


def _begins(word: str, last: str) -> bool:
    """Whether a soft word begins a phrase after a token."""
    return last in ("ASSIGN", "RETURN", "LPAR") and word in ("best", "first", "fresh")


def _accepted(item: _Item, statement: list[Token]) -> frozenset[str]:
    """The terminals that the grammar allows after a statement's tokens; none if it stops before.

    The statement is read in a strategy of its own, so that mistakes above do not matter.
    """
    tokens = [(each.type, each.text) for each in statement]
    if item.word == "judge":
        tokens = [(each.type, each.text) for each in item.tokens]
        if not statement:
            tokens += [("NL", "")]
    elif item.tokens and statement != item.tokens:
        tokens = [*_strategy_before(tokens)]
    parser = lark_parser().parse_interactive()
    try:
        for kind, text in tokens:
            parser.feed_token(lark.Token(kind, text))
    except UnexpectedToken:
        return frozenset()
    return frozenset(parser.accepts())  # type: ignore[no-untyped-call]


_HEADER = (("STRATEGY", ""), ("NAME", "s"), ("LPAR", "("), ("RPAR", ")"), ("COLON", ":"))
_BLOCK = (("NL", ""), ("INDENT", ""))
_RETURN = (("RETURN", ""), ("NAME", "x"), ("NL", ""))


def _strategy_before(tokens: list[tuple[str, str]]) -> Iterable[tuple[str, str]]:
    """The statement in a strategy: arms and `else` with their statement."""
    yield from (*_HEADER, *_BLOCK)
    head = tokens[0][0] if tokens else ""
    if head == "ELSE":
        yield from (("IF", ""), ("NAME", "x"), ("COLON", ":"), *_RETURN)
    elif head in ("ABOVE", "OTHERWISE"):
        yield from (("CHOOSE", ""), ("BY", ""), ("NAME", "x"), ("COLON", ":"), *_BLOCK)
        if head == "OTHERWISE":
            yield from (("ABOVE", ""), ("INTEGER", "1"), ("COLON", ":"), *_RETURN)
    yield from tokens


def _names(
    scope: FileScope, item: _Item, statement: list[Token], head: str, last: str
) -> Iterator[Offer]:
    if not item.tokens:
        return
    if not statement:
        yield from (Offer(each, "variable") for each in item.variables)
        return
    if _wants_key(statement):
        yield from _columns(scope, item)
        return
    if last == "BY" and head == "SCORE":
        yield from _declared(scope, Role.SCORER, "scorer")
        yield from (Offer(each, "parameter") for each in item.parameters)
        return
    if last == "ASK":
        yield from _declared(scope, Role.PROMPT, "prompt")
        yield from (Offer(each, "parameter") for each in item.parameters)
        return
    if last == "FROM" and head != "BACKUP":
        yield from _declared(scope, Role.POLICY, "policy")
        return
    if last == "KEEPING":
        yield from (Offer(each, "value") for each in KEEPING)
        return
    if last == "READ":
        yield from (Offer(each, "value") for each in _READINGS)
        return
    if head in ("STRATEGY", "PROMPT", "JUDGE", "LET", "POLICY", "SCORER") and last in (
        *("STRATEGY", "PROMPT", "JUDGE", "LET", "POLICY", "SCORER", "NAME"),
    ):
        return  # a new name
    yield from _arguments(scope, statement)
    yield from (Offer(each, "variable") for each in item.variables)
    yield from (Offer(each, "parameter") for each in item.parameters)
    yield from _columns(scope, item)
    yield from _declared(scope, Role.STRATEGY, "strategy")
    for name in (*builtins.POOLS, *builtins.DELIMITERS):
        yield _offer(name, "value")
    for name in builtins.FUNCTIONS:
        yield _offer(name, "function")


def _wants_key(statement: list[Token]) -> bool:
    """Whether a column comes next by which rows are grouped or told apart."""
    last = statement[-1].type if statement else ""
    words = {each.text for each in statement}
    if last == "ON":  # of a vote; a strategy is called on rows
        return bool(words & {"vote", "share", "lead", "entropy"})
    return last == "PER" or (last == "BY" and "dedupe" in words)


def _offer(name: str, kind: str) -> Offer:
    entry = meaning(name, called=kind == "function")
    return Offer(name, kind, *(entry if entry is not None else ()))


def _columns(scope: FileScope, item: _Item) -> Iterator[Offer]:
    yield from (Offer(each, "column", "made by `let`") for each in item.columns)
    yield from _declared(scope, Role.SCORER, "scorer")
    yield from (Offer(each, "column", "made by `let`") for each in sorted(columns_in_reach(scope)))
    for name in builtins.COLUMNS:
        entry = column_meaning(name)
        yield Offer(name, "column", *(entry if entry is not None else ()))


def _declared(scope: FileScope, role: Role, kind: str) -> Iterator[Offer]:
    for name in scope.of_role([role]):
        declared = scope.names[name]
        home = declared.home.source.name if declared.home.source.text else ""
        where = "" if declared.home is scope else Path(home).name or "built in"
        about = ""
        if isinstance(declared.node, nodes.StrategyDeclaration) and declared.node.docstring:
            about = declared.node.docstring.value.strip().partition("\n")[0]
        yield Offer(name, kind, where, about)


def _arguments(scope: FileScope, statement: list[Token]) -> Iterator[Offer]:
    """The parameters of the call whose parenthesis is open, where an argument begins."""
    if statement[-1].type not in ("LPAR", "COMMA"):
        return
    depth = 0
    for n in range(len(statement) - 1, 0, -1):
        depth += (statement[n].type == "RPAR") - (statement[n].type == "LPAR")
        if depth < 0:
            declared = scope.names.get(statement[n - 1].text)
            names = {each.text for each in statement[n:]}
            for parameter in getattr(declared.node if declared else None, "parameters", ()):
                name = parameter.name.text
                if name not in names:
                    yield Offer(f"{name} = ", "parameter", f"of {statement[n - 1].text}")
            return


# ------------------------------------------------------------------------------ inside texts


def _in_text(
    files: EditorFiles, source: Source, before: str, start: int
) -> tuple[Span, list[Offer]]:
    tokens = [each for each in tokenize(Source(source.name, before[:start])).tokens if each.text]
    offset = len(before)
    if tokens and tokens[-1].type == "IMPORT":
        return Span(start + 1, offset), list(_imports(source))
    slot = _SLOT.search(before, start)
    heads = [each for each in tokens if source.position(each.start).column == 1]
    if slot is None or not heads or heads[-1].type not in ("PROMPT", "JUDGE"):
        return Span(offset, offset), []
    scope = files.scope(source)
    item = _Item(tokens[tokens.index(heads[-1]) :])
    _note_names(item)
    offers = [Offer(each, "slot") for each in (*ROW_SLOTS, "field.")]
    offers += [Offer(each, "parameter") for each in item.parameters]
    offers += [Offer(each, "column") for each in sorted(scope.columns - set(ROW_SLOTS))]
    inside = before[slot.start() + 1 :].lstrip()
    return Span(offset - len(inside), offset), offers


def _imports(source: Source) -> Iterator[Offer]:
    """Strategy files below the folder of this one, then the shipped ones."""
    folder = Path(source.name).resolve().parent
    count = 0
    for path in strategy_files(folder):
        if os.path.realpath(path) == os.path.realpath(source.name):
            continue
        count += 1
        if count > _MOST_FILES:
            break
        yield Offer(path.relative_to(folder).as_posix(), "file", "beside this file")
    for path in dict.fromkeys(library.names().values()):
        yield Offer(path.name, "file", "shipped")
