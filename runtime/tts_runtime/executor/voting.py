"""vote: classes of equal answers (C42, C43)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tts_lang.plan.graph import Vote
from tts_lang.values import votes
from tts_runtime.executor.early_vote import VoteCounter, VoteKey, max_weight
from tts_runtime.executor.model import Row
from tts_runtime.executor.ops.select import compiled_key, grouped, whole_pool
from tts_runtime.executor.pool_values import weight_of, weights_of
from tts_runtime.executor.program import Builder, Work
from tts_runtime.executor.scope import Scope
from tts_runtime.executor.views import View, groups


def vote(builder: Builder, spec: Vote) -> Work:
    """The heaviest class's heaviest row, ties to the earliest; one a group with `per`."""
    compiler, site = builder.compiler, builder.site
    on, weight = compiler.column(spec.on), compiler.optional(spec.weight)
    per = compiled_key(builder, spec.per)
    program = builder.program
    early = builder.operation.outputs[0] in program.needless.votes
    context = max(policy.context for policy in program.policies.values())
    scorers = {scorer.name: scorer for scorer in program.plan.scorers}

    async def work(scope: Scope, inputs: Sequence[Any]) -> Sequence[Any]:
        if early:
            most = max_weight(spec.weight, inputs, scorers, context)
            if most is not None:
                row = await VoteCounter(scope.run, inputs[0], _ballot(scope, inputs), most).winner()
                return (whole_pool([] if row is None else [row]),)
        view = await scope.view(inputs, whole=True)
        rows: list[Row] = view.inputs[0]
        weights = weights_of(weight, rows, view, site)
        keys = [on(row, view) for row in rows]
        winners = [winner(places, keys, weights) for places in grouped(rows, per, view)]
        return (whole_pool([rows[place] for place in winners if place is not None]),)

    def _ballot(scope: Scope, inputs: Sequence[Any]) -> VoteKey:
        view = View(scope, inputs)

        def ballot(row: Row) -> tuple[Any, float]:
            key = on(row, view)
            return key, 1.0 if weight is None else weight_of(weight(row, view), row, 0, site)

        return ballot

    return work


def winner(places: Sequence[int], keys: Sequence[Any], weights: Sequence[float]) -> int | None:
    """The place that represents the elected class among some places; none if all abstain."""
    classes = [[places[at] for at in group] for group in groups([keys[place] for place in places])]
    if not classes:
        return None
    # `max` keeps the first of equals, and classes and their rows are in order of first row.
    elected = max(classes, key=lambda group: votes([weights[place] for place in group]))
    return max(elected, key=lambda place: weights[place])
