"""A plan made ready to run: one action per operation, compiled once for all problems.

Each operator has a handler, registered by the module of `ops` that defines it: it is given the
operation (`Builder`) and its spec, and makes the action that the operation is in every run.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from math import inf
from typing import Any, Final, TypeAlias, TypeVar

from tts_lang.explain.budget import CEILINGS
from tts_lang.optimise.last_draws import are_running, last_draws
from tts_lang.plan.expr import Const, Expr, Statistic, fields_in, walk
from tts_lang.plan.graph import (
    Call,
    Exit,
    Judge,
    Operation,
    Plan,
    Region,
    Score,
    Scorer,
    operations,
)
from tts_lang.plan.reads import draws
from tts_runtime.engines.base import ScorerEngine
from tts_runtime.engines.policy import DEFAULT_POLICY, BoundEngines, Policy
from tts_runtime.executor.expressions import Compiler
from tts_runtime.executor.pools import Pool
from tts_runtime.executor.problem import error_at
from tts_runtime.executor.rows import Row
from tts_runtime.executor.scope import Scope
from tts_runtime.executor.views import View

#: Other tasks get a turn after this many operations: what samples nothing never waits.
_TURN: Final = 64


class Returned:
    """A region ended by RETURN: what the strategy (or call) returns."""

    __slots__ = ("pool",)

    def __init__(self, pool: Pool) -> None:
        self.pool = pool


#: Runs one operation: the values of its outputs, or what the strategy returns.
Action: TypeAlias = Callable[
    [Scope, Sequence[Any]], Coroutine[Any, Any, "Sequence[Any] | Returned"]
]
#: Makes the action of an operation from its spec.
Handler: TypeAlias = Callable[["Builder", Any], Action]
_Handler = TypeVar("_Handler", bound=Callable[..., Action])

#: Handlers by the class of the spec; under `Judge`, that of scores whose scorer is a judge.
HANDLERS: Final[dict[type, Handler]] = {}


def handles(spec: type) -> Callable[[_Handler], _Handler]:
    """Registers the handler of an operator."""

    def register(handler: _Handler) -> _Handler:
        assert spec not in HANDLERS, spec
        HANDLERS[spec] = handler
        return handler

    return register


class Step:
    """One operation of a region, ready to run; `over`: values that nothing reads after it."""

    __slots__ = ("action", "inputs", "outputs", "over")

    def __init__(self, operation: Operation, action: Action, over: tuple[int, ...]) -> None:
        self.inputs = operation.inputs
        self.outputs = operation.outputs
        self.action = action
        self.over = over


class CompiledRegion:
    """A region, ready to run."""

    __slots__ = ("parameters", "results", "returns", "steps")

    def __init__(self, region: Region, steps: Sequence[Step]) -> None:
        self.parameters = region.parameters
        self.results = region.results
        self.returns = region.exit is Exit.RETURN
        self.steps = tuple(steps)

    async def walk(self, scope: Scope) -> Returned | None:
        """Runs the operations in program order; gives what was returned, if anything was."""
        values = scope.values
        turns = scope.run.turns
        for step in self.steps:
            if not next(turns) % _TURN:
                await scope.run.yield_to_others()
            results = await step.action(scope, [values[number] for number in step.inputs])
            if isinstance(results, Returned):
                return results
            for number, value in zip(step.outputs, results, strict=True):
                values[number] = value
            for number in step.over:
                values[number] = None
        if self.returns:
            return Returned(values[self.results[0]])
        return None


class Builder:
    """The context in which a handler prepares an operation."""

    def __init__(self, program: Program, operation: Operation) -> None:
        self.program = program
        self.operation = operation
        self.policies = program.engines.policies
        self.compiler = Compiler(operation, self.policies, program.score_columns)

    def block(self, index: int) -> CompiledRegion:
        """A region of the operation."""
        return self.program.block(self.operation.regions[index])

    def count(self, expression: Expr) -> Callable[[Row, View], int]:
        """How many rows an operation makes; fractions are floored, missing makes none (C39).

        A literal is checked against the limits of a run before it starts (`explain.budget`), a
        count that is computed when it is known.
        """
        compute, operation = self.compiler.compile(expression), self.operation
        most = inf if isinstance(expression, Const) else CEILINGS["rows"]

        def count(row: Row, view: View) -> int:
            many = max(0, view.whole(compute(row, view)))
            if many > most:
                raise error_at(
                    operation,
                    f"the count is {float(many):g}",
                    f"a count that is computed may be at most {most:,.0f}: limit it by `min(E, N)`",
                )
            return many

        return count

    def is_answer(self, scope: Scope) -> bool:
        """Whether the row of the operation is the answer, if it makes one."""
        rounds = self.program.last_draws.get(self.operation.outputs[0])
        return rounds is not None and scope.answers and are_running(rounds, scope.round)

    def scorer(self, name: str) -> tuple[Scorer, ScorerEngine | None]:
        """A scorer's declaration and engine; a judge has none."""
        return self.program.plan.scorer(name), self.program.engines.scorers.get(name)


class Program:
    """A plan with its engines.

    Args:
        plan: The plan.
        policies: Of the plan and its judges, by name.
        scorers: By name; judges have none.
        strict, logprobs: See `BoundEngines`.
        special: Handlers of single operations, by the value that they give, instead of the
            operator's.
        lazy: Values of expansions whose children are asked for as they are needed.
        by_row: Selections may decide row by row. They do not where numbers are drawn in the order
            of rows, or where a vote may end early, since what was asked for by then would depend
            on what came first (C66).

    `draws`: some expression draws random numbers, so copies need lanes of their own.
    """

    def __init__(
        self,
        plan: Plan,
        policies: Mapping[str, Policy],
        scorers: Mapping[str, ScorerEngine],
        strict: bool = False,
        logprobs: bool = True,
        special: Mapping[int, Handler] | None = None,
        lazy: frozenset[int] = frozenset(),
        by_row: bool = True,
    ) -> None:
        self.plan = plan
        expressions: list[Expr] = [
            expression
            for operation in operations(plan.body)
            for expression in fields_in(operation.spec)
        ]
        statistics = {
            part.how
            for expression in expressions
            for part in walk(expression)
            if isinstance(part, Statistic)
        }
        default = policies[DEFAULT_POLICY if DEFAULT_POLICY in policies else plan.policies[0]]
        wanted = tuple(sorted(statistics))
        self.engines = BoundEngines(policies, scorers, default, wanted, logprobs, strict)
        self.score_columns = frozenset(scorer.name for scorer in plan.scorers)
        self.draws = any(map(draws, expressions))
        self.by_row = by_row and not self.draws and not special
        self._special = special or {}
        self.lazy = lazy
        self.last_draws = last_draws(plan)
        self.body = self.block(plan.body)

    def block(self, region: Region) -> CompiledRegion:
        """A region, made ready to run."""
        over = last_reads(region, keeps_all=bool(self._special))
        return CompiledRegion(region, list(map(self._step, region.operations, over)))

    def _step(self, operation: Operation, over: tuple[int, ...]) -> Step:
        spec = operation.spec
        handler = self._special.get(operation.outputs[0]) if operation.outputs else None
        if handler is None:
            judged = isinstance(spec, Score) and self.plan.scorer(spec.scorer).judge is not None
            handler = HANDLERS[Judge if judged else type(spec)]
        return Step(operation, handler(Builder(self, operation), spec), over)


def last_reads(region: Region, *, keeps_all: bool = False) -> list[tuple[int, ...]]:
    """For each operation of a region, the region's own values that nothing reads after it.

    `keeps_all`: operations that end early may come back to pools (`early_exit`).
    """
    last: dict[int, int] = {}
    kept = set(region.results)
    for number, operation in enumerate(region.operations):
        inner = {value for block in operation.regions for value in _reads(block)}
        if isinstance(operation.spec, Call):  # it begins when its rows are known
            kept |= inner
        last.update(dict.fromkeys((*operation.inputs, *inner), number))
        last.update(dict.fromkeys(operation.outputs, number))
    own = {*region.parameters, *(value for each in region.operations for value in each.outputs)}
    found: list[list[int]] = [[] for _ in region.operations]
    for value in sorted(own - kept) if not keeps_all else ():
        if value in last:
            found[last[value]].append(value)
    return [tuple(values) for values in found]


def _reads(region: Region) -> Iterator[int]:
    """Values that a region and those inside it read."""
    yield from region.results
    for operation in region.operations:
        yield from operation.inputs
        for block in operation.regions:
            yield from _reads(block)
