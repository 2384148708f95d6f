"""Resuming: reads what earlier sessions of a run have finished, so that it does not run again.

Failed problems, and those of which a line is missing or cannot be believed, run again.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tts_lang.plan.graph import Plan
from tts_lang.readers import MAX_PLAN_BYTES, read_written
from tts_runtime.executor import CandidateRecord
from tts_runtime.problems.model import Trial
from tts_runtime.record.files import (
    ANSWERS,
    DECISIONS,
    MODELS,
    NODES,
    PLAN,
    SUMMARY,
    DirectoryError,
    read_document,
    read_problems,
    replaced,
    seal_of,
    trial_of,
)
from tts_runtime.record.lines import Damage
from tts_runtime.record.reader import StrategyRecord
from tts_runtime.runs.compact import AnswerTable
from tts_runtime.runs.results import Answer, Summary
from tts_runtime.runs.rundir import RunDirectoryError, plan_text, reason_of

_LOGGER = logging.getLogger(__name__)
#: Damaged lines that are named; of the others only the number is said.
_NAMED = 5


@dataclass(frozen=True, slots=True)
class FinishedProblems:
    """One strategy's finished problems, by seed, and the summary that was written last.

    `damaged`: what cannot be believed; its problems are not among the answers.
    """

    answers: Mapping[Trial, Answer] = field(default_factory=dict)
    summary: Summary | None = None
    damaged: tuple[Damage, ...] = ()


def read(folder: Path, plan: Plan, identity: str) -> FinishedProblems:
    """The finished problems of the strategy in this folder; none if there is no such folder.

    Raises:
        RunDirectoryError: A file that cannot be read.
    """
    record = StrategyRecord(plan.strategy, folder, identity, {})
    if not folder.exists():
        return FinishedProblems()
    try:
        mismatches = list(record.mismatches())
        seal = seal_of(identity, folder.name, SUMMARY)
        text = read_document(folder / SUMMARY, seal, record.damaged)
        there = read_written(folder / PLAN, MAX_PLAN_BYTES) if (folder / PLAN).exists() else b""
    except DirectoryError as error:
        raise RunDirectoryError(str(error)) from error
    except OSError as error:
        raise RunDirectoryError(f"{folder} cannot be read: {reason_of(error)}") from error
    if there != plan_text(plan).encode("utf-8", "surrogatepass"):
        record.damaged.append(Damage(f"{folder.name}/{PLAN}", 0, "it is not the plan that ran"))
    wrong = {trial for trial, _ in mismatches}
    whole = AnswerTable(
        answer
        for trial, answer in record.answers.items()
        if answer.error is None and trial not in wrong
    )
    summary = None if text is None else Summary.model_validate_json(text)
    return FinishedProblems(
        whole, summary, (*record.damaged, *(damage for _, damage in mismatches))
    )


def read_shared(path: Path, identity: str) -> list[Damage]:
    """Damage in the files that strategies share.

    Raises:
        RunDirectoryError: A file that cannot be read.
    """
    damaged: list[Damage] = []
    try:
        read_problems(path, identity, damaged)
        read_document(path / MODELS, seal_of(identity, "", MODELS), damaged)
    except OSError as error:
        raise RunDirectoryError(f"{path} cannot be read: {reason_of(error)}") from error
    return damaged


def report(damaged: Sequence[Damage], then: str) -> None:
    """Says what is damaged, and what happens then."""
    for damage in damaged[:_NAMED]:
        _LOGGER.warning("%s; %s", damage, then)
    if len(damaged) > _NAMED:
        _LOGGER.warning("and %d more damaged lines", len(damaged) - _NAMED)


def clear(folder: Path, name: str, identity: str, finished: FinishedProblems) -> None:
    """Takes everything that is not kept out of the files, so that more can be appended.

    Raises:
        RunDirectoryError: A file that cannot be read or written.
    """
    record = StrategyRecord(name, folder, identity, {})
    for file in (NODES, DECISIONS, ANSWERS):
        if (folder / file).exists():
            _rewrite(folder / file, _finished_lines(record, file, finished.answers))


def _finished_lines(
    record: StrategyRecord, file: str, answers: Mapping[Trial, Answer]
) -> Iterator[str]:
    """Lines of finished problems; of an answer that was written twice, the first."""
    seen: set[Trial] = set()
    for line, value in record.lines(file):
        trial = trial_of(value)
        if trial not in answers:
            continue
        if file == ANSWERS:
            if trial in seen or value.get("error") is not None:
                continue
            seen.add(trial)
        yield line


def candidates(folder: Path, name: str, identity: str) -> Iterator[list[CandidateRecord]]:
    """The candidates of each kept problem (after `clear`)."""
    for _, nodes in StrategyRecord(name, folder, identity, {}).nodes():
        yield list(nodes.values())


def _rewrite(path: Path, lines: Iterator[str]) -> None:
    try:
        with replaced(path) as file:
            file.writelines(line.encode("utf-8", "surrogateescape") for line in lines)
    except OSError as error:
        raise RunDirectoryError(f"{path} cannot be written: {reason_of(error)}") from error
    except DirectoryError as error:
        raise RunDirectoryError(str(error)) from error
