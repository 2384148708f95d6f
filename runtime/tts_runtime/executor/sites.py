"""Where in a strategy an operation stands: for errors and for records."""

from __future__ import annotations

from tts_lang.plan.graph import Operation, Origin
from tts_runtime.executor.errors import RunError, place


class Site:
    """One operation of a plan."""

    __slots__ = ("op", "origins")

    def __init__(self, operation: Operation) -> None:
        self.op = operation.spec.op
        self.origins: tuple[Origin, ...] = operation.origins

    @property
    def place(self) -> str:
        """`file:line`, as far as it is known."""
        return place(self.origins)

    def error(self, message: str, hint: str = "") -> RunError:
        """An error of this operation."""
        return RunError(message, hint, self.origins)
