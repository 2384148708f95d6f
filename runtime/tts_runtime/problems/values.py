"""What Python has problems in: lists, and tables of pandas, Polars and Arrow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tts_runtime.problems.model import BadRowError


def listed(problems: Any) -> Iterable[object]:
    """The rows of what holds problems: a list, or a table of pandas, Polars or Arrow.

    Raises:
        BadRowError: It is one problem, or nothing that holds any; what to write instead.
    """
    for method in ("to_dicts", "to_pylist"):  # Polars, Arrow
        if callable(getattr(problems, method, None)):
            return list(getattr(problems, method)())
    if hasattr(problems, "iterrows"):  # pandas
        return list(problems.to_dict("records"))
    if isinstance(problems, Mapping):
        names = ", ".join(map(repr, list(problems)[:8]))
        raise BadRowError(
            f"expected a list of problems, found one {type(problems).__name__} with {names}; put a "
            "row into a list, [...]; of several, give the list of one"
        )
    if isinstance(problems, str | bytes) or not isinstance(problems, Iterable):
        raise BadRowError(
            f"expected problems, found {problems!r:.60}; put one problem into a list, [...]"
        )
    return problems
