"""One strategy call: its values, its problem row, and counters that start from 0 (C13)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tts_runtime import randomness
from tts_runtime.executor.child_numbering import NumberingBarrier
from tts_runtime.executor.model import Candidate, Node, Row
from tts_runtime.executor.problem_run import ProblemRun
from tts_runtime.executor.scheduler import Pool, rows_in
from tts_runtime.executor.views import View
from tts_runtime.streams import Key


@dataclass(frozen=True, slots=True)
class PoolWaits:
    """An operation waits for a pool of which some rows are still pending."""

    scope: Scope
    pool: Pool


@dataclass(frozen=True, slots=True)
class PoolKnown:
    """The wait for a pool has ended, with all of its rows or with an error."""

    scope: Scope
    pool: Pool


class Scope:
    """The state of one strategy call.

    `made` lists, in program order, what made candidates: pools, and calls (their input pool and the
    scope of each row's run).
    """

    __slots__ = (
        "_children",
        "_copies",
        "_draws",
        "_fresh",
        "_resamplings",
        "barrier",
        "made",
        "problem",
        "run",
        "thinks",
        "values",
    )

    def __init__(self, run: ProblemRun, problem: Row, thinks: bool, values: list[Any]) -> None:
        self.run = run
        self.problem = problem
        self.thinks = thinks
        self.values = values
        self.barrier = NumberingBarrier()
        self.made: list[Pool | Calls] = []
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
        return first

    def coming_child(self, node: Node) -> int:
        """The number that the node's next child will have, as things stand."""
        return self._children.get(node.place, 0)

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
        run = self.run
        waits = run.events.listeners(PoolWaits) if pool.pending else ()
        if not waits:
            return await run.rows(pool)
        for listener in waits:
            listener(PoolWaits(self, pool))
        try:
            return await run.rows(pool)
        finally:
            for ended in run.events.listeners(PoolKnown):
                ended(PoolKnown(self, pool))

    async def view(self, inputs: Sequence[Any], whole: bool) -> View:
        """A view of the inputs for row-wise work; `whole`: waits for all rows of the pools."""
        if not whole:
            return View(self.draw_key, inputs)
        settled = await self.settled(inputs)
        rows = settled[0] if settled and isinstance(settled[0], list) else None
        return View(self.draw_key, settled, rows)

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
            else:
                found.update((row.candidate, None) for row in rows_in(made.items))
        return [candidate for candidate in found if candidate.operation is not None]


class Calls:
    """The runs of a strategy on the rows of a pool, and what they gave."""

    __slots__ = ("pool", "results", "scopes")

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.scopes: dict[Candidate, Scope] = {}
        self.results: dict[Candidate, Row] = {}
