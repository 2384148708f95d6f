"""The optimiser's options of `tts-compile`."""

from __future__ import annotations

import json
import re

import pytest

from tests.support.agreement import compiled
from tts_lang.cli import main
from tts_lang.optimise import PASSES, optimise
from tts_lang.optimise.rewriter import Edit
from tts_lang.optimise.rules import Keeps, Match, Pass, Pattern, Rule
from tts_lang.plan import graph
from tts_lang.plan.verify import PlanError


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
    assert re.search(r"^  policy calls +2 +1  fuse_expansions 1$", out, re.MULTILINE)
    assert re.search(r"^  fuse_expansions: chain-fused once: child 0 continues", out, re.MULTILINE)
    for others in (
        ("--no-pass", "fuse_expansions"),
        ("--no-pass", "all"),
        ("--only-pass", "eliminate_dead"),
    ):
        assert run("token_conditional", "--explain", *others) == 0
        assert "saved by" not in capsys.readouterr().out
    for same in (
        ("--only-pass", "fuse_expansions"),
        ("--only-pass", "all"),
        ("--no-pass", "eliminate_dead"),
    ):
        assert run("token_conditional", "--explain", *same) == 0
        assert "fuse_expansions 1" in capsys.readouterr().out


def test_the_trace_says_why_rules_did_not_fire(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("beam_search", "--explain", "--only-pass", "simplify_selections", "--trace") == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "select-keeps-all did not fire: the pool may have more than" in out
    assert "chain-fused" not in out
    assert run("beam_search", "--set", "width=1", "--explain", "--trace") == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "eliminate_dead: unread-score 2 times: a score changes its column" in out
    for passed in PASSES:  # every rule says how often it fired, or why it did not
        for rule in passed.rules:
            if rule.keeps is not Keeps.TEXTS:  # the prover's alone
                continue
            name = re.escape(f"{passed.name}: {rule.name} ")
            assert re.search(name + r"(once|\d+ times|did not fire): \w", out), rule.name


def test_a_broken_plan_is_told_with_the_pass_that_broke_it() -> None:
    """`--verify`: what a rule broke is caught behind its pass."""
    raw = compiled("strategy main():\n    p = sample 3\n    return vote p\n")

    def undeclared(match: Match) -> Edit | None:
        if isinstance(match.it.spec, graph.Vote):
            return match.respecified(graph.Score("nobody"))
        return None

    broken = Pass("breaking", (Rule("undeclared", Pattern(), undeclared, "none"),))
    with pytest.raises(PlanError, match=r"pass breaking \(undeclared\) broke the plan"):
        optimise(raw, passes=(broken,), check=True)


def test_json_has_the_figures_and_the_trace(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("token_conditional", "--format", "json") == 0
    made = json.loads(capsys.readouterr().out)["optimiser"]
    figures = {figure["name"]: figure for figure in made["figures"]}
    assert figures["policy calls"] == {
        "name": "policy calls",
        "raw": 2,
        "optimised": 1,
        "saved": {"fuse_expansions": 1},
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("greedy", "--explain", "--no-pass", "fuse_expansion"), "did you mean 'fuse_expansions'?"),
        (("greedy", "--verify"), "--verify goes with --explain"),
    ],
)
def test_mistakes(
    arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments) == 2
    assert message in capsys.readouterr().err
