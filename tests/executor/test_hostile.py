"""What a model writes, and what nobody has foreseen, never ends a run."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from typing import Any

import pytest

from tests.executor.test_faults import BEST, ORM, TABLE, TEXTS, outcome_of
from tests.support.answer_workers import answered
from tests.support.runs import PROBLEM, box, plan_of
from tests.support.scripted import ScriptedPolicy, TableScorer
from tts_runtime.answers import boundary
from tts_runtime.answers.workers import WorkerLostError
from tts_runtime.engines.policy import Policy
from tts_runtime.engines.sim.virtual import run_virtual
from tts_runtime.executor import Outcome, bind, execute, execute_all
from tts_runtime.graders import Grade, Graders
from tts_runtime.problems import Problem
from tts_runtime.reliability import footer, warnings_of
from tts_runtime.runs.engine_set import EngineSet
from tts_runtime.runs.result_collector import answer_of
from tts_runtime.runs.results import Answer

VOTE = ("pool = sample 4", "return vote pool")
SIGNS = rf"\boxed{{{chr(92)}pm{(chr(92) + 'pm') * 999}1}}"


def graded(outcome: Outcome, gold: str) -> Answer:
    problem = Problem("p", "1 + 1", gold)

    async def verdict() -> Grade:
        async with EngineSet() as engines:
            graders = Graders(None, [problem])
            graders.open(engines.grader)
            return await graders.verdict(problem, outcome.answer, outcome.text)

    return answer_of(outcome, gold, asyncio.run(verdict()))


def lost(clock: bool) -> Future[Any]:
    future: Future[Any] = Future()
    future.set_exception(WorkerLostError("took over 3 s of processor time", clock=clock))
    return future


def test_a_hostile_reply_is_one_candidate_like_any_other() -> None:
    outcome = outcome_of(plan_of(*VOTE), ScriptedPolicy([SIGNS, box(2), box(2), box(1)]))
    assert (outcome.answer, outcome.error) == ("2", None)
    assert not outcome.reliability.as_text
    assert graded(outcome, "2").correct is True


@pytest.mark.parametrize("clock", [False, True])
def test_an_answer_that_is_not_read_is_text_and_counted(
    clock: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered(monkeypatch, lost(clock))
    outcome = outcome_of(plan_of(*VOTE), ScriptedPolicy([box("x^2"), box("x^2 "), box(1), box(2)]))
    assert outcome.answer_key == "x^2"
    kind = boundary.CLOCK if clock else boundary.EXCEPTION
    assert outcome.reliability.as_text == {kind: 2}
    assert [each.unread for each in outcome.candidates] == [
        *["took over 3 s of processor time"] * 2,
        None,
        None,
    ]
    answer = graded(outcome, "x^3")
    assert (answer.correct, answer.ungraded) == (None, "took over 3 s of processor time")
    assert answer.reliability.ungraded == {kind: 1}
    words = "out of time" if clock else "by an exception"
    assert list(footer(answer.reliability)) == [
        f"2 of 4 answers compared as text (2 {words})",
        f"1 answer not graded (1 {words})",
    ]
    [warning] = warnings_of(answer.reliability)
    assert warning.startswith("a limit of time" if clock else "grading failed for 1 answer, such")
    assert "took over 3 s of processor time" in warning


def test_what_nobody_has_foreseen_fails_its_problem_only(monkeypatch: pytest.MonkeyPatch) -> None:
    real = Policy.written

    def written(policy: Policy, text: str, *rest: Any) -> Any:
        if "3" in text:
            raise RecursionError("maximum recursion depth exceeded")
        return real(policy, text, *rest)

    monkeypatch.setattr(Policy, "written", written)
    plan = plan_of(*BEST, before=ORM)
    for text, failed in ((TEXTS[2], True), (TEXTS[1], False)):
        bound = bind(plan, {"policy": ScriptedPolicy([text] * 8)}, {"orm": TableScorer(TABLE)})
        outcomes: list[Outcome] = []
        problems = [Problem(f"p{number}", "Q", "1") for number in range(2)]
        run_virtual(execute_all(bound, problems, 0, outcomes.append))
        assert len(outcomes) == 2
        for outcome in outcomes:
            assert bool(outcome.error) is failed
            if failed:
                assert outcome.error is not None
                assert "RecursionError: maximum recursion depth exceeded" in outcome.error


def test_forms_from_processes_arrive_on_a_real_loop() -> None:
    texts = [box(r"2\sqrt{3}"), box(r"\sqrt{12}"), box(r"\frac{6}{\sqrt{3}}"), box("x")]
    bound = bind(plan_of(*VOTE), {"policy": ScriptedPolicy(texts)}, {})
    outcome = asyncio.run(execute(bound, PROBLEM, 0))
    assert (outcome.error, outcome.answer_key) == (None, r"2\sqrt{3}")
    assert graded(outcome, r"\sqrt{12}").correct is True
