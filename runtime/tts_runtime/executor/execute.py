"""Runs a bound plan on one problem, or on all of them at once."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from tts_lang.plan.graph import Force, Split
from tts_lang.values import number
from tts_runtime.answers.boundary import settled
from tts_runtime.engines.base import CandidateError, EngineError, Finish
from tts_runtime.executor.bind import Bound
from tts_runtime.executor.errors import RunError, unforeseen
from tts_runtime.executor.model import Candidate, Row
from tts_runtime.executor.outcome import (
    CandidateRecord,
    Observer,
    Outcome,
    ProblemLike,
    Work,
)
from tts_runtime.executor.pools import Pool
from tts_runtime.executor.problem_run import ProblemRun
from tts_runtime.executor.replay import Replay
from tts_runtime.executor.scope import Scope
from tts_runtime.executor.shared import Shared
from tts_runtime.executor.speculation import Speculator
from tts_runtime.reliability import Reliability

#: Operations whose text the policy did not choose.
_FORCING = (Force.op, Split.op)

#: New objects between two looks of the garbage collector.
_COLLECTOR_THRESHOLD = 5_000_000


async def execute(
    bound: Bound,
    problem: ProblemLike,
    seed: int,
    observer: Observer | None = None,
    shared: Shared | None = None,
    speculator: Speculator | None = None,
    work: Work | None = None,
) -> Outcome:
    """The strategy's answer to one problem; `shared` is what other strategies asked for it.

    What engines do for it is added to `work`.

    With a `speculator` (and a plan bound with `speculate`) likely requests run ahead.

    A problem that fails (an engine's error, a weight below 0, a score out of range, anything that
    nobody has foreseen) gives an `Outcome` with `error`. Cancelling this cancels all that it has
    in flight.
    """
    watching = Observer() if observer is None else observer
    run = ProblemRun(bound, problem, seed, watching, shared, speculator, work)
    try:
        outcome = await _answered(run)
        if run.early:
            await run.stop()
            again = Replay(run, seed)
            try:
                outcome = await again.played(_answered(again))
            finally:
                await again.close()
    except Exception as error:  # noqa: BLE001  (whatever it is, the other problems go on)
        found = Reliability(scorers=run.recorder.scorers())
        told = str(error) if isinstance(error, RunError | EngineError) else unforeseen(error)
        outcome = Outcome(problem.id, error=told, reliability=found)
    finally:
        await run.close()
    watching.outcome_ready(outcome)
    return outcome


async def _answered(run: ProblemRun) -> Outcome:
    program = run.bound.program
    node = run.opening(program.plan.thinks)
    candidate = Candidate(node, None, None, None, None, 0, None)
    candidate.problem = candidate.rootless = True
    candidate.uid = 0
    problem = Row(node, candidate)
    scope = Scope(run, problem, program.plan.thinks, [None] * len(program.plan.values))
    scope.values[program.plan.body.parameters[0]] = Pool([problem], False)
    returned = await program.body.walk(scope)
    assert returned is not None  # the verifier sees that strategies return
    rows = await run.rows(returned.pool)
    if not run.settled:
        # What the program asked for is waited for even where the answer does not need it: costs
        # and errors must not depend on what arrives first.
        await run.finished()
    made = scope.candidates()
    for uid, each in enumerate(made, 1):
        each.uid = uid
    later = rows[0].node.answer_later() if rows else None
    if later is not None:
        await settled(later)
    written, key = rows[0].node.answers if rows else (None, None)
    reliability = _reliability(run, made)
    return Outcome(
        run.problem.id,
        written,
        key,
        rows[0].node.text if rows else "",
        rows[0].candidate.uid if rows else None,
        None,
        run.counts,
        reliability,
        lambda: tuple(map(_record, made)),
    )


def _reliability(run: ProblemRun, made: Sequence[Candidate]) -> Reliability:
    """What went wrong with the candidates of a problem that has its answer.

    Raises:
        RunError: No candidate has a text of its own, so there is nothing that could decide.
    """
    failed: dict[str, int] = {}
    examples: list[str] = []
    first: CandidateError | None = None
    drawn = 0
    continued = {
        row.candidate for each in made for row in (each.parent, each.before) if row is not None
    }
    cut = 0
    as_text: dict[str, int] = {}
    unread: list[str] = []
    for each in made:
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
    # What was given up as needless may have had one: passes raise no other errors (C57).
    if first is not None and not drawn and run.whole:
        raise RunError(f"no candidate has a text; the first: {first}")
    return Reliability(
        candidates=len(made),
        cut=cut,
        failed=failed,
        example=min(examples, default=None),
        as_text=as_text,
        unread=min(unread, default=None),
        scorers=run.recorder.scorers(),
    )


def _record(candidate: Candidate) -> CandidateRecord:
    node = candidate.node
    site = candidate.site
    assert site is not None
    conversation = node.conversation
    before = candidate.parent if candidate.before is None else candidate.before
    written, key = node.answers
    text = node.text
    errors = dict(candidate.errors)
    if node.error is not None:
        errors[node.policy.name] = str(node.error)
    added = text
    if before is not None and before.node.conversation is conversation:
        source = before.node.text
        added = text[len(source) :] if text.startswith(source) else text
    return CandidateRecord(
        candidate.uid,
        None if candidate.parent is None else candidate.parent.candidate.uid,
        None if candidate.root is None else candidate.root.uid,
        site.op,
        site.place,
        None if conversation.own else conversation.message,
        added,
        site.op in _FORCING,
        node.position,
        node.tokens,
        node.segments.steps,
        None if node.finish is None else node.finish.value,
        node.done,
        number(node.logprob),
        written,
        key,
        dict(candidate.scores),
        errors,
        node.unread and node.unread[1],
    )


@contextmanager
def _patient_collector() -> Iterator[None]:
    """Lets the garbage collector look less often.

    Everything that a problem makes lives until the problem ends, and is then freed by counting
    references: the executor makes no cycles. Looking through it every 700 objects took half of its
    time, every half million still a fifth.
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
) -> Work:
    """Runs several strategies side by side; what they have in common is generated once (C62).

    Every outcome, its counts included, is that of the strategy alone. As `execute_all`, which see;
    `on_outcome` is told which strategy, and is awaited if it is a coroutine. A problem is in flight
    until its last strategy ends.
    `done` says which strategy need not run on which problem: an earlier run has done it.
    `speculate`: where engines have free slots, requests run ahead of plans that are bound for it
    (`bind`); tokens drawn for nothing are never more than this part of the others.

    Returns:
        What the engines did, for all strategies and problems together: `work`, if it is given, to
        which it is added as it happens.
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
            shared = Shared(total)
            async with asyncio.TaskGroup() as side_by_side:
                for place in range(len(bounds)):
                    if done is not None and done(place, problem.id):
                        continue
                    side_by_side.create_task(one(place, problem, shared))

    async def one(place: int, problem: ProblemLike, shared: Shared | None) -> None:
        bound = bounds[place]
        outcome = await execute(bound, problem, seed, observer, shared, ahead, total)
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
