"""The `tts-compile` command, run in this process."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tts_lang import library
from tts_lang.cli import main

STRATEGY = """strategy tries(n = 4):
    return vote (sample n)
"""
UNTIDY = """strategy tries( n=4 ):
  return vote (sample n)   # why
"""
WARNS = """strategy tries(n = 4):
    pool = sample n
    score pool by prm
    return vote pool
"""


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")


class Result:
    """Exit code and both streams of one command."""

    def __init__(self, capsys: pytest.CaptureFixture[str], arguments: Sequence[str]) -> None:
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        self.code = ended.value.code
        self.out, self.err = capsys.readouterr()


def tts_compile(capsys: pytest.CaptureFixture[str], *arguments: str) -> Result:
    return Result(capsys, arguments)


Capture = pytest.CaptureFixture[str]


def test_checks_shipped_strategies_files_and_settings(capsys: Capture) -> None:
    Path("tries.tts").write_text(STRATEGY)
    done = tts_compile(capsys, "beam_search", "tries.tts")
    assert (done.code, done.err) == (0, "")
    assert done.out == ("ok: beam_search (n = 16, width = 4, depth = 40)\nok: tries (n = 4)\n")
    done = tts_compile(capsys, "beam_search", "--set", "n=64", "tries.tts", "--set", "depth=2")
    assert done.out == "ok: beam_search (n = 64, width = 4, depth = 2)\nok: tries (n = 64)\n"


def test_one_of_the_strategies_of_a_file(capsys: Capture) -> None:
    Path("two.tts").write_text(STRATEGY + "\n" + STRATEGY.replace("tries", "others"))
    done = tts_compile(capsys, "two.tts")
    assert done.out == "ok: tries (n = 4)\nok: others (n = 4)\n"
    done = tts_compile(capsys, "two.tts:others", "--explain")
    assert done.out.startswith("others(n = 4)\n")
    done = tts_compile(capsys, "two.tts", "--explain")
    assert done.code == 2
    assert "choose: two.tts:tries, two.tts:others" in done.err


def test_errors_go_to_stderr_with_code_2_and_other_files_are_still_checked(
    capsys: Capture,
) -> None:
    Path("bad.tts").write_text("strategy bad():\n    return vot (sample 4)\n")
    Path("tries.tts").write_text(STRATEGY)
    done = tts_compile(capsys, "bad.tts", "tries.tts")
    assert done.code == 2
    assert "bad.tts:2:" in done.err
    assert "error[TTS" in done.err
    assert "Traceback" not in done.err
    assert "bad" not in done.out


def test_warnings_pass_unless_strict(capsys: Capture) -> None:
    Path("tries.tts").write_text(WARNS)
    done = tts_compile(capsys, "tries.tts")
    assert (done.code, done.out) == (0, "ok: tries (n = 4)\n")
    assert "warning[TTS9" in done.err
    assert tts_compile(capsys, "tries.tts", "--strict").code == 2


def test_diagnostics_as_json(capsys: Capture) -> None:
    Path("tries.tts").write_text(WARNS)
    done = tts_compile(capsys, "tries.tts", "--json")
    (found,) = json.loads(done.out)
    assert (done.code, done.err, found["severity"], found["line"]) == (0, "", "warning", 3)
    Path("tries.tts").write_text(STRATEGY)
    assert json.loads(tts_compile(capsys, "tries.tts", "--json").out) == []


def test_plan_is_written_and_taken_again(capsys: Capture) -> None:
    done = tts_compile(capsys, "rebase", "--set", "n=8", "-o", "plan.json")
    assert done.code == 0
    shown = tts_compile(capsys, "rebase", "--set", "n=8", "--explain").out
    assert tts_compile(capsys, "plan.json", "--explain").out == shown
    assert (
        tts_compile(capsys, "rebase", "--set=n=8", "-o", "-").out == Path("plan.json").read_text()
    )
    done = tts_compile(capsys, "plan.json", "--set", "n=4")
    assert done.code == 2
    assert "the parameters of a plan are fixed" in done.err


@pytest.mark.parametrize("form", ["text", "json", "dot", "mermaid", "html"])
def test_forms_of_explain(capsys: Capture, form: str) -> None:
    done = tts_compile(capsys, "majority", "--format", form, "--assume", "context=100")
    assert (done.code, done.err) == (0, "")
    starts = {"text": "majority(", "json": "{", "dot": "digraph", "mermaid": "flowchart"}
    starts["html"] = "<!DOCTYPE html>"
    assert done.out.startswith(starts[form])
    if form == "json":
        assert json.loads(done.out)["total"]["sampled_tokens"] == 1600


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["beam_serch"], "did you mean 'beam_search'?"),
        (["no_such_file.tts"], "no_such_file.tts"),
        (["majority.tts"], "the shipped strategy is called without `.tts`: majority"),
        (["majorty.tts"], "the shipped strategy is called without `.tts`: majority"),
        (["mien.tts"], "did you mean 'mine.tts'?"),
        ([""], "no strategy: name a file"),
        (["x" * 300], "neither a file nor a shipped strategy"),
        (["x" * 300 + ".tts"], "file name too long"),
        (["--fmt", "x" * 300 + ".tts"], "file name too long"),
        (["majority", "--out", ""], "--out: expected a file"),
        (["majority", "--out", "majority"], "a file whose name ends in .json"),
        (["majority", "--out", "mine.tts"], "a file whose name ends in .json"),
        (["majority", "--format", "html", "-o", "x.html"], "--format prints goes there by `> x.h"),
        (["majority", "--fmt", "--laws"], "--fmt goes with --check only"),
        (["majority", "--fmt", "--budget", "tokens=5"], "--fmt goes with --check only"),
        (["majority", "--fmt", "--trials", "5"], "--fmt goes with --check only"),
        (["."], "is a directory"),
        (["majority", "--explian"], "no such option: --explian; did you mean '--explain'?"),
        (["majority", "--format", "dott"], "did you mean 'dot'?"),
        (["majority", "--format", "svg"], "it is one of text, json, dot, mermaid"),
        (["majority", "--set", "m=3"], "there is no parameter `m`"),
        (["majority", "beam_search", "--set", "widht=3"], "did you mean 'width'?"),
        (["majority", "--set", "n"], "expected NAME=VALUE"),
        (["majority", "--set", "n=3", "--set", "n=4"], "`n` is set twice"),
        (["majority", "--set", "n=many"], "error[TTS"),
        (["greedy", "--set", "n=3"], "known: temperature, top_p, top_k, min_p, length"),
        (["majority", "--assume", "window=3"], "expected context=N"),
        (["majority", "--assume", "context=0"], "tokens of a context window"),
        (["best_of_n", "--explain", "--assume", "prn_params=3"], "did you mean 'prm'?"),
        (["majority", "--explain", "--assume", "prm_params=3"], "they use: policy"),
        (
            ["majority", "--explain", "--assume", "step_params=3"],
            "uses a model `step`",
        ),
        (["bytes.tts", "--explain", "--assume", "prm_params=3"], "not valid UTF-8"),
        (["majority", "--check"], "--check belongs to --fmt"),
        (["majority", "--fmt", "--explain"], "--fmt goes with --check only"),
        (["majority", "--json", "--explain"], "does not go with --explain"),
        (["majority", "greedy", "-o", "x.json"], "--out writes one plan"),
        (["majority", "-o", "no/such/folder.json"], "cannot be written"),
        (["missing.json"], "missing.json cannot be read"),
        (["broken.json"], "broken.json: not JSON"),
        (["bytes.json"], "not UTF-8"),
        (["bytes.tts"], "not valid UTF-8"),
        ([], "no strategy: name a file, or a shipped strategy (--list shows them)"),
    ],
)
def test_mistakes_get_a_message_and_code_2(
    capsys: Capture, arguments: list[str], message: str
) -> None:
    Path("mine.tts").write_text(STRATEGY)
    Path("broken.json").write_text('{"format"')
    Path("bytes.json").write_bytes(b"\xff\x00")
    Path("bytes.tts").write_bytes(b"\x89PNG\r\n\x00\xff")
    done = tts_compile(capsys, *arguments)
    assert done.code == 2
    assert message in done.err
    assert "Traceback" not in done.err
    assert done.out == ""


def test_fmt_rewrites_once(capsys: Capture) -> None:
    path = Path("tries.tts")
    path.write_text(UNTIDY)
    done = tts_compile(capsys, "--fmt", "--check", "tries.tts")
    assert (done.code, done.out, path.read_text()) == (1, "would format tries.tts\n", UNTIDY)
    done = tts_compile(capsys, "--fmt", ".")
    assert (done.code, done.out) == (0, "formatted tries.tts\n")
    assert path.read_text() == STRATEGY.replace("(sample n)", "(sample n)  # why")
    assert tts_compile(capsys, "--fmt", "--check", ".").out == ""
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert tts_compile(capsys, "--fmt", "--check", "tries.tts").code == 1


def test_fmt_leaves_broken_files_and_formats_the_others(capsys: Capture) -> None:
    Path("a.tts").write_text("strategy (:\n")
    Path("b.tts").write_text(UNTIDY)
    done = tts_compile(capsys, "--fmt", "a.tts", "b.tts", "c.tts")
    assert done.code == 2
    assert done.out == "formatted b.tts\n"
    assert "a.tts:1:" in done.err
    assert "c.tts: error[TTS100]" in done.err
    assert Path("a.tts").read_text() == "strategy (:\n"


def test_fmt_of_standard_input(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(UNTIDY.encode())))
    done = tts_compile(capsys, "--fmt", "-")
    assert done.out == STRATEGY.replace("(sample n)", "(sample n)  # why")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read and write everything")
def test_files_that_may_not_be_read_or_written(capsys: Capture) -> None:
    path = Path("tries.tts")
    path.write_text(UNTIDY)
    path.chmod(0o400)
    assert "cannot write the file" in tts_compile(capsys, "--fmt", "tries.tts").err
    path.chmod(0o000)
    assert "cannot read the file" in tts_compile(capsys, "tries.tts").err


def test_interrupt_ends_with_130(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("tts_lang.cli.compile.tts_compile", interrupted)
    usual = signal.getsignal(signal.SIGINT)
    done = tts_compile(capsys, "majority")
    signal.signal(signal.SIGINT, usual)  # which the end of a process gives up
    assert (done.code, done.out, done.err) == (130, "", "")


def test_lengths_and_budgets(capsys: Capture) -> None:
    found = tts_compile(capsys, "majority", "--explain", "--assume", "step=10,steps=3")
    assert found.code == 0
    assert re.search(r"sampled tokens +480 +16,384", found.out)
    lengths = ("--assume", "context=99", "--assume", "step=10,steps=3")
    found = tts_compile(capsys, "majority", "--format", "json", *lengths)
    assert json.loads(found.out)["expected"]["sampled_tokens"] == 480
    assert tts_compile(capsys, "majority", "--budget", "calls=16").code == 0
    found = tts_compile(capsys, "majority", "--budget", "calls=15")
    assert found.code == 2
    assert "may take 16 calls per problem" in found.err
    for wrong in (("--budget", "calls=x"), ("--assume", "step=3"), ("--stats", "nowhere")):
        assert tts_compile(capsys, "majority", "--explain", *wrong).code == 2


def test_option_errors_are_two_lines(capsys: Capture) -> None:
    """The message and where the options are listed, instead of the whole usage."""
    done = tts_compile(capsys, "majority", "--trials", "x")
    assert done.err.splitlines() == [
        "error: --trials: expected a whole number, found `x`",
        "  help: tts-compile --help lists the options",
    ]


def test_shipped_strategies_are_listed_with_what_they_do(capsys: Capture) -> None:
    done = tts_compile(capsys, "--list")
    listed = dict(line.split(None, 1) for line in done.out.splitlines())
    assert listed["majority"] == "Sample n solutions; the answer that most of them give wins."
    assert list(listed) == sorted(listed)
    assert all(len(line) <= 100 for line in done.out.splitlines())
    for name in listed:
        assert library.find(name).suffix == ".tts"
