"""A plan made ready to run: one piece of work per operation, compiled once for all problems."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from math import inf
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from tts_lang.explain.budget import CEILINGS
from tts_lang.plan.expr import Const, Expr, Statistic, fields_in, walk
from tts_lang.plan.graph import Exit, Operation, Plan, Region, Scorer, operations
from tts_runtime.executor.early_exit import EVERYTHING, EarlyExits
from tts_runtime.executor.expressions import Compiler, draws
from tts_runtime.executor.policies import Policy
from tts_runtime.executor.sites import Site

if TYPE_CHECKING:
    from tts_runtime.engines.base import ScorerEngine
    from tts_runtime.executor.ahead import NextExpansion
    from tts_runtime.executor.model import Row
    from tts_runtime.executor.pools import Pool
    from tts_runtime.executor.scope import Scope
    from tts_runtime.executor.speculation import Guess
    from tts_runtime.executor.views import View

#: What a strategy's policy is called where it names none.
DEFAULT_POLICY: Final = "policy"


class Returned:
    """A region ended by RETURN: what the strategy (or call) gives."""

    __slots__ = ("pool",)

    def __init__(self, pool: Pool) -> None:
        self.pool = pool


#: Operations after which others get their turn: what samples nothing would never wait for anything.
_TURN: Final = 64

#: Runs one operation: the values of its outputs, or what the strategy returns.
Work: TypeAlias = Callable[
    ["Scope", "Sequence[Any]"], "Coroutine[Any, Any, Sequence[Any] | Returned]"
]
#: Makes the work of one kind of operation.
Handler: TypeAlias = Callable[["Builder", Any], Work]


class Step:
    """One operation of a region, ready to run."""

    __slots__ = ("guess", "inputs", "outputs", "work")

    def __init__(self, operation: Operation, work: Work, guess: Guess | None) -> None:
        self.inputs = operation.inputs
        self.outputs = operation.outputs
        self.work = work
        #: What the pool that it makes will probably be asked for.
        self.guess = guess


class Block:
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
                await scope.run.breathe()
            made = await step.work(scope, [values[number] for number in step.inputs])
            if isinstance(made, Returned):
                return made
            for number, value in zip(step.outputs, made, strict=True):
                values[number] = value
            if step.guess is not None:
                made[0].guess = step.guess
        if self.returns:
            return Returned(values[self.results[0]])
        return None


class Builder:
    """What a handler knows of the operation that it prepares."""

    def __init__(self, program: Program, operation: Operation) -> None:
        self.program = program
        self.operation = operation
        self.site = Site(operation)
        self.policies = program.policies
        self.compiler = Compiler(self.site, program.policies, program.score_columns)

    def block(self, index: int) -> Block:
        """A region of the operation."""
        return self.program.block(self.operation.regions[index])

    def count(self, expression: Expr) -> Callable[[Row, View], int]:
        """How many an operation makes of each row; fractions are floored, missing makes none (C39).

        A literal is held against the limits of a run before it starts (`explain.budget`), a count
        that is computed when it is known.
        """
        compute, site = self.compiler.compile(expression), self.site
        most = inf if isinstance(expression, Const) else CEILINGS["rows"]

        def count(row: Row, view: View) -> int:
            many = max(0, view.whole(compute(row, view)))
            if many > most:
                raise site.error(
                    f"the count is {float(many):g}",
                    f"a count that is computed may be at most {most:,.0f}: limit it by `min(E, N)`",
                )
            return many

        return count

    def scorer(self, name: str) -> tuple[Scorer, ScorerEngine | None]:
        """A scorer's declaration and engine; a judge has none."""
        return self.program.plan.scorer(name), self.program.scorers.get(name)


class Program:
    """A plan with its engines.

    `default`: the policy that opens the problem's conversation and rolls out look-ahead.
    `statistics`: token statistics that any expression reads, asked of every generation.
    `draws`: some expression draws random numbers, so copies need lanes of their own.
    `needless`: where a run may stop generating (C45, C58).
    `following`: what pools are asked for once they are complete, where that may be guessed.
    """

    def __init__(
        self,
        plan: Plan,
        policies: Mapping[str, Policy],
        scorers: Mapping[str, ScorerEngine],
        needless: EarlyExits = EVERYTHING,
        following: Mapping[int, NextExpansion] | None = None,
    ) -> None:
        from tts_runtime.executor.handlers import HANDLERS

        self.plan = plan
        self.needless = needless
        self._next = following or {}
        self.policies = policies
        self.default = policies[DEFAULT_POLICY if DEFAULT_POLICY in policies else plan.policies[0]]
        self.scorers = scorers
        self.score_columns = frozenset(scorer.name for scorer in plan.scorers)
        found: list[Expr] = [
            expression
            for operation in operations(plan.body)
            for expression in fields_in(operation.spec)
        ]
        self.statistics = tuple(
            sorted(
                {
                    part.how
                    for expression in found
                    for part in walk(expression)
                    if isinstance(part, Statistic)
                }
            )
        )
        self.draws = any(map(draws, found))
        self._handlers: Mapping[type, Handler] = HANDLERS
        self.body = self.block(plan.body)

    def block(self, region: Region) -> Block:
        """A region, made ready to run."""
        return Block(region, [self._step(operation) for operation in region.operations])

    def _step(self, operation: Operation) -> Step:
        handler = self._handlers[type(operation.spec)]
        following = self._next.get(operation.outputs[0]) if operation.outputs else None
        guess = None
        if following is not None:
            from tts_runtime.executor.speculation import Guess

            guess = Guess(self, following)
        return Step(operation, handler(self.builder(operation), operation.spec), guess)

    def builder(self, operation: Operation) -> Builder:
        """What is known of an operation."""
        return Builder(self, operation)
