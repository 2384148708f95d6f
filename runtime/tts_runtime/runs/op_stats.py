"""Counts of rows, tokens and steps per operation, from the candidates of a run."""

from __future__ import annotations

from collections.abc import Sequence

from tts_lang.explain.assumptions import Lengths
from tts_lang.explain.report import Actual
from tts_runtime.executor import CandidateRecord
from tts_runtime.record.nodes import kind_of, place_of


class OpStats:
    """Adds up the candidates of a strategy's problems as they finish."""

    def __init__(self) -> None:
        self.problems = 0
        self.operations: dict[tuple[str, str], Actual] = {}
        self._tokens = 0
        self._steps = 0
        self._solutions = 0

    def add(self, candidates: Sequence[CandidateRecord]) -> None:
        """Counts the candidates of one problem."""
        self.problems += 1
        sampled = {record.uid: record.tokens for record in candidates}
        for record in candidates:
            row = self.operations.setdefault((record.op, place_of(record.place)), Actual())
            row.rows += 1
            if kind_of(record.op) in ("sampled", "asked"):
                row.tokens += record.tokens - sampled.get(record.before, 0)
            if record.finish == "end":
                self._tokens += record.tokens
                self._steps += max(1, record.steps)
                self._solutions += 1

    @property
    def lengths(self) -> Lengths | None:
        """Mean lengths of steps and solutions; `None` if no solution ended."""
        if not self._solutions:
            return None
        return Lengths(self._tokens / self._steps, self._steps / self._solutions)
