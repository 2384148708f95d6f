"""One strategy call: its values, its problem row, and counters that start from 0 (C13).

Children are numbered in program order, whatever the order in which rows become known (C2, C8).
Every execution of an operation that numbers children has a sequence number in its scope. It may
number a node made at `created` at once, unless an operation between the two has rows that are not
known yet: these might lie on the same node, and come first.
"""

from __future__ import annotations

from asyncio import Future, get_running_loop
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeAlias

import tts_runtime.randomness as randomness
from tts_lang.plan.graph import Operation
from tts_runtime.executor.nodes import Node
from tts_runtime.executor.problem_run import ProblemRun
from tts_runtime.executor.rows import Candidate, Row, Vector
from tts_runtime.executor.scheduler import (
    Content,
    Item,
    PendingRow,
    Pool,
    Scheduler,
    append,
    distinct,
    pending_rows,
    rows_in,
)
from tts_runtime.executor.views import View
from tts_runtime.streams import Key

#: Rows that are expanded between two looks at which pools are known.
_OFTEN: Final = 64

# ------------------------------------------------------------------ numbering

#: Numbers a row's children and gives them, or the given pending row, which they then resolve.
NumberChildren: TypeAlias = Callable[[Row, "PendingRow | None"], Content]


class NumberingBarrier:
    """The operations of one scope that have not numbered all their rows yet."""

    __slots__ = ("_open", "_sequence", "_waiting", "_watchers", "strict")

    def __init__(self) -> None:
        self._sequence = 0
        self._open: dict[int, int] = {}
        self._waiting: list[tuple[int, int, Callable[[None], None]]] = []
        self._watchers: list[tuple[int, Future[None]]] = []
        #: Rows may lie on nodes made in calls: wait for all earlier operations.
        self.strict = False

    def enter(self) -> int:
        """The sequence number of one more operation."""
        self._sequence += 1
        return self._sequence

    def ready(self, created: int, sequence: int) -> bool:
        """Whether operation `sequence` may number a node made at `created` now."""
        if not self._open:
            return True
        lowest = 0 if self.strict else created
        for earlier in self._open:  # noqa: SIM110  (asked for every row: `any` is slower)
            if lowest < earlier < sequence:
                return False
        return True

    def hold(self, sequence: int) -> None:
        """One more row of this operation waits to be numbered."""
        self._open[sequence] = self._open.get(sequence, 0) + 1

    def wait(self, created: int, sequence: int, numbered: Callable[[None], None]) -> None:
        """Calls `numbered` as soon as the held row may be numbered."""
        self._waiting.append((created, sequence, numbered))

    def release(self, sequence: int, rows: int = 1) -> list[Callable[[None], None]]:
        """Rows have been numbered; gives what may be numbered now."""
        left = self._open[sequence] - rows
        if left:
            self._open[sequence] = left
            return []
        del self._open[sequence]
        woken: list[Callable[[None], None]] = []
        if self._waiting:
            waiting, self._waiting = self._waiting, []
            for created, waiter, numbered in waiting:
                if self.ready(created, waiter):
                    woken.append(numbered)
                else:
                    self._waiting.append((created, waiter, numbered))
        for before, future in self._watchers:
            if not future.done() and self.clear(before):
                future.set_result(None)
        self._watchers = [pair for pair in self._watchers if not pair[1].done()]
        return woken

    def clear(self, before: int) -> bool:
        """Whether every operation before this one has numbered all its rows."""
        return not any(earlier < before for earlier in self._open)

    def cleared(self, before: int) -> Future[None]:
        """Done as soon as `clear(before)`."""
        future: Future[None] = get_running_loop().create_future()
        if self.clear(before):
            future.set_result(None)
        else:
            self._watchers.append((before, future))
        return future


class OrderedNumbering:
    """One execution of an operation that numbers children; takes the next sequence number.

    Where no two rows can share a stream (`Pool.apart`), rows are numbered as they become known;
    otherwise the whole pool is waited for and numbered in row order. The barrier of the scope keeps
    operations in program order.
    """

    __slots__ = ("_barrier", "_make", "_most", "_run", "sequence")

    def __init__(self, run: Scheduler, barrier: NumberingBarrier) -> None:
        self._run = run
        self._barrier = barrier
        self.sequence = barrier.enter()
        self._make: NumberChildren
        self._most = 0

    async def turn(self) -> None:
        """Waits until every earlier operation has numbered all its rows."""
        if not self._barrier.clear(self.sequence):
            await self._run.wait(self._barrier.cleared(self.sequence))

    async def apply(
        self, pool: Pool, make: NumberChildren, *, in_order: bool = False, most: int = 0
    ) -> Pool:
        """Replaces every row by its children; `in_order`: `make` must see rows in pool order.

        `most`: one row gives at most this many; 0: unknown.
        """
        if not in_order and pool.apart and (pool.pending or not self._barrier.clear(self.sequence)):
            self._make = make
            self._most = most
            items: list[Item] = []
            for item in pool.items:
                content = self._streamed(item, None)
                self._run.has_gaps |= content is None
                append(items, content)
            return Pool(items, True, True, most=pool.most * most)
        rows = await self._run.rows(pool)
        await self.turn()
        made: list[Item] = []
        for row in rows:
            append(made, make(row, None))
        return Pool(
            made, any(type(item) is PendingRow for item in made), pool.apart or distinct(made)
        )

    def _streamed(self, content: Content, place: PendingRow | None) -> Content:
        """The children, or the pending row that they will resolve: `place`, if given."""
        barrier, sequence = self._barrier, self.sequence
        if type(content) is Row:
            created = content.candidate.created
            if barrier.ready(created, sequence):
                return self._make(content, place)
            barrier.hold(sequence)
            slot = PendingRow(b"", self._most) if place is None else place
            barrier.wait(created, sequence, partial(self._turn_comes, slot, content))
            return slot
        if type(content) is PendingRow:
            if content.resolved:
                return self._streamed(content.content, place)
            barrier.hold(sequence)
            slot = PendingRow(b"", content.most * self._most) if place is None else place
            content.then(partial(self._known, slot))
            return slot
        if content is None:
            return None
        assert isinstance(content, list)
        items: list[Item] = []
        for item in content:
            append(items, self._streamed(item, None))
        return items

    def _known(self, slot: PendingRow, content: Content) -> None:
        self._made(slot, self._streamed(content, slot))

    def _turn_comes(self, slot: PendingRow, row: Row, _: None) -> None:
        self._made(slot, self._make(row, slot))

    def _made(self, slot: PendingRow, content: Content) -> None:
        if content is not slot:
            self._run.resolve(slot, content)
        woken = self._barrier.release(self.sequence)
        if woken:
            self._run.call_back(woken)


# ------------------------------------------------------------------ calls


@dataclass(frozen=True, slots=True)
class PoolWaits:
    """An operation waits for a pool of which some rows are still pending.

    `expanded`: whether it has continued with a row already.
    """

    scope: Scope
    pool: Pool
    expanded: Callable[[Row], bool] = lambda _: False


@dataclass(frozen=True, slots=True)
class PoolKnown:
    """The wait for a pool has ended, with all of its rows or with an error."""

    scope: Scope
    pool: Pool


@dataclass(frozen=True, slots=True)
class Decided:
    """An operation has decided which rows continue.

    One event per execution; `where` decides row by row, as rows become known, in an event each.

    Args:
        scope: The strategy call.
        operation: `select`, `where`, `vote`, `resample`, `dedupe`, `first`, `sort` or `descend`.
        round: Numbers of the rounds of the loops around it in this call, the outermost first.
        rows: What it decided about, in pool order. A vote or `first` that ended early has seen
            only these.
        kept: Places in `rows` of the rows that it gives, in their order; one that it gives twice
            is there twice.
        groups: Places of each group's rows; all rows are one group without `per`.
        values: What it went by, one per row: the value of `by` (of `resample`, its weights), the
            condition, the class or key (`None`: the row abstains, or equals no other).
        weights: Of the votes, one per row.
    """

    scope: Scope
    operation: Operation
    round: tuple[int, ...]
    rows: Sequence[Row]
    kept: Sequence[int]
    groups: Sequence[Sequence[int]]
    values: Sequence[Any] | None = None
    weights: Sequence[float] | None = None


@dataclass(frozen=True, slots=True)
class Scored:
    """A row has a score column; its candidate's `errors` say why where it has no number.

    `column`: as in `Row.scores`, of which the first `known` numbers were known before.
    """

    run: ProblemRun
    operation: Operation
    row: Row
    scorer: str
    column: float | Vector | None
    known: int = 0


@dataclass(frozen=True, slots=True)
class JudgeReplied:
    """A judge's words about some rows, and the numbers read from them; `None`: unreadable."""

    run: ProblemRun
    scorer: str
    rows: Sequence[Row]
    reply: str
    numbers: Sequence[float | None] | None


@dataclass(frozen=True, slots=True)
class StrategyReturned:
    """A strategy call has returned: its answer is the first row's."""

    scope: Scope
    rows: Sequence[Row]


class Scope:
    """The state of one strategy call.

    Args:
        run: The problem.
        problem: What the strategy has for its problem.
        thinks: It asks a policy's thinking conversation.
        values: The plan's values, by number.
        caller: The row that it is called on, in the scope of its caller.
        answers: What it returns is the problem's answer.

    `made` lists, in program order, what made candidates: pools, of which only the candidates are
    kept once they are all known, and calls (their input pool and the scope of each row's run).
    """

    __slots__ = (
        "_children",
        "_copies",
        "_draws",
        "_fresh",
        "_resamplings",
        "_settled",
        "_since",
        "answers",
        "barrier",
        "caller",
        "made",
        "problem",
        "round",
        "run",
        "thinks",
        "values",
    )

    def __init__(
        self,
        run: ProblemRun,
        problem: Row,
        thinks: bool,
        values: list[Any],
        caller: Row | None = None,
        answers: bool = False,
    ) -> None:
        self.run = run
        self.problem = problem
        self.thinks = thinks
        self.values = values
        self.caller = caller
        self.answers = answers
        #: Numbers of the rounds of the loops that are running, the outermost first.
        self.round: tuple[int, ...] = ()
        self.barrier = NumberingBarrier()
        self.made: list[Pool | list[Candidate] | Calls] = []
        self._settled = 0  # of `made`, those from the first on whose candidates are known
        self._since = 0  # rows that have been expanded since they were last looked at
        self._children: dict[tuple[Key, Key, bytes, int, int], int] = {}
        self._copies: dict[Key, int] = {}
        self._draws: dict[Key, int] = {}
        self._fresh: dict[str, int] = {}
        self._resamplings: dict[tuple[tuple[Key, int], ...], int] = {}

    def next_children(self, node: Node, many: int) -> int:
        """The number of the first of `many` further children of a node (C2)."""
        place = node.place
        first = self._children.get(place, 0)
        self._children[place] = first + many
        self._since += 1
        if self._since > _OFTEN:
            self._settle_made()
        return first

    def coming_child(self, node: Node) -> int:
        """The number that the node's next child will have, as things stand."""
        return self._children.get(node.place, 0)

    def _settle_made(self) -> None:
        """Frees the pools of `made` whose rows are all known."""
        self._since = 0
        while self._settled < len(self.made):
            made = self.made[self._settled]
            if isinstance(made, Pool):
                if next(pending_rows(made.items), None) is not None:
                    return
                self.made[self._settled] = [row.candidate for row in rows_in(made.items)]
            self._settled += 1

    def next_copy(self, candidate: Candidate) -> Key:
        """The lane of one more copy of a row."""
        lane = candidate.lane
        copy = self._copies.get(lane, 0)
        self._copies[lane] = copy + 1
        return randomness.copy_lane(lane, copy)

    def draw_key(self, row: Row) -> Key:
        """The key of the row's next random number."""
        lane = row.candidate.lane
        draw = self._draws.get(lane, 0)
        self._draws[lane] = draw + 1
        return randomness.draw_key(self.run.root_key, lane, draw)

    def next_fresh(self, strategy: str) -> int:
        """How many fresh calls of a strategy came before (C65)."""
        number = self._fresh.get(strategy, 0)
        self._fresh[strategy] = number + 1
        return number

    def next_resampling(self, rows: tuple[tuple[Key, int], ...]) -> int:
        """How often this list of rows has been resampled before (C12)."""
        draw = self._resamplings.get(rows, 0)
        self._resamplings[rows] = draw + 1
        return draw

    async def settled(self, inputs: Sequence[Any]) -> list[Any]:
        """The inputs, pools as lists of rows, once all rows are known."""
        return [await self._rows(value) if isinstance(value, Pool) else value for value in inputs]

    async def _rows(self, pool: Pool) -> list[Row]:
        if not pool.pending:
            return await self.run.rows(pool)
        with self._waiting(pool):
            return await self.run.rows(pool)

    async def some(self, pool: Pool, test: Callable[[Row], bool]) -> bool:
        """Whether a row of a pool passes a test, as soon as one that does is known."""
        with self._waiting(pool):
            return await self.run.some(pool, test)

    @contextmanager
    def _waiting(self, pool: Pool) -> Iterator[None]:
        events = self.run.events
        for waits in events.listeners(PoolWaits):
            waits(PoolWaits(self, pool))
        try:
            yield
        finally:
            for known in events.listeners(PoolKnown):
                known(PoolKnown(self, pool))

    def decided(
        self,
        operation: Operation,
        rows: Sequence[Row],
        kept: Sequence[int],
        groups: Sequence[Sequence[int]],
        values: Sequence[Any] | None = None,
        weights: Sequence[float] | None = None,
    ) -> Pool:
        """The rows that an operation has decided to keep; emits `Decided`."""
        for listener in self.run.events.listeners(Decided):
            listener(Decided(self, operation, self.round, rows, kept, groups, values, weights))
        return Pool([rows[place] for place in kept])

    async def view(self, inputs: Sequence[Any], whole: bool) -> View:
        """A view of the inputs for row-wise work; `whole`: waits for all rows of the pools."""
        if not whole:
            return View(self.draw_key, inputs)
        settled = await self.settled(inputs)
        rows = settled[0] if settled and isinstance(settled[0], list) else None
        return View(self.draw_key, settled, rows)

    def number(self) -> list[Candidate]:
        """Gives all candidates their numbers, in program order from 1, and returns them.

        What a call has for its problem has the number of the row that it runs on.
        """
        candidates = self.candidates()
        for uid, each in enumerate(candidates, 1):
            each.uid = uid
        self._stand_in()
        return candidates

    def _stand_in(self) -> None:
        for made in self.made:
            if isinstance(made, Calls):
                for caller, inner in made.scopes.items():
                    inner.problem.candidate.uid = caller.uid
                    inner._stand_in()

    def candidates(self) -> list[Candidate]:
        """All candidates of this scope and of its calls, in program order, once each."""
        found: dict[Candidate, None] = {}
        for made in self.made:
            if isinstance(made, Calls):
                for row in rows_in(made.pool.items):
                    inner = made.scopes.get(row.candidate)
                    if inner is not None:
                        found.update(dict.fromkeys(inner.candidates()))
                    result = made.results.get(row.candidate)
                    if result is not None:
                        found[result.candidate] = None
            elif isinstance(made, Pool):
                found.update((row.candidate, None) for row in rows_in(made.items))
            else:
                found.update(dict.fromkeys(made))
        return [candidate for candidate in found if candidate.operation is not None]


class Calls:
    """The runs of a strategy on the rows of a pool, and what they gave."""

    __slots__ = ("pool", "results", "scopes")

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.scopes: dict[Candidate, Scope] = {}
        self.results: dict[Candidate, Row] = {}
