"""What errors with constructors of their own have in common."""

from __future__ import annotations

from typing import Any


class CopiedWhole(Exception):
    """An error that can be copied, and sent to another process, whatever its constructor takes.

    Python copies an error by calling its type with the message alone. Where that fails, a pool of
    processes breaks down, or waits for ever, instead of raising the error.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        return _copied, (type(self), self.args, self.__dict__)


def _copied(kind: type[CopiedWhole], args: tuple[Any, ...], members: dict[str, Any]) -> CopiedWhole:
    error = kind.__new__(kind, *args)
    error.__dict__.update(members)
    return error
