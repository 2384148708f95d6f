"""Normal forms: a plan rewritten until no rule applies, and written so that equals look equal."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tts_lang.laws.facts import Facts, pure, stripped
from tts_lang.laws.rules import RULES, Rule
from tts_lang.plan import graph
from tts_lang.plan.graph import Kind, Operation, Plan, Region, Value
from tts_lang.plan.serialize import to_json
from tts_lang.plan.text import to_text

#: No strategy needs so many rewrites; more would mean that two rules undo each other.
_MOST_REWRITES = 20_000


@dataclass(frozen=True, slots=True)
class NormalForm:
    """A plan in normal form.

    Args:
        plan: An executable plan with the same answers, without names.
        rules: Names of the rules that were applied, in order.
    """

    plan: Plan
    rules: tuple[str, ...]

    @property
    def text(self) -> str:
        """The plan to be read."""
        return to_text(self.plan).partition("\n\n")[2]

    @property
    def key(self) -> str:
        """Equal for equal normal forms (numbers differ from flags, and 1 from 1.0)."""
        return to_json(self.plan)


def normalise(plan: Plan, rules: tuple[Rule, ...] = RULES) -> NormalForm:
    """The plan's normal form; `rules` is for tests that look at one rule.

    Answers are the same for every policy, scorer and problem, in runs without errors.
    """
    applied: list[str] = []
    while len(applied) < _MOST_REWRITES:
        facts = Facts.of(plan)
        for rule in rules:
            made = rule.rewrite(facts)
            if made is not None:
                plan = made
                applied.append(rule.name)
                break
        else:
            return NormalForm(canonical(plan), tuple(applied))
    last = ", ".join(applied[-6:])
    raise AssertionError(f"rewriting does not end; the last rules were {last}")


def canonical(plan: Plan) -> Plan:
    """The same plan with pure operations right before their first use, and values renumbered.

    What numbers children or draws random numbers keeps its order (C7).
    """
    plan = stripped(plan)
    ordered = _Ordering().region(plan.body)
    numbers: dict[int, int] = {}
    values: list[Value] = []

    def define(value: int) -> int:
        numbers[value] = len(values)
        known = plan.values[value]
        # No rule keeps the note of columns up to date: "every column" is always true enough.
        values.append(Value(known.kind, columns=None if known.kind is Kind.POOL else {}))
        return numbers[value]

    def renumbered(region: Region) -> Region:
        parameters = tuple(define(value) for value in region.parameters)
        operations = []
        for operation in region.operations:
            inputs = tuple(numbers[value] for value in operation.inputs)
            regions = tuple(renumbered(inner) for inner in operation.regions)
            outputs = tuple(define(value) for value in operation.outputs)
            spec = operation.spec
            if isinstance(spec, graph.Call) and not spec.fresh:
                spec = replace(spec, strategy="")  # what it is called plays no part
            operations.append(Operation(spec, inputs, outputs, regions))
        results = tuple(numbers[value] for value in region.results)
        return Region(parameters, tuple(operations), results, region.exit)

    body = renumbered(ordered)
    return replace(plan, body=body, values=tuple(values))


class _Ordering:
    """Puts the operations of a region in an order that depends on the dataflow alone."""

    def region(self, region: Region) -> Region:
        operations = [
            replace(each, regions=tuple(self.region(inner) for inner in each.regions))
            for each in region.operations
        ]
        makers = {value: each for each in operations for value in each.outputs}
        placed: list[Operation] = []
        done: set[int] = set()

        def place(operation: Operation) -> None:
            """What it needs first: a stack, since a chain may be long."""
            waiting = [(operation, iter(_needed(operation)))]
            done.add(id(operation))
            while waiting:
                current, needed = waiting[-1]
                for value in needed:
                    maker = makers.get(value)
                    if maker is not None and id(maker) not in done:
                        done.add(id(maker))
                        waiting.append((maker, iter(_needed(maker))))
                        break
                else:
                    placed.append(current)
                    waiting.pop()

        for operation in operations:
            if id(operation) not in done and (operation.regions or not pure(operation)):
                place(operation)
        for value in region.results:
            if value in makers and id(makers[value]) not in done:
                place(makers[value])
        return replace(region, operations=tuple(placed))


def _needed(operation: Operation) -> list[int]:
    """Values that an operation reads, those read inside its regions included."""
    found = list(operation.inputs)
    for region in operation.regions:
        for inner in region.operations:
            found += _needed(inner)
        found += region.results
    return found


def same(left: NormalForm, right: NormalForm) -> bool:
    """Whether two normal forms are equal."""
    return left.key == right.key
