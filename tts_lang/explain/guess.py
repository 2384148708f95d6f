"""Expressions in a world of equal lengths: numbers and flags where they are known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from tts_lang import values
from tts_lang.plan.expr import Aggregate, Apply, Column, Const, Expr, Input

if TYPE_CHECKING:
    from tts_lang.explain.means import Pool

#: A number, text or flag; `None`: not known.
Truth: TypeAlias = "float | str | bool | None"


class Guess:
    """Reads an operation's expressions; `inputs` are its pools and numbers."""

    def __init__(self, inputs: Sequence[Any], solution: float) -> None:
        self._inputs = inputs
        self._solution = solution

    def done(self, pool: Pool) -> bool:
        """Whether its rows are as long as solutions are."""
        return pool.tokens >= self._solution * (1 - 1e-9)

    def value(self, expression: Expr) -> Truth:
        """The value altogether."""
        return self._value(expression, None)

    def condition(self, expression: Expr, pool: Pool) -> Truth:
        """The value for the rows of a pool, which are all alike."""
        return self._value(expression, pool)

    def _value(self, expression: Expr, pool: Pool | None) -> Truth:
        match expression:
            case Const(value):
                return value
            case Input(index):
                value = self._inputs[index] if index < len(self._inputs) else None
                return value if isinstance(value, bool | int | float | str) else None
            case Column("done") if pool is not None:
                return self.done(pool)
            case Column("tokens") if pool is not None:
                return pool.tokens
            case Aggregate(how):
                return self._aggregate(how, expression)
            case Apply("and" | "or" as how, (left, right)):
                return _either(how == "or", self._value(left, pool), self._value(right, pool))
            case Apply(name, arguments):
                return _applied(name, [self._value(each, pool) for each in arguments])
        return None

    def _aggregate(self, how: str, node: Aggregate) -> Truth:
        pool = self._inputs[node.pool] if node.pool < len(self._inputs) else None
        if pool is None or node.per is not None or node.below:
            return None
        if how == "count":
            return float(pool.rows)
        if how in ("all done", "any done"):
            return self.done(pool) if pool.rows else how == "all done"
        return None


def _either(absorbing: bool, left: Truth, right: Truth) -> Truth:
    """`or` (absorbing true) and `and` (absorbing false)."""
    if left is absorbing or right is absorbing:
        return absorbing
    return None if left is None or right is None else not absorbing


def _applied(name: str, arguments: Sequence[Truth]) -> Truth:
    """Not known either where the value is missing."""
    if any(each is None for each in arguments):
        return None
    value: Truth = values.apply(name, arguments)
    return value
