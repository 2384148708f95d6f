"""Uses of names in a strategy: names assigned in a block, names read after a place."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, fields

from tts_lang.source import Span
from tts_lang.syntax import nodes

#: Fields that hold a name which is given, not read.
_GIVEN = {
    (nodes.AssignStatement, "target"),
    (nodes.LetStatement, "column"),
    (nodes.Argument, "name"),
    (nodes.Parameter, "name"),
    (nodes.Broken, "name"),
    (nodes.StrategyDeclaration, "name"),
}

#: Statements that give a variable a new value by changing its pool, and the field that names it.
REBINDING = {
    nodes.ScoreStatement: "pool",
    nodes.ForceStatement: "pool",
    nodes.LetStatement: "pool",
    nodes.BackupStatement: "tree",
}


_LEAVES = (nodes.Name, nodes.Number, nodes.Text)
_FIELDS: dict[type, tuple[str, ...]] = {}
_READ_FIELDS: dict[type, tuple[str, ...]] = {}


def _fields(node: nodes.SyntaxNode) -> tuple[str, ...]:
    """The fields of a kind of node that can hold nodes."""
    kind = type(node)
    names = _FIELDS.get(kind)
    if names is None:
        leaf = kind in _LEAVES
        names = () if leaf else tuple(each.name for each in fields(node) if each.name != "span")
        _FIELDS[kind] = names
        _READ_FIELDS[kind] = tuple(name for name in names if (kind, name) not in _GIVEN)
    return names


def _read_fields(node: nodes.SyntaxNode) -> tuple[str, ...]:
    """The same without names that are given, not read."""
    _fields(node)
    return _READ_FIELDS[type(node)]


def walk(*roots: nodes.SyntaxNode) -> Iterator[nodes.SyntaxNode]:
    """The nodes with everything below them, in no particular order."""
    waiting = list(roots)
    while waiting:
        node = waiting.pop()
        yield node
        _push(waiting, node, _fields(node))


def reads(*roots: nodes.SyntaxNode) -> Iterator[nodes.Name]:
    """Every name that is used (not given) in the nodes."""
    waiting = list(roots)
    while waiting:
        node = waiting.pop()
        if isinstance(node, nodes.Name):
            yield node
        else:
            _push(waiting, node, _read_fields(node))


def _push(waiting: list[nodes.SyntaxNode], node: nodes.SyntaxNode, names: tuple[str, ...]) -> None:
    for name in names:
        value = getattr(node, name)
        if isinstance(value, nodes.SyntaxNode):
            waiting.append(value)
        elif isinstance(value, tuple):
            waiting.extend(item for item in value if isinstance(item, nodes.SyntaxNode))


def assigned(statements: tuple[nodes.Statement, ...]) -> dict[str, nodes.Name]:
    """The variables that a block may give a value, nested blocks included, in order."""
    targets: dict[str, nodes.Name] = {}
    for statement in statements:
        if isinstance(statement, nodes.AssignStatement):
            targets.setdefault(statement.target.text, statement.target)
        elif isinstance(statement, nodes.Broken):
            for name in statement.names:
                targets.setdefault(name.text, name)
        elif type(statement) in REBINDING:
            pool = getattr(statement, REBINDING[type(statement)])
            if isinstance(pool, nodes.Name):
                targets.setdefault(pool.text, pool)
        for block in blocks(statement):
            for text, target in assigned(block).items():
                targets.setdefault(text, target)
    return targets


def blocks(statement: nodes.Statement) -> tuple[tuple[nodes.Statement, ...], ...]:
    """The blocks inside a statement."""
    if isinstance(statement, nodes.RepeatStatement):
        return (statement.body,)
    if isinstance(statement, nodes.IfStatement):
        return (statement.then, statement.otherwise)
    if isinstance(statement, nodes.ChooseStatement):
        return (*(arm.body for arm in statement.arms), statement.otherwise)
    return ()


@dataclass(slots=True)
class Uses:
    """The places at which each name of a strategy is read."""

    places: dict[str, list[int]] = field(default_factory=dict)

    @classmethod
    def of(cls, strategy: nodes.StrategyDeclaration) -> Uses:
        """Collects them from a strategy's body."""
        places: dict[str, list[int]] = defaultdict(list)
        for name in reads(*strategy.body):
            places[name.text].append(name.span.start)
        for offsets in places.values():
            offsets.sort()
        return cls(dict(places))

    def after(self, name: str, offset: int) -> bool:
        """Whether the name is read at or after a place."""
        offsets = self.places.get(name)
        return offsets is not None and offsets[-1] >= offset

    def within(self, name: str, span: Span) -> bool:
        """Whether the name is read inside a span."""
        offsets = self.places.get(name, [])
        place = bisect_left(offsets, span.start)
        return place < len(offsets) and offsets[place] < span.end
