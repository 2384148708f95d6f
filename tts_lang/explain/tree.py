"""A plan as a tree of lines with bounds: what EXPLAIN shows, before it is rendered."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from tts_lang.explain.assume import Assumed
from tts_lang.explain.bounds import Bounds, OperationBounds, Rows, Spent, bounds
from tts_lang.explain.domain import Cost
from tts_lang.explain.expected import expected, total_of
from tts_lang.plan import graph
from tts_lang.plan.graph import Exit, Kind, Operation, Origin, Plan, Region, operations
from tts_lang.plan.operator import entry
from tts_lang.plan.pretty import constant, operation
from tts_lang.plan.repeats import repeats, whole_meaning
from tts_lang.plan.text import numbering


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the tree.

    Args:
        text: What is done, with the strategy's own names.
        op: Name of the operator; "else" and "return" for what is none.
        rows: Rows of the pool it gives, at least and at most.
        spent: What all its executions spend at most, inner lines not included.
        mean: What is expected of all its executions, where lengths are assumed.
        origin: Where it stands in a strategy file.
        inside: The lines of its regions.
    """

    text: str
    op: str
    rows: Rows | None = None
    spent: Spent | None = None
    mean: Cost | None = None
    origin: Origin | None = None
    inside: tuple[Line, ...] = ()


@dataclass(frozen=True, slots=True)
class Explained:
    """A plan, its lines, what it costs at most, and what it is expected to cost.

    Attributes:
        total: What is expected of a run; `None` where no lengths are assumed.
    """

    plan: Plan
    title: str
    lines: tuple[Line, ...]
    bounds: Bounds
    assumed: Assumed
    total: Cost | None

    def all_lines(self) -> Iterator[Line]:
        """Every line, from top to bottom."""
        waiting = list(reversed(self.lines))
        while waiting:
            line = waiting.pop()
            yield line
            waiting.extend(reversed(line.inside))


def explain(plan: Plan, assumed: Assumed | None = None) -> Explained:
    """The tree of a verified plan with what it costs."""
    known = Assumed() if assumed is None else assumed
    most = bounds(plan, known.context, known.prompt, known.models)
    means: Sequence[Cost | None] = [None] * len(most.operations)
    total = None
    if known.lengths is not None:
        found = expected(plan, known.lengths, known.models, most)
        means, total = found, total_of(found)
        # Operations run side by side where they can.
        rounds = most.total.rounds
        total = total if rounds is None else total._replace(rounds=min(total.rounds, rounds))
    given = ", ".join(f"{name} = {constant(value)}" for name, value in plan.parameters.items())
    builder = _Builder(plan, iter(zip(most.operations, means, strict=True)))
    lines = tuple(builder.region(plan.body))
    return Explained(plan, f"{plan.strategy}({given})", lines, most, known, total)


@dataclass(slots=True)
class _Builder:
    plan: Plan
    known: Iterator[tuple[OperationBounds, Cost | None]]
    names: dict[int, str] = field(default_factory=dict)
    numbers: dict[int, str] = field(default_factory=dict)
    shared: dict[int, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.numbers = numbering(self.plan)
        self.shared = dict(_shared(self.plan))

    def name(self, value: int) -> str:
        """The variable's name, the expression of an unnamed number, `%k` for an unnamed pool."""
        return self.names.get(value) or self.plan.values[value].name or self.numbers[value]

    def region(self, region: Region) -> Iterator[Line]:
        """The lines of a region, one operation after another."""
        lines: list[Line] = []
        for step in region.operations:
            yield from lines
            lines = list(self.operation(step, *next(self.known)))
        if region.exit is not Exit.RETURN:
            yield from lines
            return
        # What is only returned needs no name of its own.
        returned = self.name(region.results[0])
        if lines and lines[0].text.startswith(f"{returned} = ") and returned.startswith("%"):
            text = lines[0].text.removeprefix(f"{returned} = ")
            yield replace(lines[0], text=f"return {text}")
            return
        yield from lines
        yield Line(f"return {returned}", "return")

    def operation(
        self, step: Operation, bound: OperationBounds, mean: Cost | None
    ) -> Iterator[Line]:
        """An operation's line, and that of its other side if it is a branch."""
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
                yield from self.branch(step, text, bound, mean)
                return
            case graph.Call(on_rows=on_rows):
                notes = ["once for each row"] if on_rows else []
                notes += self.shared.get(step.outputs[0], [])
                text += f": {', '.join(notes)}" if notes else ""
                inside = tuple(self.region(step.regions[0]))
        if len(step.outputs) == 1 and not isinstance(step.spec, graph.Repeat):
            target = self.name(step.outputs[0])
            if not (entry(step.spec).statement and target == names[0]):
                text = f"{target} = {text}"
        rows = None if isinstance(step.spec, graph.Repeat) else bound.rows
        yield Line(text, step.spec.op, rows, bound.spent, mean, origin, inside)

    def branch(
        self, step: Operation, text: str, bound: OperationBounds, mean: Cost | None
    ) -> Iterator[Line]:
        """`if`, and behind it `else`, or `else if` where nothing else is on that side."""
        then, other = (tuple(self.region(region)) for region in step.regions)
        origin = step.origins[0] if step.origins else None
        yield Line(text, step.spec.op, None, bound.spent, mean, origin, then)
        chained = all(line.text.startswith("else") for line in other[1:])
        if other and other[0].op == "branch" and chained:
            yield replace(other[0], text=f"else {other[0].text}")
            yield from other[1:]
        elif other:
            yield Line("else", "else", inside=other)


def _shared(plan: Plan) -> Iterator[tuple[int, list[str]]]:
    """By their outputs, the calls whose samples are those of another call, and which (C13)."""
    called = [each for each in operations(plan.body) if isinstance(each.spec, graph.Call)]
    for scope in (plan.body, *(each.regions[0] for each in called)) if called else ():
        for found in repeats(scope, whole_meaning):
            call, earlier = found.call.origins[:1], found.earlier.origins[:1]
            # A loop that was unrolled has several calls of one place.
            where = "in every round" if earlier == call else "as before"
            if earlier and earlier != call:
                where = f"as at line {earlier[0].line}"
            yield found.call.outputs[0], [f"the same {where}"]


def _is_whole(text: str) -> bool:
    """Whether a text needs no parentheses inside a larger expression: a name, number or call."""
    depth = 0
    for index, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if depth == 0 and (character == " " or (character == ")" and index < len(text) - 1)):
            return False
    return True
