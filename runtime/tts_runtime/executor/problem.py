"""What the executor reads of a problem."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class ProblemLike(Protocol):
    """What the executor reads of a problem (see tts_runtime.problems.Problem)."""

    @property
    def id(self) -> str:
        """Unique in a run (C15)."""

    @property
    def text(self) -> str:
        """What is asked."""

    @property
    def answer(self) -> str | None:
        """The gold answer, which only field scorers see."""

    @property
    def fields(self) -> Mapping[str, object]:
        """What else the problem file says."""
