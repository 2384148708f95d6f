"""What is known at a point of a plan, and what follows from a condition being true or false."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TypeAlias

from tts_lang.explain.calls import Ledger
from tts_lang.explain.cost import Pool
from tts_lang.explain.interval import ANYTHING, INFINITY, Interval, Reading, evaluate
from tts_lang.explain.transfer import Sight
from tts_lang.plan.expr import Aggregate, Apply, Expr, Input
from tts_lang.plan.graph import Operation, Plan, Scorer

Known: TypeAlias = Pool | Interval
#: Numbers from the first to the second; without these two themselves if the third says so.
Range: TypeAlias = tuple[float, float, bool]

#: Conditions nested deeper than this are not taken apart; that only loosens bounds.
_DEEPEST = 40

_INVERSE = {"<": ">=", ">=": "<", ">": "<=", "<=": ">"}
_MIRROR = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}


class State:
    """What is known of every value, the newest execution of its operation each.

    Narrowing by a condition is undone with `undo(mark)` when its region has been left.
    """

    def __init__(self, plan: Plan, ledger: Ledger) -> None:
        self.context = ledger.context
        self.ledger = ledger
        self.scorers: Mapping[str, Scorer] = {scorer.name: scorer for scorer in plan.scorers}
        self.values: dict[int, Known] = {}
        self.executions: dict[int, int] = {}
        self.meanings: dict[int, tuple[Expr, tuple[int, ...]]] = {}
        self._trail: list[tuple[int, Known]] = []

    def pool(self, value: int) -> Pool:
        """What is known of a pool."""
        known = self.values[value]
        return known if isinstance(known, Pool) else Pool()

    def number(self, value: int) -> Interval:
        """What is known of a number, text or flag."""
        known = self.values[value]
        return known if isinstance(known, Interval) else ANYTHING

    def reading(self, inputs: tuple[int, ...]) -> Reading:
        """How an operation with these inputs reads its expressions."""

        def rows(index: int) -> tuple[float, float]:
            pool = self.pool(inputs[index])
            return pool.low, pool.high

        return Reading(rows, lambda index: self.number(inputs[index]), self.scorers, self.context)

    def sight(self, operation: Operation) -> Sight:
        """What the operation's rule sees."""
        pools = [self.values[value] for value in operation.inputs]
        return Sight(
            tuple(pool for pool in pools if isinstance(pool, Pool)),
            self.reading(operation.inputs),
            self.ledger,
            tuple((value, self.executions.get(value, 0)) for value in operation.inputs),
        )

    # -------------------------------------------------------------------------- conditions

    def mark(self) -> int:
        """A point to come back to with `undo`."""
        return len(self._trail)

    def undo(self, mark: int) -> None:
        """Forgets what conditions have told since the mark."""
        while len(self._trail) > mark:
            value, known = self._trail.pop()
            self.values[value] = known

    def assume(self, flag: int, truth: bool) -> None:
        """Narrows what is known by a flag being true, or being false or missing."""
        meaning = self.meanings.get(flag)
        if meaning is not None:
            self._assume(meaning[0], meaning[1], truth, 0)

    def _set(self, value: int, known: Known) -> None:
        self._trail.append((value, self.values[value]))
        self.values[value] = known

    def _assume(self, node: Expr, inputs: tuple[int, ...], truth: bool, depth: int) -> None:
        if depth > _DEEPEST:
            return
        match node:
            case Input(index):
                meaning = self.meanings.get(inputs[index])
                if meaning is not None:
                    self._assume(meaning[0], meaning[1], truth, depth + 1)
            case Apply("not", (inner,)):
                self._assume(inner, inputs, not truth, depth + 1)
            case Apply("and" | "or" as how, parts):
                if truth == (how == "and"):  # both hold, or neither does
                    for part in parts:
                        self._assume(part, inputs, truth, depth + 1)
            case Apply("<" | "<=" | ">" | ">=" as how, (left, right)):
                self._compare(how, left, right, inputs, truth, depth)
            case Apply("==", (left, right)) if truth:
                self._compare("<=", left, right, inputs, True, depth)
                self._compare(">=", left, right, inputs, True, depth)
            case Aggregate("any done" | "all done" as how):
                # Over no rows `any` is false and `all` is true (C37).
                if truth == (how == "any done"):
                    self._rows(inputs[node.pool], (1, INFINITY, False))

    def _compare(
        self, how: str, left: Expr, right: Expr, inputs: tuple[int, ...], truth: bool, depth: int
    ) -> None:
        reading = self.reading(inputs)
        a, b = evaluate(left, reading), evaluate(right, reading)
        if not truth:
            if a.missing or b.missing:
                return  # a comparison with missing is false, and tells nothing
            how = _INVERSE[how]
        self._bound(left, inputs, how, b, depth)
        self._bound(right, inputs, _MIRROR[how], a, depth)

    def _bound(
        self, node: Expr, inputs: tuple[int, ...], how: str, other: Interval, depth: int
    ) -> None:
        """`node` compared with something in the interval `other` is true."""
        strict = how in ("<", ">")
        if how in ("<", "<="):
            self._inside(node, inputs, (-INFINITY, other.high, strict), depth)
        else:
            self._inside(node, inputs, (other.low, INFINITY, strict), depth)

    def _inside(self, node: Expr, inputs: tuple[int, ...], within: Range, depth: int) -> None:
        """`node` is a number within the range."""
        low, high, strict = within
        if depth > _DEEPEST or low != low or high != high:
            return
        reading = self.reading(inputs)
        match node:
            case Input(index):
                value = inputs[index]
                known = self.number(value)
                narrowed = Interval(max(known.low, low), min(known.high, high))
                if narrowed.low <= narrowed.high:
                    self._set(value, narrowed)
                meaning = self.meanings.get(value)
                if meaning is not None:
                    self._inside(meaning[0], meaning[1], within, depth + 1)
            case Aggregate("count", per=None, below=False):
                self._rows(inputs[node.pool], within)
            case Apply("+", (left, right)):
                a, b = evaluate(left, reading), evaluate(right, reading)
                self._inside(left, inputs, (low - b.high, high - b.low, strict), depth + 1)
                self._inside(right, inputs, (low - a.high, high - a.low, strict), depth + 1)
            case Apply("-", (left, right)):
                a, b = evaluate(left, reading), evaluate(right, reading)
                self._inside(left, inputs, (low + b.low, high + b.high, strict), depth + 1)
                self._inside(right, inputs, (a.low - high, a.high - low, strict), depth + 1)
            case Apply("neg", (inner,)):
                self._inside(inner, inputs, (-high, -low, strict), depth + 1)
            case Apply("least", parts):
                for part in parts:
                    self._inside(part, inputs, (low, INFINITY, strict), depth + 1)
            case Apply("greatest", parts):
                for part in parts:
                    self._inside(part, inputs, (-INFINITY, high, strict), depth + 1)

    def _rows(self, value: int, within: Range) -> None:
        """A pool has a number of rows within the range; counts are whole numbers."""
        low, high, strict = within
        pool = self.pool(value)
        if low == INFINITY or high < 0:
            return  # cannot happen in a run; what is known stays as it is
        least, most = pool.low, pool.high
        if low > -INFINITY:
            least = max(least, math.floor(low) + 1 if strict else math.ceil(low))
        if high < INFINITY:
            most = min(most, math.ceil(high) - 1 if strict else math.floor(high))
        if least <= most:
            self._set(value, pool.sized(least, most))
