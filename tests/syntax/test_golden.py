"""Every syntax error message, as the user sees it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from rich.cells import cell_len

from tests.support.golden import DIAGNOSTICS, check_golden
from tts_lang.diagnostics import error, render_json, render_text
from tts_lang.source import Source, Span
from tts_lang.syntax.codes import CODES
from tts_lang.syntax.parser import load, parse_bytes

CASES = sorted(DIAGNOSTICS.glob("TTS1*.tts"))


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_message(path: Path, update_golden: bool) -> None:
    result = parse_bytes(path.read_bytes(), path.name)
    check_golden(path.with_suffix(".txt"), render_text(result.diagnostics), update_golden)
    assert path.stem.partition("_")[0] in {d.code for d in result.diagnostics}
    for entry in json.loads(render_json(result.diagnostics)):
        assert entry["file"] == path.name
        assert entry["line"] >= 1
        assert (entry["line"], entry["column"]) <= (entry["end_line"], entry["end_column"])


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_one_mistake_gives_one_message(path: Path) -> None:
    several = {"TTS110_no_digit": 2, "TTS120_several": 4, "TTS150_many": 51}
    result = parse_bytes(path.read_bytes(), path.name)
    assert len(result.diagnostics) == several.get(path.stem, 1)


def test_every_code_has_a_fixture() -> None:
    covered = {path.stem.partition("_")[0] for path in CASES} | {"TTS100"}
    assert {code.code for code in CODES} == covered


def test_unreadable_files_are_diagnostics(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.tts", tmp_path):
        (diagnostic,) = load(path).diagnostics
        assert diagnostic.code == "TTS100"
        assert str(path) in render_text([diagnostic])


@pytest.mark.parametrize("before", ["", "日本語", "e\u0301\u0301", "👩\u200d👧\ufe0f", "नमस्ते"])
def test_the_underline_is_below_what_it_marks_on_a_screen(before: str) -> None:
    source = Source("f", f"{before} wrong 语言")
    for word in ("wrong", "语言"):
        start = source.text.index(word)
        fault = error("TTS120", "unexpected", Span(start, start + len(word)), source)
        _, line, marks, *_ = render_text([fault]).splitlines()
        assert marks.index("^") == cell_len(line[: line.index(word)])
        assert marks.count("^") == cell_len(word)


def test_colour_only_when_asked() -> None:
    result = parse_bytes(b"policy\n", "f")
    assert "\033[" not in render_text(result.diagnostics)
    assert "\033[" in render_text(result.diagnostics, color=True)
