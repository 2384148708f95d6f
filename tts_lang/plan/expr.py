"""Expressions inside plan operators, as immutable trees.

An expression is evaluated once for each row of a pool (in `where`, `select ... by`, `let`, weights)
or once altogether (conditions, counts). `Input(i)` and `Aggregate.pool` refer to the i-th input of
the operator that holds the expression, so an operator's inputs are all that it depends on.

A value is a number, a text, a flag, or missing (`None`); semantics.md C37 says how missing spreads.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass
from math import inf
from typing import Annotated, Final, TypeAlias, get_args

from tts_lang.plan.clauses import HEAT, QUANTILE, SHARE, ClauseType

Scalar: TypeAlias = "int | float | str | bool | None"

#: Functions and operators of `Apply`, with the number of arguments each takes.
#: Arithmetic on a missing argument gives missing; comparisons with missing are false (C37).
FUNCTIONS: dict[str, int] = {
    "+": 2,  # numbers added, or texts joined
    "-": 2,
    "*": 2,
    "/": 2,  # x / 0 is missing
    "**": 2,
    "neg": 1,
    "==": 2,
    "!=": 2,
    "<": 2,
    "<=": 2,
    ">": 2,
    ">=": 2,
    "and": 2,
    "or": 2,
    "not": 1,
    "if": 3,  # condition, value when true, value otherwise (a missing condition is false)
    "has": 1,  # not missing
    "ends with": 2,
    "contains": 2,
    "extract": 2,  # a regular expression and a text: its first group, or all that it matches
    "number": 1,  # of a text that is one
    "log": 1,  # missing for arguments <= 0
    "exp": 1,
    "sqrt": 1,  # missing for arguments < 0
    "floor": 1,
    "ceil": 1,
    "abs": 1,
    "clip": 3,  # x, low, high
    "odds": 1,  # x / (1 - x); missing at 1
    "remainder": 2,  # x - floor(x / y) * y; missing where y is 0
    "erf": 1,  # of the standard normal distribution, P(X <= x) is (1 + erf(x / sqrt(2))) / 2
    "least": 2,  # the smaller of two numbers: `min(a, b)` in the language
    "greatest": 2,  # the larger of two numbers: `max(a, b)`
}

#: Reductions of a step vector to one number; an empty vector gives missing (C33).
REDUCTIONS = ("last", "min", "mean", "prod", "max", "sum", "first")

#: Further functions of a step vector, with the number of arguments besides it. The first three say
#: how many steps come before the one that they look for, as `cut P to E steps` takes them (C68).
STEP_FUNCTIONS: dict[str, int] = {
    "argmin": 0,  # the lowest score, ties to the earlier
    "argmax": 0,  # the highest score, ties to the earlier
    "first_below": 1,  # the first score below a number; all steps if there is none
    "nth": 1,  # the score of the step with this number, from 0
    "quantile": 1,
}

#: Aggregates over a pool. "all done" and "any done" give flags, the others numbers
#: ("first" gives whatever its expression gives on the pool's first row).
AGGREGATES = (
    "count",
    "mean",
    "sum",
    "min",
    "max",
    "std",
    "first",
    "quantile",
    "all done",
    "any done",
    "share",
    "lead",
    "entropy",
)

#: Aggregates of what is taken of each row (`of`); the others look at the rows themselves.
OF_ROWS = frozenset(("mean", "sum", "min", "max", "std", "first", "quantile"))

#: Values that need the whole pool and differ from row to row.
POOL_WIDE = ("softmax", "rank")

#: Per-token statistics of sampled tokens, and the spans over which they are taken.
STATISTICS = ("confidence", "certainty", "entropy", "margin")
SPANS = ("all", "step", "answer", "tail", "lowest")

DISTRIBUTIONS: dict[str, int] = {"uniform": 0, "normal": 0, "gumbel": 0, "beta": 2}


@dataclass(frozen=True, slots=True)
class Const:
    """A literal; `None` is missing."""

    value: Scalar


@dataclass(frozen=True, slots=True)
class Input:
    """The operator's `index`-th input, a number, text or flag."""

    index: int


@dataclass(frozen=True, slots=True)
class Delimiter:
    """A text that the policy's binding defines: `end_of_thought` or `end_of_step`."""

    name: str
    policy: str


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the current row: built in, made by `let`, or the number of an outcome scorer."""

    name: str


@dataclass(frozen=True, slots=True)
class Reduce:
    """One number from the step vector that a process scorer left in column `column`.

    Args:
        how: One of `REDUCTIONS` or `STEP_FUNCTIONS`.
        column: The score column.
        argument: The number that some of `STEP_FUNCTIONS` take.
        taken: Of the first steps alone: how many.
    """

    how: str
    column: str
    argument: Expr | None = None
    taken: Expr | None = None


@dataclass(frozen=True, slots=True)
class JudgeWords:
    """The text that the judge with score column `column` wrote about the row (C70)."""

    column: str


@dataclass(frozen=True, slots=True)
class Apply:
    """A function or operator of `FUNCTIONS`."""

    function: str
    arguments: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Aggregate:
    """One number from a pool: the rows of input `pool`.

    Args:
        how: One of `AGGREGATES`.
        pool: Index of the operator's input that is the pool.
        of: The number taken of each row (absent for count, share, lead, entropy, all/any done).
        per: Key column: the aggregate over the rows of `pool` whose key equals the current row's.
        below: Only rows of `pool` that descend from the current row.
        on: Column whose equal values form the classes of share, lead and entropy ("answer").
        weight: Weight of each row for share, lead and entropy; one each when absent.
        quantile: The q of `quantile(E of P, q)`, in [0, 1].
    """

    how: str
    pool: int
    of: Expr | None = None
    per: str | None = None
    below: bool = False
    on: str = "answer"
    weight: Expr | None = None
    quantile: Annotated[Expr | None, ClauseType(range=QUANTILE)] = None


@dataclass(frozen=True, slots=True)
class PoolWide:
    """`softmax(E, temperature)` or `rank(E)` over the operator's pool, or over each `per` group.

    `then`: with `rank`, what tells rows apart that are equal before (C75).
    """

    how: str
    of: Expr
    temperature: Annotated[Expr | None, ClauseType(range=HEAT)] = None
    per: str | None = None
    then: tuple[Expr, ...] = ()


@dataclass(frozen=True, slots=True)
class Statistic:
    """A statistic of sampled tokens over a span of the row's path.

    Args:
        how: One of `STATISTICS`.
        span: One of `SPANS`: the whole path, the last step, the tokens of the answer, the last
            `window` tokens, or the lowest mean over windows of `window` tokens.
        window: Tokens in a window, for "tail" and "lowest".
        share: With "lowest": the mean over the lowest share of all windows instead of the lowest.
    """

    how: str
    span: str
    window: Annotated[
        Expr | None,
        ClauseType(range=(0, inf, False), counts="tokens", text="a window of {} tokens"),
    ] = None
    share: Annotated[Expr | None, ClauseType(range=SHARE)] = None


@dataclass(frozen=True, slots=True)
class Random:
    """A random number drawn for the current row (for the problem's row outside a pool)."""

    distribution: str
    arguments: tuple[Expr, ...] = ()


Expr: TypeAlias = (
    Const
    | Input
    | Delimiter
    | Column
    | Reduce
    | JudgeWords
    | Apply
    | Aggregate
    | PoolWide
    | Statistic
    | Random
)


def children(expression: Expr) -> tuple[Expr, ...]:
    """The direct subexpressions, in field order."""
    parts: list[Expr] = []
    for name in _field_names(type(expression)):
        value = getattr(expression, name)
        if isinstance(value, tuple):
            parts.extend(value)
        elif type(value) in _EXPRESSIONS:
            parts.append(value)
    return tuple(parts)


def walk(expression: Expr, *, pools: bool = True) -> Iterator[Expr]:
    """The expression and all its subexpressions, parents first.

    `pools`: what aggregates take of their own pools' rows, too.
    """
    waiting = [expression]
    while waiting:
        current = waiting.pop()
        yield current
        if pools or not isinstance(current, Aggregate):
            waiting.extend(reversed(children(current)))
        elif current.quantile is not None:
            waiting.append(current.quantile)


def fields_in(part: object) -> Iterator[Expr]:
    """The outermost expressions in an operator or a part of one, in field order."""
    waiting = [part]
    while waiting:
        current = waiting.pop()
        kind = type(current)
        if kind in _EXPRESSIONS:
            yield current  # type: ignore[misc]
        elif kind is tuple:
            waiting.extend(reversed(current))  # type: ignore[call-overload]
        else:
            waiting.extend([getattr(current, name) for name in reversed(_field_names(kind))])


def _field_names(kind: type) -> tuple[str, ...]:
    """Of a dataclass; none of any other class."""
    names = _FIELDS.get(kind)
    if names is None:
        names = tuple(field.name for field in fields(kind)) if is_dataclass(kind) else ()
        _FIELDS[kind] = names
    return names


#: Names of fields, since `fields` is slow.
_FIELDS: Final[dict[type, tuple[str, ...]]] = {}


_EXPRESSIONS: Final = frozenset(get_args(Expr))

# ------------------------------------------------------------------------------ types

#: Types of expressions beside "number", "text" and "flag": a reference to a row, for comparing and
#: grouping; a number per step; missing, or a column of a pool without rows, which fits everywhere.
KEY, STEPS, UNKNOWN = "key", "steps", "unknown"


def signature(node: Expr, parts: Sequence[str]) -> tuple[list[str], str]:
    """The types that a node's parts must have, in field order, and its own.

    `parts` are the types found: a sum of texts is a text, and both sides of `==` are alike.
    """
    number = ["number"] * len(parts)
    if isinstance(node, JudgeWords):
        return [], "text"
    if not isinstance(node, Apply):
        return number, "flag" if node_is_flag(node) else "number"
    function = node.function
    if function == "+" and "text" in parts:
        return ["text", "text"], "text"
    if function in ("==", "!="):
        type_ = next((each for each in parts if each != UNKNOWN), UNKNOWN)
        return [type_, type_] if type_ != STEPS else number, "flag"
    if function in ("<", "<=", ">", ">="):
        return ["text", "text"] if "text" in parts else number, "flag"
    if function in ("and", "or", "not"):
        return ["flag"] * len(parts), "flag"
    if function in ("ends with", "contains"):
        return ["text", "text"], "flag"
    if function == "extract":
        return ["text", "text"], "text"
    if function == "number":
        return ["text"], "number"
    if function == "has":
        return [parts[0] if parts[0] != STEPS else "number"], "flag"
    if function == "if":
        type_ = next((each for each in parts[1:] if each != UNKNOWN), UNKNOWN)
        return ["flag", type_, type_], type_
    return number, "number"


def node_is_flag(node: Expr) -> bool:
    """Whether an aggregate gives a flag."""
    return isinstance(node, Aggregate) and node.how in ("all done", "any done")
