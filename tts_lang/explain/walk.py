"""Runs a plan abstractly: regions, branches, calls; `loops` has the loops."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tts_lang.explain.calls import Ledger, Prompt
from tts_lang.explain.cost import NOTHING, STATEMENT, Cost, Pool
from tts_lang.explain.interval import evaluate, product
from tts_lang.explain.state import Known, State
from tts_lang.explain.transfer import problem, transfer
from tts_lang.plan import graph
from tts_lang.plan.graph import Exit, Operation, Plan, Region


@dataclass(frozen=True, slots=True)
class Flow:
    """What a region or operation came to.

    Args:
        running: Cost where control goes on behind it; `None` if it never does.
        returned: Greatest cost of the paths that return inside; `None` if none does.
        result: The pool those paths return.
    """

    running: Cost | None
    returned: Cost | None = None
    result: Pool | None = None

    def after(self, spent: Cost) -> Flow:
        """The same after something else."""
        return Flow(
            None if self.running is None else self.running.plus(spent),
            None if self.returned is None else self.returned.plus(spent),
            self.result,
        )

    def either(self, other: Flow) -> Flow:
        """One or the other, whichever it is."""
        return Flow(
            _most(self.running, other.running),
            _most(self.returned, other.returned),
            join(self.result, other.result),
        )

    def without_running(self) -> Flow:
        """Only the paths that return."""
        return replace(self, running=None)


def _most(left: Cost | None, right: Cost | None) -> Cost | None:
    return left if right is None else right if left is None else left.most(right)


def join(left: Pool | None, right: Pool | None) -> Pool | None:
    """Either pool, where both exist."""
    return left if right is None else right if left is None else left.join(right)


@dataclass(frozen=True, slots=True)
class Site:
    """An operation with its place in the order of `graph.operations`, and how far it reaches."""

    index: int
    end: int  # index of the first operation behind it and its regions
    operation: Operation
    regions: tuple[tuple[Site, ...], ...]


def sites(region: Region, start: int = 0) -> tuple[Site, ...]:
    """The operations of a region with their places."""
    found: list[Site] = []
    for operation in region.operations:
        inner: list[tuple[Site, ...]] = []
        end = start + 1
        for nested in operation.regions:
            inside = sites(nested, end)
            end = inside[-1].end if inside else end
            inner.append(inside)
        found.append(Site(start, end, operation, tuple(inner)))
        start = end
    return tuple(found)


class Walk:
    """One abstract run of a plan.

    Attributes:
        rows: Everything a pool was seen to be, by value.
        costs: What each operation spent, over all its executions.
        prompts: Problem prompts that each operation may have been the first to read.
        trips: Rounds that each loop has begun in any of its executions, at most.
        work: Operations interpreted so far.
    """

    def __init__(self, plan: Plan, ledger: Ledger) -> None:
        self.plan = plan
        self.ledger = ledger
        self.state = State(plan, ledger)
        self.sites = sites(plan.body)
        self.costs: list[Cost] = [NOTHING] * (self.sites[-1].end if self.sites else 0)
        self.prompts: dict[int, set[Prompt]] = {}
        self.trips: dict[int, int] = {}
        self.rows: dict[int, Pool] = {}
        self.work = 0

    def run(self) -> tuple[Cost, Pool]:
        """The whole plan: the greatest cost of a run, and what it returns."""
        self.define(self.plan.body.parameters[0], problem(self.plan.thinks))
        flow = self.region(self.plan.body, self.sites)
        return flow.returned or NOTHING, flow.result or Pool()

    def define(self, value: int, known: Known) -> None:
        """A value as its newest execution gives it."""
        self.state.values[value] = known
        self.state.executions[value] = self.state.executions.get(value, 0) + 1
        if isinstance(known, Pool):
            seen = self.rows.get(value)
            self.rows[value] = known if seen is None else seen.join(known)

    def region(self, region: Region, inside: tuple[Site, ...]) -> Flow:
        """A region whose parameters are defined."""
        spent = NOTHING
        returning = Flow(None)
        for site in inside:
            flow = self.operation(site).after(spent)
            returning = returning.either(flow.without_running())
            if flow.running is None:
                return returning
            spent = flow.running
        if region.exit is Exit.RETURN:
            result = self.state.pool(region.results[0])
            return returning.either(Flow(None, spent, result.alone()))
        return replace(returning, running=spent)

    def operation(self, site: Site) -> Flow:
        """One execution of an operation; defines its outputs if control goes on behind it."""
        self.work += 1
        self.costs[site.index] = self.costs[site.index].plus(STATEMENT)
        return self._executed(site).after(STATEMENT)

    def _executed(self, site: Site) -> Flow:
        from tts_lang.explain.loops import repeat

        operation = site.operation
        match operation.spec:
            case graph.Repeat(trips):
                return repeat(self, site, trips)
            case graph.Branch():
                return self.branch(site)
            case graph.Call() as spec:
                return self.call(site, spec)
            case graph.Compute(value):
                output = operation.outputs[0]
                self.state.meanings[output] = (value, operation.inputs)
                self.define(output, evaluate(value, self.state.reading(operation.inputs)))
                return Flow(NOTHING)
        pool, cost = transfer(operation, self.state.sight(operation), self.state.scorers)
        self.costs[site.index] = self.costs[site.index].plus(cost)
        if self.ledger.prompts:
            self.prompts.setdefault(site.index, set()).update(self.ledger.prompts)
            self.ledger.prompts.clear()
        self.define(operation.outputs[0], pool)
        return Flow(cost)

    def branch(self, site: Site) -> Flow:
        """Region 0 if the flag is true, region 1 if it is false or missing (C38)."""
        operation, state = site.operation, self.state
        condition = operation.inputs[0]
        flag = state.number(condition)
        possible = (flag.high > 0, flag.low < 1 or flag.missing)
        total: Flow | None = None
        outputs: list[Known] | None = None
        before, read = self.ledger.read, None
        for truth, side in ((True, 0), (False, 1)):
            if not possible[side]:
                continue
            region = operation.regions[side]
            mark = state.mark()
            state.assume(condition, truth)
            self.ledger.read = before
            flow = self.region(region, site.regions[side])
            if flow.running is not None:
                read = self.ledger.read if read is None else read & self.ledger.read
                given = [state.values[value] for value in region.results]
                outputs = given if outputs is None else either(outputs, given)
            state.undo(mark)
            total = flow if total is None else total.either(flow)
        for value, known in zip(operation.outputs, outputs or (), strict=False):
            self.define(value, known)
        self.ledger.read = before if read is None else read
        return total or Flow(NOTHING)

    def call(self, site: Site, spec: graph.Call) -> Flow:
        """The region once, for as many rows as there may be."""
        operation = site.operation
        pool = self.state.pool(operation.inputs[0])
        before = self.costs[site.index : site.end]
        row = problem(spec.thinks)
        if spec.on_rows:
            asked = min(pool.asked, 1)
            row = pool.alone()._replace(low=1, high=1, problem=True, asked=asked)
            if pool.high > 1:
                self.ledger.nothing_is_first()
        region = operation.regions[0]
        self.define(region.parameters[0], row)
        read = self.ledger.read
        flow = self.region(region, site.regions[0])
        self.ledger.read = read  # the called strategy may have returned before it read anything
        result = (flow.result or Pool()).alone()
        for index, cost in enumerate(before, start=site.index):
            spent = self.costs[index].minus(cost)
            self.costs[index] = cost.plus(spent.side_by_side(pool.high))
        spent = (flow.returned or NOTHING).side_by_side(pool.high)
        high = product(result.high, pool.high)
        # Every run has a tree of its own, and its rows may be done.
        asked = product(result.asked, pool.high)
        out = result._replace(parents=high, roots=high, finished=True, problem=True, asked=asked)
        self.define(operation.outputs[0], out.sized(product(result.low, pool.low), high))
        return Flow(spent)


def either(left: list[Known], right: list[Known]) -> list[Known]:
    """Value by value, either of the two."""
    joined: list[Known] = []
    for a, b in zip(left, right, strict=True):
        if isinstance(a, Pool):
            joined.append(a.join(b) if isinstance(b, Pool) else a)
        else:
            joined.append(b if isinstance(b, Pool) else a.join(b))
    return joined
