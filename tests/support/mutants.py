"""Strategies broken on purpose: one operation of a plan changed, every way that makes sense."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

from tts_lang.optimise.rewriter import Edit, MutablePlan, OpNode
from tts_lang.plan import graph
from tts_lang.plan.expr import Apply, Column, Const, Expr, Reduce
from tts_lang.plan.graph import Plan, Unit

Part = TypeVar("Part")


def mutants(plan: Plan) -> Iterator[tuple[str, Plan]]:
    """Every mutant of a plan: what was done to which operation, and the broken plan."""
    seen: dict[str, int] = {}
    for place, operation in enumerate(graph.operations(plan.body)):
        for name, changed in _specs(operation.spec):
            label = f"{name} in `{operation.spec.op}`"
            seen[label] = seen.get(label, 0) + 1
            yield f"{label} {seen[label]}", _respecified(plan, place, changed)
        if isinstance(operation.spec, graph.Select | graph.Vote):
            label = f"ties to the later in `{operation.spec.op}`"
            seen[label] = seen.get(label, 0) + 1
            yield f"{label} {seen[label]}", _backwards(plan, place)


def _specs(spec: graph.Spec) -> Iterator[tuple[str, graph.Spec]]:
    match spec:
        case graph.Expand() | graph.Ask():
            yield from _sampling(spec)
        case graph.Select(by=by, count=count):
            yield "worst instead of best", replace(spec, by=Apply("neg", (by,)))
            if count is not None:
                for name, wrong in _counts(count):
                    yield f"k: {name}", replace(spec, count=wrong)
            if spec.per is not None:
                yield "no key", replace(spec, per=None)
        case graph.First(count=count) | graph.Fork(count=count) | graph.Resample(count=count):
            for name, wrong in _counts(count):
                yield name, replace(spec, count=wrong)
        case graph.Vote():
            weight = Column("steps") if spec.weight is None else None
            yield "a wrong weight", replace(spec, weight=weight)
            yield "a wrong class", replace(spec, on="text")
            if spec.per is not None:
                yield "no key", replace(spec, per=None)
        case graph.Repeat(trips=trips) if trips < 30:  # beyond that, every text has ended
            yield "one round more", replace(spec, trips=trips + 1)
            if trips:
                yield "one round fewer", replace(spec, trips=trips - 1)
        case graph.Force(text=text):
            yield "another text", replace(spec, text=Apply("+", (text, Const("b"))))
    wrong_reduction = _reduced(spec)
    if wrong_reduction != spec:
        yield "a wrong reduction", wrong_reduction


def _sampling(spec: graph.Expand | graph.Ask) -> Iterator[tuple[str, graph.Spec]]:
    for name, wrong in _counts(spec.amount.count):
        yield f"children: {name}", replace(spec, amount=replace(spec.amount, count=wrong))
    unit = Unit.STEPS if spec.amount.unit is not Unit.STEPS else Unit.SOLUTIONS
    yield "a wrong unit", replace(spec, amount=replace(spec.amount, unit=unit))
    greedy = spec.decoding.temperature in (Const(0), Const(0.0))
    heat = Const(1.0 if greedy else 0.0)
    yield "a wrong temperature", replace(spec, decoding=replace(spec.decoding, temperature=heat))
    if isinstance(spec, graph.Expand) and spec.weight is not None:
        yield "no weights", replace(spec, weight=None, rounding_up=False)


def _counts(count: Expr) -> Iterator[tuple[str, Expr]]:
    if isinstance(count, Const) and isinstance(count.value, int):
        yield "one more", Const(count.value + 1)
        if count.value > 1:
            yield "one fewer", Const(count.value - 1)


def _reduced(part: Part) -> Part:
    """With the first step's score in place of the last's, and the other way round."""
    made: Any = part
    if isinstance(part, Reduce):
        made = replace(part, how="last" if part.how == "first" else "first")
    elif isinstance(part, tuple):
        made = tuple(_reduced(each) for each in part)
    elif is_dataclass(part) and not isinstance(part, type):
        made = replace(
            part, **{each.name: _reduced(getattr(part, each.name)) for each in fields(part)}
        )
    return made  # type: ignore[no-any-return]


def _respecified(plan: Plan, place: int, spec: graph.Spec) -> Plan:
    """The plan with another spec of its operation number `place`."""
    work = MutablePlan(plan)
    node = list(work.nodes())[place]
    other = OpNode(spec, node.inputs, node.outputs, node.blocks, node.origins)
    work.apply(Edit({node: (other,)}))
    return work.freeze()


def _backwards(plan: Plan, place: int) -> Plan:
    """The pool turned around before the best is taken of it, so that ties go to the later row."""
    work = MutablePlan(plan)
    node = list(work.nodes())[place]
    pool = node.inputs[0]
    turned = work.new_value(pool)
    turn = OpNode(graph.Sort(Column("index")), (pool,), (turned,), (), node.origins)
    after = OpNode(node.spec, (turned, *node.inputs[1:]), node.outputs, (), node.origins)
    work.apply(Edit({node: (turn, after)}))
    return work.freeze()
