"""What to say to habits from other languages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tts_lang.diagnostics import Diagnostic, did_you_mean
from tts_lang.syntax.mistake import Mistake
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


def _foreign_word(m: Mistake) -> Diagnostic | None:
    for token in (m.token, m.before):
        # `end` is a word of the language, in `end when`; on a line of its own it is a habit.
        foreign = token.type == "NAME" or (token.type == "END" and token is m.head)
        if foreign and token.text in _FOREIGN and token.start >= m.head.start:
            return m.report(
                "TTS123",
                f"there is no `{token.text}` in this language",
                _FOREIGN[token.text],
                span=token.span,
            )
    return None


def _missing_equals(m: Mistake) -> Diagnostic | None:
    sign = m.token.type == "EQ" or (m.token.type == "COLON" and m[1].type == "ASSIGN")
    if not (sign or m.token.text in VERBS) or m.accepts != {"ASSIGN"}:
        return None
    if m.at != m.first + 1 or did_you_mean(m.head.text, STATEMENT_WORDS):
        return None
    value = m.rest()
    while value[:1] in {":", "="}:  # `:=` and `==` of other languages
        value = value[1:].lstrip()
    return m.report(
        "TTS120",
        f"unexpected `{m.token.text}`",
        f"write `{m.head.text} = {value}`" if value else None,
        expected=("`=`",),
    )


def _foreign_comment(m: Mistake) -> Diagnostic | None:
    marks = {("SLASH", "SLASH"), ("SLASH", "STAR"), ("SLASH", "POWER"), ("MINUS", "MINUS")}
    if m.at == m.first and (m.token.type, m[1].type) in marks:
        sign = m.text(m.token, m[1])
        return m.report("TTS120", f"unexpected `{sign}`", "comments begin with `#`")
    return None


def _single_equals(m: Mistake) -> Diagnostic | None:
    if m.token.type == "ASSIGN" and "EQ" in m.accepts and m.at > m.first + 1:
        return m.report("TTS122", "`=` gives a name a value", "write `==` to compare")
    return None


def _quoted_name(m: Mistake) -> Diagnostic | None:
    """`score pool by "prm"`."""
    name = m.token.text[1:-1]
    if m.token.type != "STRING" or not name.isidentifier() or not name.isascii():
        return None
    if "NAME" in m.accepts and "STRING" not in m.accepts:
        return m.report(
            "TTS120",
            f"unexpected `{m.token.text}`",
            f"names have no quotes: write `{name}`",
            expected=("a name",),
        )
    return None


def _hyphen_in_name(m: Mistake) -> Diagnostic | None:
    """`strategy my-strategy():`."""
    if m.token.type != "MINUS" or not m.top_level or m.at != m.first + 2:
        return None
    return m.report(
        "TTS120",
        "unexpected `-`",
        f"names are made of letters, digits and `_`: {m.before.text}_{m[1].text}",
    )


def _arrow(m: Mistake) -> Diagnostic | None:
    """`strategy s() -> answer:`."""
    if m.head.type == "STRATEGY" and m.token.type == "MINUS" and m[1].type == "GT":
        return m.report("TTS120", "unexpected `->`", "write `:`; every strategy gives an answer")
    return None


def _prompt_with_colon(m: Mistake) -> Diagnostic | None:
    if m.head.type == "PROMPT" and m.token.type == "COLON" and "ASSIGN" in m.accepts:
        written = m.text(m.head, m.before)
        return m.report("TTS120", "unexpected `:`", f'write `{written} = "..."`', expected=("`=`",))
    return None


def _import_form(m: Mistake) -> Diagnostic | None:
    """`import majority`, and `from "majority.tts" import majority`."""
    if m.head.type == "IMPORT" and m.at == m.first + 1 and m.token.text.isidentifier():
        name = m.token.text
    elif m.top_level and m.at == m.first and m.token.type == "FROM":
        name = m[1].text.strip('"').removesuffix(".tts")
    else:
        return None
    return m.report(
        "TTS120",
        f"unexpected `{m.token.text}`",
        f'write `import "{name}.tts"`: it brings all that the file declares',
    )


def _several_targets(m: Mistake) -> Diagnostic | None:
    """`a, b = ...`."""
    later = m.tokens[m.at : m.at + 3]
    if m.at == m.first + 1 and [t.type for t in later] == ["COMMA", "NAME", "ASSIGN"]:
        return m.report("TTS120", "one name gets a value at a time", "write one `=` a line")
    return None


HABITS: tuple[Callable[[Mistake], Diagnostic | None], ...] = (
    _foreign_word,
    _missing_equals,
    _foreign_comment,
    _single_equals,
    _quoted_name,
    _hyphen_in_name,
    _arrow,
    _prompt_with_colon,
    _import_form,
    _several_targets,
)
