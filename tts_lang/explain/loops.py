"""Loops, round by round; and a way out when there are too many rounds to follow."""

from __future__ import annotations

from dataclasses import dataclass, field

from tts_lang.explain.cost import NOTHING, STATEMENT, Cost, Pool
from tts_lang.explain.interval import ANYTHING, INFINITY, product
from tts_lang.explain.state import Known
from tts_lang.explain.walk import Flow, Site, Walk, either
from tts_lang.plan.graph import Kind

#: Operations interpreted before rounds are no longer followed one by one (about 0.15 s).
FOLLOWED = 4_000


@dataclass(slots=True)
class _Rounds:
    """A loop under way: what it has spent, what it carries, how it may already have ended."""

    spent: Cost
    carried: list[Known] | None  # `None`: no round goes on
    ended: list[Known] | None = None
    flow: Flow = field(default_factory=lambda: Flow(None))

    def may_end(self, values: list[Known]) -> None:
        self.ended = values if self.ended is None else either(self.ended, values)


def repeat(walk: Walk, site: Site, trips: int) -> Flow:
    """At most `trips` rounds; `until` is read before each (C46)."""
    operation = site.operation
    loop = _Rounds(NOTHING, [_alone(walk.state.values[value]) for value in operation.inputs])
    read = walk.ledger.read
    begun = 0
    for trip in range(trips):
        if walk.work > FOLLOWED:
            widened(walk, site, loop, trips - trip)
            begun = trips
            break
        before, called = loop.carried, walk.ledger.called
        costs = walk.costs[site.index : site.end]
        spent = _round(walk, site, loop)
        begun = trip + (loop.carried is not None or loop.flow.returned is not None)
        if loop.carried is None:
            break
        # Another round would begin, and so go, as this one did.
        if loop.carried == before and walk.ledger.called == called:
            remaining = trips - trip - 1
            begun = trips
            for index, cost in enumerate(costs, start=site.index):
                added = walk.costs[index].minus(cost)
                walk.costs[index] = walk.costs[index].plus(added.times(remaining))
            further = spent.times(remaining)
            loop.spent = loop.spent.plus(further)
            if loop.flow.returned is not None:
                loop.flow = loop.flow.after(further)
            break
    walk.trips[site.index] = max(walk.trips.get(site.index, 0), begun)
    walk.ledger.read = read  # perhaps there was no round
    if loop.carried is not None:
        loop.may_end(loop.carried)
    for value, known in zip(operation.outputs, loop.ended or (), strict=False):
        walk.define(value, known)
    return Flow(
        loop.spent if loop.ended is not None else None, loop.flow.returned, loop.flow.result
    )


def _alone(known: Known) -> Known:
    return known.alone() if isinstance(known, Pool) else known


def _round(walk: Walk, site: Site, loop: _Rounds) -> Cost:
    """One round from `loop.carried`; returns what it spent."""
    state, operation = walk.state, site.operation
    until, body = operation.regions
    carried = loop.carried or []
    for value, known in zip(until.parameters, carried, strict=True):
        walk.define(value, known)
    asked = (walk.region(until, site.regions[0]).running or NOTHING).plus(STATEMENT)
    walk.costs[site.index] = walk.costs[site.index].plus(STATEMENT)
    flag = state.number(until.results[0])
    if flag.high > 0:
        mark = state.mark()
        state.assume(until.results[0], True)
        loop.may_end([state.values[value] for value in until.parameters])
        state.undo(mark)
    if flag.low >= 1 and not flag.missing:
        loop.carried = None
        loop.spent = loop.spent.plus(asked)
        return asked
    mark = state.mark()
    state.assume(until.results[0], False)
    for value, outer in zip(body.parameters, until.parameters, strict=True):
        walk.define(value, state.values[outer])
    flow = walk.region(body, site.regions[1])
    goes_on = flow.running is not None
    given = [_alone(state.values[value]) for value in body.results] if goes_on else None
    state.undo(mark)
    loop.flow = loop.flow.either(flow.after(loop.spent.plus(asked)).without_running())
    loop.carried = given
    spent = (flow.running or NOTHING).plus(asked)
    loop.spent = loop.spent.plus(spent)
    return spent


def widened(walk: Walk, site: Site, loop: _Rounds, rounds: int) -> None:
    """All remaining rounds from one look, for any number of rows that the loop can carry.

    A pool holds each row once (C51), so it never has more rows than exist. First a round is taken
    from pools of any size: what it makes at most, times the rounds, plus all rows made before, then
    bounds every pool that the loop carries; from pools of that size a round's cost is taken.
    """
    existing = sum(cost.made for cost in walk.costs) + 1
    start = loop.carried or []
    body = site.operation.regions[1]
    # A value that the body hands on as it got it keeps what is known of it.
    fixed = [
        result == parameter
        for result, parameter in zip(body.results or body.parameters, body.parameters, strict=True)
    ]
    kinds = [walk.plan.values[value].kind for value in body.parameters]

    walk.ledger.nothing_is_first()

    def carried(rows: float) -> list[Known]:
        anything = Pool(0, rows, rows, rows, True, True, walk.state.context, (), False, own=3)
        anything = anything._replace(asked=rows if walk.ledger.asks else 0)
        return [
            known if same else anything if kind is Kind.POOL else ANYTHING
            for known, same, kind in zip(start, fixed, kinds, strict=True)
        ]

    costs = walk.costs[site.index : site.end]
    rows = INFINITY
    if walk.work < 2 * FOLLOWED:  # else nested loops would double the work at every level
        trial = _Rounds(loop.spent, carried(INFINITY))
        seen = dict(walk.rows)
        made = _round(walk, site, trial).made
        walk.costs[site.index : site.end] = costs
        walk.rows = seen
        rows = existing + product(made, rounds)
    loop.carried = carried(rows)
    spent = _round(walk, site, loop)
    for index, cost in enumerate(costs, start=site.index):
        walk.costs[index] = cost.plus(walk.costs[index].minus(cost).times(rounds))
    further = spent.times(rounds - 1)
    loop.spent = loop.spent.plus(further)
    if loop.flow.returned is not None:
        loop.flow = loop.flow.after(further)
    loop.may_end(carried(rows))
