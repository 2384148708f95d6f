"""Strategies at several values of their parameters, in one run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

from tts_lang.arguments import plan_from
from tts_lang.compiler import settings_of
from tts_lang.diagnostics import Diagnostic, DiagnosticError
from tts_lang.explain.costs import bounds
from tts_lang.explain.nesting import shifting
from tts_lang.plan.graph import Origin, Plan

#: Values of one sweep at most; more are a typo.
_MOST_VALUES = 10_000


class SweepError(Exception):
    """A `--sweep` that cannot be read; the message says what it should look like."""


@dataclass(frozen=True, slots=True)
class Shift:
    """An expansion whose children differ at each value (C14), so that values share no samples.

    Args:
        site: `file:line:column`.
        calls: Bound on its policy calls per problem, over all values; `None` without a bound.
        nested: The same for the largest value alone, which would do if the values shared samples.
    """

    site: str
    calls: int | None
    nested: int | None


def swept(
    strategies: Sequence[str], settings: Mapping[str, str], sweeps: Sequence[str]
) -> tuple[list[Plan], list[Shift]]:
    """Plans of all strategies at all values, and the expansions that do not nest (C14).

    Args:
        strategies: Shipped names or files. Each runs at every combination of values of those
            parameters that it has.
        settings: Values of other parameters.
        sweeps: `n=1,2,4`, `n=1..16` or `n=1,2,4,...,256`, one per parameter.

    Raises:
        SweepError: Not of this form, or a value given twice.
        DiagnosticError, PlanError: As `plan_from`; also for a parameter that no strategy has.
    """
    values: dict[str, list[str]] = {}
    for sweep in sweeps:
        name, listed = _read(sweep)
        if name in settings or name in values:
            raise SweepError(f"--sweep {sweep}: `{name}` has a value twice, or is in --set too")
        values[name] = listed
    parameters = {
        strategy: () if strategy.endswith(".json") else settings_of(strategy)
        for strategy in strategies
    }
    for name, listed in values.items():
        if not any(name in names for names in parameters.values()):
            plan_from(strategies, {**settings, name: listed[0]})  # says so
    plans: list[Plan] = []
    shifts: dict[str, Shift] = {}
    for strategy in strategies:
        own = [name for name in values if name in parameters[strategy]]
        rows: list[Plan] = []
        points: dict[tuple[object, ...], str] = {}
        for chosen in product(*(values[name] for name in own)):
            point = dict(zip(own, chosen, strict=True))
            used = {name: text for name, text in settings.items() if name in parameters[strategy]}
            words = ",".join(f"{name}={text}" for name, text in point.items())
            try:
                plan = plan_from([strategy], {**used, **point})[0]
            except DiagnosticError as error:
                raise DiagnosticError([_at(words, each) for each in error.diagnostics]) from None
            before = points.setdefault(tuple(plan.parameters.items()), words)
            if before != words:  # `4` and `4.0` are one number
                raise SweepError(f"--sweep: {before} and {words} are the same")
            rows.append(plan)
            plans.append(replace(plan, strategy=f"{plan.strategy}[{words}]") if words else plan)
        for origin in shifting(rows):
            shift = _shift(origin, rows)
            shifts[shift.site] = shift
    unused = [name for name in settings if not any(name in names for names in parameters.values())]
    if unused:
        plan_from(strategies, {name: settings[name] for name in unused})  # says so
    return plans, list(shifts.values())


def _at(values: str, diagnostic: Diagnostic) -> Diagnostic:
    """The same, with the value of the sweep it is about; the others may do."""
    if not values:
        return diagnostic
    return replace(diagnostic, notes=(*diagnostic.notes, f"of the sweep, with {values}"))


def _read(sweep: str) -> tuple[str, list[str]]:
    """The parameter of a `--sweep`, and its values."""
    name, _, listed = (part.strip() for part in sweep.partition("="))
    values = _parts(listed)
    if not name.isidentifier() or not all(values):
        raise SweepError(f"--sweep {sweep}: expected NAME=VALUE,VALUE,..., such as n=1,2,4")
    if len(values) == 1 and ".." in values[0]:
        low, high = _whole(sweep, values[0].split("..", 1))
        if high < low:
            raise SweepError(f"--sweep {sweep}: expected a range that rises, such as 1..16")
        values = _listed(sweep, range(low, high + 1))
    elif "..." in values:
        values = _continued(sweep, values)
    if len(set(values)) < len(values):
        raise SweepError(f"--sweep {sweep}: `{name}` has a value twice, or is in --set too")
    return name, values


def _parts(listed: str) -> list[str]:
    """Values between commas, but for those of arguments: `dvts(n=4, width=2),mcts` are two."""
    parts, depth, quoted, before = [""], 0, False, ""
    for letter in listed:
        if quoted:
            quoted = letter != '"' or before == "\\"
        elif letter == "(":
            depth += bool(depth or before.isalnum() or before == "_")
        elif depth:
            depth -= letter == ")"
            quoted = letter == '"'
        if letter == "," and not depth:
            parts.append("")
        else:
            parts[-1] += letter
        before = letter
    return [part.strip() for part in (listed.split(",") if depth else parts)]


def _whole(sweep: str, texts: Sequence[str]) -> list[int]:
    try:
        return [int(text) for text in texts]
    except ValueError:
        raise SweepError(f"--sweep {sweep}: a range is of whole numbers, such as 1..16") from None


def _listed(sweep: str, values: Sequence[int]) -> list[str]:
    if len(values) > _MOST_VALUES:
        raise SweepError(f"--sweep {sweep}: more than {_MOST_VALUES:,} values")
    return [str(value) for value in values]


def _continued(sweep: str, values: Sequence[str]) -> list[str]:
    """`1,2,4,...,256` and `10,20,...,100`: a constant ratio, or else equal steps."""
    at = values.index("...")
    if at < 2 or at != len(values) - 2:
        raise SweepError(
            f"--sweep {sweep}: expected two or more values before `...` and one after it"
        )
    *start, last = _whole(sweep, [*values[:at], values[-1]])
    first, second = start[:2]
    if first < second:
        ratio = second // first if first > 0 else 0
        grown = [first * ratio**power for power in range(64)] if ratio > 1 else []
        stepped = range(first, last + 1, second - first)
        for row in (grown, stepped):
            if last in row and list(row[:at]) == start:
                return _listed(sweep, row[: row.index(last) + 1])
    raise SweepError(f"--sweep {sweep}: {last} is not reached from {', '.join(map(str, start))}")


def _shift(origin: Origin, plans: Sequence[Plan]) -> Shift:
    """The calls of an expansion at all values together."""
    site = f"{origin.file}:{origin.line}:{origin.column}"
    calls_of: dict[tuple[int | None, ...], int | None] = {}
    for plan in plans:
        operations = bounds(plan).operations
        own = [each.spent.policy_calls for each in operations if origin in each.operation.origins]
        # Plans of equal counts draw the same.
        alike = tuple(each.spent.policy_calls for each in operations)
        calls_of[alike] = None if None in own else sum(filter(None, own))
    calls = list(calls_of.values())
    if None in calls:
        return Shift(site, None, None)
    numbers = [each for each in calls if each is not None]
    return Shift(site, sum(numbers), max(numbers))
