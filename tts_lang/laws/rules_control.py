"""Rules about loops, branches and calls."""

from __future__ import annotations

from dataclasses import replace

from tts_lang.laws.edits import Edit, edited
from tts_lang.laws.facts import Facts
from tts_lang.plan import graph
from tts_lang.plan.graph import Exit, Operation, Plan, Region


def no_round(facts: Facts) -> Plan | None:
    """A loop that runs no round: `trips` is 0, or its condition is true at once."""
    for place in facts.regions:
        for operation in place.region.operations:
            spec = operation.spec
            if not isinstance(spec, graph.Repeat):
                continue
            condition = facts.constant(operation.regions[0].results[0])
            stopped = condition is not None and condition.value is True
            if (spec.trips == 0 or stopped) and operation.regions[1].exit is Exit.YIELD:
                renamed = dict(zip(operation.outputs, operation.inputs, strict=True))
                return edited(facts.plan, Edit({id(operation): ()}, renamed))
    return None


def one_round(facts: Facts) -> Plan | None:
    """A loop of exactly one round, in its place."""
    for place in facts.regions:
        for operation in place.region.operations:
            spec = operation.spec
            if not isinstance(spec, graph.Repeat) or spec.trips != 1:
                continue
            until, body = operation.regions
            condition = facts.constant(until.results[0])
            never = condition is not None and condition.value is not True
            if never and body.exit is Exit.YIELD:
                renamed = dict(zip(body.parameters, operation.inputs, strict=True))
                renamed |= dict(zip(operation.outputs, body.results, strict=True))
                return edited(facts.plan, Edit({id(operation): body.operations}, renamed))
    return None


def branch(facts: Facts) -> Plan | None:
    """The side that is taken, in the branch's place (a missing condition takes the other, C38)."""
    for place in facts.regions:
        for operation in place.region.operations:
            if not isinstance(operation.spec, graph.Branch):
                continue
            condition = facts.constant(operation.inputs[0])
            if condition is None:
                continue
            side = operation.regions[0 if condition.value is True else 1]
            if side.exit is Exit.YIELD:
                renamed = dict(zip(operation.outputs, side.results, strict=True))
                return edited(facts.plan, Edit({id(operation): side.operations}, renamed))
            found = _ended(facts.plan.body, operation, side)
            if found is not None:
                return replace(facts.plan, body=found)
    return None


def _ended(region: Region, ending: Operation, side: Region) -> Region | None:
    """The region with its end replaced by a side that returns; nothing behind it is reached.

    Only where what encloses the branch cannot tell: directly in the body of the strategy or a call.
    """
    for number, operation in enumerate(region.operations):
        if operation is ending:
            kept = (*region.operations[:number], *side.operations)
            return replace(region, operations=kept, results=side.results, exit=side.exit)
        if isinstance(operation.spec, graph.Call):
            inner = _ended(operation.regions[0], ending, side)
            if inner is not None:
                changed = replace(operation, regions=(inner,))
                around = (*region.operations[:number], changed, *region.operations[number + 1 :])
                return replace(region, operations=around)
    return None


def unchanged(facts: Facts) -> Plan | None:
    """A carried value that every round gives back as it was."""
    for operation, number in _carried(facts):
        until, body = operation.regions
        if body.results[number] == body.parameters[number]:
            start = operation.inputs[number]
            renamed = {
                until.parameters[number]: start,
                body.parameters[number]: start,
                operation.outputs[number]: start,
            }
            return _dropped(facts, operation, number, renamed)
    return None


def unread(facts: Facts) -> Plan | None:
    """A carried value that neither a round nor anything behind the loop reads."""
    for operation, number in _carried(facts):
        until, body = operation.regions
        values = (until.parameters[number], body.parameters[number], operation.outputs[number])
        if not any(facts.uses.get(value) for value in values):
            return _dropped(facts, operation, number, {})
    return None


def _carried(facts: Facts) -> list[tuple[Operation, int]]:
    return [
        (operation, number)
        for place in facts.regions
        for operation in place.region.operations
        if isinstance(operation.spec, graph.Repeat) and operation.regions[1].exit is Exit.YIELD
        for number in range(len(operation.inputs))
    ]


def _dropped(facts: Facts, loop: Operation, number: int, renamed: dict[int, int]) -> Plan:
    def without(values: tuple[int, ...]) -> tuple[int, ...]:
        return (*values[:number], *values[number + 1 :])

    until, body = loop.regions
    made = replace(
        loop,
        inputs=without(loop.inputs),
        outputs=without(loop.outputs),
        regions=(
            replace(until, parameters=without(until.parameters)),
            replace(body, parameters=without(body.parameters), results=without(body.results)),
        ),
    )
    return edited(facts.plan, Edit({id(loop): (made,)}, renamed))


def only_a_call(facts: Facts) -> Plan | None:
    """The called strategy in place of one that does nothing else."""
    body = facts.plan.body
    if len(body.operations) != 1 or body.exit is not Exit.RETURN:
        return None
    operation = body.operations[0]
    spec = operation.spec
    plain = isinstance(spec, graph.Call) and not spec.on_rows and not spec.fresh
    if not plain or operation.inputs != body.parameters or body.results != operation.outputs:
        return None
    assert isinstance(spec, graph.Call)
    return replace(facts.plan, body=operation.regions[0], thinks=spec.thinks)
