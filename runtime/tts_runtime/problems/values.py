"""Values of NumPy, pandas and Parquet as those of JSON, and what of Python is no list of rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Final

from tts_runtime.problems.model import BadRowError, Problem

#: Beyond as many digits a whole number of a `Decimal` stays as it is written: `1E+999999`.
_DIGITS: Final = 100


def plain_row(row: Mapping[Any, Any]) -> dict[str, Any]:
    """A row with the values that JSON has; those that it lacks stay, if they are none of a table.

    Raises:
        BadRowError: A field's name is no text.
    """
    for name in row:
        if not isinstance(name, str):
            raise BadRowError(
                f"the name of the field {name!r:.40} is of type {type(name).__name__}; write "
                f"{str(name)!r:.40}"
            )
    return {name: _plain(value) for name, value in row.items()}


def _plain(value: Any) -> Any:
    if type(value) in (str, int, bool, type(None)):
        return value
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if callable(getattr(value, "tolist", None)):  # of NumPy, pandas, PyTorch
        return _plain(value.tolist())
    if isinstance(value, float):
        return None if value != value else value
    if isinstance(value, Decimal):
        return _number(value)
    # `pandas.NA` and `pandas.NaT`; pandas itself need not be there.
    return None if type(value).__name__ in ("NAType", "NaTType") else value


def _number(value: Decimal) -> int | str | None:
    if value.is_nan():
        return None
    if not value.is_finite() or abs(value.adjusted()) > _DIGITS:
        return str(value)
    return int(value) if value == value.to_integral_value() else f"{value:f}"


def check_problem(problem: Problem) -> None:
    """Refuses a `Problem` whose parts are of other types than it declares.

    Raises:
        BadRowError: Which one, and what it must be.
    """
    parts: dict[str, object] = {"id": problem.id, "text": problem.text}
    for part, value in parts.items():
        if not isinstance(value, str) or not value.strip():
            raise BadRowError(f"a Problem's {part} must be a text, not empty; it is {value!r:.40}")
    parts = {"answer": problem.answer, "grader": problem.grader}
    for part, value in parts.items():
        if value is not None and not isinstance(value, str):
            hint = f"; write {str(value)!r:.40}" if isinstance(value, int | float) else ""
            raise BadRowError(f"a Problem's {part} must be a text or None, not {value!r:.40}{hint}")
    if not isinstance(problem.fields, Mapping):
        raise BadRowError(f"a Problem's fields must be a dict, not {problem.fields!r:.40}")


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
