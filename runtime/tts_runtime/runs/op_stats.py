"""What a run did, operation by operation (`tts-run --analyze`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from tts_lang.explain.assume import Assumed
from tts_lang.explain.lengths import Lengths, reads_problems_only
from tts_lang.explain.report import Actual, Run, analysis
from tts_lang.plan.graph import Plan
from tts_runtime.executor import CandidateRecord

if TYPE_CHECKING:
    from tts_runtime.runs.result_collector import Result


class Made:
    """Adds up the candidates of a strategy's problems as they end."""

    def __init__(self) -> None:
        self.problems = 0
        self.operations: dict[tuple[str, str], Actual] = {}
        self._tokens = 0
        self._steps = 0
        self._solutions = 0

    def add(self, candidates: Sequence[CandidateRecord]) -> None:
        """One problem's candidates."""
        self.problems += 1
        sampled = {record.uid: record.tokens for record in candidates}
        for record in candidates:
            row = self.operations.setdefault((record.op, record.place), Actual())
            row.rows += 1
            # A question about a candidate starts its count anew (C22).
            before = 0 if record.op == "ask" else sampled.get(record.parent or 0, 0)
            row.tokens += record.tokens - before
            if record.finish == "end":
                self._tokens += record.tokens
                self._steps += max(1, record.steps)
                self._solutions += 1

    @property
    def lengths(self) -> Lengths | None:
        """Mean lengths of steps and solutions; none if no solution ended."""
        if not self._solutions:
            return None
        return Lengths(self._tokens / self._steps, self._steps / self._solutions)


def analysed(plan: Plan, result: Result, assumed: Assumed) -> str:
    """EXPLAIN ANALYZE of a plan that ran: actual beside expected, with the lengths as they were."""
    made = result.made
    lengths = None if made is None else made.lengths
    if made is None or lengths is None:
        return f"{plan.strategy}: no solution ended, so there is nothing to expect\n"
    answers = [answer for answer in result.answers if answer.error is None]
    counts = {
        name: sum(getattr(answer, counted) for answer in answers)
        for name, counted in (
            ("policy_calls", "policy_calls"),
            ("sampled_tokens", "policy_tokens"),
            ("prefilled_tokens", "prompt_tokens"),
            ("scorer_calls", "scorer_calls"),
            ("scorer_tokens", "scorer_tokens"),
        )
    }
    if reads_problems_only(plan) and answers:
        lengths = replace(lengths, prompt=counts["prefilled_tokens"] / len(answers))
    run = Run(made.problems, made.operations, counts)
    return analysis(plan, replace(assumed, lengths=lengths), run)
