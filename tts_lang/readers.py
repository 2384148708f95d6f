"""Size limits for everything that is read from files and servers, and JSON parsing within them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

#: Nesting of lists and objects in JSON.
MAX_JSON_DEPTH: Final = 64
#: Bytes of a file that people write: a strategy, a binding, a prompt. Our largest strategy has
#: 12,000; a prompt of 32 worked examples makes it some 64 KiB. Twice that is parsed in one to two
#: seconds, in four if every other character is a sign.
MAX_TEXT_BYTES: Final = 128 << 10
#: Bytes of a plan; the largest compiled so far has some 100,000.
MAX_PLAN_BYTES: Final = 16 << 20
#: Bytes of a problem file, decompressed; of one of its lines.
MAX_PROBLEMS_BYTES: Final = 1 << 30
MAX_LINE_BYTES: Final = 16 << 20
#: Bytes of a reply of a server, decompressed; of one event of a stream; of a whole stream.
MAX_REPLY_BYTES: Final = 64 << 20
MAX_EVENT_BYTES: Final = 8 << 20
MAX_STREAM_BYTES: Final = 1 << 30


class TooDeep(ValueError):
    """JSON that is nested too deeply."""

    def __init__(self) -> None:
        super().__init__(f"nested more than {MAX_JSON_DEPTH} levels deep")


class TooLarge(OSError):
    """A file that is too large for its kind."""

    def __init__(self, most: int) -> None:
        large = most >> 20
        super().__init__(f"more than {large} MiB" if large else f"more than {most >> 10} KiB")
        self.strerror = str(self)


def is_there(path: Path) -> bool:
    """Whether there is such a file or folder; none has a name that is too long."""
    try:
        return path.exists()
    except OSError:
        return False


def is_file(path: Path) -> bool:
    """Whether a name stands for a file, as `is_there`."""
    return is_there(path) and path.is_file()


def is_folder(path: Path) -> bool:
    """Whether a name stands for a folder, as `is_there`."""
    return is_there(path) and path.is_dir()


def read_written(path: Path, most: int = MAX_TEXT_BYTES) -> bytes:
    """The bytes of a file that people write, or of a plan (`MAX_PLAN_BYTES`).

    Raises:
        OSError: It cannot be read; `TooLarge`: it has more than `most` bytes.
    """
    with path.open("rb") as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise TooLarge(most)
    return data


def parse_json(
    text: str | bytes,
    constant: Callable[[str], Any] | None = None,
    pairs: Callable[[list[tuple[str, Any]]], Any] | None = None,
) -> Any:
    """The value of a JSON text.

    Args:
        text: The text.
        constant: Called with `NaN`, `Infinity` or `-Infinity`, as of `json.loads`.
        pairs: Called with each object's names and values; returns the object's value.

    Raises:
        TooDeep: More than `MAX_JSON_DEPTH` levels.
        ValueError: Not JSON.
    """
    try:
        value = json.loads(text, parse_constant=constant, object_pairs_hook=pairs)
    except RecursionError as error:
        raise TooDeep from error
    level = [value]
    for _ in range(MAX_JSON_DEPTH):
        level = [
            inner
            for node in level
            if isinstance(node, dict | list)
            for inner in (node.values() if isinstance(node, dict) else node)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return value
    raise TooDeep
