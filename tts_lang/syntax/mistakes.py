"""What to say about a token that does not fit: messages for typical mistakes, and a general one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tts_lang.diagnostics import Diagnostic, did_you_mean, error
from tts_lang.source import Source, Span
from tts_lang.syntax.words import (
    HARD_WORDS,
    ITEM_WORDS,
    SOFT_WORDS,
    SPELLINGS,
    STATEMENT_WORDS,
    TERMINALS,
    UNIT_WORDS,
    VERBS,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tts_lang.syntax.tokens import Token


@dataclass(slots=True)
class Mistake:
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
            span or _visible(self),
            self.source,
            expected=expected,
            suggestion=suggestion,
            notes=notes,
        )


def explain(mistake: Mistake) -> Diagnostic:
    """The diagnostic of a syntax error: the first typical mistake that matches, or general."""
    for known in KNOWN:
        found = known(mistake)
        if found is not None:
            return found
    return _general(mistake)


def _visible(mistake: Mistake) -> Span:
    """Layout tokens are empty: point behind the last word instead."""
    token = mistake.token
    if token.end > token.start:
        return token.span
    return Span(token.end, token.end + 1)


# ------------------------------------------------------------------------------ typical mistakes

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
    "end": "blocks are ended by their indentation",
    "using": "write `from NAME` for a policy, `by NAME` for a scorer",
}
_COMPARISONS = frozenset({"EQ", "NE", "LT", "LE", "GT", "GE"})
_HEADERS = frozenset({"REPEAT", "IF", "ELSE", "CHOOSE", "ABOVE", "OTHERWISE", "STRATEGY", "JUDGE"})
_HARD = frozenset(TERMINALS[word] for word in HARD_WORDS)
_SOFT = frozenset(TERMINALS[word] for word in SOFT_WORDS)
_UNITS = frozenset(UNIT_WORDS.values())


def _foreign_word(m: Mistake) -> Diagnostic | None:
    for token in (m.token, m.before):
        if token.type == "NAME" and token.text in _FOREIGN and token.start >= m.head.start:
            return m.report(
                "TTS123",
                f"there is no `{token.text}` in this language",
                _FOREIGN[token.text],
                span=token.span,
            )
    return None


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


def _single_equals(m: Mistake) -> Diagnostic | None:
    if m.token.type == "ASSIGN" and "EQ" in m.accepts and m.at > m.first + 1:
        return m.report("TTS122", "`=` gives a name a value", "write `==` to compare")
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
        written = f"at {m.token.text} {m[1].text}"
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
    _foreign_word,
    _let_without_pool,
    _reserved_name,
    _outside_strategy,
    _single_equals,
    _vote_by,
    _select_from,
    _repeat_times,
    _done_of_what,
    _comma_between_clauses,
    _stop_text,
    _of_after_call,
    _chained_comparison,
    _second_where,
    _value_alone,
    _misspelled_verb,
    _verb_needs_parentheses,
    _statement_as_value,
    _clause_words,
    _else_alone,
    _missing_block,
)

# ------------------------------------------------------------------------------ the general message

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


def _general(m: Mistake) -> Diagnostic:
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
