"""Commands run in a folder of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.tts_run import Command, two_problems
from tts_runtime.engines.sim.sim_server import Latency


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulated models answer in the same order, in a twentieth of the time."""

    def twentieth(token: float = 0.01) -> Latency:
        return Latency(token=token / 20)

    monkeypatch.setattr("tts_runtime.engines.sim.engines.Latency", twentieth)


@pytest.fixture
def tts_run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Command:
    """`tts-run` in an empty folder with `two.jsonl`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    two_problems(tmp_path)
    return Command(capsys)
