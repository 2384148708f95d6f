"""What is known of a plan without running it: uses, rows, which lineage is read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property

from tts_lang.laws.rows import RowFacts, row_facts
from tts_lang.plan import expr, graph
from tts_lang.plan.clauses import keys_of
from tts_lang.plan.columns import LINEAGE
from tts_lang.plan.expr import Const, Expr, fields_in
from tts_lang.plan.graph import Exit, Kind, Operation, Plan, Region
from tts_lang.plan.operator import entry
from tts_lang.plan.template import Slot, Template


@dataclass(frozen=True)
class Facts:
    """A plan and what follows from it; made anew after every edit."""

    plan: Plan
    regions: tuple[Place, ...] = field(default=())

    @staticmethod
    def of(plan: Plan) -> Facts:
        """The facts of a plan."""
        return Facts(plan, tuple(_places(plan.body, plan.body, True)))

    @cached_property
    def uses(self) -> dict[int, int]:
        """How often each value is read, as an input or as a region's result."""
        found: dict[int, int] = {}
        for place in self.regions:
            for operation in place.region.operations:
                for value in operation.inputs:
                    found[value] = found.get(value, 0) + 1
            for value in place.region.results:
                found[value] = found.get(value, 0) + 1
        return found

    @cached_property
    def makers(self) -> dict[int, Operation]:
        """The operation that defines each value (none for a region's parameters)."""
        return {
            value: operation
            for place in self.regions
            for operation in place.region.operations
            for value in operation.outputs
        }

    @cached_property
    def rows(self) -> RowFacts:
        """Bounds of rows, and what is known of their roots."""
        return row_facts(self.plan)

    @cached_property
    def expressions(self) -> tuple[Expr, ...]:
        """Every expression of the plan and its judges, subexpressions too."""
        outer = [
            inner
            for operation in graph.operations(self.plan.body)
            for inner in fields_in(operation.spec)
        ]
        for scorer in self.plan.scorers:
            if scorer.judge is not None:
                outer.extend(fields_in(scorer.judge.decoding))
        return tuple(node for each in outer for node in expr.walk(each))

    @cached_property
    def columns(self) -> frozenset[str]:
        """Every column that the plan reads by name."""
        found: set[str] = set()
        for operation in graph.operations(self.plan.body):
            found |= columns_read(operation)
        return frozenset(found)

    @cached_property
    def slots(self) -> frozenset[str]:
        """What the plan's prompts and judges show."""
        templates: list[Template] = list(self.plan.prompts)
        templates += [each.judge.template for each in self.plan.scorers if each.judge is not None]
        return frozenset(
            part.name for each in templates for part in each.parts if isinstance(part, Slot)
        )

    def has(self, *kinds: type[graph.Spec]) -> bool:
        """Whether any operation is of a kind."""
        return any(isinstance(each.spec, kinds) for each in graph.operations(self.plan.body))

    @cached_property
    def draws(self) -> bool:
        """Some expression draws random numbers, which are counted per row and scope."""
        return any(isinstance(node, expr.Random) for node in self.expressions)

    @cached_property
    def below(self) -> bool:
        """Some aggregate looks at descendants."""
        return any(isinstance(node, expr.Aggregate) and node.below for node in self.expressions)

    @cached_property
    def parent_blind(self) -> bool:
        """Nothing in the plan depends on which row a row was expanded from."""
        return (
            not self.columns & LINEAGE
            and not any(entry(each.spec).lineage for each in graph.operations(self.plan.body))
            and not self.below
            and not self.slots & {"parent.text", "attempts"}
        )

    @cached_property
    def root_blind(self) -> bool:
        """Nothing in the plan depends on the tree that a row belongs to."""
        together = any(
            isinstance(each.spec, graph.Ask) and each.spec.together
            for each in graph.operations(self.plan.body)
        )
        return "root" not in self.columns and not together

    @cached_property
    def identity_blind(self) -> bool:
        """Nothing in the plan compares rows by identity."""
        return (
            self.parent_blind
            and not self.has(graph.Union, graph.Difference)
            and "others" not in self.slots
        )

    def constant(self, value: int) -> Const | None:
        """The constant that a value is, if it is one."""
        maker = self.makers.get(value)
        if maker is not None and isinstance(maker.spec, graph.Compute):
            return maker.spec.value if isinstance(maker.spec.value, Const) else None
        return None


@dataclass(frozen=True, slots=True)
class Place:
    """A region, and the scope it belongs to.

    Args:
        region: The region.
        scope: The body of the strategy or call that counts its children.
        main: The scope is the whole strategy's, so a return gives the answer.
    """

    region: Region
    scope: Region
    main: bool

    @property
    def calls(self) -> bool:
        """Its scope calls strategies: rows may lie on nodes that a call made (C13)."""
        return any(isinstance(each.spec, graph.Call) for each in scope_operations(self.scope))


def _places(region: Region, scope: Region, main: bool) -> Iterator[Place]:
    yield Place(region, scope, main)
    for operation in region.operations:
        for inner in operation.regions:
            if isinstance(operation.spec, graph.Call):
                yield from _places(inner, inner, False)
            else:
                yield from _places(inner, scope, main)


def scope_operations(region: Region) -> Iterator[Operation]:
    """The operations that count in one scope: those inside calls count in their own."""
    for operation in region.operations:
        yield operation
        if not isinstance(operation.spec, graph.Call):
            for inner in operation.regions:
                yield from scope_operations(inner)


def columns_read(operation: Operation) -> set[str]:
    """Every column that an operation reads of any of its pools."""
    spec = operation.spec
    found = set(keys_of(spec))
    for outer in fields_in(spec):
        for node in expr.walk(outer):
            match node:
                case expr.Column(name):
                    found.add(name)
                case expr.Reduce(_, column):
                    found.add(column)
                case expr.Aggregate():
                    found |= {key for key in (node.per, node.on) if key is not None}
                case expr.PoolWide(per=str() as key):
                    found.add(key)
    return found


def random(operation: Operation) -> bool:
    """Whether an operation's own expressions draw random numbers."""
    return any(
        isinstance(node, expr.Random)
        for outer in fields_in(operation.spec)
        for node in expr.walk(outer)
    )


def pure(operation: Operation) -> bool:
    """Whether nothing but its outputs depends on an operation having run.

    A call counts in a scope of its own, so a whole call is pure (C13), unless it is fresh, as those
    are numbered (C65); a loop or branch is pure if all inside it is, and it does not return.
    """
    spec = operation.spec
    if random(operation):
        return False
    if isinstance(spec, graph.Call):
        return not spec.fresh
    if isinstance(spec, graph.Repeat | graph.Branch):
        return all(
            region.exit is Exit.YIELD and all(map(pure, region.operations))
            for region in operation.regions
        )
    return entry(spec).pure


def read_columns(plan: Plan) -> dict[int, set[str]]:
    """For every pool: the columns that somebody may read of its rows, directly or further on.

    Backwards over the dataflow until nothing is added. An operation that reads a column reads it of
    every pool it has; what keeps columns passes on what is read of its output (C28, C31).
    """
    found: dict[int, set[str]] = {value: set() for value in range(len(plan.values))}
    changed = True

    def add(value: int, columns: set[str]) -> None:
        nonlocal changed
        if not columns <= found[value]:
            found[value] |= columns
            changed = True

    def backwards(region: Region) -> None:
        for operation in reversed(region.operations):
            own = columns_read(operation)
            spec = operation.spec
            outputs = operation.outputs
            match spec:
                case graph.Repeat():
                    until, body = operation.regions
                    for place, value in enumerate(operation.inputs):
                        inside = found[until.parameters[place]] | found[body.parameters[place]]
                        needed = inside | found[outputs[place]]
                        add(value, needed)
                        if body.exit is Exit.YIELD:
                            add(body.results[place], needed)
                case graph.Branch():
                    for inner in operation.regions:
                        if inner.exit is Exit.YIELD:
                            for value, output in zip(inner.results, outputs, strict=True):
                                add(value, found[output])
                case _ if not entry(spec).row_inputs:
                    pass
                case _:
                    own |= found[outputs[0]]  # also past `expand`: `let` columns live on
            for inner in operation.regions:
                backwards(inner)
            for value in operation.inputs:
                if plan.values[value].kind is Kind.POOL and not operation.regions:
                    kept = own
                    if not entry(spec).makes.keeps_scores:
                        kept = own - _only_scores(plan, columns_read(operation))
                    add(value, kept)
                elif isinstance(spec, graph.Call):
                    add(value, found[outputs[0]])

    while changed:
        changed = False
        backwards(plan.body)
    return found


def _only_scores(plan: Plan, read: set[str]) -> set[str]:
    """Score columns that do not survive an operation and that it does not read itself.

    Files have names of their own, so one file's scorer may be called like another's `let` column.
    """
    named = {
        each.spec.name for each in graph.operations(plan.body) if isinstance(each.spec, graph.Let)
    }
    return {scorer.name for scorer in plan.scorers} - named - read


def _policies(plan: Plan) -> Iterator[str]:
    """Policies that operations sample from, or whose delimiters they read."""
    for operation in graph.operations(plan.body):
        if isinstance(operation.spec, graph.Expand | graph.Ask):
            yield operation.spec.decoding.policy
        for outer in fields_in(operation.spec):
            for node in expr.walk(outer):
                if isinstance(node, expr.Delimiter):
                    yield node.policy


def stripped(plan: Plan) -> Plan:
    """The plan without what plays no part when it runs: names, places, unread declarations."""
    used = {
        each.spec.scorer
        for each in graph.operations(plan.body)
        if isinstance(each.spec, graph.Score)
    }
    asked = {
        each.spec.prompt for each in graph.operations(plan.body) if isinstance(each.spec, graph.Ask)
    }
    # The default policy opens the problem's conversation, whatever else is sampled from.
    default = "policy" if "policy" in plan.policies else plan.policies[0]
    judges = [each.judge.policy for each in plan.scorers if each.judge and each.name in used]
    named = {*_policies(plan), *judges} - {default}
    return replace(
        plan,
        policies=(default, *sorted(named)),
        strategy="",
        parameters={},
        scorers=tuple(
            sorted((each for each in plan.scorers if each.name in used), key=lambda each: each.name)
        ),
        prompts=tuple(
            sorted(
                (each for each in plan.prompts if each.name in asked), key=lambda each: each.name
            )
        ),
        document="",
        file="",
    )
