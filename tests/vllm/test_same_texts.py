"""The same plan writes the same texts through vLLM as through transformers, in float32."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

import tts_lang
from tests.support.vllm_engines import Engines
from tts_runtime.engines.base import PolicyEngine, ScorerEngine
from tts_runtime.engines.registry import scorer_engine
from tts_runtime.engines.torch.policy import TransformersPolicy
from tts_runtime.executor import Outcome, bind, execute_all
from tts_runtime.paths import bundled
from tts_runtime.problems import Problem

#: Units, limits, forced texts, statistics, `stop when`, asks, likeliest starts: every way to stop.
STRATEGIES: Mapping[str, Mapping[str, Any]] = {
    "best_of_n": {"n": 6},
    "beam_search": {"n": 8, "width": 4},
    "dvts": {"n": 8, "width": 4},
    "budget_forcing": {},
    "deepconf_online": {"warm": 4, "most": 8, "window": 4},
    "cot_decoding": {},
    "uncertainty_cot": {},
    "self_refine": {"rounds": 2},
}
PROBLEMS = (
    Problem("a", "Start with 35; a: +4; b: *3 (mod 100)", "17"),
    Problem("b", "Start with 7; a: *7; b: -8; c: +30 (mod 100)", "71"),
)


@pytest.fixture(scope="module")
def policies(engines: Engines, public_engines: Engines) -> dict[str, PolicyEngine]:
    """The bundled policy through transformers, and both ways through vLLM."""
    folder = bundled("policy")
    return {
        "transformers": TransformersPolicy(str(folder)),
        "vllm": engines.policy(folder),
        "public": public_engines.policy(folder),
    }


def written(strategy: str, policy: PolicyEngine) -> list[tuple[object, ...]]:
    """Everything that a strategy's candidates are, by problem, on one engine."""
    plan = tts_lang.compile(strategy, **STRATEGIES[strategy])
    scorers: dict[str, ScorerEngine] = {
        scorer.name: scorer_engine("bundled") for scorer in plan.scorers if scorer.judge is None
    }
    bound = bind(plan, dict.fromkeys(plan.policies, policy), scorers)
    outcomes: list[Outcome] = []

    async def main() -> None:
        await execute_all(bound, PROBLEMS, 3, outcomes.append)
        for scorer in scorers.values():
            await scorer.close()

    asyncio.run(main())
    return [
        (
            outcome.problem_id,
            outcome.error,
            outcome.answer,
            outcome.counts.policy_calls,
            outcome.counts.policy_tokens,
            [
                (record.op, record.added, record.ids, record.finish, record.done, record.parent)
                for record in outcome.candidates
            ],
        )
        for outcome in sorted(outcomes, key=lambda outcome: outcome.problem_id)
    ]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_strategies_write_the_same(policies: dict[str, PolicyEngine], strategy: str) -> None:
    expected, *others = (written(strategy, policy) for policy in policies.values())
    assert others == [expected, expected]
    assert all(error is None for _, error, *_ in expected)
    assert sum(len(candidates) for *_, candidates in expected) > 2  # type: ignore[misc, arg-type]
