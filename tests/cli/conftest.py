"""Commands run in a folder of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.tts_run import Command, two_problems


@pytest.fixture
def tts_run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Command:
    """`tts-run` in an empty folder with `two.jsonl`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    two_problems(tmp_path)
    return Command(capsys)
