"""Problems: from files of many formats, published sets by name, the Hugging Face hub."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from os import PathLike
from pathlib import Path
from typing import Final

from tts_runtime.problems.fields import FieldNames, field_names, problem_of, unused, with_parts
from tts_runtime.problems.model import BadLine, BadRowError, Problem, ProblemFileError
from tts_runtime.problems.rows import FileRows, rows_of
from tts_runtime.problems.selection import Selection, SelectionError
from tts_runtime.problems.sets import (
    HubSet,
    bundled_problems,
    hub_rows,
    rows_given,
    rows_of_function,
    set_named,
)
from tts_runtime.problems.values import check_problem, plain_row

__all__ = [
    "QUESTION",
    "BadLine",
    "FieldNames",
    "Problem",
    "ProblemFileError",
    "Selection",
    "SelectionError",
    "bundled_problems",
    "field_names",
    "load_problems",
    "problem_given",
    "problems_given",
    "problems_named",
]

#: The id of a single problem that has none.
QUESTION: Final = "question"


def load_problems(
    path: str | Path, limit: int | None = None, names: FieldNames | None = None
) -> list[Problem]:
    """The problems of a file in file order, the first `limit` of them if given.

    Args:
        path: JSONL, JSON, CSV, TSV or Parquet, perhaps compressed; `-` is standard input.
        limit: At most this many; the whole file is checked even then.
        names: Which fields hold what, in place of the usual names.

    Raises:
        ProblemFileError: Every bad line is named.
    """
    path = Path(path)
    if limit is not None and limit < 1:
        raise ProblemFileError(path, (BadLine(0, f"the limit must be 1 or more, not {limit}"),))
    names = names or FieldNames()
    return _problems(path, rows_of(path, names), names)[:limit]


def problems_named(
    name: str, limit: int | None = None, names: FieldNames | None = None
) -> list[Problem]:
    """The problems of a set: bundled (`arith`), published (`math500`), of the hub, of a file, of a
    record (`replay:PATH`), of a function (`python:MODULE:NAME`) or of an installed package.

    Raises:
        ProblemFileError: There is no such set or file, or it has bad lines.
    """
    if name.startswith("replay:"):
        recorded = import_module("tts_runtime.replay.sources").problems_recorded(name)
        return _problems(name, rows_given(recorded), names or FieldNames())[:limit]
    source = set_named(name)
    if isinstance(source, Path):
        return load_problems(source, limit, names)
    if isinstance(source, HubSet):
        name, rows = source.written, hub_rows(source)
    else:
        rows = rows_of_function(name, source)
    return _problems(name, rows, names or FieldNames())[:limit]


def problems_given(problems: Iterable[object] | PathLike[str]) -> list[Problem]:
    """Problems as Python has them: `Problem`s, texts, dicts as rows of a file, chats' messages.

    A table of pandas, Polars or Arrow is the list of its rows; a path is the file's problems.

    Raises:
        ProblemFileError: One is none of these, or two have one id.
    """
    if isinstance(problems, PathLike):
        return problems_named(str(problems))
    try:
        rows = rows_given(problems)
    except BadRowError as error:
        raise ProblemFileError("the list", (BadLine(0, str(error)),)) from error
    return _problems("the list", rows, FieldNames())


def problem_given(value: object) -> Problem:
    """One problem, as Python has it (`problems_given`); its id is `QUESTION` if it has none.

    A problem's id is where its random streams begin: the same id gives the same answer.

    Raises:
        ProblemFileError: It is none.
    """
    [problem] = _problems("the problem", rows_given([value]), FieldNames(), QUESTION)
    return problem


def _problems(
    name: str | Path, rows: FileRows, names: FieldNames, default_id: str | None = None
) -> list[Problem]:
    problems: list[Problem] = []
    bad: list[BadLine] = []
    first_row: dict[str, int] = {}
    seen: dict[str, None] = {}
    for row in rows.rows:
        try:
            if isinstance(row.fields, BadRowError):
                raise row.fields
            if isinstance(row.fields, Problem):
                problem = row.fields
                check_problem(problem)
            else:
                fields = with_parts(plain_row(row.fields), names)
                seen.update(dict.fromkeys(fields))
                problem = problem_of(fields, default_id or f"{rows.unit}-{row.number}", names)
            if problem.id in first_row:
                place = f"{rows.unit} {first_row[problem.id]}"
                raise BadRowError(
                    f"the id {problem.id!r} is already used on {place}; give every problem an id "
                    "of its own"
                )
        except BadRowError as error:
            bad.append(BadLine(row.number, str(error), rows.unit))
        else:
            first_row[problem.id] = row.number
            problems.append(problem)
    if not problems and not bad:
        hint = "; write one JSON object a line" if rows.unit == "line" else ""
        bad.append(BadLine(0, f"the file has no problems{hint}"))
    mistake = None if bad else unused(seen, names)
    if mistake is not None:
        bad.append(BadLine(0, mistake))
    if bad:
        raise ProblemFileError(name, tuple(bad), usable=bool(problems))
    return problems
