"""Finds choices whose result is fixed before their pool is complete (C45, C58, C74).

An analysis of the plan; the executor reads its result (`EarlyExits`) and stops generating there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from tts_lang.plan import graph
from tts_lang.plan.expr import Apply, Column, fields_in
from tts_lang.plan.graph import Exit, Operation, Plan, Region, operations
from tts_lang.plan.reads import needs_pool

SHORT_CIRCUIT: Final = "short_circuit"
LAZY_FIRST: Final = "lazy_first"
SELECT_BY_ROW: Final = "select_by_row"
SHORTEST: Final = "shortest"

#: Passes that act while a plan runs, and why each keeps the answer.
PASSES: Final[Mapping[str, str]] = {
    SHORT_CIRCUIT: "a vote ends once the remaining candidates cannot change its winner (C45)",
    LAZY_FIRST: "candidates after the first n are not generated (C58)",
    SELECT_BY_ROW: "a row continues once no row to come can displace it (C39)",
    SHORTEST: "candidates are cut off where they are longer than the shortest that are kept (C74)",
}


@dataclass(frozen=True, slots=True)
class EarlyExits:
    """Operations that may stop early, by the value that they define.

    Args:
        final: Values that are returned as the answer and read nowhere else.
        votes: Votes that may end before all rows are known.
        firsts: `first` operations, each with the value of the expansion whose later children only
            this `first` reads.
        shortest: Selections of the shortest rows of an expansion that nothing else reads.
        sources: Expansions whose rows only one of these votes or selections reads, one by one:
            their children are generated as far as it needs them.
    """

    final: frozenset[int] = frozenset()
    votes: frozenset[int] = frozenset()
    firsts: Mapping[int, int] = field(default_factory=dict)
    sources: frozenset[int] = frozenset()
    shortest: frozenset[int] = frozenset()


#: Nothing stops early: all candidates of the program are generated.
EVERYTHING: Final = EarlyExits()


def early_exits(plan: Plan, passes: Collection[str]) -> EarlyExits:
    """The early exits that these passes find in a plan.

    Raises:
        ValueError: A name that is not in `PASSES`.
    """
    for name in passes:
        if name not in PASSES:
            raise ValueError(f"pass {name!r} is not one of {', '.join(PASSES)}")
    if not passes:
        return EVERYTHING
    readers = Counter(values_read(plan.body))
    final = frozenset(_returned(plan.body, readers))
    votes: set[int] = set()
    firsts: dict[int, int] = {}
    sources: set[int] = set()
    shortest: set[int] = set()
    for region in _regions(plan.body):
        definers = {
            value: operation for operation in region.operations for value in operation.outputs
        }
        for operation in region.operations:
            spec = operation.spec
            if isinstance(spec, graph.Vote):
                if SHORT_CIRCUIT in passes and operation.outputs[0] in final and _countable(spec):
                    votes.add(operation.outputs[0])
                    source = _source(operation, definers, readers)
                    sources.update([] if source is None else [source])
            elif isinstance(spec, graph.First) and LAZY_FIRST in passes:
                by_row = spec.per is None and not needs_pool(spec.count)
                source = _source(operation, definers, readers) if by_row else None
                if source is not None:
                    firsts[operation.outputs[0]] = source
            elif isinstance(spec, graph.Select) and SHORTEST in passes and _by_length(spec):
                source = _source(operation, definers, readers)
                if source is not None and source == operation.inputs[0]:
                    shortest.add(operation.outputs[0])
                    sources.add(source)
    if not votes and not firsts and not shortest:
        return EVERYTHING
    return EarlyExits(final, frozenset(votes), firsts, frozenset(sources), frozenset(shortest))


def _by_length(select: graph.Select) -> bool:
    """Whether the rows with the fewest tokens are selected, a number that is known beforehand."""
    return (
        select.by == Apply("neg", (Column("tokens"),))
        and select.per is None
        and select.count is not None
        and not needs_pool(select.count)
    )


def _countable(vote: graph.Vote) -> bool:
    """One winner by answer, whose weights depend on their own row only."""
    return (
        vote.on == "answer"
        and vote.per is None
        and (vote.weight is None or not needs_pool(vote.weight))
    )


def _source(
    operation: Operation, definers: Mapping[int, Operation], readers: Counter[int]
) -> int | None:
    """The expansion whose rows an operation reads; `None` if anything else reads them.

    Only operations that look at one row at a time may lie between the two (C58).
    """
    value = operation.inputs[0]
    while readers[value] == 1 and value in definers:
        before = definers[value]
        if isinstance(before.spec, graph.Expand):
            return value
        row_wise = isinstance(before.spec, graph.Where | graph.Let | graph.Score)
        if not row_wise or any(map(needs_pool, fields_in(before.spec))):
            return None
        value = before.inputs[0]
    return None


def _regions(region: Region) -> Iterator[Region]:
    yield region
    for operation in operations(region):
        yield from operation.regions


def values_read(region: Region) -> Iterator[int]:
    """Every value that is read, once per read."""
    for inner in _regions(region):
        yield from inner.results
        for operation in inner.operations:
            yield from operation.inputs


def _returned(region: Region, readers: Counter[int]) -> Iterator[int]:
    """Values that a strategy, or a call whose result it returns, returns and reads nowhere else."""
    final = region.results[0] if region.exit is Exit.RETURN else None
    if final is not None and readers[final] == 1:
        yield final
    for operation in region.operations:
        if not isinstance(operation.spec, graph.Call):
            for inner in operation.regions:
                yield from _returned(inner, readers)
        elif not operation.spec.on_rows and operation.outputs[0] == final and readers[final] == 1:
            yield from _returned(operation.regions[0], readers)
