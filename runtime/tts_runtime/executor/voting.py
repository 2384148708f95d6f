"""vote: classes of equal answers (C42, C43)."""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum
from typing import Any

from tts_lang.plan.graph import Vote
from tts_runtime.executor.model import Row
from tts_runtime.executor.pool_values import weights_of
from tts_runtime.executor.program import Builder, Work
from tts_runtime.executor.scope import Scope
from tts_runtime.executor.selecting import compiled_key, grouped, whole_pool
from tts_runtime.executor.views import groups


def vote(builder: Builder, spec: Vote) -> Work:
    """The heaviest class's heaviest row, ties to the earliest; one a group with `per`."""
    compiler, site = builder.compiler, builder.site
    on, weight = compiler.column(spec.on), compiler.optional(spec.weight)
    per = compiled_key(builder, spec.per)

    async def work(scope: Scope, inputs: Sequence[Any]) -> Sequence[Any]:
        view = await scope.view(inputs, whole=True)
        rows: list[Row] = view.inputs[0]
        weights = weights_of(weight, rows, view, site)
        keys = [on(row, view) for row in rows]
        winners = [winner(places, keys, weights) for places in grouped(rows, per, view)]
        return (whole_pool([rows[place] for place in winners if place is not None]),)

    return work


def winner(places: Sequence[int], keys: Sequence[Any], weights: Sequence[float]) -> int | None:
    """The place that represents the elected class among some places; none if all abstain."""
    classes = [[places[at] for at in group] for group in groups([keys[place] for place in places])]
    if not classes:
        return None
    # `max` keeps the first of equals, and classes and their rows are in order of first row.
    elected = max(classes, key=lambda group: fsum([weights[place] for place in group]))
    return max(elected, key=lambda place: weights[place])
