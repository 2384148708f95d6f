"""What earlier sessions of a run left in its directory, read back so that it need not run again.

Failed problems, and those of which a line is missing or cannot be believed, run again.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from tts_runtime.executor import CandidateRecord
from tts_runtime.record.files import ANSWERS, DECISIONS, NODES, SUMMARY, DirectoryError
from tts_runtime.record.lines import Damage
from tts_runtime.record.reader import StrategyRecord
from tts_runtime.runs.results import Answer, Summary
from tts_runtime.runs.rundir import RunDirectoryError, open_private, reason_of

_LOGGER = logging.getLogger(__name__)
#: Damaged lines that are named; of the others only the number is said.
_NAMED = 5


@dataclass(frozen=True, slots=True)
class FinishedProblems:
    """One strategy's finished problems, and the summary that was written last.

    `damaged`: what cannot be believed; its problems are not among the answers.
    """

    answers: Mapping[str, Answer] = field(default_factory=dict)
    summary: Summary | None = None
    damaged: tuple[Damage, ...] = ()


def read(folder: Path, name: str, identity: str) -> FinishedProblems:
    """What is kept of the strategy in this folder; nothing if there is no such folder.

    Raises:
        RunDirectoryError: A file that cannot be read.
    """
    record = StrategyRecord(name, folder, identity, {})
    try:
        found = {id_: answer for id_, answer in record.answers.items() if answer.error is None}
        counts = {problem: len(nodes) for problem, nodes in record.nodes()}
        decided: dict[str, int] = {}
        for _, line in record.lines(DECISIONS):
            decided[str(line.get("problem"))] = decided.get(str(line.get("problem")), 0) + 1
    except DirectoryError as error:
        raise RunDirectoryError(str(error)) from error
    whole = {
        id_: answer
        for id_, answer in found.items()
        if counts.get(id_, 0) == answer.nodes and decided.get(id_, 0) == answer.decisions
    }
    missing = [
        Damage(f"{folder.name}/{NODES}", 0, f"problem {id_}: its lines are not all there")
        for id_ in found
        if id_ not in whole
    ]
    summary = None
    with suppress(OSError, UnicodeDecodeError, ValidationError):
        summary = Summary.model_validate_json((folder / SUMMARY).read_text(encoding="utf-8"))
    return FinishedProblems(whole, summary, (*record.damaged, *missing))


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
    for file, key in ((NODES, "problem"), (DECISIONS, "problem"), (ANSWERS, "id")):
        if (folder / file).exists():
            _rewrite(folder / file, _kept(record, file, key, finished.answers))


def _kept(
    record: StrategyRecord, file: str, key: str, answers: Mapping[str, Answer]
) -> Iterator[str]:
    """Lines of finished problems; of an answer that was written twice, the first."""
    seen: set[str] = set()
    for line, value in record.lines(file):
        problem = str(value.get(key))
        if problem not in answers:
            continue
        if file == ANSWERS:
            if problem in seen or value.get("error") is not None:
                continue
            seen.add(problem)
        yield line


def candidates(folder: Path, name: str, identity: str) -> Iterator[list[CandidateRecord]]:
    """The candidates of each kept problem (after `clear`)."""
    for _, nodes in StrategyRecord(name, folder, identity, {}).nodes():
        yield list(nodes.values())


def _rewrite(path: Path, lines: Iterator[str]) -> None:
    new = path.with_name(path.name + ".new")
    try:
        with open_private(new, "w") as file:
            file.writelines(lines)
        new.replace(path)
    except OSError as error:
        raise RunDirectoryError(f"{path} cannot be written: {reason_of(error)}") from error
    except DirectoryError as error:
        raise RunDirectoryError(str(error)) from error
