"""Shipped strategy files compile cleanly, are short, name their source, and are found by name."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from tests.support.shipped import FILES, NAMED, declared, every_file, names_in
from tts_lang import library
from tts_lang.compiler import check_path
from tts_lang.source import Source
from tts_lang.syntax.format import format_source

MOST_LINES = 25
MOST_COLUMNS = 100


@every_file
def test_is_in_canonical_layout(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert format_source(Source.of(text, path.name)) == text
    assert max(map(len, text.splitlines())) <= MOST_COLUMNS


@every_file
def test_compiles_without_warnings_to_the_strategy_that_its_name_says(path: Path) -> None:
    """It names its source, too."""
    checked = check_path(path)
    assert checked.diagnostics == ()
    documents = {each.name: each.document for each in checked.strategies}
    assert list(documents) == names_in(path)
    assert path.stem in documents
    assert all(documents.values())
    where = "Unpublished; of" if path.parent.name == "compositions" else "Source: "
    assert where in documents[path.stem]
    assert re.search(r"\(\d{4}\)|optillm|its_hub|thinkbooster", documents[path.stem])


@every_file
def test_strategies_are_short(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    for strategy in declared(path):
        text = source[strategy.span.start : strategy.span.end]
        if strategy.docstring is not None:
            text = text.replace(
                source[strategy.docstring.span.start : strategy.docstring.span.end], ""
            )
        lines = [line for line in text.splitlines() if line.strip()]
        assert len(lines) <= MOST_LINES, strategy.name.text


def test_names_are_unique_over_all_folders() -> None:
    """They share the library's one name space: `tts-run NAME` finds one file."""
    names = Counter(name for _, name in NAMED)
    assert [name for name, count in names.items() if count > 1] == []
    for path, name in NAMED:
        assert library.find(name) == path


def test_prompts_scorers_and_judges_of_all_files_can_meet_in_one_plan() -> None:
    """Names are declared alike wherever they are declared, so any two files can be combined."""
    meanings: dict[str, set[str]] = {}
    for path in FILES:
        text = path.read_text(encoding="utf-8")
        for item in re.findall(r"^(?:scorer|policy|prompt|judge) .*?(?=^\S|\Z)", text, re.M | re.S):
            name = re.split(r"[ (:\n]", item, maxsplit=2)[1]
            meanings.setdefault(name, set()).add(item.strip())
    assert {name for name, found in meanings.items() if len(found) > 1} == set()
