"""What a plan costs in a world where all steps and all solutions are equally long (`Lengths`).

The plan is run once with mean numbers of rows instead of rows. What depends on scores or texts is
not known in such a world: a condition on them keeps half of the rows, a branch on them goes half
each way, and a loop until they say so runs all its rounds. These are estimates; `bounds` has what
always holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tts_lang.explain.bounds import Bounds, bounds
from tts_lang.explain.guess import Guess, Truth
from tts_lang.explain.lengths import DEFAULT_PROMPT, Lengths
from tts_lang.explain.means import COSTS, Expected, Pool, mean, together
from tts_lang.explain.models import UNKNOWN, Models, attended
from tts_lang.plan import graph
from tts_lang.plan.expr import Const, Expr
from tts_lang.plan.graph import Amount, Decoding, Exit, Operation, Plan, Region, Unit, operations

#: Rounds of a loop that are followed one by one; the rest cost what the last of them did.
_ROUNDS = 300
#: Bytes of a token of forced text.
_BYTES = 4.0


def expected(
    plan: Plan, lengths: Lengths, models: Models = UNKNOWN, most: Bounds | None = None
) -> list[Expected]:
    """Means per problem, in the order of `graph.operations(plan.body)`.

    Args:
        plan: A verified plan.
        lengths: Of steps, solutions and problems.
        models: Sizes of models, for FLOPs.
        most: Bounds of the plan, if they are known already.
    """
    walk = _Walk(plan, lengths, models)
    walk.values[plan.body.parameters[0]] = walk.problem(plan.thinks)
    walk.region(plan.body, 1.0)
    costs = [walk.costs[id(operation)] for operation in operations(plan.body)]
    # Intervals know some conditions (`share(P) > 1`) that mean numbers do not.
    limits = bounds(plan, None, None, models) if most is None else most
    for cost, bound in zip(costs, limits.operations, strict=True):
        for name in COSTS:
            limit = getattr(bound.spent, name)
            if limit is not None:
                setattr(cost, name, min(getattr(cost, name), float(limit)))
    return costs


class _Walk:
    def __init__(self, plan: Plan, lengths: Lengths, models: Models) -> None:
        self.lengths = lengths
        self.prompt = DEFAULT_PROMPT if lengths.prompt is None else lengths.prompt
        self.models = models
        self.default = plan.policies[0] if plan.policies else "policy"
        self.opened: dict[tuple[str, int], float] = {}
        self.lanes = 1.0  # calls on rows that run side by side
        self.scorers = {scorer.name: scorer for scorer in plan.scorers}
        self.costs = {id(operation): Expected() for operation in operations(plan.body)}
        self.values: dict[int, Any] = {}

    def problem(self, thinks: bool) -> Pool:
        return Pool(1, prompt=self.prompt, own=2 if thinks else 1)

    def region(self, region: Region, share: float) -> float:
        """Runs a region in a share of all runs; how large the share is that goes on behind it."""
        for operation in region.operations:
            share = self.operation(operation, share)
            if not share:
                return 0.0
        return 0.0 if region.exit is Exit.RETURN else share

    def operation(self, operation: Operation, share: float) -> float:
        self.costs[id(operation)].operations += share
        match operation.spec:
            case graph.Repeat(trips):
                return self.repeat(operation, trips, share)
            case graph.Branch():
                return self.branch(operation, share)
            case graph.Call() as spec:
                pool: Pool = self.values[operation.inputs[0]]
                region = operation.regions[0]
                row = replace(pool, rows=1.0) if spec.on_rows else self.problem(spec.thinks)
                self.values[region.parameters[0]] = row
                lanes, self.lanes = self.lanes, self.lanes * max(1.0, pool.rows)
                self.region(region, share * pool.rows)
                self.lanes = lanes
                result = self.values[region.results[0]] if region.results else row
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
            self.costs[id(operation)].operations += share * rounds
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
            self.values[value] = mean(sides) if sides else None
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
                policy, about = spec.decoding.policy, pool.rows if spec.together else 1.0
                prompt = self.prompt + about * pool.length
                self.spend(operation, share, rows, drawn)
                self.prefill(operation, policy, share * asked, prompt, prompt)
                self.reuse(operation, policy, share * rows, prompt, drawn)
                roots = min(rows, pool.roots)
                mine = {policy: drawn}
                return Pool(rows, drawn, pool.rows, roots, prompt=prompt, own=0, mine=mine)
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
                return together(pools[0], pools[1])
            case graph.Difference():
                return pool.sized(max(0.0, pool.rows - pools[1].rows))
            case graph.Force(text):
                said = text.value if isinstance(text, Const) else ""
                tokens = len(str(said).encode()) / _BYTES
                return replace(pool, forced=pool.forced + tokens)
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
        policy = spec.decoding.policy
        self.spend(operation, share, rows, drawn)
        self.go_on(operation, policy, pool, (share * pool.rows, share * rows), drawn)
        roots = rows if pool.tokens == 0 and pool.rows == 1 else min(rows, pool.roots)
        return replace(
            pool,
            rows=rows,
            tokens=pool.tokens + drawn,
            parents=min(rows, pool.rows),
            roots=roots,
            mine={**pool.mine, policy: pool.length + drawn},
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
        cost = self.costs[id(operation)]
        if scorer.field is not None:
            cost.scorer_calls += share * pool.rows
            return pool
        ahead = self.count(operation, spec.ahead, 0.0) * self.lengths.step
        ahead = max(0.0, min(ahead, self.lengths.solution - pool.tokens))
        if ahead:
            rows = share * pool.rows
            self.spend(operation, share, pool.rows, ahead)
            self.go_on(operation, self.default, pool, (rows, rows), ahead)
        times = self.count(operation, spec.times, 1)
        if scorer.judge is not None:
            policy = scorer.judge.decoding.policy
            asked = self.groups(pool, spec.per) if scorer.together else pool.rows
            asked = pool.rows * max(0.0, pool.rows - 1) if scorer.judge.pairwise else asked
            readings = share * asked * times
            drawn = self.count(operation, scorer.judge.decoding.max_tokens, self.lengths.solution)
            drawn = 1.0 if scorer.judge.read == "probability" else drawn
            seen = pool.rows if scorer.together else 1.0
            prompt = self.prompt + min(seen, 2.0 if scorer.judge.pairwise else seen) * pool.length
            self.spend(operation, share, asked * times, drawn)
            self.prefill(operation, policy, readings, prompt, prompt)
            self.reuse(operation, policy, readings, prompt, drawn)
            return pool
        length = pool.length + ahead
        before = pool.read.get(scorer.name, 0.0) if scorer.steps else 0.0
        new, reads = max(0.0, length - before), share * pool.rows * times
        cost.whole_scorer_tokens += reads * length
        if scorer.steps and not new:  # every step has been scored before
            return pool
        cost.scorer_calls += reads
        cost.scorer_tokens += reads * new
        cost.rounds += share / self.lanes if reads else 0.0
        model = self.models.of_scorer(scorer.name)
        if model is not None:
            cost.flops += reads * model.flops(new, attended(new, self.prompt + length))
        return replace(pool, read={**pool.read, scorer.name: pool.length})

    # ------------------------------------------------------------------ what policies do

    def spend(self, operation: Operation, share: float, calls: float, tokens: float) -> None:
        """Calls in a share of all runs, all at once; `tokens` sampled in each."""
        cost = self.costs[id(operation)]
        cost.policy_calls += share * calls
        cost.sampled_tokens += share * calls * tokens
        cost.rounds += share / self.lanes if calls else 0.0

    def go_on(
        self,
        operation: Operation,
        policy: str,
        pool: Pool,
        counts: tuple[float, float],
        drawn: float,
    ) -> None:
        """Calls that go on from rows of a pool: `counts` are those of rows and of calls."""
        rows, calls = counts
        start = pool.prompt + pool.length
        share = min(1.0, calls)
        for kind in (1, 2):
            if pool.own & kind:  # each policy reads the problem once
                before = self.opened.get((policy, kind), 0.0)
                self.opened[policy, kind] = min(1.0, before + share)
                new = self.opened[policy, kind] - before
                self.prefill(operation, policy, new, pool.prompt, pool.prompt)
        self.prefill(operation, policy, rows, pool.length - pool.mine.get(policy, 0.0), start)
        self.reuse(operation, policy, calls, start, drawn)

    def prefill(
        self, operation: Operation, policy: str, times: float, tokens: float, end: float
    ) -> None:
        """Tokens that a policy reads, the last of a context of `end` tokens."""
        tokens = max(0.0, tokens)
        cost = self.costs[id(operation)]
        cost.prefilled_tokens += times * tokens
        cost.cached_tokens -= times * tokens
        model = self.models.of_policy(policy)
        if model is not None:
            cost.flops += times * model.flops(tokens, attended(tokens, end))

    def reuse(
        self, operation: Operation, policy: str, calls: float, start: float, drawn: float
    ) -> None:
        """Calls behind so many tokens; what of these has to be read is taken off in `prefill`."""
        cost = self.costs[id(operation)]
        cost.cached_tokens += calls * start
        model = self.models.of_policy(policy)
        if model is not None:
            cost.flops += calls * model.flops(drawn, attended(drawn, start + drawn))


def _share(flag: Truth) -> float:
    """How often a condition holds: half of the time where nothing is known."""
    return 0.5 if flag is None else float(flag is True)
