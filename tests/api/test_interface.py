"""The Python interface: `tts_lang.compile`, `diagnose` and `explain_plan`, `tts_runtime.run`."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tts_lang
import tts_runtime
from tts_runtime.engines.errors import CandidateError, Fault
from tts_runtime.problems.model import BadLine

TWO_MISTAKES = """strategy tries(n = 4):
    pool = smple n
    return vote pol
"""


def test_strategies_compile_by_name_file_and_text(tmp_path: Path) -> None:
    text = "strategy tries(n = 4):\n    return vote (sample n)\n"
    (tmp_path / "tries.tts").write_text(text)
    by_file = tts_lang.compile(tmp_path / "tries.tts", n=8)
    by_text = tts_lang.compile(tts_lang.Source.of(text), n="8")
    assert by_file.parameters == by_text.parameters == {"n": 8}
    assert by_file.body == by_text.body
    assert tts_lang.compile("beam_search", n=64).parameters["n"] == 64


def test_parameters_may_have_any_name() -> None:
    text = "strategy tries(strategy_ = 4):\n    return vote (sample strategy_)\n"
    assert tts_lang.compile(tts_lang.Source.of(text), strategy_=2).parameters == {"strategy_": 2}


@pytest.mark.parametrize("three", [np.int64(3), np.float32(3), np.str_("3"), Fraction(3)])
def test_numbers_of_any_type_are_parameters(three: Any) -> None:
    value = tts_lang.compile("majority", n=three).parameters["n"]
    assert value == 3
    assert type(value) in (int, float)


@pytest.mark.parametrize("value", [None, [3], {3}, np.array([3]), object()])
def test_what_is_no_parameter_is_named_with_its_type(value: Any) -> None:
    with pytest.raises(tts_lang.DiagnosticError) as caught:
        tts_lang.compile("majority", n=value)
    [error] = caught.value.diagnostics
    assert error.code == "TTS556"
    assert error.suggestion == f"it is of type `{type(value).__name__}`"


def test_what_cannot_be_compiled_raises_every_diagnostic() -> None:
    source = tts_lang.Source.of(TWO_MISTAKES)
    with pytest.raises(tts_lang.DiagnosticError, match=r"<text>:2:\d+: error\[TTS") as caught:
        tts_lang.compile(source)
    assert caught.value.diagnostics == tts_lang.diagnose(source)
    assert len(caught.value.diagnostics) == 2


@pytest.mark.parametrize(
    "error",
    [
        tts_lang.DiagnosticError(tts_lang.diagnose(tts_lang.Source.of(TWO_MISTAKES))),
        tts_runtime.ProblemFileError("x.jsonl", (BadLine(3, "no id"),), usable=False),
        tts_runtime.AnswerError("no answer", by_engine=True, wait=2.0),
        tts_runtime.EngineError("busy", wait=2.0),
        CandidateError(Fault.BLANK, "a blank step"),
    ],
)
def test_errors_of_another_process_arrive_as_they_were(error: Exception) -> None:
    """A pool of processes pickles what a worker raises; it hangs or breaks where that fails."""
    for other in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(other) is type(error)
        assert str(other) == str(error)
        assert vars(other) == vars(error)


def test_diagnose_reads_files_and_shipped_strategies(tmp_path: Path) -> None:
    (tmp_path / "bad.tts").write_text(TWO_MISTAKES)
    found = tts_lang.diagnose(tmp_path / "bad.tts")
    assert [each.source.position(each.span.start).line for each in found] == [2, 3]
    assert tts_lang.diagnose("beam_search") == ()
    (missing,) = tts_lang.diagnose(tmp_path / "none.tts")
    assert missing.code == "TTS100"
    with pytest.raises(tts_lang.DiagnosticError, match="did you mean 'beam_search'"):
        tts_lang.diagnose("beam_serch")


def test_plans_are_explained_in_every_form() -> None:
    plan = tts_lang.compile("beam_search", n=64)
    assert tts_lang.explain_plan(plan).startswith("beam_search(n = 64, width = 4, depth = 40)\n")
    assert "context window of 77 tokens" in tts_lang.explain_plan(plan, context=77)
    assert tts_lang.explain_plan(plan, "json").startswith("{")
    assert tts_lang.explain_plan(plan, "dot").startswith("digraph")
    assert "flowchart" in tts_lang.explain_plan(plan, "mermaid")
    assert tts_lang.explain_plan(plan, "html").startswith("<!DOCTYPE html>")
    with pytest.raises(ValueError, match="not one of text, json, dot, mermaid, html"):
        tts_lang.explain_plan(plan, "pdf")


def test_runs_give_typed_results() -> None:
    problems = [
        tts_runtime.Problem("one", "Start with 1 (mod 100)", "1"),
        tts_runtime.Problem("two", "Start with 2 (mod 100)"),
    ]
    settings = tts_runtime.Settings(policies={"policy": "sim"}, scorers={"prm": "sim"}, seeds=3)
    plan = tts_lang.compile("best_of_n", n=2)
    (by_plan,) = tts_runtime.run(plan, problems, settings=settings)
    by_name, other = tts_runtime.run(
        ["best_of_n", "majority"], problems, settings=settings, parameters={"n": 2}
    )
    assert isinstance(by_plan, tts_runtime.Result)
    assert by_plan.answers == by_name.answers
    assert [answer.id for answer in by_plan.answers] == ["one", "two"]
    assert by_plan.answers[1].correct is None
    assert (by_plan.summary.strategy, by_plan.summary.policy_calls) == ("best_of_n", 4)
    assert other.summary.strategy == "majority"


def test_what_cannot_be_compared_is_said(tmp_path: Path) -> None:
    settings = tts_runtime.Settings(policies={"policy": "sim"}, out=tmp_path / "run")
    results = tts_runtime.run(["majority", "greedy"], ["1 + 1"], settings=settings)
    with pytest.raises(KeyError, match="did you mean 'majority'"):
        results.compare("majorty")
    for compare in (results.compare, tts_runtime.open_run(tmp_path / "run").compare):
        with pytest.raises(ValueError, match="majority and greedy: no answer is graded for both"):
            compare("majority", "greedy")


def test_decorators_say_what_they_return() -> None:
    """Checked by mypy, which sees their types."""

    @tts_runtime.grader
    def bare(problem: tts_runtime.Problem, answer: str) -> bool:
        return problem.answer == answer

    @tts_runtime.grader(needs_gold=True)
    def with_gold(problem: tts_runtime.Problem, answer: str) -> bool:
        return bare(problem, answer)

    right: bool = with_gold(tts_runtime.Problem("p", "1 + 1", "2"), "2")
    assert right is True


def test_settings_take_what_a_program_writes(tmp_path: Path) -> None:
    """Checked by mypy, too: functions, a folder as a text, a set."""

    @tts_runtime.scorer(per="step")
    def even(_: tts_runtime.Problem, solutions: list[list[str]]) -> list[list[float]]:
        return [[0.5] * len(steps) for steps in solutions]

    def never(problem: tts_runtime.Problem, answer: str) -> bool:
        return answer == problem.id

    settings = tts_runtime.Settings(
        policies={"policy": "sim"},
        scorers={"prm": even},
        out=str(tmp_path / "run"),
        disabled={"fuse_expansions"},
        grader=never,
    )
    problem = tts_runtime.Problem("p", "1 + 1", "2")
    [result] = tts_runtime.run("best_of_n", [problem], settings=settings, parameters={"n": 2})
    assert result.answers[0].correct is False
    assert tts_runtime.open_run(tmp_path / "run").problems


def test_a_parameter_goes_to_the_strategies_that_have_it() -> None:
    problems = [tts_runtime.Problem("one", "Start with 1 (mod 100)", "1")]
    settings = tts_runtime.Settings(policies={"policy": "sim"}, scorers={"prm": "sim"})
    greedy, majority = tts_runtime.run(
        ["greedy", "majority"], problems, settings=settings, parameters={"n": 3}
    )
    assert greedy.summary.params == {}
    assert majority.summary.params == {"n": 3}
    plan = tts_lang.compile("majority", n=5)
    _, given, again = tts_runtime.run(
        ["greedy", plan, "majority"], problems, settings=settings, parameters={"n": 3}
    )
    assert (given.summary.params, again.summary.params) == ({"n": 5}, {"n": 3})
    for strategies in ("majority", ["majority", "greedy"]):
        with pytest.raises(tts_lang.DiagnosticError, match="parameter `m`"):
            tts_runtime.run(strategies, problems, settings=settings, parameters={"m": 3})


@pytest.mark.parametrize("module", [tts_lang, tts_runtime])
def test_every_listed_name_is_there_and_no_other(module: object) -> None:
    names: list[str] = module.__all__  # type: ignore[attr-defined]
    assert dir(module) == names
    for name in names:
        assert getattr(module, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = module.nothing  # type: ignore[attr-defined]


def test_importing_the_language_loads_nothing_else() -> None:
    code = (
        "import sys; before = set(sys.modules); import tts_lang; print(*set(sys.modules) - before)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    loaded = {name for name in done.stdout.split() if name.split(".")[0] in ("tts_lang", "lark")}
    assert loaded == {"tts_lang"}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"concurrency": 0}, "concurrency: at least 1, not 0"),
        ({"speculate": 2}, "speculate: a number from 0 to 1, not 2"),
        ({"speculate": float("nan")}, "speculate: a number from 0 to 1"),
        ({"replicas": 0}, "replicas: at least 1, not 0"),
        ({"keep": "text"}, "keep: expected ids or logprobs, found 'text'"),
    ],
)
def test_settings_outside_their_range_are_refused(changed: dict[str, Any], message: str) -> None:
    """As the command line refuses them."""
    with pytest.raises(ValueError, match=message):
        tts_runtime.Settings(**changed)
    assert tts_runtime.Settings(keep="ids").keep == ("ids",)


@pytest.mark.parametrize("engines", ["sim:1", ["sim:1"], None])
@pytest.mark.parametrize("which", ["policies", "scorers"])
def test_engines_come_by_name(which: str, engines: Any) -> None:
    with pytest.raises(TypeError, match=f"{which}: expected a dict, engines by name, not "):
        tts_runtime.Settings(**{which: engines})


def test_passes_may_be_a_list_or_one() -> None:
    for passes in (["lazy_first"], "lazy_first"):
        settings = tts_runtime.Settings(disabled=passes)
        assert settings.disabled == {"lazy_first"}


def test_all_passes_are_those_of_the_executor_too() -> None:
    """As `--no-pass all`: candidates that no later line reads are drawn, too."""
    policies = {"policy": "sim"}
    plan = tts_lang.compile(
        tts_lang.Source.of("strategy s():\n    return vote (first 1 of (sample 4))\n")
    )
    drawn = []
    for passes in ((), "all"):
        settings = tts_runtime.Settings(policies=policies, disabled=passes)
        [result] = tts_runtime.run(plan, ["1 + 1"], settings=settings)
        drawn.append(result.summary.policy_calls)
    assert drawn == [1, 4]
