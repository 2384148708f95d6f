"""`tts-run --analyze`: what each operation did, beside what was expected of it."""

from __future__ import annotations

from dataclasses import replace

from tts_lang.explain.assumptions import Assumed, reads_problems_only
from tts_lang.explain.report import RunCounts, analysis
from tts_lang.plan.graph import Plan
from tts_runtime.runs.results import Result

#: Counts of EXPLAIN ANALYZE, and the fields of an answer that they add up.
_COUNTS = {
    "policy_calls": "policy_calls",
    "sampled_tokens": "policy_tokens",
    "prefilled_tokens": "prompt_tokens",
    "scorer_calls": "scorer_calls",
    "scorer_tokens": "scorer_tokens",
}


def analyzed(plan: Plan, result: Result, assumed: Assumed) -> str:
    """EXPLAIN ANALYZE of a plan that ran; expectations use the lengths that the run measured."""
    stats = result.op_stats
    lengths = None if stats is None else stats.lengths
    if stats is None or lengths is None:
        return f"{plan.strategy}: no solution ended, so there are no lengths to expect costs from\n"
    answers = [answer for answer in result.answers if answer.error is None]
    counts = {
        name: sum(getattr(answer, counted) for answer in answers)
        for name, counted in _COUNTS.items()
    }
    if reads_problems_only(plan) and answers:
        lengths = replace(lengths, prompt=counts["prefilled_tokens"] / len(answers))
    run = RunCounts(stats.problems, stats.operations, counts)
    return analysis(plan, replace(assumed, lengths=lengths), run)
