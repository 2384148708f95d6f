"""docs/language.md mentions every word of the grammar, every column and every function."""

from __future__ import annotations

import re

import pytest

from tests.docs.blocks import ROOT
from tts_lang.check import builtins
from tts_lang.reference import FUNCTIONS

PAGE = (ROOT / "docs" / "language.md").read_text(encoding="utf-8")
GRAMMAR = (ROOT / "tts_lang" / "syntax" / "grammar.lark").read_text(encoding="utf-8")
#: Terminals that are no words.
LAYOUT = {"NL", "INDENT", "DEDENT", "BROKEN"}
VALUES = {"NAME", "INTEGER", "FLOAT", "PERCENT", "STRING", "TEXT"}
SIGNS = {"LPAR", "RPAR", "COMMA", "COLON", "ASSIGN", "PLUS", "MINUS", "STAR", "SLASH", "POWER"}
COMPARISONS = {"EQ", "NE", "LE", "GE", "LT", "GT"}
DECLARED = {
    word for line in re.findall(r"^%declare (.+)$", GRAMMAR, re.MULTILINE) for word in line.split()
}
WORDS = sorted(word.lower() for word in DECLARED - LAYOUT - VALUES - SIGNS - COMPARISONS)
NAMES = sorted({*builtins.COLUMNS, *builtins.FUNCTIONS, *builtins.DELIMITERS, *builtins.POOLS})


@pytest.mark.parametrize("word", [*WORDS, *NAMES])
def test_every_word_of_the_language_is_in_the_reference(word: str) -> None:
    assert re.search(rf"\b{word}s?\b", PAGE)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_has_its_forms_in_the_reference(name: str) -> None:
    """As the language server shows them."""
    for form in re.split(r", (?=[a-z_]+\()", FUNCTIONS[name].form):
        assert f"`{form}`".replace("|", "\\|") in PAGE


def test_the_words_are_those_of_the_grammar() -> None:
    assert {"sample", "otherwise", "pairwise", "x"} <= set(WORDS)
