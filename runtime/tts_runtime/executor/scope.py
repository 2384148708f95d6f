"""One strategy call: its values, its problem row, and counters that start from 0 (C13)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import tts_runtime.randomness as randomness
from tts_lang.plan.graph import Operation
from tts_runtime.executor.nodes import Node
from tts_runtime.executor.pools import Pool, pending_rows, rows_in
from tts_runtime.executor.problem_run import ProblemRun
from tts_runtime.executor.rows import Candidate, Row, Vector
from tts_runtime.executor.scheduler import NumberingBarrier
from tts_runtime.executor.views import View
from tts_runtime.fast_dataclass import fast_dataclass
from tts_runtime.streams import Key

#: Rows that are expanded between two looks at which pools are known.
_OFTEN: Final = 64


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


@fast_dataclass(frozen=True, slots=True)
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
        "number_of_call",
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
        self.number_of_call = next(run.calls_made)
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
        # What was drawn here is the only node of its place, until rows come from calls.
        if node.home == self.number_of_call and not self.barrier.strict:
            first = node.made
            node.made = first + many
        else:
            place = node.place
            first = self._children.get(place, 0)
            self._children[place] = first + many
        self._since += 1
        if self._since > _OFTEN:
            self._settle_made()
        return first

    def coming_child(self, node: Node) -> int:
        """The number that the node's next child will have, as things stand."""
        if node.home == self.number_of_call and not self.barrier.strict:
            return node.made
        return self._children.get(node.place, 0)

    def meet_calls(self) -> None:
        """From here on rows may lie on nodes that a call has made, in the place of others."""
        if not self.barrier.strict:
            for node in [candidate.node for candidate in self.candidates()]:
                if node.home == self.number_of_call and node.made:
                    self._children[node.place] = node.made
            self.barrier.strict = True

    def _settle_made(self) -> None:
        """Frees the pools of `made` whose rows are all known."""
        self._since = 0
        while self._settled < len(self.made):
            made = self.made[self._settled]
            if isinstance(made, Pool):
                if made.pending and next(pending_rows(made.items), None) is not None:
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
