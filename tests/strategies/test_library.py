"""Shipped files are found by name: on the command line, and by `import` from anywhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from tts_lang import library
from tts_lang.compiler import check_source, compile_strategy
from tts_lang.diagnostics import DiagnosticError
from tts_lang.source import Source

USES = """import "{file}"

strategy mine(n = 4):
    return {call}
"""


def checked(folder: Path, file: str, call: str) -> list[str]:
    source = Source.of(USES.format(file=file, call=call), str(folder / "mine.tts"))
    return [diagnostic.code for diagnostic in check_source(source).diagnostics]


@pytest.mark.parametrize(
    ("file", "call"),
    [
        ("majority.tts", "majority(n)"),
        ("multi_agent_debate.tts", "multi_agent_debate(n)"),
        ("dvts_of_particles.tts", "dvts_of_particles(4 * n)"),
    ],
)
def test_shipped_files_can_be_imported_by_name(tmp_path: Path, file: str, call: str) -> None:
    assert checked(tmp_path, file, call) == []


def test_a_file_beside_the_importing_one_comes_first(tmp_path: Path) -> None:
    (tmp_path / "majority.tts").write_text("strategy other(n):\n    return vote (sample n)\n")
    assert checked(tmp_path, "majority.tts", "other(n)") == []
    assert checked(tmp_path, "majority.tts", "majority(n)") == ["TTS201"]


@pytest.mark.parametrize("file", ["majority", "strategies/majority.tts", "majorty.tts", ".tts"])
def test_other_names_are_not_guessed(tmp_path: Path, file: str) -> None:
    assert checked(tmp_path, file, "majority(n)") == ["TTS551"]


def test_a_strategy_that_shares_its_file_is_found_by_its_own_name() -> None:
    assert library.find("deepconf_tail").name == "deepconf_offline.tts"
    assert compile_strategy("deepconf_tail").strategy == "deepconf_tail"


@pytest.mark.parametrize(
    ("name", "help_"),
    [
        ("tree_of_thought", "did you mean 'tree_of_thoughts'?"),
        (
            "self-consistency",
            "strategies of the paper of this name: majority, similarity_consistency",
        ),
        ("_", "`tts-compile --list` has the shipped ones"),
    ],
)
def test_an_unknown_name_gets_a_close_one(name: str, help_: str) -> None:
    with pytest.raises(DiagnosticError) as caught:
        library.find(name)
    assert caught.value.diagnostics[0].suggestion == help_
