"""Search trees: descend, backup, leaves (C54, C55)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tts_lang.plan.graph import Backup, Descend, Leaves
from tts_runtime.executor.pools import Pool
from tts_runtime.executor.program import Action, Builder, handles
from tts_runtime.executor.rows import Candidate, Row
from tts_runtime.executor.scope import Scope
from tts_runtime.executor.views import Evaluate, View, ancestors


def _parent(row: Row) -> Candidate | None:
    return row.candidate.parent


class _Tree:
    """A pool as a tree; visits grow while it is walked."""

    def __init__(self, rows: Sequence[Row], view: View) -> None:
        self.rows = {row.candidate: row for row in rows}
        self._view = view
        self._children: dict[Candidate | None, list[Candidate]] = {}
        for row in rows:
            parent = _parent(row)
            self._children.setdefault(parent if parent in self.rows else None, []).append(
                row.candidate
            )

    def children(self, candidate: Candidate | None) -> list[Candidate]:
        """In tree order; of `None`, the rows without a parent in the tree."""
        return self._children.get(candidate, [])

    def visit(self, path: Sequence[Candidate]) -> None:
        """One more visit, of value 0, of everything on a path."""
        for candidate in path:
            row = self.rows[candidate]
            self.rows[candidate] = row.with_backed(row.backed.visited())

    def view(self) -> View:
        """The tree as expressions see it now."""
        view = self._view.of(list(self.rows.values()))
        tops = sum(self.rows[candidate].backed.visits for candidate in self.children(None))
        above: dict[Candidate, int] = {}
        for candidate, row in self.rows.items():
            parent = _parent(row)
            above[candidate] = (
                self.rows[parent].backed.visits
                if parent is not None and parent in self.rows
                else tops
            )
        view.above = above
        return view

    def walk(self, by: Evaluate, staying: Evaluate | None) -> list[Candidate]:
        """From the top to a leaf, or to a row where staying is worth as much as continuing."""
        view = self.view()
        path: list[Candidate] = []
        choices = self.children(None)
        while choices:
            best, worth = choices[0], None
            if len(choices) > 1 or (path and staying is not None):
                best, worth = _largest(choices, [by(self.rows[each], view) for each in choices])
            if path and staying is not None:
                stay = staying(self.rows[path[-1]], view)
                if stay is not None and worth is not None and stay >= worth:
                    break
            path.append(best)
            choices = self.children(best)
        return path


def _largest(choices: Sequence[Candidate], values: Sequence[Any]) -> tuple[Candidate, Any]:
    """The first that is missing (not visited yet), else the largest, ties to the earlier."""
    if None in values:
        return choices[values.index(None)], None
    largest = max(values)
    return choices[values.index(largest)], largest


@handles(Descend)
def descend(builder: Builder, spec: Descend) -> Action:
    """`times` walks, each leaving a visit of value 0 for the next; a leaf found twice is one."""
    compiler, operation = builder.compiler, builder.operation
    by = compiler.compile(spec.by)
    times = None if spec.times is None else builder.count(spec.times)
    staying = compiler.optional(spec.staying)

    async def action(scope: Scope, inputs: Sequence[Any]) -> Sequence[Any]:
        view = await scope.view(inputs, whole=True)
        rows: list[Row] = view.inputs[0]
        many = 1 if times is None else times(scope.problem, view)
        tree = _Tree(rows, view)
        found: dict[Candidate, None] = {}
        for _ in range(many if rows else 0):
            path = tree.walk(by, staying)
            tree.visit(path)
            found[path[-1]] = None
        places = {row.candidate: place for place, row in enumerate(rows)}
        kept = [places[candidate] for candidate in found]
        return (scope.decided(operation, rows, kept, (range(len(rows)),)),)

    return action


@handles(Backup)
def backup(builder: Builder, spec: Backup) -> Action:
    """One visit and the value of each row of input 1, for itself and all ancestors in input 0."""
    by = builder.compiler.compile(spec.by)

    async def action(scope: Scope, inputs: Sequence[Any]) -> Sequence[Any]:
        view = await scope.view(inputs, whole=True)
        rows: list[Row] = view.inputs[0]
        below: list[Row] = view.inputs[1]
        inner = view.of(below)
        backed = {row.candidate: row.backed for row in rows}
        for row in below:
            value = by(row, inner)
            for candidate in (row.candidate, *ancestors(row)):
                if candidate in backed:
                    backed[candidate] = backed[candidate].plus(value, spec.keeping)
        return (Pool([row.with_backed(backed[row.candidate]) for row in rows]),)

    return action


@handles(Leaves)
def leaves(_builder: Builder, _spec: Leaves) -> Action:
    """The rows that are no other row's parent in the pool."""

    async def action(scope: Scope, inputs: Sequence[Any]) -> Sequence[Any]:
        rows: list[Row] = (await scope.settled(inputs[:1]))[0]
        parents = {_parent(row) for row in rows}
        return (Pool([row for row in rows if row.candidate not in parents]),)

    return action
