"""Costs of a plan: bounds that every run keeps (semantics.md C59), and expected costs.

A bound that does not exist is `None`. Policy tokens are bounded by the call's limits, or by the
context window where nothing else does; `open_calls` says how many calls that concerns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from math import ceil
from typing import Final

from tts_lang.explain.assumptions import DEFAULT_CONTEXT, Lengths
from tts_lang.explain.bound_domain import BoundDomain
from tts_lang.explain.critical import critical_path
from tts_lang.explain.domain import AbstractPool, Cost
from tts_lang.explain.interval import INFINITY
from tts_lang.explain.mean_domain import MeanDomain
from tts_lang.explain.models import UNKNOWN, Models
from tts_lang.explain.walk import Sides, Walk
from tts_lang.plan.graph import Operation, Plan, operations

#: The fields of `Cost` that are expected.
COSTS: Final = tuple(
    name for name in Cost._fields if name not in ("open_calls", "rows", "new_rows")
)


@dataclass(frozen=True, slots=True)
class RowRange:
    """Rows of a pool: at least `low`, at most `high` (`None`: no bound)."""

    low: int
    high: int | None


@dataclass(frozen=True, slots=True)
class CostBounds:
    """Upper bounds of a cost; `None` where there is none. Units as in `domain.Cost`.

    Args:
        policy_calls: Generations requested from policies, look-ahead and judges included.
        open_calls: Those of them that only the context window ends.
        sampled_tokens: Tokens sampled in them.
        prefilled_tokens: Tokens that policies read without having sampled them, each once: prompts,
            forced text, what other policies sampled.
        cached_tokens: Tokens before the calls that the policy has read or sampled already, so that
            a prefix cache has them.
        scorer_calls: Rows given to scorers that are no judges; fields of the problem included.
        scorer_tokens: Tokens of solution text they read: each token of a scored path once per
            process scorer, the whole path every time for other scorers; problem text not counted.
        whole_scorer_tokens: The same without incremental scoring: the whole path every time.
        rounds: Engine calls that wait for one another: of a plan, those on its critical path; of
            an operation, those of all its executions, one after another.
        flops: Of the tokens that policies sample and read and scorers read (`models`); 0 where no
            size of a model is known.
        operations: Statements that the executor carries out, once for each row where a strategy is
            called on rows, and rounds of loops.
    """

    policy_calls: int | None
    open_calls: int | None
    sampled_tokens: int | None
    prefilled_tokens: int | None
    cached_tokens: int | None
    scorer_calls: int | None
    scorer_tokens: int | None
    whole_scorer_tokens: int | None
    rounds: int | None
    flops: int | None
    operations: int | None


@dataclass(frozen=True, slots=True)
class OperationBounds:
    """One operation: rows of its first output in any execution, and what all executions spend."""

    operation: Operation
    rows: RowRange | None
    spent: CostBounds


@dataclass(frozen=True, slots=True)
class PlanBounds:
    """Bounds of a plan, per problem.

    Args:
        rows: Of every pool by its value number; a value never reached is absent.
        operations: In the order of `graph.operations(plan.body)`.
        result: Rows of the returned pool.
        total: Sums and maxima along the worst path.
        context: The assumed context window in tokens; `None` if none was assumed.
        sides: Of each branch, by its place in `graph.operations(plan.body)`, which sides are
            possible (1) or not (0).
    """

    rows: Mapping[int, RowRange]
    operations: tuple[OperationBounds, ...]
    result: RowRange
    total: CostBounds
    context: int | None
    sides: Mapping[int, Sides]

    @property
    def policy_calls(self) -> int | None:
        """Generations in a run, at most."""
        return self.total.policy_calls

    @property
    def sampled_tokens(self) -> int | None:
        """Tokens sampled in a run, at most."""
        return self.total.sampled_tokens

    @property
    def scorer_calls(self) -> int | None:
        """Rows read by scorers in a run, at most."""
        return self.total.scorer_calls

    @property
    def scorer_tokens(self) -> int | None:
        """Tokens read by scorers in a run, at most."""
        return self.total.scorer_tokens

    @property
    def rounds(self) -> int | None:
        """Engine calls in a row, at most."""
        return self.total.rounds


def bounds(
    plan: Plan,
    context: int | None = DEFAULT_CONTEXT,
    prompt: int | None = None,
    models: Models = UNKNOWN,
) -> PlanBounds:
    """Bounds that hold in every run of a verified plan, whatever models and problem are bound.

    Args:
        plan: A plan that `verify` accepts.
        context: Context window of policies and scorers, in tokens; with `None`, what only the
            window bounds is unbounded.
        prompt: Tokens of the problem's prompt at most; `None`: as many as the window holds.
        models: Sizes of models, for FLOPs.
    """
    window = INFINITY if context is None else context
    domain = BoundDomain(plan, window, INFINITY if prompt is None else prompt, models)
    walk = Walk(plan, domain)
    total, result = walk.run()
    rows = {value: _rows(pool) for value, pool in walk.rows.items()}
    listed = tuple(
        OperationBounds(
            operation,
            rows.get(operation.outputs[0]) if operation.outputs else None,
            _spent(domain.read_prompts(walk.costs[index], walk.prompts.get(index, {}))),
        )
        for index, operation in enumerate(operations(plan.body))
    )
    path = critical_path(walk)
    if path is not None:
        total = total._replace(rounds=min(total.rounds, path))
    spent = _spent(domain.read_prompts(total, walk.all_prompts()))
    return PlanBounds(rows, listed, _rows(result), spent, context, walk.sides)


def _whole(value: float) -> int | None:
    return None if value == INFINITY else ceil(value)


def _rows(pool: AbstractPool) -> RowRange:
    return RowRange(int(pool.least) if pool.least < INFINITY else 0, _whole(pool.rows))


def _spent(cost: Cost) -> CostBounds:
    return CostBounds(
        **{field.name: _whole(getattr(cost, field.name)) for field in fields(CostBounds)}
    )


# ------------------------------------------------------------------------------ expectations


def expected(
    plan: Plan, lengths: Lengths, models: Models = UNKNOWN, most: PlanBounds | None = None
) -> list[Cost]:
    """Means per problem, in the order of `graph.operations(plan.body)`.

    Args:
        plan: A verified plan.
        lengths: Of steps, solutions and problems.
        models: Sizes of models, for FLOPs.
        most: Bounds of the plan, if they are known already.
    """
    # Intervals know some conditions (`share(P) > 1`) that mean numbers do not.
    limits = bounds(plan, None, None, models) if most is None else most
    domain = MeanDomain(plan, lengths, models)
    walk = Walk(plan, domain, limits.sides)
    walk.run()
    costs = []
    for index, (cost, bound) in enumerate(zip(walk.costs, limits.operations, strict=True)):
        whole = domain.read_prompts(cost, walk.prompts.get(index, {}))
        costs.append(at_most(whole, bound.spent))
    return costs


def total_of(costs: Sequence[Cost]) -> Cost:
    """The sum of all operations."""
    return Cost(*map(sum, zip(*costs, strict=True))) if costs else Cost()


def at_most(cost: Cost, most: CostBounds) -> Cost:
    """A cost within bounds: of rounds side by side, or of solutions longer than the context."""
    limits = {name: getattr(most, name) for name in COSTS}
    return cost._replace(
        **{
            name: min(getattr(cost, name), float(limit))
            for name, limit in limits.items()
            if limit is not None
        }
    )
