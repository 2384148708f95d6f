"""Limits of what is read from outside: every reader of foreign bytes takes them from here."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

#: Levels of lists and objects in JSON from outside.
MOST_LEVELS: Final = 64
#: Bytes of one reply of a server, unpacked; of one line of a stream; of all of a stream.
MOST_REPLY: Final = 64 << 20
MOST_EVENT: Final = 8 << 20
MOST_STREAM: Final = 1 << 30


class TooDeep(ValueError):
    """JSON with more levels than anything that is read here has."""

    def __init__(self) -> None:
        super().__init__(f"nested more than {MOST_LEVELS} levels deep")


def parse_json(text: str, constant: Callable[[str], Any] | None = None) -> Any:
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
