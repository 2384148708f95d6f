"""Events of a run: the core says what happens, features and records subscribe.

An event is a small class beside the code that emits it (`ReplyArrived`, `PoolWaits`, `Decided`...).
The core looks up the listeners of an event once, when a problem starts, and creates an event only
if there are any: events cost nothing while nobody listens.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

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
