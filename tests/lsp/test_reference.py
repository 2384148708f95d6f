"""Every word of the tables has a meaning, and it is the one that the documentation gives."""

from __future__ import annotations

from pathlib import Path

from tts_lang import reference
from tts_lang.check import builtins
from tts_lang.plan.columns import COLUMNS
from tts_lang.plan.ops import POOL_VERBS
from tts_lang.syntax.nodes import ClauseKind
from tts_lang.syntax.words import ITEM_WORDS, STATEMENT_WORDS, VERBS

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "language.md").read_text(encoding="utf-8")


def test_every_word_has_a_meaning() -> None:
    assert reference.VERBS.keys() == VERBS | POOL_VERBS.keys()
    assert reference.STATEMENTS.keys() == STATEMENT_WORDS | ITEM_WORDS
    assert reference.FUNCTIONS.keys() == set(builtins.FUNCTIONS)
    assert reference.NAMES.keys() == {*builtins.POOLS, *builtins.DELIMITERS, builtins.UNSET}
    for kind in ClauseKind:
        word = kind.value.removeprefix("at ").split()[0]
        assert kind.value.split()[0] in reference.CLAUSES[word].form


def test_verbs_mean_what_the_documentation_says() -> None:
    missing = [word for word, (_, meaning) in reference.VERBS.items() if meaning not in PAGE]
    assert missing == []


def test_columns_mean_what_the_documentation_says() -> None:
    shown = {"parent", "root", "visits", "value", "parent_visits"}  # documented in one row
    missing = [
        name for name, column in COLUMNS.items() if name not in shown and column.about not in PAGE
    ]
    assert missing == []


def test_a_word_before_a_parenthesis_is_the_function() -> None:
    first, called = reference.meaning("first"), reference.meaning("first", called=True)
    assert first is not None
    assert called is not None
    assert first.form.startswith("first [k] of P")
    assert called.form.startswith("first(prm)")
