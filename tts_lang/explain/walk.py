"""The cost walk: a plan run abstractly over a domain (semantics.md C59).

`rules` has the rule of each operator; here is what regions add:

* Sequence: costs add up. Branch: what is known is mixed, and so are the costs (of bounds, their
  maximum). A side that returns does not pay for what follows.
* Loop: round by round, as many as the loop has at most. Inside `until count(x) >= n`, x has at most
  n - 1 rows when a round begins. Once a round changes nothing that is known, the remaining rounds
  cost the same. A program too long to be followed round by round gets looser bounds instead
  (`_widen`), so that the analysis stays fast.
* Call on rows: the region once, costs times the rows; rounds once, because rows run side by side.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeAlias

from tts_lang.explain.domain import (
    NO_PATHS,
    NOTHING,
    STATEMENT,
    STRAIGHT,
    AbstractPool,
    Cost,
    Domain,
    Number,
    Paths,
    Prompt,
)
from tts_lang.explain.interval import INFINITY, product
from tts_lang.explain.rules import transfer
from tts_lang.plan import graph
from tts_lang.plan.graph import Exit, Kind, Operation, Plan, Region


@dataclass(frozen=True, slots=True)
class NumberedOperation:
    """An operation with its place in the order of `graph.operations`."""

    index: int
    end: int  # index of the first operation after it and its regions
    operation: Operation
    regions: tuple[tuple[NumberedOperation, ...], ...]


def numbered(region: Region, start: int = 0) -> tuple[NumberedOperation, ...]:
    """The operations of a region with their places."""
    places: list[NumberedOperation] = []
    for operation in region.operations:
        inner: list[tuple[NumberedOperation, ...]] = []
        end = start + 1
        for nested in operation.regions:
            inside = numbered(nested, end)
            end = inside[-1].end if inside else end
            inner.append(inside)
        places.append(NumberedOperation(start, end, operation, tuple(inner)))
        start = end
    return tuple(places)


@dataclass(frozen=True, slots=True)
class Ends:
    """The ways in which a region or operation ends.

    Args:
        running: The paths on which control continues after it.
        returned: Those that return inside.
        result: The pool that these return.
    """

    running: Paths = NO_PATHS
    returned: Paths = NO_PATHS
    result: AbstractPool | None = None

    def after(self, earlier: Paths) -> Ends:
        """The same after something else."""
        returned = self.returned.after(earlier) if self.returned.weight else NO_PATHS
        return Ends(self.running.after(earlier), returned, self.result)


@dataclass(slots=True)
class _Loop(Generic[Number]):
    """A loop under way.

    Attributes:
        running: The paths on which another round may begin.
        carried: The values that the loop carries there.
        ended: How the loop may have ended, with what it carried then.
        ends: The paths that ended or returned.
    """

    running: Paths
    carried: list[AbstractPool | Number]
    ended: list[tuple[float, list[AbstractPool | Number]]] = field(default_factory=list)
    ends: Ends = Ends()


#: Weights of a branch being taken and not.
Sides: TypeAlias = "tuple[float, float]"


class Walk(Generic[Number]):
    """One abstract run of a plan.

    Attributes:
        rows: Everything a pool was seen to be, by value.
        costs: The cost of each operation, over all its executions.
        prompts: Problem prompts that each operation may have been the first to read.
        trips: Rounds that each loop has begun in any of its executions, at most.
        work: Operations interpreted so far.
        share: How likely the operation under way is to be reached (of bounds, 1).
        sides: Of each branch, the largest weights that its sides had (of bounds, 0: impossible).

    Args:
        sides: Those of the bounds, if they are known: what cannot happen costs nothing.
    """

    def __init__(
        self, plan: Plan, domain: Domain[Number], sides: Mapping[int, Sides] | None = None
    ) -> None:
        self._possible = sides or {}
        self.sides: dict[int, Sides] = {}
        self.plan = plan
        self.domain = domain
        self.operations = numbered(plan.body)
        self.costs: list[Cost] = [NOTHING] * (self.operations[-1].end if self.operations else 0)
        self.prompts: dict[int, dict[Prompt, float]] = {}
        self.trips: dict[int, int] = {}
        self.rows: dict[int, AbstractPool] = {}
        self.work = 0
        self.share = 1.0

    def run(self) -> tuple[Cost, AbstractPool]:
        """The whole plan: its cost without the problem's prompts, and the pool it returns."""
        self.define(self.plan.body.parameters[0], self.domain.problem(self.plan.thinks))
        ends = self.region(self.plan.body, self.operations)
        return ends.returned.cost, ends.result or AbstractPool()

    def all_prompts(self) -> dict[Prompt, float]:
        """The prompts of the problem that the whole plan reads."""
        return self._merged(*self.prompts.values())

    @staticmethod
    def _merged(*parts: dict[Prompt, float]) -> dict[Prompt, float]:
        merged: dict[Prompt, float] = {}
        for part in parts:
            for prompt, weight in part.items():
                merged[prompt] = min(1.0, merged.get(prompt, 0.0) + weight)
        return merged

    def define(self, value: int, abstract: AbstractPool | Number) -> None:
        """A value as its newest execution gives it."""
        self.domain.values[value] = abstract
        self.domain.executions[value] = self.domain.executions.get(value, 0) + 1
        if isinstance(abstract, AbstractPool):
            earlier = self.rows.get(value)
            self.rows[value] = (
                abstract if earlier is None else self._mixed((0.5, earlier), (0.5, abstract))
            )

    def _spend(self, index: int, cost: Cost) -> None:
        self.costs[index] = self.costs[index].plus(cost.times(self.share))

    def _repeated(
        self, place: NumberedOperation, before: list[Cost], factor: float, *, at_once: bool = False
    ) -> None:
        """Multiplies the cost of an operation since `before`."""
        for index, cost in enumerate(before, start=place.index):
            spent = self.costs[index].minus(cost)
            spent = spent.side_by_side(factor) if at_once else spent.times(factor)
            self.costs[index] = cost.plus(spent)

    # ------------------------------------------------------------------ regions

    def region(self, region: Region, inside: tuple[NumberedOperation, ...]) -> Ends:
        """A region whose parameters are defined."""
        share = self.share
        ends = Ends(STRAIGHT)
        for place in inside:
            self.share = share * ends.running.weight
            ends = self._then(ends, self.operation(place))
            if not ends.running.weight:
                break
        self.share = share
        if region.exit is Exit.RETURN and ends.running.weight:
            result = self.domain.pool(region.results[0]).alone()
            return self._then(ends, Ends(NO_PATHS, STRAIGHT, result))
        return ends

    def _then(self, ends: Ends, following: Ends) -> Ends:
        """One part after another."""
        later = following.after(ends.running)
        if later.result is None:
            return Ends(later.running, ends.returned, ends.result)
        return replace(self._either_returned(ends, later), running=later.running)

    def _or(self, left: Ends, right: Ends) -> Ends:
        """One side or the other."""
        running = self.domain.either(left.running, right.running)
        return replace(self._either_returned(left, right), running=running)

    def _either_returned(self, left: Ends, right: Ends) -> Ends:
        returned = self.domain.either(left.returned, right.returned)
        result = left.result or right.result
        if left.result is not None and right.result is not None:
            weights = left.returned.weight, right.returned.weight
            result = self._mixed((weights[0], left.result), (weights[1], right.result))
        return Ends(returned=returned, result=result)

    def _mixed(self, *sides: tuple[float, AbstractPool]) -> AbstractPool:
        mixed = self.domain.mix(sides)
        assert isinstance(mixed, AbstractPool)
        return mixed

    def operation(self, place: NumberedOperation) -> Ends:
        """One execution of an operation; defines its outputs if control continues after it."""
        self.work += 1
        self._spend(place.index, STATEMENT)
        return self._executed(place).after(Paths(1, STATEMENT))

    def _executed(self, place: NumberedOperation) -> Ends:
        operation, domain = place.operation, self.domain
        match operation.spec:
            case graph.Repeat(trips):
                return self._repeat(place, trips)
            case graph.Branch():
                return self._branch(place)
            case graph.Call() as spec:
                return self._call(place, spec)
            case graph.Compute(value):
                output = operation.outputs[0]
                domain.meanings[output] = (value, operation.inputs)
                self.define(output, domain.evaluate(value, operation.inputs))
                return Ends(STRAIGHT)
        pool, cost = transfer(operation, domain)
        cost = cost._replace(rows=pool.rows)
        self._spend(place.index, cost)
        if domain.prompts:
            read = {prompt: weight * self.share for prompt, weight in domain.prompts.items()}
            self.prompts[place.index] = self._merged(self.prompts.get(place.index, {}), read)
            domain.prompts.clear()
        self.define(operation.outputs[0], pool)
        return Ends(Paths(1, cost))

    def _branch(self, place: NumberedOperation) -> Ends:
        """Region 0 if the flag is true, region 1 if it is false or missing (C38)."""
        operation, domain = place.operation, self.domain
        condition = operation.inputs[0]
        odds = domain.odds(domain.number(condition))
        possible = self._possible.get(place.index, odds)
        if min(possible) == 0 < max(possible):
            odds = possible
        first, second = self.sides.get(place.index, (0.0, 0.0))
        self.sides[place.index] = (max(first, odds[0]), max(second, odds[1]))
        share, before = self.share, domain.read
        ends = Ends()
        outputs: list[tuple[float, list[AbstractPool | Number]]] = []
        read = []
        for truth, weight, region, inside in zip(
            (True, False), odds, operation.regions, place.regions, strict=True
        ):
            if not weight:
                continue
            mark = domain.mark()
            domain.assume(condition, truth)
            domain.read = before
            self.share = share * weight
            side = self.region(region, inside).after(Paths(weight))
            if side.running.weight:
                read.append((side.running.weight, domain.read))
                values = [domain.values[value] for value in region.results]
                outputs.append((side.running.weight, values))
            domain.undo(mark)
            ends = self._or(ends, side)
        self.share = share
        self._give(operation, outputs)
        domain.read = domain.mix_read(read) if read else before
        return ends

    def _give(
        self, operation: Operation, sides: list[tuple[float, list[AbstractPool | Number]]]
    ) -> None:
        """Defines the outputs of an operation that may have ended in several ways."""
        for place, value in enumerate(operation.outputs if sides else ()):
            self.define(
                value, self.domain.mix([(weight, abstract[place]) for weight, abstract in sides])
            )

    def _call(self, place: NumberedOperation, spec: graph.Call) -> Ends:
        """The region once, for as many rows as there may be."""
        operation, domain = place.operation, self.domain
        pool = domain.pool(operation.inputs[0])
        before = self.costs[place.index : place.end]
        row = domain.problem(spec.thinks)
        if spec.on_rows:
            row = pool.alone().sized(1, 1)._replace(problem=True)
            if pool.rows > 1:
                domain.nothing_is_first()
        region = operation.regions[0]
        self.define(region.parameters[0], row)
        read, lanes = domain.read, domain.lanes
        domain.lanes = product(lanes, max(1.0, pool.rows))
        ends = self.region(region, place.regions[0])
        domain.lanes = lanes
        if domain.worst:  # the strategy may have returned before it read anything
            domain.read = read
        self._repeated(place, before, pool.rows, at_once=True)
        result = (ends.result or AbstractPool()).alone()
        rows = product(result.rows, pool.rows)
        # Every run has a tree of its own, and its rows may be done.
        out = result._replace(
            parents=rows,
            roots=rows,
            finished=True,
            problem=True,
            conversations=product(result.conversations, pool.rows),
        ).sized(product(result.least, pool.least), rows)
        output = Cost(rows=rows)
        self._spend(place.index, output)
        self.define(operation.outputs[0], out)
        return Ends(Paths(1, ends.returned.cost.side_by_side(pool.rows).plus(output)))

    # ------------------------------------------------------------------ loops

    def _repeat(self, place: NumberedOperation, trips: int) -> Ends:
        """At most `trips` rounds; `until` is read before each (C46)."""
        domain, share = self.domain, self.share
        read, begun = domain.read, 0
        carried = [_alone(domain.values[value]) for value in place.operation.inputs]
        loop = _Loop(STRAIGHT, carried)
        for trip in range(trips):
            self.share = share * loop.running.weight
            costs = self.costs[place.index : place.end]
            if self.work > domain.followed:
                begun = trips
                self._widen(place, loop, trips - trip)
                break
            before = (loop.carried, domain.called, domain.read)
            ends = self._round(place, loop)
            begun = trip + bool(loop.running.weight or loop.ends.returned.weight)
            if not loop.running.weight:
                break
            # Another round would begin, and so go, as this one did.
            if (loop.carried, domain.called, domain.read) == before:
                begun = trips
                self._extrapolate(place, loop, costs, ends, trips - trip - 1)
                break
        self.share = share
        self.trips[place.index] = max(self.trips.get(place.index, 0), begun)
        if domain.worst:  # perhaps there was no round
            domain.read = read
        if loop.running.weight:
            self._end(loop, loop.running, loop.carried)
        self._give(place.operation, loop.ended)
        return loop.ends

    def _end(self, loop: _Loop[Number], paths: Paths, values: list[AbstractPool | Number]) -> None:
        """The loop may end here."""
        loop.ended.append((paths.weight, values))
        loop.ends = self._or(loop.ends, Ends(paths))

    def _round(self, place: NumberedOperation, loop: _Loop[Number]) -> Ends:
        """One round from `loop.carried`; returns how it ends, as if it were the first."""
        domain, share = self.domain, self.share
        until, body = place.operation.regions
        for value, abstract in zip(until.parameters, loop.carried, strict=True):
            self.define(value, abstract)
        tested = self.region(until, place.regions[0]).running
        stops, continues = domain.odds(domain.number(until.results[0]), loop=True)
        if stops:
            mark = domain.mark()
            domain.assume(until.results[0], True)
            ended = Paths(stops).after(tested).after(loop.running)
            self._end(loop, ended, [domain.values[value] for value in until.parameters])
            domain.undo(mark)
        ends = Ends()
        if continues:
            mark = domain.mark()
            domain.assume(until.results[0], False)
            for value, outer in zip(body.parameters, until.parameters, strict=True):
                self.define(value, domain.values[outer])
            self.share = share * continues
            self._spend(place.index, STATEMENT)
            begun = Paths(1, STATEMENT).after(Paths(continues)).after(tested)
            ends = self.region(body, place.regions[1]).after(begun)
            self.share = share
            if ends.running.weight:
                loop.carried = [_alone(domain.values[value]) for value in body.results]
            domain.undo(mark)
        later = ends.after(loop.running)
        loop.ends = self._or(loop.ends, Ends(NO_PATHS, later.returned, later.result))
        loop.running = later.running
        return ends

    def _extrapolate(
        self,
        place: NumberedOperation,
        loop: _Loop[Number],
        costs: list[Cost],
        ends: Ends,
        rounds: int,
    ) -> None:
        """Further rounds that go as one went that ended so, before which the costs were these."""
        weight = ends.running.weight
        if weight == 1:
            self._repeated(place, costs, 1 + rounds)
        else:  # 1 + weight + weight ** 2 ...
            self._repeated(place, costs, (1 - weight ** (rounds + 1)) / (1 - weight))
        power, further = ends, Ends(STRAIGHT)
        while rounds:
            if rounds % 2:
                further = self._then(further, power)
            power = self._then(power, power)
            rounds //= 2
        later = further.after(loop.running)
        loop.ends = self._or(loop.ends, Ends(NO_PATHS, later.returned, later.result))
        loop.running = later.running

    def _widen(self, place: NumberedOperation, loop: _Loop[Number], rounds: int) -> None:
        """All remaining rounds from one round, for any number of rows that the loop can carry.

        A pool holds each row once (C51), so it never has more rows than exist. First a round is
        taken from pools of any size: the rows it makes, times the rounds, plus all rows made
        before, then bound every pool that the loop carries; from pools of that size a round's cost
        is taken. Means take the next round as it is.
        """
        domain = self.domain
        if not domain.worst:
            costs = self.costs[place.index : place.end]
            ends = self._round(place, loop)
            if loop.running.weight:
                self._extrapolate(place, loop, costs, ends, rounds - 1)
            return
        body = place.operation.regions[1]
        # A value that the body passes on unchanged stays as it is.
        fixed = [
            result == parameter
            for result, parameter in zip(
                body.results or body.parameters, body.parameters, strict=True
            )
        ]
        kinds = [self.plan.values[value].kind for value in body.parameters]

        def widest(rows: float) -> list[AbstractPool | Number]:
            pool = AbstractPool(
                rows=rows,
                parents=rows,
                roots=rows,
                problem=True,
                finished=True,
                length=domain.context,
                forced=domain.context,
                prompt=domain.context if domain.asks else domain.prompt,
                closed=False,
                own=3,
                conversations=rows if domain.asks else 0,
            )
            return [
                abstract if same else pool if kind is Kind.POOL else domain.unknown
                for abstract, same, kind in zip(loop.carried, fixed, kinds, strict=True)
            ]

        domain.nothing_is_first()
        costs = self.costs[place.index : place.end]
        rows = INFINITY
        if self.work < 2 * domain.followed:  # else nested loops would double the work at each level
            existing = sum(cost.new_rows for cost in self.costs) + 1
            trial = _Loop(STRAIGHT, widest(INFINITY))
            seen = dict(self.rows)
            new = self._round(place, trial).running.cost.new_rows
            self.costs[place.index : place.end] = costs
            self.rows = seen
            rows = existing + product(new, rounds)
        loop.carried = widest(rows)
        ends = self._round(place, loop)
        if loop.running.weight:
            self._extrapolate(place, loop, costs, ends, rounds - 1)
            loop.carried = widest(rows)


def _alone(abstract: Any) -> Any:
    return abstract.alone() if isinstance(abstract, AbstractPool) else abstract
