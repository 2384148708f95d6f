"""A plan as a tree of lines with bounds: what EXPLAIN shows, before it is rendered."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from tts_lang.explain.bounds import Bounds, OperationBounds, Rows, Spent
from tts_lang.plan import graph
from tts_lang.plan.graph import Exit, Kind, Operation, Origin, Plan, Region
from tts_lang.plan.phrases import constant, operation
from tts_lang.plan.text import numbering

#: Operators that are statements in the language: they rebind the pool that they name (C29).
_STATEMENTS = (graph.Score, graph.Let, graph.Force, graph.Backup)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the tree.

    Args:
        text: What is done, with the strategy's own names.
        op: Name of the operator; "then", "else" and "return" for what is none.
        rows: Rows of the pool it gives.
        spent: What all its executions spend, inner lines not included.
        origin: Where it stands in a strategy file.
        inside: The lines of its regions.
    """

    text: str
    op: str
    rows: Rows | None = None
    spent: Spent | None = None
    origin: Origin | None = None
    inside: tuple[Line, ...] = ()


@dataclass(frozen=True, slots=True)
class Explained:
    """A plan, its lines and its bounds."""

    plan: Plan
    title: str
    lines: tuple[Line, ...]
    bounds: Bounds


def explain(plan: Plan, bounds: Bounds) -> Explained:
    """The tree of a verified plan with its bounds."""
    given = ", ".join(f"{name} = {constant(value)}" for name, value in plan.parameters.items())
    builder = _Builder(plan, iter(bounds.operations))
    lines = tuple(builder.region(plan.body))
    return Explained(plan, f"{plan.strategy}({given})", lines, bounds)


@dataclass(slots=True)
class _Builder:
    plan: Plan
    known: Iterator[OperationBounds]
    names: dict[int, str] = field(default_factory=dict)
    numbers: dict[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.numbers = numbering(self.plan)

    def name(self, value: int) -> str:
        """The variable's name, the expression of an unnamed number, `%k` for an unnamed pool."""
        return self.names.get(value) or self.plan.values[value].name or self.numbers[value]

    def region(self, region: Region) -> Iterator[Line]:
        for step in region.operations:
            yield from self.operation(step, next(self.known))
        if region.exit is Exit.RETURN:
            yield Line(f"return {self.name(region.results[0])}", "return")

    def operation(self, step: Operation, bound: OperationBounds) -> Iterator[Line]:
        names = [self.name(value) for value in step.inputs]
        text = operation(step, names, brief=True)
        origin = step.origins[0] if step.origins else None
        inside: tuple[Line, ...] = ()
        match step.spec:
            case graph.Compute():
                output = step.outputs[0]
                if not self.plan.values[output].name:
                    is_flag = self.plan.values[output].kind is Kind.FLAG
                    # A flag is only ever shown alone, behind `if` and `until`.
                    self.names[output] = text if is_flag or _is_whole(text) else f"({text})"
                    return
            case graph.Repeat(trips):
                until, body = step.regions
                asked = tuple(self.region(until))
                condition = self.name(until.results[0])
                text = f"repeat {trips} {'round' if trips == 1 else 'rounds'}"
                if condition != "false":
                    text = f"repeat at most {trips} rounds until {condition}"
                inside = asked + tuple(self.region(body))
            case graph.Branch():
                inside = tuple(self.sides(step))
            case graph.Call(on_rows=on_rows):
                text += ": once for each row" if on_rows else ""
                inside = tuple(self.region(step.regions[0]))
        if len(step.outputs) == 1 and not isinstance(step.spec, graph.Repeat | graph.Branch):
            target = self.name(step.outputs[0])
            if not (isinstance(step.spec, _STATEMENTS) and target == names[0]):
                text = f"{target} = {text}"
        rows = None if isinstance(step.spec, graph.Repeat | graph.Branch) else bound.rows
        yield Line(text, step.spec.op, rows, bound.spent, origin, inside)

    def sides(self, step: Operation) -> Iterator[Line]:
        for label, region in zip(("then", "else"), step.regions, strict=True):
            lines = tuple(self.region(region))
            if lines:
                yield Line(label, label, inside=lines)


def _is_whole(text: str) -> bool:
    """Whether a text needs no parentheses inside a larger expression: a name, number or call."""
    depth = 0
    for index, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if depth == 0 and (character == " " or (character == ")" and index < len(text) - 1)):
            return False
    return True
