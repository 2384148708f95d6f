"""Predicts from the plan how a pool's rows will be expanded once it is complete.

Nothing here decides anything: speculation guesses by it which requests come next.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from tts_lang.plan.columns import NEEDS_POOL
from tts_lang.plan.decoding import call_expressions
from tts_lang.plan.expr import Const, fields_in
from tts_lang.plan.graph import (
    Branch,
    Compute,
    Dedupe,
    Difference,
    Exit,
    Expand,
    Let,
    Operation,
    Plan,
    Repeat,
    Score,
    Select,
    Union,
    Where,
    operations,
)
from tts_lang.plan.reads import needs_pool

#: Readers of a pool that do not tell how its rows continue.
_BESIDE: Final = (Compute, Union, Difference, Repeat, Branch)


@dataclass(frozen=True, slots=True)
class NextExpansion:
    """A pool's rows are expanded by `expand`; only those that `select` keeps, if there is one."""

    select: Operation | None
    expand: Operation


def next_expansions(plan: Plan) -> Mapping[int, NextExpansion]:
    """The next expansion of each pool, by its value, if the plan determines it."""
    readers: dict[int, list[Operation]] = defaultdict(list)
    names: dict[int, list[int]] = defaultdict(list)
    for operation in operations(plan.body):
        if operation.inputs:
            readers[operation.inputs[0]].append(operation)
        for value, name in _names(operation):
            names[value].append(name)
    expansions: dict[int, NextExpansion] = {}
    for operation in operations(plan.body):
        if isinstance(operation.spec, Expand | Score | Where | Let):
            following = _search(operation.outputs[0], readers, names)
            if following is not None:
                expansions[operation.outputs[0]] = following
    return expansions


def _names(operation: Operation) -> Iterator[tuple[int, int]]:
    """Values and their other names: in a loop first those in its next round."""
    if isinstance(operation.spec, Repeat):
        condition, body = operation.regions
        carried = [operation.inputs]
        if body.exit is not Exit.RETURN:
            carried.append(body.results)
        for values in carried:
            for region in (body, condition):
                yield from zip(values, region.parameters, strict=True)
            yield from zip(values, operation.outputs, strict=True)
    elif isinstance(operation.spec, Branch):
        for region in operation.regions:
            if region.exit is not Exit.RETURN:
                yield from zip(region.results, operation.outputs, strict=True)


def _search(
    start: int, readers: Mapping[int, list[Operation]], names: Mapping[int, list[int]]
) -> NextExpansion | None:
    """The first expansion that is reached, the nearest round of a loop first."""
    stack: list[tuple[int, Operation | None]] = [(start, None)]
    seen: set[tuple[int, int]] = set()
    while stack:
        value, select = stack.pop()
        if (value, id(select)) in seen:
            continue
        seen.add((value, id(select)))
        further: list[tuple[int, Operation | None]] = []
        for operation in readers.get(value, ()):
            spec = operation.spec
            if isinstance(spec, Expand):
                return NextExpansion(select, operation) if _plain(operation, spec) else None
            if isinstance(spec, Select):
                if select is not None or not _guessable(operation, spec):
                    return None
                further.append((operation.outputs[0], operation))
            elif isinstance(spec, Where | Dedupe) or (
                # Columns made here are not there yet when the pool before is guessed about.
                select is not None and isinstance(spec, Let | Score)
            ):
                further.append((operation.outputs[0], select))
            elif not isinstance(spec, _BESIDE):
                return None
        further += [(name, select) for name in names.get(value, ())]
        stack.extend(reversed(further))
    return None


def _guessable(operation: Operation, select: Select) -> bool:
    """Whether a selection's value reads the row alone, and its count is constant."""
    return (
        len(operation.inputs) == 1
        and not any(map(needs_pool, fields_in(select)))
        and select.per not in NEEDS_POOL
    )


def _plain(operation: Operation, expand: Expand) -> bool:
    """Whether its requests depend on nothing but the row that is expanded."""
    return (
        len(operation.inputs) == 1
        and expand.decoding.stop_when is None
        and expand.decoding.end_when is None
        and all(
            isinstance(expression, Const)
            for expression in call_expressions(expand.amount, expand.decoding).values()
        )
    )
