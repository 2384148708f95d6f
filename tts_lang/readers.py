"""Limits of what is read from outside: every reader of foreign bytes takes them from here."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

#: Levels of lists and objects in JSON from outside.
MOST_LEVELS: Final = 64
#: Bytes of a strategy file, a binding or a law file: what people write.
MOST_WRITTEN: Final = 1 << 20
#: Bytes of a plan; the largest compiled so far has some 100,000.
MOST_PLAN: Final = 16 << 20
#: Bytes of a problem file, also once it is decompressed; of one of its lines.
MOST_PROBLEMS: Final = 1 << 30
MOST_LINE: Final = 16 << 20
#: Bytes of one reply of a server, unpacked; of one line of a stream; of all of a stream.
MOST_REPLY: Final = 64 << 20
MOST_EVENT: Final = 8 << 20
MOST_STREAM: Final = 1 << 30


class TooDeep(ValueError):
    """JSON with more levels than anything that is read here has."""

    def __init__(self) -> None:
        super().__init__(f"nested more than {MOST_LEVELS} levels deep")


class TooLarge(OSError):
    """A file with more bytes than any of its kind has."""

    def __init__(self, most: int) -> None:
        super().__init__(f"more than {most >> 20} MiB")
        self.strerror = str(self)


def read_written(path: Path, most: int = MOST_WRITTEN) -> bytes:
    """The bytes of a file that people write, or of a plan (`MOST_PLAN`).

    Raises:
        OSError: It cannot be read; `TooLarge`: it has more than `most` bytes.
    """
    with path.open("rb") as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise TooLarge(most)
    return data


def parse_json(text: str | bytes, constant: Callable[[str], Any] | None = None) -> Any:
    """The value of a JSON text.

    Args:
        text: The text.
        constant: Called with `NaN`, `Infinity` or `-Infinity`, as of `json.loads`.

    Raises:
        TooDeep: More than `MOST_LEVELS` levels.
        ValueError: No JSON.
    """
    try:
        value = json.loads(text, parse_constant=constant)
    except RecursionError as error:
        raise TooDeep from error
    level = [value]
    for _ in range(MOST_LEVELS):
        level = [
            inner
            for each in level
            if isinstance(each, dict | list)
            for inner in (each.values() if isinstance(each, dict) else each)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return value
    raise TooDeep
