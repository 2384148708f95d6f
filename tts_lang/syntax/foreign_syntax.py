"""Messages for syntax of other languages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tts_lang.diagnostics import Diagnostic, did_you_mean
from tts_lang.syntax.unexpected import ErrorContext
from tts_lang.syntax.words import STATEMENT_WORDS, VERBS

if TYPE_CHECKING:
    from collections.abc import Callable

_FOREIGN = {
    "elif": "write `else if`",
    "elseif": "write `else if`",
    "for": "write `repeat N:`; a pool's rows are handled all at once",
    "while": "write `repeat N until CONDITION:`; every loop has a bound",
    "def": "write `strategy NAME(...):`",
    "function": "write `strategy NAME(...):`",
    "in": "write `into` in `fork` and `force`, `of` before a pool",
    "then": "write `:`",
    "do": "write `:`",
    "is": 'write `==`, as in `finish == "length"`; for a missing value `not has(E)`',
    "None": "write `none` for the empty pool, `not has(E)` for a missing value",
    "null": "write `none` for the empty pool, `not has(E)` for a missing value",
    "lambda": "write the expression itself",
    "var": "write `NAME = ...`",
    "print": "`--explain` shows a plan, and a run directory every candidate",
    "break": "write `repeat N until CONDITION:`",
    "continue": "write the rest of the block under an `if`",
    "pass": "leave the statement out",
    "switch": "write `choose by E:` with arms such as `above 0.5:`",
    "match": "write `choose by E:` with arms such as `above 0.5:`",
    "end": "blocks are ended by their indentation",
    "using": "write `from NAME` for a policy, `by NAME` for a scorer",
}


def _foreign_word(e: ErrorContext) -> Diagnostic | None:
    for token in (e.token, e.before):
        # `end` is a word of the language, in `end when`; on a line of its own it is a habit.
        foreign = token.type == "NAME" or (token.type == "END" and token is e.head)
        if foreign and token.text in _FOREIGN and token.start >= e.head.start:
            return e.report(
                "TTS123",
                f"there is no `{token.text}` in this language",
                _FOREIGN[token.text],
                span=token.span,
            )
    return None


def _missing_equals(e: ErrorContext) -> Diagnostic | None:
    sign = e.token.type == "EQ" or (e.token.type == "COLON" and e[1].type == "ASSIGN")
    if not (sign or e.token.text in VERBS) or e.accepts != {"ASSIGN"}:
        return None
    if e.at != e.first + 1 or did_you_mean(e.head.text, STATEMENT_WORDS):
        return None
    value = e.rest()
    while value[:1] in {":", "="}:  # `:=` and `==` of other languages
        value = value[1:].lstrip()
    return e.report(
        "TTS120",
        f"unexpected `{e.token.text}`",
        f"write `{e.head.text} = {value}`" if value else None,
        expected=("`=`",),
    )


def _foreign_comment(e: ErrorContext) -> Diagnostic | None:
    marks = {("SLASH", "SLASH"), ("SLASH", "STAR"), ("SLASH", "POWER"), ("MINUS", "MINUS")}
    if e.at == e.first and (e.token.type, e[1].type) in marks:
        sign = e.text(e.token, e[1])
        return e.report("TTS120", f"unexpected `{sign}`", "comments begin with `#`")
    return None


def _double_slash(e: ErrorContext) -> Diagnostic | None:
    """`n // width`, and `pool = sample n  // a comment`."""
    if (e.before.type, e.token.type) != ("SLASH", "SLASH") or e.before.end != e.token.start:
        return None
    return e.report(
        "TTS120",
        "there is no `//`",
        "write a whole quotient as `floor(A / B)`; comments begin with `#`",
        span=e.before.span.to(e.token.span),
    )


def _single_equals(e: ErrorContext) -> Diagnostic | None:
    if e.token.type == "ASSIGN" and "EQ" in e.accepts and e.at > e.first + 1:
        return e.report("TTS122", "`=` gives a name a value", "write `==` to compare")
    return None


def _quoted_name(e: ErrorContext) -> Diagnostic | None:
    """`score pool by "prm"`."""
    name = e.token.text[1:-1]
    if e.token.type != "STRING" or not name.isidentifier() or not name.isascii():
        return None
    if "NAME" in e.accepts and "STRING" not in e.accepts:
        return e.report(
            "TTS120",
            f"unexpected `{e.token.text}`",
            f"names have no quotes: write `{name}`",
            expected=("a name",),
        )
    return None


def _hyphen_in_name(e: ErrorContext) -> Diagnostic | None:
    """`strategy my-strategy():`."""
    if e.token.type != "MINUS" or not e.top_level or e.at != e.first + 2:
        return None
    return e.report(
        "TTS120",
        "unexpected `-`",
        f"names are made of letters, digits and `_`: {e.before.text}_{e[1].text}",
    )


def _arrow(e: ErrorContext) -> Diagnostic | None:
    """`strategy s() -> answer:`."""
    if e.head.type == "STRATEGY" and e.token.type == "MINUS" and e[1].type == "GT":
        return e.report("TTS120", "unexpected `->`", "write `:`; every strategy gives an answer")
    return None


def _prompt_with_colon(e: ErrorContext) -> Diagnostic | None:
    if e.head.type == "PROMPT" and e.token.type == "COLON" and "ASSIGN" in e.accepts:
        written = e.text(e.head, e.before)
        return e.report("TTS120", "unexpected `:`", f'write `{written} = "..."`', expected=("`=`",))
    return None


def _import_form(e: ErrorContext) -> Diagnostic | None:
    """`import majority`, and `from "majority.tts" import majority`."""
    if e.head.type == "IMPORT" and e.at == e.first + 1 and e.token.text.isidentifier():
        name = e.token.text
    elif e.top_level and e.at == e.first and e.token.type == "FROM":
        name = e[1].text.strip('"').removesuffix(".tts")
    else:
        return None
    return e.report(
        "TTS120",
        f"unexpected `{e.token.text}`",
        f'write `import "{name}.tts"`: it brings all that the file declares',
    )


def _several_targets(e: ErrorContext) -> Diagnostic | None:
    """`a, b = ...`."""
    later = e.tokens[e.at : e.at + 3]
    if e.at == e.first + 1 and [t.type for t in later] == ["COMMA", "NAME", "ASSIGN"]:
        return e.report("TTS120", "one name gets a value at a time", "write one `=` a line")
    return None


FOREIGN_SYNTAX: tuple[Callable[[ErrorContext], Diagnostic | None], ...] = (
    _foreign_word,
    _missing_equals,
    _foreign_comment,
    _double_slash,
    _single_equals,
    _quoted_name,
    _hyphen_in_name,
    _arrow,
    _prompt_with_colon,
    _import_form,
    _several_targets,
)
