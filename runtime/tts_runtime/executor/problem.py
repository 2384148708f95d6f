"""One problem: what the executor reads of it, who listens to its run, what can go wrong in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from traceback import extract_tb
from typing import Any, Final, Protocol, TypeAlias, TypeVar

from tts_lang.plan.graph import Operation, Origin
from tts_runtime.binding import Messages


class ProblemLike(Protocol):
    """What the executor reads of a problem (see tts_runtime.problems.Problem)."""

    @property
    def id(self) -> str:
        """Unique in a run (C15)."""

    @property
    def text(self) -> str:
        """The text of the problem."""

    @property
    def before(self) -> Messages:
        """The messages before it (C79)."""

    @property
    def answer(self) -> str | None:
        """The gold answer, which only field scorers see."""

    @property
    def fields(self) -> Mapping[str, object]:
        """The other fields of the problem file."""


Event = TypeVar("Event")

#: What is called with each event of one class, in order of subscription.
Listeners: TypeAlias = "tuple[Callable[[Event], None], ...]"


class Events:
    """The listeners to events of one run of one problem. Subscribe before the run starts."""

    __slots__ = ("_listeners",)

    def __init__(self) -> None:
        self._listeners: dict[type[Any], Listeners[Any]] = {}

    def subscribe(self, event: type[Event], listener: Callable[[Event], None]) -> None:
        """Calls `listener` with every event of this class; its exceptions fail the problem."""
        self._listeners[event] = (*self.listeners(event), listener)

    def listeners(self, event: type[Event]) -> Listeners[Event]:
        """The listeners to this class of events."""
        return self._listeners.get(event, ())


# ------------------------------------------------------------------ errors

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
