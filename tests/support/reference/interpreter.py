"""Walks a plan's regions, operation after operation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import assert_never

from tests.support.reference import asks, generate, pools, scoring, trees
from tests.support.reference.expressions import count_by, each, evaluate
from tests.support.reference.machine import Machine, Policy, Problem, ScorerEngine
from tests.support.reference.model import (
    Node,
    Pool,
    ReferenceOutcome,
    Row,
    Scope,
    StrategyFailure,
    Token,
    Value,
)
from tests.support.reference.values import truth
from tts_lang.plan import graph
from tts_runtime.engines.base import Finish
from tts_runtime.randomness import row_lane
from tts_runtime.steps import NOTHING, StepSplit
from tts_runtime.streams import UNCLAIMED, cut_key, forced_key, fresh_key, lane_key, split_key

Values = dict[int, "Pool | Value"]


def run(
    plan: graph.Plan,
    problem: Problem,
    policies: Mapping[str, Policy],
    scorers: Mapping[str, ScorerEngine],
    seed: int,
) -> ReferenceOutcome:
    """What the plan answers to one problem.

    Raises:
        StrategyFailure: The strategy cannot continue with this problem.
        EngineError: An engine cannot answer.
    """
    machine = Machine(plan, problem, seed, policies, scorers)
    node = machine.opening(plan.thinks)
    start = Row(node, lane=row_lane(node.key, node.position, node.level), problem=True)
    returned = called(machine, plan.body, start, plan.thinks)
    row = returned[0] if returned else None
    return ReferenceOutcome(
        answer=None if row is None else machine.answer(row.node),
        answer_key=None if row is None else machine.answer_key(row.node),
        row=row,
        rows=tuple(machine.made),
        scores=machine.scores,
        counts=machine.counts,
        drawn=tuple(machine.drawn),
    )


def called(machine: Machine, body: graph.Region, problem: Row, thinks: bool) -> Pool:
    """Runs a strategy's body in a scope of its own."""
    scope = Scope(problem, thinks)
    known: Values = {body.parameters[0]: [problem]}
    returned = region(machine, scope, body, known)
    assert returned is not None, "a strategy always returns"
    return returned


def region(machine: Machine, scope: Scope, body: graph.Region, known: Values) -> Pool | None:
    """Runs operations in order; a pool if the strategy returned, else None."""
    for operation in body.operations:
        returned = execute(machine, scope, operation, known)
        if returned is not None:
            return returned
    if body.exit is graph.Exit.RETURN:
        result = known[body.results[0]]
        assert isinstance(result, list)
        return result
    return None


def execute(
    machine: Machine, scope: Scope, operation: graph.Operation, known: Values
) -> Pool | None:
    """One operation: defines its outputs, or returns from the strategy."""
    inputs = [known[number] for number in operation.inputs]
    match operation.spec:
        case graph.Branch():
            return branch(machine, scope, operation, inputs, known)
        case graph.Repeat(trips):
            return repeat(machine, scope, operation, trips, inputs, known)
        case graph.Compute(value):
            context = machine.context(scope, inputs)
            known[operation.outputs[0]] = evaluate(value, context)
        case _:
            known[operation.outputs[0]] = verb(machine, scope, operation, inputs)
    return None


def branch(
    machine: Machine,
    scope: Scope,
    operation: graph.Operation,
    inputs: list[Pool | Value],
    known: Values,
) -> Pool | None:
    """One of two regions; missing counts as false (C38)."""
    flag = inputs[0]
    assert not isinstance(flag, list)
    chosen = operation.regions[0 if truth(flag) else 1]
    returned = region(machine, scope, chosen, known)
    if returned is None and chosen.exit is graph.Exit.YIELD:
        yielded = [known[number] for number in chosen.results]
        known.update(zip(operation.outputs, yielded, strict=True))
    return returned


def repeat(
    machine: Machine,
    scope: Scope,
    operation: graph.Operation,
    trips: int,
    inputs: list[Pool | Value],
    known: Values,
) -> Pool | None:
    """Rounds until the condition holds, which is read before each (C46)."""
    until, body = operation.regions
    carried = inputs
    for _ in range(trips):
        known.update(zip(until.parameters, carried, strict=True))
        region(machine, scope, until, known)
        flag = known[until.results[0]]
        assert not isinstance(flag, list)
        if truth(flag):
            break
        known.update(zip(body.parameters, carried, strict=True))
        returned = region(machine, scope, body, known)
        if returned is not None:
            return returned
        carried = [known[number] for number in body.results]
    known.update(zip(operation.outputs, carried, strict=True))
    return None


def verb(
    machine: Machine, scope: Scope, operation: graph.Operation, inputs: list[Pool | Value]
) -> Pool:
    """An operation that gives a pool."""
    spec = operation.spec
    context = machine.context(scope, inputs)
    pool = pool_of(inputs, 0) if inputs else []
    context = replace(context, pool=pool)
    match spec:
        case graph.Empty():
            return []
        case graph.Expand():
            return generate.expand(machine, spec, pool, context)
        case graph.Ask():
            return asks.ask(machine, spec, pool, inputs, context)
        case graph.Score():
            return scoring.score(machine, spec, pool, context)
        case graph.Let(name, value):
            column = each(value, pool, context)
            return [
                row.again(lets={**row.lets, name: new})
                for row, new in zip(pool, column, strict=True)
            ]
        case graph.Force(text):
            return [
                forced(machine, row, evaluate(text, context.at(pool, place)))
                for place, row in enumerate(pool)
            ]
        case graph.Cut():
            return [
                cut(machine, row, count_by(spec.length, context.at(pool, place)), spec.unit)
                for place, row in enumerate(pool)
            ]
        case graph.Split():
            most = None if spec.most is None else count_by(spec.most, context)
            return [
                piece
                for place, row in enumerate(pool)
                for piece in split(machine, row, evaluate(spec.at, context.at(pool, place)), most)
            ]
        case graph.Where():
            return pools.where(spec, pool, context)
        case graph.Select():
            return pools.select(spec, pool, context)
        case graph.First():
            return pools.first(spec, pool, context)
        case graph.Sort():
            return pools.sort(spec, pool, context)
        case graph.Vote():
            return pools.vote(spec, pool, context)
        case graph.Dedupe():
            return pools.dedupe(spec, pool, context)
        case graph.Fork():
            return pools.fork(machine, spec, pool, context)
        case graph.Resample():
            return pools.resample(machine, spec, pool, context)
        case graph.Descend():
            return trees.descend(spec, pool, context)
        case graph.Leaves():
            return trees.leaves(pool)
        case graph.Call():
            return call(machine, scope, operation, spec, pool)
        case graph.Union():
            return pools.union(pool, pool_of(inputs, 1))
        case graph.Difference():
            return pools.difference(pool, pool_of(inputs, 1))
        case graph.Backup():
            other = pool_of(inputs, 1)
            return trees.backup(spec, pool, other, replace(context, pool=other))
        case graph.Compute() | graph.Repeat() | graph.Branch():
            raise AssertionError(f"{spec.op} gives no pool of its own")
        case _:
            assert_never(spec)


def pool_of(inputs: list[Pool | Value], place: int) -> Pool:
    """An input that is a pool."""
    pool = inputs[place]
    assert isinstance(pool, list)
    return pool


def forced(machine: Machine, row: Row, text: Value) -> Row:
    """The row with text appended; an end is undone (C4)."""
    if not isinstance(text, str):
        raise StrategyFailure("the text to force is missing")
    node = row.node
    ids = node.tokenizer.encode(text)
    key = forced_key(node.key, node.position, ids)
    longer = replace(appended(machine, node, ids), key=key, finish=None)
    return machine.made_by("force", derived(row, longer))


def cut(machine: Machine, row: Row, length: int, unit: graph.Unit) -> Row:
    """The row back at its first steps or tokens, open again (C17)."""
    node = row.node
    delimiter = machine.policies["policy"].binding.step_delimiter.encode()
    segments = StepSplit()
    kept = 0
    for token in node.path:
        enough = len(segments.closed) if unit is graph.Unit.STEPS else kept
        if enough >= length:
            break
        segments = segments.add(node.tokenizer.pieces[token.id], delimiter)
        kept += 1
    shorter = replace(
        node,
        path=node.path[:kept],
        segments=segments,
        key=cut_key(node.key, node.position, kept),
        claimed=UNCLAIMED,
        level=0,
        finish=Finish.CUT,
        done=False,
        end_logprob=0.0,
        start=False,
    )
    return machine.made_by("cut", derived(row, shorter))


def split(machine: Machine, row: Row, at: Value, most: int | None) -> Pool:
    """The pieces of a row's text that are not blank, each on a stream of its own."""
    if not isinstance(at, str) or not at:
        raise StrategyFailure("the text to split at is empty")
    node = row.node
    texts = [text.strip() for text in node.text.split(at)]
    result: Pool = []
    for number, text in enumerate([text for text in texts if text][:most]):
        ids = node.tokenizer.encode(text)
        key = split_key(node.key, node.position, number, ids)
        empty = replace(node, path=(), segments=NOTHING, key=key, start=False)
        piece = appended(machine, empty, ids)
        result.append(machine.made_by("split", derived(row, replace(piece, key=key))))
    return result


def appended(machine: Machine, node: Node, ids: tuple[int, ...]) -> Node:
    """A node with ids that no policy drew; open again, on no stream of sampling."""
    delimiter = machine.policies["policy"].binding.step_delimiter.encode()
    segments = node.segments
    for token in ids:
        segments = segments.add(node.tokenizer.pieces[token], delimiter)
    return replace(
        node,
        path=(*node.path, *(Token(token, sampled=False) for token in ids)),
        segments=segments,
        claimed=UNCLAIMED,
        level=0,
        done=False,
        end_logprob=0.0,
        start=False,
    )


def derived(row: Row, node: Node) -> Row:
    """What `force` and `cut` make of a row: its parent, root and `let` columns stay (C31, C48)."""
    return Row(
        node,
        lane=row.lane,
        parent=row.parent,
        root=row.root,
        before=row,
        asked=row.asked,
        lets=row.lets,
    )


def call(
    machine: Machine, scope: Scope, operation: graph.Operation, spec: graph.Call, pool: Pool
) -> Pool:
    """Runs a strategy once for each row (C13, C65)."""
    runs: dict[tuple[object, ...], int] = {}
    fresh: tuple[str, int] | None = None
    if spec.fresh:
        fresh = (spec.strategy, scope.fresh[spec.strategy])
        scope.fresh[spec.strategy] += 1
    result: Pool = []
    for row in pool:
        copy = runs.get(row.node.identity, 0)
        runs[row.node.identity] = copy + 1
        inside = start_of(machine, row, spec.thinks, fresh, copy)
        returned = called(machine, operation.regions[0], inside, spec.thinks)
        for first in returned[:1]:
            back = Row(
                first.node,
                lane=row_lane(first.node.key, first.node.position, first.node.level),
                parent=row,
                root=row.root,
                asked=first.asked,
                lets=row.lets,
            )
            result.append(machine.made_by("call", back))
    return result


def start_of(
    machine: Machine, row: Row, thinks: bool, fresh: tuple[str, int] | None, copy: int
) -> Row:
    """The row that a called strategy has for its problem."""
    node = row.node
    if node.start:
        lanes = node.lanes if fresh is None else (*node.lanes, fresh)
        node = machine.opening(thinks, (*lanes, copy) if copy else lanes)
    else:
        if fresh is not None:
            key = fresh_key(node.key, node.position, *fresh)
            node = replace(node, key=key, claimed=UNCLAIMED)
        if copy:
            node = replace(node, key=lane_key(node.key, copy), claimed=UNCLAIMED)
    lane = row_lane(node.key, node.position, node.level)
    return Row(node, lane=lane, problem=True, called_on=row)
