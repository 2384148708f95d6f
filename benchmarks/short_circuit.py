"""What short-circuit votes save on the bundled models, by difficulty.

    python benchmarks/short_circuit.py [--n 64] [--limit 40] [--slots 64]

Runs `majority` with and without the pass `short_circuit` over the bundled test problems, easiest
first, in groups by pass rate. Tokens of generations that were cancelled half-way count as drawn.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from tts_lang.compiler import compile_strategy
from tts_lang.plan.graph import Plan
from tts_runtime.engines.bundled.policy import BundledPolicy
from tts_runtime.executor import PASSES, Outcome, bind, execute_all
from tts_runtime.paths import bundled
from tts_runtime.problems import Problem, bundled_problems, load_problems


@dataclass(frozen=True, slots=True)
class Spent:
    """Tokens that the engine drew, prompt tokens that it prefilled, and the answers by problem."""

    tokens: int
    cancelled_calls: int
    answers: dict[str, str | None]


async def spent(
    plan: Plan, problems: Sequence[Problem], passes: Sequence[str], slots: int
) -> Spent:
    """One run on an engine of its own."""
    engine = BundledPolicy(bundled("policy"), slots=slots)
    outcomes: list[Outcome] = []
    try:
        bound = bind(plan, {"policy": engine}, {}, passes)
        work = await execute_all(bound, problems, 0, outcomes.append)
        cancelled = engine.cancelled_tokens
    finally:
        await engine.close()
    return Spent(
        work.policy_tokens + cancelled,
        work.cancelled_calls,
        {outcome.problem_id: outcome.answer_key for outcome in outcomes},
    )


def groups(problems: Sequence[Problem], parts: int) -> list[list[Problem]]:
    """Equal parts of the problems, the easiest (largest pass rate) first."""
    ordered = sorted(problems, key=lambda each: -float(str(each.fields.get("pass_rate", 0))))
    size = -(-len(ordered) // parts)
    return [ordered[start : start + size] for start in range(0, len(ordered), size)]


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description="Tokens with and without short-circuit votes.")
    parser.add_argument("--n", type=int, default=64)
    parser.add_argument("--limit", type=int, default=40)
    parser.add_argument("--slots", type=int, default=64)
    parser.add_argument("--parts", type=int, default=4)
    given = parser.parse_args()
    plan = compile_strategy("majority", settings={"n": given.n})
    problems = load_problems(bundled_problems("test"), given.limit)
    print(f"majority at {given.n}, {given.slots} slots")
    print("pass rate      problems   all tokens   with the pass   saved   calls given up")
    for part in groups(problems, given.parts):
        everything = asyncio.run(spent(plan, part, (), given.slots))
        less = asyncio.run(spent(plan, part, tuple(PASSES), given.slots))
        if everything.answers != less.answers:
            raise SystemExit("the answers differ: the pass is broken")
        rates = [float(str(each.fields.get("pass_rate", 0))) for each in part]
        saved = 1 - less.tokens / everything.tokens
        calls = less.cancelled_calls / (given.n * len(part))
        print(
            f"{max(rates):.2f} to {min(rates):.2f} {len(part):>9} {everything.tokens:>13,}"
            f" {less.tokens:>13,} {saved:>9.0%} {calls:>12.0%}"
        )


if __name__ == "__main__":
    main()
