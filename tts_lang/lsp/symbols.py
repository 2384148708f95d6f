"""Symbols: the declaration and all uses of each name of a file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum

from tts_lang.check.scope import Declaration, FileScope
from tts_lang.check.uses import walk
from tts_lang.plan.template import ROW_SLOTS, split_slot
from tts_lang.source import Span
from tts_lang.syntax import nodes
from tts_lang.syntax.template import WrittenSlot, parse_template


class SymbolKind(Enum):
    """Kinds of things that have names."""

    POLICY = "policy"
    SCORER = "scorer"
    PROMPT = "prompt"
    JUDGE = "judge"
    STRATEGY = "strategy"
    PARAMETER = "parameter"
    VARIABLE = "variable"
    COLUMN = "column"
    FREE = "free name of a law"


@dataclass(frozen=True, slots=True)
class NamedThing:
    """The thing that a name refers to; equal values are one thing.

    Args:
        home: The real path of the file that declares it. Empty for columns: they go from strategy
            to strategy with their pools, across files, and their name is all that they are.
        within: The declaration that it is local to, if it is.
    """

    kind: SymbolKind
    name: str
    home: str = ""
    within: str = ""


@dataclass(frozen=True, slots=True)
class Occurrence:
    """A place where a name stands."""

    span: Span
    thing: NamedThing
    gives: bool = False  # it is declared here, or given a value


_GLOBAL = {
    nodes.PolicyDeclaration: SymbolKind.POLICY,
    nodes.ScorerDeclaration: SymbolKind.SCORER,
    nodes.PromptDeclaration: SymbolKind.PROMPT,
    nodes.JudgeDeclaration: SymbolKind.JUDGE,
    nodes.StrategyDeclaration: SymbolKind.STRATEGY,
}


def home_of(scope: FileScope) -> str:
    """The real path of a file; empty for built-in things."""
    return os.path.realpath(scope.source.name) if scope.source.text else ""


def occurrences(scope: FileScope) -> list[Occurrence]:
    """Every name of a file that stands for something declared, in order of place.

    Statements that do not parse have none.
    """
    by_span: dict[Span, Occurrence] = {}
    columns = columns_in_reach(scope)
    for item in scope.file.items:
        for occurrence in _Item(scope, item, columns).occurrences():
            by_span.setdefault(occurrence.span, occurrence)
    return sorted(by_span.values(), key=lambda each: each.span)


def at(places: list[Occurrence], offset: int) -> Occurrence | None:
    """The occurrence that an offset is in, or at the end of."""
    return next((each for each in places if each.span.start <= offset <= each.span.end), None)


@dataclass(slots=True)
class _Item:
    """One item of a file, and the names that are local to it."""

    scope: FileScope
    item: nodes.Item
    columns: frozenset[str]
    local: dict[str, SymbolKind] = field(default_factory=dict)
    within: str = ""

    def occurrences(self) -> Iterator[Occurrence]:
        item = self.item
        if isinstance(item, nodes.Import | nodes.Broken):
            return
        if isinstance(item, nodes.Law):
            self.within = f"law at {item.span.start}"
            self.local = {
                name: SymbolKind.FREE for name in item.free_names if name not in self.scope.names
            }
        else:
            self.within = item.name.text
            self.local = locals_of(item)
            kind = _GLOBAL[type(item)]
            yield Occurrence(item.name.span, self._global(kind, item.name.text, self.scope), True)
            if isinstance(item, nodes.PromptDeclaration | nodes.JudgeDeclaration):
                yield from self._slots(item.text)
        yield from self._names(item)

    def _names(self, item: nodes.Item) -> Iterator[Occurrence]:
        definitions: set[Span] = set()
        skipped: set[Span] = set()
        for node in walk(item):
            match node:
                case nodes.Parameter(name) | nodes.AssignStatement(name):
                    definitions.add(name.span)
                case nodes.LetStatement(column):
                    definitions.add(column.span)
                    yield Occurrence(column.span, NamedThing(SymbolKind.COLUMN, column.text), True)
                case nodes.BackupStatement(keeping=nodes.Name() as word):
                    skipped.add(word.span)
                case (
                    nodes.CallExpression(callee, arguments)
                    | nodes.AskPhrase(callee, arguments)
                    | nodes.ScoreStatement(scorer=callee, arguments=arguments)
                ):
                    for argument in arguments:
                        if argument.name is not None:
                            skipped.add(argument.name.span)
                            yield from self._argument(callee, argument.name)
                case _:
                    pass
        for node in walk(item):
            if isinstance(node, nodes.Name) and node.span not in skipped:
                thing = self._thing(node.text)
                if thing is not None:
                    yield Occurrence(node.span, thing, node.span in definitions)

    def _thing(self, name: str) -> NamedThing | None:
        kind = self.local.get(name)
        if kind is SymbolKind.COLUMN:
            return NamedThing(kind, name)
        if kind is not None:
            return NamedThing(kind, name, home_of(self.scope), self.within)
        declared = self.scope.names.get(name)
        if declared is not None:
            if not declared.home.source.text:
                return None
            return self._global(_GLOBAL[type(declared.node)], name, declared.home)
        return NamedThing(SymbolKind.COLUMN, name) if name in self.columns else None

    def _argument(self, callee: nodes.Name, name: nodes.Name) -> Iterator[Occurrence]:
        """The parameter of the callee; a parameter that holds a strategy has its default's."""
        called = callee.text
        if self.local.get(called) is SymbolKind.PARAMETER:
            called = self._default(called)
        declared = self.scope.names.get(called)
        if declared is not None and declared.home.source.text:
            parameters = getattr(declared.node, "parameters", ())
            if any(parameter.name.text == name.text for parameter in parameters):
                home = home_of(declared.home)
                thing = NamedThing(SymbolKind.PARAMETER, name.text, home, declared.name)
                yield Occurrence(name.span, thing)

    def _default(self, parameter: str) -> str:
        for declared in getattr(self.item, "parameters", ()):
            value = declared.default
            if declared.name.text == parameter:
                if isinstance(value, nodes.CallExpression):
                    value = value.function
                return value.text if isinstance(value, nodes.Name) else ""
        return ""

    def _slots(self, text: nodes.Text) -> Iterator[Occurrence]:
        for part in parse_template(text, self.scope.source):
            if not isinstance(part, WrittenSlot) or part.name in ROW_SLOTS:
                continue
            head, shown = split_slot(part.name)
            if head == "field":
                continue
            name = head if shown == "words" else shown
            thing = self._thing(name)
            if thing is not None:
                raw = self.scope.source.slice(part.span)
                start = part.span.start + raw.index(name, raw.find(".") + 1 if name != head else 0)
                yield Occurrence(Span(start, start + len(name)), thing)

    def _global(self, kind: SymbolKind, name: str, home: FileScope) -> NamedThing:
        return NamedThing(kind, name, home_of(home))


def locals_of(item: Declaration) -> dict[str, SymbolKind]:
    """The parameters of a declaration, and the variables and columns that a strategy makes."""
    kinds: dict[str, SymbolKind] = {}
    for node in walk(item):
        match node:
            case nodes.LetStatement(column):
                kinds.setdefault(column.text, SymbolKind.COLUMN)
            case nodes.AssignStatement(target):
                kinds.setdefault(target.text, SymbolKind.VARIABLE)
            case _:
                pass
    for parameter in getattr(item, "parameters", ()):
        kinds[parameter.name.text] = SymbolKind.PARAMETER
    return kinds


def reach(scope: FileScope) -> list[FileScope]:
    """A file and all files that it imports, directly or not; each once."""
    scopes = {id(scope): scope}
    waiting = [scope]
    while waiting:
        for declared in waiting.pop().names.values():
            home = declared.home
            if home.source.text and id(home) not in scopes:
                scopes[id(home)] = home
                waiting.append(home)
    return list(scopes.values())


def columns_in_reach(scope: FileScope) -> frozenset[str]:
    """The columns that `let` makes in a file or its imports."""
    return frozenset(
        node.column.text
        for file in reach(scope)
        for node in walk(*file.file.items)
        if isinstance(node, nodes.LetStatement)
    )
