"""Types of scalar expressions and of pools, and how messages name them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from math import inf

from tts_lang.plan.expr import Const, Expr
from tts_lang.plan.graph import Kind
from tts_lang.plan.rows import COUNTLESS
from tts_lang.source import Span


class ScalarType(Enum):
    """The kinds of expression that the checker tells apart; pools are told apart before."""

    NUMBER = "number"
    TEXT = "text"
    FLAG = "flag"
    KEY = "key"  # `parent`, `root`: which row, good for comparing and grouping only
    STEPS = "steps"  # a process scorer's vector, good for reductions only
    UNKNOWN = "unknown"  # already reported, or a parameter without a value: fits everywhere


WORDS = {
    ScalarType.NUMBER: "a number",
    ScalarType.TEXT: "a text",
    ScalarType.FLAG: "a condition",
    ScalarType.KEY: "a row reference",
    ScalarType.STEPS: "one number per step",
    ScalarType.UNKNOWN: "unknown",
}

#: The kinds that values of these types have in plans.
VALUE_KINDS = {
    ScalarType.NUMBER: Kind.NUMBER,
    ScalarType.TEXT: Kind.TEXT,
    ScalarType.FLAG: Kind.FLAG,
}


@dataclass(frozen=True, slots=True)
class Typed:
    """A checked scalar expression.

    `share`: written as a percentage, so that `select top E` takes a part of the pool.
    """

    type: ScalarType
    expr: Expr
    share: bool = False


#: Stands for what has been reported already; it suppresses further messages.
POISON = Typed(ScalarType.UNKNOWN, Const(None))

#: The value of `default`, which leaves a clause as it is without it (C72).
DEFAULT = Typed(ScalarType.NUMBER, Const(None))


# ------------------------------------------------------------------------------ pools


@dataclass(frozen=True, slots=True)
class ColumnType:
    """A column that a strategy made.

    `inherited`: made by `let`, so that children keep it (C31); scores go (C28). `scored_at` are the
    `score` statements that may have made it.
    """

    type: ScalarType
    inherited: bool = False
    scored_at: frozenset[Span] = frozenset()


@dataclass(frozen=True, slots=True)
class PoolType:
    """Static facts about a pool.

    Args:
        columns: The made columns; `None` for the pool that has every column (`none`).
        lost: Columns that were there once, or are there on another path: why they are not now.
        bound: Upper bound of the rows; infinite if unknown, or too large to matter.
        identical: The candidates are copies of one (more than one sampled at temperature 0).
        filtered: A `where` with a fixed condition made it, so that it may well be empty.
        closed: Every candidate is done (C17).
    """

    columns: Mapping[str, ColumnType] | None = field(default_factory=dict)
    lost: Mapping[str, str] = field(default_factory=dict)
    bound: float = inf
    identical: bool = False
    filtered: Span | None = None
    closed: bool = False

    def __post_init__(self) -> None:
        if self.bound > COUNTLESS:
            object.__setattr__(self, "bound", inf)

    def subset(self) -> PoolType:
        """The type of a pool of some rows of this one: columns stay."""
        return replace(self, filtered=None)

    def children(self, why: str) -> PoolType:
        """The type of a pool of children: `let` columns stay, scores go (C28, C31)."""
        if self.columns is None:
            return PoolType(None, {}, self.bound)
        stay = {name: column for name, column in self.columns.items() if column.inherited}
        gone = {name: why for name in self.columns if name not in stay}
        return PoolType(stay, {**self.lost, **gone}, self.bound)

    def with_column(self, name: str, column: ColumnType) -> PoolType:
        """This pool with a column added or made again."""
        if self.columns is None:
            return self
        lost = {other: why for other, why in self.lost.items() if other != name}
        return replace(self, columns={**self.columns, name: column}, lost=lost)


#: The start of the reason for a column that a path never had.
NOT_THERE = "it is not there"

#: The pool `problem`: one row, nothing made yet.
PROBLEM = PoolType(bound=1)

#: `none`, and what stands for a pool whose error has been reported: it has every column.
EVERYTHING = PoolType(None, {}, 0, closed=True)
UNKNOWN_POOL = PoolType(None, {}, 1)


def merge(left: PoolType, right: PoolType, left_path: str, right_path: str) -> PoolType:
    """A pool that is one of two: columns of both (C30), the larger bound.

    The paths tell where each comes from, as in "where the `if` at line 4 is false".
    """
    columns, lost = _common(left, right, left_path, right_path)
    return PoolType(
        columns,
        lost,
        max(left.bound, right.bound),
        left.identical and right.identical,
        left.filtered or right.filtered,
        left.closed and right.closed,
    )


def union(left: PoolType, right: PoolType, left_name: str, right_name: str) -> PoolType:
    """`P + Q`: both sides' rows with the columns of both."""
    columns, lost = _common(left, right, f"in {left_name}", f"in {right_name}")
    filtered = left.filtered if left.filtered and right.filtered else None
    closed = left.closed and right.closed
    return PoolType(columns, lost, filtered=filtered, closed=closed)


def _common(
    left: PoolType, right: PoolType, left_path: str, right_path: str
) -> tuple[Mapping[str, ColumnType] | None, Mapping[str, str]]:
    if left.columns is None:
        return right.columns, right.lost
    if right.columns is None:
        return left.columns, left.lost
    columns: dict[str, ColumnType] = {}
    lost = {**right.lost, **left.lost}
    for name in {**left.columns, **right.columns}:
        one, other = left.columns.get(name), right.columns.get(name)
        if one is None or other is None:
            lacking, path = (left, left_path) if one is None else (right, right_path)
            why = lacking.lost.get(name)
            lost[name] = f"{why} ({path})" if why else f"{NOT_THERE} {path}"
        elif one.type is not other.type and ScalarType.UNKNOWN not in (one.type, other.type):
            lost[name] = f"it is {one.type.value} {left_path} and {other.type.value} {right_path}"
        else:
            type_ = other.type if one.type is ScalarType.UNKNOWN else one.type
            columns[name] = ColumnType(
                type_, one.inherited or other.inherited, one.scored_at | other.scored_at
            )
            lost.pop(name, None)
    return columns, lost


def same(left: PoolType, right: PoolType) -> bool:
    """Equal for the purposes of a loop: reasons and the statements that scored do not count."""
    return (
        left.bound == right.bound
        and left.identical == right.identical
        and left.filtered == right.filtered
        and left.closed == right.closed
        and _shape(left) == _shape(right)
    )


def _shape(type_: PoolType) -> dict[str, tuple[ScalarType, bool]] | None:
    if type_.columns is None:
        return None
    return {name: (column.type, column.inherited) for name, column in type_.columns.items()}
