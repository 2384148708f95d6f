"""Runs votes and `first`s that may end before their pool is complete (C45, C58).

`tts_lang.optimise.early_exit` finds them in a plan; nothing else decides what may end early. The
handlers here stop waiting as soon as they know enough; the program of the other operations is the
same with and without them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tts_lang.optimise.early_exit import EarlyExits
from tts_lang.plan.graph import First, Vote
from tts_runtime.executor.early_vote import VoteCounter, max_weight
from tts_runtime.executor.model import Row
from tts_runtime.executor.program import HANDLERS, Action, Builder, Handler
from tts_runtime.executor.scope import Scope
from tts_runtime.executor.views import View, weight_of


def handlers(exits: EarlyExits) -> dict[int, Handler]:
    """Handlers of the operations that may end early, by the value that they give."""
    return {
        **dict.fromkeys(exits.votes, _vote),
        **{
            value: _first(source, final=value in exits.final)
            for value, source in exits.firsts.items()
        },
    }


def _vote(builder: Builder, spec: Vote) -> Action:
    """A vote that is counted as rows arrive, until its winner is known."""
    compiler, operation, program = builder.compiler, builder.operation, builder.program
    on, weight = compiler.column(spec.on), compiler.optional(spec.weight)
    context = max(policy.context for policy in builder.policies.values())
    scorers = {scorer.name: scorer for scorer in program.plan.scorers}
    full_vote = HANDLERS[Vote](builder, spec)

    async def action(scope: Scope, inputs: Sequence[Any]) -> Any:
        most = max_weight(spec.weight, inputs, scorers, context)
        if most is None:
            return await full_vote(scope, inputs)
        view = View(scope.draw_key, inputs)
        rows: list[Row] = []
        keys: list[Any] = []
        weights: list[float] = []

        def vote_key(row: Row) -> tuple[Any, float]:
            rows.append(row)
            keys.append(on(row, view))
            value = 1.0 if weight is None else weight_of(weight(row, view), row, 0, operation)
            weights.append(value)
            return keys[-1], value

        winner = await VoteCounter(scope.run, inputs[0], vote_key, most).winner()
        kept = () if winner is None else (rows.index(winner),)
        return (scope.decided(operation, rows, kept, (range(len(rows)),), keys, weights),)

    return action


def _first(source: int, *, final: bool) -> Handler:
    """`first` without waiting for the rows after: children of value `source` are abandoned."""

    def handler(builder: Builder, spec: First) -> Action:
        count, operation = builder.compiler.compile(spec.count), builder.operation

        async def action(scope: Scope, inputs: Sequence[Any]) -> Sequence[Any]:
            run = scope.run
            view = View(scope.draw_key, inputs)
            many = max(0, view.whole(count(scope.problem, view)))
            run.ended_early = True
            rows = await run.leading(inputs[0], many)
            if final:
                run.settle()
            else:
                run.abandon(scope.values[source])
            places = range(len(rows))
            return (scope.decided(operation, rows, places, (places,)),)

        return action

    return handler
