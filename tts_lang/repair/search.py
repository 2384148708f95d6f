"""Lines that parse after a few words are put, replaced or left out where they stop to parse.

The parser's own state says what may follow. Only small words change (`repair.words`), and words
that are spelled like one that may stand there; the fewest changes come first.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import count
from typing import TYPE_CHECKING, Any

from lark.exceptions import UnexpectedToken

from tts_lang.diagnostics import suggest
from tts_lang.repair.words import CONNECTIVES, SUPERFLUOUS, WRONG_CONNECTIVES
from tts_lang.source import Source
from tts_lang.syntax.grammar import lark_parser
from tts_lang.syntax.tokens import Token, tokenize
from tts_lang.syntax.words import TERMINALS

if TYPE_CHECKING:
    import lark

MOST_EDITS = 3
MOST_STATES = 150
_LAYOUT = frozenset({"NL", "INDENT", "DEDENT", "$END"})
_HEAD = "strategy s():\n    x = y\n"


@dataclass(frozen=True, slots=True)
class SearchState:
    """A line that is parsed up to a word; `before` has the parser in front of each word so far."""

    words: tuple[Token, ...]
    place: int
    before: tuple[Any, ...]
    cost: float
    edits: int


def _lark(token: Token) -> lark.Token:
    import lark

    return lark.Token(token.type, token.text, start_pos=token.start, end_pos=token.end)


@cache
def _start(*, inside: bool) -> Any:
    """The parser at the beginning of a statement, or of a file."""
    parser = lark_parser().parse_interactive()
    if inside:
        for token in tokenize(Source.of(_HEAD)).tokens:
            if token.type in {"DEDENT", "$END"}:
                break
            parser.feed_token(_lark(token))
    return parser


def _fed(parser: Any, token: Token) -> Any:
    """A copy of a parser after a word, or `None`."""
    if token.type not in parser.choices():
        return None
    copied = parser.copy(deepcopy_values=False)
    try:
        copied.feed_token(_lark(token))
    except UnexpectedToken:
        return None
    return copied


def _words(text: str) -> tuple[Token, ...]:
    return tuple(each for each in tokenize(Source.of(text)).tokens if each.type not in _LAYOUT)


@cache
def _connectives() -> tuple[tuple[str, tuple[Token, ...]], ...]:
    return tuple((word, _words(word)) for word in CONNECTIVES)


def edited(code: str, names: Collection[str], *, inside: bool) -> Iterator[tuple[str, float]]:
    """Lines with their costs that parse alone, the cheaper ones first.

    Args:
        code: Without its indentation and comment.
        names: Names in scope, which are not taken for misspelled words.
        inside: It stands in a strategy.
    """
    order = count()
    waiting = [(0.0, next(order), SearchState(_words(code), 0, (_start(inside=inside),), 0, 0))]
    seen = {code}
    for _ in range(MOST_STATES):
        if not waiting:
            return
        _, _, state = heapq.heappop(waiting)
        state, ended = _advanced(state)
        if ended:
            text = _text(state.words, code)
            if state.edits:
                yield text, state.cost
            continue
        if state.edits >= MOST_EDITS:
            continue
        for new in _changes(state, names):
            text = _text(new.words, code)
            if text not in seen:
                seen.add(text)
                heapq.heappush(waiting, (new.cost, next(order), new))


def _advanced(state: SearchState) -> tuple[SearchState, bool]:
    """The state where the line does not parse, and whether it parses to its end."""
    place, before = state.place, list(state.before)
    while place < len(state.words):
        parser = _fed(before[-1], state.words[place])
        if parser is None:
            break
        before.append(parser)
        place += 1
    moved = SearchState(state.words, place, tuple(before), state.cost, state.edits)
    if place < len(state.words) or not place:
        return moved, False
    return moved, "NL" in before[-1].choices() and _fed(
        before[-1], Token("NL", "", 0, 0)
    ) is not None


def _changes(state: SearchState, names: Collection[str]) -> Iterator[SearchState]:
    words, place = state.words, state.place
    for near in (place, place - 1):
        if not 0 <= near < len(words):
            continue
        word = words[near]
        text = word.text.lower()
        behind = 0.2 * (near < place)
        if text in WRONG_CONNECTIVES:
            for other, tokens in _connectives():
                if other != text:
                    yield from _changed(state, near, 1, tokens, 0.8 + behind)
        needless = text in SUPERFLUOUS and word.text not in names  # `a` may be a scorer
        if needless or (word.type == "ERROR" and text in ".;,@$[]{}"):
            yield from _changed(state, near, 1, (), 0.8 + behind)
        unknown = word.text not in names and word.text not in TERMINALS
        if unknown and text.isidentifier() and len(text) > 2:
            allowed = [w for w, t in TERMINALS.items() if t in state.before[near].choices()]
            close = suggest(word.text, allowed)
            if close is not None and close != word.text:
                yield from _changed(state, near, 1, _words(close), 0.6 + behind)
    for _, tokens in _connectives():
        yield from _changed(state, place, 0, tokens, 1)
    if "RPAR" in state.before[-1].choices():
        yield from _changed(state, place, 0, _words(")"), 1)


def _changed(
    state: SearchState, at: int, removed: int, tokens: Sequence[Token], cost: float
) -> Iterator[SearchState]:
    """The state with some words in place of others, if the parser continues behind them."""
    before = list(state.before[: at + 1])
    for token in tokens:
        parser = _fed(before[-1], token)
        if parser is None:
            return
        before.append(parser)
    after = state.words[at + removed :]
    words = (*state.words[:at], *tokens, *after)
    yield SearchState(words, at + len(tokens), tuple(before), state.cost + cost, state.edits + 1)


def _text(words: Sequence[Token], code: str) -> str:
    """Words as a line: with the blanks that they had, where they stood beside each other."""
    parts: list[str] = []
    last: Token | None = None
    for word in words:
        unchanged = code[word.start : word.end] == word.text
        if last is not None:
            together = (
                unchanged and last.end <= word.start and code[last.start : last.end] == last.text
            )
            blank = code[last.end : word.start] if together else " "
            if blank.strip():
                blank = " "
            if not together and (word.text in {":", ",", ")"} or last.text == "("):
                blank = ""
            parts.append(blank or ("" if together else blank))
        parts.append(word.text)
        last = word
    return "".join(parts)
