"""Rules about numbers: constants folded, inputs that matter, weights that are all alike."""

from __future__ import annotations

import math
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

from tts_lang.laws.edits import edited, instead
from tts_lang.laws.facts import Facts
from tts_lang.optimise.rebuild import mapped, rebuilt
from tts_lang.plan import graph
from tts_lang.plan.columns import COLUMNS
from tts_lang.plan.constants import fold
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
    fields_in,
    walk,
)
from tts_lang.plan.graph import Operation, Plan
from tts_lang.plan.operator import entry
from tts_lang.values import is_number

Part = TypeVar("Part")
_EXPRESSIONS = Expr.__args__


def fold_constants(facts: Facts) -> Plan | None:
    """`Input`s that are constants replaced, functions of constants computed."""
    for place in facts.regions:
        for operation in place.region.operations:
            known = {
                index: constant
                for index, value in enumerate(operation.inputs)
                if (constant := facts.constant(value)) is not None
            }
            spec = _folded(operation.spec, known)
            if spec != operation.spec or repr(spec) != repr(operation.spec):  # 1, 1.0, True differ
                return edited(facts.plan, instead(operation, replace(operation, spec=spec)))
    return None


def _folded(part: Part, known: dict[int, Const]) -> Part:
    """An operator, expression or part of one, with constants put in and computed."""
    made: Any = part
    if isinstance(part, Input):
        made = known.get(part.index, part)
    elif isinstance(part, Apply):
        made = fold(part.function, *(_folded(each, known) for each in part.arguments))
    elif isinstance(part, tuple):
        made = tuple(_folded(each, known) for each in part)
    elif is_dataclass(part) and not isinstance(part, type) and any(fields_in(part)):
        made = replace(
            part, **{each.name: _folded(getattr(part, each.name), known) for each in fields(part)}
        )
    return made  # type: ignore[no-any-return]


#: Functions whose arguments can change places, and comparisons by the one that says the same.
_SYMMETRIC = frozenset(("*", "==", "!=", "and", "or", "least", "greatest"))
_TURNED = {">": "<", ">=": "<="}
_NUMERIC = frozenset(name for name, column in COLUMNS.items() if column.type == "number")


def in_one_order(facts: Facts) -> Plan | None:
    """Arguments that can change places in the order of their text; `a > b` as `b < a`."""
    if facts.draws:  # numbers are drawn in the order in which they are written
        return None
    for place in facts.regions:
        for operation in place.region.operations:
            spec = mapped(operation.spec, lambda outer: rebuilt(outer, _ordered))
            if spec is not operation.spec:
                return edited(facts.plan, instead(operation, replace(operation, spec=spec)))
    return None


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
    ("-", "*", "/", "**", "neg", "log", "exp", "sqrt", "floor", "ceil", "abs", "clip", "odds")
)


def unread_inputs(facts: Facts) -> Plan | None:
    """Inputs that no expression reads left out, the others in the order in which they are read."""
    for place in facts.regions:
        for operation in place.region.operations:
            spec = operation.spec
            if isinstance(spec, graph.Repeat | graph.Branch | graph.Call):
                continue
            fixed = len(entry(spec).inputs)
            kept = list(operation.inputs[:fixed])
            moved: dict[int, int] = {}
            for index in [*range(fixed), *_read(spec)]:
                value = operation.inputs[index]
                if index >= fixed and value not in kept:
                    kept.append(value)
                moved[index] = index if index < fixed else kept.index(value)
            if tuple(kept) != operation.inputs:
                made = replace(operation, spec=_moved(spec, moved), inputs=tuple(kept))
                return edited(facts.plan, instead(operation, made))
    return None


def _read(spec: graph.Spec) -> list[int]:
    """Indices of inputs that an operator mentions, in order."""
    found: list[int] = []
    for outer in fields_in(spec):
        for node in walk(outer):
            if isinstance(node, Input):
                found.append(node.index)
            elif isinstance(node, Aggregate):
                found.append(node.pool)
    if isinstance(spec, graph.Ask):
        found += [given for _, given in spec.arguments if isinstance(given, int)]
    return found


def _moved(part: Part, moved: dict[int, int]) -> Part:
    """A part of an operator with the indices of its inputs changed."""
    made: Any = part
    if isinstance(part, Input):
        made = Input(moved[part.index])
    elif isinstance(part, tuple):
        pairs = len(part) == 2 and isinstance(part[0], str) and isinstance(part[1], int)
        made = (part[0], moved[part[1]]) if pairs else tuple(_moved(each, moved) for each in part)
    elif is_dataclass(part) and not isinstance(part, type):
        changed = {each.name: _moved(getattr(part, each.name), moved) for each in fields(part)}
        if isinstance(part, Aggregate):
            changed["pool"] = moved[part.pool]
        made = replace(part, **changed)
    return made  # type: ignore[no-any-return]


def equal_weights(facts: Facts) -> Plan | None:
    """The weight left out where it is one positive number for all."""
    for place in facts.regions:
        for operation in place.region.operations:
            spec = operation.spec
            if isinstance(spec, graph.Vote) and _positive(spec.weight):
                return _without_weight(facts, operation, spec)
            shared = isinstance(spec, graph.Expand) and spec.deal and not spec.rounding_up
            if isinstance(spec, graph.Expand) and shared and _positive(spec.weight):
                return _without_weight(facts, operation, spec)
    return None


def _without_weight(facts: Facts, operation: Operation, spec: graph.Vote | graph.Expand) -> Plan:
    made = replace(operation, spec=replace(spec, weight=None))
    return edited(facts.plan, instead(operation, made))


def _positive(weight: Expr | None) -> bool:
    """A number whose multiples by a count of rows stay apart in floating point, and finite."""
    if not isinstance(weight, Const) or isinstance(weight.value, bool | str | None):
        return False
    return math.isfinite(weight.value) and 1e-100 < weight.value < 1e100
