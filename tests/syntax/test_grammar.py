"""The grammar has no conflicts, and every rule, word and terminal of it is known elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from lark import Lark
from lark.exceptions import GrammarError
from lark.lexer import Lexer

from tts_lang.syntax.build import LEAVES, LISTS
from tts_lang.syntax.builders import BUILDERS
from tts_lang.syntax.grammar import GRAMMAR_PATH, lark_parser
from tts_lang.syntax.words import HARD_WORDS, SOFT_WORDS, SPELLINGS, TERMINALS

if TYPE_CHECKING:
    from collections.abc import Iterator


class NoLexer(Lexer):
    """Strict mode would want to look into terminals, and ours come from tokens.py."""

    def __init__(self, lexer_conf: object) -> None:
        del lexer_conf

    def lex(self, lexer_state: object, parser_state: object) -> Iterator[object]:  # type: ignore[override]
        del lexer_state, parser_state
        return iter(())


def strict(grammar: str) -> Lark:
    return Lark(grammar, parser="lalr", lexer=NoLexer, strict=True, maybe_placeholders=False)


@pytest.fixture(scope="module")
def terminals() -> set[str]:
    symbols = {symbol for rule in lark_parser().rules for symbol in rule.expansion}
    return {symbol.name for symbol in symbols if symbol.is_term} | {"$END"}


def test_the_grammar_has_no_conflicts() -> None:
    strict(GRAMMAR_PATH.read_text("utf-8"))


def test_a_conflict_would_be_refused() -> None:
    with pytest.raises(GrammarError):
        strict("%declare A\nstart: x A | y A\nx: A\ny: A\n")


def test_every_rule_has_a_builder() -> None:
    named = {
        rule.alias or rule.origin.name
        for rule in lark_parser().rules
        # Lark puts the content of these into the rule around them.
        if not rule.origin.name.startswith("_")
        and not (rule.options.expand1 and len(rule.expansion) == 1 and not rule.alias)
    }
    assert named == set(BUILDERS) | LISTS
    assert set(BUILDERS) >= LEAVES


def test_every_terminal_can_be_named_in_a_message(terminals: set[str]) -> None:
    assert terminals - set(SPELLINGS) == {"BROKEN"}


def test_words_are_hard_or_soft_and_all_in_the_grammar(terminals: set[str]) -> None:
    assert not HARD_WORDS & SOFT_WORDS
    assert set(TERMINALS.values()) <= terminals
