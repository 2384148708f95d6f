"""Survivors of a selection continue while stragglers hold it up: certain ones, and likely ones."""

from __future__ import annotations

import asyncio
from asyncio import Future
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pytest

from tests.support.runs import plan_of
from tests.support.scripted import ScriptedPolicy, TableScorer
from tts_lang.compiler import compile_strategy
from tts_lang.optimise.next_expansion import next_expansions
from tts_lang.plan.graph import Expand, Plan, Select, operations
from tts_runtime.engines.base import (
    EngineError,
    GenerateRequest,
    Generation,
    Load,
    ScoreReply,
    ScoreRequest,
)
from tts_runtime.engines.sim.engines import SimPolicy, SimScorer
from tts_runtime.engines.sim.model import Rates, SimModel
from tts_runtime.engines.sim.sim_server import FaultPlan, Latency
from tts_runtime.engines.sim.virtual import run_virtual
from tts_runtime.executor import PASSES, Outcome, Work, bind, execute, execute_all
from tts_runtime.problems import Problem

BEAM = compile_strategy("beam_search", settings={"n": 16, "depth": 12})
PROBLEMS = [Problem(f"p{number}", f"{number} a b", "1") for number in range(4)]


@dataclass(frozen=True)
class Ran:
    """Outcomes in the order of the problems, virtual seconds, and what the engines did."""

    outcomes: list[Outcome]
    seconds: float
    work: Work

    @property
    def tokens(self) -> int:
        """Drawn for what the program needed."""
        return sum(outcome.counts.policy_tokens for outcome in self.outcomes)


def ran(
    plan: Plan,
    fraction: float,
    slots: int = 8,
    stalls: Mapping[int, float] | None = None,
    problems: int = 1,
    prefill: float = 0.0,
    passes: Sequence[str] = tuple(PASSES),
) -> Ran:
    """A run on simulated engines whose requests take as long as their texts."""
    speed = Latency(token=0.01, slots=slots, prefill=prefill)
    policy = SimPolicy(
        SimModel(3, Rates(step=0.06, end=0.02)),
        latency=speed,
        faults=FaultPlan(stalls=stalls or {}),
    )
    engines = {"policy": policy}, {"prm": SimScorer(1, latency=Latency(token=0.0))}
    bound = bind(plan, *engines, passes, speculate=fraction > 0)
    found: list[Outcome] = []

    async def timed() -> tuple[Work, float]:
        work = await execute_all(bound, PROBLEMS[:problems], 0, found.append, speculate=fraction)
        return work, asyncio.get_running_loop().time()

    work, seconds = run_virtual(timed())
    assert all(outcome.error is None for outcome in found)
    found.sort(key=lambda outcome: outcome.problem_id)
    assert work.cancelled_calls == policy.counts.cancelled
    return Ran(found, seconds, work)


@pytest.mark.parametrize("slots", [8, 16])
def test_a_beam_search_with_stragglers_ends_earlier(slots: int) -> None:
    stalls = {3: 2.0, 25: 2.0}
    plain, ahead = (ran(BEAM, fraction, slots, stalls) for fraction in (0.0, 1.0))
    assert ahead.seconds < 0.97 * plain.seconds
    assert ahead.work.speculated_tokens > ahead.work.wasted_tokens
    assert ahead.tokens == plain.tokens
    assert [outcome.answer for outcome in ahead.outcomes] == [
        outcome.answer for outcome in plain.outcomes
    ]


def test_survivors_that_are_certain_go_on_without_the_rest() -> None:
    """No token is wasted, and every cost is that of a selection that waits."""
    waiting, by_row = (ran(BEAM, 0.0, 64, passes=passes) for passes in ((), tuple(PASSES)))
    assert by_row.seconds < 0.9 * waiting.seconds
    assert by_row.work == waiting.work
    assert [outcome.counts for outcome in by_row.outcomes] == [
        outcome.counts for outcome in waiting.outcomes
    ]


@pytest.mark.parametrize(
    ("select", "seconds"),
    [
        ("top 2 of pool by last(prm)", 102.0),  # a is kept whatever c is
        ("top 3 of pool by last(prm)", 101.0),
        ("top 1 of pool by last(prm)", 150.0),  # nobody knows before c is there
        ("top 50% of pool by last(prm)", 150.0),
        ("top 1 of pool by last(prm) per root", 150.0),
    ],
)
def test_a_row_is_kept_as_soon_as_none_to_come_can_displace_it(select: str, seconds: float) -> None:
    """Texts a and b come after 1 and 2 seconds, c after 50; the next step of a takes 100."""
    lines = [
        *ROUND[:2],
        f"pool = select {select}",
        "pool = expand pool by 1 step",
        "return best of pool by tokens",
    ]
    policy = ScriptedPolicy(TEXTS, (1.0, 2.0, 50.0, 100.0, 5.0, 5.0))
    scorers = {"prm": TableScorer({A: 0.5, B: 0.2, C: 0.9}, steps=True)}
    bound = bind(plan_of(*lines), {"policy": policy}, scorers, tuple(PASSES))

    async def timed() -> float:
        await execute_all(bound, [Problem("p", "Q", "1")], 0, lambda _: None)
        return asyncio.get_running_loop().time()

    assert run_virtual(timed()) == seconds


@pytest.mark.parametrize("fraction", [0.01, 0.05, 0.1, 0.3, 1.0])
@pytest.mark.parametrize("slots", [3, 8, 0])
def test_the_cap_is_never_exceeded(fraction: float, slots: int) -> None:
    found = ran(BEAM, fraction, slots, problems=3)
    assert found.work.wasted_tokens <= fraction * found.tokens


def test_a_larger_cap_lets_more_run_ahead() -> None:
    tokens = [ran(BEAM, fraction).work.speculated_tokens for fraction in (0.0, 0.5, 1.0)]
    assert tokens[0] == 0
    assert tokens == sorted(set(tokens))


def test_requests_of_the_program_do_not_wait_for_what_runs_ahead() -> None:
    """Preempted ones are cancelled; what the engine drew for them at most is wasted."""
    plain, ahead = ran(BEAM, 0.0, 4, problems=4), ran(BEAM, 1.0, 4, problems=4)
    assert plain.work.cancelled_calls == 0
    assert ahead.work.cancelled_calls > 0
    assert ahead.seconds < 1.05 * plain.seconds


ROUND = (
    "pool = sample 3 steps",
    "score pool by prm",
    "pool = select top 1 of pool by last(prm)",
    "return first of (expand pool by 1 step)",
)
TEXTS = [f"{letter * 8}\n\n{letter * 6}\n\n" for letter in "abc"]
A, B, C = (letter * 8 for letter in "abc")


class Loaded(ScriptedPolicy):
    """Has that many slots; with a negative number, it does not know."""

    slots = 8

    @property
    def load(self) -> Load | None:
        """As full as it is."""
        return None if self.slots < 0 else Load(self.waiting, self.slots, 0)


@dataclass(frozen=True)
class Round:
    """One round whose third candidate is a straggler of 50 seconds; others take 5."""

    outcome: Outcome
    requests: list[GenerateRequest]
    seconds: float
    work: Work


def one_round(
    scores: Mapping[str, float],
    slots: int = 8,
    texts: Sequence[str] = TEXTS,
    failures: tuple[int, ...] = (),
    early: float = 5.0,
) -> Round:
    policy = Loaded(texts, (1.0, 2.0, 50.0, early, 5.0), failures)
    policy.slots = slots
    scorers = {"prm": TableScorer(scores, steps=True)}
    bound = bind(plan_of(*ROUND), {"policy": policy}, scorers, speculate=True)
    found: list[Outcome] = []

    async def timed() -> tuple[Work, float]:
        problems = [Problem("p", "Q", "1")]
        work = await execute_all(bound, problems, 0, found.append, speculate=1.0)
        return work, asyncio.get_running_loop().time()

    work, seconds = run_virtual(timed())
    return Round(found[0], policy.requests, seconds, work)


def test_a_right_guess_saves_the_time_of_the_next_step() -> None:
    found = one_round({A: 0.9, B: 0.2, C: 0.1})
    assert found.seconds == 50.0
    assert len(found.requests) == found.outcome.counts.policy_calls == 4
    assert found.work.speculated_tokens == 8
    assert found.work.wasted_tokens == 0
    assert found.outcome.candidates[-1].added == "aaaaaa\n\n"


def test_a_wrong_guess_costs_its_tokens_and_nothing_else() -> None:
    found = one_round({A: 0.9, B: 0.2, C: 1.0})
    assert found.seconds == 55.0
    assert len(found.requests) == found.outcome.counts.policy_calls + 1 == 5
    assert found.outcome.counts.policy_tokens == 10 + 10 + 10 + 8
    assert found.work.speculated_tokens == found.work.wasted_tokens == 8
    assert found.outcome.candidates[-1].added == "cccccc\n\n"


@pytest.mark.parametrize(("slots", "seconds"), [(-1, 55.0), (1, 55.0), (2, 50.0)])
def test_requests_run_ahead_where_a_slot_is_free(slots: int, seconds: float) -> None:
    """One slot is the straggler's; an engine that does not know gets no requests ahead."""
    found = one_round({A: 0.9, B: 0.2, C: 0.1}, slots)
    assert found.seconds == seconds
    if slots < 0:
        assert found.work.speculated_tokens == 0


def test_a_failure_ahead_of_the_program_is_not_the_programs() -> None:
    found = one_round({A: 0.9, B: 0.2, C: 0.1}, failures=(3,))
    assert found.outcome.error is None
    assert found.seconds == 55.0
    assert found.outcome.counts.policy_calls == 4
    assert found.work.speculated_tokens == 0


def test_a_refusal_ahead_of_the_program_is_not_the_programs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    generate = Loaded.generate
    refused: list[GenerateRequest] = []

    def refusing(self: Loaded, request: GenerateRequest) -> asyncio.Future[Generation]:
        if len(self.requests) == 3 and not refused:
            refused.append(request)
            raise EngineError("closed just now")
        return generate(self, request)

    monkeypatch.setattr(Loaded, "generate", refusing)
    found = one_round({A: 0.9, B: 0.2, C: 0.1})
    assert len(refused) == 1
    assert found.outcome.error is None
    assert found.outcome.candidates[-1].added == "aaaaaa\n\n"


@pytest.mark.parametrize(("early", "seconds"), [(5.0, 55.0), (60.0, 67.0)])
def test_a_step_that_outgrows_its_allowance_is_asked_for_again(
    early: float, seconds: float
) -> None:
    """Before the program comes to it, and after."""
    texts = [TEXTS[0][:10] + "a" * 99 + "\n\n", *TEXTS[1:]]
    found = one_round({A: 0.9, B: 0.2, C: 0.1}, texts=texts, early=early)
    assert found.outcome.candidates[-1].added == "a" * 99 + "\n\n"
    assert found.outcome.counts.policy_tokens == 10 + 10 + 10 + 101
    assert found.work.speculated_tokens == found.work.wasted_tokens == 20
    assert found.outcome.counts.policy_calls == 4
    assert found.seconds == seconds


def test_what_is_asked_of_a_pool_is_read_off_the_plan() -> None:
    specs = {
        (type(following.select.spec) if following.select else None, following.expand.spec.op)
        for following in next_expansions(BEAM).values()
    }
    assert (Select, Expand.op) in specs
    first = next(operation for operation in operations(BEAM.body) if operation.outputs)
    assert isinstance(first.spec, Expand)
    # Particles are resampled, by chance: nobody knows which of them continue.
    assert not next_expansions(compile_strategy("majority", settings={"n": 4}))
    filtering = compile_strategy("particle_filter", settings={"n": 4, "depth": 4})
    assert not next_expansions(filtering)


class Cancelling(TableScorer):
    """Cancels a task when it gives its first scores."""

    task: asyncio.Task[Outcome]

    def score(self, request: ScoreRequest) -> Future[ScoreReply]:
        """Before whoever asks hears of it."""
        future = super().score(request)
        if len(self.requests) == 1:
            future.add_done_callback(lambda _: self.task.cancel())
        return future


def test_a_run_that_is_cancelled_decides_no_selection_and_asks_for_nothing() -> None:
    """The first of three rows is there, and would continue at the end of the turn."""
    lines = [
        *ROUND[:2],
        "pool = select top 3 of pool by last(prm)",
        "pool = expand pool by 2 steps",
        "return best of pool by tokens",
    ]
    policy, scorer = ScriptedPolicy(TEXTS, (1.0, 50.0, 50.0)), Cancelling({}, steps=True)
    bound = bind(plan_of(*lines), {"policy": policy}, {"prm": scorer}, tuple(PASSES))

    async def cancelled() -> None:
        scorer.task = asyncio.create_task(execute(bound, Problem("p", "Q", "1"), 0))
        with pytest.raises(asyncio.CancelledError):
            await scorer.task
        await asyncio.sleep(1.0)

    run_virtual(cancelled())
    assert len(scorer.requests) == 1
    assert len(policy.requests) == 3
