"""Builders: what each rule of the grammar makes of its children.

A builder is found by the name of its rule (grammar.lark), gets the flat list of children (nodes,
tokens, parts) and gives a node or an intermediate value. What the grammar cannot refuse is refused
here: the builder reports and gives `Broken`, which spreads to the statement.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from tts_lang.diagnostics import error
from tts_lang.syntax import nodes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from tts_lang.diagnostics import Diagnostic
    from tts_lang.source import Source, Span


@dataclass(slots=True)
class Context:
    """Where builders report to. A dictionary, since a statement may be read twice."""

    source: Source
    reports: dict[Diagnostic, None] = field(default_factory=dict)

    def refuse(
        self,
        code: str,
        message: str,
        span: Span,
        suggestion: str | None = None,
        expected: tuple[str, ...] = (),
    ) -> nodes.Broken:
        """Report an error and give the node that stands for what is wrong."""
        finding = error(code, message, span, self.source, suggestion=suggestion, expected=expected)
        self.reports[finding] = None
        return nodes.Broken(span=span)


class Part(NamedTuple):
    """A clause-like part of a phrase: parts come in any order, each at most once."""

    kind: str
    value: Any
    span: Span


# The children of a rule are whatever its symbols made: their types are the grammar's business.
BUILDERS: dict[str, Callable[[Context, list[Any], Span], Any]] = {}


def builder(*rules: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a function as the builder of these rules."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        for rule in rules:
            BUILDERS[rule] = function
        return function

    return register


def part(rule: str) -> None:
    """Register a rule as a part: its only child, or none, becomes the value."""

    def build(context: Context, children: list[Any], span: Span) -> Part:
        del context
        return Part(rule, children[0] if children else None, span)

    BUILDERS[rule] = build


_CLAUSES = {
    "temperature": nodes.ClauseKind.TEMPERATURE,
    "top_p": nodes.ClauseKind.TOP_P,
    "top_k": nodes.ClauseKind.TOP_K,
    "min_p": nodes.ClauseKind.MIN_P,
    "max": nodes.ClauseKind.MAX,
    "within": nodes.ClauseKind.WITHIN,
    "at_least": nodes.ClauseKind.AT_LEAST,
    "likeliest": nodes.ClauseKind.LIKELIEST,
    "from_": nodes.ClauseKind.FROM,
    "stop_at": nodes.ClauseKind.STOP_AT,
    "stop_when": nodes.ClauseKind.STOP_WHEN,
    "end_when": nodes.ClauseKind.END_WHEN,
}


def _clause_builder(kind: nodes.ClauseKind) -> None:
    def build(context: Context, children: list[Any], span: Span) -> nodes.Clause:
        del context
        return nodes.Clause(kind, children[0] if children else None, span=span)

    BUILDERS[next(rule for rule, known in _CLAUSES.items() if known is kind)] = build


for _kind in _CLAUSES.values():
    _clause_builder(_kind)

_PART_SPELLINGS = {"weighted_up": "weighted by", "by_amount": "by", "look_ahead": "looking ahead"}


class Parts:
    """The parts and clauses that follow a phrase, with second ones refused."""

    def __init__(self, context: Context, children: Iterable[Any]) -> None:
        self.values: dict[str, Any] = {}
        self.broken: nodes.Broken | None = None
        clauses: list[nodes.Clause] = []
        seen: set[str] = set()
        for child in children:
            if isinstance(child, nodes.Clause):
                key = child.kind.value
                clauses.append(child)
            else:
                key = _PART_SPELLINGS.get(child.kind, child.kind.replace("_", " "))
                key = "weighted by" if key == "weighted" else key
                self.values[child.kind] = child.value
            if key in seen:
                self.broken = context.refuse(
                    "TTS139", f"`{key}` is given twice", child.span, "keep one of them"
                )
            seen.add(key)
        self.clauses = tuple(clauses)

    def get(self, kind: str) -> Any:
        """The value of a part, or `None`."""
        return self.values.get(kind)

    def __contains__(self, kind: str) -> bool:
        return kind in self.values


class Arguments(NamedTuple):
    """What stands in the parentheses of a call."""

    items: tuple[Any, ...]


class Suite(NamedTuple):
    """A block of statements, with the docstring that a strategy's body may begin with."""

    statements: tuple[nodes.Statement, ...]
    docstring: nodes.Text | None = None


def split_arguments(children: Sequence[Any]) -> tuple[tuple[Any, ...], Sequence[Any]]:
    """Arguments that may stand first, and the other children."""
    if children and isinstance(children[0], Arguments):
        return children[0].items, children[1:]
    return (), children
