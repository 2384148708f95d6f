"""Requests about a path: what is as long as the path is made when it is first read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any, Protocol

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

    def prefix(self) -> tuple[int, ...]:
        """The ids."""

    def first_texts(self, many: int) -> tuple[str, ...]:
        """The texts of the first steps, which are closed."""


class OfPath:
    """A request about a path.

    Paths are long, and many engines know their beginnings. So what is as long as the path is made
    when it is first read, where the request was given the path itself (`of`).
    """

    __slots__ = ("new", "of", "of_text")

    #: What ids or steps are to be read of; `of_text`: what the text is. `None`: they are there.
    of: PathSource | None
    of_text: PathSource | None
    #: The steps that are to be scored, where whoever asks knows them.
    new: tuple[str, ...] | None

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), tuple([getattr(self, each.name) for each in fields(self)])  # type: ignore[arg-type]


def made_later(request: type[OfPath]) -> None:
    """Makes the fields of a class that are as long as the path when they are first read.

    Properties in front of the slots: `__getattr__` would raise an exception in every request.
    """
    makers = {"prefix": _property(_prefix), "steps": _property(_steps), "text": _text_property}
    for name, make in makers.items():
        if name in request.__dict__:
            setattr(request, name, make(request.__dict__[name]))


def _prefix(_request: Any, path: PathSource) -> tuple[int, ...]:
    return path.prefix()


def _steps(request: Any, path: PathSource) -> tuple[str, ...]:
    new: tuple[str, ...] | None = request.new
    return path.segments.texts if new is None else path.first_texts(request.known) + new


def _property(make: Callable[[Any, PathSource], Any]) -> Callable[[Any], property]:
    """A field that is made of `of`."""

    def over(slot: Any) -> property:
        there, keep = slot.__get__, slot.__set__

        def read(request: OfPath) -> Any:
            path = request.of
            if path is None:
                return there(request)
            value = make(request, path)
            keep(request, value)
            request.of = None  # engines that keep requests need not keep paths
            return value

        def write(request: OfPath, value: Any) -> None:
            request.of = request.new = None
            keep(request, value)

        return property(read, write)

    return over


def _text_property(slot: Any) -> property:
    """The text, which is made of `of_text`."""
    there, keep = slot.__get__, slot.__set__

    def read(request: OfPath) -> Any:
        path = request.of_text
        if path is None:
            return there(request)
        value = path.text
        keep(request, value)
        request.of_text = None
        return value

    def write(request: OfPath, value: Any) -> None:
        request.of_text = None
        keep(request, value)

    return property(read, write)
