"""What the optimiser did to a plan, and what that saves: bounds before and behind each pass."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tts_lang.explain.bounds import DEFAULT_CONTEXT, Spent, bounds
from tts_lang.optimise.engine import RuleTrace
from tts_lang.optimise.pipeline import Optimised
from tts_lang.plan.graph import Plan, operations

#: What is shown: what it is called, and its field in `Spent`.
FIGURES = (
    ("policy calls", "policy_calls"),
    ("sampled tokens", "sampled_tokens"),
    ("scorer calls", "scorer_calls"),
    ("scorer tokens", "scorer_tokens"),
    ("engine rounds", "rounds"),
)


@dataclass(frozen=True, slots=True)
class Figure:
    """One upper bound, before and after; by pass what it took off (`None`: not a number)."""

    name: str
    raw: int | None
    optimised: int | None
    saved: tuple[tuple[str, int | None], ...]


def figures(made: Optimised, context: int | None = None) -> tuple[Figure, ...]:
    """Upper bounds of what a run costs, and the number of operations."""
    window = DEFAULT_CONTEXT if context is None else context
    known = [_costs(made.raw, window)]
    names: list[str] = []
    for stage in made.stages:
        if stage.trace.fired:
            names.append(stage.trace.passed.name)
            known.append(_costs(stage.plan, window))
    found = []
    for name, _ in (("operations", ""), *FIGURES):
        values = [each[name] for each in known]
        steps = zip(names, values, values[1:], strict=False)
        saved = tuple((by, _less(before, after)) for by, before, after in steps if before != after)
        found.append(Figure(name, values[0], values[-1], saved))
    return tuple(found)


def _costs(plan: Plan, context: int) -> dict[str, int | None]:
    total: Spent = bounds(plan, context).total
    costs: dict[str, int | None] = {name: getattr(total, field) for name, field in FIGURES}
    return {"operations": sum(1 for _ in operations(plan.body)), **costs}


def _less(before: int | None, after: int | None) -> int | None:
    return None if before is None or after is None else before - after


def to_text(made: Optimised, context: int | None = None, *, trace: bool = False) -> str:
    """The figures as a table, and the rules that fired; with `trace`, also why others did not."""
    lines = list(_table(made, context))
    for stage in made.stages:
        fired = [rule for rule in stage.trace.rules if rule.fired]
        for rule in stage.trace.rules if trace else fired:
            lines.append(_line(stage.trace.passed.name, rule))
    return "\n".join(lines) + "\n"


def _table(made: Optimised, context: int | None) -> Iterator[str]:
    if made.plan is made.raw:
        yield "optimiser: nothing to rewrite"
        return
    yield f"{'optimiser: at most, per problem':<32}{'raw':>12}{'optimised':>12}  saved by"
    for figure in figures(made, context):
        by = ", ".join(f"{name} {_number(saved)}" for name, saved in figure.saved)
        row = f"  {figure.name:<30}{_number(figure.raw):>12}{_number(figure.optimised):>12}"
        yield f"{row}  {by}".rstrip()


def _line(name: str, rule: RuleTrace) -> str:
    if not rule.fired:
        return f"  {name}: {rule.rule.name} did not fire: {rule.why_not}"
    times = "once" if rule.fired == 1 else f"{rule.fired} times"
    return f"  {name}: {rule.rule.name} {times}: {rule.rule.law}"


def _number(value: int | None) -> str:
    return "unbounded" if value is None else f"{value:,}"


def to_values(made: Optimised, context: int | None = None) -> dict[str, object]:
    """The same for programs: plain JSON values."""
    return {
        "figures": [
            {
                "name": figure.name,
                "raw": figure.raw,
                "optimised": figure.optimised,
                "saved": dict(figure.saved),
            }
            for figure in figures(made, context)
        ],
        "passes": [
            {
                "pass": stage.trace.passed.name,
                "rules": [
                    {
                        "rule": rule.rule.name,
                        "law": rule.rule.law,
                        "fired": rule.fired,
                        "declined": dict(rule.declined),
                    }
                    for rule in stage.trace.rules
                ],
            }
            for stage in made.stages
        ],
    }
