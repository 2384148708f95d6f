"""`--seeds`: every problem under several seeds, in one run directory."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tts_runtime
from tests.support.runs import plan_of
from tests.support.tts_run import Command
from tts_runtime.cli.show import show_command as show
from tts_runtime.problems.model import Trial
from tts_runtime.record.reader import open_run
from tts_runtime.runs.seeds import distinct_seeds, in_words, seeds_in
from tts_runtime.stats.proportions import clustered_wilson

TWO = ("majority", "greedy", "--set", "n=3", "--policy", "sim", "--problems", "two.jsonl")


@pytest.mark.parametrize(
    ("text", "seeds"),
    [
        ("3", (3,)),
        ("0..4", (0, 1, 2, 3, 4)),
        ("0,3,7", (0, 3, 7)),
        (" 0 .. 2 , 10", (0, 1, 2, 10)),
        ("-2..1", (-2, -1, 0, 1)),
        ("1_000", (1000,)),
        ("5..5", (5,)),
    ],
)
def test_seeds_as_they_are_written(text: str, seeds: tuple[int, ...]) -> None:
    assert seeds_in(text) == seeds


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "expected N, not an empty text"),
        ("0..", "expected a whole number"),
        ("..4", "expected a whole number"),
        ("0...4", "expected a whole number"),
        ("0-4", "expected a whole number, 0..4 or 0,3,7, found `0-4`"),
        ("1,,2", "expected a whole number"),
        ("4..0", "expected a range that rises, such as 0..4, found `4..0`"),
        ("0..2,1", "seed 1 is given twice"),
        ("0..999999999999", "more than 10,000 seeds"),
        ("1e3", "expected a whole number"),
        ("٣", "expected a whole number"),
        ("9" * 30, "expected a whole number of at most 18 digits, found `999"),
    ],
)
def test_what_are_no_seeds(text: str, said: str, tts_run: Command) -> None:
    with pytest.raises(ValueError, match=r"seed|expected"):
        seeds_in(text)
    code, out, err = tts_run(
        "greedy", "--policy", "sim", "--problems", "two.jsonl", f"--seeds={text}"
    )
    assert (code, out) == (2, "")
    assert f"error: --seeds: {said}" in err


@given(st.sets(st.integers(-30, 30), min_size=1))
def test_seeds_in_words_are_read_back(seeds: set[int]) -> None:
    words = in_words(sorted(seeds))
    assert set(seeds_in(words.partition(" ")[2])) == seeds
    assert words.startswith("seeds") == (len(seeds) > 1)


@pytest.mark.parametrize("wrong", [[], "0..4", [0, 0], [1.5], None, ["1"]])
def test_settings_refuse_what_are_no_seeds(wrong: object) -> None:
    with pytest.raises(ValueError, match="seed"):
        tts_runtime.Settings(seeds=wrong)  # type: ignore[arg-type]
    assert distinct_seeds(range(3)) == (0, 1, 2)


def test_a_run_under_several_seeds_is_all_of_its_runs(tts_run: Command) -> None:
    found = tts_run.json(*TWO, "--seeds", "0..2", "--out", "all")
    for row in found:
        assert (row["problems"], row["trials"], row["seeds"]) == (2, 6, [0, 1, 2])
    run = open_run("all")
    assert run.seeds == [0, 1, 2]
    for seed in range(3):
        alone = f"seed-{seed}"
        tts_run.json(*TWO, "--seed", str(seed), "--out", alone)
        for name in ("majority", "greedy"):
            assert run.answers(name, seed) == open_run(alone).answers(name)
            for problem in run.problems:
                tree = run.tree(problem, name, seed)
                assert tree == open_run(alone).tree(problem, name)
                assert tree.answer.seed == seed
    assert not run.verify()
    answers = run.answers("majority")
    assert [each.trial for each in answers] == [
        Trial(problem, seed) for seed in range(3) for problem in ("one", "line-2")
    ]
    row, graded = found[0], [each.correct for each in answers if each.correct is not None]
    interval = clustered_wilson([(sum(graded), len(graded))])  # of the one with a gold answer
    assert (row["accuracy_low"], row["accuracy_high"]) == pytest.approx(interval)
    assert row["policy_tokens"] == sum(each.policy_tokens for each in answers)
    texts = {run.tree("one", "majority", seed).text(1) for seed in range(3)}
    assert len(texts) > 1


def test_more_seeds_and_more_problems_continue_a_run(tts_run: Command) -> None:
    assert tts_run(*TWO, "--limit", "1", "--out", "run")[0] == 0
    assert tts_run(*TWO, "--seeds", "2", "--out", "run")[0] == 0
    code, out, _ = tts_run(*TWO, "--seeds", "0..2", "--out", "run")
    assert (code, "seeds 0..2" in out) == (0, True)
    tts_run.json(*TWO, "--seeds", "0..2", "--out", "whole")
    run, whole = open_run("run"), open_run("whole")
    assert (run.seeds, run.verify()) == ([0, 1, 2], [])
    for name in ("majority", "greedy"):
        assert run.answers(name) == whole.answers(name)
    # A session that asks for less reads it, and tells of what it asked for.
    code, out, err = tts_run(*TWO, "--seeds", "1", "--limit", "1", "--out", "run")
    assert (code, "everything was finished before" in err, "seed 1" in out) == (0, True, True)
    [majority, _] = tts_run.json(*TWO, "--seeds", "1", "--out", "run")
    assert (majority["trials"], majority["seeds"]) == (2, [1])


def test_a_damaged_line_costs_one_trial(tts_run: Command) -> None:
    command = (*TWO, "--seeds", "0..2", "--out", "run")
    tts_run.json(*command)
    path = Path("run", "majority", "nodes.jsonl")
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    lines[1] = lines[1].replace(b'"text"', b'"tex\x00"')
    path.write_bytes(b"".join(lines))
    before = open_run("run").answers("majority")
    tts_run.json(*command)
    assert open_run("run").answers("majority") == before
    assert sorted(path.read_bytes().splitlines()) == sorted(whole.splitlines())


def test_show_knows_seeds(tts_run: Command, capsys: pytest.CaptureFixture[str]) -> None:
    tts_run.json(*TWO, "--seeds", "0..2", "--out", "run")
    capsys.readouterr()
    marks = {True: "+", False: "-", None: "?"}
    run = open_run("run")
    grades = [marks[each.correct] for each in run.answers("majority") if each.id == "one"]
    assert show(["run"]) == 0
    out = capsys.readouterr().out
    assert "seeds 0..2" in out
    assert f"  {''.join(grades)} one  " in out
    assert show(["run", "line-2", "--seed", "2", "--strategy", "majority"]) == 0
    out = capsys.readouterr().out
    assert "majority, seed 2: " in out
    winner = run.tree("line-2", "majority", 2)
    assert winner.answer.node is not None
    assert all(line.strip() in out for line in winner.text(winner.answer.node).splitlines())
    assert show(["run", "--seed", "7"]) == 2
    assert "run has seeds 0..2, not 7" in capsys.readouterr().err


def test_a_question_is_asked_once(tts_run: Command) -> None:
    code, _, err = tts_run("greedy", "--policy", "sim", "--ask", "1 + 1", "--seeds", "0..1")
    assert (code, "--ask answers one question once: it goes with one seed" in err) == (2, True)


def test_seeds_from_python_and_a_notebook(tmp_path: Path) -> None:
    settings = tts_runtime.Settings(policies={"policy": "sim"}, seeds=range(2), out=tmp_path / "r")
    [result] = tts_runtime.run(plan_of("return sample 1"), ["1 + 1"], settings=settings)
    assert [answer.trial for answer in result.answers] == [("row-1", 0), ("row-1", 1)]
    assert result.summary.seeds == [0, 1]
    assert "<td>1</td>" in result._repr_html_()
    [again] = tts_runtime.run(plan_of("return sample 1"), ["1 + 1"], settings=settings)
    assert again.answers == result.answers
    assert again.resumed == {Trial("row-1", 0), Trial("row-1", 1)}
