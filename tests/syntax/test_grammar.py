"""The grammar has no conflicts, and the shipped tables are made from it."""

from __future__ import annotations

import subprocess
import sys

import pytest
from lark.exceptions import GrammarError

from tts_lang.syntax import build_expressions, build_items, build_phrases
from tts_lang.syntax.build import BUILDERS
from tts_lang.syntax.build_tables import GRAMMAR_PATH, TABLES_PATH, build
from tts_lang.syntax.tables import load_tables
from tts_lang.syntax.words import HARD_WORDS, SOFT_WORDS, SPELLINGS, TERMINALS

_ = (build_expressions, build_items, build_phrases)


def test_tables_are_up_to_date() -> None:
    """`build` uses Lark's strict mode, so this also proves that there are no conflicts."""
    grammar = GRAMMAR_PATH.read_text("utf-8")
    message = "run python -m tts_lang.syntax.build_tables"
    assert build(grammar) == TABLES_PATH.read_text("utf-8"), message


def test_a_conflict_would_be_refused() -> None:
    with pytest.raises(GrammarError):
        build("%declare A\nstart: x A | y A\nx: A\ny: A\n")


def test_every_rule_has_a_builder() -> None:
    named = {rule.builder for rule in load_tables().rules if rule.builder}
    assert named == set(BUILDERS)


def test_every_terminal_can_be_named_in_a_message() -> None:
    unnamed = load_tables().terminals - set(SPELLINGS) - {"BROKEN"}
    assert not unnamed


def test_words_are_hard_or_soft_and_all_in_the_grammar() -> None:
    assert not HARD_WORDS & SOFT_WORDS
    assert set(TERMINALS.values()) <= load_tables().terminals


def test_parsing_needs_no_lark() -> None:
    code = (
        "import sys; from tts_lang.source import Source; from tts_lang.syntax.parser import parse;"
        "assert parse(Source.of('policy small\\n')).ok; assert 'lark' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
