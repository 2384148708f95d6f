"""What can go wrong before a run and in it, as messages for the user."""

from __future__ import annotations

from pathlib import Path
from traceback import extract_tb
from typing import Final

from tts_lang.plan.graph import Operation, Origin

MAXIMUM_MESSAGE: Final = 1000


class RunError(Exception):
    """A strategy that cannot continue with one problem; the others continue.

    Args:
        message: What is wrong, naming the candidate or value.
        hint: What to do about it.
        origins: The statement in the strategy file.
    """

    def __init__(self, message: str, hint: str = "", origins: tuple[Origin, ...] = ()) -> None:
        self.message = message
        self.hint = hint
        self.origins = origins
        where = f"{place(origins)}: " if origins else ""
        super().__init__(where + message + (f"; {hint}" if hint else ""))


def error_at(operation: Operation, message: str, hint: str = "") -> RunError:
    """An error of one operation of a plan, with its place in the strategy."""
    return RunError(message, hint, operation.origins)


def unforeseen(error: BaseException) -> str:
    """An exception that no message was written for, with its line of the program."""
    frames = extract_tb(error.__traceback__)
    line = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}: " if frames else ""
    return f"{line}{type(error).__name__}: {error}"[:MAXIMUM_MESSAGE]


def at(operation: Operation) -> str:
    """`file:line: ` in front of a message about an operation."""
    where = place(operation.origins)
    return f"{where}: " if where else ""


def place(origins: tuple[Origin, ...]) -> str:
    """`file:line` of a statement; empty where it is not known."""
    return f"{origins[0].file}:{origins[0].line}" if origins else ""
