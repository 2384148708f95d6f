"""Bounds hold in runs of random programs on random worlds.

Rows of every pool are those of the reference interpreter, costs also those of the executor, which
asks once what is asked twice, and of its engines, which serve every request in one second.
"""

from __future__ import annotations

import asyncio
from asyncio import Future
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from unittest.mock import patch

import pytest

from tests.support.agreement import PROBLEMS, World, by_reference, compiled, world
from tests.support.programs import random_program
from tests.support.reference import StrategyFailure, interpreter
from tests.support.runs import plan_of
from tests.support.shipped import NAMED
from tts_lang.compiler import CompileError, compile_strategy, parameters_of
from tts_lang.explain.costs import PlanBounds, bounds
from tts_lang.explain.models import Model, Models, attended
from tts_lang.plan.graph import Operation, Plan, Score
from tts_lang.plan.verify import verify
from tts_runtime.engines.base import (
    EngineError,
    GenerateRequest,
    Generation,
    ScoreReply,
    ScoreRequest,
)
from tts_runtime.engines.sim.engines import SimPolicy, SimScorer
from tts_runtime.engines.sim.model import SimModel
from tts_runtime.engines.sim.sim_server import Latency
from tts_runtime.engines.sim.virtual import run_virtual
from tts_runtime.executor import Outcome, bind, execute
from tts_runtime.executor.problem_run import ProblemRun
from tts_runtime.problems import Problem

PROGRAMS = 90
#: Every request takes a second, whatever else is served: seconds are rounds.
ROUNDS = Latency(token=0.0, overhead=1.0)
MODEL = Model(1000, layers=2, width=8)
#: A scorer's, of which records have no attention (C66).
SCORER = Model(1000, layers=1e-9, width=1e-9)
#: Parameters of shipped strategies, where they have them.
SMALL = {"depth": 3, "rollouts": 3, "most": 4, "rounds": 2, "n": 4, "trees": 2, "width": 2}


class Watch:
    """Compares every pool that the reference makes with its bounds."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.bounds: PlanBounds | None = None
        self.wrong: list[str] = []
        self.pools = 0
        self.tight = 0
        self.whole = 0  # tokens of the paths that were scored, whatever was known of them
        inner = interpreter.execute

        def execute(
            machine: object, scope: object, operation: Operation, known: dict[int, object]
        ) -> object:
            returned = inner(machine, scope, operation, known)  # type: ignore[arg-type]
            for value in operation.outputs:
                rows = known.get(value)
                if isinstance(rows, list):
                    self.pool(value, operation, len(rows))
                    if isinstance(operation.spec, Score) and self.read_by_engine(operation.spec):
                        self.whole += sum(row.node.position for row in rows)
            return returned

        monkeypatch.setattr(interpreter, "execute", execute)

    def begin(self, plan: Plan, found: PlanBounds) -> None:
        """The next program."""
        self.bounds = found
        self.whole = 0
        self.scorers = {scorer.name: scorer for scorer in plan.scorers}

    def read_by_engine(self, spec: Score) -> bool:
        scorer = self.scorers[spec.scorer]
        return scorer.judge is None and scorer.field is None and spec.ahead is None

    def pool(self, value: int, operation: Operation, count: int) -> None:
        assert self.bounds is not None
        rows = self.bounds.rows.get(value)
        self.pools += 1
        if rows is None:
            self.wrong.append(f"{operation.spec.op} was thought never to run")
        elif count < rows.low or (rows.high is not None and count > rows.high):
            self.wrong.append(f"{operation.spec} gave {count} rows: {rows}")
        else:
            self.tight += count == rows.high


@dataclass(slots=True)
class Served:
    """What the policy engines of one run were asked, and what they did for it."""

    context: int = 0  # tokens before the calls
    flops: float = 0.0
    seconds: float = 0.0
    operations: int = 0


def watched(policies: Mapping[str, SimPolicy], served: Served) -> None:
    """Adds up what policies do; each has a prefix cache that forgets nothing."""
    for policy in policies.values():
        cache: set[tuple[int, ...]] = {()}

        def generate(
            request: GenerateRequest,
            policy: SimPolicy = policy,
            cache: set[tuple[int, ...]] = cache,
        ) -> Future[Generation]:
            ids = (*request.prompt, *request.prefix)
            cached = next(size for size in range(len(ids), -1, -1) if ids[:size] in cache)
            cache.update(ids[:size] for size in range(len(ids) + 1))
            served.context += len(ids)
            future = SimPolicy.generate(policy, request)

            def drawn(done: Future[Generation]) -> None:
                if done.cancelled() or done.exception() is not None:
                    return
                made = done.result()
                path = (*ids, *made.ids)
                cache.update(path[:size] for size in range(len(path) + 1))
                read = len(ids) - cached
                served.flops += MODEL.flops(read, attended(read, len(ids)))
                end = len(ids) + made.drawn
                served.flops += MODEL.flops(made.drawn, attended(made.drawn, end))

            future.add_done_callback(drawn)
            return future

        policy.generate = generate  # type: ignore[method-assign]


def counting(scorers: Mapping[str, SimScorer], encode: Callable[[str], Sequence[int]]) -> None:
    """Has scorers read the policy's tokens, the problem's included, where they read bytes."""

    def size(text: str) -> int:
        return len(encode(text))

    for scorer in scorers.values():

        def score_now(
            request: ScoreRequest, pool: bytes = b"", scorer: SimScorer = scorer
        ) -> ScoreReply:
            reply = SimScorer.score_now(scorer, request, pool)
            opening = size(request.problem)
            if scorer.steps:
                sizes = tuple(map(size, request.steps[request.known :]))
                return replace(reply, opening=opening, sizes=sizes)
            return replace(reply, sizes=(opening + size(request.text),))

        scorer.score_now = score_now  # type: ignore[method-assign]


def served_run(plan: Plan, place: World, problem: Problem, seed: int) -> tuple[Outcome, Served]:
    """The executor's outcome, and what the engines did."""
    served = Served()
    policies = place.policies(plan, ROUNDS)
    watched(policies, served)
    scorers = place.scorers(plan, ROUNDS)
    counting(scorers, SimModel(0).tokenizer.encode)
    bound = bind(plan, policies, scorers)

    class Counted(ProblemRun):
        async def close(self) -> None:
            served.operations = next(self.turns) - 1
            await super().close()

    async def one() -> Outcome:
        outcome = await execute(bound, problem, seed)
        served.seconds = asyncio.get_running_loop().time()
        return outcome

    with patch.dict(execute.__globals__, ProblemRun=Counted):
        return run_virtual(one()), served


def models_of(plan: Plan) -> Models:
    """The sizes of a plan's models."""
    return Models({scorer.name: SCORER for scorer in plan.scorers}, MODEL)


def costs(
    outcome: Outcome, served: Served, found: PlanBounds, problem: Problem
) -> Iterator[tuple[str, float, int | None]]:
    """What a run cost, beside its bounds."""
    counts, total = outcome.counts, found.total
    # Bounds of scorers are of solutions: the problem is read with every path, at most.
    scored = total.scorer_tokens
    if scored is not None:
        scored += counts.scorer_calls * len(SimModel(0).tokenizer.encode(problem.text))
    flops = served.flops + 2 * SCORER.parameters * counts.scorer_tokens
    yield "policy calls", counts.policy_calls, total.policy_calls
    yield "sampled tokens", counts.policy_tokens, total.sampled_tokens
    yield "prefilled tokens", counts.prompt_tokens, total.prefilled_tokens
    yield "cached tokens", served.context - counts.prompt_tokens, total.cached_tokens
    yield "scorer calls", counts.scorer_calls, total.scorer_calls
    yield "scorer tokens", counts.scorer_tokens, scored
    yield "rounds", served.seconds, total.rounds
    yield "FLOPs", flops, total.flops
    yield "operations", served.operations, total.operations


def test_c59_bounds_hold_in_shipped_strategies() -> None:
    """At small parameters, on engines that a strategy cannot tell from real ones."""
    finished = 0
    for number, (path, name) in enumerate(NAMED):
        parameters = parameters_of(f"{path}:{name}")
        try:
            small = {key: SMALL[key] for key in parameters if key in SMALL}
            plan = compile_strategy(path, name, small)
        except CompileError:  # no strategy at these parameters
            plan = compile_strategy(path, name)
        place, problem = world(number), PROBLEMS[number % len(PROBLEMS)]
        found = bounds(plan, place.context, models=models_of(plan))
        outcome, served = served_run(plan, place, problem, number)
        finished += outcome.error is None
        for what, spent, most in costs(outcome, served, found, problem):
            assert most is None or spent <= most * (1 + 1e-9), (name, what, spent, most)
    assert finished > len(NAMED) // 2


def test_c59_bounds_hold_in_random_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    watch = Watch(monkeypatch)
    finished = 0
    tight = dict.fromkeys(("prefilled", "cached", "whole", "rounds"), 0)
    for number in range(PROGRAMS):
        source = random_program(number)
        plan, place = compiled(source), world(number)
        verify(plan)
        problem = PROBLEMS[number % len(PROBLEMS)]
        # Half of the time the problem's length is known.
        lengths = [
            len(policy.tokenizer.encode(policy.binding.open(problem.text, thinking=thinks)))
            for policy in place.policies(plan, ROUNDS).values()
            for thinks in (False, policy.binding.thinking is not None)
        ]
        prompt = max(lengths, default=0) if number % 2 else None
        found = bounds(plan, place.context, prompt, models_of(plan))
        watch.begin(plan, found)
        try:
            reference = by_reference(plan, place, problem, number).counts
        except (StrategyFailure, EngineError):
            continue
        finally:
            assert not watch.wrong, f"{watch.wrong} in program {number}:\n{source}"
        finished += 1
        outcome, served = served_run(plan, place, problem, number)
        counts, total = outcome.counts, found.total
        cached = served.context - counts.prompt_tokens
        for name, spent, most in (
            *costs(outcome, served, found, problem),
            ("policy calls", reference.policy_calls, found.policy_calls),
            ("whole scorer tokens", watch.whole, total.whole_scorer_tokens),
        ):
            assert most is None or spent <= most * (1 + 1e-9), (
                f"{name}: {spent}, not {most} at most, in program {number}:\n{source}"
            )
        tight["prefilled"] += counts.prompt_tokens == total.prefilled_tokens
        tight["cached"] += cached == total.cached_tokens
        tight["whole"] += watch.whole == total.whole_scorer_tokens
        tight["rounds"] += round(served.seconds) == total.rounds
    assert finished > PROGRAMS // 2
    assert watch.tight > watch.pools // 2, "bounds this loose say nothing"
    assert min(tight.values()) > finished // 60, tight


@pytest.mark.parametrize("scorer", ["prm per step", "orm per solution"])
def test_c59_flops_of_scorers_are_bounded_with_the_problem_that_they_read(scorer: str) -> None:
    name = scorer.split()[0]
    score = "last(prm)" if name == "prm" else name
    lines = (
        "pool = sample 3 max 1 tokens",
        f"score pool by {name}",
        f"return best of pool by {score}",
    )
    plan, place = plan_of(*lines, before=f"scorer {scorer} from 0 to 1"), world(0)
    for number, problem in enumerate(PROBLEMS):
        size = len(SimModel(0).tokenizer.encode(problem.text))
        found = bounds(plan, place.context, size, Models({name: SCORER}))
        outcome, _ = served_run(plan, place, problem, number)
        assert found.total.flops is not None
        assert outcome.counts.scorer_tokens > size
        assert 2 * SCORER.parameters * outcome.counts.scorer_tokens <= found.total.flops
