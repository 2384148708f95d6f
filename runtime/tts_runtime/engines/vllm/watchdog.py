"""Ends vLLM's processes when this one dies without a chance to: they would keep the device."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable

#: Waits for the end of its input, which comes when nobody holds the other end any more.
_WAITS = """
import os, signal, sys
sys.stdin.read()
for number in sys.argv[1:]:
    try:
        os.kill(int(number), signal.SIGTERM)
    except ProcessLookupError:
        pass
"""


class Watchdog:
    """A small process that outlives this one just long enough.

    Args:
        processes: Numbers of those to end.
    """

    def __init__(self, processes: Iterable[int]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _WAITS, *map(str, processes)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for this process to handle
        )

    def dismiss(self) -> None:
        """What it watched has ended."""
        self._process.kill()
        self._process.communicate()
