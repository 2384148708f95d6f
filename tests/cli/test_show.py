"""`tts-show`: a run and a problem in the terminal."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import tts_runtime
from tts_runtime.cli.metrics import metrics_command
from tts_runtime.cli.show import show_command
from tts_runtime.problems import Problem
from tts_runtime.runs.sweeps import swept

Show = Callable[..., tuple[int, str, str]]


@pytest.fixture
def show(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Show:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    settings = tts_runtime.Settings(
        policies={"policy": "sim"}, scorers={"prm": "sim"}, out=Path("run"), concurrency=1
    )  # one after the other, so that lines have an order
    problems = [Problem("one", "What is\n1 + 1?", "2"), Problem("two", "2 + 2")]
    tts_runtime.run(
        ["majority", "beam_search"], problems, settings=settings, parameters={"n": 16, "depth": 3}
    )

    def call(*arguments: str) -> tuple[int, str, str]:
        code = show_command(arguments)
        out, err = capsys.readouterr()
        return code, out, err

    return call


def test_a_run_lists_its_strategies_and_answers(show: Show) -> None:
    code, out, err = show("run")
    assert (code, err) == (0, "")
    assert "2 problems" in out
    assert "policy sim; prm sim; seed 0" in out
    for name in ("majority", "beam_search"):
        assert f"\n{name}: 2 finished, " in out
    assert "  + one  2" in out
    assert "  ? two" in out


def test_a_problem_shows_its_tree_and_the_winners_text(show: Show) -> None:
    code, out, err = show("run", "one", "--strategy", "beam_search")
    assert (code, err) == (0, "")
    tree = tts_runtime.open_run("run").tree("one", "beam_search")
    assert tree.winner is not None
    assert "  What is\n  1 + 1?" in out
    assert f"winner: node {tree.winner.uid}, " in out
    assert out.rstrip().endswith(tree.text(tree.winner.uid).splitlines()[-1].rstrip())
    starred = [line.split()[1] for line in out.splitlines() if line.startswith("*")]
    assert starred == [str(node.uid) for node in tree.path(tree.winner.uid)]
    assert max(map(len, out.splitlines())) <= 80
    assert "more (--all shows them)" in out
    whole = show("run", "one", "--strategy", "beam_search", "--all")[1]
    assert len([line for line in whole.splitlines() if "  prm " in line]) == len(tree.nodes)


def test_what_went_wrong_is_told_with_its_reason(show: Show) -> None:
    @tts_runtime.scorer(per="step")
    def broken(_problem: object, _solutions: list[list[str]]) -> list[list[float]]:
        raise KeyError("score")

    settings = tts_runtime.Settings(
        policies={"policy": "sim"}, scorers={"prm": broken}, out=Path("broken")
    )
    tts_runtime.run("best_of_n", ["2 + 2"], settings=settings, parameters={"n": 2})
    code, out, _ = show("broken")
    assert code == 0
    assert "  prm: 2 of 2 scores missing (2 by an exception); none for 1 answer" in out
    assert "  warning: scorer `prm`: 2 of 2 scores missing, such as: " in out
    code, out, _ = show("broken", "row-1")
    assert code == 0
    assert "\nprm failed for nodes 1, 2: scorer `" in out
    assert "KeyError: 'score'" in out


def test_a_failed_problem_is_not_finished(show: Show) -> None:
    settings = tts_runtime.Settings(policies={"policy": "sim"}, out=Path("failed"))
    problems = [Problem("one", "1 + 1"), Problem("long", "1 + 1" * 1000)]
    tts_runtime.run("greedy", problems, settings=settings)
    assert "\ngreedy: 1 finished, not graded, 1 failed\n" in show("failed")[1]


def test_a_strategy_that_was_swept_is_answered_with_its_values(show: Show) -> None:
    settings = tts_runtime.Settings(policies={"policy": "sim"}, out=Path("sweep"))
    tts_runtime.run(swept(["majority"], {}, ["n=2,4"])[0], ["1 + 1"], settings=settings)
    code, _, err = show("sweep", "--strategy", "majority")
    assert code == 2
    assert "name one of the run's strategies: majority[n=2], majority[n=4]" in err


def test_an_id_with_a_line_end_stays_in_its_row(show: Show) -> None:
    settings = tts_runtime.Settings(policies={"policy": "sim"}, scorers={}, out=Path("odd"))
    tts_runtime.run(["greedy"], [Problem("a\nb", "1 + 1")], settings=settings)
    assert "  ? a\\u000ab  " in show("odd")[1]
    assert show("odd", "a\nb")[1].startswith("problem a\\u000ab\n")


def test_every_strategy_is_shown_without_a_name(show: Show) -> None:
    out = show("run", "one")[1]
    assert "majority: " in out
    assert "beam_search: " in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "on"], "no problem 'on' in run; did you mean 'one'?"),
        (["run", "zzzz"], "no problem 'zzzz' in run; the first is 'one'"),
        (["run", "--strategy", "majorty"], "did you mean 'majority'"),
        (["."], ". is not a run directory: it has no run.json"),
        ([], "error: DIR is missing"),
        (["run", "one", "--compare", "majority"], "--compare: it is over all problems and names"),
        (["run", "--compare", "majority", "--strategy", "majority"], "strategies; no --strategy"),
        (["run", "--compare", "majority", "--all"], "strategies; no --all"),
        (["run", "--all"], "--all shows every node of a problem: name the PROBLEM"),
        (["run", "--verfy"], "no such option: --verfy; did you mean '--verify'?"),
    ],
)
def test_mistakes_have_a_message_and_exit_with_2(
    show: Show, arguments: list[str], message: str
) -> None:
    code, out, err = show(*arguments)
    assert (code, out) == (2, "")
    assert message in err


def test_damaged_lines_are_named(show: Show, capsys: pytest.CaptureFixture[str]) -> None:
    assert show("run", "--verify")[1].endswith(
        "every line agrees with its checksum, and none is missing\n"
    )
    path = Path("run", "majority", "answers.jsonl")
    path.write_text(path.read_text().replace('"node":', '"nude":', 1))
    code, out, err = show("run")
    assert code == 2
    assert "majority: 1 finished" in out
    assert "damaged: majority/answers.jsonl:1: the checksum does not agree" in err
    # A comparison and figures have the same lines left out.
    code, out, err = show("run", "--compare", "beam_search")
    assert (code, "in common with beam_search" in err) == (2, True)
    assert "damaged: majority/answers.jsonl:1: " in err
    assert show("run", "--compare", "majority")[2].count("damaged: ") == 1  # and then an error
    assert metrics_command(["costs", "run"]) == 0
    assert "damaged, left out: majority/answers.jsonl:1: " in capsys.readouterr().err


def test_a_comparison_checks_what_it_reads(show: Show) -> None:
    code, out, err = show("run", "--compare", "majority", "--verify")
    assert (code, err) == (0, "")
    assert "every line agrees" in out
