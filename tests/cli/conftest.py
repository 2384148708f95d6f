"""Commands run in a folder of their own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.tts_run import Call, Command, two_problems
from tts_runtime.cli.command import run_command
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


@pytest.fixture(scope="session")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two strategies at three values, over problems that the simulated policy solves sometimes."""
    folder = tmp_path_factory.mktemp("grid")
    problems = [{"id": f"p{at}", "problem": f"{at} + 1", "answer": str(at % 3), "rate": at / 24,
                 "far": at if at < 5 else "inf"} for at in range(24)]  # fmt: skip
    (folder / "problems.jsonl").write_text("".join(json.dumps(each) + "\n" for each in problems))

    arguments = ["best_of_n", "majority", "--sweep", "n=1,2,6", "--policy", "sim", "--scorer",
                 "prm=sim", "--problems", str(folder / "problems.jsonl"), "--quiet",
                 "--out", str(folder / "run"), "--seeds", "0..1"]  # fmt: skip
    assert run_command(arguments) == 0
    return folder


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Call:
    monkeypatch.setenv("COLUMNS", "100")

    def call(command: Callable[[list[str]], int], *arguments: object) -> tuple[int, str, str]:
        code = command([str(each) for each in arguments])
        out, err = capsys.readouterr()
        return code, out, err

    return call
