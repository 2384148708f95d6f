"""A plan against a budget: refused if a run might cost more (`--budget tokens=2e6`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tts_lang.explain.bounds import DEFAULT_CONTEXT, Spent, bounds
from tts_lang.plan.graph import Plan
from tts_lang.plan.verify import PlanError

#: What a budget may limit, and the bound that it is held against.
KINDS: Final[Mapping[str, str]] = {
    "tokens": "sampled_tokens",
    "calls": "policy_calls",
    "scorer_tokens": "scorer_tokens",
    "scorer_calls": "scorer_calls",
}


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


def check(plan: Plan, kind: str, limit: float, context: int = DEFAULT_CONTEXT) -> None:
    """Holds the bound of one problem against the budget.

    Args:
        plan: The plan as it will run.
        kind: One of `KINDS`.
        limit: At most so many, per problem.
        context: Context window in tokens that the bound assumes.

    Raises:
        OverBudget: The bound is larger, or there is none.
    """
    from tts_lang.explain.render import number
    from tts_lang.explain.tree import Line, explain

    found = bounds(plan, context)

    def of(spent: Spent | None) -> float:
        value = 0 if spent is None else getattr(spent, KINDS[kind])
        return float("inf") if value is None else float(value)

    if of(found.total) <= limit:
        return
    lines: list[Line] = []
    waiting = list(explain(plan, found).lines)
    while waiting:
        line = waiting.pop(0)
        lines.append(line)
        waiting[:0] = line.inside
    worst = max(lines, key=lambda line: of(line.spent) if not line.inside else -1.0)
    where = f"{worst.origin.file}:{worst.origin.line}: " if worst.origin is not None else ""
    total, most = (getattr(each, KINDS[kind]) for each in (found.total, worst.spent))
    words = kind.replace("_", " ")
    raise OverBudget(
        f"{plan.strategy} may take {number(total)} {words} per problem, more than the budget of "
        f"{limit:,.0f}; most of them ({number(most)}) here: {where}{worst.text}"
    )
