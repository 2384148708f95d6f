"""A plan as a tree of lines with bounds: what EXPLAIN shows, before it is rendered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from tts_lang.explain.assumptions import Assumed
from tts_lang.explain.costs import (
    CostBounds,
    OperationBounds,
    PlanBounds,
    RowRange,
    at_most,
    bounds,
    expected,
    total_of,
)
from tts_lang.explain.domain import Cost
from tts_lang.plan import graph
from tts_lang.plan.graph import Exit, Kind, Operation, Origin, Plan, Region, operations
from tts_lang.plan.operator import Makes, entry
from tts_lang.plan.pretty import constant, operation
from tts_lang.plan.repeats import repeats, whole_meaning

#: Nouns for unnamed rows, by operator.
_NOUNS: Final[Mapping[Makes, str]] = {
    Makes.SUBSET: "kept",
    Makes.COPIES: "copies",
    Makes.BOTH: "all",
    Makes.EDITED: "edited",
    Makes.CHILDREN: "children",
    Makes.CONVERSATIONS: "replies",
    Makes.NOTHING: "none",
    Makes.REGIONS: "result",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the tree.

    Args:
        text: The operation, with the strategy's own names.
        op: Name of the operator; "else" and "return" for what is none.
        rows: Rows of the pool it gives, at least and at most.
        spent: What all its executions spend at most, inner lines not included.
        mean: What is expected of all its executions, where lengths are assumed.
        origin: Where it stands in a strategy file.
        inside: The lines of its regions.
        reads: Values that it reads, those that lines inside read from outside included.
        gives: Values that it gives; both sides of a branch give the same ones.
        yields: Values of lines inside that it gives, or that the next round starts from.
    """

    text: str
    op: str
    rows: RowRange | None = None
    spent: CostBounds | None = None
    mean: Cost | None = None
    origin: Origin | None = None
    inside: tuple[Line, ...] = ()
    reads: tuple[int, ...] = ()
    gives: tuple[int, ...] = ()
    yields: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Explained:
    """A plan, its lines, its maximum cost and its expected cost.

    Attributes:
        total: What is expected of a run; `None` where no lengths are assumed.
        nouns: What stands in parentheses for rows that the strategy gives no name.
    """

    plan: Plan
    title: str
    lines: tuple[Line, ...]
    bounds: PlanBounds
    assumed: Assumed
    total: Cost | None
    nouns: tuple[str, ...] = ()

    def all_lines(self) -> Iterator[Line]:
        """Every line, from top to bottom."""
        waiting = list(reversed(self.lines))
        while waiting:
            line = waiting.pop()
            yield line
            waiting.extend(reversed(line.inside))


def explain(plan: Plan, assumed: Assumed | None = None) -> Explained:
    """The tree of a verified plan with its costs."""
    assumptions = Assumed() if assumed is None else assumed
    most = bounds(plan, assumptions.context, assumptions.prompt, assumptions.models)
    means: Sequence[Cost | None] = [None] * len(most.operations)
    total = None
    if assumptions.lengths is not None:
        costs = expected(plan, assumptions.lengths, assumptions.models, most)
        means, total = costs, at_most(total_of(costs), most.total)
    values = ", ".join(f"{name} = {constant(value)}" for name, value in plan.parameters.items())
    builder = _TreeBuilder(plan, iter(zip(most.operations, means, strict=True)))
    lines = tuple(builder.region(plan.body))
    title = f"{plan.strategy}({values})"
    return Explained(plan, title, lines, most, assumptions, total, builder.nouns)


class _TreeBuilder:
    """Builds the lines.

    Attributes:
        names: Shown instead of the names in the plan: unnamed values.
        inlined: The values that the text of an unnamed number reads.
    """

    def __init__(self, plan: Plan, costs: Iterator[tuple[OperationBounds, Cost | None]]) -> None:
        self.plan = plan
        self.costs = costs
        self.names: dict[int, str] = {}
        self.inlined: dict[int, tuple[int, ...]] = {}
        self.shared = dict(_shared(plan))
        self._unnamed: Counter[str] = Counter()

    @property
    def nouns(self) -> tuple[str, ...]:
        """The nouns that stand for unnamed rows, in the order of their use."""
        return tuple(self._unnamed)

    def name(self, value: int) -> str:
        """The variable's name, the expression of an unnamed number, `(kept)` for unnamed rows."""
        variable = self.names.get(value) or self.plan.values[value].name
        return variable or self._named(value, "rows")

    def _named(self, value: int, noun: str) -> str:
        self._unnamed[noun] += 1
        count = self._unnamed[noun]
        self.names[value] = f"({noun})" if count == 1 else f"({noun} {count})"
        return self.names[value]

    def _define(self, step: Operation) -> None:
        """Names an unnamed pool: after its kind of rows, numbered if need be."""
        for value in step.outputs:
            if not (self.names.get(value) or self.plan.values[value].name):
                self._named(value, _NOUNS.get(entry(step.spec).makes, "rows"))

    def read_by(self, values: Sequence[int]) -> tuple[int, ...]:
        """The values that other lines give, of those that an operation reads."""
        groups = (self.inlined.get(value, (value,)) for value in values)
        return tuple(dict.fromkeys(value for each in groups for value in each))

    def region(self, region: Region) -> list[Line]:
        """The lines of a region, one operation after another."""
        lines: list[Line] = []
        returned = False
        for step in region.operations:
            bound, mean = next(self.costs)
            # A value that is only returned needs no name.
            last = region.exit is Exit.RETURN and step.outputs == region.results
            returned = last and not self.plan.values[region.results[0]].name
            lines += self.operation(step, bound, mean, returned=returned)
        if region.exit is not Exit.RETURN or (returned and not lines[-1].gives):
            return lines
        result = f"return {self.name(region.results[0])}"
        return [*lines, Line(result, "return", reads=self.read_by(region.results))]

    def operation(
        self, step: Operation, bound: OperationBounds, mean: Cost | None, *, returned: bool
    ) -> list[Line]:
        """An operation's line, and that of its other side if it is a branch."""
        names = [self.name(value) for value in step.inputs]
        text = operation(step, names, brief=True)
        reads = self.read_by(step.inputs)
        line = Line(
            text,
            step.spec.op,
            bound.rows,
            bound.spent,
            mean,
            step.origins[0] if step.origins else None,
            reads=reads,
            gives=step.outputs,
        )
        match step.spec:
            case graph.Compute():
                (output,) = step.outputs
                if not self.plan.values[output].name:
                    is_flag = self.plan.values[output].kind is Kind.FLAG
                    # A flag is only ever shown alone, after `if` and `until`.
                    self.names[output] = text if is_flag or _is_whole(text) else f"({text})"
                    self.inlined[output] = reads
                    return []
            case graph.Repeat(trips):
                until, body = step.regions
                before = self.region(until)
                condition = self.name(until.results[0])
                text = f"repeat {trips} {'round' if trips == 1 else 'rounds'}"
                if condition != "false":
                    text = f"repeat at most {trips} rounds until {condition}"
                inside = before + self.region(body)
                yields = body.results if body.exit is Exit.YIELD else ()
                self._define(step)
                line = replace(line, text=text, rows=None)
                return [self._around(line, inside, (until, body), yields)]
            case graph.Branch():
                return self.branch(step, line)
            case graph.Call(on_rows=on_rows):
                notes = ["once for each row"] if on_rows else []
                notes += self.shared.get(step.outputs[0], [])
                text += f": {', '.join(notes)}" if notes else ""
                outside, self._unnamed = self._unnamed, Counter()
                inside = self.region(step.regions[0])
                self._unnamed = outside
                line = self._around(line, inside, step.regions, ())
        if returned:
            return [replace(line, text=f"return {text}", gives=())]
        self._define(step)
        target = self.name(step.outputs[0])
        if not (entry(step.spec).statement and target == names[0]):
            text = f"{target} = {text}"
        return [replace(line, text=text)]

    def _around(
        self,
        line: Line,
        inside: Sequence[Line],
        regions: Sequence[Region],
        yields: Sequence[int],
    ) -> Line:
        """The line with the lines of its regions."""
        own = {value for region in regions for value in region.parameters}
        own.update(value for each in inside for value in each.gives)
        outer = (value for each in inside for value in each.reads if value not in own)
        reads = tuple(dict.fromkeys((*line.reads, *outer)))
        return replace(line, inside=tuple(inside), reads=reads, yields=self.read_by(yields))

    def branch(self, step: Operation, line: Line) -> list[Line]:
        """`if`, then `else`, or `else if` if that side holds only a branch."""
        sides = [
            (self.region(region), region, region.results if region.exit is Exit.YIELD else ())
            for region in step.regions
        ]
        self._define(step)
        (then, *_), (other, region, results) = sides
        line = replace(line, rows=None)
        lines = [self._around(line, then, step.regions[:1], sides[0][2])]
        chained = all(other_line.text.startswith("else") for other_line in other[1:])
        if other and other[0].op == "branch" and chained:
            first = replace(other[0], text=f"else {other[0].text}")
            lines += [
                replace(other_line, gives=(*other_line.gives, *step.outputs))
                for other_line in (first, *other[1:])
            ]
        elif other:
            line = Line("else", "else", reads=line.reads, gives=step.outputs)
            lines.append(self._around(line, other, (region,), results))
        return lines


def _shared(plan: Plan) -> Iterator[tuple[int, list[str]]]:
    """By their outputs, the calls whose samples are those of another call, and which (C13)."""
    called = [each for each in operations(plan.body) if isinstance(each.spec, graph.Call)]
    for scope in (plan.body, *(each.regions[0] for each in called)) if called else ():
        for repeat in repeats(scope, whole_meaning):
            call, earlier = repeat.call.origins[:1], repeat.earlier.origins[:1]
            # A loop that was unrolled has several calls of one place.
            where = "in every round" if earlier == call else "as before"
            if earlier and earlier != call:
                where = f"as at line {earlier[0].line}"
            yield repeat.call.outputs[0], [f"the same {where}"]


def _is_whole(text: str) -> bool:
    """Whether a text needs no parentheses inside a larger expression: a name, number or call."""
    depth = 0
    for index, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if depth == 0 and (character == " " or (character == ")" and index < len(text) - 1)):
            return False
    return True
