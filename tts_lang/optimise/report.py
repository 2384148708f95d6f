"""The optimiser's report: rules that fired, and bounds before and after each pass."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass

from tts_lang.explain.assumptions import Assumed
from tts_lang.explain.costs import CostBounds, bounds
from tts_lang.explain.render import FIGURES
from tts_lang.explain.units import exact, short
from tts_lang.optimise.engine import RuleTrace
from tts_lang.optimise.pipeline import Optimised
from tts_lang.plan.graph import Plan, operations


@dataclass(frozen=True, slots=True)
class BoundChange:
    """One upper bound, before and after; savings by pass (`None`: not a number)."""

    name: str
    raw: int | None
    optimised: int | None
    saved: tuple[tuple[str, int | None], ...]


def figures(optimised: Optimised, assumed: Assumed | None = None) -> tuple[BoundChange, ...]:
    """Upper bounds of a run's cost, and the number of operations."""
    assumptions = Assumed() if assumed is None else assumed
    costs = [_costs(optimised.raw, assumptions)]
    names: list[str] = []
    for stage in optimised.stages:
        if stage.trace.fired:
            names.append(stage.trace.passed.name)
            costs.append(_costs(stage.plan, assumptions))
    changes = []
    for name in costs[0]:
        values = [each[name] for each in costs]
        steps = zip(names, values, values[1:], strict=False)
        saved = tuple((by, _less(before, after)) for by, before, after in steps if before != after)
        changes.append(BoundChange(name, values[0], values[-1], saved))
    return tuple(changes)


def _costs(plan: Plan, assumed: Assumed) -> dict[str, int | None]:
    total: CostBounds = bounds(plan, assumed.context, assumed.prompt, assumed.models).total
    costs: dict[str, int | None] = {
        figure.name.strip(): getattr(total, figure.field) for figure in FIGURES
    }
    return {"plan size": sum(1 for _ in operations(plan.body)), **costs}


def _relevant_figures(optimised: Optimised, assumed: Assumed | None) -> list[BoundChange]:
    """Figures that are not 0; "of whole paths" only if it differs from scorer tokens."""
    by_name = {figure.name: figure for figure in figures(optimised, assumed)}
    read, whole = by_name["scorer tokens"], by_name["of whole paths"]
    if (read.raw, read.optimised) == (whole.raw, whole.optimised):
        del by_name["of whole paths"]
    return [figure for figure in by_name.values() if (figure.raw, figure.optimised) != (0, 0)]


def _less(before: int | None, after: int | None) -> int | None:
    return None if before is None or after is None else before - after


@dataclass(frozen=True, slots=True)
class Table:
    """A table of savings: heading, rows, and notes about rules below."""

    heading: tuple[str, str, str, str]
    rows: tuple[tuple[str, str, str, str], ...]
    notes: tuple[str, ...]


def to_table(optimised: Optimised, assumed: Assumed | None = None, *, trace: bool = False) -> Table:
    """The figures with the savings of each pass, and the rules that fired; with `trace`, also why
    others did not."""
    changed = optimised.plan is not optimised.raw
    changed = optimised.plan is not optimised.raw
    rows = tuple(
        (
            figure.name,
            show(figure.raw),
            show(figure.optimised),
            ", ".join(f"{name} {show(saved)}" for name, saved in figure.saved),
        )
        for figure in (_relevant_figures(optimised, assumed) if changed else ())
        for show in (short if figure.name == "FLOPs" else exact,)
    )
    notes = tuple(
        _line(stage.trace.passed.name, rule)
        for stage in optimised.stages
        for rule in stage.trace.rules
        if trace or rule.fired
    )
    title = "optimiser: at most, per problem" if rows else "optimiser: nothing to rewrite"
    return Table((title, "raw", "optimised", "saved by"), rows, notes)


def to_text(
    optimised: Optimised, assumed: Assumed | None = None, *, trace: bool = False, width: int = 100
) -> str:
    """The table and its notes, no wider than `width` if the numbers allow."""
    table = to_table(optimised, assumed, trace=trace)
    if table.rows:
        cells = (table.heading, *table.rows)
        names, raw, last = (max(len(row[i]) for row in cells) for i in range(3))
        lines = []
        for row in cells:
            name = f"{'' if row is table.heading else '  '}{row[0]:<{names + 2}}"[: names + 2]
            line = f"{name}  {row[1]:>{raw}}  {row[2]:>{last}}  {row[3]}".rstrip()
            if len(line) <= width:
                lines.append(line)
                continue
            lines.append(line.removesuffix(row[3]).rstrip())
            if row is not table.heading:
                lines += textwrap.wrap(f"saved by {row[3]}", width, initial_indent=" " * 4)
    else:
        lines = [table.heading[0]]
    for note in table.notes:
        lines += textwrap.wrap(note, width, initial_indent="  ", subsequent_indent="    ")
    return "\n".join(lines) + "\n"


def _line(name: str, rule: RuleTrace) -> str:
    if not rule.fired:
        return f"{name}: {rule.rule.name} did not fire: {rule.why_not}"
    times = "once" if rule.fired == 1 else f"{rule.fired} times"
    return f"{name}: {rule.rule.name} {times}: {rule.rule.law}"


def to_values(optimised: Optimised, assumed: Assumed | None = None) -> dict[str, object]:
    """The same for programs: plain JSON values."""
    return {
        "figures": [
            {
                "name": figure.name,
                "raw": figure.raw,
                "optimised": figure.optimised,
                "saved": dict(figure.saved),
            }
            for figure in figures(optimised, assumed)
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
            for stage in optimised.stages
        ],
    }
