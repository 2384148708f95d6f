"""Events of a run that a caller may follow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tts_lang.plan.graph import Plan
from tts_runtime.engines.base import PolicyEngine
from tts_runtime.executor import Observer, Outcome
from tts_runtime.runs.results import Answer


class Progress(Observer):
    """Receives the events of a run; every method does nothing here."""

    def engine_opens(self, name: str, engine: str) -> None:
        """A policy's or scorer's engine is about to be opened, which may take a while."""

    def run_starts(
        self, plans: Sequence[Plan], problems: int, policies: Mapping[str, PolicyEngine]
    ) -> None:
        """All strategies start on these engines, each over `problems` problems, seeds counted."""

    def problem_resumed(self, strategy: int, answer: Answer) -> None:
        """An earlier session of the run has finished a problem."""

    def outcome(self, strategy: int, outcome: Outcome) -> None:
        """A problem's outcome, before it is graded; its candidates can be read here."""

    def problem_done(self, strategy: int, answer: Answer) -> None:
        """A problem finished or failed; `strategy` is the index of its plan."""

    def run_ends(self) -> None:
        """The last problem finished."""
