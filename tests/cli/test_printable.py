"""Texts of others are shown, never obeyed: on terminals, in pages, in files."""

from __future__ import annotations

import io
import json
import logging
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from tests.support.tts_run import SIM, Command
from tts_lang.cli.compile import run_command
from tts_lang.cli.printing import in_color
from tts_lang.printable import printable
from tts_runtime.cli.command import _show_notices

#: Clears the screen, turns what follows around, rings, and C1's short form of an escape sequence.
HOSTILE = "\x1b[2J\u202e\x07\x9b31m"
SHOWN = "\\u001b[2J\\u202e\\u0007\\u009b31m"
OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


@given(st.text(st.characters(codec=None), max_size=40))
def test_nothing_that_a_terminal_obeys_is_left(text: str) -> None:
    shown = printable(text)
    assert not OBEYED.search(shown)
    assert "\n" not in printable(text, line=True)
    shown.encode()  # no half of a surrogate pair
    assert printable(shown) == shown


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126)))
def test_plain_text_stays_as_it_is(text: str) -> None:
    assert printable(text) == text


@given(st.recursive(st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_a_json_document_keeps_its_meaning(value: object) -> None:
    assert json.loads(printable(json.dumps(value, ensure_ascii=False))) == value


def test_names_and_documents_of_strategies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    def tts_compile(*arguments: str) -> tuple[int, str, str]:
        code = run_command(arguments)
        return code, *capsys.readouterr()

    name = f"s{HOSTILE}.tts"
    text = f'strategy s():\n    """Says {HOSTILE}."""\n    return sample 1 at temperature x\n'
    (tmp_path / name).write_text(text)
    code, _, said = tts_compile(name)
    assert code == 2
    assert SHOWN in said
    assert not OBEYED.search(said)
    (tmp_path / "s.tts").write_text(text.replace("at temperature x", ""))
    for form in ("text", "json", "html", "dot", "mermaid"):
        code, shown, said = tts_compile("s.tts", "--explain", "--format", form)
        assert code == 0, said
        assert not OBEYED.search(shown), form
    _, plan, _ = tts_compile("s.tts", "-o", "-")
    assert not OBEYED.search(plan)
    assert HOSTILE in json.loads(plan)["plan"]["document"]


def test_ids_errors_and_files_of_a_run(tts_run: Command) -> None:
    problem = {"id": f"one{HOSTILE}\nerror: forged", "problem": "1 + 1", "answer": HOSTILE}
    Path("hostile.jsonl").write_text(json.dumps(problem) + "\n")
    judged = (
        "scorer orm per solution\n\nstrategy s():\n    pool = sample 2\n    score pool by orm\n"
    )
    Path("s.tts").write_text(judged + "    return best of pool by orm\n")
    run = ("s.tts", *SIM[:2], "--problems", "hostile.jsonl", "--scorer", f"orm=field:{HOSTILE}")
    code, out, err = tts_run(*run, "--out", "run")
    assert code == 3
    assert SHOWN in err
    assert "\nerror: forged" not in err
    for text in (
        out,
        err,
        *(path.read_text() for path in Path("run").rglob("*") if path.is_file()),
    ):
        assert not OBEYED.search(text)
    [answer] = Path("run", "s", "answers.jsonl").read_text().splitlines()
    assert json.loads(answer)["id"] == problem["id"]
    assert not OBEYED.search(tts_run(*run, "--json")[1])


def test_what_engines_log(capsys: pytest.CaptureFixture[str]) -> None:
    logger = logging.getLogger("tts_runtime")
    before = logger.handlers[:]
    try:
        _show_notices(Console(stderr=True, width=200), logging.INFO)
        logger.getChild("engines.openai").warning("server says %s", HOSTILE)
    finally:
        logger.handlers = before
    assert f"server says {SHOWN}" in capsys.readouterr().err


def test_colons_in_names_are_no_pictures(tts_run: Command) -> None:
    Path("fire.py").write_text("def star(problem, texts): return [0.5 for _ in texts]\n")
    code, out, err = tts_run("best_of_n_outcome", *SIM, "--scorer", "orm=python:fire:star")
    assert code == 0, err
    assert "orm python:fire:star;" in out


@pytest.mark.parametrize(
    ("variables", "colored"),
    [
        ({"TERM": "xterm-256color"}, True),
        ({"TERM": "xterm-256color", "NO_COLOR": "1"}, False),
        ({"TERM": "dumb"}, False),
    ],
)
def test_colors_are_for_terminals_that_have_them(
    variables: dict[str, str], colored: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    assert in_color(terminal) is colored
    assert not in_color(io.StringIO())
