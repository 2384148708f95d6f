"""What `tts-run` takes when engines and problems are not named, and options of other tools."""

from __future__ import annotations

import json

import pytest

import tts_lang
import tts_runtime
from tests.support.tts_run import SIM, Command
from tts_runtime.problems import Problem
from tts_runtime.runs.defaults import UnnamedError, completed


@pytest.mark.parametrize("policy", ["sim", "transformers:model", "openai:http://localhost:1#m"])
def test_beside_another_policy_scorer_and_problems_must_be_named(
    policy: str, tts_run: Command
) -> None:
    code, out, err = tts_run("best_of_n", "--policy", policy)
    assert (code, out) == (2, "")
    assert f"policy `policy` is `{policy}`" in err
    assert "name the scorer that best_of_n needs (`--scorer prm=ENGINE`)" in err
    assert "name the problem set (`--problems FILE.jsonl`)" in err


def test_only_what_is_not_named_is_asked_for(tts_run: Command) -> None:
    _, _, err = tts_run("best_of_n", *SIM)
    assert "--scorer prm=ENGINE" in err
    assert "--problems" not in err
    _, _, err = tts_run("majority", "--policy", "sim")
    assert "--problems FILE.jsonl" in err
    assert "--scorer" not in err
    assert tts_run("majority", *SIM)[0] == 0


def test_the_bundled_scorer_and_problems_can_be_named_beside_any_policy(tts_run: Command) -> None:
    named = ("--policy", "sim", "--problems", "arith", "--limit", "2")
    code, out, err = tts_run("majority", *named, "--set", "n=2")
    assert (code, err) == (0, "")
    assert "policy sim; problems arith (2); seed 0" in out


def test_what_the_bundled_policy_cannot_know_is_said(tts_run: Command) -> None:
    said = 'knows only problems such as "Start with 54; a: +76 (mod 100)"'
    code, _, err = tts_run("greedy", "--ask", "What is 17 x 3?")
    assert (code, said in err) == (0, True)
    assert tts_run("greedy", "--ask", "What is 17 x 3?", "--quiet")[2] == ""
    assert tts_run("greedy", "--ask", "Start with 4; a: *9 (mod 100)")[2] == ""
    assert tts_run("greedy", "--ask", "What is 17 x 3?", "--policy", "sim")[2] == ""


def test_one_policy_of_several_that_is_not_bundled_is_enough() -> None:
    source = "policy small\n\nstrategy s():\n    return sample 1 from small\n"
    plan = compiled(source)
    with pytest.raises(UnnamedError, match="policy `small` is `sim`"):
        completed([plan], {"small": "sim"}, {}, problems_named=False)
    assert completed([plan], {"small": "bundled"}, {}, problems_named=False) == (
        {"policy": "bundled", "small": "bundled"},
        {"prm": "bundled"},
    )


def test_a_tool_beside_the_bundled_policy_is_no_other_model() -> None:
    plan = tts_lang.compile("chain_of_code")
    tool = {"python": "exec:python?timeout=2"}
    policies, _ = completed([plan], tool, {}, problems_named=False)
    assert policies == {"policy": "bundled", **tool}
    for policies in ({"policy": "exec:python"}, {"policy": "sim", **tool}):
        with pytest.raises(UnnamedError, match="policy `policy` is"):
            completed([plan], policies, {}, problems_named=False)


def compiled(text: str) -> tts_lang.Plan:
    return tts_lang.compile(tts_lang.Source.of(text))


def test_the_same_holds_from_python() -> None:
    settings = tts_runtime.Settings(policies={"policy": "sim"})
    with pytest.raises(UnnamedError, match="name the problem set"):
        tts_runtime.run("majority", settings=settings)
    with pytest.raises(UnnamedError, match="name the scorer that best_of_n needs"):
        tts_runtime.run("best_of_n", [Problem(id="one", text="1 + 1")], settings=settings)


def test_tables_and_summaries_say_what_they_are_of(tts_run: Command) -> None:
    run = ("best_of_n", "majority", "--set", "n=2", *SIM, "--scorer", "prm=sim:3", "--seed", "5")
    assert "policy sim; prm sim:3; problems two.jsonl (2); seed 5" in tts_run(*run)[1]
    code, out, _ = tts_run(*run, "--json")
    assert code == 0
    assert {json.loads(line)["problem_set"] for line in out.splitlines()} == {"two.jsonl"}


@pytest.mark.parametrize(
    ("typed", "help_"),
    [
        ("--n 16", "`n` is a parameter of majority: write `n=16`"),
        ("--n=16", "write `n=16`"),
        ("-n 16", "write `n=16`"),
        ("--num-samples 8", "write `n=8`"),
        ("--width 4 beam_search", "`width` is a parameter of beam_search: write `width=4`"),
        ("--model gpt-4", "write `--policy ENGINE`"),
        ("--prm x", "write `--scorer prm=ENGINE`"),
        ("--dataset math500", "write `--problems FILE`"),
        ("--temperature 0.7", "write `temperature=0.7`"),
        ("--max-new-tokens 500", "write `length=500`"),
        ("--limits 3", "did you mean '--limit'?"),
        ("--policy gpt-4o-mini", "write `openai:https://HOST/v1#gpt-4o-mini`"),
        ("--policy Qwen/Qwen3-8B", "write `transformers:Qwen/Qwen3-8B`, or `vllm:Qwen/Qwen3-8B`"),
        ("--policy http://localhost:8000/v1", "write `openai:http://localhost:8000/v1#MODEL`"),
        ("--policy https://host/v1#m", "write `openai:https://host/v1#m`"),
        ("--policy localhost:8000", "write `openai:http://localhost:8000#MODEL`"),
        ("best_of_n --scorer a/b-PRM", "expected NAME=ENGINE; write prm=a/b-PRM"),
        (". --limit 2", "error[TTS553]: `.` is a folder"),
        ("best_of_n --scorer prm", "expected NAME=ENGINE; write prm=ENGINE"),
        ("best_of_n --scorer =sim", "expected NAME=ENGINE; write prm=sim"),
        ("--shard 3/2 --out x", "there is no shard 3/2: the last is 2/2"),
        ("--shard 0/2 --out x", "there is no shard 0/2: the first is 1/2"),
        ("--limit 99999999999999999999", "--limit: too large: expected at most 18 digits"),
        ("--budget tokens=-1", "`tokens=-1`: a budget must be 0 or more"),
        ("--budget tokens=nan", "`tokens=nan`: expected a number"),
        ("best_of_n --scorer prm=a/b-PRM", "write `auto:a/b-PRM`"),
        ("best_of_n --scorer prm=http://h:1#m", "write `http:http://h:1#m`"),
    ],
)
def test_what_other_tools_call_it_is_understood(typed: str, help_: str, tts_run: Command) -> None:
    code, out, err = tts_run("majority", *typed.split())
    assert (code, out) == (2, "")
    assert help_ in err
