"""A vote that is over as soon as nothing can change its winner (C45).

The elected answer is that of the full vote, whatever the order of arrival. So is the row that
stands for it: the earliest of its class, which is why every row before that one is waited for.
"""

from __future__ import annotations

import asyncio
from asyncio import Future
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from functools import partial
from math import inf, isfinite
from typing import Any, Final, TypeAlias

from tts_lang.explain.interval import Interval, Reading, evaluate
from tts_lang.plan.expr import Column, Const, Expr, Reduce
from tts_lang.plan.graph import Scorer
from tts_lang.values import LARGEST
from tts_runtime.executor.model import Row
from tts_runtime.executor.pools import Content, Item, Pool, Slot, settled_rows
from tts_runtime.executor.run import Run

#: A row's class (missing: it abstains) and weight.
Ballot: TypeAlias = Callable[[Row], tuple[Any, float]]

#: Reductions that give one of the scores, so that they stay in the scorer's range bit for bit.
_CHOOSING: Final = ("last", "first", "min", "max")

#: What rounding may add to a weight that is computed from scores in their range.
_ROUNDING: Final = Fraction(1, 2**32)


def heaviest(
    weight: Expr | None, inputs: Sequence[Any], scorers: Mapping[str, Scorer], context: int
) -> Fraction | None:
    """The largest weight that a row can have, by interval arithmetic; `None` if nothing bounds it.

    Nothing does, for this purpose, if a weight may be negative.

    Args:
        weight: Needs one row only (`evaluate.needs_pool`); absent: every row weighs 1.
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

    found = evaluate(weight, Reading(lambda _: (0, inf), number, scorers, context))
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


class Election:
    """Counts rows as they come in, until the winner is known or all rows are."""

    def __init__(self, run: Run, pool: Pool, ballot: Ballot, most: Fraction) -> None:
        self._run = run
        self._items = pool.items
        self._ballot = ballot
        self._most = most
        #: Exact sums of finished rows: nothing is lost by adding in order of arrival.
        self._sums: dict[Any, Fraction] = {}
        self._pending = 0  # rows that are still to come, at most
        self._unknown = 0  # places of which nobody knows how many rows they will be
        self._open = 0  # places that are not known yet
        self._over: Future[None] = asyncio.get_running_loop().create_future()

    async def winner(self) -> Row | None:
        """The earliest row of the elected class; `None` if all abstain."""
        self._add(self._items)
        self._check()
        await self._run.wait(self._over)
        if self._open:
            self._run.settle()
        return self._elected()

    def _add(self, items: Sequence[Item]) -> None:
        for item in items:
            if type(item) is Row:
                self._count(item)
            else:
                assert isinstance(item, Slot)
                if item.resolved:
                    self._enter(item.content)
                else:
                    self._open += 1
                    self._pending += item.most
                    self._unknown += not item.most
                    item.then(partial(self._arrived, item.most))

    def _enter(self, content: Content) -> None:
        if isinstance(content, list):
            self._add(content)
        elif content is not None:
            self._add((content,))

    def _count(self, row: Row) -> None:
        key, weight = self._ballot(row)
        if key is not None:
            self._sums[key] = self._sums.get(key, Fraction(0)) + Fraction(weight)

    def _arrived(self, most: int, content: Content) -> None:
        self._open -= 1
        self._pending -= most
        self._unknown -= not most
        if not self._over.done():
            self._enter(content)
            self._check()

    def _check(self) -> None:
        if not self._over.done() and (
            not self._open or (not self._unknown and self._sums and self._decided())
        ):
            self._over.set_result(None)

    def _decided(self) -> bool:
        """Whether no outcome of the pending rows elects another class.

        The full vote compares sums that are rounded once, and rounding keeps order: so what is
        compared here are the leader's sum so far and its rivals' largest possible sums, each exact
        and then rounded. A rival that may draw level loses if its first row comes later.
        """
        most = self._most * self._pending
        best = max(self._sums.values())
        if _rounded(most) > _rounded(best):
            return False
        rows, _ = settled_rows(self._items)
        # Every class that is first seen behind these rows begins later than the leader does.
        order = list(dict.fromkeys(key for key, _ in map(self._ballot, rows) if key is not None))
        level = _rounded(best)
        leader = next((key for key in order if _rounded(self._sums[key]) == level), None)
        if leader is None:
            return False
        earlier = set(order[: order.index(leader)])
        for key, votes in self._sums.items():
            rival = _rounded(votes + most)
            if key != leader and (rival > level or (rival == level and key in earlier)):
                return False
        return True

    def _elected(self) -> Row | None:
        """The earliest class among the heaviest, and its earliest row."""
        rows, _ = settled_rows(self._items)
        level = max(map(_rounded, self._sums.values()), default=0.0)
        for row in rows:
            key, _ = self._ballot(row)
            if key is not None and _rounded(self._sums[key]) == level:
                return row
        return None
