"""Rules about sampling. Whatever they join, every child keeps its number of the program."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from tts_lang.laws.edits import Edit, edited, instead
from tts_lang.laws.facts import Facts, Place, pure, random, scope_operations
from tts_lang.laws.rows import count_of
from tts_lang.plan import graph
from tts_lang.plan.expr import Const, fields_in
from tts_lang.plan.graph import Amount, Decoding, Exit, Operation, Plan, Unit
from tts_lang.plan.operator import Numbers, entry


def _expansions(facts: Facts) -> Iterator[tuple[Place, int, Operation, graph.Expand]]:
    """Every `expand`, with its place in its region."""
    for place in facts.regions:
        for number, operation in enumerate(place.region.operations):
            if isinstance(operation.spec, graph.Expand):
                yield place, number, operation, operation.spec


def _settled(spec: graph.Expand) -> bool:
    """Nothing but the rows of input 0 decides what is sampled."""
    return all(isinstance(each, Const) for each in fields_in((spec.amount, spec.decoding)))


def _free(decoding: Decoding) -> bool:
    """No limit belongs to the single call, so a call may stop anywhere and another go on (C21)."""
    return (
        decoding.max_tokens is None
        and decoding.at_least is None
        and decoding.stop_at is None
        and decoding.stop_when is None
        and decoding.end_when is None
        and not decoding.likeliest
    )


def _each(spec: graph.Expand, count: int) -> bool:
    return not spec.deal and count_of(spec.amount.count) == count


def dealt_to_one(facts: Facts) -> Plan | None:
    """`expand P to n` of one row is `expand P by n`."""
    for _, _, operation, spec in _expansions(facts):
        if (
            spec.deal
            and spec.per is None
            and facts.rows.at_most(operation.inputs[0], 1)
            and not random(operation)
        ):
            made = replace(spec, deal=False, weight=None, rounding_up=False)
            return edited(facts.plan, instead(operation, replace(operation, spec=made)))
    return None


def expanded_copies(facts: Facts) -> Plan | None:
    """`fork problem into k`, then `expand by m`.

    Of the problem alone: a done row would pass once, its copies k times. Nothing may read parents;
    with m > 1 the children of a copy are one tree, so nothing may read roots either.
    """
    if facts.draws or not facts.parent_blind:
        return None
    for _, _, operation, spec in _expansions(facts):
        maker = facts.makers.get(operation.inputs[0])
        if maker is None or not isinstance(maker.spec, graph.Fork) or not _settled(spec):
            continue
        copies, children = count_of(maker.spec.count), count_of(spec.amount.count)
        if (
            copies is not None
            and children is not None
            and not spec.deal
            and spec.decoding.within is None
            and not spec.decoding.likeliest
            and facts.rows.of(maker.inputs[0]).fresh
            and facts.uses[maker.outputs[0]] == 1
            and (children == 1 or facts.root_blind)
        ):
            amount = replace(spec.amount, count=Const(copies * children))
            made = replace(operation, spec=replace(spec, amount=amount), inputs=maker.inputs[:1])
            return edited(facts.plan, Edit({id(maker): (), id(operation): (made,)}))
    return None


def two_samples(facts: Facts) -> Plan | None:
    """`expand P by a + expand P by b`, of one row (more rows would be reordered)."""
    for place in facts.regions:
        for union in place.region.operations:
            if not isinstance(union.spec, graph.Union):
                continue
            first, second = (facts.makers.get(value) for value in union.inputs[:2])
            if first is None or second is None or first is second:
                continue
            made = _joined(facts, place, first, second)
            if made is not None:
                kept = replace(made, outputs=union.outputs)
                edit = Edit({id(first): (kept,), id(second): (), id(union): ()})
                return edited(facts.plan, edit)
    return None


def _joined(facts: Facts, place: Place, first: Operation, second: Operation) -> Operation | None:
    one, two = first.spec, second.spec
    if not isinstance(one, graph.Expand) or not isinstance(two, graph.Expand):
        return None
    operations = place.region.operations
    places = [number for number, each in enumerate(operations) if each is first or each is second]
    if len(places) != 2 or operations[places[0]] is not first:
        return None
    between = operations[places[0] + 1 : places[1]]
    a, b = count_of(one.amount.count), count_of(two.amount.count)
    if (
        a is None
        or b is None
        or one.deal
        or repr(replace(two, amount=replace(two.amount, count=one.amount.count))) != repr(one)
        or one.decoding.likeliest
        or not _settled(one)
        or first.inputs[0] != second.inputs[0]
        or not facts.rows.at_most(first.inputs[0], 1)
        or facts.uses[first.outputs[0]] != 1
        or facts.uses[second.outputs[0]] != 1
        or not all(pure(each) and not each.regions for each in between)
    ):
        return None
    return replace(first, spec=replace(one, amount=replace(one.amount, count=Const(a + b))))


def _goes_on(facts: Facts, before: Decoding, after: graph.Expand) -> bool:
    """Whether `after` lets every row run to its end, drawn as `before` drew it."""
    return (
        _each(after, 1)
        and after.amount.unit is Unit.SOLUTIONS
        and _settled(after)
        and after.decoding == before
        and repr(after.decoding) == repr(before)
        and _free(before)
        and not facts.draws
        and facts.parent_blind
        and "finish" not in facts.columns
    )


def _whole(spec: graph.Expand) -> graph.Expand:
    return replace(spec, amount=Amount(spec.amount.count, Unit.SOLUTIONS))


def pieces_to_the_end(facts: Facts) -> Plan | None:
    """`expand P by c UNIT`, then `expand by 1`: `expand P by c`.

    In a scope without calls: a call's result may lie on the nodes that are no longer made (C13).
    Parents and `finish` are not read anywhere: both differ where a limit is hit at a piece's end.
    """
    for place, _, operation, spec in _expansions(facts):
        before = facts.makers.get(operation.inputs[0])
        if before is None or not isinstance(before.spec, graph.Expand) or place.calls:
            continue
        together = any(each is before for each in place.region.operations)
        if (
            together
            and facts.uses[before.outputs[0]] == 1
            and _settled(before.spec)
            and _goes_on(facts, before.spec.decoding, spec)
        ):
            made = replace(before, spec=_whole(before.spec), outputs=operation.outputs)
            return edited(facts.plan, Edit({id(before): (made,), id(operation): ()}))
    return None


def rounds_to_the_end(facts: Facts) -> Plan | None:
    """A loop whose rounds only `expand by 1 UNIT`, then `expand by 1`: the latter alone.

    However many rounds its condition allows. Nothing between the two may number children, for the
    first child's number is asked for in the first round, or only behind the loop.
    """
    for place, number, operation, spec in _expansions(facts):
        loop = facts.makers.get(operation.inputs[0])
        if loop is None or not isinstance(loop.spec, graph.Repeat) or place.calls:
            continue
        operations = place.region.operations
        places = [at for at, each in enumerate(operations) if each is loop]
        if not places or not all(
            pure(each) and not each.regions for each in operations[places[0] + 1 : number]
        ):
            continue
        step = _only_step(loop)
        if (
            step is not None
            and facts.uses[loop.outputs[0]] == 1
            and _settled(step)
            and _goes_on(facts, step.decoding, spec)
        ):
            made = replace(operation, inputs=loop.inputs)
            return edited(facts.plan, Edit({id(loop): (made,), id(operation): ()}))
    return None


def _only_step(loop: Operation) -> graph.Expand | None:
    """The `expand by 1` that is all that a loop's rounds do to its one carried pool."""
    until, body = loop.regions
    if len(loop.inputs) != 1 or len(body.operations) != 1 or body.exit is not Exit.YIELD:
        return None
    step = body.operations[0]
    spec = step.spec
    if not isinstance(spec, graph.Expand) or not _each(spec, 1):
        return None
    if step.inputs != body.parameters or body.results != step.outputs:
        return None
    quiet = all(isinstance(each.spec, graph.Compute) and pure(each) for each in until.operations)
    return spec if quiet else None


def unused_last(facts: Facts) -> Plan | None:
    """Children that nobody uses, after which nothing in their scope numbers children."""
    for place in facts.regions:
        if place.region is not place.scope:
            continue  # inside a loop, another round follows
        operations = place.region.operations
        for number, operation in enumerate(operations):
            if not _numbers(operation) or random(operation):
                continue
            later = [
                inner
                for each in operations[number + 1 :]
                for inner in scope_operations(graph.Region((), (each,), ()))
            ]
            unused = not any(facts.uses.get(value) for value in operation.outputs)
            if unused and not any(_numbers(each) for each in later):
                return edited(facts.plan, Edit({id(operation): ()}))
    return None


def _numbers(operation: Operation) -> bool:
    """It numbers children, whose order and number matter (C2)."""
    return entry(operation.spec).numbers is Numbers.CHILDREN
