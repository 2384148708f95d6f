"""A plan against a budget: refused if a run might cost more (`--budget tokens=2e6`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from tts_lang.explain.assume import Assumed
from tts_lang.explain.tree import Explained, Line, explain
from tts_lang.explain.units import exact
from tts_lang.plan.graph import Plan
from tts_lang.plan.verify import PlanError

#: What a budget may limit, and the bound that it is held against.
KINDS: Final[Mapping[str, str]] = {
    "tokens": "sampled_tokens",
    "calls": "policy_calls",
    "flops": "flops",
    "prefilled_tokens": "prefilled_tokens",
    "scorer_tokens": "scorer_tokens",
    "scorer_calls": "scorer_calls",
    "rounds": "rounds",
    "rows": "",  # of any one pool
}

#: Limits of a run that no budget says otherwise of: more than this is a slip of the pen, and would
#: take days before it fails.
CEILINGS: Final[Mapping[str, float]] = {"rows": 1e7, "calls": 1e7}


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
        limit = -1.0
    if not 0 <= limit < float("inf"):
        raise ValueError(f"`{text}`: expected a number, as in {kind}=2e6")
    return kind, limit


def check(plan: Plan, budgets: Sequence[tuple[str, float]], assumed: Assumed | None = None) -> None:
    """Holds the bounds of one problem against budgets.

    Args:
        plan: The plan as it will run.
        budgets: Kinds of `KINDS`, and at most so many of them.
        assumed: What the bounds take for granted.

    Raises:
        OverBudget: A bound is larger, or there is none.
    """
    if not budgets:
        return
    tree = explain(plan, assumed)
    for kind, limit in budgets:
        if kind == "flops" and not tree.assumed.models:
            raise OverBudget(
                "a budget of FLOPs needs the sizes of models: --assume params=7e9,prm_params=7e9"
            )
        if _most(tree, kind) > limit:
            raise OverBudget(_message(tree, kind, limit))


def check_sane(
    plan: Plan, budgets: Sequence[tuple[str, float]], assumed: Assumed | None = None
) -> None:
    """Refuses a plan whose bounds are beyond what any run could hold (`CEILINGS`), unless a budget
    says how much is meant.

    Raises:
        OverBudget: What is too large, and the option that allows it.
    """
    given = {kind for kind, _ in budgets}
    tree = explain(plan, assumed)
    for kind, limit in CEILINGS.items():
        most = _most(tree, kind)
        # What nothing bounds is not known to be large.
        if kind not in given and limit < most < float("inf"):
            raise OverBudget(
                f"{_message(tree, kind, limit, 'what a run allows,')}; if it is meant, "
                f"--budget {kind}={most:.2g} allows it".replace("e+", "e")
            )


def _most(tree: Explained, kind: str) -> float:
    if kind == "rows":
        return max((_of(line, kind) for line in tree.all_lines()), default=0.0)
    value = getattr(tree.bounds.total, KINDS[kind])
    return float("inf") if value is None else float(value)


def _of(line: Line, kind: str) -> float:
    """What one line may take; regions are told by their lines."""
    if kind == "rows":
        value = 0 if line.rows is None else line.rows.high
    else:
        value = 0 if line.spent is None or line.inside else getattr(line.spent, KINDS[kind])
    return float("inf") if value is None else float(value)


def _message(tree: Explained, kind: str, limit: float, what: str = "the budget of") -> str:
    worst = max(tree.all_lines(), key=lambda line: _of(line, kind))
    where = f"{worst.origin.file}:{worst.origin.line}: " if worst.origin is not None else ""
    total, most = (
        exact(None if value == float("inf") else value)
        for value in (_most(tree, kind), _of(worst, kind))
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
