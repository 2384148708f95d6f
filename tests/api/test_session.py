"""`Session`: engines opened once, many answers at once, each as if it were alone."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tts_lang
import tts_runtime
from tests.support.runs import box
from tests.support.scripted import ScriptedPolicy
from tts_runtime import Session
from tts_runtime.engines.base import EngineError
from tts_runtime.engines.sim.engines import SimPolicy, SimScorer
from tts_runtime.engines.sim.model import SimModel
from tts_runtime.engines.sim.sim_server import FaultPlan, Latency
from tts_runtime.engines.sim.virtual import run_virtual
from tts_runtime.problems import Problem

STRATEGIES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("majority", {"n": 6}),
    ("beam_search", {"n": 4, "depth": 4}),
    ("weighted_best_of_n", {"n": 5}),
    ("adaptive_consistency", {"most": 8}),
)


def engines(slots: int = 8, **latency: float) -> dict[str, Any]:
    """A policy and a PRM whose replies come in any order."""
    times = Latency(slots=slots, jitter=3.0, **latency)  # type: ignore[arg-type]
    return {
        "policies": {"policy": SimPolicy(SimModel(), latency=times)},
        "scorers": {"prm": SimScorer(latency=times)},
    }


def told(response: tts_runtime.Response) -> tuple[object, ...]:
    usage = response.usage
    costs = usage.policy_tokens, usage.prompt_tokens, usage.scorer_tokens
    return response.text, response.answer, *costs, len(response.trace.nodes)


def test_answers_asked_at_once_are_those_asked_alone() -> None:
    plans = [tts_lang.compile(name, **parameters) for name, parameters in STRATEGIES]
    asked = [
        (plan, f"What is {number} + {number}?", number) for number in range(4) for plan in plans
    ]

    async def alone() -> list[tuple[object, ...]]:
        found = []
        for plan, question, seed in asked:
            async with tts_runtime.Session(**engines()) as session:
                found.append(told(await session.answer(plan, question, seed=seed)))
        return found

    async def together() -> list[tuple[object, ...]]:
        async with tts_runtime.Session(**engines()) as session:
            responses = await asyncio.gather(
                *(session.answer(plan, question, seed=seed) for plan, question, seed in asked)
            )
        return [told(response) for response in responses]

    assert run_virtual(together()) == run_virtual(alone())


def test_answers_share_the_batches_of_an_engine() -> None:
    """Ten at once take the time of one, on an engine with room for all."""

    async def taken(many: int) -> float:
        loop = asyncio.get_running_loop()
        async with tts_runtime.Session(**engines(slots=0)) as session:
            begun = loop.time()
            await asyncio.gather(*(session.answer("majority", "1 + 1", n=4) for _ in range(many)))
            return loop.time() - begun

    assert run_virtual(taken(10)) < 2 * run_virtual(taken(1))


def test_an_answer_is_that_of_a_run() -> None:
    problems = tts_runtime.problems_named("arith", limit=3)

    async def both() -> None:
        settings = tts_runtime.Settings(seeds=4)
        async with tts_runtime.Session(**engines(), settings=settings) as session:
            [result] = await session.run("best_of_n", problems, parameters={"n": 3})
            for problem, answer in zip(problems, result.answers, strict=True):
                response = await session.answer("best_of_n", problem, n=3)
                assert response.answer == answer.answer
                assert response.correct == answer.correct
                assert response.usage.policy_tokens == answer.policy_tokens
            texts = [{"id": "question", "problem": "2 + 2"}]
            [result] = await session.run("majority", texts, seeds=9)
            response = await session.answer("majority", "2 + 2", seed=9)
            assert response.answer == result.answers[0].answer

    run_virtual(both())


@pytest.mark.parametrize(
    "problem",
    [
        "2 + 2",
        {"problem": "2 + 2"},
        {"question": "2 + 2", "id": "question"},
        [{"role": "user", "content": "2 + 2"}],
        {"messages": [{"role": "user", "content": "2 + 2"}]},
        tts_runtime.Problem("question", "2 + 2"),
    ],
)
def test_a_problem_is_a_text_a_dict_messages_or_a_problem(problem: Any) -> None:
    async def answered(given: Any) -> tuple[object, ...]:
        async with tts_runtime.Session({"policy": "sim"}) as session:
            return told(await session.answer("majority", given, n=3))

    assert run_virtual(answered(problem)) == run_virtual(answered("2 + 2"))


class Opened(tts_runtime.Progress):
    def __init__(self) -> None:
        self.engines: list[tuple[str, str]] = []

    def engine_opens(self, name: str, engine: str) -> None:
        self.engines.append((name, engine))


def test_an_engine_opens_once_when_it_is_needed() -> None:
    opened = Opened()

    async def several() -> None:
        names = {"policy": "sim", "b": "sim:2", "unused": "transformers:none/none"}
        async with tts_runtime.Session(names, {"prm": "sim", "orm": "sim"}) as session:
            assert opened.engines == []
            for _ in range(2):
                await session.answer("majority", "1 + 1", n=2, progress=opened)
            await session.run("best_of_n", ["1 + 1"], parameters={"n": 2}, progress=opened)

    run_virtual(several())
    assert opened.engines == [("policy", "sim"), ("prm", "sim")]


@pytest.mark.parametrize("moment", [0.0, 0.001, 0.03, 0.11, 0.27, 0.5])
def test_a_cancelled_answer_leaves_no_task_and_no_slot(moment: float) -> None:
    made = engines(slots=5)
    policy, scorer = made["policies"]["policy"], made["scorers"]["prm"]

    async def some_cancelled() -> tuple[object, ...]:
        async with tts_runtime.Session(**made) as session:
            doomed = [
                asyncio.ensure_future(session.answer(name, f"{seed} + 1", seed=seed, **rest))
                for seed in range(3)
                for name, rest in STRATEGIES
            ]
            kept = asyncio.ensure_future(session.answer("majority", "7 + 7", n=6))
            await asyncio.sleep(moment)
            for task in doomed:
                task.cancel()
            await asyncio.gather(*doomed, return_exceptions=True)
            response = await kept
            for engine in (policy, scorer):
                assert (engine.counts.running, engine.counts.waiting) == (0, 0)
            assert asyncio.all_tasks() == {asyncio.current_task()}
            return told(response)

    async def undisturbed() -> tuple[object, ...]:
        async with tts_runtime.Session(**engines()) as session:
            return told(await session.answer("majority", "7 + 7", n=6))

    assert run_virtual(some_cancelled()) == run_virtual(undisturbed())


def test_a_deadline_ends_an_answer() -> None:
    made = engines(slots=1, overhead=1.0)

    async def late() -> None:
        async with tts_runtime.Session(**made) as session:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(2.5):
                    await session.answer("majority", "1 + 1", n=64)
            await asyncio.sleep(0)
            assert made["policies"]["policy"].counts.running == 0

    run_virtual(late())


def test_a_strategy_that_fails_says_why() -> None:
    broken = SimPolicy(SimModel(), faults=FaultPlan({0: "the server is gone"}))

    async def asked() -> None:
        async with tts_runtime.Session({"policy": broken}) as session:
            with pytest.raises(tts_runtime.AnswerError, match="the server is gone"):
                await session.answer("greedy", "1 + 1")
            assert (await session.answer("greedy", "1 + 1")).text  # the next one is not affected

    run_virtual(asked())


def test_what_cannot_be_answered_is_refused_before_anything_is_spent() -> None:
    policy = ScriptedPolicy(["none"])

    async def asked() -> None:
        async with tts_runtime.Session({"policy": policy}) as session:
            with pytest.raises(tts_lang.DiagnosticError, match="did you mean 'majority'"):
                await session.answer("majorty", "1 + 1")
            with pytest.raises(tts_lang.DiagnosticError, match="no parameter `m`"):
                await session.answer("majority", "1 + 1", m=3)
            with pytest.raises(tts_runtime.ProblemFileError, match="not empty"):
                await session.answer("majority", "  ")
            with pytest.raises(tts_runtime.ProblemFileError, match="expected a Problem"):
                await session.answer("majority", 17)  # type: ignore[arg-type]
            with pytest.raises(tts_runtime.UnnamedError, match="prm"):
                await session.answer("best_of_n", "1 + 1")
            with pytest.raises(TypeError, match="compile it with n"):
                await session.answer(tts_lang.compile("majority"), "1 + 1", n=3)

    run_virtual(asked())
    assert policy.requests == []


def test_a_session_is_used_inside_its_block_and_loop() -> None:
    session = tts_runtime.Session({"policy": "sim"})
    with pytest.raises(RuntimeError, match="not open"):
        asyncio.run(session.answer("greedy", "1 + 1"))

    async def inside() -> None:
        async with session:
            await session.answer("greedy", "1 + 1")
            with pytest.raises(RuntimeError, match="open already"):
                await session.__aenter__()
            await session.answer("greedy", "1 + 1")
            other = asyncio.to_thread(asyncio.run, session.answer("greedy", "1 + 1"))
            with pytest.raises(RuntimeError, match="another event loop"):
                await other

    asyncio.run(inside())
    with pytest.raises(RuntimeError, match="not open"):
        asyncio.run(session.answer("greedy", "1 + 1"))
    with pytest.raises(tts_runtime.EngineError, match="unknown policy engine `simm`"):
        asyncio.run(tts_runtime.Session({"policy": "simm"}).__aenter__())


def test_a_file_is_read_again_for_each_answer(tmp_path: Path) -> None:
    file = tmp_path / "mine.tts"

    async def edited() -> list[int]:
        calls = []
        settings = tts_runtime.Settings(disabled="all")  # a vote that is decided draws all
        async with tts_runtime.Session({"policy": "sim"}, settings=settings) as session:
            for n in (2, 3):
                file.write_text(f"strategy mine():\n    return vote (sample {n})\n")
                response = await session.answer(str(file), "1 + 1")
                calls.append(len(response.trace.nodes))
        return calls

    assert run_virtual(edited()) == [2, 3]


def answered(*lines: str, texts: list[str]) -> tts_runtime.Response:
    body = "".join(f"    {line}\n" for line in lines)
    plan = tts_lang.compile(tts_lang.Source.of(f"strategy main():\n{body}"))

    async def asked() -> tts_runtime.Response:
        policy = ScriptedPolicy(texts)
        async with tts_runtime.Session({"policy": policy}) as session:
            return await session.answer(plan, {"problem": "6 x 7?", "answer": "42"})

    return run_virtual(asked())


def test_candidates_of_a_vote_come_by_the_weight_of_their_class() -> None:
    texts = [box(41, "a"), box(42, "b"), box(40, "c"), box(42, "d"), box(41, "e"), box(42, "f")]
    response = answered("return vote (sample 6)", texts=texts)
    assert (response.answer, response.correct) == ("42", True)
    assert [each.text[0] for each in response.candidates] == ["b", "d", "f", "a", "e", "c"]
    assert response.candidates[0].text == response.text
    assert response.usage.returned_tokens == response.candidates[0].tokens


@pytest.mark.parametrize(("value", "longest_first"), [("tokens", True), ("1 / tokens", False)])
def test_candidates_of_a_selection_come_by_its_values(value: str, longest_first: bool) -> None:
    texts = [box(1, "a"), box(2, "bbbb"), box(3, "cccccccc"), box(4, "aa")]
    response = answered("pool = sample 4", f"return best of pool by {value}", texts=texts)
    expected = sorted(texts, key=len, reverse=longest_first)
    assert [each.text for each in response.candidates] == expected


def test_a_notebook_escapes_what_a_model_wrote() -> None:
    response = answered("return vote (sample 1)", texts=[box("<script>", "<img src=x>")])
    shown = response._repr_html_()
    assert "<script>" not in shown
    assert "<img" not in shown
    assert "&lt;img" in shown


def test_a_function_is_a_scorer_or_a_grader_as_it_is(tmp_path: Path) -> None:
    """A notebook's functions are in no module that could be named."""

    @tts_runtime.scorer(per="solution")
    def brevity(_: Problem, solutions: list[str]) -> list[float]:
        return [1 / (1 + len(text)) for text in solutions]

    def same(problem: Problem, answer: str) -> bool:
        return answer == problem.answer

    async def main() -> Any:
        settings = tts_runtime.Settings(grader=same)
        async with Session({"policy": SimPolicy()}, {"orm": brevity}, settings) as session:
            return await session.run(
                "best_of_n_outcome", ["1 + 1"], out=tmp_path / "run", parameters={"n": 3}
            )

    [result] = asyncio.run(main())
    nodes = tts_runtime.open_run(tmp_path / "run").tree("row-1").nodes.values()
    assert [each.scores["orm"] for each in nodes] == [1 / (1 + len(each.added)) for each in nodes]
    place = "python:tests.api.test_session:"
    assert list(result.summary.graders) == [place + same.__qualname__]
    assert result.summary.scorers == {"orm": place + brevity.__qualname__}


def test_what_a_function_raises_is_shown() -> None:
    @tts_runtime.scorer(per="solution")
    def broken(_: Problem, solutions: list[str]) -> list[float]:
        return [1 / 0 for _ in solutions]

    async def main() -> None:
        async with Session({"policy": SimPolicy()}, {"orm": broken}) as session:
            response = await session.answer("best_of_n_outcome", "1 + 1", n=3)
            [warning] = response.warnings
            assert "3 of 3 scores missing" in warning
            assert "ZeroDivisionError: division by zero" in warning
            assert "ZeroDivisionError" in response._repr_html_()
            results = await session.run("best_of_n_outcome", ["1 + 1"])
            shown = results._repr_html_()
            assert "ZeroDivisionError" in shown
            assert "policy SimPolicy; orm python:tests.api" in shown
            with pytest.raises(TypeError, match=r"no option 'n'; .* parameters=\{'n': 3\}"):
                await session.run("best_of_n_outcome", ["1 + 1"], n=3)  # type: ignore[call-arg]

    asyncio.run(main())


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"policies": {"policy": 3}}, "policy `policy`: expected a name or a PolicyEngine, found"),
        ({"scorers": {"prm": SimPolicy}}, "make one of it: SimPolicy()"),
        ({"settings": tts_runtime.Settings(grader=[])}, "grader: expected a name, a function or"),  # type: ignore[arg-type]
    ],
)
def test_what_is_no_engine_is_named(given: Any, message: str) -> None:
    with pytest.raises(EngineError, match=re.escape(message)):
        Session(**given)


def test_values_of_other_types_are_read_or_refused(tmp_path: Path) -> None:
    path = tmp_path / "tries.tts"
    path.write_text("strategy tries(n = 1):\n    return vote (sample n)\n")

    async def main() -> None:
        async with Session(policies={"policy": "sim"}) as session:
            one = await session.answer(path, "1 + 1", seed=1)
            others: list[Any] = [np.int64(1), True]
            for seed in others:
                again = await session.answer(str(path), "1 + 1", seed=seed)
                assert (again.text, repr(again.seed)) == (one.text, "1")
            [result] = await session.run(path, ["1 + 1"])
            assert result.summary.strategy == "tries"
            for wrong in ("1", 1.0, [1]):
                with pytest.raises(ValueError, match="a seed is a whole number, not "):
                    await session.answer("greedy", "1 + 1", seed=wrong)  # type: ignore[arg-type]
            for none in (None, 3):
                with pytest.raises(TypeError, match="strategy: expected a name, a file or a plan"):
                    await session.answer(none, "1 + 1")  # type: ignore[arg-type]
                with pytest.raises(TypeError, match="strategy: expected a name, a file or a plan"):
                    await session.run(none, ["1 + 1"])  # type: ignore[arg-type]
            await session.answer("majority", "1 + 1", n=1)
            for value in (True, [1]):  # not what was compiled for n=1
                with pytest.raises(tts_lang.DiagnosticError, match="`n` is a number"):
                    await session.answer("majority", "1 + 1", n=value)  # type: ignore[arg-type]

    asyncio.run(main())
