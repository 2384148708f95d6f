"""Graders by kind: what is right, what is wrong, and what nobody can say."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tts_lang
import tts_runtime
from tests.support.scripted import ScriptedPolicy
from tts_runtime.engines.base import EngineError
from tts_runtime.graders import Grade, Grader, Graders, find_grader
from tts_runtime.graders.function import FunctionGrader
from tts_runtime.graders.judged import JudgeGrader
from tts_runtime.problems import Problem, load_problems
from tts_runtime.runs.engine_set import EngineSet


def graded(
    grader: str | Grader | None,
    answer: str | None,
    gold: str | None,
    fields: Mapping[str, object] | None = None,
    text: str = "",
    *,
    failed: bool = False,
) -> Grade:
    problem = Problem("p", "1 + 1", gold, fields or {})

    async def verdict() -> Grade:
        async with EngineSet() as engines:
            graders = Graders(grader, [problem])
            graders.open(engines.grader)
            return await graders.verdict(problem, answer, text, failed=failed)

    return asyncio.run(verdict())


CHOICES = {"choices": ["12 cm", "a mole", "Mercury", "none of these"]}


@pytest.mark.parametrize(
    ("grader", "answer", "gold", "right"),
    [
        ("math", r"\frac12", "0.5", True),
        ("math", "0.5", "1/3", False),
        ("text", "New  York", "New York", True),
        ("text", "new york", "New York", False),
        ("text?case=false", "NEW YORK", "New York", True),
        ("text", "1/2", "0.5", False),
        ("text", "cafe\u0301", "caf\u00e9", True),
        ("number", "3.1415926", "3.1415927", True),
        ("number", "3.14", "3.1415927", False),
        ("number?tolerance=0.01", "3.14", "3.1415927", True),
        ("number?tolerance=0.1", "0.9", "1", True),
        ("number?tolerance=0.1", "0.89", "1", False),
        ("number?relative=0.05", "-105", "-100", True),
        ("number?relative=0.05", "-106", "-100", False),
        ("number", "1,000", "1000", True),
        ("number", r"\frac{3}{4}", "0.75", True),
        ("number", "about four", "4", False),
        ("number", "nan", "4", False),
        ("number?tolerance=5", "inf", "4", False),
        ("number", "1e-3", "0.001", True),
        ("number", "12 cm", "12", True),
        ("number", "x = 5", "5", True),
        ("number", "5x", "5", False),
        ("number", "10^5", "100000", True),
        ("number", "1.0e-5", "10^{-5}", True),
        ("number", "-0.3333333", "-1./3", True),
        ("number", r"5 \Omega", "5", True),
        ("number", "5 \u03a9", "5", True),
        ("number", "5 \u00b5m", "5", True),
        ("number", "500nm", "500", True),
        ("number", "12,5", "12.5", True),
        ("number", "3.2 \\times 10^{-5} M", "3.2e-5", True),
        ("number", "0.5 M", "0.5", True),
        ("number", "5M", "5", False),
        ("number", "10^{-3} m", "0.001", True),
        ("number", "-0,125 m", "-0.125", True),
        ("number", "12.5", "12,5", True),
        ("number", "1,250", "1250", True),
        ("number", "1,250", "1.25", False),
        ("number", "(1,5)", "1.5", False),
        ("number", "1,5,2", "1.5", False),
        ("number", "10pm", "10", False),
        ("choice", "B", "B", True),
        ("choice", "(b)", "B", True),
        ("choice", "B) a mole", "B", True),
        ("choice", "Mercury", "C", True),
        ("choice", "12 cm", "A", True),
        ("choice", "D", "Mercury", False),
        ("choice", "venus", "C", False),
        ("choice", "(B), because A fails", "B", True),
        ("choice", "B (a mole)", "B", True),
        ("choice", "B - a mole", "B", True),
        ("choice", "(C), not (B)", "B", False),
        ("choice", "A, B and C", "A", False),
        ("choice", "B．a mole", "B", True),
        ("choice", "A and C", "AC", True),
        ("choice", "AC", "A, C", True),
        ("choice", "(C), (A)", "A, C", True),
        ("choice", "A", "A, C", False),
        ("choice", "A, B", "AC", False),
    ],
)
def test_right_and_wrong(grader: str, answer: str, gold: str, right: bool) -> None:
    assert graded(grader, answer, gold, CHOICES) == Grade(right)


BLOOD = ["O", "A", "B", "AB"]
WAVES = ["L", "R", "1/C", "C"]


@pytest.mark.parametrize(
    ("choices", "gold", "right", "wrong"),
    [
        (BLOOD, "A", ["A", "(A)", "A.", "**A**", "A. O", "O", "\\text{O}"], ["B", "(B)", "B. A"]),
        (BLOOD, "B", ["B", "(B)", "B. A", "Option B"], ["A", "C", "C. B", "O"]),
        (BLOOD, "D", ["D", "AB", "D) AB"], ["A", "B", "E"]),
        (WAVES, "C", ["C", "(C)", "C. 1/C", "1/C"], ["D", "D. C", "L"]),
        (WAVES, "D", ["D", "(D)", "D. C"], ["C", "R"]),
        (["A", "E", "I", "O"], "B", ["B", "E"], ["A", "I"]),
        (["b", "a"], "A", ["A", "b", "(A)"], ["a", "B"]),
        (["B. Franklin", "A. Lincoln"], "B", ["A. Lincoln", "B"], ["B. Franklin", "A."]),
    ],
)
def test_a_label_is_one_even_where_a_choice_is_that_letter(
    choices: list[str], gold: str, right: list[str], wrong: list[str]
) -> None:
    for answer in right + wrong:
        grade = graded("choice", answer, gold, {"choices": choices})
        assert grade == Grade(answer in right), answer


@pytest.mark.parametrize("grader", ["math", "text", "number", "choice"])
def test_a_missing_answer_is_wrong_and_a_missing_gold_answer_is_not_graded(grader: str) -> None:
    assert graded(grader, None, "4", CHOICES).correct is False or grader == "choice"
    assert graded(grader, "4", None, CHOICES) == Grade(None)


def test_a_gold_answer_of_another_kind_is_said() -> None:
    assert graded("number", "4", "blue").fault == "the gold answer 'blue' is no number"
    assert graded("choice", "A", "blue").fault == "the gold answer 'blue' is no choice"


def test_none_grades_nothing() -> None:
    assert graded("none", "4", "4") == Grade(None)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("maths", "unknown grader `maths`; did you mean 'math'?"),
        ("number?tolerance=-1", "option `tolerance`"),
        ("number?tol=1", "unknown option `tol`; options: tolerance"),
        ("judge", "expected judge:POLICY_ENGINE"),
        ("judge:bundeld", "did you mean 'bundled'?"),
        ("math?x=1", "unknown option `x`"),
        ("python:nowhere:f", "no module `nowhere`"),
        ("python:nowhere", "expected python:MODULE:NAME"),
    ],
)
def test_a_grader_that_is_none_is_refused_by_name(name: str, message: str) -> None:
    with pytest.raises(EngineError) as caught:
        find_grader(name)
    assert message in str(caught.value)


@settings(deadline=None)
@given(st.text(max_size=40), st.text(max_size=40))
def test_any_texts_have_a_grade_or_a_reason(answer: str, gold: str) -> None:
    for grader in ("text", "number", "choice"):
        found = graded(grader, answer, gold, CHOICES)
        assert (found.correct is None) == (found.fault is not None)
        if answer == gold and found.correct is not None and grader == "text":
            assert found.correct


def test_a_judge_is_asked_until_it_gives_a_verdict() -> None:
    replies = ["Hm.", "They agree, I think.", "**Verdict:** Incorrect"]
    judge = JudgeGrader(ScriptedPolicy(replies))
    assert graded(judge, "4", "5") == Grade(False)
    silent = JudgeGrader(ScriptedPolicy(["Hm."] * 3))
    found = graded(silent, "4", "5")
    assert (found.correct, found.kind) == (None, "no verdict")
    for reply in (
        "Verdict: correct",
        "The verdict is: correct",
        r"Verdict: \boxed{\text{correct}}",
    ):
        assert graded(JudgeGrader(ScriptedPolicy([reply])), "4", "4") == Grade(True)


def test_the_prompt_of_a_judge_is_checked(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"unknown slot \{reply\}"):
        JudgeGrader(ScriptedPolicy([]), "{reply} Verdict:")
    with pytest.raises(EngineError, match="must show"):
        JudgeGrader(ScriptedPolicy([]), "{problem} Verdict:")
    with pytest.raises(EngineError, match="cannot be read"):
        find_grader(f"judge:sim?prompt={tmp_path / 'none.txt'}")
    (tmp_path / "prompt.txt").write_text("{gold} or {answer}? Verdict: correct or incorrect")
    find_grader(f"judge:sim?prompt={tmp_path / 'prompt.txt'}")()


def test_a_problem_set_says_how_it_is_graded(tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text(
        '{"task_id": "t/1", "prompt": "def f():\\n", "test": "def check(f): pass", '
        '"entry_point": "f"}\n'
        '{"id": "2", "question": "Which?", "choices": ["x", "y"], "answer": 1}\n'
        '{"id": "3", "problem": "1 + 1", "answer": "2"}\n'
        '{"task_id": 4, "prompt": "Write f.", "test_list": ["assert f()"]}\n'
    )
    graders = [problem.grader for problem in load_problems(rows)]
    assert graders == ["exec:python?field=test", "choice", None, "exec:python?field=test_list"]


def test_a_run_says_what_graded_it_and_a_choice_overrides_it() -> None:
    problems = [Problem("a", "Which?", "B", {"choices": ["x", "y"]}, "choice")]
    chosen = tts_runtime.Settings(policies={"policy": "sim"})
    [own] = tts_runtime.run("greedy", problems, settings=chosen)
    assert own.summary.graders == ("choice",)
    chosen = tts_runtime.Settings(policies={"policy": "sim"}, grader="none")
    [other] = tts_runtime.run("greedy", problems, settings=chosen)
    assert (other.summary.graders, other.answers[0].correct) == (("none",), None)


#: A grader that takes every text for right.
KIND = FunctionGrader(lambda problem, answer, text: True, "kind")  # noqa: ARG005


@pytest.mark.parametrize(
    ("grader", "gold", "right"),
    [
        (KIND, None, False),
        ("exec:python?field=none", None, False),
        (JudgeGrader(ScriptedPolicy([])), "4", False),
        ("math", "4", False),
        ("math", None, None),
        ("number", "many", None),
        ("none", "4", None),
    ],
)
def test_what_failed_is_wrong_without_a_call(
    grader: Grader | str, gold: str | None, right: bool | None
) -> None:
    assert graded(KIND, None, None) == Grade(True)
    assert graded(grader, None, gold, failed=True).correct is right


def test_a_failed_problem_of_a_run_is_wrong(tmp_path: Path) -> None:
    source = "scorer orm per solution\n\nstrategy s():\n    p = sample 2\n    score p by orm\n"
    (tmp_path / "s.tts").write_text(f"{source}    return best of p by orm\n")
    plan = tts_lang.compile(tmp_path / "s.tts")
    chosen = tts_runtime.Settings(
        policies={"policy": "sim"}, scorers={"orm": "field:level"}, grader=KIND
    )
    [result] = tts_runtime.run(plan, [Problem("a", "1 + 1", "2")], settings=chosen)
    assert result.answers[0].error is not None
    assert result.answers[0].correct is False
