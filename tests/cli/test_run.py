"""The `tts-run` command: what it prints, and what it says about mistakes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.tts_run import SIM, Command
from tts_lang.diagnostics import DiagnosticError
from tts_runtime.runs.sweeps import SweepError, _read, swept


def test_one_json_object_per_strategy(tts_run: Command) -> None:
    command = ("greedy", "majority", "--set", "n=3", *SIM, "--json", "--seed", "5")
    code, out, _ = tts_run(*command, "--no-pass", "all")
    assert code == 0
    greedy, majority = (json.loads(line) for line in out.splitlines())
    wanted = (
        "strategy params problems accuracy policy_tokens prompt_tokens scorer_tokens flops wall_s "
        "engines exact"
    )
    assert set(wanted.split()) <= set(greedy)
    assert (greedy["strategy"], greedy["params"], greedy["policy_calls"]) == ("greedy", {}, 2)
    assert (majority["params"], majority["policy_calls"]) == ({"n": 3}, 6)
    assert (majority["problems"], majority["seeds"], majority["exact"]) == (2, [5], True)
    # Time, and what engines did, are those of the run.
    assert (greedy["wall_s"], greedy["engines"]) == (majority["wall_s"], majority["engines"])
    assert greedy["engines"]["policy_calls"] == 8


def test_a_table_has_a_row_for_each_strategy(tts_run: Command) -> None:
    code, out, _ = tts_run("greedy", "majority", *SIM, "--set", "n=2")
    assert code == 0
    table, _ = out.split("against greedy")
    assert [word for word in table.split() if word in ("greedy", "majority")] == [
        "greedy",
        "majority",
    ]
    assert "mean per problem" in out


@pytest.mark.parametrize(
    ("arguments", "messages"),
    [
        (["beam_serch"], ["did you mean 'beam_search'?"]),
        (["none.tts"], ["none.tts", "no such file"]),
        (["majority", "--set", "m=4"], ["there is no parameter `m`", "known: n"]),
        (["majority", "--set", "n=abc"], ["`n` is a number, and not `abc`"]),
        (["majority", "n=1,2,4"], ["a parameter has one value; `--sweep n=1,2,4` runs several"]),
        (["majority", "n=1..4"], ["`--sweep n=1..4` runs several"]),
        (
            ["majority@n=4"],
            ["neither a file nor", "a parameter is a word of its own: majority n=4"],
        ),
        (["majority", "--set", "n"], ["expected NAME=VALUE", "for example n=64"]),
        (["majority", "--problems", "airth"], ["airth", "did you mean 'arith'?"]),
        (["majority", "--problems", "mine"], ["neither a file nor a problem set"]),
        (["majority", "--problems", "none.jsonl"], ["none.jsonl", "the file does not exist"]),
        (["majority", "--problems", "arith:tset"], ["arith:tset", "did you mean 'test'?"]),
        (["majority", "--limit", "0"], ["--limit: must be 1 or more, not 0"]),
        (["majority", "--limits", "3"], ["no such option: --limits; did you mean '--limit'?"]),
        (["majority", "--limit"], ["--limit: expected a value: --limit N", "tts-run --help"]),
        (["majority", "--limit", "many"], ["--limit: expected a whole number, found `many`"]),
        (["majority", "--concurrency", "0"], ["--concurrency: must be 1 or more, not 0"]),
        (
            ["majority", "--seed", "0.5"],
            ["--seeds: expected a whole number, 0..4 or 0,3,7, found `0.5`"],
        ),
        (["majority", "--budget", "token=3"], ["--budget: `token=3`", "tokens=2e6"]),
        ([], ["no strategy: name a file, or a shipped strategy"]),
        (["majority", "--policy", "bundeld"], ["did you mean 'bundled'?"]),
        (["majority", "--policy", "polcy=sim"], ["uses a policy `polcy`", "'policy'?"]),
        (["best_of_n", "--scorer", "sim"], ["expected NAME=ENGINE; write prm=sim"]),
        (["best_of_n", "--scorer", "pmr=sim"], ["uses a scorer `pmr`; did you mean 'prm'?"]),
        (["majority", "--scorer", "prm=sim"], ["uses a scorer `prm`; they use none"]),
        (["best_of_n", "--scorer", "prm=sim", "--scorer", "prm=sim"], ["given twice"]),
        (["revision_chains", *SIM], ["scorer `orm`", "--scorer orm="]),
        (["majority", "--out", "."], ["is not a run directory"]),
        (["majority", "--out", "two.jsonl"], ["two.jsonl is a file: name a new directory"]),
        (["majority", "majority", "--out", "x"], ["two strategies are called majority"]),
    ],
)
def test_mistakes_end_with_a_message_and_code_2(
    arguments: Sequence[str],
    messages: Sequence[str],
    tts_run: Command,
) -> None:
    if "--out" in arguments:
        arguments = [*arguments, *SIM]
    code, out, err = tts_run(*arguments)
    assert (code, out) == (2, "")
    for message in messages:
        assert message in err


def test_warnings_about_the_settings_are_shown(tts_run: Command) -> None:
    command = ("dvts", "--set", "n=6", *SIM, "--scorer", "prm=sim", "--json")
    code, out, err = tts_run(*command)
    assert (code, json.loads(out)["params"]["n"]) == (0, 6)
    assert "warning[TTS906]" in err
    assert "`n / width` is 1.5, rounded down to 1" in err


def test_every_broken_strategy_is_reported(tts_run: Command) -> None:
    for name in ("one", "two"):
        Path(f"{name}.tts").write_text(f"strategy {name}():\n    return smple 1\n")
    code, _, err = tts_run("one.tts", "two.tts", *SIM)
    assert code == 2
    assert "one.tts:2:12: error[TTS120]" in err
    assert "two.tts:2:12: error[TTS120]" in err


def test_bad_lines_of_a_problem_file_are_named(tts_run: Command) -> None:
    Path("bad.jsonl").write_text('{"id": 1, "problem": "x"}\nnonsense\n{"id": 1, "problem": "y"}\n')
    code, _, err = tts_run("majority", "--problems", "bad.jsonl")
    assert code == 2
    assert "line 2: not JSON" in err
    assert "line 3: the id '1' is already used on line 1" in err


def test_failed_problems_are_reported_and_the_others_answered(tts_run: Command) -> None:
    Path("s.tts").write_text(
        "scorer orm per solution\n\nstrategy s():\n    pool = sample 2\n    score pool by orm\n"
        "    return best of pool by orm\n"
    )
    command = ("s.tts", *SIM, "--scorer", "orm=field:level", "--json")
    code, out, err = tts_run(*command)
    assert code == 3
    assert (json.loads(out)["failed"], json.loads(out)["problems"]) == (1, 2)
    assert "1 of 2 problems failed; the first, line-2:" in err
    assert "no field `level`" in err
    assert "2 of 4 answers failed; the first, line-2:" in tts_run(*command, "--seeds", "0..1")[2]


def test_a_sweep_has_a_row_for_each_value_and_draws_as_the_largest(tts_run: Command) -> None:
    command = ("majority", *SIM, "--no-pass", "short_circuit", "--json")
    code, out, err = tts_run(*command, "--sweep", "n=1,2,4")
    assert code == 0
    rows = [json.loads(line) for line in out.splitlines()]
    assert [row["strategy"] for row in rows] == [f"majority[n={n}]" for n in (1, 2, 4)]
    assert [row["policy_calls"] for row in rows] == [2, 4, 8]
    drawn = rows[-1]["policy_tokens"]
    alone = sum(row["policy_tokens"] for row in rows)
    assert f"shared: {drawn:,} tokens drawn instead of {alone:,}" in err
    for row in rows:
        count = str(row["params"]["n"])
        _, single, _ = tts_run(*command, "--set", f"n={count}")
        found = json.loads(single)
        of_the_run = {"wall_s": 0, "engines": {}, "strategy": ""}
        assert {**found, **of_the_run} == {**row, **of_the_run}


def test_a_sweep_says_where_it_does_not_nest(tts_run: Command) -> None:
    body = "    few = sample n\n    more = sample n + 1\n    return vote (few + more)\n"
    Path("twice.tts").write_text(f"strategy twice(n = 2):\n{body}")
    code, _, err = tts_run("twice.tts", *SIM, "--sweep", "n=1,2")
    assert code == 0
    assert "twice.tts:3:12: other children at each value" in err
    assert "nothing is shared there, 5 calls a problem at most where 3 would do" in err


@pytest.mark.parametrize(
    ("sweep", "values"),
    [
        ("n=4", [4]),
        ("n=3..3", [3]),
        ("n=1..4", [1, 2, 3, 4]),
        ("n=1,2,...,8", [1, 2, 4, 8]),
        ("n=1,2,4,...,8", [1, 2, 4, 8]),
        ("n=1,2,...,5", [1, 2, 3, 4, 5]),
        ("n=2,4,6,...,8", [2, 4, 6, 8]),
    ],
)
def test_values_of_a_sweep_may_be_a_range(tts_run: Command, sweep: str, values: list[int]) -> None:
    code, out, _ = tts_run("majority", *SIM, "--json", "--sweep", sweep)
    assert code == 0
    rows = [json.loads(line) for line in out.splitlines()]
    assert [row["params"]["n"] for row in rows] == values
    assert [row["strategy"] for row in rows] == [f"majority[n={value}]" for value in values]


def test_each_strategy_takes_the_sweeps_of_its_parameters(tts_run: Command) -> None:
    sweeps = ("--sweep", "n=2,4", "--sweep", "reduce=last,min")
    command = ("majority", "best_of_n", *SIM, "--scorer", "prm=sim", "--no-pass", "short_circuit")
    code, out, err = tts_run(*command, "--json", *sweeps)
    assert code == 0
    rows = [json.loads(line) for line in out.splitlines()]
    assert [row["strategy"] for row in rows] == [
        "majority[n=2]",
        "majority[n=4]",
        *(f"best_of_n[n={n},reduce={reduce}]" for n in (2, 4) for reduce in ("last", "min")),
    ]
    drawn = rows[1]["policy_tokens"]
    assert (
        f"shared: {drawn:,} tokens drawn instead of {3 * (drawn + rows[0]['policy_tokens']):,}"
        in err
    )
    code, _, err = tts_run("majority", *SIM, *sweeps)
    assert code == 2
    assert "reduce" in err


@pytest.mark.parametrize(
    "sweep",
    [
        *("n", "n=", "n=1,,2", "n=1,1", "n=a..b", "n=1,...,4", "n=2,4,...,7", "n=4,2,...,1"),
        "n=4,4,...,8",
        *("n=3..1", "n=1..20000", "n=1,2,...,20000", "n=1..1000000000"),
    ],
)
def test_sweeps_that_cannot_be_read(tts_run: Command, sweep: str) -> None:
    code, _, err = tts_run("majority", *SIM, "--sweep", sweep)
    assert code == 2
    assert f"--sweep {sweep}" in err


@pytest.mark.parametrize(
    ("listed", "values"),
    [
        ("beam_search(width=2,depth=3), dvts", ["beam_search(width=2,depth=3)", "dvts"]),
        ('f(g(1,2),"),\\",(",3),h', ['f(g(1,2),"),\\",(",3)', "h"]),
        (':(,:),"a,b"', [":(", ":)", '"a', 'b"']),
        ("f(1,2", ["f(1", "2"]),
        ("0,2,...,6", ["0", "2", "4", "6"]),
    ],
)
def test_values_of_a_sweep_are_read(listed: str, values: list[str]) -> None:
    assert _read(f"x={listed}") == ("x", values)


@pytest.mark.parametrize(
    ("parameters", "sweeps", "said"),
    [
        ({"n": "3"}, ["n=1,2"], "`n` has a value twice, or is in --set too"),
        ({}, ["n=1,2", "n=4"], "`n` has a value twice, or is in --set too"),
        ({"widht": "3"}, ["n=1,2"], "widht"),
        ({"n": "3"}, ["widht=1,2"], "widht"),
    ],
)
def test_a_parameter_is_there_and_has_one_value(
    parameters: dict[str, str], sweeps: list[str], said: str
) -> None:
    with pytest.raises((SweepError, DiagnosticError), match=said):
        swept(["majority", "greedy"], parameters, sweeps)


def test_calls_are_swept_over() -> None:
    sweep = "on_hard=beam_search(width=2,depth=3),dvts"
    [first, second], _ = swept(["compute_optimal_oracle"], {}, [sweep])
    assert first.strategy == "compute_optimal_oracle[on_hard=beam_search(width=2,depth=3)]"
    assert second.parameters["on_hard"] == "dvts"


def test_values_of_a_sweep_differ_as_numbers(tts_run: Command) -> None:
    code, _, err = tts_run("majority", *SIM, "--sweep", "n=4,4.0")
    assert (code, "--sweep: n=4 and n=4.0 are the same" in err) == (2, True), err


def test_passes_are_left_out_by_name(tts_run: Command) -> None:
    command = ("greedy", *SIM, "--no-pass")
    assert tts_run(*command, "lazy_first")[0] == 0
    code, _, err = tts_run(*command, "short_circut")
    assert code == 2
    assert "did you mean `short_circuit`" in err or "did you mean 'short_circuit'" in err


def test_analyze_shows_actual_beside_expected(tts_run: Command) -> None:
    command = ("majority", "--set", "n=4", *SIM, "--no-pass", "all", "--analyze")
    code, out, _ = tts_run(*command)
    assert code == 0
    lines = {line.split(":")[0].strip(): line.split() for line in out.splitlines() if line.strip()}
    assert lines["majority.tts"][-5:-3] == ["4.0", "4.0"]  # candidates
    totals = {" ".join(words[:2]): words[2:] for words in lines.values()}
    assert totals["policy calls"] == ["4.0", "4.0", "4"]
    actual, expected, most = (float(each.replace(",", "")) for each in totals["prefilled tokens"])
    assert actual == expected < most == 1024


def test_a_typo_does_not_run_for_days(tts_run: Command) -> None:
    code, out, err = tts_run("majority", "--set", "n=10000000000", *SIM)
    assert (code, out) == (2, "")
    assert "majority may hold 10,000,000,000 rows in one pool" in err
    assert "--budget rows=1e10" in err


def test_a_budget_of_flops_takes_sizes_of_models(tts_run: Command) -> None:
    command = ("majority", "--set", "n=4", *SIM, "--budget", "flops=1e12")
    code, _, err = tts_run(*command)
    assert code == 2
    assert "--assume params=7e9" in err
    assert tts_run(*command, "--assume", "params=1e6")[0] == 0
    code, _, err = tts_run(*command, "--assume", "orm_params=1e6")
    assert code == 2
    assert "--assume: no strategy here uses a model `orm`; they use: policy" in err
    code, _, err = tts_run(*command, "--assume", "params=7e9")
    assert code == 2
    assert "FLOPs per problem, more than the budget of 1,000,000,000,000" in err


def test_a_budget_is_held_before_anything_runs(tts_run: Command) -> None:
    code, out, err = tts_run("majority", *SIM, "--budget", "calls=15")
    assert (code, out) == (2, "")
    assert "more than the budget of 15" in err


@pytest.mark.parametrize(
    "arguments",
    [
        ("--policy", "{}"),
        ("--policy", "{}/{}"),
        ("--policy", "replay:{}"),
        ("--policy", "transformers:sim?binding={}"),
        ("--scorer", "prm={}", "--policy", "sim"),
        ("--grader", "{}", "--policy", "sim"),
        ("--problems", "{}", "--policy", "sim"),
        ("--problems", "{}.jsonl", "--policy", "sim"),
        ("--out", "{}", *SIM),
    ],
)
def test_a_name_too_long_for_a_file_is_one_that_is_not_there(
    tts_run: Command, arguments: tuple[str, ...]
) -> None:
    long = [each.format("x" * 300, "y" * 300) for each in arguments]
    code, out, err = tts_run("best_of_n", "n=1", *long)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")


def test_a_budget_is_held_with_the_windows_of_the_engines(tts_run: Command, tmp_path: Path) -> None:
    """A window that was assumed too small bounds nothing."""
    few = ("--budget", "tokens=100", "--assume", "context=90", "--out", str(tmp_path / "run"))
    code, out, err = tts_run("greedy", *SIM, *few)
    assert (code, out) == (2, "")
    assert "may take 256 tokens per problem, more than the budget of 100" in err
    assert "the context window here is 256 tokens" in err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("flag", ["--policy", "--scorer"])
def test_an_engine_without_a_name_is_refused(tts_run: Command, flag: str) -> None:
    name = "policy" if flag == "--policy" else "prm"
    code, _, err = tts_run("best_of_n", flag, f"{name}=")
    assert code == 2
    assert f"`{name}=`: expected an engine after `{name}=`" in err


def test_a_missing_scorer_is_said_before_engines_are_opened(tts_run: Command) -> None:
    head = "scorer orm per solution\nstrategy judged(n = 2):\n    pool = sample n\n"
    tail = "    score pool by orm\n    return best of pool by orm\n"
    Path("judged.tts").write_text(head + tail)
    code, _, err = tts_run("judged.tts", "--policy", "transformers:no-such-engine", *SIM[2:])
    assert code == 2
    assert "needs a scorer `orm`" in err
    assert "no-such-engine" not in err


def test_every_engine_name_is_understood_before_one_is_opened(
    tts_run: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tts_runtime.engines.registry.load_policy", pytest.fail)
    code, _, err = tts_run("best_of_n", "--problems", "two.jsonl", "--scorer", "prm=bundeld")
    assert code == 2
    assert "unknown scorer engine `bundeld`; did you mean 'bundled'?" in err


def test_names_of_a_sweep_stand_in_the_table(tts_run: Command) -> None:
    code, out, _ = tts_run("majority", *SIM, "--sweep", "n=1,2")
    assert code == 0
    table, _ = out.split("against majority[n=1]")
    assert [word for word in table.split() if word.startswith("maj")] == [
        "majority[n=1]",
        "majority[n=2]",
    ]
