"""What stands in operators and expressions, and the columns that every pool has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import get_args

from tts_lang.plan import expr
from tts_lang.plan.clauses import clauses
from tts_lang.plan.expr import Expr
from tts_lang.plan.ops import Spec

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
    for name, clause in clauses(type(spec)).items():
        if clause.column and (key := getattr(spec, name)) is not None:
            yield key
