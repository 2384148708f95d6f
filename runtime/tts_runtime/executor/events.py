"""Events of a run: the core says what happens, features and records subscribe.

An event is a small class beside the code that emits it:

* `problem_run`: `RequestMade`, `ReplyArrived`, `ScoreRequested`, `Progressed`, `RunStopped`;
* `scope`: `PoolWaits`, `PoolKnown`, `Decided`, `Scored`, `JudgeReplied`, `StrategyReturned`;
* `children`: `CandidateMade`.

An event is created only if there are listeners: events cost nothing while nobody listens. They are
in the order of what happens, which depends on timing where rows are pending; what they say of each
row does not. Listeners are called synchronously and change nothing. Events refer to the run: who
keeps them keeps its memory. A candidate has its `uid` once the problem has its outcome.
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
