"""Verbs that choose, order and combine rows without any engine."""

from __future__ import annotations

from fractions import Fraction
from math import ceil, fsum

from tests.support.reference.expressions import (
    Context,
    checked_weight,
    count_by,
    each,
    evaluate,
    groups,
    key_of,
)
from tests.support.reference.machine import Machine
from tests.support.reference.model import Pool, Row, Value
from tests.support.reference.values import number, truth
from tts_lang.plan import graph
from tts_runtime.randomness import copy_lane
from tts_runtime.streams import resample_key, uniform


def where(spec: graph.Where, pool: Pool, context: Context) -> Pool:
    """Rows for which the condition is true, not missing (C37)."""
    conditions = each(spec.condition, pool, context)
    return [row for row, flag in zip(pool, conditions, strict=True) if truth(flag)]


def descending(places: list[int], scores: list[Value]) -> list[int]:
    """Places by falling score, ties in their order, missing last (C39)."""

    def order(place: int) -> tuple[bool, float]:
        score = number(scores[place])
        return (True, 0.0) if score is None else (False, -score)

    return sorted(places, key=order)


def select(spec: graph.Select, pool: Pool, context: Context) -> Pool:
    """The best rows, in pool order (C39)."""
    scores = each(spec.by, pool, context)
    kept: set[int] = set()
    for group in groups(pool, spec.per, context):
        if spec.share is None:
            many = count_by(spec.count, context)
        else:
            part = number(evaluate(spec.share, context)) or 0
            many = max(1, ceil(Fraction(str(part)) * len(group)))
        kept |= set(descending(group, scores)[: max(0, many)])
    return [row for place, row in enumerate(pool) if place in kept]


def first(spec: graph.First, pool: Pool, context: Context) -> Pool:
    """The first rows of the pool or of each group, in pool order."""
    many = max(0, count_by(spec.count, context))
    kept = {place for group in groups(pool, spec.per, context) for place in group[:many]}
    return [row for place, row in enumerate(pool) if place in kept]


def sort(spec: graph.Sort, pool: Pool, context: Context) -> Pool:
    """Largest first, stable, missing last; group by group with `per`."""
    scores = each(spec.by, pool, context)
    ordered = groups(pool, spec.per, context)
    return [pool[place] for group in ordered for place in descending(group, scores)]


def dedupe(spec: graph.Dedupe, pool: Pool, context: Context) -> Pool:
    """The first row of each key; a missing key equals nothing (C52)."""
    kept: set[int] = set()
    for group in groups(pool, spec.per, context):
        seen: set[Value] = set()
        for place in group:
            key = key_of(pool[place], place, spec.key, context)
            if key is None or key not in seen:
                kept.add(place)
                seen.add(key)
    return [row for place, row in enumerate(pool) if place in kept]


def union(left: Pool, right: Pool) -> Pool:
    """The left rows, then the right ones that are not among them (C30, C51)."""
    return [*left, *difference(right, left)]


def difference(left: Pool, right: Pool) -> Pool:
    """The left rows that are not among the right ones (C51)."""
    there = {row.uid for row in right}
    return [row for row in left if row.uid not in there]


def vote(spec: graph.Vote, pool: Pool, context: Context) -> Pool:
    """The heaviest class's heaviest row, ties to the earliest (C43)."""
    weights = [1.0 for _ in pool]
    if spec.weight is not None:
        weights = [checked_weight(value, "vote") for value in each(spec.weight, pool, context)]
    winners: Pool = []
    for group in groups(pool, spec.per, context):
        classes: dict[Value, list[int]] = {}
        for place in group:
            key = key_of(pool[place], place, spec.on, context)
            if key is not None:
                classes.setdefault(key, []).append(place)
        if not classes:
            continue
        sums = {key: fsum(weights[place] for place in rows) for key, rows in classes.items()}
        heaviest = max(classes, key=lambda key: (sums[key], -classes[key][0]))
        winners.append(pool[max(classes[heaviest], key=lambda place: (weights[place], -place))])
    return winners


def copied(machine: Machine, operation: str, row: Row, context: Context) -> Row:
    """A copy with an identity of its own; a fork's is the root of a tree (C3, C49)."""
    made = context.scope.copies[row.lane]
    context.scope.copies[row.lane] += 1
    copy = Row(
        row.node,
        copy_lane(row.lane, made),
        row.parent,
        row.root if operation == "resample" else None,
        row.before,
        row.asked,
        row.problem,
        row.lets,
        row.scores,
        row.visits,
        row.total,
        row.kept,
        row.backed,
    )
    return machine.made_by(operation, copy)


def fork(machine: Machine, spec: graph.Fork, pool: Pool, context: Context) -> Pool:
    """That many copies of each row, side by side."""
    many = max(0, count_by(spec.count, context))
    return [copied(machine, "fork", row, context) for row in pool for _ in range(many)]


def resample(machine: Machine, spec: graph.Resample, pool: Pool, context: Context) -> Pool:
    """Systematic resampling, ordered by source row (C12)."""
    many = max(0, count_by(spec.count, context))
    weights = [Fraction(checked_weight(v, "resample")) for v in each(spec.by, pool, context)]
    drawn = [0 for _ in pool]
    for group in groups(pool, spec.per, context):
        part = [weights[place] for place in group]
        if not any(part):
            part = [Fraction(1) for _ in group]
        names = tuple((pool[place].node.key, pool[place].node.position) for place in group)
        draw = context.scope.resamplings[names]
        context.scope.resamplings[names] += 1
        start = Fraction(uniform(resample_key(context.root_key, names, draw)))
        for point in range(many):
            target = (start + point) / many * sum(part)
            reached = Fraction(0)
            for place, weight in zip(group, part, strict=True):
                reached += weight
                if reached > target:
                    drawn[place] += 1
                    break
    return [
        copied(machine, "resample", row, context)
        for row, times in zip(pool, drawn, strict=True)
        for _ in range(times)
    ]
