"""Reads the problems that earlier sessions of a run finished, so that they do not run again.

Failed problems and torn lines (an interrupt, a crash) are dropped: they run again.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, fields
from itertools import groupby
from pathlib import Path

from pydantic import ValidationError

from tts_lang.printable import printable
from tts_runtime.executor import CandidateRecord
from tts_runtime.runs.results import Answer, Summary
from tts_runtime.runs.rundir import RunDirectoryError, open_private, reason_of

_PREFIX = '{"problem": '
_DECODER = json.JSONDecoder()


@dataclass(frozen=True, slots=True)
class FinishedProblems:
    """One strategy's finished problems, and the summary that was written last."""

    answers: Mapping[str, Answer]
    summary: Summary | None

    def complete(self, problems: Collection[str]) -> bool:
        """Whether nothing is left to do."""
        summarized = self.summary is not None and self.summary.problems == len(problems)
        return summarized and all(problem in self.answers for problem in problems)


def read(folder: Path) -> FinishedProblems:
    """The finished problems of the strategy in this folder; empty without such a folder.

    Raises:
        RunDirectoryError: A file that cannot be read.
    """
    answers: dict[str, Answer] = {}
    for line in _lines(folder / "answers.jsonl"):
        try:
            answer = Answer.model_validate_json(line)
        except ValidationError:
            continue
        if answer.error is None:
            answers.setdefault(answer.id, answer)
    try:
        summary = Summary.model_validate_json("\n".join(_lines(folder / "summary.json")))
    except ValidationError:
        return FinishedProblems(answers, None)
    return FinishedProblems(answers, summary)


def clear(folder: Path, finished: FinishedProblems) -> None:
    """Removes the lines of all other problems from the files, so that more can be appended.

    Raises:
        RunDirectoryError: A file that cannot be read or written.
    """
    answers = folder / "answers.jsonl"
    if not answers.exists():
        return
    _rewrite(
        answers,
        (f"{printable(answer.model_dump_json())}\n" for answer in finished.answers.values()),
    )
    candidates = folder / "candidates.jsonl"
    _rewrite(
        candidates, (line for line in _lines(candidates) if _problem(line) in finished.answers)
    )


def candidates(folder: Path) -> Iterator[list[CandidateRecord]]:
    """The candidates of each finished problem (after `clear`)."""
    names = [each.name for each in fields(CandidateRecord)]
    for _, lines in groupby(_lines(folder / "candidates.jsonl"), _problem):
        found = map(json.loads, lines)
        yield [CandidateRecord(**{name: each[name] for name in names}) for each in found]


def _lines(path: Path) -> Iterator[str]:
    """Complete lines, with their ends: an interrupted writer leaves at most half a line."""
    try:
        with path.open(encoding="utf-8", errors="replace", newline="\n") as lines:
            for line in lines:
                if line.endswith("\n"):
                    yield line
    except FileNotFoundError:
        return
    except OSError as error:
        raise RunDirectoryError(f"{path} cannot be read: {reason_of(error)}") from error


def _problem(line: str) -> str | None:
    """The problem that a line of `candidates.jsonl` belongs to."""
    if not line.startswith(_PREFIX):
        return None
    try:
        problem = _DECODER.raw_decode(line, len(_PREFIX))[0]
    except ValueError:
        return None
    return problem if isinstance(problem, str) else None


def _rewrite(path: Path, lines: Iterator[str]) -> None:
    new = path.with_name(path.name + ".new")
    try:
        with open_private(new, "w") as file:
            file.writelines(lines)
        new.replace(path)
    except OSError as error:
        raise RunDirectoryError(f"{path} cannot be written: {reason_of(error)}") from error
