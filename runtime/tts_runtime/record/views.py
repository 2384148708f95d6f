"""Flat rows of a run as data frames and Arrow tables, whose columns depend on no row."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

from tts_runtime.executor import CandidateRecord
from tts_runtime.runs.results import Answer

if TYPE_CHECKING:
    import pandas
    import pyarrow

Rows = Iterable[Mapping[str, Any]]


def columns(what: str) -> dict[str, type]:
    """The columns of `answers` or `nodes` and the kinds of their values, in order.

    Kinds are `str` (of nested values: JSON), `int`, `float` and `bool`; any value may be missing.

    Raises:
        ValueError: Something else is asked for.
    """
    head: dict[str, type] = {"strategy": str, "problem": str}
    if what == "answers":
        hints = get_type_hints(Answer)
        fields = {name: _kind(hints[name]) for name in Answer.model_fields if name != "id"}
        return head | fields | {"flops": float}  # they may have more than 64 bits
    if what == "nodes":
        fields = {name: _kind(hint) for name, hint in get_type_hints(CandidateRecord).items()}
        return head | {"seed": int} | fields | {"winner": bool}
    raise ValueError(f"a run has rows of answers and of nodes, not of {what!r}")


def _kind(hint: Any) -> type:
    members = [each for each in get_args(hint) if each is not type(None)] or [hint]
    return members[0] if len(members) == 1 and members[0] in (int, float, bool) else str


def to_pandas(what: str, rows: Rows) -> pandas.DataFrame:
    """Rows of `answers` or `nodes` as a data frame."""
    import pandas

    return pandas.DataFrame(list(rows), columns=list(columns(what)))


def to_arrow(what: str, rows: Rows) -> pyarrow.Table:
    """The same as an Arrow table; nested values as JSON texts."""
    import pyarrow

    types = {
        str: pyarrow.string(),
        int: pyarrow.int64(),
        float: pyarrow.float64(),
        bool: pyarrow.bool_(),
    }
    kinds = columns(what)
    return pyarrow.Table.from_pylist(
        [{name: _flat(value, kinds[name]) for name, value in row.items()} for row in rows],
        schema=pyarrow.schema([(name, types[kind]) for name, kind in kinds.items()]),
    )


def _flat(value: Any, kind: type) -> Any:
    if value is None:
        return None
    if kind is float:
        return float(value)
    return json.dumps(value) if kind is str and not isinstance(value, str) else value
