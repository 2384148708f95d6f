"""The optimiser's options of `tts-compile`."""

from __future__ import annotations

import json

import pytest

from tts_lang.cli import main


def run(*arguments: str) -> int:
    """The exit code of a command."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    code = ended.value.code
    assert isinstance(code, int)
    return code


def test_explain_shows_what_each_pass_saved(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("token_conditional", "--explain", "--verify") == 0
    out = capsys.readouterr().out
    assert "policy calls                             2           1  fused 1" in out
    assert run("token_conditional", "--explain", "--no-pass", "fused") == 0
    assert "saved by" not in capsys.readouterr().out


def test_the_trace_says_why_rules_did_not_fire(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("beam_search", "--explain", "--only-pass", "selections", "--trace") == 0
    out = capsys.readouterr().out
    assert "select-keeps-all did not fire: the pool may have more than" in out
    assert "chain-fused" not in out


def test_json_has_the_figures_and_the_trace(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("token_conditional", "--format", "json") == 0
    made = json.loads(capsys.readouterr().out)["optimiser"]
    figures = {figure["name"]: figure for figure in made["figures"]}
    assert figures["policy calls"] == {
        "name": "policy calls",
        "raw": 2,
        "optimised": 1,
        "saved": {"fused": 1},
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("greedy", "--explain", "--no-pass", "fuse"), "did you mean 'fused'?"),
        (("greedy", "--verify"), "--verify goes with --explain"),
    ],
)
def test_mistakes(
    arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments) == 2
    assert message in capsys.readouterr().err
