"""Comparisons of strategies: beside the table of a run, in `tts-show`, from Python."""

from __future__ import annotations

from pathlib import Path

import pytest

import tts_runtime
from tests.support.tts_run import Command
from tts_runtime.cli.show import show_command
from tts_runtime.record.reader import open_run


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_a_run_of_several_strategies_compares_them(
    tts_run: Command,
    columns: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    command = ("greedy", "majority", "best_of_n", "--set", "n=2", "--policy", "sim", "--scorer",
               "prm=sim", "--problems", "two.jsonl", "--seeds", "0..1", "--out", "run")  # fmt: skip
    code, out, _ = tts_run(*command)
    assert code == 0
    table = out[out.rindex("\n\n") :]
    assert " against greedy" in table
    assert max(map(len, table.splitlines())) <= columns
    for word in ("difference", "majority", "best_of_n", "cannot tell", "Holm", "points"):
        assert word in table
    assert show_command(["run", "--compare", "greedy"]) == 0
    assert capsys.readouterr().out.strip() == table.strip()
    assert show_command(["run", "--compare", "majority", "--compare", "best_of_n"]) == 0
    assert " against majority" in capsys.readouterr().out
    assert show_command(["run", "--compare", "gredy"]) == 2
    assert "did you mean 'greedy'?" in capsys.readouterr().err
    run = open_run("run")
    found = run.compare("majority", "greedy")
    assert (found.problems, found.trials) == (1, 2)  # the other has no gold answer


def test_what_has_no_answer_yet_is_not_compared(
    tts_run: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ("greedy", "majority", "best_of_n", "--set", "n=2", "--policy", "sim", "--scorer",
               "prm=sim", "--problems", "two.jsonl", "--out", "run")  # fmt: skip
    assert tts_run(*command)[0] == 0
    Path("run/best_of_n/answers.jsonl").unlink()
    assert show_command(["run", "--compare", "greedy"]) == 0
    out = capsys.readouterr().out
    assert "\n best_of_n" not in out
    assert out.endswith("\nnot compared, no graded answer in common: best_of_n\n")
    Path("run/majority/answers.jsonl").unlink()
    code, err = show_command(["run", "--compare", "greedy"]), capsys.readouterr().err
    assert (code, "no other strategy has a graded answer in common with greedy" in err) == (2, True)


def test_results_compare_from_python() -> None:
    sim = tts_runtime.Settings(policies={"policy": "sim"})
    results = tts_runtime.run(["greedy", "majority"], [{"problem": "1+1", "answer": "2"}],
                              settings=sim, parameters={"n": 2})  # fmt: skip
    found = results.compare("majority")
    assert (found.left, found.right, found.trials) == ("majority", "greedy", 1)
    with pytest.raises(KeyError):
        results.compare("dvts")
