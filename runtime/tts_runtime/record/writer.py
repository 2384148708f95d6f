"""Appends what one strategy does to its files, a finished problem at a time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from tts_runtime.record.disk import DiskSync
from tts_runtime.record.files import ANSWERS, DECISIONS, NODES, open_private, seal_of

if TYPE_CHECKING:
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
        nodes: Sequence[Mapping[str, Any]],
        decisions: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        """Writes a finished problem.

        Args:
            trial: Which.
            answer: JSON in one line.
            nodes: The lines of its candidates (`executor.records`), which are not changed.
            decisions: The same of its decisions.

        Raises:
            OSError: It cannot be written.
        """
        head = {"problem": trial.problem} | ({"seed": trial.seed} if trial.seed else {})
        for name, lines in ((NODES, nodes), (DECISIONS, decisions)):
            seal = self._seals[name]
            self._write(name, [seal.line({**head, **line}) for line in lines])
        self._write(ANSWERS, [self._seals[ANSWERS].sealed(answer)])
        self._disk.written()

    def _write(self, name: str, lines: Iterable[bytes]) -> None:
        data = b"".join(lines)
        if data:
            file = self._files[name]
            file.write(data)
            file.flush()
