"""Types of clauses: type, range, and whether the clause says how large a strategy is.

The fields of operators and of their parts carry this as `Annotated[Expr, COUNT]`; `clauses` reads
it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import inf
from typing import Annotated, TypeAlias, get_args, get_origin, get_type_hints

#: Least, largest, and whether the least itself is left out.
Range: TypeAlias = tuple[float, float, bool]
ANY: Range = (-inf, inf, False)
TEMPERATURE: Range = (0, inf, False)
TOP_P: Range = (0, 1, True)
MIN_P: Range = (0, 1, False)
SHARE: Range = (0, 1, True)
QUANTILE: Range = (0, 1, False)
HEAT: Range = (0, inf, True)
PENALTY: Range = (0, inf, False)


@dataclass(frozen=True, slots=True)
class ClauseType:
    """The values that a field of an operator may have.

    Args:
        type: "number", "text" or "flag"; `None` for any single value.
        range: Of a literal. Counts may be 0 where a pass has computed them.
        counts: What the number counts, where it says how large a strategy is: "rows", "rounds",
            "tokens" or "steps".
        text: With `counts`: the clause as messages show it, as in "max {} tokens".
        column: The field is the name of a column by which rows are grouped or told apart.
        once: It is evaluated once, not for each row.
        called: How messages of the checker call it.
    """

    type: str | None = None
    range: Range = ANY
    counts: str = ""
    text: str = ""
    column: bool = False
    once: bool = False
    called: str = ""


NUMBER = ClauseType("number")
TEXT = ClauseType("text")
FLAG = ClauseType("flag")
KEY = ClauseType(column=True)


def number(range_: Range) -> ClauseType:
    """A number whose literals lie in a range."""
    return ClauseType("number", range_)


def size(counts: str, text: str, least: float = 0, called: str = "") -> ClauseType:
    """A count or limit, which says how large a strategy is."""
    called = called or f"`{text.partition(' {')[0]}`"
    once = counts != "unit"
    return ClauseType("number", (least, inf, False), counts, text, once=once, called=called)


_FOUND: dict[type, Mapping[str, ClauseType]] = {}


def clauses(part: type) -> Mapping[str, ClauseType]:
    """The clauses of an operator, or of a part of one, by field; parts within are not entered."""
    by_field = _FOUND.get(part)
    if by_field is None:
        by_field = _FOUND[part] = {
            name: clause
            for name, hint in get_type_hints(part, include_extras=True).items()
            if get_origin(hint) is Annotated
            for clause in get_args(hint)[1:]
            if isinstance(clause, ClauseType)
        }
    return by_field


def keys_of(spec: object) -> Iterator[str]:
    """Columns that an operator itself groups, votes or tells rows apart by."""
    for name, clause in clauses(type(spec)).items():
        if clause.column and (key := getattr(spec, name)) is not None:
            yield key
