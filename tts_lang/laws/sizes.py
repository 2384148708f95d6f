"""The numbers that say how large a strategy is: counts, rounds, limits in tokens and steps.

Laws are tried on small texts and few candidates. What is too large for that is scaled down, in both
strategies together, and the clauses whose limits no trial reached are named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import reduce
from math import ceil, gcd
from typing import Any, Final

from tts_lang.explain.costs import bounds
from tts_lang.plan import graph
from tts_lang.plan.clauses import clauses
from tts_lang.plan.expr import Const
from tts_lang.plan.graph import Operation, Plan, Region, Unit
from tts_lang.values import is_number

#: Engine calls, rows of a pool and rounds of a plan that can be run some hundred times.
_CALLS, _ROWS, _ROUNDS = 3_000, 1_000, 2_000
#: Sampled tokens of one patient run at most, and its longest text.
_TOKENS, LONGEST = 40_000, 6_000
#: The largest number that scaling leaves as it is, and about what the largest one becomes.
_SMALL, _LARGE = 4, 24
#: Tokens of a step, about, in a simulated text.
_STEP: Final = 6


@dataclass(frozen=True, slots=True)
class Size:
    """A number of a clause.

    Args:
        kind: What it counts: "rows", "rounds", "tokens" or "steps".
        value: The number.
        text: The clause, as in "max 2048 tokens".
    """

    kind: str
    value: float
    text: str


def _clause(part: Any, name: str) -> tuple[str, str] | None:
    """The kind of size that a clause's number is, and the clause's text; `None` if it is none."""
    clause = clauses(type(part)).get(name)
    if clause is None or not clause.counts:
        return None
    if clause.counts != "unit":
        return clause.counts, clause.text
    if part.unit is Unit.SOLUTIONS:
        return None
    counts = "tokens" if part.unit is Unit.TOKENS else "steps"
    return counts, clause.text.replace("{unit}", part.unit.value)


def _changed(part: Any, change: Callable[[Size], float]) -> Any:
    """A spec, or a part of one, with its sizes changed."""
    if isinstance(part, tuple):
        return tuple(_changed(each, change) for each in part)
    if not is_dataclass(part) or isinstance(part, type):
        return part
    changed: dict[str, Any] = {}
    for field in fields(part):
        value = getattr(part, field.name)
        clause = _clause(part, field.name)
        number: Any = value.value if isinstance(value, Const) else value
        if clause is not None and is_number(number):
            kind, text = clause
            new = change(Size(kind, number, text.format(f"{number:,}" if number < 1e15 else "...")))
            if new != number:
                changed[field.name] = Const(new) if isinstance(value, Const) else new
        elif not isinstance(value, str | int | float | bool | None):
            inner = _changed(value, change)
            if inner != value:
                changed[field.name] = inner
    return replace(part, **changed) if changed else part


def resized(plan: Plan, change: Callable[[Operation, Size], float]) -> Plan:
    """The plan with other sizes."""

    def region(old: Region) -> Region:
        return replace(old, operations=tuple(map(operation, old.operations)))

    def operation(old: Operation) -> Operation:
        spec = _changed(old.spec, lambda size: change(old, size))
        return replace(old, spec=spec, regions=tuple(map(region, old.regions)))

    return replace(plan, body=region(plan.body))


def sizes(plan: Plan) -> list[tuple[Operation, Size]]:
    """Every size, in program order, and the operation that has it."""
    pairs: list[tuple[Operation, Size]] = []

    def note(operation: Operation, size: Size) -> float:
        pairs.append((operation, size))
        return size.value

    resized(plan, note)
    return pairs


def _rounds(region: Region) -> float:
    """Operations that may run in a region."""
    total = 0.0
    for operation in region.operations:
        times = operation.spec.trips if isinstance(operation.spec, graph.Repeat) else 1
        total += 1 + times * sum(map(_rounds, operation.regions))
    return total


def runnable(plan: Plan, scale: int = 1) -> bool:
    """Whether a run takes little enough to be repeated some hundred times.

    `scale`: of calls and rounds, of which plans seldom need as many as they may; all rows are made.
    """
    limits = bounds(plan, 400, 64)
    calls, rows = limits.total.policy_calls, [each.high for each in limits.rows.values()]
    return (
        (calls is None or calls <= _CALLS * scale)
        and all(high is None or high <= _ROWS for high in rows)
        and _rounds(plan.body) <= _ROUNDS * scale
    )


def longest_text(left: Plan, right: Plan) -> float:
    """Tokens of a text that is long enough to reach every limit of the two."""
    tokens = {"tokens": 1, "rounds": _STEP, "steps": _STEP}
    both = [size for plan in (left, right) for _, size in sizes(plan)]
    return max((tokens.get(size.kind, 0) * size.value for size in both), default=0.0)


def reach(left: Plan, right: Plan) -> int | None:
    """Tokens of the texts of patient runs, which reach every limit of the two.

    Nothing where ordinary texts do, or where such a run would take too long.
    """
    longest = longest_text(left, right)
    if not 30 < longest <= LONGEST:
        return None
    tokens = ceil(1.25 * longest) + 40
    spent = [bounds(plan, tokens, 64).total.sampled_tokens for plan in (left, right)]
    return tokens if all(each is not None and each <= _TOKENS for each in spent) else None


def scaled(left: Plan, right: Plan) -> tuple[Plan, Plan, tuple[str, ...]] | None:
    """Both plans with their large sizes scaled down together, and which became what.

    Sizes of a kind are divided by one number where all are multiples of it, so that sums and
    ratios stay what they are; else they keep their order.
    """
    values: dict[str, set[float]] = {}
    for plan in (left, right):
        for _, size in sizes(plan):
            if size.value > _SMALL:
                values.setdefault(size.kind, set()).add(size.value)
    smaller = {
        (kind, old): new for kind, large in values.items() for old, new in _smaller(large).items()
    }

    def change(_: Operation, size: Size) -> float:
        return smaller.get((size.kind, size.value), size.value)

    if not smaller:
        return None
    words = tuple(f"{old:g} {kind} -> {new:g}" for (kind, old), new in sorted(smaller.items()))
    return resized(left, change), resized(right, change), words


def _smaller(large: set[float]) -> dict[float, float]:
    ordered = sorted(large)
    if all(isinstance(each, int) for each in ordered):
        common = reduce(gcd, [int(each) for each in ordered])
        divisor = next((d for d in (common, common // 2) if d and ordered[0] // d >= 2), 1)
        if divisor > 1 and ordered[-1] // divisor <= _LARGE:
            return {each: each // divisor for each in ordered}
    return {each: _SMALL + 2 * rank for rank, each in enumerate(ordered)}


def larger(plan: Plan) -> Iterator[tuple[str, Plan]]:
    """Each clause with a limit, and the plan in which it is twice as large."""
    pairs = sizes(plan)
    for place, (operation, size) in enumerate(pairs):
        if size.value <= _SMALL:
            continue
        count = iter(range(len(pairs)))

        def change(_: Operation, each: Size, place: int = place, count: Any = count) -> float:
            return 2 * each.value if next(count) == place else each.value

        origin = f" ({operation.origins[0].line})" if operation.origins else ""
        yield f"{size.text}{origin}", resized(plan, change)
