"""A problem, and what is said of a file that has none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from tts_lang.errors import CopiedWhole
from tts_runtime.binding import Messages

MAXIMUM_REPORTED = 20


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem.

    Args:
        id: Unique in a run.
        text: What is asked.
        answer: The gold answer; None if unknown.
        fields: What else the row had.
        grader: How answers are graded where the run does not say: a name as `--grader` takes it.
        before: Messages before it, as (role, text): perhaps a system message, then examples, each
            of a user's turn and the reply to it (C79).
    """

    id: str
    text: str
    answer: str | None = None
    fields: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}), hash=False)
    grader: str | None = None
    before: Messages = ()

    def __reduce__(self) -> tuple[type[Problem], tuple[object, ...]]:
        # A mapping that cannot be changed cannot be copied or pickled either.
        parts = (self.id, self.text, self.answer, dict(self.fields), self.grader, self.before)
        return Problem, parts

    @property
    def messages(self) -> list[dict[str, str]]:
        """The conversation that asks it, as chat messages: what is before it, then the text."""
        turns = (*self.before, ("user", self.text))
        return [{"role": role, "content": content} for role, content in turns]


class Trial(NamedTuple):
    """A problem under one seed, which a strategy answers once."""

    problem: str
    seed: int


@dataclass(frozen=True, slots=True)
class BadLine:
    """The error of a line or row (1-based; 0: the whole file), and how to fix it."""

    number: int
    reason: str
    unit: str = "line"

    def __str__(self) -> str:
        return f"{self.unit} {self.number}: {self.reason}" if self.number else self.reason


class ProblemFileError(CopiedWhole):
    """Problems that cannot be used; `lines` are all bad lines, the message the first 20."""

    def __init__(
        self, path: str | Path, lines: tuple[BadLine, ...], *, usable: bool = True
    ) -> None:
        self.path = Path(path)
        self.lines = lines
        shown = [f"  {line}" for line in lines[:MAXIMUM_REPORTED]]
        if len(lines) > MAXIMUM_REPORTED:
            shown.append(f"  and {len(lines) - MAXIMUM_REPORTED} more bad {lines[-1].unit}s")
        if len(lines) > 1 and not usable:
            # Not a problem file at all: the errors of its other lines do not help.
            example = '{"id": "1", "problem": "1 + 1", "answer": "2"}'
            unit = lines[-1].unit
            shown[1:] = [f"  no {unit} of the file can be used; a line looks like {example}"]
        super().__init__("\n".join([f"cannot read problems from {path or '``'}:", *shown]))


class BadRowError(Exception):
    """The reason why one row is bad; collected by `load_problems`."""


def json_type(value: object) -> str:
    """The JSON name of a value's type."""
    if value is None:
        return "null"
    kinds: tuple[tuple[type, str], ...] = (
        (bool, "boolean"),
        (int, "number"),
        (float, "number"),
        (str, "string"),
        (list, "array"),
    )
    return next((name for kind, name in kinds if isinstance(value, kind)), "object")
