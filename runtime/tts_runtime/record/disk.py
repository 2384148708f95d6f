"""Brings what is written to the disk now and then, in a thread: a disk takes its time."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from threading import Thread
from time import monotonic
from typing import BinaryIO, Final

#: Seconds after which what is written is brought to the disk.
SYNC_EVERY: Final = 2.0


class DiskSync:
    """Syncs the files that `files` gives, in their order, at most one time at a time."""

    def __init__(self, files: Callable[[], Sequence[BinaryIO]]) -> None:
        self._files = files
        self._last = monotonic()
        self._thread: Thread | None = None

    def written(self) -> None:
        """Something was written: it is brought to the disk, if that is due."""
        if monotonic() - self._last > SYNC_EVERY and not (
            self._thread is not None and self._thread.is_alive()
        ):
            self._last = monotonic()
            self._thread = Thread(target=self._sync, daemon=True)
            self._thread.start()

    def wait(self) -> None:
        """Returns when no thread uses the files any more: before they close."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def finish(self) -> None:
        """Brings everything to the disk, before the files close."""
        self.wait()
        self._sync()

    def _sync(self) -> None:
        for file in self._files():
            with suppress(OSError, ValueError):  # what cannot be written is said by who writes
                os.fsync(file.fileno())
