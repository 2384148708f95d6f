"""descend, backup and leaves (C54, C55)."""

from __future__ import annotations

from dataclasses import replace

from tests.support.reference.expressions import Context, count_by, each, evaluate
from tests.support.reference.model import Pool, Row
from tests.support.reference.values import number
from tts_lang.plan import expr, graph


def parent_in(tree: Pool, row: Row) -> Row | None:
    """The row's parent, if it is in the tree."""
    if row.parent is None:
        return None
    return next((other for other in tree if other.uid == row.parent.uid), None)


def children_in(tree: Pool, row: Row) -> Pool:
    """The row's children in the tree, in tree order."""
    return [other for other in tree if other.parent is not None and other.parent.uid == row.uid]


def leaves(tree: Pool) -> Pool:
    """Rows that are no other row's parent."""
    return [row for row in tree if not children_in(tree, row)]


def backup(spec: graph.Backup, tree: Pool, pool: Pool, context: Context) -> Pool:
    """One visit and the value of each row of the pool, for every self-or-ancestor in the tree."""
    given = [number(value) for value in each(spec.by, pool, context)]
    result: Pool = []
    for row in tree:
        for below, value in zip(pool, given, strict=True):
            if any(ancestor.uid == row.uid for ancestor in below.lineage()):
                row = visited(row, value, spec.keeping)
        result.append(row)
    return result


def visited(row: Row, value: float | None, keeping: str) -> Row:
    """One more visit: sums and means count a missing value as 0, the others leave it out."""
    old, visits = row.value, row.visits + 1
    if keeping == "mean":
        before = row.total if row.kept == "mean" else (old or 0) * row.visits
        return row.again(visits=visits, kept="mean", total=before + (value or 0))
    if keeping == "sum":
        new: float | None = (old or 0) + (value or 0)
    elif value is None or (keeping == "max" and old is not None and old > value):
        new = old
    else:
        new = value
    return row.again(visits=visits, kept="value", backed=new)


def descend(spec: graph.Descend, tree: Pool, context: Context) -> Pool:
    """The leaves reached by the largest value; each walk leaves a visit of value 0 (C55)."""
    times = count_by(spec.times, context)
    walked = tree
    found: list[int] = []
    for _ in range(times if tree else 0):
        path = _walk(spec, walked, context)
        visited = {row.uid for row in path}
        walked = [row.again(visits=row.visits + 1) if row.uid in visited else row for row in walked]
        if path[-1].uid not in found:
            found.append(path[-1].uid)
    return [row for uid in found for row in tree if row.uid == uid]


def _walk(spec: graph.Descend, tree: Pool, context: Context) -> Pool:
    parents = {row.uid: parent_in(tree, row) for row in tree}
    tops = [row for row in tree if parents[row.uid] is None]
    above = {
        row.uid: sum(top.visits for top in tops) if parent is None else parent.visits
        for row in tree
        for parent in [parents[row.uid]]
    }
    seen = replace(context, parent_visits=above)
    path: Pool = []
    choices = tops
    while choices:
        compared = path and spec.staying is not None
        # A lone choice is not evaluated, so that it takes no random number.
        worth = (
            [_value(spec.by, tree, row, seen) for row in choices]
            if len(choices) > 1 or compared
            else [None]
        )
        best = max(range(len(choices)), key=lambda place: _order(worth[place]))
        if compared:
            assert spec.staying is not None
            stay, go = _value(spec.staying, tree, path[-1], seen), worth[best]
            if stay is not None and go is not None and stay >= go:
                break
        path.append(choices[best])
        choices = children_in(tree, choices[best])
    return path


def _order(worth: float | None) -> tuple[bool, float]:
    """Missing (not visited yet) above everything; `max` takes the earlier of equals."""
    return (True, 0.0) if worth is None else (False, worth)


def _value(by: expr.Expr, tree: Pool, row: Row, context: Context) -> float | None:
    place = next(place for place, other in enumerate(tree) if other.uid == row.uid)
    return number(evaluate(by, context.at(tree, place)))
