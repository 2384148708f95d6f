"""A plan against a budget: refused if a run might cost more (`--budget tokens=2e6`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil, floor, log10
from typing import Final

from tts_lang.explain.assumptions import Assumed
from tts_lang.explain.costs import PlanBounds, bounds
from tts_lang.explain.tree import Explained, Line, explain
from tts_lang.explain.units import exact
from tts_lang.plan.graph import Plan
from tts_lang.plan.verify import PlanError
from tts_lang.values import LARGEST

#: Kinds of budgets, and the bound that each limits.
KINDS: Final[Mapping[str, str]] = {
    "tokens": "sampled_tokens",
    "calls": "policy_calls",
    "flops": "flops",
    "prefilled_tokens": "prefilled_tokens",
    "scorer_tokens": "scorer_tokens",
    "scorer_calls": "scorer_calls",
    "rounds": "rounds",
    "operations": "operations",
    "rows": "",  # of any one pool
}

#: Limits of a run without a budget: more than this is a typo, and would take days before it fails.
CEILINGS: Final[Mapping[str, float]] = {"rows": 1e7, "calls": 1e7, "operations": 1e7}


class OverBudget(PlanError):
    """A plan that may cost more than its budget; the message names what costs most."""


def budget(text: str) -> tuple[str, float]:
    """The kind and the limit of `tokens=2e6`.

    Raises:
        ValueError: Not of this form; the message says what would be.
    """
    kind, _, number = text.partition("=")
    if kind not in KINDS:
        raise ValueError(f"`{text}`: expected one of {', '.join(KINDS)} and a number: tokens=2e6")
    try:
        limit = float(number.replace("_", ""))
    except ValueError:
        limit = float("nan")
    if limit < 0:
        raise ValueError(f"`{text}`: a budget must be 0 or more")
    if not limit < float("inf"):
        raise ValueError(f"`{text}`: expected a number, as in {kind}=2e6")
    return kind, limit


def check(plan: Plan, budgets: Sequence[tuple[str, float]], assumed: Assumed | None = None) -> None:
    """Holds the bounds of one problem against budgets.

    Args:
        plan: The plan as it will run.
        budgets: Kinds of `KINDS`, each with its limit.
        assumed: What the bounds assume.

    Raises:
        OverBudget: A bound is larger, or there is none.
    """
    assumptions = Assumed() if assumed is None else assumed
    if not budgets:
        return
    limits = bounds(plan, assumptions.context, assumptions.prompt, assumptions.models)
    for kind, limit in budgets:
        if kind == "flops" and not assumptions.models:
            raise OverBudget(
                "a budget of FLOPs needs the sizes of models: --assume params=7e9,prm_params=7e9"
            )
        if _most(limits, kind) > limit:
            raise OverBudget(_message(explain(plan, assumptions), kind, limit))


def check_sane(
    plan: Plan, budgets: Sequence[tuple[str, float]], assumed: Assumed | None = None
) -> None:
    """Refuses a plan whose bounds are beyond what any run could hold (`CEILINGS`), unless a budget
    says how much is meant.

    Raises:
        OverBudget: What is too large, and the option that allows it.
    """
    limited = {kind for kind, _ in budgets}
    assumptions = Assumed() if assumed is None else assumed
    plan_bounds = bounds(plan, assumptions.context, assumptions.prompt)
    most = {kind: _most(plan_bounds, kind) for kind in CEILINGS if kind not in limited}
    # Unbounded costs are not known to be large.
    over = {kind: value for kind, value in most.items() if CEILINGS[kind] < value < float("inf")}
    if over:
        kind = next(iter(over))
        limits = " ".join(f"--budget {kind}={_above(value):g}" for kind, value in over.items())
        message = _message(explain(plan, assumptions), kind, CEILINGS[kind], "what a run allows,")
        raise OverBudget(f"{message}; if that is meant, add {limits.replace('e+', 'e')}")


def _above(value: float) -> float:
    """A number of two digits, at least as large."""
    digit = 10.0 ** (floor(log10(value)) - 1)
    return ceil(value / digit) * digit


def _most(plan_bounds: PlanBounds, kind: str) -> float:
    """The bound of the whole plan; of rows, that of the largest pool."""
    if kind == "rows":
        values = [rows.high for rows in plan_bounds.rows.values()]
    else:
        values = [getattr(plan_bounds.total, KINDS[kind])]
    return max(map(_float, values), default=0.0)


def _of(line: Line, kind: str) -> float:
    """The bound of one line, without the lines inside it."""
    if kind == "rows":
        value = 0 if line.rows is None else line.rows.high
    else:
        value = 0 if line.spent is None else getattr(line.spent, KINDS[kind])
    return _float(value)


def _float(value: float | None) -> float:
    """A bound, infinite where there is none; a whole number may be larger than any float."""
    return float("inf") if value is None else float(min(value, LARGEST))


def _message(tree: Explained, kind: str, limit: float, what: str = "the budget of") -> str:
    worst = max(tree.all_lines(), key=lambda line: _of(line, kind))
    where = f"{worst.origin.file}:{worst.origin.line}: " if worst.origin is not None else ""
    total, most = (
        exact(None if value == float("inf") else value)
        for value in (_most(tree.bounds, kind), _of(worst, kind))
    )
    words = {"flops": "FLOPs", "rounds": "engine rounds"}.get(kind, kind.replace("_", " "))
    strategy = tree.plan.strategy
    if kind == "rows":
        return (
            f"{strategy} may hold {total} rows in one pool, more than {what} {exact(limit)}: "
            f"{where}{worst.text}"
        )
    return (
        f"{strategy} may take {total} {words} per problem, more than {what} {exact(limit)}; "
        f"most of them ({most}) here: {where}{worst.text}"
    )
