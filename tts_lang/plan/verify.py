"""The verifier of plans: runs after lowering (in tests) and when a plan is read from a file.

Each rule has one line of message; a failure names the operation, its path in the plan and where it
comes from in the strategy file. A plan that passes can be executed, bounded and drawn without
further checks.
"""

from __future__ import annotations

from dataclasses import dataclass

from tts_lang.plan import expr, graph
from tts_lang.plan.clauses import keys_of
from tts_lang.plan.columns import COLUMNS
from tts_lang.plan.decoding import misfit
from tts_lang.plan.expr import Expr, fields_in
from tts_lang.plan.graph import Exit, Kind, Operation, Plan, Region
from tts_lang.plan.legal import check
from tts_lang.plan.operator import entry


class PlanError(Exception):
    """A plan that cannot be used; the message has the error and its place."""


@dataclass(frozen=True, slots=True)
class _Where:
    """The current place: the plan, and a readable path for messages."""

    plan: Plan
    path: str
    operation: Operation | None = None

    def inside(self, part: str) -> _Where:
        return _Where(self.plan, f"{self.path}.{part}", self.operation)

    def fail(self, message: str) -> PlanError:
        where = self.path
        if self.operation is not None:
            where += f" ({self.operation.spec.op}"
            if self.operation.origins:
                origin = self.operation.origins[0]
                where += f", {origin.file}:{origin.line}:{origin.column}"
            where += ")"
        return PlanError(f"{where}: {message}")


def verify(plan: Plan) -> None:
    """Checks a plan.

    Single assignment (every value defined once, before its uses and inside its scope), counts and
    kinds of inputs, outputs and regions, exits, expressions (inputs in range and of the right kind,
    known functions, columns that the pool has), and declared scorers, prompts and policies.

    Raises:
        PlanError: The first rule that is broken.
    """
    start = _Where(plan, "body")
    if len(plan.body.parameters) != 1:
        raise start.fail(f"expected one parameter, the problem; found {len(plan.body.parameters)}")
    for number, value in enumerate(plan.values):
        if value.columns is None and value.kind is not Kind.POOL:
            raise PlanError(f"values[{number}]: only a pool has every column")
    _Verifier(plan).region(plan.body, start, frozenset((Exit.RETURN, Exit.NEVER)))


def verify_foreign(plan: Plan) -> None:
    """Checks a plan that this process has not compiled: `verify`, and the rules of the language.

    A plan that passes can be explained, drawn and run without further checks.

    Raises:
        PlanError: The first rule that is broken.
    """
    verify(plan)
    check(plan, lambda message, operation: _Where(plan, "plan", operation).fail(message))


class _Verifier:
    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.defined: set[int] = set()
        self.visible: set[int] = set()
        self.scorers = {scorer.name: scorer for scorer in plan.scorers}
        self.prompts = {prompt.name for prompt in plan.prompts}
        for scorer in plan.scorers:
            if scorer.judge is not None:
                where = _Where(plan, f"scorer {scorer.name}")
                self.policy(scorer.judge.policy, where)
                if (wrong := misfit(graph.Unit.SOLUTIONS, scorer.judge.decoding)) is not None:
                    raise where.fail(wrong)
                for inner in fields_in(scorer.judge.decoding):
                    if any(
                        isinstance(node, expr.Input | expr.Aggregate) for node in expr.walk(inner)
                    ):
                        raise where.fail("a judge's decoding reads a value of the plan")

    # -------------------------------------------------------------------------- structure

    def define(self, value: int, scope: _Where) -> None:
        if not 0 <= value < len(self.plan.values):
            raise scope.fail(f"value {value} is not described in `values`")
        if value in self.defined:
            raise scope.fail(f"value {value} is defined a second time")
        self.defined.add(value)
        self.visible.add(value)

    def kind(self, value: int, scope: _Where) -> Kind:
        if value not in self.visible:
            reason = "out of scope here" if value in self.defined else "not defined before its use"
            raise scope.fail(f"value {value} is {reason}")
        return self.plan.values[value].kind

    def region(self, region: Region, scope: _Where, exits: frozenset[Exit]) -> None:
        """Checks a region; what it defines is out of scope afterwards."""
        if region.exit not in exits:
            expected = " or ".join(sorted(kind.value for kind in exits))
            raise scope.fail(f"the region ends by {region.exit.value}, expected {expected}")
        before = set(self.visible)
        for value in region.parameters:
            self.define(value, scope)
        for index, operation in enumerate(region.operations):
            path = f"{scope.path}.operations[{index}]"
            self.operation(operation, _Where(self.plan, path, operation))
        end = _Where(self.plan, f"{scope.path}.results", scope.operation)
        kinds = [self.kind(value, end) for value in region.results]
        if region.exit is Exit.RETURN and kinds != [Kind.POOL]:
            raise end.fail("a returning region has one result, a pool")
        if region.exit is Exit.NEVER:
            self.never(region, end)
        self.visible = before

    def never(self, region: Region, scope: _Where) -> None:
        """Its end is not reached: its last operation holds regions of which none yields."""
        if region.results:
            raise scope.fail("a region whose end is not reached has no results")
        last = region.operations[-1] if region.operations else None
        ways: tuple[Region, ...] = ()
        if last is not None and isinstance(last.spec, graph.Branch | graph.Repeat):
            ways = last.regions[isinstance(last.spec, graph.Repeat) :]  # without `until`
        if not ways or any(way.exit is Exit.YIELD for way in ways):
            raise scope.fail("the region says that its end is not reached, but nothing returns")

    def operation(self, operation: Operation, scope: _Where) -> None:
        operator = entry(operation.spec)
        kinds = [self.kind(value, scope) for value in operation.inputs]
        if kinds[: len(operator.inputs)] != list(operator.inputs):
            expected = ", ".join(kind.value for kind in operator.inputs) or "nothing"
            actual = ", ".join(kind.value for kind in kinds) or "nothing"
            raise scope.fail(f"expected inputs that start with {expected}; found {actual}")
        if len(operation.regions) != len(operator.regions):
            expected = f"expected {len(operator.regions)} regions"
            raise scope.fail(f"{expected}, found {len(operation.regions)}")
        pool = None if operator.row_input is None else operation.inputs[operator.row_input]
        self.spec(operation, pool, kinds, scope)
        match operation.spec:
            case graph.Repeat():
                self.repeat(operation, kinds, scope)
            case graph.Branch():
                self.branch(operation, scope)
            case graph.Call():
                self.call(operation, scope)
        for value in operation.outputs:
            self.define(value, scope)
        if operator.output is not None:
            outputs = [self.plan.values[value].kind for value in operation.outputs]
            fine = len(outputs) == 1 and outputs[0] in operator.output
            if not fine:
                expected = " or ".join(kind.value for kind in operator.output)
                raise scope.fail(f"expected one output, a {expected}")

    def repeat(self, operation: Operation, kinds: list[Kind], scope: _Where) -> None:
        until, body = operation.regions
        if isinstance(operation.spec, graph.Repeat) and operation.spec.trips < 0:
            raise scope.fail("a negative number of rounds")
        described = self.plan.values
        for name, region in (("until", until), ("body", body)):
            parameters = [described[v].kind for v in region.parameters if 0 <= v < len(described)]
            if parameters != kinds:
                raise scope.fail(f"the parameters of its {name} region differ from its inputs")
        if [described[v].kind for v in operation.outputs if 0 <= v < len(described)] != kinds:
            raise scope.fail("its outputs differ from its inputs in number or kind")
        self.region(until, scope.inside("regions[0]"), frozenset((Exit.YIELD,)))
        if len(until.results) != 1 or described[until.results[0]].kind is not Kind.FLAG:
            raise scope.fail("its until region gives one flag")
        self.region(body, scope.inside("regions[1]"), frozenset(Exit))
        if body.exit is Exit.YIELD and [described[v].kind for v in body.results] != kinds:
            raise scope.fail("its body gives other values than it carries")

    def branch(self, operation: Operation, scope: _Where) -> None:
        described = self.plan.values
        expected = [described[v].kind for v in operation.outputs if 0 <= v < len(described)]
        for index, region in enumerate(operation.regions):
            if region.parameters:
                raise scope.fail("the regions of a branch have no parameters")
            self.region(region, scope.inside(f"regions[{index}]"), frozenset(Exit))
            if (
                region.exit is Exit.YIELD
                and [described[v].kind for v in region.results] != expected
            ):
                raise scope.fail("a side gives other values than the branch")

    def call(self, operation: Operation, scope: _Where) -> None:
        region = operation.regions[0]
        if len(region.parameters) != 1:
            raise scope.fail("a called strategy has one parameter, its problem")
        around, self.visible = self.visible, set()  # a call sees nothing of what is around it
        self.region(region, scope.inside("regions[0]"), frozenset((Exit.RETURN, Exit.NEVER)))
        self.visible = around

    # -------------------------------------------------------------------------- content

    def spec(
        self, operation: Operation, pool: int | None, kinds: list[Kind], scope: _Where
    ) -> None:
        spec = operation.spec
        for expression in fields_in(spec):
            self.expression(expression, operation, pool, kinds, scope)
        if isinstance(spec, graph.Expand | graph.Ask):
            self.policy(spec.decoding.policy, scope)
            if (wrong := misfit(spec.amount.unit, spec.decoding)) is not None:
                raise scope.fail(wrong)
        for key in keys_of(spec):
            self.column(key, pool, scope)
        if isinstance(spec, graph.Score) and spec.scorer not in self.scorers:
            raise scope.fail(f"scorer `{spec.scorer}` is not declared")
        if isinstance(spec, graph.Ask):
            if spec.prompt not in self.prompts:
                raise scope.fail(f"prompt `{spec.prompt}` is not declared")
            for name, value in spec.arguments:
                if isinstance(value, int) and not self.is_pool(value, kinds):
                    raise scope.fail(f"argument `{name}` is input {value}, which is not a pool")
        if isinstance(spec, graph.Select) and (spec.count is None) == (spec.share is None):
            raise scope.fail("expected a count or a share, and not both")

    def policy(self, name: str, scope: _Where) -> None:
        if name not in self.plan.policies:
            raise scope.fail(f"policy `{name}` is not declared")

    def is_pool(self, index: int, kinds: list[Kind]) -> bool:
        return 0 <= index < len(kinds) and kinds[index] is Kind.POOL

    def column(self, name: str, pool: int | None, scope: _Where, *, steps: bool = False) -> None:
        """The pool has the column, and it is (or is not) a vector with a number per step."""
        if pool is None:
            raise scope.fail(f"column `{name}` is read outside a pool")
        columns = self.plan.values[pool].columns
        if columns is None or (name in COLUMNS and not steps and name not in columns):
            return
        if name not in columns:
            raise scope.fail(f"value {pool} has no column `{name}`")
        if (columns[name] == "steps") != steps:
            difference = "has a number per step" if not steps else "has no number per step"
            raise scope.fail(f"column `{name}` of value {pool} {difference}")

    def expression(
        self,
        expression: Expr,
        operation: Operation,
        pool: int | None,
        kinds: list[Kind],
        scope: _Where,
    ) -> None:
        # Inside an aggregate the rows are those of its pool, so the row's pool goes along.
        waiting: list[tuple[Expr, int | None]] = [(expression, pool)]
        while waiting:
            node, rows = waiting.pop()
            inner = rows
            match node:
                case expr.Input(index):
                    if not 0 <= index < len(kinds):
                        raise scope.fail(f"input {index} does not exist")
                    if kinds[index] is Kind.POOL:
                        raise scope.fail(f"input {index} is a pool where one value is read")
                case expr.Apply(function, arguments):
                    if expr.FUNCTIONS.get(function) != len(arguments):
                        raise scope.fail(f"`{function}` of {len(arguments)} arguments is unknown")
                case expr.Aggregate():
                    if not self.is_pool(node.pool, kinds):
                        raise scope.fail(f"{node.how} reads input {node.pool}, which is not a pool")
                    if (node.of is None) == (node.how in expr.OF_ROWS):
                        expected = "a number" if node.of is None else "no number"
                        raise scope.fail(f"{node.how} takes {expected} of each row")
                    if (node.quantile is None) == (node.how == "quantile"):
                        raise scope.fail(f"{node.how} has a `quantile` exactly if it is one")
                    inner = operation.inputs[node.pool]
                    for key in (node.per, node.on if node.on != "answer" else None):
                        if key is not None:
                            self.column(key, inner, scope)
                    if node.quantile is not None:
                        waiting.append((node.quantile, rows))
                case expr.Column(name):
                    self.column(name, rows, scope)
                case expr.Reduce(how, column, argument):
                    self.column(column, rows, scope, steps=True)
                    if (argument is None) == bool(expr.STEP_FUNCTIONS.get(how)):
                        raise scope.fail(f"`{how}` has one argument too few or too many")
                case expr.JudgeWords(column):
                    columns = None if rows is None else self.plan.values[rows].columns
                    if rows is None or (columns is not None and column not in columns):
                        raise scope.fail(f"no judge has read these rows for `{column}`")
                case expr.PoolWide(per=str() as key):
                    self.column(key, rows, scope)
                case expr.Delimiter(policy=policy):
                    self.policy(policy, scope)
            self.named(node, scope)
            quantile = node.quantile if isinstance(node, expr.Aggregate) else None
            waiting.extend((e, inner) for e in expr.children(node) if e is not quantile)

    def named(self, node: Expr, scope: _Where) -> None:
        """The node's function is one that exists."""
        choices: tuple[tuple[type, str, tuple[str, ...]], ...] = (
            (expr.Aggregate, "how", expr.AGGREGATES),
            (expr.Reduce, "how", (*expr.REDUCTIONS, *expr.STEP_FUNCTIONS)),
            (expr.PoolWide, "how", expr.POOL_WIDE),
            (expr.Statistic, "how", expr.STATISTICS),
            (expr.Statistic, "span", expr.SPANS),
            (expr.Random, "distribution", tuple(expr.DISTRIBUTIONS)),
            (expr.Delimiter, "name", ("end_of_thought", "end_of_step")),
        )
        for kind, field, names in choices:
            if isinstance(node, kind) and getattr(node, field) not in names:
                raise scope.fail(f"`{getattr(node, field)}` is none of {', '.join(names)}")
