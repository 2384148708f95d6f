"""Binds a plan to engines, and runs it on one problem, or on all of them at once."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import (
    Awaitable,
    Callable,
    Collection,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

from tts_lang.optimise.early_exit import early_exits
from tts_lang.plan.graph import Plan
from tts_runtime.answers.boundary import settled
from tts_runtime.engines.base import EngineError, PolicyEngine, ScorerEngine
from tts_runtime.engines.policy import Policy
from tts_runtime.engines.scorers import FieldScorer
from tts_runtime.executor.children import CandidateMade
from tts_runtime.executor.early_exit import handlers
from tts_runtime.executor.errors import BindError, RunError, unforeseen
from tts_runtime.executor.events import Events
from tts_runtime.executor.fit import check_names, misfits, policies_of
from tts_runtime.executor.model import Candidate, ProblemLike, Row
from tts_runtime.executor.next_expansion import next_expansions
from tts_runtime.executor.ops import (  # noqa: F401  (they register the handlers of operators)
    control,
    edit,
    judge,
    sample,
    score,
    select,
    tree,
)
from tts_runtime.executor.outcome import Observer, Outcome, record_of, reliability_of
from tts_runtime.executor.problem_run import ProblemRun, ReplyArrived
from tts_runtime.executor.program import Program
from tts_runtime.executor.replay import Recording, Replay
from tts_runtime.executor.scheduler import Pool
from tts_runtime.executor.scope import Scope, StrategyReturned
from tts_runtime.executor.speculation import Guess, Speculator
from tts_runtime.executor.work import SharedRequests, Work
from tts_runtime.reliability import Reliability

#: Subscribes to the events of a problem's run (`execute`).
Subscriber: TypeAlias = Callable[[ProblemLike, Events], None]

#: New objects between two runs of the garbage collector.
_COLLECTOR_THRESHOLD = 5_000_000


@dataclass(frozen=True, slots=True)
class Bound:
    """A plan with engines that fit it; made by `bind`, run by `execute`.

    Args:
        plan: The plan.
        program: The plan, ready to run.
        exact: Every engine follows the streams, so a rerun gives the same texts.
        early: Operations may end early: runs that do are replayed (C66).
        guesses: What may run ahead of which value, if the plan is bound with `speculate`.
    """

    plan: Plan
    program: Program
    exact: bool
    early: bool
    guesses: Mapping[int, Guess]


def bind(
    plan: Plan,
    policies: Mapping[str, PolicyEngine],
    scorers: Mapping[str, ScorerEngine],
    passes: Collection[str] = (),
    speculate: bool = False,
    strict: bool = False,
) -> Bound:
    """Binds a plan's policies and scorers, by the names that the strategy gives them, to engines.

    Engines that the plan does not name are ignored.

    Args:
        plan: The plan.
        policies, scorers: Engines by name.
        passes: Names of `PASSES`: with them a run generates less, to the same answer; without them
            everything that the program asks for.
        speculate: Find out what may run ahead (see `execute_together`).
        strict: A fault of one candidate fails its problem.

    Raises:
        BindError: Something is missing or does not fit; the message has one line per problem.
    """
    check_names(plan, policies, scorers)
    engines = {
        scorer.name: FieldScorer(scorer.field) if scorer.field is not None else scorers[scorer.name]
        for scorer in plan.scorers
        if scorer.judge is None
    }
    bound = {name: Policy(name, policies[name]) for name in policies_of(plan)}
    problems = misfits(plan, bound, engines)
    if problems:
        raise BindError("\n".join(problems))
    exact = all(policy.engine.exact for policy in bound.values()) and all(
        engine.exact for engine in engines.values()
    )
    special = handlers(early_exits(plan, passes))
    program = Program(plan, bound, engines, strict, special)
    following = next_expansions(plan) if speculate else {}
    return Bound(
        plan,
        program,
        exact,
        bool(special),
        {value: Guess(program, expansion) for value, expansion in following.items()},
    )


async def execute(
    bound: Bound,
    problem: ProblemLike,
    seed: int,
    observer: Observer | None = None,
    shared: SharedRequests | None = None,
    speculator: Speculator | None = None,
    work: Work | None = None,
    subscribe: Subscriber | None = None,
) -> Outcome:
    """The strategy's answer to one problem.

    A problem that fails (an engine's error, a weight below 0, a score out of range, any exception)
    gives an `Outcome` with `error`. Cancelling this cancels everything that it has in flight.

    Args:
        bound: The strategy.
        problem: The problem.
        seed: The run's seed.
        observer: Told how the problem proceeds.
        shared: What other strategies ask for the same problem.
        speculator: Likely requests run ahead, if the plan is bound with `speculate`.
        work: What engines do for the problem is added here.
        subscribe: Called with the problem and the events of its run, to subscribe to them; called
            again if the run ended early, for the replay that its outcome comes from.
    """
    events = Events()
    if subscribe is not None:
        subscribe(problem, events)
    recording = Recording()
    if bound.early:
        recording.subscribe(events)
    if observer is not None:
        events.subscribe(ReplyArrived, lambda event: observer.tokens_drawn(event.tokens))
        events.subscribe(CandidateMade, lambda _: observer.candidate_done(problem.id))
    if speculator is not None:
        speculator.subscribe(events, bound.guesses)
    run = ProblemRun(bound.program.engines, problem, seed, events, shared, work)
    try:
        outcome = await _answer(bound.program, run)
        if run.ended_early:
            await run.stop()
            again = Events()
            if subscribe is not None:
                subscribe(problem, again)
            replay = Replay(run, recording, seed, again)
            try:
                outcome = await replay.play(_answer(bound.program, replay))
            finally:
                await replay.close()
    except Exception as error:  # noqa: BLE001  (whatever it is, the other problems continue)
        message = str(error) if isinstance(error, RunError | EngineError) else unforeseen(error)
        reliability = Reliability(scorers=run.recorder.scorers())
        outcome = Outcome(problem.id, error=message, reliability=reliability)
    finally:
        await run.close()
        recording.clear()
    if observer is not None:
        observer.outcome_ready(outcome)
    return outcome


async def _answer(program: Program, run: ProblemRun) -> Outcome:
    plan = program.plan
    candidate = Candidate(run.opening(plan.thinks), None, None, None, None, 0, None)
    candidate.problem = candidate.rootless = True
    candidate.uid = 0
    problem = Row(candidate.node, candidate)
    scope = Scope(run, problem, plan.thinks, [None] * len(plan.values))
    scope.values[plan.body.parameters[0]] = Pool([problem])
    returned = await program.body.walk(scope)
    assert returned is not None  # the verifier sees that strategies return
    rows = await run.rows(returned.pool)
    for listener in run.events.listeners(StrategyReturned):
        listener(StrategyReturned(scope, rows))
    if not run.settled:
        # What the program asked for is waited for even where the answer does not need it: costs
        # and errors must not depend on what arrives first.
        await run.finished()
    candidates = scope.candidates()
    for uid, each in enumerate(candidates, 1):
        each.uid = uid
    later = rows[0].node.answer_later() if rows else None
    if later is not None:
        await settled(later)
    written, key = rows[0].node.answers if rows else (None, None)
    return Outcome(
        run.problem.id,
        written,
        key,
        rows[0].node.text if rows else "",
        rows[0].candidate.uid if rows else None,
        None,
        run.counts,
        reliability_of(candidates, run.recorder, complete=not run.abandoned),
        lambda: tuple(map(record_of, candidates)),
    )


@contextmanager
def _patient_collector() -> Iterator[None]:
    """Runs the garbage collector less often.

    Everything that a problem creates lives until the problem ends, and is then freed by counting
    references: the executor creates no cycles. Scanning it every 700 objects took half of the
    executor's time, every half million still a fifth.
    """
    before = gc.get_threshold()
    gc.set_threshold(max(before[0], _COLLECTOR_THRESHOLD), *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


async def execute_all(
    bound: Bound,
    problems: Iterable[ProblemLike],
    seed: int,
    on_outcome: Callable[[Outcome], None],
    *,
    concurrency: int | None = None,
    observer: Observer | None = None,
    speculate: float = 0.0,
) -> Work:
    """Runs all problems, at most `concurrency` in flight (all of them when absent).

    Each outcome goes to `on_outcome` as soon as its problem ends, and is dropped. A failed problem
    does not stop the others. An exception of `on_outcome`, or cancellation, ends everything.

    Raises:
        ValueError: `concurrency` is below 1.
    """
    return await execute_together(
        [bound],
        problems,
        seed,
        lambda _, outcome: on_outcome(outcome),
        concurrency=concurrency,
        observer=observer,
        speculate=speculate,
    )


async def execute_together(
    bounds: Sequence[Bound],
    problems: Iterable[ProblemLike],
    seed: int,
    on_outcome: Callable[[int, Outcome], Awaitable[None] | None],
    *,
    concurrency: int | None = None,
    observer: Observer | None = None,
    done: Callable[[int, str], bool] | None = None,
    speculate: float = 0.0,
    work: Work | None = None,
    subscribe: Callable[[int, ProblemLike, Events], None] | None = None,
) -> Work:
    """Runs several strategies side by side; what they have in common is generated once (C62).

    Every outcome, its counts included, is that of the strategy alone. A problem is in flight until
    its last strategy ends.

    Args:
        bounds: The strategies.
        problems: The problems.
        seed: The run's seed.
        on_outcome: Called with the index of the strategy; awaited if it returns an awaitable. See
            also `execute_all`.
        concurrency: Problems in flight at once; all of them when absent.
        observer: Told how problems proceed.
        done: Whether a strategy (by index) has an outcome for a problem (by id) already.
        speculate: Where engines have free slots, requests run ahead of plans that are bound with
            `speculate`; wasted tokens never exceed this fraction of the others.
        work: What engines do is added here as it happens.
        subscribe: As in `execute`, with the index of the strategy first.

    Returns:
        What the engines did, for all strategies and problems together; `work`, if given.

    Raises:
        ValueError: `concurrency` is below 1.
    """
    total = Work() if work is None else work
    if concurrency is not None and concurrency < 1:
        raise ValueError(f"concurrency is {concurrency}; at least 1 problem must be in flight")
    ahead = Speculator(speculate) if speculate > 0 else None
    waiting: Iterator[ProblemLike]
    if concurrency is None:
        listed = list(problems)
        concurrency, waiting = len(listed), iter(listed)
    else:
        waiting = iter(problems)

    async def worker() -> None:
        for problem in waiting:
            if len(bounds) == 1:
                if done is None or not done(0, problem.id):
                    await one(0, problem, None)
                continue
            shared = SharedRequests(total)
            async with asyncio.TaskGroup() as side_by_side:
                for place in range(len(bounds)):
                    if done is not None and done(place, problem.id):
                        continue
                    side_by_side.create_task(one(place, problem, shared))

    async def one(place: int, problem: ProblemLike, shared: SharedRequests | None) -> None:
        bound = bounds[place]
        listen = None if subscribe is None else partial(subscribe, place)
        outcome = await execute(bound, problem, seed, observer, shared, ahead, total, listen)
        taken = on_outcome(place, outcome)
        if taken is not None:
            await taken

    try:
        with _patient_collector():
            async with asyncio.TaskGroup() as group:
                for _ in range(concurrency):
                    group.create_task(worker())
    except BaseExceptionGroup as errors:
        # One task's exception ends the others, so the first is the cause.
        error: BaseException = errors
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        raise error from None
    return total
