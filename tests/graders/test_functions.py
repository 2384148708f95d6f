"""Scorers, graders and problem sets that are functions of the user's own."""

# ruff: noqa: ARG001, ARG002, ARG005  (functions take what the interface gives)

from __future__ import annotations

import asyncio
import json
import pickle
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tts_lang
import tts_runtime
from tts_runtime.engines.base import (
    CandidateError,
    EngineError,
    Fault,
    ScoreReply,
    ScoreRequest,
)
from tts_runtime.engines.python import PythonScorer
from tts_runtime.graders.function import FunctionGrader
from tts_runtime.plugins import function_named
from tts_runtime.problems import Problem, ProblemFileError, problems_given, problems_named

REWARDS = """
import tts_runtime

@tts_runtime.scorer(per="solution", range=(0, 1))
def brevity(problem, solutions):
    return [1 / (1 + len(text)) for text in solutions]

@tts_runtime.grader
def ends_well(problem, answer, text):
    return text.endswith(problem.fields["end"])

@tts_runtime.grader(needs_gold=True)
async def same_letter(problem, answer):
    return answer.strip("()") == problem.answer

def broken(problem, solutions):
    raise ValueError("no such table")

def problems():
    return ["1 + 1", {"question": "2 + 2", "answer": 4}]

number = 3
"""


@pytest.fixture
def rewards(tmp_path: Path) -> str:
    path = tmp_path / "my_rewards.py"
    path.write_text(REWARDS)
    return str(path)


def replies(scorer: PythonScorer, *texts: str, steps: bool = False) -> list[Any]:
    async def ask() -> list[Any]:
        requests = [
            ScoreRequest("1 + 1", FIELDS, text, tuple(text.split()) if steps else (text,))
            for text in texts
        ]
        return await asyncio.gather(*map(scorer.score, requests), return_exceptions=True)

    return asyncio.run(ask())


FIELDS: dict[str, object] = {"answer": "2", "level": 3}


def test_requests_that_come_together_are_one_call() -> None:
    calls: list[int] = []

    @tts_runtime.scorer(range=(None, None))
    def length(problem: Problem, solutions: list[str]) -> list[int]:
        calls.append(len(solutions))
        assert (problem.answer, dict(problem.fields)) == ("2", {"level": 3})
        return [len(text) for text in solutions]

    scorer = PythonScorer(length, "length")
    assert replies(scorer, "a", "bb", "ccc") == [ScoreReply((float(n),)) for n in (1, 2, 3)]
    assert calls == [3]
    assert (scorer.low, scorer.high, scorer.steps) == (None, None, False)


def test_a_scorer_may_be_asynchronous_and_may_wait() -> None:
    async def slow(problem: Problem, solutions: list[str]) -> list[float]:
        await asyncio.sleep(0)
        return [0.5 for _ in solutions]

    def blocking(problem: Problem, solutions: list[str]) -> list[float]:
        time.sleep(0.01)
        return [0.5 for _ in solutions]

    for function in (slow, blocking):
        assert replies(PythonScorer(function, "f"), "a") == [ScoreReply((0.5,))]


def test_steps_are_scored_by_a_function_per_step() -> None:
    @tts_runtime.scorer(per="step")
    def each(problem: Problem, solutions: list[list[str]]) -> list[list[float]]:
        return [[len(step) / 10 for step in steps] for steps in solutions]

    assert replies(PythonScorer(each, "each"), "a bb", "ccc", steps=True) == [
        ScoreReply((0.1, 0.2)),
        ScoreReply((0.3,)),
    ]


def test_one_bad_solution_costs_itself_only() -> None:
    def picky(problem: Problem, solutions: list[str]) -> list[float]:
        return [1 / (len(text) - 2) for text in solutions]

    first, second, third = replies(PythonScorer(picky, "picky"), "a", "bb", "ccc")
    assert (first, third) == (ScoreReply((-1.0,)), ScoreReply((1.0,)))
    assert isinstance(second, CandidateError)
    assert "scorer `picky`: test_functions.py:" in str(second)
    assert str(second).endswith("ZeroDivisionError: division by zero")


class Silent(Exception):
    def __str__(self) -> str:
        raise ValueError("no words")


class Panic(BaseException):
    """As PyO3's: no `Exception`."""


def thrown(error: BaseException) -> Any:
    raise error


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (SystemExit(3), "SystemExit: 3"),
        (StopIteration(), "StopIteration"),
        (StopAsyncIteration(), "StopAsyncIteration"),
        (asyncio.CancelledError(), "CancelledError"),
        (TimeoutError(), "TimeoutError"),
        (Panic("lost"), "Panic: lost"),
        (BaseExceptionGroup("two", [Panic()]), "BaseExceptionGroup: two (1 sub-exception)"),
        (Silent(), "Silent"),
    ],
)
@pytest.mark.parametrize("awaits", [False, True])
def test_whatever_code_raises_costs_its_solution_and_names_its_line(
    error: BaseException, words: str, awaits: bool
) -> None:
    def scores(problem: Problem, solutions: list[str]) -> Any:
        return [thrown(error) if text == "bb" else 0.5 for text in solutions]

    async def later(problem: Problem, solutions: list[str]) -> Any:
        return scores(problem, solutions)

    def grades(problem: Problem, answer: str) -> Any:
        return scores(problem, ["bb"])

    async def grades_later(problem: Problem, answer: str) -> Any:
        return scores(problem, ["bb"])

    first, second = replies(PythonScorer(later if awaits else scores, "f"), "a", "bb")
    assert first == ScoreReply((0.5,))
    assert isinstance(second, CandidateError)
    grader = FunctionGrader(grades_later if awaits else grades, "g")
    submission = tts_runtime.Submission(Problem("p", "?", "B"), "B", "")
    verdict = asyncio.run(grader.verdict(submission))
    assert (verdict.correct, verdict.kind) == (None, "exception")
    for message in (str(second), str(verdict.fault)):
        assert "test_functions.py:" in message
        assert message.endswith((words, f"RuntimeError: coroutine raised {words}"))


@pytest.mark.parametrize("error", [SystemExit(3), Panic("lost"), ValueError()])
def test_a_generator_that_fails_is_a_scorer_that_fails(error: BaseException) -> None:
    def scores(problem: Problem, solutions: list[str]) -> Any:
        return (thrown(error) if text == "bb" else 0.5 for text in solutions)

    first, second = replies(PythonScorer(scores, "f"), "a", "bb")
    assert first == ScoreReply((0.5,))
    assert isinstance(second, CandidateError)
    assert "test_functions.py:" in str(second)


def test_a_line_is_the_users_not_a_librarys() -> None:
    def reads(problem: Problem, solutions: list[str]) -> Any:
        return json.loads("no JSON")

    [error] = replies(PythonScorer(reads, "f"), "a")
    assert "scorer `f`: test_functions.py:" in str(error)


def test_a_cancelled_answer_stays_cancelled() -> None:
    async def slow(problem: Problem, answer: str) -> bool:
        await asyncio.sleep(60)
        return True

    async def cancelled() -> None:
        submission = tts_runtime.Submission(Problem("p", "?", "B"), "B", "")
        task = asyncio.create_task(FunctionGrader(slow, "g").verdict(submission))
        await asyncio.sleep(0)
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(cancelled())


def test_a_grader_of_a_class_may_raise_anything_too() -> None:
    class Own(tts_runtime.Grader):
        async def grade(self, submission: tts_runtime.Submission) -> Any:
            raise asyncio.CancelledError

    submission = tts_runtime.Submission(Problem("p", "?", "B"), "B", "")
    verdict = asyncio.run(Own().verdict(submission))
    assert (verdict.correct, verdict.kind) == (None, "exception")


def test_a_decorator_without_arguments_is_one_with_the_defaults() -> None:
    @tts_runtime.scorer
    def bare(_problem: object, solutions: list[str]) -> list[float]:
        return [0.5] * len(solutions)

    scorer = PythonScorer(bare, "bare")
    assert (scorer.steps, scorer.alone, scorer.low, scorer.high) == (False, True, 0, 1)
    with pytest.raises(TypeError, match="'step' is not a function; arguments are named"):
        tts_runtime.scorer("step")  # type: ignore[call-overload]


def test_a_scorer_takes_two_arguments() -> None:
    with pytest.raises(EngineError, match=r"`f` must take \(problem, solutions\)"):
        PythonScorer(lambda solutions: [], "f")


@pytest.mark.parametrize(
    ("gives", "message"),
    [
        (3, "expected a list of 1, an entry per solution, found 3"),
        ("x", "expected a list of 1, an entry per solution, found 'x'"),
        ([1, 2], "expected a list of 1, an entry per solution, found [1, 2]"),
        (["x"], "expected a number, found 'x'"),
        (None, "found None"),
    ],
)
def test_what_is_no_list_of_numbers_is_said(gives: object, message: str) -> None:
    [found] = replies(PythonScorer(lambda *_: gives, "odd"), "a")
    assert isinstance(found, CandidateError)
    assert message in str(found)


@pytest.mark.parametrize("kind", [Fault.TOO_LONG, Fault.EXCEPTION])
def test_a_function_may_say_what_is_wrong_with_a_candidate(kind: Fault) -> None:
    def picky(*_: object) -> list[float]:
        raise CandidateError(kind, "more than 9 tokens")

    async def later(*_: object) -> list[float]:
        return picky()

    for function in (picky, later):
        [found] = replies(PythonScorer(function, "picky"), "a")
        assert isinstance(found, CandidateError)
        assert (found.fault, str(found)) == (kind, "more than 9 tokens")


@pytest.mark.parametrize("gives", [float("nan"), float("inf"), None])
def test_no_number_is_a_missing_score(gives: float | None) -> None:
    assert replies(PythonScorer(lambda *_: [gives], "odd"), "a") == [ScoreReply((None,))]


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("brevty", "did you mean 'brevity'?"),
        ("number", "`number` is not a function, but of type int"),
    ],
)
def test_a_function_that_is_none_is_named(rewards: str, place: str, message: str) -> None:
    with pytest.raises(EngineError) as caught:
        function_named(f"{rewards}:{place}")
    assert message in str(caught.value)


def test_a_module_that_fails_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "fails.py"
    path.write_text("x = 1\ny = x / 0\n")
    with pytest.raises(EngineError, match=r"fails.py:2: ZeroDivisionError: division by zero"):
        function_named(f"{path}:f")
    path.write_text("raise SystemExit(4)\n")
    with pytest.raises(EngineError, match=r"fails.py:1: SystemExit: 4"):
        function_named(f"{path}:f")
    path.write_text("def f(:\n")
    with pytest.raises(EngineError, match="SyntaxError"):
        function_named(f"{path}:f")


def test_a_file_runs_once_until_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "once.py"
    path.write_text("STATE = []\ndef f(): return STATE\ndef g(): return STATE\n")
    (tmp_path / "link.py").symlink_to(path)
    state = function_named(f"{path}:f")()
    assert function_named(f"{tmp_path}/link.py:g")() is state
    path.write_text("STATE = [1]\ndef f(): return STATE\n")
    assert function_named(f"{path}:f")() == [1]


def test_files_of_one_name_are_two_modules(tmp_path: Path) -> None:
    functions = []
    for folder in ("a", "b"):
        path = tmp_path / folder / "json.py"
        path.parent.mkdir()
        path.write_text(f"class Own: at = {folder!r}\ndef f(): return Own()\n")
        functions.append(function_named(f"{path}:f"))
    for function, folder in zip(functions, "ab", strict=True):
        assert pickle.loads(pickle.dumps(function)) is function
        assert pickle.loads(pickle.dumps(function())).at == folder


def test_a_file_that_fails_leaves_no_module(tmp_path: Path) -> None:
    path = tmp_path / "half.py"
    path.write_text("x = 1 / 0\n")
    before = set(sys.modules)
    with pytest.raises(EngineError):
        function_named(f"{path}:f")
    assert set(sys.modules) == before
    path.write_text("def f(): return 1\n")
    assert function_named(f"{path}:f")() == 1


def test_a_run_with_functions(rewards: str) -> None:
    source = tts_lang.Source.of(
        "scorer orm per solution\n\nstrategy s(n = 4):\n    pool = sample n\n"
        "    score pool by orm\n    return best of pool by orm\n"
    )
    problems = [Problem("p", "1 + 1", "2", {"end": ""})]
    settings = tts_runtime.Settings(
        policies={"policy": "sim"},
        scorers={"orm": f"python:{rewards}:brevity"},
        grader=f"python:{rewards}:ends_well",
    )
    [result] = tts_runtime.run(tts_lang.compile(source), problems, settings=settings)
    assert result.answers[0].correct is True
    assert result.summary.reliability.scorers["orm"].scores == 4
    broken = tts_runtime.Settings(
        policies={"policy": "sim"}, scorers={"orm": f"python:{rewards}:broken"}
    )
    [result] = tts_runtime.run(tts_lang.compile(source), problems, settings=broken)
    found = result.summary.reliability.scorers["orm"]
    assert sum(found.missing.values()) == 4
    assert "my_rewards.py:17: ValueError: no such table" in str(found.example)


def test_graders_of_each_form(rewards: str) -> None:
    problem = Problem("p", "?", "B", {"end": "."})

    def verdict(function: Callable[..., Any], answer: str | None, text: str = "") -> Any:
        grader = FunctionGrader(function, "g")
        return asyncio.run(grader.verdict(tts_runtime.Submission(problem, answer, text)))

    letter = function_named(f"{rewards}:same_letter")
    assert verdict(letter, "(B)").correct is True
    assert verdict(letter, None).correct is False
    assert verdict(function_named(f"{rewards}:ends_well"), None, "so.").correct is True
    failed = verdict(lambda problem, answer: answer.nothing, "x")
    assert failed.correct is None
    assert "AttributeError" in failed.fault
    assert "expected True, False or None" in verdict(lambda problem, answer: "yes", "x").fault
    assert verdict(lambda problem, answer: None, "x").kind == "no verdict"
    with pytest.raises(EngineError, match="must take"):
        FunctionGrader(lambda: True, "g")
    with pytest.raises(EngineError, match="is a scorer"):
        FunctionGrader(function_named(f"{rewards}:brevity"), "g")


def test_problems_are_given_in_every_usual_form(rewards: str) -> None:
    texts = [problem.text for problem in problems_named(f"python:{rewards}:problems")]
    assert texts == ["1 + 1", "2 + 2"]
    chat = [{"role": "user", "content": "3 + 3"}]
    forms = ["1 + 1", {"problem": "2 + 2", "answer": "4"}, chat, Problem("x", "5 + 5")]
    found = problems_given(forms)
    assert [each.text for each in found] == ["1 + 1", "2 + 2", "3 + 3", "5 + 5"]
    assert [each.id for each in found] == ["row-1", "row-2", "row-3", "x"]
    with pytest.raises(ProblemFileError, match="row 1: expected a Problem, a text, a dict"):
        problems_given([3])
    with pytest.raises(ProblemFileError, match="already used"):
        problems_given([Problem("a", "1"), Problem("a", "2")])


def test_an_installed_package_adds_engines_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rewards: str
) -> None:
    info = tmp_path / "addon-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Name: addon\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[tts_lang.scorers]\nbrevity = my_rewards:brevity\n"
        "[tts_lang.graders]\nletters = my_rewards:same_letter\n"
        "[tts_lang.problems]\nsums = my_rewards:problems\n"
        "[tts_lang.engines]\nmine = my_rewards:number\ngone = my_rewards:gone\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    assert [problem.text for problem in problems_named("sums")] == ["1 + 1", "2 + 2"]
    settings = tts_runtime.Settings(
        policies={"policy": "sim"}, scorers={"prm": "brevity"}, grader="letters"
    )
    problems = [Problem("p", "1 + 1", "B")]
    with pytest.raises(tts_runtime.BindError, match="per step"):
        tts_runtime.run("best_of_n", problems, settings=settings)
    [result] = tts_runtime.run(
        "best_of_n_outcome",
        problems,
        settings=tts_runtime.Settings(
            policies={"policy": "sim"}, scorers={"orm": "brevity"}, grader="letters"
        ),
    )
    assert json.loads(result.summary.model_dump_json())["graders"] == ["letters"]
    with pytest.raises(
        EngineError, match=r"did you mean 'letters'.*a scorer per solution, letters"
    ):
        tts_runtime.run(
            "greedy", problems, settings=tts_runtime.Settings({"policy": "sim"}, grader="leters")
        )
    with pytest.raises(ProblemFileError, match="did you mean 'sums'"):
        problems_named("sumss")
    for name, message in (
        ("mine", "mine"),
        ("gone", "policy `gone` of the package addon: there is no `my_rewards:gone`"),
    ):
        with pytest.raises(EngineError, match=message):
            tts_runtime.run(
                "greedy", problems, settings=tts_runtime.Settings(policies={"policy": name})
            )


def test_a_run_works_where_an_event_loop_runs_already() -> None:
    settings = tts_runtime.Settings(policies={"policy": "sim"})

    async def cell() -> None:
        [inside] = tts_runtime.run("greedy", ["1 + 1"], settings=settings)
        [awaited] = await tts_runtime.arun("greedy", ["1 + 1"], settings=settings)
        assert inside.answers == awaited.answers

    asyncio.run(cell())
