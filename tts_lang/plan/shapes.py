"""What every operator takes and gives, as a table; and the columns that every pool has."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from typing import get_args

from tts_lang.plan import graph
from tts_lang.plan.expr import Expr
from tts_lang.plan.graph import Kind, Spec

#: Columns that need no declaration. `visits`, `value` and `parent_visits` are those of search
#: trees (C54); a pool that was never backed up reads as unvisited.
BUILT_IN = frozenset(
    (
        "text",
        "answer",
        "tokens",
        "steps",
        "done",
        "finish",
        "logprob",
        "parent",
        "root",
        "index",
        "visits",
        "value",
        "parent_visits",
    )
)


@dataclass(frozen=True, slots=True)
class Shape:
    """Kinds of the first inputs (expressions may read more), of the output, and the regions.

    `output` is `None` where the regions decide (loops and branches).
    """

    inputs: tuple[Kind, ...]
    output: tuple[Kind, ...] | None = (Kind.POOL,)
    regions: int = 0


_POOL = Shape((Kind.POOL,))
_TWO_POOLS = Shape((Kind.POOL, Kind.POOL))

SHAPES: dict[type[Spec], Shape] = {
    **dict.fromkeys(graph.SPECS, _POOL),
    graph.Empty: Shape(()),
    graph.Compute: Shape((), (Kind.NUMBER, Kind.TEXT, Kind.FLAG)),
    graph.Backup: _TWO_POOLS,
    graph.Union: _TWO_POOLS,
    graph.Difference: _TWO_POOLS,
    graph.Call: Shape((Kind.POOL,), regions=1),
    graph.Repeat: Shape((), None, regions=2),
    graph.Branch: Shape((Kind.FLAG,), None, regions=2),
}

_EXPRESSIONS = get_args(Expr)


def fields_in(part: object) -> Iterator[Expr]:
    """The outermost expressions in an operator or a part of one, in field order."""
    if isinstance(part, _EXPRESSIONS):
        yield part
    elif isinstance(part, tuple):
        for inner in part:
            yield from fields_in(inner)
    elif is_dataclass(part) and not isinstance(part, type):
        for field in fields(part):
            yield from fields_in(getattr(part, field.name))
