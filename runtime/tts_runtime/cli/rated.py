"""Writes problems with their difficulty: `tts-metrics difficulty --write FILE`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from tts_lang.cli.parser import UsageError
from tts_lang.explain.units import counted
from tts_lang.printable import printable
from tts_runtime.problems.fields import FieldNames, plain_name, problem_of
from tts_runtime.problems.model import BadRowError, Problem
from tts_runtime.record.files import problem_line
from tts_runtime.stats.load import ExperimentError


def write_problems(
    path: Path,
    problems: Sequence[Problem],
    ease: Mapping[str, float],
    bins: Mapping[str, int],
    names: Sequence[str],
    field: str,
) -> None:
    """Writes the problems that have a difficulty, with two more fields.

    Args:
        path: A JSONL file.
        problems: In order.
        ease: By id, what the difficulty was told by; `field`: its name.
        bins: By id; `names`: of the bins.

    Raises:
        ExperimentError: A problem cannot be written so that it reads back as the same.
        UsageError: The file cannot be written.
    """
    lines: list[str] = []
    lost: dict[str, None] = {}
    graders: dict[str, None] = {}
    for problem in problems:
        if problem.id not in ease:
            continue
        added = {field: ease[problem.id], "difficulty": names[bins[problem.id]]}
        row, grader = _row(problem, added)
        lines.append(json.dumps(row, ensure_ascii=False) + "\n")
        lost.update(dict.fromkeys(n for n in problem.fields if n not in row or n in _PARTS))
        if problem.grader not in (None, grader):
            graders[str(problem.grader)] = None
    try:
        path.write_text("".join(lines), encoding="utf-8", errors="replace")
    except OSError as error:
        raise UsageError(f"--write: {path} cannot be written: {error.strerror}") from error
    print(
        printable(
            f"written to {path}: {counted(len(lines), 'problem')}, with {field} and difficulty"
        )
    )
    if lost:
        print(printable(f"left out, as they would be read for others: fields {', '.join(lost)}"))
    if graders:
        print(printable(f"not written: their own graders ({', '.join(graders)}); use --grader"))


#: Fields that a row of this file has for itself.
_PARTS: Final = ("id", "problem", "answer")


def _row(problem: Problem, added: Mapping[str, Any]) -> tuple[dict[str, Any], str | None]:
    """The row of a problem, and the grader that it is read with."""
    text: Any = problem.messages if problem.before else problem.text
    row: dict[str, Any] = {"id": problem.id, "problem": text}
    if problem.answer is not None:
        row["answer"] = problem.answer
    fields = problem_line(problem).get("fields", {})
    names = FieldNames()
    others = {name: value for name, value in fields.items() if name not in _PARTS}
    unlike = {*names.id, *names.text, *names.answer}
    plain = {name: value for name, value in others.items() if plain_name(name) not in unlike}
    for each in (others, plain):
        whole = {**row, **each, **added}
        try:
            read = problem_of(whole, "", names)
        except BadRowError:
            continue
        if (read.id, read.text, read.before, read.answer) == (
            problem.id, problem.text, problem.before, problem.answer
        ):  # fmt: skip
            return whole, read.grader
    raise ExperimentError(
        f"--write: problem {problem.id} cannot be written so that it is read as the same: its "
        f"text, its answer or its choices are not those of a row"
    )
