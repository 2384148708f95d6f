"""`--config`, `TTS_*` variables, `--engine-arg`: precedence, merging, and where errors point."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.tts_run import Command


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TTS_POLICY", "sim")
    monkeypatch.setenv("TTS_PROBLEMS", "two.jsonl")


def config(text: str, name: str = "run.yaml") -> tuple[str, str]:
    Path(name).write_text(text, encoding="utf-8")
    return "--config", name


def test_the_command_line_wins_over_the_environment_and_that_over_the_file(
    tts_run: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = config("limit: 1\nseed: 3\nconcurrency: 2\n")
    [row] = tts_run.json("majority", *file)
    assert (row["problems"], row["seeds"]) == (1, [3])
    monkeypatch.setenv("TTS_LIMIT", "2")
    monkeypatch.setenv("TTS_SEED", "4")
    [row] = tts_run.json("majority", *file, "--seed", "5")
    assert (row["problems"], row["seeds"]) == (2, [5])


def test_a_file_holds_a_whole_run(tts_run: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TTS_POLICY")
    text = """
strategies: [majority, best_of_n]
set: {n: 3}
policy: sim
scorer: {prm: sim}
no_pass: [short_circuit]
where: level=3
json: true
"""
    code, out, err = tts_run(*config(text), "n=2")
    rows = [json.loads(line) for line in out.splitlines()]
    assert code == 0, err
    assert [row["strategy"] for row in rows] == ["majority", "best_of_n"]
    assert all(row["params"]["n"] == 2 for row in rows)


def test_numbers_of_a_file_are_read_as_the_command_line_reads_them(tts_run: Command) -> None:
    [row] = tts_run.json("majority", *config("seed: 010\nlimit: 2\nset: {n: 012}\n"))
    assert (row["seeds"], row["params"]) == ([10], {"n": 12})
    code, _, err = tts_run("majority", *config("seed: 1:30\n"))
    assert (code, "1:30" in err) == (2, True)


def test_options_of_pairs_are_merged_by_name(
    tts_run: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TTS_SET", "width=2 depth=3")
    file = config("scorer: {prm: nosuch}\nset: {n: 8, width: 4}\n")
    [row] = tts_run.json("beam_search", "--scorer", "prm=sim", "n=4", *file)
    assert row["params"] == {"n": 4, "width": 2, "depth": 3}
    assert row["scorers"] == {"prm": "sim"}


def test_a_sweep_replaces_a_configured_setting(tts_run: Command) -> None:
    rows = tts_run.json("majority", *config("set: {n: 8}\n"), "--sweep", "n=1,2")
    assert [row["params"] for row in rows] == [{"n": 1}, {"n": 2}]
    rows = tts_run.json("majority", *config("sweep: {n: [1, 2]}\n"))
    assert [row["params"] for row in rows] == [{"n": 1}, {"n": 2}]
    [row] = tts_run.json("majority", *config("sweep: {n: [1, 2]}\n"), "n=3")
    assert row["params"] == {"n": 3}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("limits: 3", "run.yaml: there is no option `limits`; did you mean 'limit'?"),
        ("n: 8", "no option `n`; a strategy's parameters stand under `set`, as `set: {n: 8}`"),
        ("list: true", "run.yaml: there is no option `list`"),
        ("config: other.yaml", "run.yaml: there is no option `config`"),
        ("limit: [1, 2]", "run.yaml (limit): expected one value"),
        ("strict: perhaps", "run.yaml (strict): expected true or false, found `perhaps`"),
        ("limit: 1\nlimit: 2", "run.yaml is not YAML: `limit` is given twice"),
        ("no-pass: all\nno_pass: all", "run.yaml: `no-pass` is given twice"),
        ("seed: 3\nseeds: 0..4", "run.yaml (seed) and run.yaml (seeds) are one option"),
        ("limit: {", "run.yaml is not YAML"),
        ("set: &a {x: *a}", "run.yaml is not YAML: found unconstructable recursive node"),
        ("- limit", "run.yaml: expected options and values"),
        ("limit: 0", "--limit 0 comes from run.yaml (limit)"),
        ("seed: 1.5", "--seed 1.5 comes from run.yaml (seed)"),
        ("policy: {policy: bundeld}", "--policy sim comes from TTS_POLICY"),
        ("set: {m: 3}", "--set m=3 comes from run.yaml (set)"),
        ("set: {n: many}", "--set n=many comes from run.yaml (set)"),
        ("budget: {token: 3}", "--budget token=3 comes from run.yaml (budget)"),
        ("where: nosuch=1", "--where nosuch=1 comes from run.yaml (where)"),
        ("no_pass: [nosuch]", "--no-pass nosuch comes from run.yaml (no-pass)"),
        ("engine-arg: {policy: {nosuch: 1}}", "comes from run.yaml (engine-arg)"),
        ("set: {n: }", "run.yaml (set): expected a value, not null"),
        ("ids: [a, null]", "run.yaml (ids): expected a value, not null"),
        ("strategies: [null]", "run.yaml (strategies): expected names of strategies"),
        ("strategies: {majority: {n: 4}}", "run.yaml (strategies): expected names of strategies"),
        ("strategies:", "no strategy: name a file, or a shipped strategy"),
        ("strategies: nosuch", "`nosuch` is neither a file nor a shipped strategy"),
    ],
)
def test_errors_of_a_file_name_it(tts_run: Command, text: str, said: str) -> None:
    strategy = () if "strategies" in text else ("majority",)
    code, out, err = tts_run(*strategy, *config(text))
    if "bundeld" in text:  # the environment wins
        assert code == 0
        return
    assert (code, out) == (2, "")
    assert said in err


def test_a_file_that_is_not_there(tts_run: Command) -> None:
    code, _, err = tts_run("majority", "--config", "none.yaml")
    assert (code, "none.yaml cannot be read: no such file" in err) == (2, True)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("TTS_LIMIT", "many", "--limit many comes from TTS_LIMIT"),
        ("TTS_POLICY", "bundeld", "--policy bundeld comes from TTS_POLICY"),
        ("TTS_STRICT", "maybe", "TTS_STRICT: expected true or false, found `maybe`"),
        ("TTS_SET", "n='3", "TTS_SET: No closing quotation"),
        ("TTS_SWEEP", "n=1,1", "--sweep n=1,1 comes from TTS_SWEEP"),
        ("TTS_PROBLEMS", "airth", "--problems airth comes from TTS_PROBLEMS"),
        ("TTS_CONFIG", "none.yaml", "none.yaml cannot be read"),
    ],
)
def test_errors_of_a_variable_name_it(
    tts_run: Command, monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    monkeypatch.setenv(name, value)
    code, out, err = tts_run("majority")
    assert (code, out) == (2, "")
    assert said in err


def test_an_error_of_the_command_line_names_no_other_source(tts_run: Command) -> None:
    _, _, err = tts_run("majority", "--limit", "0", *config("seed: 3\n"))
    assert "comes from" not in err


def test_a_mistyped_variable_is_warned_of(
    tts_run: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TTS_LIMITS", "1")
    monkeypatch.setenv("TTS_HOME", "/opt/speech")  # another program's
    code, _, err = tts_run("majority", "n=2")
    assert code == 0
    assert "warning: the variable TTS_LIMITS is not read; did you mean 'TTS_LIMIT'?" in err
    assert "TTS_HOME" not in err


@pytest.mark.parametrize(
    ("value", "on"), [("yes", True), ("1", True), ("0", False), ("", False), ("False", False)]
)
def test_switches(tts_run: Command, monkeypatch: pytest.MonkeyPatch, value: str, on: bool) -> None:
    monkeypatch.setenv("TTS_JSON", value)
    code, out, _ = tts_run("majority", "n=1")
    assert (code, out.startswith("{")) == (0, on)


def test_both_names_of_an_option_are_no_two_values(
    tts_run: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TTS_SEED", "3")
    assert tts_run.json("majority", *config("seeds: 4"))[0]["seeds"] == [3]
    monkeypatch.setenv("TTS_SEEDS", "5")
    code, out, err = tts_run("majority")
    assert (code, out) == (2, "")
    assert "TTS_SEED and TTS_SEEDS are one option; give it once" in err


def test_verbose_says_where_values_come_from_and_quiet_says_nothing(tts_run: Command) -> None:
    code, _, err = tts_run("majority", "n=2", "-v", *config("limit: 1\n"))
    assert code == 0
    assert "note: --limit 1 comes from run.yaml (limit)" in err
    assert "note: --policy sim comes from TTS_POLICY" in err
    noisy = ("dvts", "n=6", "--scorer", "prm=sim")
    assert "warning[TTS906]" in tts_run(*noisy)[2]
    assert tts_run(*noisy, "--quiet")[2] == ""
    code, out, err = tts_run("majority", "-q", "-v")
    assert (code, out, "contradict" in err) == (2, "", True)


# ------------------------------------------------------------------ --engine-arg


def test_engine_arguments_reach_the_engine(tts_run: Command) -> None:
    [row] = tts_run.json(
        "chain_of_code", "--policy", "python=exec:python", "--engine-arg", "python.timeout=2"
    )
    assert row["policies"] == {"policy": "sim", "python": "exec:python?timeout=2"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["policy.slots"], "`policy.slots`: expected NAME.KEY=VALUE"),
        (["policy.=3"], "expected NAME.KEY=VALUE"),
        (["policy.slots="], "expected NAME.KEY=VALUE"),
        (["slots=3"], "unknown option `slots`"),
        (["polcy.slots=3"], "`polcy` is not an engine here; did you mean 'policy'?"),
        (["policy.slots=3"], "engine `sim?slots=3`: unknown option `slots`"),
        (["policy.api_key=sk-123"], "a key in the command line"),
        (["polcy.api_key=sk-123"], "`polcy` is not an engine here"),
        (["policy.a=1", "policy.a=2"], "option `a` is given twice"),
    ],
    ids=lambda each: " ".join(each) if isinstance(each, list) else "",
)
def test_engine_arguments_that_cannot_be_used(
    tts_run: Command, arguments: list[str], said: str
) -> None:
    code, out, err = tts_run("majority", *(f"--engine-arg={each}" for each in arguments))
    assert (code, out) == (2, "")
    assert said in err
    assert "sk-123" not in err


def test_with_several_engines_the_name_is_needed(tts_run: Command) -> None:
    code, _, err = tts_run("best_of_n", "--scorer", "prm=sim", "--engine-arg", "slots=3")
    assert code == 2
    assert "of which engine? write one of policy.slots=3, prm.slots=3" in err


@pytest.mark.parametrize("value", ["a&b", "100%", "%26", "x=y", "a?b", "ä b"])
def test_any_value_reaches_the_engine(value: str) -> None:
    from tts_runtime.engines.options import parse_name, with_option, with_options

    written = with_option("transformers:m?slots=3", "binding", value)
    assert dict(parse_name(written).options) == {"slots": "3", "binding": value}
    assert parse_name(with_options("m", {"k": value})).options == (("k", value),)


# ------------------------------------------------------------------ --ask


def test_one_question(tts_run: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TTS_PROBLEMS")
    code, out, err = tts_run("majority", "n=4", "--ask", "What is 17 x 3?")
    assert (code, err) == (0, "")
    answer, _, text = out.partition("\n\n")
    assert answer.startswith("answer: ")
    assert answer.removeprefix("answer: ") in text
    assert "(4 calls, " in out
    rows = tts_run.json("majority", "greedy", "n=4", "--ask", "What is 17 x 3?")
    assert rows[0]["answer"] == answer.removeprefix("answer: ")
    assert text.startswith(str(rows[0]["text"]).strip("\n"))
    _, out, _ = tts_run("majority", "greedy", "n=4", "--ask", "What is 17 x 3?")
    assert [line for line in out.splitlines() if line.endswith(":")][:1] == ["majority:"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--ask", " "], "--ask: the question is empty"),
        (["--ask", "1 + 1", "--limit", "2"], "does not go with --limit"),
        (["--ask"], "--ask: expected a value: --ask TEXT"),
        (["--ask", "-3+5"], "--ask=-..."),
    ],
    ids=lambda each: " ".join(each) if isinstance(each, list) else "",
)
def test_questions_that_cannot_be_asked(
    tts_run: Command, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    monkeypatch.delenv("TTS_PROBLEMS")
    code, out, err = tts_run("majority", *arguments)
    assert (code, out) == (2, "")
    assert said in err


def test_a_configured_problem_set_gives_way_to_a_question(tts_run: Command) -> None:
    code, out, _ = tts_run("majority", "n=1", "--ask", "1 + 1")
    assert (code, out.startswith("answer: ")) == (0, True)
