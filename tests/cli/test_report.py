"""`tts-report` and `tts-view` as commands: help, mistakes, what they print."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

import tts_runtime
from tests.support.golden import FIXTURES, check_golden
from tts_lang.cli.parser import CommandParser
from tts_runtime.cli.reporting import report_command, report_parser
from tts_runtime.cli.show import show_parser
from tts_runtime.cli.viewing import view_command, view_parser
from tts_runtime.report import site

Command = Callable[[Sequence[str]], int]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a run of two problems, `run`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(site, "can_draw", lambda: False)  # the files have tests of their own
    settings = tts_runtime.Settings(policies={"policy": "sim"}, out=Path("run"))
    tts_runtime.run(
        ["majority", "greedy"],
        [{"problem": "1 + 1", "answer": "2"}, {"problem": "2 + 2"}],
        settings=settings,
    )
    Path("begun").mkdir()
    shutil.copy("run/run.json", "begun")
    return tmp_path


@pytest.mark.parametrize("columns", [60, 80, 200])
@pytest.mark.parametrize("parser", [report_parser, show_parser, view_parser])
def test_help(
    parser: Callable[[], CommandParser],
    columns: int,
    update_golden: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    command = parser()
    text = command.format_help()
    assert max(map(len, text.splitlines())) < min(columns, 100)
    check_golden(FIXTURES / "help" / f"{command.prog}_{columns}.txt", text, update_golden)


def test_a_site_is_written(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert report_command(["run"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("wrote report/index.html: strategies 2, problems 2, ")
    assert err == "note: accuracies leave out what has no grade, 1 problem of each strategy\n"
    assert (here / "report" / "index.html").is_file()


def test_text_is_printed(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert report_command(["run", "--text", "--baseline", "greedy"]) == 0
    out = capsys.readouterr().out
    assert "difference to greedy" in out
    assert not (here / "report").exists()


@pytest.mark.parametrize(
    ("command", "arguments", "said"),
    [
        (report_command, [], "no run: name directories that `tts-run --out` wrote"),
        (report_command, ["nowhere"], "nowhere is not a run directory: it has no run.json"),
        (report_command, ["begun"], "no strategy has begun in begun; `tts-view` waits for it"),
        (report_command, ["begun", "--text"], "no strategy has begun"),
        (report_command, ["run", "./run"], "run is named twice; name each run once"),
        (report_command, ["run", "--out", "run"], "run holds something else than a report"),
        (report_command, ["run", "--out="], "--out: expected a folder"),
        (report_command, ["run", "--out", "run/run.json"], "run/run.json is a file"),
        (report_command, ["run", "--out", "run/run.json/x"], "cannot be written"),
        (report_command, ["run", "--text", "--out", "x"], "choose one of them"),
        (report_command, ["run", "--baseline", "gredy"], "did you mean 'greedy'"),
        (report_command, ["run", "--output", "x"], "--out"),
        (view_command, [], "no run: name directories"),
        (view_command, ["nowhere"], "nowhere is not a run directory"),
        (view_command, ["run", "--port", "web"], "--port"),
        (view_command, ["run", "--port", "65536"], "--port: expected at most 65535"),
        (view_command, ["run", "--baseline", "x"], "no strategy 'x'; there are majority, greedy"),
    ],
)
@pytest.mark.usefixtures("here")
def test_mistakes(
    command: Command, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
    assert "Traceback" not in err
    assert {each.name for each in Path().iterdir()} == {"run", "begun"}


@pytest.mark.usefixtures("here")
def test_a_port_that_is_taken(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert view_command(["run", "--port", str(taken.getsockname()[1])]) == 2
    assert "cannot be used: Address already in use" in capsys.readouterr().err
