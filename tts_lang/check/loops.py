"""`repeat`: what every round starts from, found by walking the body until nothing new is lost.

The columns of a pool that goes round are those that it has before the loop and after every round;
a first walk assumes what holds before the loop, and each further one what the last walk left.
"""

from __future__ import annotations

import math
from dataclasses import replace

from tts_lang.check.context import (
    Binding,
    Fixed,
    Inputs,
    Pool,
    RegionBuilder,
    Scalar,
    StrategyContext,
    Unset,
)
from tts_lang.check.dispatch import Site, statement_rule
from tts_lang.check.loop_lints import check_progress
from tts_lang.check.pools import PoolType, merge, same
from tts_lang.check.statements import block, compute, materialise, sort_of
from tts_lang.check.types import POISON, VALUE_KINDS, ScalarType, Typed
from tts_lang.check.uses import assigned
from tts_lang.check.values import expect, scalar, static_number
from tts_lang.plan.expr import Const
from tts_lang.plan.graph import Exit, Region, Repeat
from tts_lang.syntax import nodes

_Carried = dict[str, Pool | Scalar]


@statement_rule(nodes.Repeat)
def _repeat(context: StrategyContext, node: nodes.Repeat) -> bool:
    trips = _trips(context, node)
    inside = assigned(node.body)
    context.loops.append(node)
    carried = _carried(context, node, inside)
    check_progress(context, node, tuple(carried), trips)
    outer = context.env
    matters = context.numbers_matter
    context.numbers_matter = matters and trips > 0
    types = _start(context, node, carried)
    while True:
        mark, reported = context.check.mark(), set(context.reported)
        regions, ends = _round(context, node, carried, types, outer)
        merged = _merged(context, node, types, ends)
        if all(same(merged[name], types[name]) for name in types):
            break
        context.check.back_to(mark)
        context.reported = reported
        types = merged
        context.assumed[node.span] = types
    _goes_round(context, types, ends)
    context.numbers_matter = matters
    context.loops.pop()
    context.env = dict(outer)
    line = context.line(node)
    for name in inside:
        if name not in outer:
            why = f"it is assigned only inside the `repeat` at line {line}, which may run no round"
            context.env[name] = Unset(why)
        elif name not in carried and not isinstance(outer[name], Fixed):
            context.env[name] = Unset(f"it is not kept behind the `repeat` at line {line}")
    outputs: list[int] = []
    for name, start in carried.items():
        made = _fresh(context, name, start, types)
        outputs.append(made.number)
        context.env[name] = made
    inputs = Inputs()
    inputs.numbers = [start.number for start in carried.values()]
    context.emit(Repeat(trips), inputs, tuple(outputs), node, regions)
    return False


def _goes_round(
    context: StrategyContext, types: dict[str, PoolType], ends: dict[str, Binding]
) -> None:
    """A use of a score in a round is one of the score that the round before made."""
    for name, type_ in types.items():
        end = ends.get(name)
        if not isinstance(end, Pool) or end.type.columns is None:
            continue
        for column_name, column in (type_.columns or {}).items():
            last = end.type.columns.get(column_name)
            if last is not None:
                for made in column.made:
                    context.flows.setdefault(made, set()).update(last.made)


def _trips(context: StrategyContext, node: nodes.Repeat) -> int:
    value = static_number(context, node.count, "the number of rounds")
    if value is None:
        return 1
    trips = math.floor(value)
    if trips != value:
        context.warning(
            "TTS906",
            f"the number of rounds is not whole: {value:g}, rounded down to {trips}",
            node.count,
        )
    return max(0, trips)


def _carried(
    context: StrategyContext, node: nodes.Repeat, inside: dict[str, nodes.Name]
) -> _Carried:
    """The variables that go round, as values computed before the loop."""
    carried: _Carried = {}
    for name in inside:
        binding = context.env.get(name)
        if binding is None or isinstance(binding, Unset) or not context.needed(name, node):
            continue
        made = materialise(context, binding, node, name)
        if isinstance(made, Pool | Scalar):
            carried[name] = made
            context.env[name] = made
    return carried


def _start(context: StrategyContext, node: nodes.Repeat, carried: _Carried) -> dict[str, PoolType]:
    """What to assume of the pools that go round: what holds before, less what was lost already."""
    before = {name: each.type for name, each in carried.items() if isinstance(each, Pool)}
    known = context.assumed.get(node.span, {})
    if known.keys() != before.keys():
        return before
    return _merged(context, node, before, {name: Pool(0, type_) for name, type_ in known.items()})


def _fresh(
    context: StrategyContext, name: str, start: Pool | Scalar, types: dict[str, PoolType]
) -> Pool | Scalar:
    if isinstance(start, Pool):
        return Pool(context.pool_value(types[name], name), types[name])
    return Scalar(context.value(VALUE_KINDS[start.type], name), start.type)


def _round(
    context: StrategyContext,
    node: nodes.Repeat,
    carried: _Carried,
    types: dict[str, PoolType],
    outer: dict[str, Binding],
) -> tuple[tuple[Region, Region], dict[str, Binding]]:
    """Both regions of the loop, and what the variables are at the end of a round."""
    tested = _enter(context, node, carried, types, outer)
    _until(context, node, tested)
    context.regions.pop()
    body = _enter(context, node, carried, types, outer)
    left = block(context, node.body)
    ends: dict[str, Binding] = {}
    if left:
        if body.exit is Exit.YIELD:
            body.exit = Exit.NEVER
    else:
        ends = {name: _end(context, node, name, start) for name, start in carried.items()}
        body.results = tuple(
            each.number for each in ends.values() if isinstance(each, Pool | Scalar)
        )
    context.regions.pop()
    return (tested.region(), body.region()), ends


def _enter(
    context: StrategyContext,
    node: nodes.Repeat,
    carried: _Carried,
    types: dict[str, PoolType],
    outer: dict[str, Binding],
) -> RegionBuilder:
    context.env = dict(outer)
    numbers = []
    for name, start in carried.items():
        made = _fresh(context, name, start, types)
        context.env[name] = made
        numbers.append(made.number)
    builder = RegionBuilder(tuple(numbers))
    context.enter(builder, node)
    return builder


def _until(context: StrategyContext, node: nodes.Repeat, builder: RegionBuilder) -> None:
    inputs = Inputs()
    typed = Typed(ScalarType.FLAG, Const(False))
    place: nodes.Node = node
    if node.until is not None:
        place = node.until
        typed = expect(
            context, scalar(context, node.until, Site(inputs)), ScalarType.FLAG, node.until
        )
        if typed.type is ScalarType.UNKNOWN:
            typed = Typed(ScalarType.FLAG, Const(None))
    builder.results = (compute(context, typed, inputs, place).number,)


def _end(context: StrategyContext, node: nodes.Repeat, name: str, start: Pool | Scalar) -> Binding:
    """A variable at the end of a round, as a value; what cannot go round keeps its start."""
    binding = context.env[name]
    if isinstance(binding, Unset):
        message = f"`{name}` may have no value when the next round begins: {binding.why}"
        context.error("TTS204", message, node.count, f"give `{name}` a value on every path")
        return start
    if sort_of(binding) != sort_of(start):
        return Fixed(POISON) if sort_of(binding) is not None else start
    return materialise(context, binding, node, name)


def _merged(
    context: StrategyContext,
    node: nodes.Repeat,
    types: dict[str, PoolType],
    ends: dict[str, Binding],
) -> dict[str, PoolType]:
    line = context.line(node)
    merged = dict(types)
    for name, type_ in types.items():
        end = ends.get(name)
        if not isinstance(end, Pool):
            continue
        met = merge(
            type_,
            end.type,
            f"before the `repeat` at line {line}",
            f"after a round of the `repeat` at line {line}",
        )
        # A bound that grows would grow in every round.
        merged[name] = met if met.bound == type_.bound else replace(met, bound=None)
    return merged
