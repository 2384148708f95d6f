"""Messages for typical mistakes, by the token that does not fit."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from tts_lang.diagnostics import Diagnostic, did_you_mean
from tts_lang.source import Span
from tts_lang.syntax.foreign_syntax import FOREIGN_SYNTAX
from tts_lang.syntax.unexpected import ErrorContext, unexpected
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


def explain(mistake: ErrorContext) -> Diagnostic:
    """The diagnostic of a syntax error: the first typical mistake that matches, or general."""
    for explained in KNOWN:
        diagnostic = explained(mistake)
        if diagnostic is not None:
            return diagnostic
    return unexpected(mistake)


_COMPARISONS = frozenset({"EQ", "NE", "LT", "LE", "GT", "GE"})
_HEADERS = frozenset({"REPEAT", "IF", "ELSE", "CHOOSE", "ABOVE", "OTHERWISE", "STRATEGY", "JUDGE"})
_HARD = frozenset(TERMINALS[word] for word in HARD_WORDS)
_SOFT = frozenset(TERMINALS[word] for word in SOFT_WORDS)


def _let_without_pool(e: ErrorContext) -> Diagnostic | None:
    if e.head.type == "LET" and e.token.type == "ASSIGN" and e.at == e.first + 2:
        name = e.before.text
        return e.report(
            "TTS129",
            "`let` computes a column of a pool",
            f"write `{name} {e.rest()}` for a variable; `let {name} of P = E` for a column",
            span=e.head.span.to(e.token.span),
            expected=("`of`",),
        )
    return None


def _reserved_name(e: ErrorContext) -> Diagnostic | None:
    token = e.token
    wants_name = "NAME" in e.accepts and "LPAR" not in e.accepts
    if e.at == e.first:
        wants_name = e[1].type == "ASSIGN"
    if token.type in _HARD and wants_name:
        return e.report(
            "TTS140",
            f"`{token.text}` is a word of the language and cannot be a name",
            f"choose another name, such as `{token.text}_`",
        )
    return None


def _vote_by(e: ErrorContext) -> Diagnostic | None:
    voted = any(token.type == "VOTE" for token in e.line)
    if voted and e.token.type == "BY" and "WEIGHTED" in e.accepts and "ON" in e.accepts:
        weight = "by E" if "," in e.rest() else e.rest()  # one number
        return e.report(
            "TTS125",
            "a vote counts answers; `by` alone does not say how",
            f"write `weighted {weight}` to weigh the votes, `on KEY` to vote on a column",
        )
    return None


def _select_from(e: ErrorContext) -> Diagnostic | None:
    if e.token.type in {"FROM", "IN"} and "OF" in e.accepts:
        return e.report("TTS126", "rows are taken `of` a pool", f"write `of {e[1].text}`")
    return None


def _select_what(e: ErrorContext) -> Diagnostic | None:
    if e.before.type == "SELECT" and e.accepts == {"TOP"}:
        written = f"select top {e.rest()}"
        if e[1].type == "OF" and "by" not in e.rest().split():
            written += " by E"
        return e.report("TTS120", f"unexpected `{e.token.text}`", f"write `{written}`")
    return None


def _best_by_what(e: ErrorContext) -> Diagnostic | None:
    best = next((token for token in e.line if token.type == "BEST"), None)
    if e.token.type in {"NL", "RPAR"} and "BY" in e.accepts and best is not None:
        return e.report(
            "TTS120",
            "`best` needs to know by what",
            f"write `{e.text(best, e.before)} by E`; the most frequent answer is `vote P`",
            expected=("`by`",),
        )
    return None


def _best_of(e: ErrorContext) -> Diagnostic | None:
    if e.before.type == "BEST" and "OF" in e.accepts:
        written = f"write `best of {e.rest()}`"
        return e.report("TTS120", f"unexpected `{e.token.text}`", written, expected=("`of`",))
    return None


def _score_by(e: ErrorContext) -> Diagnostic | None:
    if e.head.type == "SCORE" and "BY" in e.accepts and e.token.text in {"with", "from", "on"}:
        return e.report(
            "TTS120",
            f"unexpected `{e.token.text}`",
            f"write `by {e[1].text}`",
            expected=("`by`",),
        )
    return None


def _return_what(e: ErrorContext) -> Diagnostic | None:
    if e.before.type == "RETURN" and e.token.type == "NL":
        return e.report(
            "TTS120", "a strategy returns an answer", "write `return vote P`, or another pool"
        )
    return None


def _limit_order(e: ErrorContext) -> Diagnostic | None:
    if e[-2].type in {"MAX", "WITHIN"} and e.before.text in UNIT_WORDS:
        written = f"{e[-2].text} {e.token.text} {e.before.text}"
        return e.report("TTS120", f"unexpected `{e.token.text}`", f"write `{written}`")
    return None


def _verb_that_is_none(e: ErrorContext) -> Diagnostic | None:
    """`return majority pool`: a strategy is called, only verbs stand before their pool."""
    words = [e[-2].type in {"RETURN", "ASSIGN"}, e.before.type == "NAME", e.token.type == "NAME"]
    below = "\n" in e.source.text[e.before.end : e.token.start]
    if not all(words) or e.top_level or below:
        return None
    name = e.before.text
    assigned = any(
        token.text == name and after.type == "ASSIGN"
        for token, after in pairwise(e.tokens[: e.first])
    )
    if assigned or did_you_mean(name, VERBS):
        return None
    return e.report(
        "TTS120", f"`{name}` is no verb", f"call a strategy as `{name}(...)`", span=e.before.span
    )


def _judge_block(e: ErrorContext) -> Diagnostic | None:
    if e.head.type == "JUDGE" and e.before.type == "COLON" and e.token.type in {"STRING", "TEXT"}:
        return e.report(
            "TTS120",
            "what a judge is asked stands in a block",
            "write it on lines of its own, then `read number from 0 to 10`",
            expected=("the end of the line",),
        )
    return None


def _repeat_without_bound(e: ErrorContext) -> Diagnostic | None:
    if e.before.type == "REPEAT" and e.token.type in {"UNTIL", "COLON"}:
        return e.report(
            "TTS120",
            "every loop has a bound",
            f"write `repeat N {e.rest()}`" if e.token.type == "UNTIL" else "write `repeat N:`",
        )
    return None


def _law_form(e: ErrorContext) -> Diagnostic | None:
    compared = any(token.type == "EQ" for token in e.line)
    early = e.token.type in {"COLON", "NL"} or "EQ" in e.accepts
    if e.head.type == "LAW" and e.at > e.first and early and not compared:
        return e.report(
            "TTS120",
            f"unexpected `{e.token.text}`" if e.token.text else "a law compares two strategies",
            "write `law A(...) == B(...)`, with two strategies of this file",
            expected=("`==`",),
        )
    return None


def _repeat_times(e: ErrorContext) -> Diagnostic | None:
    if e.head.type == "REPEAT" and e.token.type == "TIMES" and e.at > e.first + 1:
        count = e.text(e.tokens[e.first + 1], e.before)
        rest = e.rest().removeprefix(e.token.text).lstrip(" ,")
        until = f" {rest}" if rest.startswith("until ") and rest.endswith(":") else ":"
        return e.report(
            "TTS127", "`repeat` takes the number alone", f"write `repeat {count}{until}`"
        )
    return None


def _done_of_what(e: ErrorContext) -> Diagnostic | None:
    if e.before.type == "DONE" and e[-2].type in {"ALL", "ANY"}:
        word = e[-2].text
        return e.report(
            "TTS128",
            f"`{word}` of which pool?",
            f"name the pool: `{word} beams done`",
            span=e[-2].span.to(e.before.span),
        )
    return None


def _comma_between_clauses(e: ErrorContext) -> Diagnostic | None:
    if e.token.type == "COMMA" and e[1].type in _HARD | _SOFT | {"NAME"}:
        return e.report(
            "TTS131", "clauses are written one after the other, without commas", "remove the comma"
        )
    return None


def _force_order(e: ErrorContext) -> Diagnostic | None:
    if e.head.type == "FORCE" and "INTO" in e.accepts:
        if e.token.text in {"in", "to", "on"}:
            return e.report("TTS132", "text is forced `into` a pool", f"write `into {e[1].text}`")
        if e.tokens[e.first + 1].type in {"STRING", "TEXT"}:
            return None
        target = e.text(e.tokens[e.first + 1], e.before) if e.at > e.first + 1 else "P"
        return e.report("TTS132", "the text comes first", f"write `force {e.rest()} into {target}`")
    return None


def _stop_text(e: ErrorContext) -> Diagnostic | None:
    if e.before.type == "STOP" and "AT" in e.accepts:
        return e.report(
            "TTS133",
            "`stop` needs to say at what",
            f"write `stop at {e.token.text}`, or `stop when CONDITION`",
            expected=("`at`", "`when`"),
        )
    return None


def _end_at(e: ErrorContext) -> Diagnostic | None:
    if e.before.type == "END" and e.accepts == {"WHEN"}:
        return e.report(
            "TTS133",
            "`end` needs to say when",
            "write `end when CONDITION`, which closes the candidate; `stop at TEXT` leaves it open",
            expected=("`when`",),
        )
    return None


def _fresh_what(e: ErrorContext) -> Diagnostic | None:
    """`fresh sample 4`, and `fresh majority` without parentheses."""
    help_ = None
    if e.before.type == "FRESH" and e.token.text in VERBS:
        help_ = f"`{e.token.text}` needs no `fresh`: leave it out"
    elif e[-2].type == "FRESH" and e.before.type == "NAME" and e.accepts == {"LPAR"}:
        help_ = f"write `fresh {e.before.text}(...)`"
    if help_ is None:
        return None
    return e.report("TTS120", "`fresh` stands before a call of a strategy", help_)


def _of_after_call(e: ErrorContext) -> Diagnostic | None:
    if e.token.type == "OF" and e.before.type == "RPAR":
        return e.report(
            "TTS134",
            "a function over a pool holds the pool inside its parentheses",
            f"write `mean(E of {e[1].text})`",
        )
    return None


def _chained_comparison(e: ErrorContext) -> Diagnostic | None:
    if e.token.type in _COMPARISONS and any(t.type in _COMPARISONS for t in e.line):
        return e.report("TTS135", "comparisons do not chain", "join two of them with `and`")
    return None


def _second_where(e: ErrorContext) -> Diagnostic | None:
    if e.token.type == "WHERE" and any(t.type == "WHERE" for t in e.line):
        return e.report(
            "TTS142", "one `where` takes one condition", "join the conditions with `and`"
        )
    return None


def _value_alone(e: ErrorContext) -> Diagnostic | None:
    at_head = e.at == e.first and e.token.text in VERBS
    call = e.at == e.first + 1 and e.token.type == "LPAR" and e.head.type == "NAME"
    soft = e.at == e.first + 1 and e.head.text in VERBS and e.token.type not in {"ASSIGN"}
    if (at_head or call or soft) and not e.top_level:
        return e.report(
            "TTS136",
            f"`{e.head.text}` gives a value that is not used",
            f"write `NAME = {e.head.text} ...` or `return {e.head.text} ...`",
            span=e.head.span,
        )
    return None


def _misspelled_verb(e: ErrorContext) -> Diagnostic | None:
    """`vot (sample n)` reads like a call, whose argument would have to be a value."""
    called = e.before.type == "LPAR" and e.at >= e.first + 2 and e[-2].type == "NAME"
    if not called or e.token.text not in VERBS:
        return None
    hint = did_you_mean(e[-2].text, VERBS)
    if hint is None:
        return None
    return e.report("TTS120", f"unexpected `{e[-2].text}`", hint, span=e[-2].span)


def _verb_needs_parentheses(e: ErrorContext) -> Diagnostic | None:
    if e.token.text in VERBS and e.token.type in _HARD and "LPAR" in e.accepts:
        return e.report(
            "TTS124",
            f"`{e.token.text}` stands alone after `=` or `return`, elsewhere in parentheses",
            f"write `({e.token.text} ...)`",
        )
    return None


def _statement_as_value(e: ErrorContext) -> Diagnostic | None:
    if e.token.text in STATEMENT_WORDS and e.token.type in _HARD and "LPAR" in e.accepts:
        return e.report(
            "TTS137",
            f"`{e.token.text}` is a statement and has no value",
            f"give `{e.token.text}` a line of its own",
        )
    return None


def _clause_words(e: ErrorContext) -> Diagnostic | None:
    if e.token.type == "TEMPERATURE" and "AT" in e.accepts:
        value = e[2] if e[1].type == "ASSIGN" else e[1]
        written = f"at {e.token.text} {value.text}"
        return e.report("TTS120", f"unexpected `{e.token.text}`", f"write `{written}`")
    clauses = {"TEMPERATURE", "TOP_P", "TOP_K", "MIN_P", "MAX", "WITHIN"}
    if e.token.type == "ASSIGN" and e.before.type in clauses and e.at > e.first + 1:
        written = f"{e.before.text} {e[1].text}"
        return e.report("TTS120", "unexpected `=`", f"clauses have no `=`: write `{written}`")
    return None


def _else_alone(e: ErrorContext) -> Diagnostic | None:
    if e.token.type == "ELSE" and e.at == e.first:
        return e.report(
            "TTS144", "this `else` belongs to no `if`", "indent it like the `if` above its block"
        )
    return None


def _outside_strategy(e: ErrorContext) -> Diagnostic | None:
    statement = e.token.text in STATEMENT_WORDS | VERBS and e.at == e.first
    assignment = (e.token.type == "ASSIGN" and e.at == e.first + 1) or e[1].type == "ASSIGN"
    if e.top_level and (statement or (assignment and e.at <= e.first + 1)):
        return e.report(
            "TTS145",
            "statements stand inside a strategy",
            "write `strategy NAME():` and indent its statements below",
            expected=tuple(f"`{word}`" for word in sorted(ITEM_WORDS)),
        )
    return None


def _missing_block(e: ErrorContext) -> Diagnostic | None:
    if e.accepts == {"INDENT"} or (e.token.type == "DEDENT" and "RETURN" in e.accepts):
        return e.report(
            "TTS143",
            "a block is missing here",
            "indent at least one statement below",
            expected=("an indented block",),
        )
    return None


def _missing_colon(e: ErrorContext) -> Diagnostic | None:
    if "COLON" not in e.accepts or e.head.type not in _HEADERS:
        return None
    previous, line = (e.source.position(t.start).line for t in (e.before, e.token))
    if e.token.type == "NL" or line > previous:
        return e.report(
            "TTS121",
            "a `:` is missing at the end of this line",
            "add `:`",
            span=Span(e.before.end, e.before.end + 1),
            expected=("`:`",),
        )
    return None


def _else_in_choose(e: ErrorContext) -> Diagnostic | None:
    if e.token.type == "ELSE" and "OTHERWISE" in e.accepts and "NAME" not in e.accepts:
        return e.report("TTS144", "this `else` belongs to no `if`", "write `otherwise:`")
    return None


KNOWN: tuple[Callable[[ErrorContext], Diagnostic | None], ...] = (
    _else_in_choose,
    _missing_colon,
    _force_order,
    *FOREIGN_SYNTAX,
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
