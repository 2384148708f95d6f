"""What a plan costs in a world where all steps and all solutions are equally long (`Lengths`).

The plan is run once with mean numbers of rows instead of rows. What depends on scores or texts is
not known in such a world: a condition on them keeps half of the rows, a branch on them goes half
each way, and a loop until they say so runs all its rounds. These are estimates; `bounds` has what
always holds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from tts_lang.explain.bounds import bounds
from tts_lang.explain.guess import Guess, Truth
from tts_lang.explain.lengths import Lengths
from tts_lang.plan import graph
from tts_lang.plan.expr import Expr
from tts_lang.plan.graph import Amount, Decoding, Exit, Operation, Plan, Region, Unit, operations

#: Rounds of a loop that are followed one by one; the rest cost what the last of them did.
_ROUNDS = 300


@dataclass(frozen=True, slots=True)
class Pool:
    """Mean number of rows, groups by parent and root, path length, and tokens read by scorer."""

    rows: float
    tokens: float = 0.0
    parents: float = 1.0
    roots: float = 1.0
    read: Mapping[str, float] = field(default_factory=dict)

    def sized(self, rows: float) -> Pool:
        """Fewer (or more) of the same rows."""
        return replace(
            self, rows=rows, parents=min(self.parents, rows), roots=min(self.roots, rows)
        )


@dataclass(slots=True)
class Expected:
    """One operation over a whole run: executions, rows given in all of them, and what it spends."""

    times: float = 0.0
    rows: float = 0.0
    calls: float = 0.0
    tokens: float = 0.0
    scorer_tokens: float = 0.0


Value: TypeAlias = "Pool | Truth"


def expected(plan: Plan, lengths: Lengths) -> list[Expected]:
    """Means per problem, in the order of `graph.operations(plan.body)`."""
    walk = _Walk(plan, lengths)
    walk.values[plan.body.parameters[0]] = Pool(1)
    walk.region(plan.body, 1.0)
    costs = [walk.costs[id(operation)] for operation in operations(plan.body)]
    # Intervals know some conditions (`share(P) > 1`) that mean numbers do not.
    for cost, most in zip(costs, bounds(plan, None).operations, strict=True):
        cost.calls = _least(cost.calls, most.spent.policy_calls)
        cost.tokens = _least(cost.tokens, most.spent.sampled_tokens)
        cost.scorer_tokens = _least(cost.scorer_tokens, most.spent.scorer_tokens)
    return costs


def _least(mean: float, limit: int | None) -> float:
    return mean if limit is None else min(mean, float(limit))


class _Walk:
    def __init__(self, plan: Plan, lengths: Lengths) -> None:
        self.lengths = lengths
        self.scorers = {scorer.name: scorer for scorer in plan.scorers}
        self.costs = {id(operation): Expected() for operation in operations(plan.body)}
        self.values: dict[int, Any] = {}

    def region(self, region: Region, share: float) -> float:
        """Runs a region in a share of all runs; how large the share is that goes on behind it."""
        for operation in region.operations:
            share = self.operation(operation, share)
            if not share:
                return 0.0
        return 0.0 if region.exit is Exit.RETURN else share

    def operation(self, operation: Operation, share: float) -> float:
        match operation.spec:
            case graph.Repeat(trips):
                return self.repeat(operation, trips, share)
            case graph.Branch():
                return self.branch(operation, share)
            case graph.Call():
                pool: Pool = self.values[operation.inputs[0]]
                region = operation.regions[0]
                self.values[region.parameters[0]] = replace(pool, rows=1.0)
                self.region(region, share * pool.rows)
                result = self.values[region.results[0]] if region.results else Pool(1)
                self.give(operation, replace(result, rows=pool.rows, parents=pool.rows), share)
            case graph.Compute(value):
                self.values[operation.outputs[0]] = self.number(operation, value)
            case _:
                pools = [self.values[value] for value in operation.inputs]
                found = [each for each in pools if isinstance(each, Pool)]
                self.give(operation, self.transfer(operation, found, share), share)
        return share

    def give(self, operation: Operation, pool: Pool, share: float) -> None:
        """The output of one execution."""
        self.values[operation.outputs[0]] = pool
        cost = self.costs[id(operation)]
        cost.times += share
        cost.rows += share * pool.rows

    # ------------------------------------------------------------------ control

    def repeat(self, operation: Operation, trips: int, share: float) -> float:
        condition, body = operation.regions
        carried = [self.values[value] for value in operation.inputs]
        for turn in range(min(trips, _ROUNDS)):
            self.values.update(zip(condition.parameters, carried, strict=True))
            self.region(condition, share)
            if self.values[condition.results[0]] is True:
                break
            self.values.update(zip(body.parameters, carried, strict=True))
            # What is not followed round by round costs what the last round does.
            rounds = trips - turn if turn == _ROUNDS - 1 else 1
            share = self.region(body, share * rounds) / rounds
            if not share:
                return 0.0
            carried = [self.values[value] for value in body.results]
        self.values.update(zip(operation.outputs, carried, strict=True))
        return share

    def branch(self, operation: Operation, share: float) -> float:
        flag = self.values[operation.inputs[0]]
        parts = (_share(flag), 1 - _share(flag))
        given: list[tuple[float, list[Any]]] = []
        for part, region in zip(parts, operation.regions, strict=True):
            going = self.region(region, share * part) if part else 0.0
            if going:
                given.append((going, [self.values[value] for value in region.results]))
        total = sum(going for going, _ in given)
        for place, value in enumerate(operation.outputs):
            sides = [(going / total, results[place]) for going, results in given]
            self.values[value] = _mean(sides) if sides else None
        return total

    # ------------------------------------------------------------------ operators

    def number(self, operation: Operation, expression: Expr) -> Truth:
        """The value of an expression, where it is known."""
        inputs = [self.values[value] for value in operation.inputs]
        return Guess(inputs, self.lengths.solution).value(expression)

    def count(self, operation: Operation, expression: Expr | None, otherwise: float) -> float:
        value = None if expression is None else self.number(operation, expression)
        return otherwise if value is None or isinstance(value, str) else max(0.0, float(value))

    def transfer(self, operation: Operation, pools: Sequence[Pool], share: float) -> Pool:
        spec = operation.spec
        pool = pools[0] if pools else Pool(0)
        match spec:
            case graph.Expand():
                return self.expand(operation, spec, pool, share)
            case graph.Ask():
                asked = 1.0 if spec.together and spec.per is None else pool.rows
                asked = min(asked, self.groups(pool, spec.per)) if spec.together else asked
                rows = asked * self.count(operation, spec.amount.count, 1)
                drawn = self.drawn(operation, spec.amount, spec.decoding, 0.0)
                self.spend(operation, share * rows, drawn)
                return Pool(rows, drawn, pool.rows, min(rows, pool.roots))
            case graph.Score():
                return self.score(operation, spec, pool, share)
            case graph.Fork(count):
                rows = pool.rows * self.count(operation, count, 1)
                return replace(pool, rows=rows, parents=pool.rows, roots=rows)
            case graph.Where(condition):
                inputs = [self.values[value] for value in operation.inputs]
                kept = Guess(inputs, self.lengths.solution).condition(condition, pool)
                return pool.sized(pool.rows * _share(kept))
            case graph.Select():
                groups = self.groups(pool, spec.per)
                if spec.share is not None:
                    return pool.sized(pool.rows * min(1, self.count(operation, spec.share, 1)))
                return pool.sized(min(pool.rows, groups * self.count(operation, spec.count, 1)))
            case graph.First(count, per):
                most = self.groups(pool, per) * self.count(operation, count, 1)
                return pool.sized(min(pool.rows, most))
            case graph.Vote(per=per):
                return pool.sized(min(pool.rows, self.groups(pool, per)))
            case graph.Resample(count):
                rows = self.count(operation, count, pool.rows)
                return replace(pool, rows=rows if pool.rows else 0.0)
            case graph.Descend():
                return pool.sized(min(pool.rows, self.count(operation, spec.times, 1)))
            case graph.Union():
                return _together(pools[0], pools[1])
            case graph.Difference():
                return pool.sized(max(0.0, pool.rows - pools[1].rows))
            case graph.Cut(length, unit):
                step = self.lengths.step if unit is Unit.STEPS else 1.0
                kept_tokens = step * self.count(operation, length, 0)
                return replace(pool, tokens=min(pool.tokens, kept_tokens), read={})
            case graph.Empty():
                return Pool(0)
        return pool

    def groups(self, pool: Pool, per: str | None) -> float:
        known = {None: 1.0, "parent": pool.parents, "root": pool.roots}
        return min(pool.rows, known.get(per, pool.rows))

    def expand(self, operation: Operation, spec: graph.Expand, pool: Pool, share: float) -> Pool:
        drawn = self.drawn(operation, spec.amount, spec.decoding, pool.tokens)
        if drawn <= 0 or not pool.rows:
            return pool
        count = self.count(operation, spec.amount.count, 1)
        rows = count * self.groups(pool, spec.per) if spec.deal else pool.rows * count
        self.spend(operation, share * rows, drawn)
        roots = rows if pool.tokens == 0 and pool.rows == 1 else min(rows, pool.roots)
        return replace(
            pool, rows=rows, tokens=pool.tokens + drawn, parents=min(rows, pool.rows), roots=roots
        )

    def drawn(
        self, operation: Operation, amount: Amount, decoding: Decoding, before: float
    ) -> float:
        """Tokens of one call, behind so many on its path."""
        left = self.lengths.solution - before
        length = self.count(operation, amount.length, 1)
        if amount.unit is Unit.STEPS:
            left = min(left, length * self.lengths.step)
        elif amount.unit is Unit.TOKENS:
            left = min(left, length)
        left = min(left, self.count(operation, decoding.max_tokens, left))
        return max(0.0, min(left, self.count(operation, decoding.within, before + left) - before))

    def score(self, operation: Operation, spec: graph.Score, pool: Pool, share: float) -> Pool:
        scorer = self.scorers[spec.scorer]
        if scorer.field is not None:
            return pool
        cost = self.costs[id(operation)]
        if scorer.judge is not None:
            readings = share * pool.rows * self.count(operation, spec.times, 1)
            asked = self.count(operation, scorer.judge.decoding.max_tokens, self.lengths.solution)
            self.spend(operation, readings, asked)
            return pool
        before = pool.read.get(scorer.name, 0.0) if scorer.steps else 0.0
        cost.scorer_tokens += share * pool.rows * max(0.0, pool.tokens - before)
        return replace(pool, read={**pool.read, scorer.name: pool.tokens})

    def spend(self, operation: Operation, calls: float, tokens: float) -> None:
        cost = self.costs[id(operation)]
        cost.calls += calls
        cost.tokens += calls * tokens


def _share(flag: Truth) -> float:
    """How often a condition holds: half of the time where nothing is known."""
    return 0.5 if flag is None else float(flag is True)


def _together(left: Pool, right: Pool) -> Pool:
    if not left.rows or not right.rows:
        return right if not left.rows else left
    rows = left.rows + right.rows
    mixed = _mean([(left.rows / rows, left), (right.rows / rows, right)])
    assert isinstance(mixed, Pool)
    return replace(
        mixed, rows=rows, parents=left.parents + right.parents, roots=left.roots + right.roots
    )


def _mean(sides: Sequence[tuple[float, Any]]) -> Value:
    """Of pools, field by field; of anything else, what is the same on all sides."""
    first = sides[0][1]
    if isinstance(first, Pool):
        names = set(first.read).intersection(*(set(pool.read) for _, pool in sides))
        rows, tokens, parents, roots = (
            sum(part * getattr(pool, name) for part, pool in sides)
            for name in ("rows", "tokens", "parents", "roots")
        )
        return Pool(
            rows,
            tokens,
            parents,
            roots,
            read={name: sum(part * pool.read[name] for part, pool in sides) for name in names},
        )
    same: Truth = first if all(value == first for _, value in sides) else None
    return same
