"""Appends what one strategy does to its files, a finished problem at a time."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, TextIO

from tts_runtime.record.files import ANSWERS, DECISIONS, NODES, seal_of
from tts_runtime.record.nodes import batches

if TYPE_CHECKING:
    from collections.abc import Callable

    from tts_runtime.executor import CandidateRecord

#: Seconds after which what is written is brought to the disk.
SYNC_EVERY: Final = 2.0


class RecordWriter:
    """Writes nodes, decisions and answers, in this order, so that an answer never lacks them.

    Args:
        folder: The strategy's, which is there.
        identity: Of the run.
        opener: Opens a file for appending, private to its owner.
    """

    def __init__(self, folder: Path, identity: str, opener: Callable[[Path], TextIO]) -> None:
        self._files = {name: opener(folder / name) for name in (NODES, DECISIONS, ANSWERS)}
        self._seals = {name: seal_of(identity, folder.name, name) for name in self._files}
        self._synced = monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.sync()
        for file in self._files.values():
            with suppress(OSError):  # what a full disk kept from being written was said before
                file.close()

    def problem(
        self,
        answer: dict[str, Any],
        candidates: Sequence[CandidateRecord],
        decisions: Sequence[dict[str, Any]] = (),
    ) -> None:
        """Writes a finished problem.

        Raises:
            OSError: It cannot be written.
        """
        problem, seed = answer["id"], answer.get("seed", 0)
        self._write(NODES, list(batches(problem, seed, candidates)))
        head = {"problem": problem} | ({"seed": seed} if seed else {})
        self._write(DECISIONS, [head | decision for decision in decisions])
        counts = {"nodes": len(candidates), "decisions": len(decisions)}
        self._write(ANSWERS, [answer | counts])
        if monotonic() - self._synced > SYNC_EVERY:
            self.sync()

    def _write(self, name: str, lines: Sequence[dict[str, Any]]) -> None:
        if lines:
            seal, file = self._seals[name], self._files[name]
            file.write("".join(map(seal.line, lines)))
            file.flush()

    def sync(self) -> None:
        """Brings what is written to the disk, answers last."""
        self._synced = monotonic()
        for file in self._files.values():
            with suppress(OSError, ValueError):
                os.fsync(file.fileno())
