"""The Pygments lexer: every file is covered, nothing is lost, and words are told from names."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from pygments.lexers import get_lexer_by_name, get_lexer_for_filename
from pygments.token import Error, Keyword, Name, Number, Operator, String

from tests.support.golden import check_golden
from tests.support.shipped import FILES
from tts_lang.check import builtins
from tts_lang.highlighting import TtsLexer, textmate_grammar
from tts_lang.plan.columns import COLUMNS
from tts_lang.syntax.words import TERMINALS

EXTENSION = Path(__file__).resolve().parents[2] / "docs" / "editors" / "vscode"


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


@pytest.mark.parametrize("word", sorted(TERMINALS))
def test_the_lexer_knows_every_word(word: str) -> None:
    ((kind, _),) = [each for each in TtsLexer().get_tokens(f" {word} ") if each[1] == word]
    assert str(kind).startswith("Token.Keyword") or kind is Operator.Word


# ------------------------------------------------------------------------------ TextMate


def test_the_extension_has_this_grammar(update_golden: bool) -> None:
    text = json.dumps(textmate_grammar(), indent=2) + "\n"
    check_golden(EXTENSION / "syntaxes" / "tts.tmLanguage.json", text, update_golden)


def _scope(text: str) -> str:
    """The scope of what a text begins with: the first pattern that matches at its start."""
    for pattern in textmate_grammar()["patterns"]:
        if re.match(pattern.get("match", pattern.get("begin", "")), text, re.MULTILINE):
            name: str = pattern.get("name", "declaration")
            return name.removesuffix(".tts")
    return ""


@pytest.mark.parametrize("word", sorted(TERMINALS))
def test_the_textmate_grammar_knows_every_word(word: str) -> None:
    assert _scope(f"{word} ").startswith(("keyword.", "storage."))
    # Where it is plainly a name it is one, as for the parser.
    assert _scope(f"{word} = 1") == "variable.other.assignment"


def test_the_textmate_grammar_tells_names_apart() -> None:
    assert {_scope(f"{name}(") for name in builtins.FUNCTIONS} == {"support.function"}
    assert {_scope(f"{name} ") for name in COLUMNS} == {
        "support.variable.column",
        "keyword.other",  # `steps` and `done` are words as well
    }
    assert _scope("strategy few(") == "declaration"
    assert _scope("best_of_n(n)") == "entity.name.function.call"
    assert _scope("pool ") == ""
    assert _scope("# vote") == "comment.line.number-sign"
    assert _scope("10% ") == "constant.numeric"
    assert _scope('"""vote') == "string.quoted.triple"
    assert _scope('"vote') == "string.quoted.double"


def test_the_extension_is_of_this_version() -> None:
    package = json.loads((EXTENSION / "package.json").read_text(encoding="utf-8"))
    project = (EXTENSION.parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    assert f'version = "{package["version"]}"' in project
    assert package["contributes"]["configuration"]["properties"]["tts.server"]["default"] == [
        "tts-lsp"
    ]
    assert 'tts-lsp = "tts_lang.lsp.command:main"' in project
