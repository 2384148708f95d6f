"""One strategy at several values of a parameter, in one run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from tts_lang.cli import plan_from
from tts_lang.explain.nesting import shifting
from tts_lang.plan.graph import Plan


class SweepError(Exception):
    """A `--sweep` that cannot be read; the message says what it should look like."""


def swept(
    strategies: Sequence[str], settings: Mapping[str, str], sweep: str
) -> tuple[list[Plan], list[str]]:
    """Plans of all strategies at all values, and where their generations do not nest (C14).

    Args:
        strategies: Shipped names or files; each must have the parameter.
        settings: Values of other parameters.
        sweep: `n=1,2,4`.

    Raises:
        SweepError: Not of this form, or a value given twice.
        DiagnosticError, PlanError: As `plan_from`.
    """
    name, _, listed = (part.strip() for part in sweep.partition("="))
    values = [value.strip() for value in listed.split(",")]
    if not name.isidentifier() or not all(values):
        raise SweepError(f"--sweep {sweep}: expected NAME=VALUE,VALUE,..., such as n=1,2,4")
    if len(set(values)) < len(values) or name in settings:
        raise SweepError(f"--sweep {sweep}: `{name}` has a value twice, or is in --set too")
    plans: list[Plan] = []
    shifts: dict[str, None] = {}
    for strategy in strategies:
        row = [plan_from([strategy], {**settings, name: value})[0] for value in values]
        for origin in shifting(row):
            shifts[f"{origin.file}:{origin.line}:{origin.column}"] = None
        plans.extend(
            replace(plan, strategy=f"{plan.strategy}[{name}={value}]")
            for plan, value in zip(row, values, strict=True)
        )
    return plans, list(shifts)
