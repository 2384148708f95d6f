"""Appends what one strategy does to its files, a finished problem at a time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from tts_runtime.record.disk import DiskSync
from tts_runtime.record.files import ANSWERS, DECISIONS, NODES, open_private, seal_of
from tts_runtime.record.nodes import batches

if TYPE_CHECKING:
    from tts_runtime.executor import CandidateRecord
    from tts_runtime.problems.model import Trial


class RecordWriter:
    """Writes nodes, decisions and answers, in this order, so that an answer never lacks them.

    Args:
        folder: The strategy's, which is there.
        identity: Of the run.

    Raises:
        OSError: A file cannot be opened.
    """

    def __init__(self, folder: Path, identity: str) -> None:
        names = NODES, DECISIONS, ANSWERS
        self._files = {name: open_private(folder / name, "ab") for name in names}
        self._seals = {name: seal_of(identity, folder.name, name) for name in names}
        self._disk = DiskSync(lambda: list(self._files.values()))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._disk.finish()
        for file in self._files.values():
            with suppress(OSError):  # what a full disk kept from being written was said before
                file.close()

    def problem(
        self,
        trial: Trial,
        answer: bytes,
        candidates: Sequence[CandidateRecord],
        decisions: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        """Writes a finished problem; `answer` is JSON in one line.

        Raises:
            OSError: It cannot be written.
        """
        self._write(NODES, map(self._seals[NODES].line, batches(*trial, candidates)))
        head = {"problem": trial.problem} | ({"seed": trial.seed} if trial.seed else {})
        seal = self._seals[DECISIONS]
        self._write(DECISIONS, (seal.line({**head, **decision}) for decision in decisions))
        self._write(ANSWERS, [self._seals[ANSWERS].sealed(answer)])
        self._disk.written()

    def _write(self, name: str, lines: Iterable[bytes]) -> None:
        data = b"".join(lines)
        if data:
            file = self._files[name]
            file.write(data)
            file.flush()
