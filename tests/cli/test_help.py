"""`--help` of both commands at several widths, and what else they print about themselves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.support.golden import FIXTURES, check_golden
from tts_lang import library
from tts_lang.cli.compile import parser as compile_parser
from tts_lang.cli.compile import run_command as run_compile
from tts_lang.cli.parser import CommandParser
from tts_runtime.cli.command import run_command as run_run
from tts_runtime.cli.merging import merge_parser
from tts_runtime.cli.parser import parser as run_parser
from tts_runtime.cli.serve import serve_parser

COMMANDS = pytest.mark.parametrize("command", [run_compile, run_run], ids=["compile", "run"])
Run = Callable[[Sequence[str]], int]
Capture = pytest.CaptureFixture[str]


@pytest.mark.parametrize("columns", [60, 80, 200])
@pytest.mark.parametrize(
    "parser",
    [compile_parser, run_parser, serve_parser, merge_parser],
    ids=["tts-compile", "tts-run", "tts-serve", "tts-merge"],
)
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


def test_options_of_both_commands_have_one_name_and_one_help() -> None:
    """An option that means the same thing; those that do not are listed."""
    own = {"seed", "out", "strict", "json", "no-pass", "assume"}
    texts = [
        {
            option.removeprefix("--"): action.help
            for action in parser()._actions
            for option in action.option_strings
            if option.startswith("--")
        }
        for parser in (compile_parser, run_parser)
    ]
    common = set(texts[0]) & set(texts[1])
    assert {"set", "list", "source", "budget", "version", "completion"} <= common
    assert [name for name in common - own if texts[0][name] != texts[1][name]] == []


@COMMANDS
def test_the_list_names_every_shipped_strategy(command: Run, capsys: Capture) -> None:
    assert command(["--list"]) == 0
    out = capsys.readouterr().out
    assert [line.split()[0] for line in out.splitlines()] == list(library.listed())


@COMMANDS
def test_the_source_of_a_strategy(command: Run, capsys: Capture) -> None:
    assert command(["--source", "beam_search"]) == 0
    assert capsys.readouterr().out == library.find("beam_search").read_text(encoding="utf-8")
    for name, said in (("beam_serch", "did you mean 'beam_search'?"), ("no.tts", "no such file")):
        assert command(["--source", name]) == 2
        out, err = capsys.readouterr()
        assert (out, said in err) == ("", True)


@COMMANDS
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["majority", "--se", "3"], "no such option: --se; did you mean '--set'"),
        (["majority", "-out", "x"], "no such option: -out; did you mean '--out'?"),
        (["majority", "—out", "x"], "no such option: —out; did you mean '--out'?"),
        (["majority", "--out", "x", "-o", "y"], "-o: given twice (`x` and `y`); give it once"),
        (["majority", "--out"], "--out: expected a value: --out"),
        (["majority", "--json=yes"], "--json: this option takes no value"),
        (["majority", "--no_pass", "all"], "did you mean '--no-pass'?"),
        (["majority", "--output", "x"], "write `--out"),
        (["majority", "seed=3"], "has a parameter `seed`; did you mean `--seed 3`?"),
        (["majority", "n="], "`n=`: `n` has no value"),
        (["majority", "n", "=", "16"], "write n=64 without spaces"),
        (["majority", "=16"], "`=16`: expected NAME=VALUE"),
        (["majority", "n==16"], "`n` is a number, and not `=16`"),
        (["majority", "m=3"], "there is no parameter `m`"),
        (["majority", "n=3", "--set", "n=4"], "`n` is set twice"),
        (["n=3"], "no strategy: name a file"),
        (["majority", "a=b.tts"], "a=b.tts: error"),
        ([], "no strategy: name a file"),
        ([""], "no strategy: name a file"),
        (["--completion"], "--completion: expected a value: --completion SHELL"),
    ],
    ids=lambda each: " ".join(each) if isinstance(each, list) else "",
)
def test_mistakes(command: Run, arguments: list[str], said: str, capsys: Capture) -> None:
    if command is run_run:
        arguments = [*arguments, "--policy", "sim", "--problems", "arith"]
    assert command(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
    assert "Traceback" not in err


@COMMANDS
def test_plain_settings_and_files_with_an_equals_sign(
    command: Run, capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a=b.tts").write_text("strategy s(n = 2):\n    return vote (sample n)\n")
    Path("c=d").write_text(Path("a=b.tts").read_text())
    options = [] if command is run_compile else ["--policy", "sim", "--problems", "arith"]
    options += [] if command is run_compile else ["--limit", "1"]
    for name in ("a=b.tts", "a=b.tts:s", "c=d"):
        assert command([name, "n=3", *options]) == 0
        out = capsys.readouterr().out
        assert "s (n = 3)" in out if command is run_compile else " s " in out
