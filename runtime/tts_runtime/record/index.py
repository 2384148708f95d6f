"""Where the lines of each problem are in a file that may still grow, so that one is read alone."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from os import stat_result
from pathlib import Path
from typing import Any, BinaryIO, Final

from pydantic import ValidationError

from tts_runtime.executor import CandidateRecord
from tts_runtime.problems.model import Trial
from tts_runtime.record.files import ANSWERS, DECISIONS, NODES, DirectoryError, seal_of
from tts_runtime.record.lines import Damage, Seal
from tts_runtime.record.nodes import NodeBatch, records
from tts_runtime.record.reader import StrategyRecord, Tree
from tts_runtime.runs.results import Answer

_HEAD: Final = re.compile(rb'\{"(?:problem|id)":("(?:[^"\\]|\\.)*")(?:,"seed":(-?\d{1,20}))?[,}]')
_CHUNK: Final = 1 << 22


class LineIndex:
    """Places of the lines of a file by problem and seed; texts stay in the file.

    Args:
        path: The file; it need not be there yet.
        seal: What its lines are checked with, when they are read.
    """

    def __init__(self, path: Path, seal: Seal) -> None:
        self._path = path
        self._seal = seal
        self.restarts = -1
        self._restart(None)

    def _restart(self, inode: int | None) -> None:
        self.restarts += 1
        self._inode = inode
        self._end = 0
        self._spans: dict[Trial, list[tuple[int, int]]] = {}

    def update(self) -> dict[Trial, None]:
        """Reads what was appended since, as far as its lines are whole.

        Returns:
            Whose lines were found, in order; all again if the file was replaced or cut.

        Raises:
            DirectoryError: The file cannot be read.
        """
        try:
            about: stat_result = self._path.stat()
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise DirectoryError(f"{self._path} cannot be read: {error}") from error
        if self._inode is None:
            self._inode = about.st_ino
        elif about.st_ino != self._inode or about.st_size < self._end:
            self._restart(about.st_ino)
        found: dict[Trial, None] = {}
        with self._opened() as file:
            file.seek(self._end)
            rest = b""
            while chunk := file.read(_CHUNK):
                *whole, rest = (rest + chunk).split(b"\n")
                for line in whole:
                    trial = _trial(line)
                    if trial is not None:
                        self._add(trial, len(line) + 1)
                        found[trial] = None
                    self._end += len(line) + 1
        return found

    def _opened(self) -> BinaryIO:
        try:
            return self._path.open("rb")
        except OSError as error:
            raise DirectoryError(f"{self._path} cannot be read: {error}") from error

    def _add(self, trial: Trial, length: int) -> None:
        spans = self._spans.setdefault(trial, [])
        if spans and sum(spans[-1]) == self._end:
            spans[-1] = (spans[-1][0], spans[-1][1] + length)
        else:
            spans.append((self._end, length))

    def __iter__(self) -> Iterator[Trial]:
        """Problems and seeds, in the order in which they came."""
        return iter(self._spans)

    def lines(self, trial: Trial, damaged: list[Damage]) -> Iterator[dict[str, Any]]:
        """The good lines of a problem; what cannot be believed goes to `damaged`.

        Raises:
            DirectoryError: The file cannot be read.
        """
        spans = self._spans.get(trial)
        if spans is None:
            return  # also where there is no file
        name = f"{self._path.parent.name}/{self._path.name}"
        with self._opened() as file:
            for start, length in spans:
                file.seek(start)
                text = file.read(length).decode("utf-8", "surrogateescape")
                for line in text.split("\n")[:-1]:
                    try:
                        yield self._seal.read(line + "\n")
                    except ValueError as error:
                        damaged.append(Damage(name, 0, f"problem {trial[0]}: {error}"))


def _trial(line: bytes) -> Trial | None:
    head = _HEAD.match(line)
    if head is None:
        return None
    try:
        return Trial(str(json.loads(head[1])), int(head[2] or 0))
    except ValueError:
        return None


class RecordIndex:
    """Reads single problems of a strategy, whatever the size of its files.

    Args:
        record: Of the strategy.
    """

    def __init__(self, record: StrategyRecord) -> None:
        self.record = record
        self._files = {
            name: LineIndex(
                record.folder / name, seal_of(record.identity, record.folder.name, name)
            )
            for name in (NODES, DECISIONS, ANSWERS)
        }

    @property
    def restarts(self) -> int:
        """How often the answers had to be read again, since their file was replaced or cut."""
        return self._files[ANSWERS].restarts

    def update(self) -> dict[Trial, None]:
        """Reads what was appended; returns which problems were answered, in this order.

        Raises:
            DirectoryError: A file cannot be read.
        """
        # Answers first: an answer that is there has its nodes and decisions.
        found = self._files[ANSWERS].update()
        for name in (NODES, DECISIONS):
            self._files[name].update()
        return found

    def answer(self, trial: Trial) -> Answer | None:
        """The answer to a problem; if it failed first and was tried again, that of the last try."""
        found: Answer | None = None
        for line in self._files[ANSWERS].lines(trial, self.record.damaged):
            if found is None or found.error is not None:
                try:
                    found = Answer.model_validate(line)
                except ValidationError as error:
                    self._damaged(ANSWERS, trial, error)
        return found

    def tree(self, trial: Trial) -> Tree | None:
        """What the strategy did for one problem; `None` if it is not there, or not whole.

        Raises:
            DirectoryError: A file cannot be read.
        """
        answer = self.answer(trial)
        problem = self.record.problems.get(trial[0])
        if answer is None or problem is None:
            return None
        if answer.error is not None:
            return Tree(problem, answer, {}, (), self.record.graders)
        nodes: dict[int, CandidateRecord] = {}
        for line in self._files[NODES].lines(trial, self.record.damaged):
            try:
                batch = NodeBatch.model_validate(line)
                if batch.first == 1:  # torn, and drawn again
                    nodes = {}
                records(batch, nodes)
            except (ValidationError, ValueError) as error:
                self._damaged(NODES, trial, error)
        decisions = list(self._files[DECISIONS].lines(trial, self.record.damaged))
        return self.record.tree_of(answer, nodes, decisions)

    def _damaged(self, name: str, trial: Trial, why: object) -> None:
        reason = f"problem {trial[0]}: {str(why)[:200]}"
        self.record.damaged.append(Damage(f"{self.record.folder.name}/{name}", 0, reason))
