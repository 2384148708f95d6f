"""Early exit: votes and `first`s whose result is fixed before their pool is complete (C45, C58).

`early_exits` finds them in a plan; nothing else decides what may end early. They are run by
handlers of their own (`handlers`), which stop waiting as soon as they know enough; the program of
the other operations is the same with and without them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tts_lang.plan.expr import fields_in
from tts_lang.plan.graph import (
    Call,
    Exit,
    Expand,
    First,
    Let,
    Operation,
    Plan,
    Region,
    Score,
    Vote,
    Where,
    operations,
)
from tts_runtime.executor.early_vote import VoteCounter, max_weight
from tts_runtime.executor.expressions import needs_pool
from tts_runtime.executor.model import Row
from tts_runtime.executor.program import HANDLERS, Action, Builder, Handler
from tts_runtime.executor.scheduler import Pool
from tts_runtime.executor.scope import Scope
from tts_runtime.executor.views import View, weight_of

SHORT_CIRCUIT: Final = "short_circuit"
LAZY_FIRST: Final = "lazy_first"

#: Rewrites that happen while a plan runs, and why each keeps the answer.
PASSES: Final[Mapping[str, str]] = {
    SHORT_CIRCUIT: "a vote whose winner the remaining candidates cannot change is over (C45)",
    LAZY_FIRST: "candidates after the first ones asked for are not generated (C58)",
}


@dataclass(frozen=True, slots=True)
class EarlyExits:
    """Operations that may end early, by the value that they give.

    Args:
        final: Values that the answer is taken from and that nothing else reads.
        votes: Votes that may be over before all rows are there.
        firsts: `first` operations, each with the value of the expansion whose later children
            nothing but this `first` reads.
    """

    final: frozenset[int] = frozenset()
    votes: frozenset[int] = frozenset()
    firsts: Mapping[int, int] = field(default_factory=dict)


#: Nothing ends early: everything that the program asks for is generated.
EVERYTHING: Final = EarlyExits()


def early_exits(plan: Plan, passes: Collection[str]) -> EarlyExits:
    """The operations of a plan that may end early, by these passes.

    Raises:
        ValueError: A name that is not in `PASSES`.
    """
    for name in passes:
        if name not in PASSES:
            raise ValueError(f"pass {name!r} is not one of {', '.join(PASSES)}")
    if not passes:
        return EVERYTHING
    readers = Counter(_read(plan.body))
    final = frozenset(_answers(plan.body, readers))
    votes: set[int] = set()
    firsts: dict[int, int] = {}
    for region in _regions(plan.body):
        makers = {
            value: operation for operation in region.operations for value in operation.outputs
        }
        for operation in region.operations:
            spec = operation.spec
            if isinstance(spec, Vote):
                if SHORT_CIRCUIT in passes and operation.outputs[0] in final and _simple(spec):
                    votes.add(operation.outputs[0])
            elif isinstance(spec, First) and LAZY_FIRST in passes:
                source = _lazy(operation, spec, makers, readers)
                if source is not None:
                    firsts[operation.outputs[0]] = source
    if not votes and not firsts:
        return EVERYTHING
    return EarlyExits(final, frozenset(votes), firsts)


def _simple(vote: Vote) -> bool:
    """Only the answer counts, one class wins, and a weight depends on its own row alone."""
    return (
        vote.on == "answer"
        and vote.per is None
        and (vote.weight is None or not needs_pool(vote.weight))
    )


def _lazy(
    operation: Operation, first: First, makers: Mapping[int, Operation], readers: Counter[int]
) -> int | None:
    """The expansion that a `first` cuts short; none if anything else sees its rows.

    Between the two only operations that look at one row at a time (C58).
    """
    if first.per is not None or needs_pool(first.count):
        return None
    value = operation.inputs[0]
    while readers[value] == 1 and value in makers:
        before = makers[value]
        if isinstance(before.spec, Expand):
            return value
        row_wise = isinstance(before.spec, Where | Let | Score)
        if not row_wise or any(map(needs_pool, fields_in(before.spec))):
            return None
        value = before.inputs[0]
    return None


def _regions(region: Region) -> Iterator[Region]:
    yield region
    for operation in operations(region):
        yield from operation.regions


def _read(region: Region) -> Iterator[int]:
    """Every value that is read, as often as it is."""
    for inner in _regions(region):
        yield from inner.results
        for operation in inner.operations:
            yield from operation.inputs


def _answers(region: Region, readers: Counter[int]) -> Iterator[int]:
    """Values that a strategy returns and does nothing else with, in its calls too."""
    final = region.results[0] if region.exit is Exit.RETURN else None
    if final is not None and readers[final] == 1:
        yield final
    for operation in region.operations:
        if not isinstance(operation.spec, Call):
            for inner in operation.regions:
                yield from _answers(inner, readers)
        elif not operation.spec.on_rows and operation.outputs[0] == final and readers[final] == 1:
            yield from _answers(operation.regions[0], readers)


# ------------------------------------------------------------------ handlers


def handlers(exits: EarlyExits) -> dict[int, Handler]:
    """Handlers of the operations that may end early, by the value that they give."""
    return {
        **dict.fromkeys(exits.votes, _vote),
        **{
            value: _first(source, final=value in exits.final)
            for value, source in exits.firsts.items()
        },
    }


def _vote(builder: Builder, spec: Vote) -> Action:
    """A vote that is counted as rows arrive, until its winner is known."""
    compiler, operation, program = builder.compiler, builder.operation, builder.program
    on, weight = compiler.column(spec.on), compiler.optional(spec.weight)
    context = max(policy.context for policy in builder.policies.values())
    scorers = {scorer.name: scorer for scorer in program.plan.scorers}
    full_vote = HANDLERS[Vote](builder, spec)

    async def action(scope: Scope, inputs: Sequence[Any]) -> Any:
        most = max_weight(spec.weight, inputs, scorers, context)
        if most is None:
            return await full_vote(scope, inputs)
        view = View(scope.draw_key, inputs)

        def vote_key(row: Row) -> tuple[Any, float]:
            key = on(row, view)
            return key, 1.0 if weight is None else weight_of(weight(row, view), row, 0, operation)

        winner = await VoteCounter(scope.run, inputs[0], vote_key, most).winner()
        return (Pool([] if winner is None else [winner]),)

    return action


def _first(source: int, *, final: bool) -> Handler:
    """`first` without waiting for the rows after: children of value `source` are abandoned."""

    def handler(builder: Builder, spec: First) -> Action:
        count = builder.compiler.compile(spec.count)

        async def action(scope: Scope, inputs: Sequence[Any]) -> Sequence[Any]:
            run = scope.run
            view = View(scope.draw_key, inputs)
            many = max(0, view.whole(count(scope.problem, view)))
            run.ended_early = True
            rows = await run.leading(inputs[0], many)
            if final:
                run.settle()
            else:
                run.abandon(scope.values[source])
            return (Pool(rows),)

        return action

    return handler
