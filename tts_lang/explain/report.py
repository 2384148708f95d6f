"""Expected costs beside the bounds, and what a run really did beside both (EXPLAIN ANALYZE)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tts_lang.explain.bounds import Bounds, OperationBounds, Rows, Spent, bounds
from tts_lang.explain.expected import Expected, expected
from tts_lang.explain.lengths import Lengths
from tts_lang.explain.render import table
from tts_lang.explain.tree import explain
from tts_lang.plan.graph import Operation, Plan, operations


def expectation(plan: Plan, lengths: Lengths, width: int) -> str:
    """A table of expected rows and costs, ending with a line end."""
    costs = expected(plan, lengths)
    listed = tuple(
        OperationBounds(operation, _rows(operation, cost), _spent(cost))
        for operation, cost in zip(operations(plan.body), costs, strict=True)
    )
    total = _spent(total_of(costs))
    tree = explain(plan, Bounds({}, listed, Rows(0, None), total, None))
    title = f"expected ({lengths.step:.0f} tokens a step, {lengths.steps:.1f} steps)"
    lines = [
        *table(tree.lines, title, width),
        "",
        "total, expected, per problem",
        f"  policy calls   {total.policy_calls:>15,}",
        f"  sampled tokens {total.sampled_tokens:>15,}",
        f"  scorer tokens  {total.scorer_tokens:>15,}",
        "assumed: all steps and solutions equally long; what depends on scores or texts holds",
        "  half of the time",
    ]
    return "\n".join(lines) + "\n"


def total_of(costs: Sequence[Expected]) -> Expected:
    """The sum of all operations."""
    return Expected(
        calls=sum(cost.calls for cost in costs),
        tokens=sum(cost.tokens for cost in costs),
        scorer_tokens=sum(cost.scorer_tokens for cost in costs),
    )


def expected_values(plan: Plan, lengths: Lengths) -> dict[str, object]:
    """The same for programs."""
    costs = expected(plan, lengths)
    total = total_of(costs)
    return {
        "step": lengths.step,
        "steps": lengths.steps,
        "policy_calls": total.calls,
        "sampled_tokens": total.tokens,
        "scorer_tokens": total.scorer_tokens,
        "operations": [
            {
                "op": operation.spec.op,
                "rows": cost.rows / cost.times if cost.times else 0.0,
                "policy_calls": cost.calls,
                "sampled_tokens": cost.tokens,
                "scorer_tokens": cost.scorer_tokens,
            }
            for operation, cost in zip(operations(plan.body), costs, strict=True)
        ],
    }


@dataclass(slots=True)
class Actual:
    """What all operations of one line of a strategy file made and drew, over all problems."""

    rows: int = 0
    tokens: int = 0


@dataclass(slots=True)
class _Planned:
    """What is expected of a line, and the most that it may draw."""

    calls: float = 0.0
    tokens: float = 0.0
    most: int | None = 0


def analysis(
    plan: Plan,
    lengths: Lengths,
    context: int,
    actual: Mapping[tuple[str, str], Actual],
    problems: int,
) -> str:
    """Generating operations with actual, expected and largest possible rows and tokens a problem.

    Args:
        plan: The plan that ran.
        lengths: Of steps and solutions, as the run had them.
        context: Context window that bounds assume.
        actual: By operator and `file:line`.
        problems: How many problems finished.
    """
    most = bounds(plan, context)
    costs = expected(plan, lengths)
    merged: dict[tuple[str, str], _Planned] = {}
    for bound, cost in zip(most.operations, costs, strict=True):
        operation = bound.operation
        if operation.spec.op not in ("expand", "ask") or not operation.origins:
            continue
        origin = operation.origins[0]
        row = merged.setdefault((operation.spec.op, f"{origin.file}:{origin.line}"), _Planned())
        row.calls += cost.calls
        row.tokens += cost.tokens
        limit = bound.spent.sampled_tokens
        row.most = None if limit is None or row.most is None else row.most + limit
    lines = [
        f"{plan.strategy}: actual beside expected, per problem "
        f"(measured: {lengths.step:.0f} tokens a step, {lengths.steps:.1f} steps)",
        f"{'':<34}{'candidates':>21}{'tokens':>30}",
        f"{'':<34}{'actual':>10}{'expected':>11}{'actual':>10}{'expected':>10}{'at most':>10}",
    ]
    for (op, place), row in merged.items():
        found = actual.get((op, place), Actual())
        made, drawn = found.rows / max(1, problems), found.tokens / max(1, problems)
        shown = "unbounded" if row.most is None else f"{row.most:,}"
        lines.append(
            f"{op + ' ' + place:<34}{made:>10,.1f}{row.calls:>11,.1f}"
            f"{drawn:>10,.0f}{row.tokens:>10,.0f}{shown:>10}"
        )
    return "\n".join(lines) + "\n"


def _rows(operation: Operation, cost: Expected) -> Rows | None:
    if not operation.outputs or not cost.times:
        return None
    rows = round(cost.rows / cost.times)
    return Rows(rows, rows)


def _spent(cost: Expected) -> Spent:
    return Spent(round(cost.calls), 0, round(cost.tokens), 0, round(cost.scorer_tokens), 0)
