"""Branches: `if` and `choose`, and what variables are where the paths meet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tts_lang.check.constants import fold
from tts_lang.check.dispatch import Site, statement_rule
from tts_lang.check.frame import (
    Binding,
    Fixed,
    Frame,
    Inputs,
    Pool,
    RegionBuilder,
    Scalar,
    Unset,
)
from tts_lang.check.kinds import POISON, VALUE_KINDS, Sort, Typed
from tts_lang.check.pools import merge
from tts_lang.check.statements import block, compute, materialise, sort_of
from tts_lang.check.values import expect, known_number, number, scalar
from tts_lang.plan.expr import Aggregate, Column, Const, Expr, Input, Reduce
from tts_lang.plan.graph import Branch, Exit
from tts_lang.syntax import nodes


@dataclass(slots=True)
class _Arm:
    """One way through a branch, walked."""

    builder: RegionBuilder
    env: dict[str, Binding]
    left: bool  # control does not go on behind the branch
    path: str


def _walk(
    frame: Frame,
    node: nodes.Node,
    body: Callable[[], bool],
    env: dict[str, Binding],
    path: str,
    dead: bool,
) -> _Arm:
    builder = RegionBuilder()
    frame.enter(builder, node)
    frame.env = dict(env)
    matters = frame.numbers_matter
    frame.numbers_matter = matters and not dead
    left = body()
    frame.numbers_matter = matters
    frame.regions.pop()
    return _Arm(builder, frame.env, left, path)


@statement_rule(nodes.If)
def _if(frame: Frame, node: nodes.If) -> bool:
    inputs = Inputs()
    typed = expect(frame, scalar(frame, node.condition, Site(inputs)), Sort.FLAG, node.condition)
    if typed.sort is Sort.UNKNOWN:
        typed = Typed(Sort.FLAG, Const(None))
        fixed = None
    else:
        fixed = typed.expr.value if isinstance(typed.expr, Const) else None
    line = frame.line(node)
    return _branch(
        frame,
        node,
        compute(frame, typed, inputs, node.condition),
        lambda: block(frame, node.then),
        lambda: block(frame, node.otherwise),
        (f"where the `if` at line {line} holds", f"where the `if` at line {line} does not hold"),
        (fixed is False, fixed is True),
    )


@statement_rule(nodes.Choose)
def _choose(frame: Frame, node: nodes.Choose) -> bool:
    inputs = Inputs()
    subject = expect(frame, scalar(frame, node.subject, Site(inputs)), Sort.NUMBER, node.subject)
    if subject.sort is Sort.UNKNOWN:
        subject = Typed(Sort.NUMBER, Const(None))
    value = compute(frame, subject, inputs, node.subject)
    thresholds: list[tuple[Inputs, Expr]] = []
    for arm in node.arms:
        arm_inputs = Inputs([value.number])
        thresholds.append((arm_inputs, number(frame, arm.threshold, Site(arm_inputs))))
    _falling(frame, node, [threshold for _, threshold in thresholds], _highest(frame, subject.expr))
    return _arms(frame, node, thresholds, 0)


def _falling(
    frame: Frame, node: nodes.Choose, thresholds: list[Expr], highest: float | None
) -> None:
    last: float | None = None
    for arm, threshold in zip(node.arms, thresholds, strict=True):
        value = known_number(threshold)
        if value is None or not frame.numbers_matter:
            continue
        if last is not None and value >= last:
            frame.error(
                "TTS304",
                f"this arm is never reached: what is above {value:g} and not above {last:g} "
                "is nothing",
                arm.threshold,
                "thresholds fall from arm to arm, as in `above 0.8:` then `above 0.4:`",
            )
        last = value
        if highest is not None and value >= highest:
            frame.warning(
                "TTS909",
                f"this arm is never taken: the value is at most {highest:g}",
                arm.threshold,
                "choose a threshold below that",
            )


def _highest(frame: Frame, subject: Expr) -> float | None:
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
    known = frame.session.scorers.get(name)
    return None if known is None else known[1].high


def _arms(
    frame: Frame, node: nodes.Choose, thresholds: list[tuple[Inputs, Expr]], place: int
) -> bool:
    if place == len(node.arms):
        return block(frame, node.otherwise)
    arm = node.arms[place]
    inputs, threshold = thresholds[place]
    above = Typed(Sort.FLAG, fold(">", Input(0), threshold))
    line = frame.line(arm)
    return _branch(
        frame,
        node,
        compute(frame, above, inputs, arm),
        lambda: block(frame, arm.body),
        lambda: _arms(frame, node, thresholds, place + 1),
        (f"in the arm at line {line}", f"where the arm at line {line} is not taken"),
        (False, False),
    )


def _branch(
    frame: Frame,
    node: nodes.If | nodes.Choose,
    condition: Scalar,
    then: Callable[[], bool],
    otherwise: Callable[[], bool],
    paths: tuple[str, str],
    dead: tuple[bool, bool],
) -> bool:
    before = frame.env
    arms = (
        _walk(frame, node, then, before, paths[0], dead[0]),
        _walk(frame, node, otherwise, before, paths[1], dead[1]),
    )
    live = [arm for arm in arms if not arm.left]
    outputs: list[int] = []
    after = dict(before)
    changed = dict.fromkeys(
        name for arm in live for name, value in arm.env.items() if before.get(name) is not value
    )
    for name in changed:
        if not frame.needed(name, node):
            after[name] = Unset(f"it is not kept behind line {frame.line(node)}")
            continue
        after[name] = _meet(frame, name, live, outputs, node)
    for arm in arms:
        if arm.left and arm.builder.exit is Exit.YIELD:
            arm.builder.exit = Exit.NEVER
    frame.env = after
    regions = tuple(arm.builder.region() for arm in arms)
    frame.emit(Branch(), Inputs([condition.number]), tuple(outputs), node, regions)
    return not live


def _meet(
    frame: Frame, name: str, live: list[_Arm], outputs: list[int], node: nodes.Node
) -> Binding:
    """What a variable is behind a branch; adds to the arms' results what they must pass on."""
    bindings = [arm.env.get(name) for arm in live]
    for arm, binding in zip(live, bindings, strict=True):
        if binding is None:
            return Unset(f"it is not assigned {arm.path}")
        if isinstance(binding, Unset):
            return binding
    held = [binding for binding in bindings if binding is not None]
    if any(isinstance(each, Fixed) and each.typed.sort is Sort.UNKNOWN for each in held):
        return Fixed(POISON)
    if len({sort_of(each) for each in held}) > 1:
        kinds = [f"{sort_of(each)} {arm.path}" for arm, each in zip(live, held, strict=True)]
        return Unset(f"it is {' and '.join(kinds)}")
    if all(isinstance(each, Fixed) and each == held[0] for each in held):
        return held[0]
    passed: list[Pool | Scalar] = []
    for arm, each in zip(live, held, strict=True):
        frame.regions.append(arm.builder)
        made = materialise(frame, each, node, name)
        frame.regions.pop()
        if isinstance(made, Pool | Scalar):
            passed.append(made)
            arm.builder.results = (*arm.builder.results, made.number)
    result = _joined(frame, name, live, passed)
    outputs.append(result.number)
    return result


def _joined(
    frame: Frame, name: str, live: list[_Arm], passed: list[Pool | Scalar]
) -> Pool | Scalar:
    first = passed[0]
    if isinstance(first, Scalar):
        return Scalar(frame.value(VALUE_KINDS[first.sort], name), first.sort)
    type_ = first.type
    for arm, other in zip(live[1:], passed[1:], strict=True):
        if isinstance(other, Pool):
            type_ = merge(type_, other.type, live[0].path, arm.path)
    return Pool(frame.pool_value(type_, name), type_)
