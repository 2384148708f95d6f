"""call, repeat and branch: operations that hold regions (C7, C13, C38, C46, C65)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tts_lang.plan.graph import Branch, Call, Repeat
from tts_runtime.executor.pools import Content, PendingRow, Pool
from tts_runtime.executor.program import Action, Builder, Returned, handles
from tts_runtime.executor.rows import Candidate, Row, problem_row
from tts_runtime.executor.scope import Calls, Scope, StrategyReturned


@handles(Branch)
def branch(builder: Builder, _spec: Branch) -> Action:
    """Region 0 if the flag is true, region 1 otherwise, also when it is missing."""
    blocks = (builder.block(0), builder.block(1))

    async def action(scope: Scope, inputs: Sequence[Any]) -> Sequence[Any] | Returned:
        block = blocks[0 if inputs[0] is True else 1]
        returned = await block.walk(scope)
        if returned is not None:
            return returned
        return [scope.values[number] for number in block.results]

    return action


@handles(Repeat)
def repeat(builder: Builder, spec: Repeat) -> Action:
    """Rounds until the condition holds; it is read before each, the first included."""
    condition, body = builder.block(0), builder.block(1)
    trips = spec.trips

    async def action(scope: Scope, inputs: Sequence[Any]) -> Sequence[Any] | Returned:
        values = scope.values
        carried = list(inputs)
        outer = scope.round
        for number_of_round in range(trips):
            scope.round = (*outer, number_of_round)
            for number, value in zip(condition.parameters, carried, strict=True):
                values[number] = value
            await condition.walk(scope)
            if values[condition.results[0]] is True:
                break
            for number, value in zip(body.parameters, carried, strict=True):
                values[number] = value
            returned = await body.walk(scope)
            if returned is not None:
                return returned
            carried = [values[number] for number in body.results]
        scope.round = outer
        return carried

    return action


@handles(Call)
def call(builder: Builder, spec: Call) -> Action:
    """A strategy run once for each row, in a scope of its own; the runs continue side by side."""
    body, operation = builder.block(0), builder.operation

    async def action(scope: Scope, inputs: Sequence[Any]) -> Sequence[Any]:
        pool: Pool = inputs[0]
        run = scope.run
        calls = Calls(pool)
        copies: dict[Any, int] = {}
        fresh = (spec.strategy, scope.next_fresh(spec.strategy)) if spec.fresh else None
        values = scope.values
        answers = pool.single and builder.is_answer(scope)

        def called(row: Row, slot: PendingRow | None) -> Content:
            target = PendingRow(b"", 1) if slot is None else slot
            place = row.node.place
            copy = copies[place] = copies.get(place, -1) + 1
            inner = Scope(run, _problem(row, copy), spec.thinks, list(values), row, answers)
            inner.values[body.parameters[0]] = Pool([inner.problem])
            calls.scopes[row.candidate] = inner
            run.spawn(_call(row, inner, target))
            return target

        def _problem(row: Row, copy: int) -> Row:
            """The row that the strategy has for its problem; the c-th of a node has lane c."""
            node = row.node
            if node.start is not None:
                lanes = node.start
                node = run.opening(spec.thinks)
                for lane in lanes:
                    node = node.on_lane(lane)
            if fresh is not None:
                node = node.on_lane(fresh)
            if copy:
                node = node.on_lane(copy)
            return problem_row(node, row.known)

        async def _call(row: Row, inner: Scope, target: PendingRow) -> None:
            returned = await body.walk(inner)
            assert returned is not None  # the verifier sees that strategies return
            rows = await run.rows(returned.pool)
            for listener in run.events.listeners(StrategyReturned):
                listener(StrategyReturned(inner, rows))
            if rows:
                calls.results[row.candidate] = _result(row, rows[0])
            run.resolve(target, calls.results.get(row.candidate))

        def _result(row: Row, first: Row) -> Row:
            source = row.candidate
            candidate = Candidate(
                first.node, source, source.root, None, first.candidate.about, 0, operation
            )
            return Row(first.node, candidate, row.lets, known=first.known)

        scope.meet_calls()
        if not pool.apart:
            pool = Pool(await run.rows(pool))
        result = run.map(pool, called)
        scope.made.append(calls)
        return (result,)

    return action
