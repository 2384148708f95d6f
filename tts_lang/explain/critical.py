"""The critical path: how many engine calls must wait for one another, with no limit to how many run
at once.

Statements begin in program order, each when its inputs are known and those before it have begun;
two samplings that read nothing of each other run side by side. A scoring, or a choice row by row,
does not even hold up what follows it. Depths are computed in max-plus algebra: a round of a loop
maps depths monotonically, and later inputs by c give results later by at most c. So if a round adds
at most c to every depth, each further round does, too.
"""

from __future__ import annotations

from typing import Any, Final

from tts_lang.explain.walk import NumberedOperation, Walk
from tts_lang.plan import graph
from tts_lang.plan.expr import Const, Expr, fields_in
from tts_lang.plan.graph import Exit, Operation, Region
from tts_lang.plan.operator import entry
from tts_lang.plan.reads import needs_pool

#: Rounds of a loop that are followed one by one.
_ROUNDS: Final = 3
#: Operations that are looked at before nothing better than the sum is said.
_MOST: Final = 20_000


class _TooLong(Exception):
    """Loops within loops within loops."""


def critical_path(walked: Walk[Any]) -> float | None:
    """Engine calls in a row at most; `None` if the plan is too long to say so.

    Args:
        walked: A plan that has been run abstractly: what costs nothing there waits for nothing.
    """
    depths = _Depths(walked)
    depths.values[walked.plan.body.parameters[0]] = 0.0
    try:
        depths.region(walked.plan.body, walked.operations, 0.0)
    except _TooLong:
        return None
    return depths.latest


class _Depths:
    """Engine calls in a row before each value is known."""

    def __init__(self, walked: Walk[Any]) -> None:
        self.walked = walked
        self.scorers = walked.domain.scorers
        self.values: dict[int, float] = {}
        self.latest = 0.0
        # Of the strategy that is looked at: when it has returned, and when the strategies that it
        # called have: only then is it clear which children are numbered before its next ones.
        self.returned = 0.0
        self.turn = 0.0
        self.work = 0
        # By judge that asks again: equal questions of two calls take their replies in turn.
        self.judged: dict[str, float] = {}

    def region(self, region: Region, inside: tuple[NumberedOperation, ...], floor: float) -> float:
        """The time at which the last of its statements has begun, if none begins before `floor`."""
        for site in inside:
            floor = self.operation(site, floor)
        if region.exit is Exit.RETURN:
            self.returned = max(self.returned, floor, self.values.get(region.results[0], 0.0))
        return floor

    def operation(self, site: NumberedOperation, floor: float) -> float:
        """The time at which the next operation may begin."""
        self.work += 1
        if self.work > _MOST:
            raise _TooLong
        operation = site.operation
        ready = max((self.values.get(value, 0.0) for value in operation.inputs), default=0.0)
        start = max(floor, ready)
        match operation.spec:
            case graph.Repeat():
                return self.repeat(site, start)
            case graph.Branch():
                return self.branch(site, start)
            case graph.Call():
                return self.call(site, start)
        if entry(operation.spec).numbers is not None:
            start = max(start, self.turn)
        judge = self.retrying_judge(operation)
        if judge:
            start = max(start, self.judged.get(judge, 0.0))
        done = start + self.rounds(site)
        self.latest = max(self.latest, done)
        if judge:
            self.judged[judge] = done
        for value in operation.outputs:
            self.values[value] = done
        return floor if self.streams(operation) else start

    def branch(self, site: NumberedOperation, start: float) -> float:
        """Either side; what follows waits for the later of them."""
        operation = site.operation
        end = start
        outputs = [start] * len(operation.outputs)
        for region, inside in zip(operation.regions, site.regions, strict=True):
            end = max(end, self.region(region, inside, start))
            if region.exit is Exit.YIELD:
                ready = [self.values.get(value, 0.0) for value in region.results]
                outputs = [max(pair) for pair in zip(outputs, ready, strict=True)]
        self.values.update(zip(operation.outputs, outputs, strict=True))
        return end

    def call(self, site: NumberedOperation, start: float) -> float:
        """A strategy of its own, beside what follows."""
        operation = site.operation
        region = operation.regions[0]
        self.values[region.parameters[0]] = start
        outside, self.returned, self.turn = (self.returned, self.turn), start, 0.0
        self.region(region, site.regions[0], start)
        inside = self.values[operation.outputs[0]] = self.returned
        self.returned, turn = outside
        self.turn = max(turn, inside)
        return start

    def repeat(self, site: NumberedOperation, start: float) -> float:
        """Round after round, each after the condition that lets it begin."""
        operation = site.operation
        until, body = operation.regions
        trips = self.walked.trips.get(site.index, 0)
        carried = [self.values.get(value, 0.0) for value in operation.inputs]
        floor, most, step = start, list(carried), 0.0
        for _ in range(min(trips, _ROUNDS)):
            before = [*carried, floor, self.latest, self.returned, self.turn]
            self.values.update(zip(until.parameters, carried, strict=True))
            floor = self.region(until, site.regions[0], floor)
            floor = max(floor, self.values.get(until.results[0], 0.0))
            self.values.update(zip(body.parameters, carried, strict=True))
            floor = self.region(body, site.regions[1], floor)
            if body.exit is Exit.YIELD:
                carried = [self.values.get(value, 0.0) for value in body.results]
            most = [max(pair) for pair in zip(most, carried, strict=True)]
            after = [*carried, floor, self.latest, self.returned, self.turn]
            step = max(b - a for a, b in zip(before, after, strict=True))
        later = max(0.0, step) * max(0, trips - _ROUNDS)
        self.latest += later if trips else 0.0
        self.returned += later
        self.turn += later
        self.judged = {judge: depth + later for judge, depth in self.judged.items()}
        self.values.update(zip(operation.outputs, (depth + later for depth in most), strict=True))
        return floor + later

    def retrying_judge(self, operation: Operation) -> str:
        """The judge of a scoring that asks again about a reply that it cannot read."""
        spec = operation.spec
        if not isinstance(spec, graph.Score):
            return ""
        judge = self.scorers[spec.scorer].judge
        return spec.scorer if judge is not None and judge.retries else ""

    def rounds(self, site: NumberedOperation) -> float:
        """Engine calls in a row of one execution."""
        if not self.walked.costs[site.index].rounds:
            return 0.0
        match site.operation.spec:
            case graph.Score(ahead=ahead) as spec:
                scorer = self.scorers[spec.scorer]
                own = 0 if scorer.field is not None else 1
                if scorer.judge is not None:
                    once = scorer.judge.read == "probability"
                    own = graph.PROBABILITY_RANKS if once else 1 + scorer.judge.retries
                return own + (ahead is not None)
            case graph.Expand() | graph.Ask():
                return 1.0
        return self.walked.costs[site.index].rounds

    def streams(self, operation: Operation) -> bool:
        """Whether rows pass through one by one, so that nothing waits for the pool."""
        match operation.spec:
            case graph.Score() as spec:
                alone = not self.scorers[spec.scorer].together and spec.ahead is None
                judged = self.scorers[spec.scorer].judge is not None
                return alone and not judged and all(map(_constant, fields_in(spec)))
            case graph.Let() | graph.Where() as choice:
                return not any(map(needs_pool, fields_in(choice)))
        return False


def _constant(expression: Expr) -> bool:
    return isinstance(expression, Const)
