"""`tts-tune` over a recorded run, from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.tts_run import Call, Command
from tts_runtime.cli.metrics import metrics_command
from tts_runtime.cli.tune import tune_command
from tts_runtime.cli.tune_bins import _overheads
from tts_runtime.cli.tune_text import _times
from tts_runtime.record.reader import open_run
from tts_runtime.stats.load import read_experiment
from tts_runtime.stats.samples import samples_of


def test_every_candidate_has_its_grade(grid: Path) -> None:
    run = open_run(grid / "run")
    graded = 0
    for tree in run.strategy("best_of_n[n=6]").trees():
        for node in tree.nodes.values():
            assert node.correct == (None if node.answer is None else
                                    node.answer_key == tree.problem.answer)  # fmt: skip
            graded += node.correct is not None
        winner = tree.winner
        assert winner is not None
        assert bool(winner.correct) == bool(tree.answer.correct)
    assert graded


def test_what_was_replayed_is_of_the_same_policy(grid: Path, call: Call, tts_run: Command) -> None:
    replayed = ("majority", "--sweep", "n=3,4", "--policy", f"replay:{grid / 'run'}")
    assert tts_run(*replayed, "--seeds", "0..1", "--quiet", "--out", "replayed")[0] == 0
    code, out, err = call(tune_command, grid / "run", "replayed")
    assert (code, err) == (0, "")
    assert "24 problems, 8 strategies; policy sim; prm sim; difficulty" in out


def test_probes_are_free_where_they_are_drawn_anyway(grid: Path, call: Call) -> None:
    """`best_of_n[n=2]` draws both probes itself, so the budget of its own cost has room for it."""
    options = ("--difficulty", "predicted", "--probes", "2", "--bins", "2")
    code, out, _ = call(tune_command, grid / "run", *options)
    assert code == 0
    rows = [line.split()[0] for line in out.splitlines() if line.startswith(" best_of_n")]
    assert rows == ["best_of_n[n=2]", "best_of_n[n=6]"]  # n=1 cannot pay for the second probe


def test_what_probes_cost_is_a_mean_over_all_problems(grid: Path) -> None:
    """Votes end once they are decided: what they draw of the probes is another number each time."""
    experiment = read_experiment([grid / "run"])
    drawn = [
        sum(node.op == "expand" for node in tree.nodes.values())
        for tree in open_run(grid / "run").strategy("majority[n=6]").trees()
    ]
    assert len(drawn) == 48
    share = sum(drawn) / (6 * len(drawn))
    assert share not in (drawn[0] / 6, 1)
    overheads = _overheads(experiment, "best_of_n[n=6]", None, 6, 100.0)
    assert overheads["majority[n=6]"] == pytest.approx(100 * (1 - share))
    assert overheads["best_of_n[n=6]"] == 0
    assert _overheads(experiment, "best_of_n[n=6]", "prm", 6, 100.0)["majority[n=6]"] == 100


def test_one_problem_is_too_few(grid: Path, call: Call, tts_run: Command) -> None:
    for count in (1, 2):
        arguments = ("best_of_n", "majority", "--set", "n=2", "--policy", "sim", "--quiet")
        options = ("--scorer", "prm=sim", "--limit", str(count), "--out", f"of{count}")
        assert tts_run(*arguments, *options, "--problems", str(grid / "problems.jsonl"))[0] == 0
        code, _, err = call(tune_command, f"of{count}", "--difficulty", "field:rate", "--bins", "2")
        assert (code, "to one problem only" in err) == ((2, True) if count == 1 else (0, False))


def test_a_solution_that_a_limit_cut_is_a_sample(tts_run: Command) -> None:
    Path("cut.tts").write_text(
        "strategy limited(n = 4):\n    pool = sample n max 3 tokens\n    return vote pool\n"
    )
    arguments = ("cut.tts", "--policy", "sim", "--problems", "two.jsonl", "--quiet")
    assert tts_run(*arguments, "--no-pass", "short_circuit", "--out", "cut")[0] == 0
    tree = open_run("cut").tree("one", "limited")
    assert any(node.finish == "length" for node in tree.nodes.values())
    assert len(samples_of(tree).samples) == 4


def test_tune_writes_a_strategy_that_runs(grid: Path, call: Call, tts_run: Command) -> None:
    for options in (
        ("--difficulty", "oracle"),
        ("--difficulty", "field:rate", "--bins", "2"),
        ("--difficulty", "predicted", "--probes", "2", "--bins", "3", "--baseline", "majority"),
        ("--budget", "50", "--budget", "5e3", "--cost", "tokens"),
        ("--cost", "samples", "--budget", "6"),
    ):
        code, out, err = call(tune_command, grid / "run", "-o", "tuned.tts", *options)
        assert (code, err) == (0, ""), (options, err)
        assert "24 problems, 6 strategies; policy sim; prm sim; difficulty" in out
        assert "best possible" in out
        text = Path("tuned.tts").read_text()
        assert text.startswith('import "')
        rated = Path("rated.jsonl")
        rated.write_text('{"problem": "1 + 1", "answer": "2", "rate": 0.4, "pass_rate": 0.4}\n')
        arguments = ("tuned.tts", "--policy", "sim", "--problems", "rated.jsonl", "--quiet")
        codes = [tts_run(*arguments, *scorer)[0] for scorer in ((), ("--scorer", "prm=sim"))]
        assert 0 in codes  # the second where the choice needs no scorer is a mistake


def test_tune_writes_what_it_measured_or_nothing(grid: Path, call: Call, tts_run: Command) -> None:
    own = Path("own", "majority.tts")
    own.parent.mkdir()
    own.write_text("strategy majority(n = 2):\n    return vote (sample n at temperature 0.3)\n")
    arguments = (str(own), "--sweep", "n=1,4", "--policy", "sim", "--quiet", "--out", "own/run")
    assert tts_run(*arguments, "--problems", str(grid / "problems.jsonl"))[0] == 0
    tune = (tune_command, "own/run", "-o", "tuned.tts")
    assert call(*tune)[0] == 0
    assert 'import "own/majority.tts"' in Path("tuned.tts").read_text()
    Path("tuned.tts").unlink()
    own.write_text(own.read_text().replace("0.3", "0.9"))
    code, _, err = call(*tune)
    assert (code, "own/majority.tts does not say any more what ran as majority[n=" in err) == (
        2,
        True,
    )
    assert not Path("tuned.tts").exists()


def test_tune_compares_with_the_baseline_at_equal_cost(grid: Path, call: Call) -> None:
    code, out, _ = call(tune_command, grid / "run")
    assert code == 0
    assert "budget of" in out
    for word in ("best_of_n[n=1]", "best_of_n[n=6]", "gain over best_of_n[n=6]", "95 % interval"):
        assert word in out
    assert "easy" in out
    assert "points above" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--cost", "flop"), "--cost: `flop`: did you mean 'flops'?"),
        (("--difficulty", "orakel"), "--difficulty: `orakel`"),
        (("--difficulty", "field:level"), "has no number in field level"),
        (("--difficulty", "field:far"), "problem p5 has no number in field far"),
        (("--bins", "1"), "--bins: must be 2 or more"),
        (("--probe", "majorty"), "--probe: `majorty`"),
        (("--baseline", "dvts"), "--baseline: no strategy `dvts` here"),
        (("--budget", "0"), "--budget: must be 1 or more"),
        (("--budget", "1e999"), "--budget: expected a number, such as 2000 or 2e3, found `1e999`"),
        (("--budget", "tokens=5"), "expected a number, such as 2000 or 2e3, found `tokens=5`"),
        (("--budget", "nan"), "expected a number"),
        (("--budget", "1"), "in every bin; the smallest that one fits is"),
        (("--difficulty", "predicted", "--probes", "99"), "has 6 samples of a problem"),
        (("--probes", "9"), "--probes belongs to --difficulty predicted, not to"),
        (("--scorer", "foo"), "--scorer belongs to --difficulty predicted"),
        (("--probe", "majority[n=6]", "--difficulty", "field:rate"),
         "--probe belongs to --difficulty oracle or --difficulty predicted"),
        (("--out", "tuned.txt"), "tuned.txt is no file of strategies: name it tuned.tts"),
        (("--out", "none/tuned.tts"), "there is no folder none"),
    ],
)  # fmt: skip
def test_what_tune_refuses(grid: Path, call: Call, arguments: tuple[str, ...], said: str) -> None:
    code, _, err = call(tune_command, grid / "run", *arguments)
    assert (code, said in err) == (2, True), err
    assert call(tune_command, grid)[0] == 2


def test_a_choice_that_costs_more_is_said_to() -> None:
    assert _times(2.4, None, 2.8, "tokens") == (
        "2.4 times fewer tokens (95 % interval not reached to 2.8)"
    )
    assert _times(0.5, None, 0.8, "flops") == (
        "2.0 times more flops (95 % interval 1.2 to not reached)"
    )


def test_budgets_that_nothing_fits_are_left_out_with_a_word(grid: Path, call: Call) -> None:
    code, _, err = call(tune_command, grid / "run", "--budget", "1")
    least = err.partition("the smallest that one fits is ")[2].strip()
    code, out, _ = call(tune_command, grid / "run", "--budget", "1", "--budget", least)
    assert code == 0
    assert f"left out, as no strategy fits below {least} in every bin: 1 tokens\n" in out
    assert f"at most {least} tokens" in out


def test_budgets_are_in_order_and_fields_name_their_bins(grid: Path, call: Call) -> None:
    options = ("--difficulty", "field:rate", "--bins", "2", "--cost", "samples")
    budgets = [text for each in ("6.2", "1", "5.8") for text in ("--budget", each)]
    code, out, _ = call(tune_command, grid / "run", *options, *budgets)
    assert code == 0
    assert [line.split()[2] for line in out.splitlines() if line.startswith(" at most")] == [
        "1", "5.8", "6.2"
    ]  # fmt: skip
    assert "left out" not in out
    bins = out.partition("the choice with the largest budget:\n")[2].splitlines()[:2]
    assert bins[0].startswith("  rate above 0.")
    assert bins[1].startswith("  the others (")


def test_what_is_compared_has_the_same_seeds(grid: Path, call: Call, tts_run: Command) -> None:
    common = ("--set", "n=3", "--policy", "sim", "--quiet")
    for out, *run in (
        ("one", "best_of_n", "--scorer", "prm=sim"),
        ("same", "majority"),
        ("more", "majority", "--seeds", "0..4"),
        ("other", "majority", "--seed", "7"),
    ):
        run += ["--problems", str(grid / "problems.jsonl"), "--out", out]
        assert tts_run(*run, *common)[0] == 0
    tune = (tune_command, "one", "--difficulty", "field:rate", "--bins", "2", "--budget", "9999")
    _, right, _ = call(*tune, "same")
    code, out, _ = call(*tune, "more")
    assert (code, "their seeds: 96 answers\n" in out) == (0, True)
    assert [line for line in out.splitlines() if not line.startswith("left out")] == (
        right.splitlines()
    )
    code, _, err = call(*tune, "other")
    assert (code, "no problem has a graded answer of every strategy under one seed" in err) == (
        2,
        True,
    )


def test_one_strategy_alone_is_no_choice_and_an_oracle_never(
    grid: Path, call: Call, tts_run: Command
) -> None:
    common = ("--policy", "sim", "--problems", str(grid / "problems.jsonl"), "--out")
    assert tts_run("majority", *common, "one")[0] == 0
    code, _, err = call(tune_command, "one")
    assert (code, "only majority is recorded, so there is nothing to choose" in err) == (2, True)
    assert tts_run("pass_at", "majority", "--sweep", "n=1,4", *common, "oracle")[0] == 0
    code, out, _ = call(tune_command, "oracle")
    assert (code, "left out, as they know the answer: pass_at[n=4]" in out) == (
        0,
        True,
    )
    assert "): pass_at[n=4]" not in out


def test_records_of_other_engines_are_not_mixed(grid: Path, call: Call, tts_run: Command) -> None:
    assert tts_run("majority", "--policy", "sim:2", "--problems", str(grid / "problems.jsonl"),
                   "--out", "other")[0] == 0  # fmt: skip
    code, _, err = call(tune_command, grid / "run", "other")
    assert (code, "policy is sim in one directory and sim:2 in other" in err) == (2, True)
    code, _, err = call(tune_command, grid / "run", grid / "run")
    assert (code, "is in two directories" in err) == (2, True)


@pytest.mark.parametrize(
    ("row", "more", "said"),
    [
        ({"problem": "2 + 2", "answer": "1"}, (), "problem p has another text in other"),
        ({"problem": "1 + 1", "answer": "2"}, (), "problem p has another gold answer in other"),
        ({"problem": "1 + 1", "answer": "1"}, ("--grader", "text"), "has another grader in other"),
    ],
)
def test_other_problems_of_one_name_are_not_joined(
    call: Call, tts_run: Command, row: dict[str, str], more: tuple[str, ...], said: str
) -> None:
    first = {"problem": "1 + 1", "answer": "1"}
    for strategy, out, each, options in (
        ("best_of_n", "one", first, ("--scorer", "prm=sim")),
        ("majority", "same", first, ()),
        ("majority", "other", row, more),
    ):
        rows = [{"id": "p", **each}, {"id": out, **first}]
        Path("p.jsonl").write_text("".join(json.dumps(each) + "\n" for each in rows))
        arguments = (strategy, "--set", "n=2", "--policy", "sim", "--problems", "p.jsonl")
        assert tts_run(*arguments, *options, "--out", out, "--quiet")[0] == 0
    code, _, err = call(tune_command, "one", "other")
    assert (code, said in err) == (2, True), err
    difficulty = (metrics_command, "difficulty", "--write", "rated.jsonl")
    code, _, err = call(*difficulty, "--strategy", "majority", "same", "other")
    assert (code, said in err) == (2, True), err


def test_problems_of_all_directories_are_rated(grid: Path, call: Call, tts_run: Command) -> None:
    for out, first in (("a", "0"), ("b", "3")):
        part = ("--offset", first, "--limit", "5", "--out", out)
        arguments = ("majority", "--set", "n=2", "--policy", "sim", "--quiet")
        assert tts_run(*arguments, "--problems", str(grid / "problems.jsonl"), *part)[0] == 0
    difficulty = (metrics_command, "difficulty", "a", "b", "--write", "rated.jsonl")
    code, out, _ = call(*difficulty, "--strategy", "majority")
    assert (code, "written to rated.jsonl: 8 problems" in out) == (0, True)
