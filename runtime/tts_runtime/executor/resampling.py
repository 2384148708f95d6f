"""fork and resample: copies of rows, each an identity of its own (C3, C12, C51)."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from tts_lang.plan.graph import Fork, Resample
from tts_runtime.executor.expressions import needs_pool
from tts_runtime.executor.model import Candidate, Row
from tts_runtime.executor.ops.select import compiled_key, grouped, whole_pool
from tts_runtime.executor.pool_values import weights_of
from tts_runtime.executor.pools import Content, PendingRow, Pool
from tts_runtime.executor.program import Builder, Work
from tts_runtime.executor.scope import Scope
from tts_runtime.executor.sites import Site
from tts_runtime.streams import resample_key, uniform


def copied(row: Row, scope: Scope, site: Site, *, tree: bool) -> Row:
    """A copy on the same node; a fork's is a tree of its own (C49)."""
    source = row.candidate
    lane = scope.next_copy(source) if scope.run.bound.program.draws else source.lane
    copy = Candidate(
        row.node,
        source.parent,
        None if tree else source.root,
        source.before,
        source.asked,
        source.created,
        site,
        lane,
    )
    copy.problem = source.problem
    copy.scores = row.scores
    copy.rootless = source.rootless and not tree
    return Row(row.node, copy, row.lets, row.scores, row.known, row.visits, row.total)


def fork(builder: Builder, spec: Fork) -> Work:
    """So many copies of each row, side by side."""
    count, site = builder.count(spec.count), builder.site
    # Lanes are counted in program order, so where numbers are drawn all rows must be known.
    whole = needs_pool(spec.count) or builder.program.draws

    async def work(scope: Scope, inputs: Sequence[Any]) -> Sequence[Any]:
        pool: Pool = inputs[0]
        view = await scope.view(inputs, whole)
        many = count(scope.problem, view)

        def copies(row: Row, _: PendingRow | None) -> Content:
            return [copied(row, scope, site, tree=True) for _ in range(many)]

        made = scope.run.map(pool, copies, grows=True)
        made = Pool(made.items, made.pending, pool.apart and many <= 1)
        scope.made.append(made)
        return (made,)

    return work


def resample(builder: Builder, spec: Resample) -> Work:
    """Systematic resampling in proportion to weights, ordered by source row (C12, C19)."""
    compiler, site = builder.compiler, builder.site
    count, by = builder.count(spec.count), compiler.compile(spec.by)
    per = compiled_key(builder, spec.per)

    async def work(scope: Scope, inputs: Sequence[Any]) -> Sequence[Any]:
        view = await scope.view(inputs, whole=True)
        rows: list[Row] = view.inputs[0]
        many = count(scope.problem, view)
        weights = [Fraction(weight) for weight in weights_of(by, rows, view, site)]
        times = [0] * len(rows)
        for places in grouped(rows, per, view):
            names = tuple((rows[place].node.key, rows[place].node.position) for place in places)
            key = resample_key(scope.run.root_key, names, scope.next_resampling(names))
            drawn = systematic([weights[place] for place in places], many, uniform(key))
            for place, number in zip(places, drawn, strict=True):
                times[place] = number
        made = whole_pool(
            [
                copied(row, scope, site, tree=False)
                for row, number in zip(rows, times, strict=True)
                for _ in range(number)
            ]
        )
        scope.made.append(made)
        return (made,)

    return work


def systematic(weights: Sequence[Fraction], many: int, start: float) -> list[int]:
    """How often each row is drawn by `many` evenly spaced points, the first at `start` in (0, 1).

    All weights 0: evenly (C20). Exact rationals: a point never slips past the last row.
    """
    if not any(weights):
        weights = [Fraction(1)] * len(weights)
    total = sum(weights, Fraction(0))
    drawn = [0] * len(weights)
    place, reached = 0, weights[0]
    for point in range(many):
        target = (Fraction(start) + point) / many * total
        while reached <= target:
            place += 1
            reached += weights[place]
        drawn[place] += 1
    return drawn
