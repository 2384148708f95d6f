"""`repeat`: what every round starts from, found by walking the body until nothing new is lost.

The columns of a pool that goes round are those that it has before the loop and after every round;
a first walk assumes what holds before the loop, and each further one what the last walk left.
"""

from __future__ import annotations

import math
from dataclasses import replace

from tts_lang.check.dispatch import Site, statement_rule
from tts_lang.check.frame import Binding, Fixed, Frame, Inputs, Pool, RegionBuilder, Scalar, Unset
from tts_lang.check.kinds import POISON, VALUE_KINDS, Sort, Typed
from tts_lang.check.mentions import assigned
from tts_lang.check.pools import PoolType, merge, same
from tts_lang.check.progress import check_progress
from tts_lang.check.statements import block, compute, materialise, sort_of
from tts_lang.check.values import expect, scalar, static_number
from tts_lang.plan.expr import Const
from tts_lang.plan.graph import Exit, Region, Repeat
from tts_lang.syntax import nodes

_Carried = dict[str, Pool | Scalar]


@statement_rule(nodes.Repeat)
def _repeat(frame: Frame, node: nodes.Repeat) -> bool:
    trips = _trips(frame, node)
    inside = assigned(node.body)
    frame.loops.append(node)
    carried = _carried(frame, node, inside)
    check_progress(frame, node, tuple(carried), trips)
    outer = frame.env
    matters = frame.numbers_matter
    frame.numbers_matter = matters and trips > 0
    types = _start(frame, node, carried)
    while True:
        mark, reported = frame.session.mark(), set(frame.reported)
        regions, ends = _round(frame, node, carried, types, outer)
        merged = _merged(frame, node, types, ends)
        if all(same(merged[name], types[name]) for name in types):
            break
        frame.session.back_to(mark)
        frame.reported = reported
        types = merged
        frame.assumed[node.span] = types
    _goes_round(frame, types, ends)
    frame.numbers_matter = matters
    frame.loops.pop()
    frame.env = dict(outer)
    line = frame.line(node)
    for name in inside:
        if name not in outer:
            why = f"it is assigned only inside the `repeat` at line {line}, which may run no round"
            frame.env[name] = Unset(why)
        elif name not in carried and not isinstance(outer[name], Fixed):
            frame.env[name] = Unset(f"it is not kept behind the `repeat` at line {line}")
    outputs: list[int] = []
    for name, start in carried.items():
        made = _fresh(frame, name, start, types)
        outputs.append(made.number)
        frame.env[name] = made
    inputs = Inputs()
    inputs.numbers = [start.number for start in carried.values()]
    frame.emit(Repeat(trips), inputs, tuple(outputs), node, regions)
    return False


def _goes_round(frame: Frame, types: dict[str, PoolType], ends: dict[str, Binding]) -> None:
    """A use of a score in a round is one of the score that the round before made."""
    for name, type_ in types.items():
        end = ends.get(name)
        if not isinstance(end, Pool) or end.type.columns is None:
            continue
        for column_name, column in (type_.columns or {}).items():
            last = end.type.columns.get(column_name)
            if last is not None:
                for made in column.made:
                    frame.flows.setdefault(made, set()).update(last.made)


def _trips(frame: Frame, node: nodes.Repeat) -> int:
    value = static_number(frame, node.count, "the number of rounds")
    if value is None:
        return 1
    trips = math.floor(value)
    if trips != value:
        frame.warning(
            "TTS906",
            f"the number of rounds is not whole: {value:g}, rounded down to {trips}",
            node.count,
        )
    return max(0, trips)


def _carried(frame: Frame, node: nodes.Repeat, inside: dict[str, nodes.Name]) -> _Carried:
    """The variables that go round, as values computed before the loop."""
    carried: _Carried = {}
    for name in inside:
        binding = frame.env.get(name)
        if binding is None or isinstance(binding, Unset) or not frame.needed(name, node):
            continue
        made = materialise(frame, binding, node, name)
        if isinstance(made, Pool | Scalar):
            carried[name] = made
            frame.env[name] = made
    return carried


def _start(frame: Frame, node: nodes.Repeat, carried: _Carried) -> dict[str, PoolType]:
    """What to assume of the pools that go round: what holds before, less what was lost already."""
    before = {name: each.type for name, each in carried.items() if isinstance(each, Pool)}
    known = frame.assumed.get(node.span, {})
    if known.keys() != before.keys():
        return before
    return _merged(frame, node, before, {name: Pool(0, type_) for name, type_ in known.items()})


def _fresh(
    frame: Frame, name: str, start: Pool | Scalar, types: dict[str, PoolType]
) -> Pool | Scalar:
    if isinstance(start, Pool):
        return Pool(frame.pool_value(types[name], name), types[name])
    return Scalar(frame.value(VALUE_KINDS[start.sort], name), start.sort)


def _round(
    frame: Frame,
    node: nodes.Repeat,
    carried: _Carried,
    types: dict[str, PoolType],
    outer: dict[str, Binding],
) -> tuple[tuple[Region, Region], dict[str, Binding]]:
    """Both regions of the loop, and what the variables are at the end of a round."""
    tested = _enter(frame, node, carried, types, outer)
    _until(frame, node, tested)
    frame.regions.pop()
    body = _enter(frame, node, carried, types, outer)
    left = block(frame, node.body)
    ends: dict[str, Binding] = {}
    if left:
        if body.exit is Exit.YIELD:
            body.exit = Exit.NEVER
    else:
        ends = {name: _end(frame, node, name, start) for name, start in carried.items()}
        body.results = tuple(
            each.number for each in ends.values() if isinstance(each, Pool | Scalar)
        )
    frame.regions.pop()
    return (tested.region(), body.region()), ends


def _enter(
    frame: Frame,
    node: nodes.Repeat,
    carried: _Carried,
    types: dict[str, PoolType],
    outer: dict[str, Binding],
) -> RegionBuilder:
    frame.env = dict(outer)
    numbers = []
    for name, start in carried.items():
        made = _fresh(frame, name, start, types)
        frame.env[name] = made
        numbers.append(made.number)
    builder = RegionBuilder(tuple(numbers))
    frame.enter(builder, node)
    return builder


def _until(frame: Frame, node: nodes.Repeat, builder: RegionBuilder) -> None:
    inputs = Inputs()
    typed = Typed(Sort.FLAG, Const(False))
    place: nodes.Node = node
    if node.until is not None:
        place = node.until
        typed = expect(frame, scalar(frame, node.until, Site(inputs)), Sort.FLAG, node.until)
        if typed.sort is Sort.UNKNOWN:
            typed = Typed(Sort.FLAG, Const(None))
    builder.results = (compute(frame, typed, inputs, place).number,)


def _end(frame: Frame, node: nodes.Repeat, name: str, start: Pool | Scalar) -> Binding:
    """A variable at the end of a round, as a value; what cannot go round keeps its start."""
    binding = frame.env[name]
    if isinstance(binding, Unset):
        message = f"`{name}` may have no value when the next round begins: {binding.why}"
        frame.error("TTS204", message, node.count, f"give `{name}` a value on every path")
        return start
    if sort_of(binding) != sort_of(start):
        return Fixed(POISON) if sort_of(binding) is not None else start
    return materialise(frame, binding, node, name)


def _merged(
    frame: Frame, node: nodes.Repeat, types: dict[str, PoolType], ends: dict[str, Binding]
) -> dict[str, PoolType]:
    line = frame.line(node)
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
