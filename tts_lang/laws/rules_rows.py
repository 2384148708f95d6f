"""Rules about pools that are not sampled: what keeps all rows, what nobody reads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import inf

from tts_lang.explain.interval import ANYTHING, IntervalReading, evaluate
from tts_lang.laws.edits import Edit, alias, edited
from tts_lang.laws.facts import Facts, Place, pure, random, read_columns
from tts_lang.laws.rows import count_of
from tts_lang.plan import graph
from tts_lang.plan.columns import NEEDS_POOL
from tts_lang.plan.expr import Apply, Column, Const, Expr, Reduce, walk
from tts_lang.plan.graph import Exit, Operation, Plan


def _steps(facts: Facts) -> Iterator[tuple[Place, Operation]]:
    for place in facts.regions:
        for operation in place.region.operations:
            yield place, operation


def unused(facts: Facts) -> Plan | None:
    """A pure operation none of whose outputs is read."""
    for _, operation in _steps(facts):
        if not any(facts.uses.get(value) for value in operation.outputs) and pure(operation):
            return edited(facts.plan, Edit({id(operation): ()}))
    return None


def unread_score(facts: Facts) -> Plan | None:
    """A `score` whose column is not read of its rows, here or further on."""
    read = read_columns(facts.plan)
    for _, operation in _steps(facts):
        spec = operation.spec
        if isinstance(spec, graph.Score) and not random(operation):
            output = operation.outputs[0]
            if spec.scorer not in read[output]:
                return edited(facts.plan, alias(operation, operation.inputs[0]))
    return None


def unread_let(facts: Facts) -> Plan | None:
    """A `let` whose column is not read of its rows or of what descends from them."""
    read = read_columns(facts.plan)
    for _, operation in _steps(facts):
        spec = operation.spec
        if isinstance(spec, graph.Let) and not random(operation):
            output = operation.outputs[0]
            if spec.name not in read[output]:
                return edited(facts.plan, alias(operation, operation.inputs[0]))
    return None


def keeps_everything(facts: Facts) -> Plan | None:
    """`select` and `first` of at least as many rows as there can be.

    With `per root`: of at least one a tree, where every row is a tree's only one.
    """
    for _, operation in _steps(facts):
        spec = operation.spec
        if not isinstance(spec, graph.Select | graph.First) or random(operation):
            continue
        given = facts.rows.of(operation.inputs[0])
        count = count_of(spec.count)
        if isinstance(spec, graph.Select) and spec.share is not None:
            share = spec.share.value if isinstance(spec.share, Const) else None
            everything = (
                spec.per is None
                and isinstance(share, int | float)
                and (share >= 1 or given.most in (0, 1))
            )
        elif spec.per is None:
            everything = count is not None and given.most is not None and count >= given.most
        else:
            one_each = given.apart or (given.rooted and given.most in (0, 1))
            everything = spec.per == "root" and one_each and count is not None and count >= 1
        if everything:
            return edited(facts.plan, alias(operation, operation.inputs[0]))
    return None


def one_row(facts: Facts) -> Plan | None:
    """`sort` and `dedupe` of one row at most (with `per`, a row without a key would be lost)."""
    for _, operation in _steps(facts):
        spec = operation.spec
        if (
            isinstance(spec, graph.Sort | graph.Dedupe)
            and spec.per is None
            and facts.rows.at_most(operation.inputs[0], 1)
            and not random(operation)
        ):
            return edited(facts.plan, alias(operation, operation.inputs[0]))
    return None


def empty_side(facts: Facts) -> Plan | None:
    """`none + P`, `P + none` and `P - none`."""
    for _, operation in _steps(facts):
        if not isinstance(operation.spec, graph.Union | graph.Difference):
            continue
        left, right = operation.inputs[:2]
        if facts.rows.at_most(right, 0):
            return edited(facts.plan, alias(operation, left))
        if isinstance(operation.spec, graph.Union) and facts.rows.at_most(left, 0):
            return edited(facts.plan, alias(operation, right))
    return None


def where(facts: Facts) -> Plan | None:
    """`where` of what is known: only true keeps a row, missing does not (C37).

    A condition is known if it is a constant, or by the ranges of what it reads (`tokens >= 0`).
    """
    scorers = {scorer.name: scorer for scorer in facts.plan.scorers}
    reading = IntervalReading(lambda _: (0, inf), lambda _: ANYTHING, scorers, inf)
    for _, operation in _steps(facts):
        spec = operation.spec
        if isinstance(spec, graph.Where) and not random(operation):
            kept = evaluate(spec.condition, reading)
            if kept.low >= 1 and not kept.missing:
                return edited(facts.plan, alias(operation, operation.inputs[0]))
            if kept.high > 0 and spec.condition != Const(None):
                continue
            made = Operation(graph.Empty(), (), operation.outputs, (), operation.origins)
            return edited(facts.plan, Edit({id(operation): (made,)}))
    return None


def two_conditions(facts: Facts) -> Plan | None:
    """`where` of what another `where` keeps, if both look at one row alone."""
    for _, operation in _steps(facts):
        inner = facts.makers.get(operation.inputs[0]) if operation.inputs else None
        if inner is None or facts.uses.get(operation.inputs[0]) != 1:
            continue
        outer, first = operation.spec, inner.spec
        if not isinstance(outer, graph.Where) or not isinstance(first, graph.Where):
            continue
        if all(map(_row_alone, (first.condition, outer.condition))):
            both = Apply("and", (first.condition, outer.condition))
            made = replace(operation, spec=graph.Where(both), inputs=inner.inputs)
            return edited(facts.plan, Edit({id(operation): (made,), id(inner): ()}))
    return None


def _row_alone(condition: Expr) -> bool:
    """It reads columns that a row has in whatever pool it is, and nothing else."""
    return all(
        isinstance(node, Const | Apply | Reduce)
        or (isinstance(node, Column) and node.name not in NEEDS_POOL)
        for node in walk(condition)
    )


def same_rows(facts: Facts) -> Plan | None:
    """`P + P`."""
    for _, operation in _steps(facts):
        if isinstance(operation.spec, graph.Union) and len(set(operation.inputs[:2])) == 1:
            return edited(facts.plan, alias(operation, operation.inputs[0]))
    return None


def one_voter(facts: Facts) -> Plan | None:
    """A vote of one row whose result is only returned by the strategy itself.

    A row without an answer abstains, and then there is no row: both are a missing answer (C40).
    """
    for place, operation in _steps(facts):
        spec = operation.spec
        if not isinstance(spec, graph.Vote) or spec.on != "answer" or random(operation):
            continue
        given = facts.rows.of(operation.inputs[0])
        keyed = spec.per is None or spec.per == "answer" or (spec.per == "root" and given.rooted)
        if given.most in (0, 1) and keyed and _only_answered(facts, place, operation):
            return edited(facts.plan, alias(operation, operation.inputs[0]))
    return None


def _only_answered(facts: Facts, place: Place, operation: Operation) -> bool:
    """The output is used once, to be returned by the main strategy: only its answer counts."""
    output = operation.outputs[0]
    region = place.region
    returned = region.exit is Exit.RETURN and region.results == (output,)
    return place.main and returned and facts.uses.get(output) == 1


def first_row(facts: Facts) -> Plan | None:
    """`first` of a pool whose first row is all that a strategy or call gives back."""
    for place, operation in _steps(facts):
        spec = operation.spec
        if not isinstance(spec, graph.First) or spec.per is not None:
            continue
        region, output = place.region, operation.outputs[0]
        returned = region.exit is Exit.RETURN and region.results == (output,)
        count = count_of(spec.count)
        if returned and facts.uses.get(output) == 1 and count is not None and count >= 1:
            return edited(facts.plan, alias(operation, operation.inputs[0]))
    return None


def one_particle(facts: Facts) -> Plan | None:
    """One row resampled to one, where nothing can tell a copy from its row."""
    if facts.draws or not facts.identity_blind:
        return None
    for _, operation in _steps(facts):
        spec = operation.spec
        if (
            isinstance(spec, graph.Resample)
            and spec.per is None
            and count_of(spec.count) == 1
            and facts.rows.at_most(operation.inputs[0], 1)
        ):
            return edited(facts.plan, alias(operation, operation.inputs[0]))
    return None


def one_copy(facts: Facts) -> Plan | None:
    """`fork into 1`, where nothing can tell a copy or its tree from the row's own."""
    if facts.draws or not facts.identity_blind:
        return None
    for _, operation in _steps(facts):
        spec = operation.spec
        if not isinstance(spec, graph.Fork) or count_of(spec.count) != 1:
            continue
        if facts.root_blind or facts.rows.of(operation.inputs[0]).apart:
            return edited(facts.plan, alias(operation, operation.inputs[0]))
    return None
