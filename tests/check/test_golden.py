"""Every message of the checker, as the user sees it.

A fixture whose first line is `# compile: [STRATEGY] [k=v ...]` is compiled with these settings;
the others are checked.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.golden import DIAGNOSTICS, check_golden
from tts_lang.check.codes import CODES
from tts_lang.codes import registry
from tts_lang.compiler import CompileError, check_source, compile_with_warnings
from tts_lang.diagnostics import Diagnostic, render_text
from tts_lang.source import Source

CASES = sorted(DIAGNOSTICS.glob("TTS[2-9]*.tts"))

#: Where one mistake rightly gives more than one message.
SEVERAL = {
    "TTS402_circle": 2,
}


def diagnostics(path: Path) -> tuple[Diagnostic, ...]:
    """What the compiler says about a fixture."""
    source = Source.of(path.read_text("utf-8"), path.name)
    command, colon, rest = source.line(1).partition("compile:")
    if command != "# " or not colon:
        return check_source(source).diagnostics
    words = rest.split()
    settings = dict(word.split("=", 1) for word in words if "=" in word)
    strategy = next((word for word in words if "=" not in word), None)
    try:
        return compile_with_warnings(source, strategy, settings).warnings
    except CompileError as error:
        return error.diagnostics


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_message(path: Path, update_golden: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(DIAGNOSTICS)
    found = diagnostics(path)
    check_golden(path.with_suffix(".txt"), render_text(found), update_golden)
    assert path.stem.partition("_")[0] in {diagnostic.code for diagnostic in found}


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_one_mistake_gives_one_message(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(DIAGNOSTICS)
    assert len(diagnostics(path)) == SEVERAL.get(path.stem, 1)


def test_every_code_has_a_fixture() -> None:
    covered = {path.stem.partition("_")[0] for path in CASES}
    assert {code.code for code in CODES} == covered


def test_every_registered_code_is_documented_by_a_fixture() -> None:
    covered = {path.stem.partition("_")[0] for path in DIAGNOSTICS.glob("TTS*.tts")}
    assert set(registry()) - covered <= {"TTS100"}  # a file that cannot be read has no fixture
