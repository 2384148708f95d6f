"""Control flow: `if`, `choose` and `repeat`, and the variables where paths meet."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from tts_lang.check.context import (
    Binding,
    Fixed,
    Inputs,
    PoolValue,
    RegionBuilder,
    Scalar,
    StrategyContext,
    Unset,
)
from tts_lang.check.dispatch import Site, statement_rule
from tts_lang.check.loop_lints import check_progress
from tts_lang.check.statements import block, compute, materialise, sort_of
from tts_lang.check.types import POISON, VALUE_KINDS, PoolType, ScalarType, Typed, merge, same
from tts_lang.check.uses import assigned
from tts_lang.check.values import expect, known_number, number, scalar, static_number
from tts_lang.plan.constants import fold
from tts_lang.plan.expr import Aggregate, Column, Const, Expr, Input, Reduce
from tts_lang.plan.graph import Branch, Exit, Region, Repeat
from tts_lang.syntax import nodes


@dataclass(slots=True)
class _Arm:
    """One way through a branch, walked."""

    builder: RegionBuilder
    env: dict[str, Binding]
    left: bool  # control never passes to what follows the branch
    path: str


def _walk(
    context: StrategyContext,
    node: nodes.SyntaxNode,
    body: Callable[[], bool],
    env: dict[str, Binding],
    path: str,
    dead: bool,
) -> _Arm:
    builder = RegionBuilder()
    context.enter(builder, node)
    context.env = dict(env)
    matters = context.numbers_matter
    context.numbers_matter = matters and not dead
    left = body()
    context.numbers_matter = matters
    context.regions.pop()
    return _Arm(builder, context.env, left, path)


@statement_rule(nodes.IfStatement)
def _if(context: StrategyContext, node: nodes.IfStatement) -> bool:
    inputs = Inputs()
    typed = expect(
        context, scalar(context, node.condition, Site(inputs)), ScalarType.FLAG, node.condition
    )
    if typed.type is ScalarType.UNKNOWN:
        typed = Typed(ScalarType.FLAG, Const(None))
        fixed = None
    else:
        fixed = typed.expr.value if isinstance(typed.expr, Const) else None
    line = context.line(node)
    return _branch(
        context,
        node,
        compute(context, typed, inputs, node.condition),
        lambda: block(context, node.then),
        lambda: block(context, node.otherwise),
        (f"where the `if` at line {line} holds", f"where the `if` at line {line} does not hold"),
        (fixed is False, fixed is True),
    )


@statement_rule(nodes.ChooseStatement)
def _choose(context: StrategyContext, node: nodes.ChooseStatement) -> bool:
    inputs = Inputs()
    subject = expect(
        context, scalar(context, node.subject, Site(inputs)), ScalarType.NUMBER, node.subject
    )
    if subject.type is ScalarType.UNKNOWN:
        subject = Typed(ScalarType.NUMBER, Const(None))
    value = compute(context, subject, inputs, node.subject)
    thresholds: list[tuple[Inputs, Expr]] = []
    for arm in node.arms:
        arm_inputs = Inputs([value.number])
        thresholds.append((arm_inputs, number(context, arm.threshold, Site(arm_inputs))))
    _falling(
        context, node, [threshold for _, threshold in thresholds], _highest(context, subject.expr)
    )
    return _arms(context, node, thresholds, 0)


def _falling(
    context: StrategyContext,
    node: nodes.ChooseStatement,
    thresholds: list[Expr],
    highest: float | None,
) -> None:
    last: float | None = None
    for arm, threshold in zip(node.arms, thresholds, strict=True):
        value = known_number(threshold)
        if value is None or not context.numbers_matter:
            continue
        if last is not None and value >= last:
            context.error(
                "TTS304",
                f"this arm is never reached: what is above {value:g} and not above {last:g} "
                "is nothing",
                arm.threshold,
                "thresholds fall from arm to arm, as in `above 0.8:` then `above 0.4:`",
            )
        last = value
        if highest is not None and value >= highest:
            context.warning(
                "TTS909",
                f"this arm is never taken: the value is at most {highest:g}",
                arm.threshold,
                "choose a threshold below that",
            )


def _highest(context: StrategyContext, subject: Expr) -> float | None:
    """The largest value that an aggregate of shares or of scores in a range can have."""
    if not isinstance(subject, Aggregate):
        return None
    if subject.how in {"share", "lead"}:
        return 1
    if subject.how not in {"mean", "min", "max", "first", "quantile"}:
        return None
    of = subject.of
    if isinstance(of, Reduce) and of.how not in {"sum", "prod"}:
        name = of.column
    elif isinstance(of, Column):
        name = of.name
    else:
        return None
    scorer = context.check.scorers.get(name)
    return None if scorer is None else scorer[1].high


def _arms(
    context: StrategyContext,
    node: nodes.ChooseStatement,
    thresholds: list[tuple[Inputs, Expr]],
    place: int,
) -> bool:
    if place == len(node.arms):
        return block(context, node.otherwise)
    arm = node.arms[place]
    inputs, threshold = thresholds[place]
    above = Typed(ScalarType.FLAG, fold(">", Input(0), threshold))
    line = context.line(arm)
    return _branch(
        context,
        node,
        compute(context, above, inputs, arm),
        lambda: block(context, arm.body),
        lambda: _arms(context, node, thresholds, place + 1),
        (f"in the arm at line {line}", f"where the arm at line {line} is not taken"),
        (False, False),
    )


def _branch(
    context: StrategyContext,
    node: nodes.IfStatement | nodes.ChooseStatement,
    condition: Scalar,
    then: Callable[[], bool],
    otherwise: Callable[[], bool],
    paths: tuple[str, str],
    dead: tuple[bool, bool],
) -> bool:
    before = context.env
    arms = (
        _walk(context, node, then, before, paths[0], dead[0]),
        _walk(context, node, otherwise, before, paths[1], dead[1]),
    )
    live = [arm for arm in arms if not arm.left]
    outputs: list[int] = []
    after = dict(before)
    changed = dict.fromkeys(
        name for arm in live for name, value in arm.env.items() if before.get(name) is not value
    )
    for name in changed:
        if not context.needed(name, node):
            after[name] = Unset(f"it is not kept after line {context.line(node)}")
            continue
        after[name] = _meet(context, name, live, outputs, node)
    for arm in arms:
        if arm.left and arm.builder.exit is Exit.YIELD:
            arm.builder.exit = Exit.NEVER
    context.env = after
    regions = tuple(arm.builder.region() for arm in arms)
    context.emit(Branch(), Inputs([condition.number]), tuple(outputs), node, regions)
    return not live


def _meet(
    context: StrategyContext,
    name: str,
    live: list[_Arm],
    outputs: list[int],
    node: nodes.SyntaxNode,
) -> Binding:
    """The binding of a variable after a branch; the arms pass its values on as results."""
    bindings = [arm.env.get(name) for arm in live]
    for arm, binding in zip(live, bindings, strict=True):
        if binding is None:
            return Unset(f"it is not assigned {arm.path}")
        if isinstance(binding, Unset):
            return binding
    values = [binding for binding in bindings if binding is not None]
    if any(isinstance(each, Fixed) and each.typed.type is ScalarType.UNKNOWN for each in values):
        return Fixed(POISON)
    if len({sort_of(each) for each in values}) > 1:
        kinds = [f"{sort_of(each)} {arm.path}" for arm, each in zip(live, values, strict=True)]
        return Unset(f"it is {' and '.join(kinds)}")
    if all(isinstance(each, Fixed) and each == values[0] for each in values):
        return values[0]
    passed: list[PoolValue | Scalar] = []
    for arm, each in zip(live, values, strict=True):
        context.regions.append(arm.builder)
        value = materialise(context, each, node, name)
        context.regions.pop()
        if isinstance(value, PoolValue | Scalar):
            passed.append(value)
            arm.builder.results = (*arm.builder.results, value.number)
    result = _joined(context, name, live, passed)
    outputs.append(result.number)
    return result


def _joined(
    context: StrategyContext, name: str, live: list[_Arm], passed: list[PoolValue | Scalar]
) -> PoolValue | Scalar:
    first = passed[0]
    if isinstance(first, Scalar):
        return Scalar(context.value(VALUE_KINDS[first.type], name), first.type)
    type_ = first.type
    for arm, other in zip(live[1:], passed[1:], strict=True):
        if isinstance(other, PoolValue):
            type_ = merge(type_, other.type, live[0].path, arm.path)
    return PoolValue(context.pool_value(type_, name), type_)


# ------------------------------------------------------------------------------ loops


_Carried = dict[str, PoolValue | Scalar]


@statement_rule(nodes.RepeatStatement)
def _repeat(context: StrategyContext, node: nodes.RepeatStatement) -> bool:
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
            context.env[name] = Unset(f"it is not kept after the `repeat` at line {line}")
    outputs: list[int] = []
    for name, start in carried.items():
        value = _fresh(context, name, start, types)
        outputs.append(value.number)
        context.env[name] = value
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
        if not isinstance(end, PoolValue) or end.type.columns is None:
            continue
        for column_name, column in (type_.columns or {}).items():
            last = end.type.columns.get(column_name)
            if last is not None:
                for score in column.scored_at:
                    context.flows.setdefault(score, set()).update(last.scored_at)


def _trips(context: StrategyContext, node: nodes.RepeatStatement) -> int:
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
    context: StrategyContext, node: nodes.RepeatStatement, inside: dict[str, nodes.Name]
) -> _Carried:
    """The variables carried from round to round, as values computed before the loop."""
    carried: _Carried = {}
    for name in inside:
        binding = context.env.get(name)
        if binding is None or isinstance(binding, Unset) or not context.needed(name, node):
            continue
        value = materialise(context, binding, node, name)
        if isinstance(value, PoolValue | Scalar):
            carried[name] = value
            context.env[name] = value
    return carried


def _start(
    context: StrategyContext, node: nodes.RepeatStatement, carried: _Carried
) -> dict[str, PoolType]:
    """The assumed types of carried pools: those before the loop, less columns lost already."""
    before = {name: each.type for name, each in carried.items() if isinstance(each, PoolValue)}
    assumed = context.assumed.get(node.span, {})
    if assumed.keys() != before.keys():
        return before
    return _merged(
        context, node, before, {name: PoolValue(0, type_) for name, type_ in assumed.items()}
    )


def _fresh(
    context: StrategyContext, name: str, start: PoolValue | Scalar, types: dict[str, PoolType]
) -> PoolValue | Scalar:
    if isinstance(start, PoolValue):
        return PoolValue(context.pool_value(types[name], name), types[name])
    return Scalar(context.value(VALUE_KINDS[start.type], name), start.type)


def _round(
    context: StrategyContext,
    node: nodes.RepeatStatement,
    carried: _Carried,
    types: dict[str, PoolType],
    outer: dict[str, Binding],
) -> tuple[tuple[Region, Region], dict[str, Binding]]:
    """Both regions of the loop, and the variables at the end of a round."""
    tested = _enter(context, node, carried, types, outer)
    _until(context, node, tested)
    context.regions.pop()
    body = _enter(context, node, carried, types, outer)
    returns = block(context, node.body)
    ends: dict[str, Binding] = {}
    if returns:
        if body.exit is Exit.YIELD:
            body.exit = Exit.NEVER
    else:
        ends = {name: _end(context, node, name, start) for name, start in carried.items()}
        body.results = tuple(
            each.number for each in ends.values() if isinstance(each, PoolValue | Scalar)
        )
    context.regions.pop()
    return (tested.region(), body.region()), ends


def _enter(
    context: StrategyContext,
    node: nodes.RepeatStatement,
    carried: _Carried,
    types: dict[str, PoolType],
    outer: dict[str, Binding],
) -> RegionBuilder:
    context.env = dict(outer)
    numbers = []
    for name, start in carried.items():
        value = _fresh(context, name, start, types)
        context.env[name] = value
        numbers.append(value.number)
    builder = RegionBuilder(tuple(numbers))
    context.enter(builder, node)
    return builder


def _until(context: StrategyContext, node: nodes.RepeatStatement, builder: RegionBuilder) -> None:
    inputs = Inputs()
    typed = Typed(ScalarType.FLAG, Const(False))
    place: nodes.SyntaxNode = node
    if node.until is not None:
        place = node.until
        typed = expect(
            context, scalar(context, node.until, Site(inputs)), ScalarType.FLAG, node.until
        )
        if typed.type is ScalarType.UNKNOWN:
            typed = Typed(ScalarType.FLAG, Const(None))
    builder.results = (compute(context, typed, inputs, place).number,)


def _end(
    context: StrategyContext, node: nodes.RepeatStatement, name: str, start: PoolValue | Scalar
) -> Binding:
    """A variable at the end of a round, as a value; what cannot be carried keeps its start."""
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
    node: nodes.RepeatStatement,
    types: dict[str, PoolType],
    ends: dict[str, Binding],
) -> dict[str, PoolType]:
    line = context.line(node)
    merged = dict(types)
    for name, type_ in types.items():
        end = ends.get(name)
        if not isinstance(end, PoolValue):
            continue
        met = merge(
            type_,
            end.type,
            f"before the `repeat` at line {line}",
            f"after a round of the `repeat` at line {line}",
        )
        # A bound that grows would grow in every round.
        merged[name] = met if met.bound == type_.bound else replace(met, bound=math.inf)
    return merged
