"""Completion: the candidates of every kind of argument, and the scripts in real shells."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from argparse import Namespace
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import pytest
from argcomplete.completers import SuppressCompleter
from argcomplete.finders import CompletionFinder

from tts_lang.cli import completion
from tts_lang.cli.compile import parser as compile_parser
from tts_lang.cli.parser import CommandParser
from tts_runtime.cli.parser import parser as run_parser

ROOT = Path(__file__).resolve().parents[2]
#: Entry points by command.
SCRIPTS: dict[str, str] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"][
    "scripts"
]
MODULES = {"tts-compile": "tts_lang.cli", "tts-run": "tts_runtime.cli"}


def completed(parser: CommandParser, line: str) -> set[str]:
    """The candidates for the last word of a line, which is empty after a space."""
    *words, prefix = [parser.prog, *line.split(" ")]
    finder = CompletionFinder(parser, default_completer=SuppressCompleter())
    found = finder._get_completions(words, prefix, "", None)  # type: ignore[no-untyped-call]
    return {each.strip() for each in found}


@pytest.mark.parametrize(
    ("line", "candidates"),
    [
        ("beam_s", {"beam_search"}),
        ("beam_search wi", {"width="}),
        ("beam_search majority ", {"n=", "width=", "depth=", "dvts"}),
        ("two.tts:one mi", {"mine="}),
        ("tw", {"two.tts"}),
        ("fol", {"folder/"}),
        ("folder/", {"folder/three.tts"}),
        ("beam_search --set de", {"depth="}),
        ("majority --sweep ", {"n="}),
        ("--source maj", {"majority"}),
        ("--problems ma", {"math500"}),
        ("--problems se", {"set.jsonl"}),
        ("--problems arith:", {"arith:train", "arith:calibration"}),
        ("best_of_n --scorer ", {"prm="}),
        ("best_of_n --scorer prm=b", {"prm=bundled"}),
        ("--policy vl", {"vllm:"}),
        ("--policy oll", {"ollama/"}),
        ("chain_of_code --policy ", {"python=", "policy=", "bundled"}),
        ("best_of_n --engine-arg ", {"policy.", "prm."}),
        ("--no-pass la", {"lazy_first"}),
        ("--budget to", {"tokens="}),
        ("--grader ch", {"choice"}),
        ("--out fo", {"folder/"}),
        ("--config ru", {"run.yaml"}),
        ("--completion f", {"fish"}),
        ("--lim", {"--limit"}),
        ("nosuch --set ", set()),
        ("broken.tts n", set()),
    ],
)
def test_candidates_of_tts_run(
    line: str, candidates: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("run.yaml", "set.jsonl", ".hidden.tts"):
        (tmp_path / name).touch()
    (tmp_path / "broken.tts").write_text("strategy (:\n")
    (tmp_path / "two.tts").write_text("strategy one(mine = 2):\n    return sample mine\n")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "three.tts").touch()
    found = completed(run_parser(), line)
    prefix = line.rpartition(" ")[2]
    assert candidates <= found
    assert all(each.startswith(prefix) and not each.startswith(".") for each in found)
    if not candidates:
        assert not found


def test_candidates_of_tts_compile() -> None:
    assert completed(compile_parser(), "majority --format m") == {"mermaid"}
    assert "beam_search" in completed(compile_parser(), "majority --equiv beam")
    assert completed(compile_parser(), "--expl") == {"--explain"}


@pytest.mark.parametrize("name", completion.COMMANDS)
def test_every_command_has_a_version_and_a_completion(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    module, _, function = SCRIPTS[name].partition(":")
    main = getattr(import_module(module), function)
    for option, said in (
        (["--version"], f"{name} {version('tts-lang')}\n"),
        (["--completion", "bash"], completion.script("bash")),
    ):
        with pytest.raises(SystemExit) as ended:
            main(option)
        assert (ended.value.code, capsys.readouterr()) == (0, (said, ""))


def test_every_command_is_completed() -> None:
    assert set(completion.COMMANDS) == set(SCRIPTS)


def test_another_shell_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    from tts_lang.cli.compile import run_command

    assert run_command(["--completion", "bsh"]) == 2
    assert "--completion: no completion for `bsh`; did you mean 'bash'?" in capsys.readouterr().err


def test_a_folder_that_cannot_be_read_has_no_candidates() -> None:
    assert list(completion.files(".tts")("no/such/folder/", Namespace())) == []


#: Per shell, a program that completes the line in $LINE and prints a candidate per line.
_SHELLS = {
    "bash": """
        source <(tts-compile --completion bash)
        for LINE in "$@"; do
            COMP_LINE=$LINE COMP_POINT=${#LINE} COMP_TYPE=9 COMPREPLY=()
            _python_argcomplete "${LINE%% *}"
            printf '%s ' "$LINE:" "${COMPREPLY[@]}"; echo
        done""",
    "zsh": """
        compdef() { }
        _describe() { reply=("${completions[@]}") }
        source <(tts-compile --completion zsh)
        for LINE in "$@"; do
            BUFFER=$LINE CURSOR=${#LINE} words=(${=LINE}) reply=()
            _python_argcomplete
            printf '%s ' "$LINE:" "${reply[@]}"; echo
        done""",
    "fish": """
        tts-compile --completion fish | source
        for LINE in $argv
            printf '%s ' "$LINE:" (complete -C $LINE); echo
        end""",
}


@pytest.mark.parametrize("shell", _SHELLS)
def test_the_script_works_in_the_shell(shell: str, tmp_path: Path) -> None:
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"{shell} is not installed")
    for command, module in MODULES.items():
        file = tmp_path / command
        file.write_text(
            f"#!{sys.executable}\nfrom {module} import main; main()\n# PYTHON_ARGCOMPLETE_OK\n"
        )
        file.chmod(0o755)
    start = ["-c", _SHELLS[shell], *([] if shell == "fish" else [shell])]
    done = subprocess.run(
        [program, *start, "tts-run beam_search --set wi", "tts-compile --expl"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={
            **os.environ,
            "PATH": f"{tmp_path}:{os.environ['PATH']}",
            "PYTHONPATH": f"{ROOT}:{ROOT / 'runtime'}",
            "HOME": str(tmp_path),
            "TERM": "dumb",
        },
        timeout=120,
    )
    first, second = done.stdout.splitlines()
    assert first.split(":")[1].split() == ["width="], done.stderr
    assert "--explain" in second.split(":", 1)[1], done.stderr
