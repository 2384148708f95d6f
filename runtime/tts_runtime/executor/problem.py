"""One problem: what the executor reads of it, and who listens to its run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeAlias, TypeVar

from tts_runtime.binding import Messages


class ProblemLike(Protocol):
    """What the executor reads of a problem (see tts_runtime.problems.Problem)."""

    @property
    def id(self) -> str:
        """Unique in a run (C15)."""

    @property
    def text(self) -> str:
        """What is asked."""

    @property
    def before(self) -> Messages:
        """The messages before it (C79)."""

    @property
    def answer(self) -> str | None:
        """The gold answer, which only field scorers see."""

    @property
    def fields(self) -> Mapping[str, object]:
        """What else the problem file says."""


Event = TypeVar("Event")

#: What is called with each event of one class, in order of subscription.
Listeners: TypeAlias = "tuple[Callable[[Event], None], ...]"


class Events:
    """Who listens to what, within one run of one problem. Subscribe before the run starts."""

    __slots__ = ("_listeners",)

    def __init__(self) -> None:
        self._listeners: dict[type[Any], Listeners[Any]] = {}

    def subscribe(self, event: type[Event], listener: Callable[[Event], None]) -> None:
        """Calls `listener` with every event of this class; its exceptions fail the problem."""
        self._listeners[event] = (*self.listeners(event), listener)

    def listeners(self, event: type[Event]) -> Listeners[Event]:
        """Who listens to this class of events."""
        return self._listeners.get(event, ())
