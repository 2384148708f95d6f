"""Optimised against raw plans on the bundled models, as ratios: what the optimiser saves in runs.

    python benchmarks/optimised_runs.py [--limit 10] [STRATEGY ...]

Raw: no pass of the compiler, none of the executor. Every run has engines of its own. Tokens drawn
for calls that were given up count. Answers must be equal, or the script stops.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tts_lang.compiler import compile_strategy
from tts_lang.optimise import optimise
from tts_lang.plan.graph import Plan
from tts_runtime import Settings, run
from tts_runtime.engines.bundled.policy import BundledPolicy
from tts_runtime.executor import PASSES
from tts_runtime.paths import bundled
from tts_runtime.problems import Problem, bundled_problems, load_problems

#: Strategies, at parameters at which there is something to save, and two where there is nothing.
SHOWN: Mapping[str, Mapping[str, int]] = {
    "majority": {"n": 64},
    "weighted_best_of_n": {"n": 16},
    "best_of_n": {"n": 16},
    "beam_search": {"n": 16},
    "dvts": {"n": 16},
    "adaptive_consistency": {},
    "particle_filter": {},
    "lookahead_search": {"n": 8},
    "token_conditional": {},
    "step_conditional": {},
    "best_of_answered": {},
}


@dataclass(frozen=True, slots=True)
class Spent:
    """What engines did in one run, over all problems; prompt tokens are the strategy's own."""

    tokens: int
    prompt_tokens: int
    calls: int
    scorer_tokens: int
    seconds: float
    answers: tuple[str | None, ...]


def spent(plan: Plan, problems: Sequence[Problem], disabled: frozenset[str]) -> Spent:
    """One run with an engine of its own."""
    engine = BundledPolicy(bundled("policy"))
    settings = Settings({"policy": engine}, {"prm": "bundled"}, disabled=disabled)
    [result] = run(plan, problems, settings=settings)
    work = result.summary.engines
    return Spent(
        work.policy_tokens + work.cancelled_tokens,
        result.summary.prompt_tokens,
        work.policy_calls - work.cancelled_calls,
        work.scorer_tokens,
        result.summary.wall_s,
        tuple(answer.answer for answer in result.answers),
    )


def ratio(optimised: float, raw: float) -> str:
    """`0.66`; a bar where the raw plan spends nothing."""
    return f"{optimised / raw:.2f}" if raw else "-"


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description="Runs of optimised against runs of raw plans.")
    parser.add_argument("strategies", nargs="*", metavar="STRATEGY", default=list(SHOWN))
    parser.add_argument("--limit", type=int, default=10, help="problems")
    given = parser.parse_args()
    problems = load_problems(bundled_problems("test"), given.limit)
    print("| strategy | tokens | prompt tokens | calls | scorer tokens | wall time |")
    print("|---|---|---|---|---|---|")
    for name in given.strategies:
        parameters = SHOWN.get(name, {})
        plan = compile_strategy(name, settings=parameters)
        before = spent(plan, problems, frozenset(PASSES))
        after = spent(optimise(plan).plan, problems, frozenset())
        if before.answers != after.answers:
            raise SystemExit(f"{name}: the answers differ: a pass is broken")
        named = ", ".join(f"{key} = {value}" for key, value in parameters.items())
        cells = (
            ratio(after.tokens, before.tokens),
            ratio(after.prompt_tokens, before.prompt_tokens),
            ratio(after.calls, before.calls),
            ratio(after.scorer_tokens, before.scorer_tokens),
            ratio(after.seconds, before.seconds),
        )
        print(f"| {name}({named}) | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
