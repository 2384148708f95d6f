"""Finds the generations of a sweep that are no prefixes of one another (semantics.md C14).

Children are numbered on their node in program order. So the first expansion of a node for n
children is a part of the one for more; a later one asks for other children as soon as an earlier
count has changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tts_lang.plan import graph
from tts_lang.plan.expr import Expr
from tts_lang.plan.graph import Operation, Origin, Plan, Region
from tts_lang.plan.operator import entry


@dataclass(frozen=True, slots=True)
class _Expansion:
    """An expansion: where it stands, how many children it requests for each row."""

    origin: Origin | None
    count: Expr


def shifting(plans: Sequence[Plan]) -> tuple[Origin, ...]:
    """Expansions that draw other children at some values of a sweep than at others.

    Args:
        plans: One strategy, not optimised, at several values of its parameters.

    Returns:
        Where they stand: expansions of nodes whose children an earlier expansion has numbered,
        with a count that differs between the plans. Counts and choices that depend on data
        (dealing, rows selected by scores) are ignored.
    """
    origins: dict[Origin, None] = {}
    runs = [list(_expansions(plan.body)) for plan in plans]
    for sequences in zip(*runs, strict=False):
        changed = False
        for first, *others in zip(*sequences, strict=False):
            if changed and first.origin is not None:
                origins[first.origin] = None
            changed = changed or any(other.count != first.count for other in others)
    return tuple(origins)


def _expansions(region: Region) -> Iterator[list[_Expansion]]:
    """The expansions of each set of nodes, in program order; one list for each set."""
    nodes: dict[int, int] = {}
    by_nodes: dict[int, list[_Expansion]] = {}
    inner: list[Region] = []
    for operation in region.operations:
        _look(operation, nodes, by_nodes)
        inner.extend(operation.regions)
    yield from by_nodes.values()
    for each in inner:
        yield from _expansions(each)


def _look(
    operation: Operation, nodes: dict[int, int], by_nodes: dict[int, list[_Expansion]]
) -> None:
    spec = operation.spec
    if isinstance(spec, graph.Expand):
        source = operation.inputs[0]
        origin = operation.origins[0] if operation.origins else None
        expansion = _Expansion(origin, spec.amount.count)
        by_nodes.setdefault(nodes.get(source, source), []).append(expansion)
    elif entry(spec).makes.same_nodes:
        source = operation.inputs[0]
        nodes[operation.outputs[0]] = nodes.get(source, source)
