"""The message of last resort: a token that does not fit, and the tokens that would."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tts_lang.diagnostics import Diagnostic, did_you_mean, error
from tts_lang.source import Source, Span
from tts_lang.syntax.words import (
    ITEM_WORDS,
    SOFT_WORDS,
    SPELLINGS,
    STATEMENT_WORDS,
    TERMINALS,
    UNIT_WORDS,
    VERBS,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tts_lang.syntax.tokens import Token


@dataclass(slots=True)
class ErrorContext:
    """A token, `tokens[at]`, that does not fit into the statement begun at `tokens[first]`."""

    source: Source
    tokens: list[Token]
    first: int
    at: int
    accepts: frozenset[str]
    top_level: bool

    @property
    def token(self) -> Token:
        """The token that does not fit."""
        return self.tokens[self.at]

    @property
    def head(self) -> Token:
        """The first token of the statement."""
        return self.tokens[self.first]

    @property
    def before(self) -> Token:
        """The token before the one that does not fit, or that one itself at the very start."""
        return self.tokens[max(self.at - 1, 0)]

    def __getitem__(self, offset: int) -> Token:
        """The token `offset` places from the one that does not fit."""
        return self.tokens[min(max(self.at + offset, 0), len(self.tokens) - 1)]

    @property
    def line(self) -> list[Token]:
        """The tokens of the statement before the one that does not fit."""
        return self.tokens[self.first : self.at]

    def text(self, start: Token, end: Token) -> str:
        """The source from one token to another, both included."""
        return self.source.text[start.start : end.end]

    def rest(self) -> str:
        """The source from the token that does not fit to the end of its line."""
        end = self.source.text.find("\n", self.token.start)
        rest = self.source.text[self.token.start : end if end >= 0 else None]
        return rest.partition("#")[0].strip()

    def report(
        self,
        code: str,
        message: str,
        suggestion: str | None = None,
        *,
        span: Span | None = None,
        expected: tuple[str, ...] = (),
        notes: tuple[str, ...] = (),
    ) -> Diagnostic:
        """A diagnostic at the token, or elsewhere."""
        return error(
            code,
            message,
            span or self._visible(),
            self.source,
            expected=expected,
            suggestion=suggestion,
            notes=notes,
        )

    def _visible(self) -> Span:
        """Layout tokens are empty: point after the last word instead."""
        token = self.token
        if token.end > token.start:
            return token.span
        return Span(token.end, token.end + 1)


_COMPARISONS = frozenset({"EQ", "NE", "LT", "LE", "GT", "GE"})
_SOFT = frozenset(TERMINALS[word] for word in SOFT_WORDS)
_UNITS = frozenset(UNIT_WORDS.values())

_GROUPS = (
    ("a number", frozenset({"INTEGER", "FLOAT", "PERCENT"})),
    ("a text in quotes", frozenset({"STRING", "TEXT"})),
    ("a unit", _UNITS),
    ("a clause", frozenset({"AT", "TOP_P", "TOP_K", "MIN_P", "MAX", "WITHIN", "STOP"})),
)
# Terminals that may follow any expression: shown as one word.
_CONTINUES = _COMPARISONS | frozenset(
    {"PLUS", "MINUS", "STAR", "SLASH", "POWER", "ENDS", "CONTAINS", "LPAR"}
    | {"AND", "OR", "IF", "WHERE", "ON"}
)
_MOST_SHOWN = 8


def unexpected(e: ErrorContext) -> Diagnostic:
    """A message for any token that does not fit, with the alternatives."""
    token = e.token
    hint = None
    if token.type == "NAME":
        words = [word for word, kind in TERMINALS.items() if kind in e.accepts]
        hint = did_you_mean(token.text, words)
    if hint is None and (misspelled := _misspelled(e)) is not None:
        return misspelled
    shown = f"`{_short(token.text)}`"
    if token.end == token.start:
        shown = SPELLINGS[token.type].removeprefix("the ")
    notes: tuple[str, ...] = ()
    line = e.source.position(token.start).line
    if e.at > e.first and token.end > token.start:
        previous = e.source.position(e.before.start).line
        if line > previous and "NL" in e.accepts:
            notes = ("this line is indented deeper than the one above, so it continues it",)
    return e.report(
        "TTS120",
        f"unexpected {shown}",
        hint,
        expected=tuple(_expected(e.accepts)),
        notes=notes,
    )


def _short(text: str) -> str:
    first = text.partition("\n")[0]
    return first if len(first) <= 30 and first == text else first[:27] + "..."


def _misspelled(e: ErrorContext) -> Diagnostic | None:
    """A word before this one that was probably meant to be a word of the language."""
    before = e.before
    if before.type != "NAME" or e.at == e.first:
        return None
    if e.at - 1 == e.first:
        words = sorted(ITEM_WORDS if e.top_level else STATEMENT_WORDS | VERBS)
    elif e[-2].type in {"ASSIGN", "RETURN", "LPAR"}:
        words = sorted(VERBS)
    else:
        words = sorted(TERMINALS)
    hint = did_you_mean(before.text, words)
    if hint is None:
        return None
    return e.report("TTS120", f"unexpected `{before.text}`", hint, span=before.span)


def _expected(accepts: frozenset[str]) -> Iterator[str]:
    """Alternatives at this place, most telling first, with one word per group of terminals."""
    rest = set(accepts) - {"BROKEN"}
    # All soft words fit where a name fits; all operators fit after an expression.
    if "NAME" in rest:
        rest -= _SOFT | _UNITS
    if {"NAME", "INTEGER", "STRING", "LPAR"} <= rest:
        rest -= {"NAME", "INTEGER", "FLOAT", "PERCENT", "STRING", "TEXT", "LPAR", "MINUS"}
        rest -= {"NOT", "ALL", "ANY"}
        yield "a value"
        if "SAMPLE" in rest:
            rest -= {TERMINALS[verb] for verb in VERBS}
            yield "a verb"
        rest -= {"TAIL", "LOWEST"}
    groups = []
    if "PLUS" in rest:
        rest -= _CONTINUES
        groups = ["an operator"]
    for name, members in _GROUPS:
        if members <= rest:
            rest -= members
            groups.append(name)
    words = sorted({SPELLINGS[kind] for kind in rest})
    if len(words) > _MOST_SHOWN:
        words = [*words[:_MOST_SHOWN], "..."]
    yield from words
    yield from groups
