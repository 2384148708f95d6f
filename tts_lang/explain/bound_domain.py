"""Upper (and lower) bounds: the domain in which numbers are intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from tts_lang.explain.domain import AbstractPool, Domain, Paths, Prompt
from tts_lang.explain.interval import (
    ANYTHING,
    INFINITY,
    Interval,
    IntervalReading,
    evaluate,
    whole,
)
from tts_lang.explain.models import Models
from tts_lang.plan.expr import Aggregate, Apply, Expr, Input
from tts_lang.plan.graph import Plan, Unit

Known: TypeAlias = AbstractPool | Interval
#: Numbers from the first to the second; without these two themselves if the third says so.
Range: TypeAlias = tuple[float, float, bool]

#: Conditions nested deeper than this are not taken apart; that only loosens bounds.
_DEEPEST = 40

_INVERSE = {"<": ">=", ">=": "<", ">": "<=", "<=": ">"}
_MIRROR = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}


class BoundDomain(Domain[Interval]):
    """Figures that no run exceeds. What a condition tells about pools and numbers narrows them
    while its region is walked."""

    worst = True
    unknown = ANYTHING
    followed = 4_000  # about 0.15 s

    def __init__(self, plan: Plan, context: float, prompt: float, models: Models) -> None:
        super().__init__(plan, context, prompt, models)
        self.longest = context
        self.unit_tokens = {Unit.TOKENS: 1}
        self._trail: list[tuple[int, Known]] = []

    # -------------------------------------------------------------------- numbers

    def evaluate(
        self, expression: Expr, inputs: tuple[int, ...], pool: AbstractPool | None = None
    ) -> Interval:
        last = INFINITY if pool is None else max(0.0, pool.rows - 1)
        return evaluate(expression, self.reading(inputs, last))

    def reading(self, inputs: tuple[int, ...], last: float = INFINITY) -> IntervalReading:
        """The interval reading of expressions in an operation with these inputs."""

        def rows(index: int) -> tuple[float, float]:
            pool = self.pool(inputs[index])
            return pool.least, pool.rows

        return IntervalReading(
            rows, lambda index: self.number(inputs[index]), self.scorers, self.context, last
        )

    def count(self, number: Interval, otherwise: float) -> tuple[float, float]:
        return whole(number)

    def limit(self, number: Interval, otherwise: float) -> float:
        return INFINITY if number.missing else whole(number)[1]

    def odds(self, flag: Interval, *, loop: bool = False) -> tuple[float, float]:
        return float(flag.high > 0), float(flag.low < 1 or flag.missing)

    def share_of_rows(self, flag: Interval) -> tuple[float, float]:
        return float(flag.low >= 1), 1

    def share(self, part: Interval) -> float:
        return min(1, max(0, part.high))

    # -------------------------------------------------------------------- lengths

    def conversation(self, quoted: float) -> float:
        return self.context

    def sampled(self, pool: AbstractPool) -> float:
        return 0

    def live(self, pool: AbstractPool, tokens: float) -> bool | None:
        return True if not pool.length and not pool.finished and tokens else None

    # -------------------------------------------------------------------- choices

    def mix(self, sides: Sequence[tuple[float, Known]]) -> Known:
        mixed = sides[0][1]
        for _, other in sides[1:]:
            if isinstance(mixed, AbstractPool):
                mixed = _either(mixed, other) if isinstance(other, AbstractPool) else mixed
            else:
                mixed = other if isinstance(other, AbstractPool) else mixed.join(other)
        return mixed

    def mix_read(
        self, sides: Sequence[tuple[float, Mapping[Prompt, float]]]
    ) -> Mapping[Prompt, float]:
        certain = set.intersection(*(set(read) for _, read in sides))
        return dict.fromkeys(certain, 1.0)

    def either(self, left: Paths, right: Paths) -> Paths:
        if not left.weight or not right.weight:
            return left if left.weight else right
        return Paths(1, type(left.cost)(*map(max, left.cost, right.cost)))

    # -------------------------------------------------------------------- what policies read

    def unread(self, pool: AbstractPool) -> float:
        if not self.has_foreign_text:
            return 0.0
        # Another policy cuts a text into tokens of its own.
        return self.context if len(self.policies) > 1 else pool.length

    def first_read(self, pool: AbstractPool, policy: str, calls: float, *, certain: bool) -> bool:
        own = {(policy, kind) for kind in (1, 2) if pool.own & kind}
        self.prompts.update(dict.fromkeys(own - self.read.keys(), 1.0))
        alone = len(own) == 1 and not pool.conversations
        if certain and alone:
            self.read = {**self.read, **dict.fromkeys(own, 1.0)}
        return alone and not pool.length and policy not in self.called

    def first_scored(self, scorer: str, reads: float) -> None:
        self.prompts[scorer, 0] = 1.0

    # -------------------------------------------------------------------- conditions

    def mark(self) -> int:
        return len(self._trail)

    def undo(self, mark: int) -> None:

        while len(self._trail) > mark:
            value, before = self._trail.pop()
            self.values[value] = before

    def assume(self, flag: int, truth: bool) -> None:
        meaning = self.meanings.get(flag)
        if meaning is not None:
            self._assume(meaning[0], meaning[1], truth, 0)

    def _set(self, value: int, abstract: Known) -> None:
        self._trail.append((value, self.values[value]))
        self.values[value] = abstract

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
                interval = self.number(value)
                narrowed = Interval(max(interval.low, low), min(interval.high, high))
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
        least, most = pool.least, pool.rows
        if low > -INFINITY:
            least = max(least, math.floor(low) + 1 if strict else math.ceil(low))
        if high < INFINITY:
            most = min(most, math.ceil(high) - 1 if strict else math.floor(high))
        if least <= most:
            self._set(value, pool.sized(least, most))


def _either(left: AbstractPool, right: AbstractPool) -> AbstractPool:
    """Either of two pools."""
    return AbstractPool(
        min(left.least, right.least),
        max(left.rows, right.rows),
        max(left.parents, right.parents),
        max(left.roots, right.roots),
        left.problem or right.problem,
        left.finished or right.finished,
        max(left.length, right.length),
        max(left.forced, right.forced),
        max(left.prompt, right.prompt),
        _either_unread(left, right),
        left.closed and right.closed,
        (),
        left.own | right.own,
        max(left.conversations, right.conversations),
        _seen_by_both(left, right),
    )


def _either_unread(left: AbstractPool, right: AbstractPool) -> tuple[tuple[str, float], ...]:
    names = sorted({name for name, _ in left.unread + right.unread})
    return tuple((name, max(left.to_read(name), right.to_read(name))) for name in names)


def _seen_by_both(left: AbstractPool, right: AbstractPool) -> tuple[tuple[str, float], ...]:
    """`seen` for the rows of both pools; a pool without rows has nothing unread."""
    if left.seen == right.seen or not right.rows:
        return left.seen
    if not left.rows:
        return right.seen
    other = dict(right.seen)
    return tuple((name, max(u, other[name])) for name, u in left.seen if name in other)
