"""`tts-metrics` over a recorded run, from the command line."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.tts_run import Call, Command
from tts_runtime.cli.command import run_command
from tts_runtime.cli.metrics import metrics_command
from tts_runtime.cli.rated import write_problems
from tts_runtime.cli.tune import tune_command
from tts_runtime.problems import Problem, problems_named
from tts_runtime.record.reader import open_run
from tts_runtime.stats.load import ExperimentError
from tts_runtime.stats.samples import samples_of


def test_metrics_of_samples_rewards_and_costs(grid: Path, call: Call) -> None:
    code, out, err = call(metrics_command, "samples", grid / "run", "--strategy", "best_of_n[n=6]")
    assert (code, err) == (0, "")
    assert "of k samples, of weighted votes over at most 200 (Chen" in " ".join(out.split())
    assert out.startswith(" best_of_n[n=6] ")
    for word in ("pass@k (coverage)", "maj@k", "best of k by last(prm)", "k=4", "48 answers"):
        assert word in out
    run = open_run(grid / "run")
    alone = [each.correct for each in run.answers("best_of_n[n=6]")]
    code, out, _ = call(metrics_command, "samples", grid / "run", "--k", "6", "--strategy",
                        "best_of_n[n=6]")  # fmt: skip
    line = next(line for line in out.splitlines() if "best of k" in line)
    assert f"{100 * sum(map(bool, alone)) / 48:.1f} %" in line  # all n: what the strategy got
    code, out, err = call(metrics_command, "samples", grid / "run", "--k", "7")
    assert (code, out) == (2, "")
    assert "best_of_n[n=6]: at most 6 samples of a problem, fewer than --k\nmajority[n=1]" in err
    code, out, err = call(metrics_command, "samples", grid / "run", "--k", "2")
    assert (code, err, out.count("at most 1 sample of a problem")) == (0, "", 2)
    _, out, _ = call(metrics_command, "samples", grid / "run", "--k", "1,6", "--strategy",
                     "majority[n=6]")  # fmt: skip
    sampled = [samples_of(tree) for tree in run.strategy("majority[n=6]").trees()]
    six = sum(len(each.samples) == 6 for each in sampled)
    assert 0 < six < 48  # the votes of the others had been decided
    assert re.search(rf" answers with k samples +48 +{six}\n", out)
    code, out, _ = call(metrics_command, "rewards", grid / "run", "--strategy", "best_of_n[n=6]")
    assert ("answers with k samples" in out, "pools differ in size" in out) == (False, False)
    assert (code, all(each in out for each in ("prod(prm)", "tokens per step", "plain vote"))) == (
        0, True)  # fmt: skip
    code, out, _ = call(metrics_command, "costs", grid / "run")
    assert (code, "majority[n=6]" in out, "solved" in out) == (0, True, True)


@pytest.mark.parametrize(
    ("strategy", "engines", "decided"),
    [
        ("weighted_best_of_n", (), True),
        # The ends of a search differ in number by themselves.
        ("beam_search", ("--policy", "sim", "--scorer", "prm=sim", "--problems", "arith"), False),
    ],
)
def test_decided_votes_are_said_to_have_left_samples_out(
    call: Call, tts_run: Command, strategy: str, engines: tuple[str, ...], decided: bool
) -> None:
    tts_run(strategy, "n=4", "--limit", "4", *engines, "--out", "run")
    sizes = {len(samples_of(tree).samples) for tree in open_run("run").strategy(strategy).trees()}
    assert len(sizes) > 1
    for what in ("samples", "rewards"):
        code, out, _ = call(metrics_command, what, "run")
        said = "pools differ in size: some ended once" in " ".join(out.split())
        assert (code, said) == (0, decided)


def test_difficulty_is_written_back_as_a_field(grid: Path, call: Call, tts_run: Command) -> None:
    code, out, _ = call(metrics_command, "difficulty", grid / "run", "--write", "rated.jsonl")
    assert (code, "written to rated.jsonl: 24 problems" in out) == (0, True)
    rows = [json.loads(line) for line in Path("rated.jsonl").read_text().splitlines()]
    assert {row["difficulty"] for row in rows} <= {"easy", "medium", "hard"}
    assert all(row["rate"] < 1 for row in rows)
    rates = {(12 * row["pass_rate"]).is_integer() for row in rows}  # of six samples, two seeds
    assert rates == {True}
    code, out, _ = tts_run("greedy", "--policy", "sim", "--problems", "rated.jsonl", "--where",
                           "pass_rate>=0", "--limit", "1")  # fmt: skip
    assert code == 0
    code, out, _ = call(metrics_command, "difficulty", grid / "run", "--scorer", "prm", "--bins",
                        "3", "--strategy", "best_of_n[n=6]")  # fmt: skip
    assert (code, "predicted" in out) == (0, True)


def test_problems_without_scores_have_no_predicted_difficulty(
    grid: Path, call: Call, tts_run: Command
) -> None:
    """What is rated is counted; absolute bins are of shares."""
    Path("orm.py").write_text(
        "def orm(problem, texts):\n"
        "    number = int(problem.text.split()[0])\n"
        "    return [None if number < 3 else (number - 9) / 1e5 for _ in texts]\n"
    )
    Path("best.tts").write_text(
        "scorer orm per solution\n\n"
        "strategy best(n = 2):\n    pool = sample n\n    score pool by orm\n"
        "    return best of pool by orm\n"
    )
    command = ("best.tts", "--policy", "sim", "--scorer", "orm=python:orm.py:orm", "--out", "run")
    assert tts_run(*command, "--problems", str(grid / "problems.jsonl"))[0] == 0
    rated = (metrics_command, "difficulty", "run", "--scorer", "orm")
    code, out, _ = call(*rated, "--bins", "2")
    assert (code, "21 problems, 42 samples\n" in out) == (0, True)
    assert re.search(r" level 1 +10 +4e-05 +9\.5e-05\n", out)
    assert "left out, as they have no score: 6 samples\n" in out
    code, _, err = call(*rated)
    assert (code, "--bins: mean orm is no pass rate" in err) == (2, True)


@pytest.mark.parametrize(
    ("problem", "lost"),
    [
        (Problem("1", "2 + 2", "4", before=(("user", "1 + 1"), ("assistant", "2"))), []),
        (Problem("q1", "1 + 1", "2", {"id": 7, "problem": "sums", "answer": "see key"}),
         ["id", "problem", "answer"]),
        (Problem("q1", "1 + 1", "2", {"Answer": "see key", "question": "which?"}), []),
        (Problem("q1", "1 + 1", None, {"Final Answer": "3", "level": 2}), ["Final Answer"]),
        (Problem("q", "Which?\n\nA. 1\nB. 2", "B", {"choices": ["1", "2"]}, "choice"), []),
        (Problem("q", "1 + 1", "2", {}, "number"), None),
    ],
)  # fmt: skip
def test_rated_problems_are_read_as_the_same(
    problem: Problem, lost: list[str] | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "rated.jsonl"
    write_problems(path, [problem], {problem.id: 1 / 3}, {problem.id: 0}, ["easy"], "pass_rate")
    said = capsys.readouterr().out
    [read] = problems_named(str(path))
    fields = {name: value for name, value in problem.fields.items() if name not in (lost or ())}
    assert dict(read.fields) == {**fields, "pass_rate": 1 / 3, "difficulty": "easy"}
    grader = None if lost is None else problem.grader
    assert replace(read, fields={}) == replace(problem, fields={}, grader=grader)
    assert (", ".join(lost) in said) if lost else ("left out" not in said)
    assert ("their own graders (number)" in said) == (lost is None)


def test_a_problem_that_no_row_says_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rated.jsonl"
    for problem in (
        Problem("q", "Which? A, B", "B", {"choices": ["B", "A"]}, "choice"),  # B is read as A
        Problem("q", "", "2", {"text_missing": True}),
    ):
        with pytest.raises(ExperimentError, match="problem q cannot be written"):
            write_problems(path, [problem], {"q": 0.5}, {"q": 0}, ["easy"], "pass_rate")


def test_scaling_and_matched_flops(grid: Path, call: Call) -> None:
    code, out, _ = call(metrics_command, "scaling", grid / "run", "--between", "0,1e9")
    assert (code, "Control: 100.0 % of 288 answers" in out) == (0, True)
    # No slope from one strategy to another.
    assert re.findall("(?:Scaling|Performance) of (\\w+): ", out) == [
        "best_of_n",
        "best_of_n",
        "majority",
        "majority",
    ]
    one = ("--strategy", "best_of_n[n=6]")
    assert (
        "Scaling: unknown: there is one run"
        in call(metrics_command, "scaling", grid / "run", *one)[1]
    )
    code, out, _ = call(metrics_command, "flops", grid / "run", "--size-ratio", "14")
    assert (code, "257.8 times" in out, "R = 22: " in out) == (0, True, True)


def test_without_grades_there_is_no_accuracy(
    grid: Path, tmp_path: Path, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("one", "two"):
        arguments = ["best_of_n", "--ask", f"What is {name}?", "--set", "n=2", "--policy", "sim"]
        arguments += ["--scorer", "prm=sim", "--quiet", "--out", str(tmp_path / name)]
        assert run_command(arguments) == 0
    capsys.readouterr()
    one, two = tmp_path / "one", tmp_path / "two"
    for what in (("flops", "--size-ratio", "14"), ("scaling",)):
        code, out, err = call(metrics_command, *what, one, two)
        assert (code, out) == (2, "")
        assert f"best_of_n ({one}): accuracy needs gold answers" in err
        code, out, _ = call(metrics_command, *what, one, grid / "run")
        assert (code, f"best_of_n ({one}): accuracy needs" in " ".join(out.split())) == (0, True)
    for figures in ("samples", "rewards"):
        code, out, err = call(metrics_command, figures, one, two)
        assert (code, out, err.count(f"({two}): no graded samples")) == (2, "", 1)


def test_what_failed_is_wrong_and_has_no_costs(call: Call, tts_run: Command) -> None:
    """Two seeds, problems without a level, where `scored` fails, and without an answer."""
    Path("scored.tts").write_text(
        "scorer orm per solution\n\nstrategy scored():\n    pool = sample 2\n"
        "    score pool by orm\n    return best of pool by orm\n"
    )
    rows = [
        {"id": f"p{at}", "problem": f"{at} + 1"}
        | ({"answer": str(at % 3)} if at % 4 != 3 else {})
        | ({"level": at} if at % 3 != 2 else {})
        for at in range(12)
    ]
    Path("p.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    arguments = ("scored.tts", "greedy", "--policy", "sim", "--scorer", "orm=field:level")
    more = ("--problems", "p.jsonl", "--seeds", "0..1", "--out", "run", "--quiet")
    assert tts_run(*arguments, *more)[0] == 3
    answers = open_run("run").answers("scored")
    graded = [each for each in answers if each.correct is not None]
    finished = [each for each in graded if not each.error]
    assert (len(answers), len(graded), len(finished)) == (24, 18, 12)
    tokens = sum(each.policy_tokens for each in finished) / len(finished)
    _, out, _ = call(metrics_command, "costs", "run")
    assert re.search(rf" scored +{sum(map(bool, (a.correct for a in graded)))} of 18 ", out)
    _, out, _ = call(metrics_command, "scaling", "run", "--between", "0,1e9")
    assert re.search(rf" scored +{tokens:.0f} ", out)
    assert "Control: 100.0 % of 40 answers" in out
    for figures in ("samples", "rewards", "difficulty"):
        _, out, _ = call(metrics_command, figures, "run", "--strategy", "scored")
        assert "left out, as they failed: 8 answers" in out
    code, out, _ = call(tune_command, "run", "--budget", "1000")  # not by the samples of `scored`
    assert (code, "pass rate of greedy's" in out) == (0, True)
    assert "failed, and so wrong at no cost: 6 answers" in out


def test_accuracies_of_different_problems_are_said_to_be_so(
    grid: Path, call: Call, tts_run: Command
) -> None:
    common = ("--policy", "sim", "--problems", str(grid / "problems.jsonl"), "--quiet", "--out")
    for strategy, *part in (("majority", "--limit", "5"), ("greedy", "--limit", "7"),
                            ("best_of_n", "--limit", "5", "--scorer", "prm=sim")):  # fmt: skip
        assert tts_run(strategy, *part, *common, strategy)[0] == 0
    assert tts_run("greedy", "--limit", "3", *common, "again")[0] == 0
    _, out, _ = call(metrics_command, "difficulty", "greedy", "again", "--strategy", "greedy")
    assert "by the samples of greedy: 7 problems, 10 samples" in out
    for what in (("flops", "--size-ratio", "14"), ("scaling",)):
        _, out, _ = call(metrics_command, *what, "majority", "greedy")
        assert "for different problems or seeds, 5 answers in common" in " ".join(out.split())
        assert "different problems" not in call(metrics_command, *what, "majority", "best_of_n")[1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("sampels", "x"), "no figures `sampels`; did you mean 'samples'?"),
        (("samples",), "name a run directory"),
        (("samples", "nowhere"), "nowhere is not a run directory"),
        (("costs", "x", "./x"), "x is named twice; name each run once"),
        (("flops",), "name the --size-ratio"),
        (("scaling", "x", "--between", "5,1"), "--between: LOW,HIGH: 5 is above 1"),
        (("flops", "--size-ratio", "nan"), "--size-ratio: expected a number, found `nan`"),
        (("flops", "--size-ratio", "0.5"), "the size ratio must be 1 or more"),
        (("costs", "x", "--k", "0"), "--k belongs to samples, not to costs"),
        (("rewards", "x", "--k", "4"), "--k belongs to samples, not to rewards"),
        (("samples", "x", "--bins", "3"), "--bins belongs to difficulty, not to samples"),
        (("rewards", "x", "--scorer", "prm"), "--scorer belongs to difficulty"),
        (("scaling", "x", "--write", "y"), "--write belongs to difficulty"),
        (("flops", "--between", "1,2"), "--between belongs to scaling"),
        (("costs", "x", "--size-ratio", "y"), "--size-ratio belongs to flops"),
        (("samples", "x", "--token-ratio", "1"), "--token-ratio belongs to flops"),
    ],
)
def test_what_metrics_refuses(call: Call, arguments: tuple[str, ...], said: str) -> None:
    code, _, err = call(metrics_command, *arguments)
    assert (code, said in err) == (2, True), err
