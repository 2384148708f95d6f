"""Answers about texts as they are while one types: cut, doubled and shuffled files never raise."""

from __future__ import annotations

import random
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.shipped import FILES
from tts_lang.lsp.completion import complete
from tts_lang.lsp.findings import published
from tts_lang.lsp.hover import hover
from tts_lang.lsp.outline import outline
from tts_lang.lsp.project import EditorFiles
from tts_lang.lsp.rename import RenameError, thing_at
from tts_lang.lsp.symbols import occurrences
from tts_lang.source import Source
from tts_lang.syntax.parser import parse

NO_FILES = EditorFiles({})
#: Texts of each shipped file's damage; the whole takes seconds.
DAMAGES = 12


def _damaged(text: str, chance: random.Random) -> tuple[str, int]:
    """A file that somebody is in the middle of typing, and where the cursor is."""
    place = chance.randrange(len(text) + 1)
    how = chance.randrange(4)
    if how == 0:
        return text[:place], place
    if how == 1:
        return text[:place] + chance.choice(['"', "(", '"""', "{", ":", "\n", "🦉"]) + text[
            place:
        ], place + 1
    if how == 2:
        end = min(len(text), place + chance.randrange(1, 40))
        return text[:place] + text[end:], place
    lines = text.split("\n")
    chance.shuffle(lines)
    return "\n".join(lines), place


@pytest.mark.parametrize("seed", range(DAMAGES))
def test_nothing_raises(seed: int) -> None:
    chance = random.Random(seed)
    for path in chance.sample(FILES, 3):
        text, place = _damaged(path.read_text(encoding="utf-8"), chance)
        source = Source.of(text, str(path))
        place = min(place, len(source.text))
        span, _ = complete(NO_FILES, source, place)
        assert 0 <= span.start <= span.end == place
        hover(NO_FILES, source, place)
        outline(source)
        published(source, parse(source).diagnostics, NO_FILES)
        with suppress(RenameError):
            thing_at(NO_FILES, source, place)


@pytest.mark.parametrize("path", FILES[::4], ids=lambda path: path.stem)
def test_names_stand_where_they_are_said_to(path: Path) -> None:
    source = Source.of(path.read_text(encoding="utf-8"), str(path))
    found = occurrences(NO_FILES.scope(source))
    assert found
    assert [each.thing.name for each in found] == [source.slice(each.span) for each in found]
