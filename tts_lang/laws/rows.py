"""Upper bounds of rows, and what is known of the trees that rows belong to.

Forward over the plan; a loop's carried values start from what holds before it, and what a round
does not keep is given up.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import floor, inf

from tts_lang.plan import graph
from tts_lang.plan.expr import Const, Expr
from tts_lang.plan.graph import Exit, Kind, Operation, Plan, Region
from tts_lang.plan.operator import Makes, entry
from tts_lang.plan.rows import RowLimit


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a pool.

    Args:
        most: At most so many rows; `None`: no bound is known.
        rooted: Every row belongs to a tree.
        apart: Every row belongs to a tree, no two to the same one.
        fresh: It is the problem's one row, which is live and belongs to no tree.
    """

    most: int | None = None
    rooted: bool = False
    apart: bool = False
    fresh: bool = False

    def meet(self, other: Known) -> Known:
        """What holds of both."""
        most = self.most if self.most == other.most else None
        return Known(
            most,
            self.rooted and other.rooted,
            self.apart and other.apart,
            self.fresh and other.fresh,
        )


@dataclass(slots=True)
class RowFacts:
    """What is known of every pool of a plan."""

    pools: dict[int, Known] = field(default_factory=dict)

    def of(self, value: int) -> Known:
        """What is known of a pool."""
        return self.pools.get(value, Known())

    def at_most(self, value: int, rows: int) -> bool:
        """Whether a pool certainly has at most so many rows."""
        most = self.of(value).most
        return most is not None and most <= rows


def count_of(expression: Expr | None) -> int | None:
    """A constant where a count is wanted: floored, not below 0, missing counts nothing (C39)."""
    if not isinstance(expression, Const) or isinstance(expression.value, bool | str):
        return None
    return 0 if expression.value is None else max(0, floor(expression.value))


def row_facts(plan: Plan) -> RowFacts:
    """What is known of every pool of a plan."""
    facts = RowFacts()
    facts.pools[plan.body.parameters[0]] = Known(1, fresh=True)
    _region(plan, plan.body, facts)
    return facts


def _region(plan: Plan, region: Region, facts: RowFacts) -> None:
    for operation in region.operations:
        _operation(plan, operation, facts)


def _operation(plan: Plan, operation: Operation, facts: RowFacts) -> None:
    spec = operation.spec
    pools = facts.pools
    given = facts.of(operation.inputs[0]) if operation.inputs else Known(0)
    match spec:
        case graph.Repeat():
            _repeat(plan, operation, facts)
            return
        case graph.Branch():
            for inner in operation.regions:
                _region(plan, inner, facts)
            ends = [inner for inner in operation.regions if inner.exit is Exit.YIELD]
            for place, value in enumerate(operation.outputs):
                if plan.values[value].kind is Kind.POOL and ends:
                    known = [facts.of(end.results[place]) for end in ends]
                    bounds = [each.most for each in known]
                    merged = known[0]
                    for each in known[1:]:
                        merged = merged.meet(each)
                    whole = [bound for bound in bounds if bound is not None]
                    most = max(whole) if len(whole) == len(bounds) else None
                    pools[value] = Known(most, merged.rooted, merged.apart, merged.fresh)
            return
        case graph.Call():
            inner = operation.regions[0]
            pools[inner.parameters[0]] = Known(1, fresh=given.fresh and not spec.on_rows)
            _region(plan, inner, facts)
            pools[operation.outputs[0]] = Known(
                given.most, True, given.apart or given.most in (0, 1)
            )
            return
        case graph.Compute():
            return
    pools[operation.outputs[0]] = _plain(operation, given, facts)


def _plain(operation: Operation, given: Known, facts: RowFacts) -> Known:
    """What an operator without regions gives."""
    spec, known = operation.spec, entry(operation.spec)
    pools = [facts.of(value) for value in operation.inputs if value in facts.pools]
    of = RowLimit([_limit(each) for each in pools], live=given.fresh)
    rows = inf if known.rows is None else known.rows(spec, of)
    most = None if rows == inf else int(rows)
    match known.makes:
        case Makes.NOTHING:
            return Known(most, rooted=True, apart=True)
        case Makes.SAME:
            return Known(most, given.rooted, given.apart, given.fresh)
        case Makes.SUBSET | Makes.EDITED:
            return Known(most, given.rooted, given.apart)
        case Makes.CHILDREN if isinstance(spec, graph.Expand):
            return _expand(spec, given, most)
        case Makes.COPIES if isinstance(spec, graph.Fork):
            return Known(most, rooted=True, apart=True)
        case Makes.CONVERSATIONS if isinstance(spec, graph.Ask):
            return Known(most, given.rooted and not spec.together)
        case Makes.BOTH:
            return Known(most, given.rooted and pools[1].rooted)
    return Known(most, given.rooted)


def _limit(known: Known) -> float:
    return inf if known.most is None else known.most


def _expand(spec: graph.Expand, given: Known, most: int | None) -> Known:
    """Children, and rows that pass because they are done or have no room left (C18, C21)."""
    # A live row of the problem has room, unless the strategy itself leaves it none.
    if given.fresh and spec.decoding.within is None:
        return Known(most, rooted=True, apart=True)
    count = count_of(spec.amount.count)
    alone = count == 1 and not spec.deal
    return Known(most, given.rooted, given.apart and (alone or count == 0))


def _repeat(plan: Plan, operation: Operation, facts: RowFacts) -> None:
    until, body = operation.regions
    carried = [facts.of(value) for value in operation.inputs]
    while True:
        for place, known in enumerate(carried):
            for region in operation.regions:
                facts.pools[region.parameters[place]] = known
        _region(plan, until, facts)
        _region(plan, body, facts)
        if body.exit is not Exit.YIELD:
            break
        ends = [facts.of(value) for value in body.results]
        merged = [_widened(before, after) for before, after in zip(carried, ends, strict=True)]
        if merged == carried:
            break
        carried = merged
    for value, known in zip(operation.outputs, carried, strict=True):
        facts.pools[value] = known


def _widened(before: Known, after: Known) -> Known:
    """What holds before the loop and after every round; a bound that grows is given up."""
    small = before.most is not None and after.most is not None and after.most <= before.most
    both = before.meet(after)
    return Known(before.most if small else None, both.rooted, both.apart, both.fresh)
