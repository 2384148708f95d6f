"""What every operator takes and gives, as a table; and the columns that every pool has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from math import inf
from typing import TypeAlias, get_args

from tts_lang.plan import expr, graph
from tts_lang.plan.expr import Expr
from tts_lang.plan.graph import Kind, Spec

#: Sorts of values beside "number", "text" and "flag": a reference to a row, good for comparing and
#: grouping; a number per step; missing, or a column of a pool without rows, which fits everywhere.
KEY, STEPS, UNKNOWN = "key", "steps", "unknown"

#: Columns that need no declaration, with their sorts. `visits`, `value` and `parent_visits` are
#: those of search trees (C54); a pool that was never backed up reads as unvisited.
BUILT_IN: Mapping[str, str] = {
    "text": "text",
    "answer": "text",
    "tokens": "number",
    "steps": "number",
    "done": "flag",
    "finish": "text",
    "logprob": "number",
    "parent": KEY,
    "root": KEY,
    "index": "number",
    "visits": "number",
    "value": "number",
    "parent_visits": "number",
}


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


_NUMBERS: Mapping[type, tuple[str, ...]] = {
    graph.Amount: ("count", "length"),
    graph.Decoding: (
        *("temperature", "top_p", "top_k", "min_p", "max_tokens", "within", "at_least"),
    ),
    graph.Expand: ("weight",),
    graph.Fork: ("count",),
    graph.Score: ("times", "ahead"),
    graph.Select: ("by", "count", "share"),
    graph.First: ("count",),
    graph.Sort: ("by",),
    graph.Vote: ("weight",),
    graph.Resample: ("count", "by"),
    graph.Descend: ("by", "times", "staying"),
    graph.Backup: ("by",),
    graph.Cut: ("length",),
    graph.Split: ("most",),
}
#: The sort of what stands in a field; a field that is not here takes any single value.
SORTS: Mapping[tuple[type, str], str] = {
    **{(kind, name): "number" for kind, names in _NUMBERS.items() for name in names},
    (graph.Decoding, "stop_at"): "text",
    (graph.Decoding, "stop_when"): "flag",
    (graph.Decoding, "end_when"): "flag",
    (graph.Force, "text"): "text",
    (graph.Where, "condition"): "flag",
    (graph.Split, "at"): "text",
}

#: Least, largest, and whether the least itself is left out.
Range: TypeAlias = tuple[float, float, bool]
TEMPERATURE: Range = (0, inf, False)
TOP_P: Range = (0, 1, True)
MIN_P: Range = (0, 1, False)
SHARE: Range = (0, 1, True)
QUANTILE: Range = (0, 1, False)
HEAT: Range = (0, inf, True)
#: Ranges of literals. Counts may be 0 where a pass has computed them.
RANGES: Mapping[tuple[type, str], Range] = {
    (graph.Decoding, "temperature"): TEMPERATURE,
    (graph.Decoding, "top_p"): TOP_P,
    (graph.Decoding, "min_p"): MIN_P,
    (graph.Select, "share"): SHARE,
    (expr.Statistic, "share"): SHARE,
    (expr.Aggregate, "quantile"): QUANTILE,
    (expr.PoolWide, "temperature"): HEAT,
    **{
        (kind, name): (0, inf, False)
        for kind, names in _NUMBERS.items()
        for name in names
        if name in ("count", "length", "times", "ahead", "most", "top_k", "at_least")
    },
    (graph.Decoding, "max_tokens"): (1, inf, False),
    (graph.Decoding, "within"): (0, inf, False),
    (graph.Amount, "length"): (1, inf, False),
    (expr.Statistic, "window"): (0, inf, False),
}


def signature(node: Expr, parts: Sequence[str]) -> tuple[list[str], str]:
    """Sorts of a node's parts, in field order, and its own.

    `parts` are the sorts found: a sum of texts is a text, and both sides of `==` are alike.
    """
    number = ["number"] * len(parts)
    if not isinstance(node, expr.Apply):
        return number, "flag" if node_is_flag(node) else "number"
    function = node.function
    if function == "+" and "text" in parts:
        return ["text", "text"], "text"
    if function in ("==", "!="):
        known = next((sort for sort in parts if sort != UNKNOWN), UNKNOWN)
        return [known, known] if known != STEPS else number, "flag"
    if function in ("<", "<=", ">", ">="):
        return number, "flag"
    if function in ("and", "or", "not"):
        return ["flag"] * len(parts), "flag"
    if function in ("ends with", "contains"):
        return ["text", "text"], "flag"
    if function == "has":
        return [parts[0] if parts[0] != STEPS else "number"], "flag"
    if function == "if":
        known = next((sort for sort in parts[1:] if sort != UNKNOWN), UNKNOWN)
        return ["flag", known, known], known
    return number, "number"


def node_is_flag(node: Expr) -> bool:
    """Whether an aggregate gives a flag."""
    return isinstance(node, expr.Aggregate) and node.how in ("all done", "any done")


def keys_of(spec: Spec) -> Iterator[str]:
    """Columns that an operator itself groups, votes or tells apart by."""
    per = getattr(spec, "per", None)
    if per is not None:
        yield per
    if isinstance(spec, graph.Vote):
        yield spec.on
    if isinstance(spec, graph.Dedupe):
        yield spec.key
