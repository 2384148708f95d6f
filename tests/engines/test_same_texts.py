"""The bundled policy writes the same texts through NumPy as through transformers (C63)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

import tts_lang
from tts_runtime.engines.base import PolicyEngine
from tts_runtime.engines.registry import policy_engine, scorer_engine
from tts_runtime.executor import Outcome, bind, execute_all
from tts_runtime.paths import bundled
from tts_runtime.problems import Problem, bundled_problems, load_problems

#: Greedy, temperatures, steps and scores, thoughts, forced texts, statistics, likeliest starts.
STRATEGIES: Mapping[str, Mapping[str, Any]] = {
    "greedy": {},
    "beam_search": {"n": 4, "width": 2},
    "budget_forcing": {},
    "self_certainty": {"n": 2},
    "cot_decoding": {},
}


def written(strategy: str, problems: Sequence[Problem], engine: str) -> list[tuple[object, ...]]:
    """Everything that a strategy's candidates are, by problem, on one engine."""
    plan = tts_lang.compile(strategy, **STRATEGIES[strategy])
    outcomes: list[Outcome] = []

    async def main() -> None:
        policy: PolicyEngine = policy_engine(engine)
        scorers = {scorer.name: scorer_engine("bundled") for scorer in plan.scorers}
        bound = bind(plan, dict.fromkeys(plan.policies, policy), scorers)
        await execute_all(bound, problems, 3, outcomes.append)
        await policy.close()
        for scorer in scorers.values():
            await scorer.close()

    asyncio.run(main())
    return [
        (
            outcome.problem_id,
            outcome.error,
            outcome.answer,
            [
                (record.op, record.added, record.ids, record.finish, record.done, record.parent)
                for record in outcome.candidates
            ],
        )
        for outcome in sorted(outcomes, key=lambda outcome: outcome.problem_id)
    ]


@pytest.mark.parametrize("number", range(len(STRATEGIES)), ids=list(STRATEGIES))
def test_c63_numpy_writes_what_transformers_writes(number: int) -> None:
    """Greedy on every third bundled test problem, the rest on some; batches differ in size."""
    strategy = list(STRATEGIES)[number]
    problems = load_problems(bundled_problems("test"))
    share = problems[::3] if strategy == "greedy" else problems[number::80]
    found = written(strategy, share, "bundled")
    assert found == written(strategy, share, f"transformers:{bundled('policy')}?slots=32")
    assert [error for _, error, *_ in found] == [None] * len(share)
