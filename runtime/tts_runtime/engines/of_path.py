"""Requests about a path: what is as long as the path is made when it is first read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, Final, Protocol

from tts_runtime.steps import StepSplit


class PathSource(Protocol):
    """A path that requests are about."""

    @property
    def position(self) -> int:
        """Ids after the prompt."""

    @property
    def mark(self) -> int:
        """Their `path_mark`."""

    @property
    def segments(self) -> StepSplit:
        """How they are split into steps."""

    @property
    def text(self) -> str:
        """Their text."""

    def path(self) -> tuple[int, ...]:
        """The ids."""


class OfPath:
    """A request about a path.

    Paths are long, and many engines know their beginnings. So what is as long as the path is made
    when it is first read, where the request was given the path itself (`of`).
    """

    __slots__ = ("new", "of")

    of: PathSource | None
    #: The steps that are to be scored, where whoever asks knows them.
    new: tuple[str, ...] | None

    def __getattr__(self, name: str) -> Any:  # what is not there yet
        if name in ("of", "new"):
            return None
        of, make = self.of, _LATER.get(name)
        if of is None or make is None:  # or another thread has made it meanwhile
            return object.__getattribute__(self, name)
        value = make(of)
        setattr(self, name, value)
        if name == "prefix":  # it is all: engines that keep requests need not keep paths
            self.of = None
        return value

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), tuple([getattr(self, each.name) for each in fields(self)])  # type: ignore[arg-type]


_LATER: Final[Mapping[str, Callable[[PathSource], Any]]] = {
    "prefix": lambda path: path.path(),
    "text": lambda path: path.text,
    "steps": lambda path: path.segments.texts,
}
