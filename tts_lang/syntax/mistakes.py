"""What to say about a token that does not fit: messages for typical mistakes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tts_lang.diagnostics import Diagnostic, did_you_mean
from tts_lang.source import Span
from tts_lang.syntax.habits import HABITS
from tts_lang.syntax.mistake import Mistake
from tts_lang.syntax.unexpected import unexpected
from tts_lang.syntax.words import (
    HARD_WORDS,
    ITEM_WORDS,
    SOFT_WORDS,
    STATEMENT_WORDS,
    TERMINALS,
    UNIT_WORDS,
    VERBS,
)

if TYPE_CHECKING:
    from collections.abc import Callable


def explain(mistake: Mistake) -> Diagnostic:
    """The diagnostic of a syntax error: the first typical mistake that matches, or general."""
    for known in KNOWN:
        found = known(mistake)
        if found is not None:
            return found
    return unexpected(mistake)


_COMPARISONS = frozenset({"EQ", "NE", "LT", "LE", "GT", "GE"})
_HEADERS = frozenset({"REPEAT", "IF", "ELSE", "CHOOSE", "ABOVE", "OTHERWISE", "STRATEGY", "JUDGE"})
_HARD = frozenset(TERMINALS[word] for word in HARD_WORDS)
_SOFT = frozenset(TERMINALS[word] for word in SOFT_WORDS)


def _let_without_pool(m: Mistake) -> Diagnostic | None:
    if m.head.type == "LET" and m.token.type == "ASSIGN" and m.at == m.first + 2:
        name = m.before.text
        return m.report(
            "TTS129",
            "`let` computes a column of a pool",
            f"write `{name} = {m[1].text} ...` for a variable, `let {name} of P = E` for a column",
            span=m.head.span.to(m.token.span),
            expected=("`of`",),
        )
    return None


def _reserved_name(m: Mistake) -> Diagnostic | None:
    token = m.token
    wants_name = "NAME" in m.accepts and "LPAR" not in m.accepts
    if m.at == m.first:
        wants_name = m[1].type == "ASSIGN"
    if token.type in _HARD and wants_name:
        return m.report(
            "TTS140",
            f"`{token.text}` is a word of the language and cannot be a name",
            f"choose another name, such as `{token.text}_`",
        )
    return None


def _vote_by(m: Mistake) -> Diagnostic | None:
    if m.token.type == "BY" and "WEIGHTED" in m.accepts and "ON" in m.accepts:
        return m.report(
            "TTS125",
            "a vote counts answers; `by` alone does not say how",
            f"write `weighted {m.rest()}` to weigh the votes, `on KEY` to vote on a column",
        )
    return None


def _select_from(m: Mistake) -> Diagnostic | None:
    if m.token.type in {"FROM", "IN"} and "OF" in m.accepts:
        return m.report("TTS126", "rows are taken `of` a pool", f"write `of {m[1].text}`")
    return None


def _select_what(m: Mistake) -> Diagnostic | None:
    if m.before.type == "SELECT" and m.accepts == {"TOP"}:
        written = f"select top {m.rest()}"
        if m[1].type == "OF" and "by" not in m.rest().split():
            written += " by E"
        return m.report("TTS120", f"unexpected `{m.token.text}`", f"write `{written}`")
    return None


def _best_by_what(m: Mistake) -> Diagnostic | None:
    if m.token.type in {"NL", "RPAR"} and "BY" in m.accepts and "BEST" in {t.type for t in m.line}:
        return m.report(
            "TTS120",
            "`best` needs to know by what",
            "write `best of P by E`; the most frequent answer is `vote P`",
            expected=("`by`",),
        )
    return None


def _best_of(m: Mistake) -> Diagnostic | None:
    if m.before.type == "BEST" and "OF" in m.accepts:
        written = f"write `best of {m.rest()}`"
        return m.report("TTS120", f"unexpected `{m.token.text}`", written, expected=("`of`",))
    return None


def _score_by(m: Mistake) -> Diagnostic | None:
    if m.head.type == "SCORE" and "BY" in m.accepts and m.token.text in {"with", "from", "on"}:
        return m.report(
            "TTS120",
            f"unexpected `{m.token.text}`",
            f"write `by {m[1].text}`",
            expected=("`by`",),
        )
    return None


def _return_what(m: Mistake) -> Diagnostic | None:
    if m.before.type == "RETURN" and m.token.type == "NL":
        return m.report(
            "TTS120", "a strategy returns an answer", "write `return vote P`, or another pool"
        )
    return None


def _limit_order(m: Mistake) -> Diagnostic | None:
    if m[-2].type in {"MAX", "WITHIN"} and m.before.text in UNIT_WORDS:
        written = f"{m[-2].text} {m.token.text} {m.before.text}"
        return m.report("TTS120", f"unexpected `{m.token.text}`", f"write `{written}`")
    return None


def _verb_that_is_none(m: Mistake) -> Diagnostic | None:
    """`return majority pool`: a strategy is called, only verbs stand before their pool."""
    words = [m[-2].type in {"RETURN", "ASSIGN"}, m.before.type == "NAME", m.token.type == "NAME"]
    below = "\n" in m.source.text[m.before.end : m.token.start]
    if not all(words) or m.top_level or below:
        return None
    name = m.before.text
    if did_you_mean(name, VERBS):
        return None
    return m.report(
        "TTS120", f"`{name}` is no verb", f"call a strategy as `{name}(...)`", span=m.before.span
    )


def _judge_block(m: Mistake) -> Diagnostic | None:
    if m.head.type == "JUDGE" and m.before.type == "COLON" and m.token.type in {"STRING", "TEXT"}:
        return m.report(
            "TTS120",
            "what a judge is asked stands in a block",
            "write it on lines of its own, then `read number from 0 to 10`",
            expected=("the end of the line",),
        )
    return None


def _repeat_without_bound(m: Mistake) -> Diagnostic | None:
    if m.before.type == "REPEAT" and m.token.type in {"UNTIL", "COLON"}:
        return m.report(
            "TTS120",
            "every loop has a bound",
            f"write `repeat N {m.rest()}`" if m.token.type == "UNTIL" else "write `repeat N:`",
        )
    return None


def _law_form(m: Mistake) -> Diagnostic | None:
    compared = any(token.type == "EQ" for token in m.line)
    early = m.token.type in {"COLON", "NL"} or "EQ" in m.accepts
    if m.head.type == "LAW" and m.at > m.first and early and not compared:
        return m.report(
            "TTS120",
            f"unexpected `{m.token.text}`" if m.token.text else "a law compares two strategies",
            "write `law A(...) == B(...)`, with two strategies of this file",
            expected=("`==`",),
        )
    return None


def _repeat_times(m: Mistake) -> Diagnostic | None:
    if m.head.type == "REPEAT" and m.token.type == "TIMES":
        return m.report(
            "TTS127", "`repeat` takes the number alone", f"write `repeat {m.before.text}:`"
        )
    return None


def _done_of_what(m: Mistake) -> Diagnostic | None:
    if m.before.type == "DONE" and m[-2].type in {"ALL", "ANY"}:
        word = m[-2].text
        return m.report(
            "TTS128",
            f"`{word}` of which pool?",
            f"name the pool: `{word} beams done`",
            span=m[-2].span.to(m.before.span),
        )
    return None


def _comma_between_clauses(m: Mistake) -> Diagnostic | None:
    if m.token.type == "COMMA" and m[1].type in _HARD | _SOFT | {"NAME"}:
        return m.report(
            "TTS131", "clauses are written one after the other, without commas", "remove the comma"
        )
    return None


def _force_order(m: Mistake) -> Diagnostic | None:
    if m.head.type == "FORCE" and "INTO" in m.accepts:
        if m.token.text in {"in", "to", "on"}:
            return m.report("TTS132", "text is forced `into` a pool", f"write `into {m[1].text}`")
        if m.tokens[m.first + 1].type in {"STRING", "TEXT"}:
            return None
        target = m.text(m.tokens[m.first + 1], m.before) if m.at > m.first + 1 else "P"
        return m.report("TTS132", "the text comes first", f"write `force {m.rest()} into {target}`")
    return None


def _stop_text(m: Mistake) -> Diagnostic | None:
    if m.before.type == "STOP" and "AT" in m.accepts:
        return m.report(
            "TTS133",
            "`stop` needs to say at what",
            f"write `stop at {m.token.text}`, or `stop when CONDITION`",
            expected=("`at`", "`when`"),
        )
    return None


def _end_at(m: Mistake) -> Diagnostic | None:
    if m.before.type == "END" and m.accepts == {"WHEN"}:
        return m.report(
            "TTS133",
            "`end` needs to say when",
            "write `end when CONDITION`, which closes the candidate; `stop at TEXT` leaves it open",
            expected=("`when`",),
        )
    return None


def _fresh_what(m: Mistake) -> Diagnostic | None:
    """`fresh sample 4`, and `fresh majority` without parentheses."""
    help_ = None
    if m.before.type == "FRESH" and m.token.text in VERBS:
        help_ = f"`{m.token.text}` needs no `fresh`: leave it out"
    elif m[-2].type == "FRESH" and m.before.type == "NAME" and m.accepts == {"LPAR"}:
        help_ = f"write `fresh {m.before.text}(...)`"
    if help_ is None:
        return None
    return m.report("TTS120", "`fresh` stands before a call of a strategy", help_)


def _of_after_call(m: Mistake) -> Diagnostic | None:
    if m.token.type == "OF" and m.before.type == "RPAR":
        return m.report(
            "TTS134",
            "a function over a pool holds the pool inside its parentheses",
            f"write `mean(E of {m[1].text})`",
        )
    return None


def _chained_comparison(m: Mistake) -> Diagnostic | None:
    if m.token.type in _COMPARISONS and any(t.type in _COMPARISONS for t in m.line):
        return m.report("TTS135", "comparisons do not chain", "join two of them with `and`")
    return None


def _second_where(m: Mistake) -> Diagnostic | None:
    if m.token.type == "WHERE" and any(t.type == "WHERE" for t in m.line):
        return m.report(
            "TTS142", "one `where` takes one condition", "join the conditions with `and`"
        )
    return None


def _value_alone(m: Mistake) -> Diagnostic | None:
    at_head = m.at == m.first and m.token.text in VERBS
    call = m.at == m.first + 1 and m.token.type == "LPAR" and m.head.type == "NAME"
    soft = m.at == m.first + 1 and m.head.text in VERBS and m.token.type not in {"ASSIGN"}
    if (at_head or call or soft) and not m.top_level:
        return m.report(
            "TTS136",
            f"`{m.head.text}` gives a value that nobody keeps",
            f"write `NAME = {m.head.text} ...` or `return {m.head.text} ...`",
            span=m.head.span,
        )
    return None


def _misspelled_verb(m: Mistake) -> Diagnostic | None:
    """`vot (sample n)` reads like a call, whose argument would have to be a value."""
    called = m.before.type == "LPAR" and m.at >= m.first + 2 and m[-2].type == "NAME"
    if not called or m.token.text not in VERBS:
        return None
    hint = did_you_mean(m[-2].text, VERBS)
    if hint is None:
        return None
    return m.report("TTS120", f"unexpected `{m[-2].text}`", hint, span=m[-2].span)


def _verb_needs_parentheses(m: Mistake) -> Diagnostic | None:
    if m.token.text in VERBS and m.token.type in _HARD and "LPAR" in m.accepts:
        return m.report(
            "TTS124",
            f"`{m.token.text}` stands alone after `=` or `return`, elsewhere in parentheses",
            f"write `({m.token.text} ...)`",
        )
    return None


def _statement_as_value(m: Mistake) -> Diagnostic | None:
    if m.token.text in STATEMENT_WORDS and m.token.type in _HARD and "LPAR" in m.accepts:
        return m.report(
            "TTS137",
            f"`{m.token.text}` is a statement and has no value",
            f"give `{m.token.text}` a line of its own",
        )
    return None


def _clause_words(m: Mistake) -> Diagnostic | None:
    if m.token.type == "TEMPERATURE" and "AT" in m.accepts:
        value = m[2] if m[1].type == "ASSIGN" else m[1]
        written = f"at {m.token.text} {value.text}"
        return m.report("TTS120", f"unexpected `{m.token.text}`", f"write `{written}`")
    clauses = {"TEMPERATURE", "TOP_P", "TOP_K", "MIN_P", "MAX", "WITHIN"}
    if m.token.type == "ASSIGN" and m.before.type in clauses and m.at > m.first + 1:
        written = f"{m.before.text} {m[1].text}"
        return m.report("TTS120", "unexpected `=`", f"clauses have no `=`: write `{written}`")
    return None


def _else_alone(m: Mistake) -> Diagnostic | None:
    if m.token.type == "ELSE" and m.at == m.first:
        return m.report(
            "TTS144", "this `else` belongs to no `if`", "indent it like the `if` above its block"
        )
    return None


def _outside_strategy(m: Mistake) -> Diagnostic | None:
    statement = m.token.text in STATEMENT_WORDS | VERBS and m.at == m.first
    assignment = (m.token.type == "ASSIGN" and m.at == m.first + 1) or m[1].type == "ASSIGN"
    if m.top_level and (statement or (assignment and m.at <= m.first + 1)):
        return m.report(
            "TTS145",
            "statements stand inside a strategy",
            "write `strategy NAME():` and indent its statements below",
            expected=tuple(f"`{word}`" for word in sorted(ITEM_WORDS)),
        )
    return None


def _missing_block(m: Mistake) -> Diagnostic | None:
    if m.accepts == {"INDENT"} or (m.token.type == "DEDENT" and "RETURN" in m.accepts):
        return m.report(
            "TTS143",
            "a block is missing here",
            "indent at least one statement below",
            expected=("an indented block",),
        )
    return None


def _missing_colon(m: Mistake) -> Diagnostic | None:
    if "COLON" not in m.accepts or m.head.type not in _HEADERS:
        return None
    previous, line = (m.source.position(t.start).line for t in (m.before, m.token))
    if m.token.type == "NL" or line > previous:
        return m.report(
            "TTS121",
            "a `:` is missing at the end of this line",
            "add `:`",
            span=Span(m.before.end, m.before.end + 1),
            expected=("`:`",),
        )
    return None


def _else_in_choose(m: Mistake) -> Diagnostic | None:
    if m.token.type == "ELSE" and "OTHERWISE" in m.accepts and "NAME" not in m.accepts:
        return m.report("TTS144", "this `else` belongs to no `if`", "write `otherwise:`")
    return None


KNOWN: tuple[Callable[[Mistake], Diagnostic | None], ...] = (
    _else_in_choose,
    _missing_colon,
    _force_order,
    *HABITS,
    _let_without_pool,
    _reserved_name,
    _outside_strategy,
    _vote_by,
    _select_from,
    _select_what,
    _best_by_what,
    _best_of,
    _score_by,
    _return_what,
    _limit_order,
    _judge_block,
    _repeat_without_bound,
    _law_form,
    _repeat_times,
    _done_of_what,
    _comma_between_clauses,
    _stop_text,
    _end_at,
    _fresh_what,
    _of_after_call,
    _chained_comparison,
    _second_where,
    _value_alone,
    _misspelled_verb,
    _verb_that_is_none,
    _verb_needs_parentheses,
    _statement_as_value,
    _clause_words,
    _else_alone,
    _missing_block,
)
