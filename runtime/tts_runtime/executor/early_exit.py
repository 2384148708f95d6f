"""Choices that are made before their pool is complete (C45, C58, C74).

`tts_lang.optimise.early_exit` finds them in a plan; nothing else decides what may end early. The
handlers here stop waiting as soon as they know enough; the program of the other operations is the
same with and without them. A vote is counted until nothing can change its winner: the elected
answer is that of the full vote, and the row that stands for it is the earliest of its class.
"""

from __future__ import annotations

import asyncio
from asyncio import Future
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from math import inf, isfinite
from typing import Any, Final, TypeAlias

from tts_lang.explain.interval import Interval, IntervalReading, evaluate
from tts_lang.optimise.early_exit import EarlyExits
from tts_lang.plan.expr import Column, Const, Expr, Reduce
from tts_lang.plan.graph import First, Scorer, Select, Vote
from tts_lang.plan.reads import draws
from tts_lang.values import LARGEST
from tts_runtime.executor.pools import Content, Item, PendingRow, Pool, rows_in
from tts_runtime.executor.problem_run import ProblemRun
from tts_runtime.executor.program import HANDLERS, Action, Builder, Handler
from tts_runtime.executor.rows import Row
from tts_runtime.executor.scope import Scope
from tts_runtime.executor.views import View, weight_of

# ------------------------------------------------------------------ counting

#: A row's class (missing: it abstains) and weight.
VoteKey: TypeAlias = Callable[[Row], tuple[Any, float]]

#: Reductions that give one of the scores, so that they stay in the scorer's range bit for bit.
_CHOOSING: Final = ("last", "first", "min", "max")

#: What rounding may add to a weight that is computed from scores in their range.
_ROUNDING: Final = Fraction(1, 2**32)


def max_weight(
    weight: Expr | None, inputs: Sequence[Any], scorers: Mapping[str, Scorer], context: int
) -> Fraction | None:
    """The largest weight that a row can have, by interval arithmetic; `None` if nothing bounds it.

    Nothing does, for this purpose, if a weight may be negative.

    Args:
        weight: Needs one row only (`reads.needs_pool`); absent: every row weighs 1.
        inputs: The operation's inputs, for the numbers among them.
        scorers: With their declared ranges, which the executor enforces.
        context: Longest path, in tokens.
    """
    if weight is None:
        return Fraction(1)

    def number(index: int) -> Interval:
        value = inputs[index]
        if isinstance(value, bool | int | float):
            return Interval(value, value)
        return Interval(-inf, inf, True)

    found = evaluate(weight, IntervalReading(lambda _: (0, inf), number, scorers, context))
    if found.low < 0 or not isfinite(found.high):
        return None
    plain = isinstance(weight, Const | Column) or (
        isinstance(weight, Reduce) and weight.how in _CHOOSING
    )
    high = Fraction(max(0.0, found.high))
    return high if plain else high * (1 + _ROUNDING)


def _rounded(votes: Fraction) -> float:
    """As the full vote compares it (`values.votes`)."""
    return float(votes) if votes < LARGEST else float(LARGEST)


class _Sums:
    """Exact sums of weights (>= 0) by class, and the largest two of them."""

    def __init__(self) -> None:
        self._sums: dict[Any, Fraction] = {}
        self._first: Any = None
        self._second: Any = None

    @property
    def largest(self) -> Fraction:
        """The largest; 0 if there is none."""
        return self._sums.get(self._first, Fraction(0))

    @property
    def second(self) -> Fraction:
        """The largest of another class; 0 if there is none."""
        return self._sums.get(self._second, Fraction(0))

    def add(self, key: Any, weight: float) -> None:
        """One more row of a class."""
        self._sums[key] = votes = self._sums.get(key, Fraction(0)) + Fraction(weight)
        if self._first is None:
            self._first = key
        elif key != self._first:
            if votes > self.largest:
                self._first, self._second = key, self._first
            elif self._second is None or votes > self.second:
                self._second = key


class VoteCounter:
    """Counts rows in pool order, until the winner is known or all rows are.

    Rows that come early wait for those before them: which of them count, and so what the vote
    costs, is then a matter of the rows alone (C66). Where the pool's requests can wait, only those
    are made without which no outcome decides the vote.
    """

    def __init__(self, run: ProblemRun, pool: Pool, vote_key: VoteKey, most: Fraction) -> None:
        self._run = run
        self._demand = pool.demand
        self._items = pool.items
        #: Where requests can wait: rows that are asked for, of these known, and their sums.
        self._asked = self._known = 0
        self._arrived = _Sums()
        self._vote_key = vote_key
        self._most = most
        #: What has been counted.
        self.rows: list[Row] = []
        self.keys: list[Any] = []
        self.weights: list[float] = []
        #: Of the counted rows: exact sums, the first row of each class, and the class that leads.
        self._sums: dict[Any, Fraction] = {}
        self._first: dict[Any, Row] = {}
        self._places: dict[Any, int] = {}
        self._leader: Any = None
        #: A class that may still win over it, as far as was known when it was last looked at.
        self._rival: Any = None
        #: Places that have not been looked into, the next one last.
        self._left = list(reversed(pool.items))
        self._rows = 0  # rows that these turn out to be, at most
        self._unknown = 0  # those of which nobody knows how many rows they will be
        for item in self._left:
            self._expect(item, 1)
        if self._demand is not None and self._unknown:
            self._demand.reach(None)
            self._demand = None
        self._over: Future[None] = asyncio.get_running_loop().create_future()

    async def winner(self) -> Row | None:
        """The earliest row of the elected class; `None` if all abstain."""
        run = self._run
        self._continue(None)
        await run.wait(self._over)
        # Where all rows were needed, and no place is missing, there was nothing to stop.
        run.ended_early |= bool(self._left) or run.has_gaps
        if self._left:
            run.settle(self._left)
        return None if self._leader is None else self._first[self._leader]

    def _expect(self, item: Item, sign: int) -> None:
        most = 1 if type(item) is Row else item.most  # type: ignore[union-attr]
        self._rows += sign * most
        self._unknown += sign * (not most)

    def _continue(self, _content: Content, _target: None = None, _about: None = None) -> None:
        """Counts the rows that are known, up to the first place that is not."""
        while self._left and not self._decided():
            item = self._left[-1]
            if type(item) is PendingRow and not item.resolved:
                item.then(self._continue)
                self._ask(len(self._items) - len(self._left) + 1)
                return
            self._left.pop()
            self._expect(item, -1)
            if type(item) is Row:
                self._count(item)
                continue
            assert isinstance(item, PendingRow)
            content = item.content
            for each in reversed(content) if isinstance(content, list) else (content,):
                if each is not None:
                    self._left.append(each)
                    self._expect(each, 1)
        if not self._over.done():
            self._over.set_result(None)

    # ------------------------------------------------------------------ requests

    def _ask(self, least: int = 0) -> None:
        """Has rows generated: the first `least`, and all that any outcome needs.

        The best that can happen is that every row to come votes for the leader. Ties are left to
        `_decided`: it asks for one more row where they matter.
        """
        if self._demand is None or self._over.done():
            return
        leader, rival = self._arrived.largest, self._arrived.second
        places = len(self._items)
        needed, enough = max(least, self._asked), places
        while needed < enough:
            middle = (needed + enough) // 2
            others = rival + (places - middle) * self._most
            if _rounded(others) <= _rounded(leader + (middle - self._known) * self._most):
                enough = middle
            else:
                needed = middle + 1
        if needed > self._asked:
            new = self._items[self._asked : needed]
            self._asked = needed
            self._demand.reach(needed)
            for item in new:
                if type(item) is PendingRow and not item.resolved:
                    item.then(self._row_arrived)
                else:
                    self._row_arrived(item.content if isinstance(item, PendingRow) else item)

    def _row_arrived(self, content: Content, _target: None = None, _about: None = None) -> None:
        """A row that was asked for is known, perhaps before those in front of it."""
        self._known += 1
        if type(content) is Row:
            key, weight = self._vote_key(content)
            if key is not None:
                self._arrived.add(key, weight)
        self._ask()

    def _count(self, row: Row) -> None:
        key, weight = self._vote_key(row)
        self.rows.append(row)
        self.keys.append(key)
        self.weights.append(weight)
        if key is None:
            return
        self._sums[key] = votes = self._sums.get(key, Fraction(0)) + Fraction(weight)
        self._first.setdefault(key, row)
        place = self._places.setdefault(key, len(self._places))
        # Sums only grow, so that no class but this one can come to lead: the earliest of the
        # heaviest does.
        leader = self._leader
        if leader is None:
            self._leader = key
        elif key != leader:
            level, mine = _rounded(self._sums[leader]), _rounded(votes)
            if mine > level or (mine == level and place < self._places[leader]):
                self._leader = key

    def _decided(self) -> bool:
        """Whether no outcome of the rows that are left elects another class.

        The full vote compares sums that are rounded once, and rounding keeps order: so what is
        compared here are the leader's sum so far and its rivals' largest possible sums, each exact
        and then rounded. A rival that may draw level loses if its first row comes later, as that of
        every class does that has not been seen yet.
        """
        leader = self._leader
        if leader is None or self._unknown:
            return False
        most = self._most * self._rows
        level = _rounded(self._sums[leader])
        if _rounded(most) > level:
            return False

        def may_win(key: Any) -> bool:
            if key == leader:
                return False
            rival = _rounded(self._sums[key] + most)
            return rival > level or (rival == level and self._places[key] < self._places[leader])

        # The one that could win a row ago mostly can still: few rows look at every class.
        if self._rival is None or not may_win(self._rival):
            self._rival = next(filter(may_win, self._sums), None)
        return self._rival is None


# ------------------------------------------------------------------ handlers


def handlers(exits: EarlyExits) -> dict[int, Handler]:
    """Handlers of the operations that may end early, by the value that they give."""
    return {
        **dict.fromkeys(exits.votes, _vote),
        **{
            value: _first(source, final=value in exits.final)
            for value, source in exits.firsts.items()
        },
        **dict.fromkeys(exits.shortest, _shortest),
    }


def _vote(builder: Builder, spec: Vote) -> Action:
    """A vote that is counted as rows arrive, until its winner is known."""
    compiler, operation, program = builder.compiler, builder.operation, builder.program
    on, weight = compiler.column(spec.on), compiler.optional(spec.weight)
    context = max(policy.context for policy in builder.policies.values())
    scorers = {scorer.name: scorer for scorer in program.plan.scorers}
    drawing = spec.weight is not None and draws(spec.weight)
    full_vote = HANDLERS[Vote](builder, spec)

    async def action(scope: Scope, inputs: Sequence[Any]) -> Any:
        most = max_weight(spec.weight, inputs, scorers, context)
        if most is None:
            return await full_vote(scope, inputs)
        view = View(scope.draw_key, inputs)
        pool: Pool = inputs[0]
        if drawing and pool.demand is not None:  # in pool order, each number once
            pool.demand.reach(None)
            pool.demand = None

        def vote_key(row: Row) -> tuple[Any, float]:
            value = 1.0 if weight is None else weight_of(weight(row, view), row, 0, operation)
            return on(row, view), value

        vote = VoteCounter(scope.run, pool, vote_key, most)
        winner = await vote.winner()
        rows = vote.rows
        kept = () if winner is None else (rows.index(winner),)
        groups = (range(len(rows)),)
        return (scope.decided(operation, rows, kept, groups, vote.keys, vote.weights),)

    return action


def _shortest(builder: Builder, spec: Select) -> Action:
    """The shortest rows: as many as are kept are generated whole, then as many again, and so on,
    none longer than the shortest so far."""
    assert spec.count is not None
    count, full_select = builder.compiler.compile(spec.count), HANDLERS[Select](builder, spec)

    async def action(scope: Scope, inputs: Sequence[Any]) -> Any:
        pool: Pool = inputs[0]
        view = View(scope.draw_key, inputs)
        kept = max(1, view.whole(count(scope.problem, view)))
        demand, places = pool.demand, len(pool.items)
        reached, fewer = 0, None
        while demand is not None and reached < places:
            reached = min(places, max(kept, 2 * reached))
            demand.reach(reached, fewer)
            asked = pool.items[:reached]
            await scope.run.known(asked)
            # One that failed has no length of its own to stop others with (C57, C64).
            ended = [row.node for row in rows_in(asked) if row.node.error is None]
            lengths = sorted(node.tokens for node in ended)
            fewer = lengths[kept - 1] if len(lengths) >= kept else None
        return await full_select(scope, inputs)

    return action


def _first(source: int, *, final: bool) -> Handler:
    """`first` without waiting for the rows after: children of value `source` are abandoned."""

    def handler(builder: Builder, spec: First) -> Action:
        count, operation = builder.compiler.compile(spec.count), builder.operation

        async def action(scope: Scope, inputs: Sequence[Any]) -> Sequence[Any]:
            run = scope.run
            view = View(scope.draw_key, inputs)
            many = max(0, view.whole(count(scope.problem, view)))
            run.ended_early = True
            rows = await run.leading(inputs[0], many)
            if final:
                run.settle(inputs[0].items)
            else:
                run.abandon(scope.values[source])
            places = range(len(rows))
            return (scope.decided(operation, rows, places, (places,)),)

        return action

    return handler
