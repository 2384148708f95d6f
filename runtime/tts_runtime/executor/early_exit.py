"""Where the rest of a pool can no longer change the answer, and need not be made (C45, C58).

Found in the plan when it is bound; the votes (`early_vote.py`) and firsts (`ops/select.py`) that
are found here stop waiting as soon as they know enough.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

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
from tts_runtime.executor.expressions import needs_pool

SHORT_CIRCUIT: Final = "short_circuit"
LAZY_FIRST: Final = "lazy_first"

#: Rewrites that happen while a plan runs, and why each keeps the answer.
PASSES: Final[Mapping[str, str]] = {
    SHORT_CIRCUIT: "a vote whose winner the remaining candidates cannot change is over (C45)",
    LAZY_FIRST: "candidates behind the first ones asked for are not generated (C58)",
}


@dataclass(frozen=True, slots=True)
class EarlyExits:
    """Operations that may stop early, by the value that they give.

    Args:
        final: The answer is taken from this value and nothing else reads it.
        votes: Votes that may be over before all rows are there.
        firsts: `first` operations, each with the value of the expansion whose later children
            nothing but this `first` reads.
    """

    final: frozenset[int] = frozenset()
    votes: frozenset[int] = frozenset()
    firsts: Mapping[int, int] = field(default_factory=dict)


#: Nothing stops early: everything that the program asks for is generated.
EVERYTHING: Final = EarlyExits()


def needless(plan: Plan, passes: Collection[str]) -> EarlyExits:
    """What these passes find in a plan.

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
        made = {value: operation for operation in region.operations for value in operation.outputs}
        for operation in region.operations:
            spec = operation.spec
            if isinstance(spec, Vote):
                if SHORT_CIRCUIT in passes and operation.outputs[0] in final and _simple(spec):
                    votes.add(operation.outputs[0])
            elif isinstance(spec, First) and LAZY_FIRST in passes:
                source = _lazy(operation, spec, made, readers)
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
    operation: Operation, first: First, made: Mapping[int, Operation], readers: Counter[int]
) -> int | None:
    """The expansion that a `first` cuts short; none if anything else sees its rows.

    Between the two only operations that look at one row at a time (C58).
    """
    if first.per is not None or needs_pool(first.count):
        return None
    value = operation.inputs[0]
    while readers[value] == 1 and value in made:
        before = made[value]
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
