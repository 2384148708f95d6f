"""What to say about a token that does not fit and is no typical mistake: what would fit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tts_lang.diagnostics import Diagnostic, did_you_mean
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

    from tts_lang.syntax.mistake import Mistake

_COMPARISONS = frozenset({"EQ", "NE", "LT", "LE", "GT", "GE"})
_SOFT = frozenset(TERMINALS[word] for word in SOFT_WORDS)
_UNITS = frozenset(UNIT_WORDS.values())

_GROUPS = (
    ("a number", frozenset({"INTEGER", "FLOAT", "PERCENT"})),
    ("a text in quotes", frozenset({"STRING", "TEXT"})),
    ("a unit", _UNITS),
    ("a clause", frozenset({"AT", "TOP_P", "TOP_K", "MIN_P", "MAX", "WITHIN", "STOP"})),
)
# What may follow any expression: shown as one word.
_CONTINUES = _COMPARISONS | frozenset(
    {"PLUS", "MINUS", "STAR", "SLASH", "POWER", "ENDS", "CONTAINS", "LPAR"}
    | {"AND", "OR", "IF", "WHERE", "ON"}
)
_MOST_SHOWN = 8


def unexpected(m: Mistake) -> Diagnostic:
    """A message for any token that does not fit, with what would."""
    token = m.token
    hint = None
    if token.type == "NAME":
        words = [word for word, kind in TERMINALS.items() if kind in m.accepts]
        hint = did_you_mean(token.text, words)
    if hint is None and (misspelled := _misspelled(m)) is not None:
        return misspelled
    shown = f"`{_short(token.text)}`"
    if token.end == token.start:
        shown = SPELLINGS[token.type].removeprefix("the ")
    notes: tuple[str, ...] = ()
    line = m.source.position(token.start).line
    if m.at > m.first and token.end > token.start:
        previous = m.source.position(m.before.start).line
        if line > previous and "NL" in m.accepts:
            notes = ("this line is indented deeper than the one above, so it continues it",)
    return m.report(
        "TTS120",
        f"unexpected {shown}",
        hint,
        expected=tuple(_expected(m.accepts)),
        notes=notes,
    )


def _short(text: str) -> str:
    first = text.partition("\n")[0]
    return first if len(first) <= 30 and first == text else first[:27] + "..."


def _misspelled(m: Mistake) -> Diagnostic | None:
    """A word before this one that was probably meant to be a word of the language."""
    before = m.before
    if before.type != "NAME" or m.at == m.first:
        return None
    if m.at - 1 == m.first:
        words = sorted(ITEM_WORDS if m.top_level else STATEMENT_WORDS | VERBS)
    elif m[-2].type in {"ASSIGN", "RETURN", "LPAR"}:
        words = sorted(VERBS)
    else:
        words = sorted(TERMINALS)
    hint = did_you_mean(before.text, words)
    if hint is None:
        return None
    return m.report("TTS120", f"unexpected `{before.text}`", hint, span=before.span)


def _expected(accepts: frozenset[str]) -> Iterator[str]:
    """What could stand here, most telling first; groups of terminals under one word."""
    rest = set(accepts) - {"BROKEN"}
    # Where a name fits, so do all soft words; where an expression goes on, all its operators do.
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
