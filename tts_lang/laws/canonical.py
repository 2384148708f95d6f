"""Makes equal plans look equal: no names, one order of expressions and operations, new numbers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

from tts_lang.optimise.rebuild import mapped, rebuilt
from tts_lang.plan import expr, graph
from tts_lang.plan.columns import COLUMNS
from tts_lang.plan.expr import (
    Aggregate,
    Apply,
    Column,
    Const,
    Expr,
    Input,
    PoolWide,
    Reduce,
    Statistic,
)
from tts_lang.plan.graph import Exit, Kind, Operation, Plan, Region, Value
from tts_lang.plan.operator import entry
from tts_lang.plan.reads import draws, nodes_of
from tts_lang.values import is_number

Part = TypeVar("Part")


def canonical(plan: Plan) -> Plan:
    """The same plan with pure operations right before their first use, and values renumbered.

    What numbers children or draws random numbers keeps its order (C7).
    """
    plan = stripped(plan)
    # Numbers are drawn in the order in which they are written.
    swap = not any(draws(each.spec) for each in graph.operations(plan.body))
    ordered = _Ordering().region(_normalised(plan.body, swap=swap))
    numbers: dict[int, int] = {}
    values: list[Value] = []

    def define(value: int) -> int:
        numbers[value] = len(values)
        before = plan.values[value]
        # Rules do not keep the types of columns up to date; "every column" is always allowed.
        values.append(Value(before.kind, columns=None if before.kind is Kind.POOL else {}))
        return numbers[value]

    def renumbered(region: Region) -> Region:
        parameters = tuple(define(value) for value in region.parameters)
        operations = []
        for operation in region.operations:
            inputs = tuple(numbers[value] for value in operation.inputs)
            regions = tuple(renumbered(inner) for inner in operation.regions)
            outputs = tuple(define(value) for value in operation.outputs)
            spec = operation.spec
            if isinstance(spec, graph.Call) and not spec.fresh:
                spec = replace(spec, strategy="")  # its name does not matter
            operations.append(Operation(spec, inputs, outputs, regions))
        results = tuple(numbers[value] for value in region.results)
        return Region(parameters, tuple(operations), results, region.exit)

    body = renumbered(ordered)
    return replace(plan, body=body, values=tuple(values))


class _Ordering:
    """Puts the operations of a region in an order that depends on the dataflow alone."""

    def region(self, region: Region) -> Region:
        operations = [
            replace(operation, regions=tuple(self.region(inner) for inner in operation.regions))
            for operation in region.operations
        ]
        makers = {value: operation for operation in operations for value in operation.outputs}
        placed: list[Operation] = []
        visited: set[int] = set()

        def place(operation: Operation) -> None:
            """Its operands first; a stack, since a chain may be long."""
            waiting = [(operation, iter(_needed(operation)))]
            visited.add(id(operation))
            while waiting:
                current, needed = waiting[-1]
                for value in needed:
                    maker = makers.get(value)
                    if maker is not None and id(maker) not in visited:
                        visited.add(id(maker))
                        waiting.append((maker, iter(_needed(maker))))
                        break
                else:
                    placed.append(current)
                    waiting.pop()

        for operation in operations:
            if id(operation) not in visited and (operation.regions or not pure(operation)):
                place(operation)
        for value in region.results:
            if value in makers and id(makers[value]) not in visited:
                place(makers[value])
        return replace(region, operations=tuple(placed))


def _needed(operation: Operation) -> list[int]:
    """Values that an operation reads, those read inside its regions included."""
    values = list(operation.inputs)
    for region in operation.regions:
        for inner in region.operations:
            values += _needed(inner)
        values += region.results
    return values


def pure(operation: Operation) -> bool:
    """Whether nothing but its outputs depends on an operation having run.

    A call counts in its own scope, so a whole call is pure (C13), unless it is fresh, as those are
    numbered (C65); a loop or branch is pure if everything inside is, and it does not return.
    """
    spec = operation.spec
    if draws(spec):
        return False
    if isinstance(spec, graph.Call):
        return not spec.fresh
    if isinstance(spec, graph.Repeat | graph.Branch):
        return all(
            region.exit is Exit.YIELD and all(map(pure, region.operations))
            for region in operation.regions
        )
    return entry(spec).pure


# ------------------------------------------------------------------ expressions


def _normalised(region: Region, *, swap: bool) -> Region:
    """The region with interchangeable arguments in one order, and inputs as they are read."""
    normal: list[Operation] = []
    for operation in region.operations:
        spec = operation.spec
        if swap:
            spec = mapped(spec, lambda outer: rebuilt(outer, _ordered))
        regions = tuple(_normalised(inner, swap=swap) for inner in operation.regions)
        normal.append(_inputs_as_read(replace(operation, spec=spec, regions=regions)))
    return replace(region, operations=tuple(normal))


#: Functions whose arguments can change places, and comparisons by the one that says the same.
_SYMMETRIC = frozenset(("*", "==", "!=", "and", "or", "least", "greatest"))
_TURNED = {">": "<", ">=": "<="}
_NUMERIC = frozenset(name for name, column in COLUMNS.items() if column.type == "number")


def _ordered(node: Expr) -> Expr:
    if not isinstance(node, Apply) or len(node.arguments) != 2:
        return node
    left, right = node.arguments
    if node.function in _TURNED:
        return Apply(_TURNED[node.function], (right, left))
    swappable = node.function in _SYMMETRIC or (
        node.function == "+" and _is_number(left) and _is_number(right)
    )
    return Apply(node.function, (right, left)) if swappable and repr(right) < repr(left) else node


def _is_number(node: Expr) -> bool:
    """Certainly a number or missing, so that `+` adds and does not join."""
    match node:
        case Const(value):
            return is_number(value)
        case Column(name):
            return name in _NUMERIC
        case Aggregate(how):
            return how not in ("first", "all done", "any done")
        case Apply(function, arguments):
            return function in _ARITHMETIC or (function == "+" and all(map(_is_number, arguments)))
    return isinstance(node, Reduce | PoolWide | Statistic)


_ARITHMETIC = frozenset(
    {"-", "*", "/", "**", "neg", "remainder", "abs", "clip", "floor", "ceil"}
    | {"log", "exp", "sqrt", "odds", "erf"}
)


def _inputs_as_read(operation: Operation) -> Operation:
    """Inputs in the order in which expressions read them, each once."""
    spec = operation.spec
    if operation.regions:
        return operation
    fixed = len(entry(spec).inputs)
    ordered = list(operation.inputs[:fixed])
    moved: dict[int, int] = {}
    for index in [*range(fixed), *_read(spec)]:
        value = operation.inputs[index]
        if index >= fixed and value not in ordered:
            ordered.append(value)
        moved[index] = index if index < fixed else ordered.index(value)
    if tuple(ordered) == operation.inputs:
        return operation
    return replace(operation, spec=_moved(spec, moved), inputs=tuple(ordered))


def _read(spec: graph.Spec) -> list[int]:
    """Indices of inputs that an operator mentions, in order."""
    indices: list[int] = []
    for node in nodes_of(spec):
        if isinstance(node, Input):
            indices.append(node.index)
        elif isinstance(node, Aggregate):
            indices.append(node.pool)
    if isinstance(spec, graph.Ask):
        indices += [index for _, index in spec.arguments if isinstance(index, int)]
    return indices


def _moved(part: Part, moved: dict[int, int]) -> Part:
    """A part of an operator with the indices of its inputs changed."""
    moved_part: Any = part
    if isinstance(part, Input):
        moved_part = Input(moved[part.index])
    elif isinstance(part, tuple):
        pairs = len(part) == 2 and isinstance(part[0], str) and isinstance(part[1], int)
        moved_part = (
            (part[0], moved[part[1]]) if pairs else tuple(_moved(each, moved) for each in part)
        )
    elif is_dataclass(part) and not isinstance(part, type):
        changed = {each.name: _moved(getattr(part, each.name), moved) for each in fields(part)}
        if isinstance(part, Aggregate):
            changed["pool"] = moved[part.pool]
        moved_part = replace(part, **changed)
    return moved_part  # type: ignore[no-any-return]


# ------------------------------------------------------------------ declarations


def _policies(plan: Plan) -> Iterator[str]:
    """Policies that operations sample from, or whose delimiters they read."""
    for operation in graph.operations(plan.body):
        if isinstance(operation.spec, graph.Expand | graph.Ask):
            yield operation.spec.decoding.policy
        for node in nodes_of(operation.spec):
            if isinstance(node, expr.Delimiter):
                yield node.policy


def stripped(plan: Plan) -> Plan:
    """The plan without names, places and unused declarations, which do not matter at run time."""
    used = {
        each.spec.scorer
        for each in graph.operations(plan.body)
        if isinstance(each.spec, graph.Score)
    }
    used_prompts = {
        each.spec.prompt for each in graph.operations(plan.body) if isinstance(each.spec, graph.Ask)
    }
    # The default policy opens the problem's conversation, whatever else is sampled from.
    default = "policy" if "policy" in plan.policies else plan.policies[0]
    judges = [each.judge.policy for each in plan.scorers if each.judge and each.name in used]
    named = {*_policies(plan), *judges} - {default}
    return replace(
        plan,
        policies=(default, *sorted(named)),
        strategy="",
        parameters={},
        scorers=tuple(
            sorted((each for each in plan.scorers if each.name in used), key=lambda each: each.name)
        ),
        prompts=tuple(
            sorted(
                (each for each in plan.prompts if each.name in used_prompts),
                key=lambda each: each.name,
            )
        ),
        document="",
        file="",
    )
