"""When things happen: streaming, barriers, failures, bounds on what is in flight, memory."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Iterator

import pytest

from tests.support.invariants import drawn_in_two_contexts
from tests.support.recording import Recorder
from tests.support.runs import PROBLEM, box, plan_of, run_plan
from tests.support.scripted import ScriptedPolicy, TableScorer
from tts_runtime.engines.base import GenerateRequest, Generation
from tts_runtime.engines.sim.engines import SimPolicy, SimScorer
from tts_runtime.engines.sim.sim_server import Latency
from tts_runtime.engines.sim.virtual import run_virtual
from tts_runtime.executor import Observer, Outcome, bind, execute, execute_all
from tts_runtime.executor.nodes import Node
from tts_runtime.problems import Problem

ORM = "scorer orm per solution from 0 to 1"
VOTE = ("pool = sample 3", "score pool by orm", "return vote pool weighted by orm")


BUSY = (
    "pool = sample 4 steps",
    "repeat 5 until all pool done:",
    "    score pool by prm",
    "    pool = select top 2 of pool by last(prm)",
    "    pool = expand pool by 2 steps",
    "ends = expand pool by 1",
    "score ends by prm",
    "other = expand ends by 1",
    "return vote ends weighted by last(prm)",
)


def problems(count: int) -> list[Problem]:
    return [Problem(f"p{number}", f"Question {number}", "1") for number in range(count)]


def test_c56_a_candidate_is_scored_while_others_still_decode() -> None:
    policy = ScriptedPolicy([box(1), box(2), box(3)], delays=(30.0, 10.0, 20.0))
    scorer = TableScorer({}, delay=1.0)
    assert run_plan(plan_of(*VOTE, before=ORM), policy, {"orm": scorer}).error is None
    assert scorer.times == [10.0, 20.0, 30.0]


def test_c56_steps_go_on_row_by_row_without_a_barrier() -> None:
    policy = ScriptedPolicy(["a\n\nb", "c\n\nd"], delays=(9.0, 1.0, 5.0, 5.0))
    scorer = TableScorer({}, steps=True)
    plan = plan_of(
        "pool = sample 2 steps",
        "pool = expand pool by 1 step",
        "score pool by prm",
        "return best of pool by last(prm)",
    )
    assert run_plan(plan, policy, {"prm": scorer}).error is None
    # The second candidate's next step starts at 1 and is scored at 6, before the first's first.
    assert scorer.times == [6.0, 14.0]


def test_c56_select_waits_for_the_whole_pool() -> None:
    policy = ScriptedPolicy(["a\n\nb", "c\n\nd"], delays=(9.0, 1.0))
    times: list[float] = []

    class Watch(Observer):
        def tokens_drawn(self, count: int) -> None:
            assert count > 0
            times.append(asyncio.get_running_loop().time())

    plan = plan_of(
        "pool = sample 2 steps",
        "pool = select top 2 of pool by tokens",
        "return first of (expand pool by 1 step)",
    )
    bound = bind(plan, {"policy": policy}, {})
    outcome = run_virtual(execute(bound, PROBLEM, 0, Watch()))
    assert outcome.error is None
    assert times == [1.0, 9.0, 9.0, 9.0]


def test_calls_run_side_by_side() -> None:
    before = "strategy one():\n    p = sample 1 step\n    return expand (first of p) by 1 step\n"
    policy = ScriptedPolicy(["a\n\nb"], delays=(5.0,) * 6)
    plan = plan_of("p = fork problem into 3", "return first of (one() on p)", before=before)
    bound = bind(plan, {"policy": policy}, {})

    async def timed() -> float:
        assert (await execute(bound, PROBLEM, 0)).error is None
        return asyncio.get_running_loop().time()

    assert run_virtual(timed()) == 10.0


def test_c57_one_problem_fails_and_the_others_finish() -> None:
    policy = ScriptedPolicy([box(1)], failures=(4,))
    bound = bind(plan_of(*VOTE, before=ORM), {"policy": policy}, {"orm": TableScorer({})})
    outcomes: list[Outcome] = []
    run_virtual(execute_all(bound, problems(5), 0, outcomes.append))
    failed = [outcome for outcome in outcomes if outcome.error is not None]
    assert [outcome.problem_id for outcome in failed] == ["p1"]
    assert failed[0].error == "request 4 broke"
    assert all(outcome.answer == "1" for outcome in outcomes if outcome.error is None)
    assert len(outcomes) == 5


def test_a_failure_leaves_nothing_in_flight() -> None:
    policy = ScriptedPolicy([box(1)], delays=(1.0, 50.0, 50.0), failures=(0,))
    plan = plan_of(*VOTE, before=ORM)
    bound = bind(plan, {"policy": policy}, {"orm": TableScorer({})})

    async def failing() -> tuple[float, int]:
        outcome = await execute(bound, PROBLEM, 0)
        assert outcome.error == "request 0 broke"
        now = asyncio.get_running_loop().time()
        await asyncio.sleep(0)
        return now, policy.waiting

    assert run_virtual(failing()) == (1.0, 0)
    assert policy.cancelled == 2


def test_cancellation_leaves_nothing_in_flight() -> None:
    before = "strategy one():\n    return sample 1\n"
    plan = plan_of("p = fork problem into 2", "return first of (one() on p)", before=before)
    policy = ScriptedPolicy(["a"], delays=(50.0,) * 9)
    bound = bind(plan, {"policy": policy}, {})

    async def cancelled() -> None:
        task = asyncio.create_task(execute_all(bound, problems(3), 0, lambda _: None))
        await asyncio.sleep(10.0)
        assert policy.waiting == 6
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(0)
        assert policy.waiting == 0
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run_virtual(cancelled())


def test_an_engine_that_breaks_fails_its_problem_only() -> None:
    class Broken(ScriptedPolicy):
        def generate(self, request: GenerateRequest) -> asyncio.Future[Generation]:
            future = super().generate(request)
            if len(self.requests) == 1:
                future.set_exception(MemoryError("out of memory"))
            return future

    bound = bind(plan_of("return sample 1"), {"policy": Broken([box(1)])}, {})
    outcomes: list[Outcome] = []
    run_virtual(execute_all(bound, problems(2), 0, outcomes.append))
    assert {outcome.error for outcome in outcomes} == {
        None,
        "the engine broke: MemoryError: out of memory",
    }


def test_at_least_one_problem_must_be_in_flight() -> None:
    bound = bind(plan_of("return sample 1"), {"policy": ScriptedPolicy(["a"])}, {})
    with pytest.raises(ValueError, match="at least 1"):
        run_virtual(execute_all(bound, problems(1), 0, lambda _: None, concurrency=0))


def test_an_exception_of_the_caller_ends_everything_as_it_is() -> None:
    bound = bind(plan_of("return sample 1"), {"policy": ScriptedPolicy(["a"])}, {})

    def refuse(outcome: Outcome) -> None:
        raise OSError(f"no room for {outcome.problem_id}")

    with pytest.raises(OSError, match="no room for p0"):
        run_virtual(execute_all(bound, problems(3), 0, refuse))


@pytest.mark.parametrize("bound_on", [1, 3, None])
def test_at_most_so_many_problems_are_in_flight(bound_on: int | None) -> None:
    policy = ScriptedPolicy(["a"], delays=(1.0,) * 20)
    bound = bind(plan_of("return first of (sample 2)"), {"policy": policy}, {})
    most = 0

    class Watch(Observer):
        def tokens_drawn(self, count: int) -> None:
            nonlocal most
            assert count > 0
            most = max(most, policy.waiting)

    done: list[Outcome] = []
    run = execute_all(bound, problems(7), 0, done.append, concurrency=bound_on, observer=Watch())
    run_virtual(run)
    assert len(done) == 7
    assert most < 2 * (bound_on or 7) <= most + 2


@pytest.fixture
def own_objects() -> Iterator[None]:
    """`gc.get_objects` lists what the test makes, and nothing is collected meanwhile."""
    gc.collect()
    gc.freeze()
    gc.disable()
    yield
    gc.enable()
    gc.unfreeze()


@pytest.mark.usefixtures("own_objects")
@pytest.mark.parametrize("lines", [VOTE, BUSY], ids=["vote", "search"])
def test_memory_of_finished_problems_is_freed(lines: tuple[str, ...]) -> None:
    """Outcomes are handed over and forgotten, so only problems in flight are alive.

    At once: a problem leaves no cycles for the garbage collector, which is switched off here.
    """
    given: list[weakref.ref[Outcome]] = []
    outcomes: list[int] = []
    nodes: list[int] = []

    def finished(outcome: Outcome) -> None:
        given.append(weakref.ref(outcome))
        outcomes.append(sum(each() is not None for each in given))
        nodes.append(sum(isinstance(each, Node) for each in gc.get_objects()))

    def asked() -> Iterator[Problem]:
        for number in range(20):
            yield Problem(f"p{number}", "Q")

    engines = {"policy": SimPolicy()}, {"orm": SimScorer(steps=False), "prm": SimScorer()}
    bound = bind(plan_of(*lines, before=ORM), *engines)
    run_virtual(execute_all(bound, asked(), 0, finished, concurrency=2))
    assert max(outcomes) <= 3
    assert max(nodes[-5:]) <= 3 * max(nodes[:2])


def outcome_at(latency: Latency) -> Outcome:
    policy, scorer = SimPolicy(latency=latency), SimScorer(latency=latency)
    return run_plan(plan_of(*BUSY), policy, {"prm": scorer})


@pytest.mark.parametrize("seed", range(4))
def test_c63_shuffled_arrival_changes_nothing(seed: int) -> None:
    calm = outcome_at(Latency())
    shuffled = outcome_at(Latency(slots=3, jitter=9.0, seed=seed))
    assert calm.error is None
    assert shuffled == calm
    assert shuffled.counts == calm.counts
    assert shuffled.candidates == calm.candidates


def test_invariant_u_holds_for_everything_that_is_drawn() -> None:
    recorder = Recorder("policy", SimPolicy())
    plan = plan_of(*BUSY)
    assert run_plan(plan, {"policy": recorder}, {"prm": SimScorer()}).error is None
    assert len(recorder.drawn) > 10
    assert drawn_in_two_contexts(recorder.drawn) is None


def test_long_chains_of_row_wise_work_need_no_recursion() -> None:
    lines = ["pool = sample 1 step"]
    for number in range(600):
        lines += [f"let mark of pool = {number}", "pool = expand pool by 1 step"]
    policy = ScriptedPolicy(["a\n\nb"], delays=(1.0,))
    assert run_plan(plan_of(*lines, "return pool"), policy).error is None


def test_observers_hear_of_tokens_candidates_and_outcomes() -> None:
    heard: list[object] = []

    class Watch(Observer):
        def tokens_drawn(self, count: int) -> None:
            heard.append(count)

        def candidate_done(self, problem_id: str) -> None:
            heard.append(problem_id)

        def outcome_ready(self, outcome: Outcome) -> None:
            heard.append(outcome.answer)

    bound = bind(plan_of("return sample 1"), {"policy": ScriptedPolicy([box(1)])}, {})
    run_virtual(execute(bound, PROBLEM, 0, Watch()))
    assert heard == [10, "p", "1"]
