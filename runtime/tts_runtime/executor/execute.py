"""Runs a bound plan on one problem, or on all of them at once; what it returns."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import (
    Awaitable,
    Callable,
    Collection,
    Iterable,
    Iterator,
    Sequence,
)
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from threading import Lock
from typing import Any, TypeAlias

from tts_runtime.answers.boundary import settled
from tts_runtime.engines.base import CandidateError, EngineError, Finish
from tts_runtime.executor.bind import Bound
from tts_runtime.executor.engine_calls import EngineCalls, KeptReplies, SharedRequests
from tts_runtime.executor.generation import CandidateMade
from tts_runtime.executor.pools import Pool
from tts_runtime.executor.problem import Events, ProblemLike, RunError, unforeseen
from tts_runtime.executor.problem_run import ProblemRun, ReplyArrived
from tts_runtime.executor.program import Program
from tts_runtime.executor.records import lines_of
from tts_runtime.executor.replay import Recording, Replay
from tts_runtime.executor.requests import Counts, Work
from tts_runtime.executor.rows import Candidate, problem_row
from tts_runtime.executor.scope import Scope, StrategyReturned
from tts_runtime.executor.speculation import Speculator
from tts_runtime.record.nodes import CandidateRecord, recorded
from tts_runtime.reliability import Recorder, Reliability
from tts_runtime.thoughts import split_thought

# ------------------------------------------------------------------ outcomes


class Observer:
    """Told what happens while it happens; every method does nothing here."""

    def tokens_drawn(self, count: int) -> None:
        """A policy has drawn that many tokens for one request."""

    def candidate_done(self, problem_id: str) -> None:
        """A problem's candidate was generated."""

    def outcome_ready(self, outcome: Outcome) -> None:
        """A problem finished or failed."""


@dataclass(frozen=True)
class Outcome:
    """The result of a strategy on one problem.

    Args:
        problem_id, seed: Which problem, under which seed.
        answer: The answer as written in the returned candidate; missing if it has none (C40).
        answer_key: Its canonical form.
        text: The returned candidate's whole text; empty if none was returned.
        thought, reply: Of the text, what the policy thought, and what it said after that.
        row: Uid of the returned candidate, if any was returned; `tokens`: those drawn on its path.
        finish: Why its generation stopped; `fault`: why there is none, if it failed.
        error: Why the problem failed; the answer is missing then.
        by_engine: An engine failed, not the strategy; `wait`: seconds after which its server wants
            to be asked again.
        counts: What it cost; nothing for a problem that failed, whatever engines did for it.
        reliability: What went wrong with its candidates.
    """

    problem_id: str
    seed: int = 0
    answer: str | None = None
    answer_key: str | None = None
    text: str = ""
    row: int | None = None
    error: str | None = None
    by_engine: bool = False
    wait: float | None = None
    counts: Counts = field(default_factory=Counts)
    reliability: Reliability = field(default_factory=Reliability)
    tokens: int = 0
    finish: str | None = None
    thought: str = ""
    reply: str = ""
    fault: str | None = None
    _lines: Callable[[Collection[str]], list[dict[str, Any]]] = field(
        default=lambda _: [], repr=False, compare=False
    )

    @property
    def candidates(self) -> tuple[CandidateRecord, ...]:
        """Every candidate, in program order; computed again each time it is read."""
        return tuple(recorded(self.lines()))

    def lines(self, keep: Collection[str] = ()) -> list[dict[str, Any]]:
        """`candidates` as lines of `nodes.jsonl` (`NodeBatch`), but for the problem and its seed.

        `keep`: what else they have: `ids`, `logprobs`.
        """
        return self._lines(keep)


def reliability_of(
    candidates: Sequence[Candidate], recorder: Recorder, *, complete: bool
) -> Reliability:
    """What went wrong with the candidates of a problem that has its answer.

    `complete`: no candidate was given up before it was complete.

    Raises:
        RunError: No candidate has a text of its own, so there is nothing that could decide.
    """
    failed: dict[str, int] = {}
    examples: list[str] = []
    first: CandidateError | None = None
    drawn = 0
    continued = {each.parent for each in candidates}
    continued.update(each.before.candidate for each in candidates if each.before is not None)
    cut = 0
    as_text: dict[str, int] = {}
    unread: list[str] = []
    for each in candidates:
        node = each.node
        if node.unread is not None:
            kind, why = node.unread
            as_text[kind] = as_text.get(kind, 0) + 1
            unread.append(why)
        if node.error is not None:
            first = first or node.error
            failed[node.error.fault.value] = failed.get(node.error.fault.value, 0) + 1
            examples.append(str(node.error))
        elif node.sampled:
            drawn += 1
            cut += node.finish is Finish.LENGTH and each not in continued
    # A candidate that was given up may have had one: passes raise no other errors (C57).
    if first is not None and not drawn and complete:
        raise RunError(f"no candidate has a text; the first: {first}") from first
    return Reliability(
        candidates=len(candidates),
        cut=cut,
        failed=failed,
        example=min(examples, default=None),
        as_text=as_text,
        unread=min(unread, default=None),
        scorers=recorder.scorers(),
    )


# ------------------------------------------------------------------ running

#: Subscribes to the events of a problem's run (`execute`).
Subscriber: TypeAlias = Callable[[ProblemLike, Events], None]

#: New objects between two runs of the garbage collector.
_COLLECTOR_THRESHOLD = 5_000_000


def _fits(bound: Bound, problem: ProblemLike) -> None:
    """Refuses a problem with messages that a policy's binding has no form for (C79)."""
    for policy in bound.program.engines.policies.values():
        wrong = policy.binding.misfit(problem.before)
        if wrong is not None:
            raise RunError(f"the problem has {wrong}")


async def execute(
    bound: Bound,
    problem: ProblemLike,
    seed: int,
    observer: Observer | None = None,
    calls: EngineCalls | None = None,
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
        calls: Asks engines for the problem, also for other strategies; directly if absent.
        speculator: Likely requests run ahead, if the plan is bound with `speculate`.
        work: What engines do for the problem is added here, if they are asked directly.
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
    run = ProblemRun(bound.program.engines, problem, seed, events, calls, work)
    try:
        _fits(bound, problem)
        outcome = await _answer(bound.program, run, seed)
        if run.ended_early:
            await run.stop()
            again = Events()
            if subscribe is not None:
                subscribe(problem, again)
            replay = Replay(run, recording, seed, again)
            try:
                outcome = await replay.play(_answer(bound.program, replay, seed))
            finally:
                await replay.close()
    except Exception as error:  # noqa: BLE001  (whatever it is, the other problems continue)
        message = str(error) if isinstance(error, RunError | EngineError) else unforeseen(error)
        reliability = Reliability(scorers=run.recorder.scorers())
        outcome = Outcome(problem.id, seed, error=message, reliability=reliability)
        cause = error.__cause__ if isinstance(error, RunError) else error
        if isinstance(cause, EngineError):
            outcome = replace(outcome, by_engine=True, wait=cause.wait)
    finally:
        await run.close()
        recording.clear()
    if observer is not None:
        observer.outcome_ready(outcome)
    return outcome


async def _answer(program: Program, run: ProblemRun, seed: int) -> Outcome:
    plan = program.plan
    problem = problem_row(run.opening(plan.thinks))
    problem.candidate.uid = 0
    scope = Scope(run, problem, plan.thinks, [None] * len(plan.values), answers=True)
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
    candidates = scope.number()
    later = rows[0].node.answer_later() if rows else None
    if later is not None:
        await settled(later)
    outcome = Outcome(
        run.problem.id,
        seed,
        counts=run.counts,
        reliability=reliability_of(candidates, run.recorder, complete=not run.abandoned),
        _lines=partial(lines_of, candidates),
    )
    if not rows:
        return outcome
    node = rows[0].node
    written, key = node.answers
    text, conversation = node.text, node.conversation
    thought, reply = split_thought(text, node.policy.binding, thinking=conversation.thinking)
    return replace(
        outcome,
        answer=written,
        answer_key=key,
        text=text,
        thought=thought,
        reply=reply,
        row=rows[0].candidate.uid,
        tokens=node.tokens,
        finish=None if node.finish is None else node.finish.value,
        fault=None if node.error is None else str(node.error),
    )


class _Collector:
    """The garbage collector's threshold while runs are in flight."""

    lock = Lock()  # runs may be in several threads
    runs = 0
    before = gc.get_threshold()


@contextmanager
def patient_collector() -> Iterator[None]:
    """Runs the garbage collector less often, until the last of the runs inside has ended.

    Everything that a problem creates lives until the problem ends, and is then freed by counting
    references: the executor creates no cycles. Scanning it every 700 objects took half of the
    executor's time, every half million still a fifth.
    """
    with _Collector.lock:
        if not _Collector.runs:
            _Collector.before = before = gc.get_threshold()
            gc.set_threshold(max(before[0], _COLLECTOR_THRESHOLD), *before[1:])
        _Collector.runs += 1
    try:
        yield
    finally:
        with _Collector.lock:
            _Collector.runs -= 1
            if not _Collector.runs:
                gc.set_threshold(*_Collector.before)


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
        ((problem, seed) for problem in problems),
        lambda _, outcome: on_outcome(outcome),
        concurrency=concurrency,
        observer=observer,
        speculate=speculate,
    )


async def execute_together(
    bounds: Sequence[Bound],
    problems: Iterable[tuple[ProblemLike, int]],
    on_outcome: Callable[[int, Outcome], Awaitable[None] | None],
    *,
    concurrency: int | None = None,
    observer: Observer | None = None,
    done: Callable[[int, str, int], bool] | None = None,
    speculate: float = 0.0,
    work: Work | None = None,
    subscribe: Callable[[int, ProblemLike, int, Events], None] | None = None,
    kept: Callable[[ProblemLike, int], KeptReplies] | None = None,
) -> Work:
    """Runs several strategies side by side; what they have in common is generated once (C62).

    Every outcome, its counts included, is that of the strategy alone. A problem is in flight until
    its last strategy ends.

    Args:
        bounds: The strategies.
        problems: The problems, each with the seed of its random streams.
        on_outcome: Called with the index of the strategy; awaited if it returns an awaitable. See
            also `execute_all`.
        concurrency: Problems in flight at once; all of them when absent.
        observer: Told how problems proceed.
        done: Whether a strategy (by index) has an outcome for a problem (by id) and seed already.
        speculate: Where engines have free slots, requests run ahead of plans that are bound with
            `speculate`; wasted tokens never exceed this fraction of the others.
        work: What engines do is added here as it happens.
        subscribe: As in `execute`, with the index of the strategy first, and the seed.
        kept: Replies that need not be asked for, by problem and seed.

    Returns:
        What the engines did, for all strategies and problems together; `work`, if given.

    Raises:
        ValueError: `concurrency` is below 1.
    """
    total = Work() if work is None else work
    if concurrency is not None and concurrency < 1:
        raise ValueError(f"concurrency is {concurrency}; at least 1 problem must be in flight")
    ahead = Speculator(speculate) if speculate > 0 else None
    waiting: Iterator[tuple[ProblemLike, int]]
    if concurrency is None:
        listed = list(problems)
        concurrency, waiting = len(listed), iter(listed)
    else:
        waiting = iter(problems)

    async def worker() -> None:
        for problem, seed in waiting:
            if len(bounds) == 1:
                if done is None or not done(0, problem.id, seed):
                    calls = None if kept is None else EngineCalls(total, kept(problem, seed))
                    await one(0, problem, seed, calls)
                continue
            shared = SharedRequests(total, None if kept is None else kept(problem, seed))
            async with asyncio.TaskGroup() as side_by_side:
                for place in range(len(bounds)):
                    if done is not None and done(place, problem.id, seed):
                        continue
                    side_by_side.create_task(one(place, problem, seed, shared))

    async def one(place: int, problem: ProblemLike, seed: int, calls: EngineCalls | None) -> None:
        bound = bounds[place]
        listen: Subscriber | None = None
        if subscribe is not None:
            listen = lambda problem, events: subscribe(place, problem, seed, events)  # noqa: E731
        outcome = await execute(bound, problem, seed, observer, calls, ahead, total, listen)
        taken = on_outcome(place, outcome)
        if taken is not None:
            await taken

    try:
        with patient_collector():
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
