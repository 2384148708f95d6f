"""Row counts of operators: rules over an abstract count.

Bounds count in intervals, expectations in means, the optimiser in upper limits. Each analysis
brings its arithmetic as `RowCounts`; the rule in the entry of the operator is the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import floor, inf
from typing import Any, Protocol, TypeVar

from tts_lang.plan.expr import Const, Expr

N = TypeVar("N")


class RowCounts(Protocol[N]):
    """The row counts of an analysis. `N` is an abstract number of rows, at least 0.

    The first methods know the operation that is looked at, the others are arithmetic.
    """

    def rows(self, place: int = 0) -> N:
        """Rows of the operation's input `place`."""

    def count(self, clause: Expr | None) -> N:
        """A count: floored, at least 0; one where the clause is left out."""

    def pieces(self, most: Expr | None) -> N:
        """Pieces that a text is split into, at most as many as the clause says."""

    def groups(self, key: str | None) -> N:
        """Groups of input 0 with an equal `key`; one where it is not grouped.

        Rows with a missing key belong to no group, so with a key there may be none.
        """

    def fraction(self, condition: Expr) -> N:
        """Between 0 and 1: the part of the rows of input 0 for which a condition holds."""

    def share(self, share: Expr, key: str | None) -> N:
        """The ceiling of a share of input 0, or of each of its groups, in all (C39)."""

    def live(self, within: Expr | None) -> bool:
        """Whether every row of input 0 certainly is live and has room to continue (C18, C21).

        `within` is the limit on the path, if there is one.
        """

    def extra(self, within: Expr | None) -> bool:
        """Whether a row of input 0 may be one that no children are dealt to: a done one (C18)."""

    def union(self) -> N:
        """The rows of inputs 0 and 1, each once (C51)."""

    def difference(self) -> N:
        """The rows of input 0 that are not in input 1 (C51)."""

    def exactly(self, number: int) -> N:
        """A number of rows."""

    def product(self, left: N, right: N) -> N:
        """`left` times `right`; 0 times anything is 0."""

    def sum(self, left: N, right: N) -> N:
        """`left` plus `right`."""

    def less_one(self, rows: N) -> N:
        """One row less, at least 0."""

    def least(self, left: N, right: N) -> N:
        """The smaller of two numbers."""

    def either(self, left: N, right: N) -> N:
        """One or the other, as long as it is not known which: an estimate takes the first."""

    def up_to(self, low: N, high: N) -> N:
        """At least `low`, at most `high`: an estimate takes `high`."""


class RowRule(Protocol):
    """The row count of an operator."""

    def __call__(self, spec: Any, of: RowCounts[N], /) -> N:
        """Rows of the output, of an operator with these clauses."""


# ------------------------------------------------------------------------------ frequent rules


def same_rows(spec: Any, of: RowCounts[N]) -> N:
    """The number of rows of input 0."""
    del spec
    return of.rows()


def best_rows(spec: Any, of: RowCounts[N]) -> N:
    """At most `count` rows, of each group."""
    return of.least(of.rows(), of.product(of.groups(spec.per), of.count(spec.count)))


def keyed_rows(spec: Any, of: RowCounts[N]) -> N:
    """All rows; of a grouped pool those that have a key."""
    return of.rows() if spec.per is None else of.up_to(of.exactly(0), of.rows())


def distinct_rows(spec: Any, of: RowCounts[N]) -> N:
    """At least one row of those there are; of a grouped pool perhaps none."""
    return some(of, of.rows()) if spec.per is None else of.up_to(of.exactly(0), of.rows())


def some(of: RowCounts[N], rows: N) -> N:
    """At least one of some rows."""
    return of.up_to(of.least(rows, of.exactly(1)), rows)


# ------------------------------------------------------------------------------ upper limits

#: Counts beyond this are as good as unbounded: no run counts so far, floats end not much later.
COUNTLESS = 1e100


def literal_count(clause: Expr | None) -> float | None:
    """A literal as a count: floored, at least 0, missing as 0 (C39); `None` if it is none."""
    if not isinstance(clause, Const) or isinstance(clause.value, bool | str):
        return None
    number = 0 if clause.value is None else clause.value
    return inf if number > COUNTLESS else max(0, floor(number))


class RowLimit:
    """Counts rows by upper limits, infinite where none is known; numbers are known as literals.

    Args:
        pools: Limits of the operation's inputs that are pools, in order.
        live: Every row of input 0 is certainly live, and has room where no `within` limits it.
    """

    def __init__(self, pools: Sequence[float], *, live: bool = False) -> None:
        self._pools = pools
        self._live = live

    def rows(self, place: int = 0) -> float:
        """The limit of a pool."""
        return self._pools[place]

    def count(self, clause: Expr | None) -> float:
        """A literal, or no limit."""
        if clause is None:
            return 1
        number = literal_count(clause)
        return inf if number is None else number

    def pieces(self, most: Expr | None) -> float:
        """The clause's limit."""
        return inf if most is None else self.count(most)

    def groups(self, key: str | None) -> float:
        """Every row may have a key of its own."""
        return 1 if key is None else self._pools[0]

    def fraction(self, condition: Expr) -> float:
        """The condition may hold for all rows."""
        del condition
        return 1

    def share(self, share: Expr, key: str | None) -> float:
        """At most all rows."""
        del share, key
        return self._pools[0]

    def live(self, within: Expr | None) -> bool:
        """Whether it was said; one token of the path's limit is room."""
        return self._live and (within is None or (literal_count(within) or 0) >= 1)

    def extra(self, within: Expr | None) -> bool:
        """Any row may be done."""
        del within
        return True

    def union(self) -> float:
        """No row may be in both."""
        return self._pools[0] + self._pools[1]

    def difference(self) -> float:
        """No row may be in both."""
        return self._pools[0]

    def exactly(self, number: int) -> float:
        """The number."""
        return number

    def product(self, left: float, right: float) -> float:
        """The product; floats are unbounded where they end."""
        return 0 if left == 0 or right == 0 else float(left) * float(right)

    def sum(self, left: float, right: float) -> float:
        """The sum."""
        return left + right

    def less_one(self, rows: float) -> float:
        """One less."""
        return max(0, rows - 1)

    def least(self, left: float, right: float) -> float:
        """The smaller."""
        return min(left, right)

    def either(self, left: float, right: float) -> float:
        """The larger."""
        return max(left, right)

    def up_to(self, low: float, high: float) -> float:
        """The upper one."""
        del low
        return high
