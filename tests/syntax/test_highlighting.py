"""The Pygments lexer: every file is covered, nothing is lost, and words are told from names."""

from __future__ import annotations

from pathlib import Path

import pytest
from pygments.lexers import get_lexer_by_name, get_lexer_for_filename
from pygments.token import Error, Keyword, Name, Number, String

from tests.support.shipped import FILES
from tts_lang.highlighting import TtsLexer


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_shipped_file_is_covered(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    tokens = list(TtsLexer(ensurenl=False, stripnl=False).get_tokens(text))
    assert "".join(value for _, value in tokens) == text
    assert not [value for kind, value in tokens if kind is Error]


def test_words_names_numbers_and_texts() -> None:
    text = 'best = select top 10% of pool by min(prm)\n"x"'
    kinds = {value: kind for kind, value in TtsLexer().get_tokens(text)}
    assert kinds["best"] is Name.Variable  # a soft word that is assigned to
    assert kinds["select"] is Keyword
    assert kinds["of"] is Keyword.Pseudo
    assert kinds["pool"] is Name
    assert kinds["min"] is Name.Function
    assert kinds["10%"] is Number
    assert kinds['"x"'] is String.Double


def test_a_broken_file_is_still_shown() -> None:
    text = 'strategy s(:\n  § ? "unclosed\n'
    assert "".join(value for _, value in TtsLexer().get_tokens(text)) == text


def test_pygments_finds_it() -> None:
    assert isinstance(get_lexer_by_name("tts"), TtsLexer)
    assert isinstance(get_lexer_for_filename("a.tts"), TtsLexer)
