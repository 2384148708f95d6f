"""Compiles a few lines of a strategy and runs them on scripted engines, in virtual time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tests.support.scripted import ScriptedPolicy
from tts_lang.compiler import compile_strategy
from tts_lang.plan.graph import Plan
from tts_lang.source import Source
from tts_runtime.engines.base import PolicyEngine, ScorerEngine
from tts_runtime.engines.sim.virtual import run_virtual
from tts_runtime.executor import CandidateRecord, Outcome, bind, execute
from tts_runtime.problems import Problem

PROBLEM = Problem("p", "What is 1 + 1?", "2", {"level": 3})


def plan_of(*lines: str, before: str = "") -> Plan:
    """The plan of a strategy `main` of these lines; `before` goes above it."""
    body = "".join(f"    {line}\n" for line in lines)
    source = f"{before}\nstrategy main():\n{body}"
    return compile_strategy(Source.of(source, "main.tts"), "main")


def run_plan(
    plan: Plan,
    policy: PolicyEngine | Mapping[str, PolicyEngine],
    scorers: Mapping[str, ScorerEngine] | None = None,
    problem: Problem = PROBLEM,
    seed: int = 0,
) -> Outcome:
    """What a plan gives on some engines."""
    policies = policy if isinstance(policy, Mapping) else {"policy": policy}
    bound = bind(plan, policies, scorers or {})

    async def one() -> Outcome:
        return await execute(bound, problem, seed)

    return run_virtual(one())


def says(
    texts: Sequence[str],
    *lines: str,
    before: str = "",
    scorers: Mapping[str, ScorerEngine] | None = None,
    policy: PolicyEngine | None = None,
) -> Outcome:
    """The outcome of a strategy whose candidates say `texts`; it must not fail."""
    engine = ScriptedPolicy(texts) if policy is None else policy
    outcome = run_plan(plan_of(*lines, before=before), engine, scorers)
    assert outcome.error is None, outcome.error
    return outcome


def made(outcome: Outcome, op: str) -> list[CandidateRecord]:
    """The candidates that one kind of operation made, in program order."""
    return [record for record in outcome.candidates if record.op == op]


def added(outcome: Outcome, op: str = "expand") -> list[str]:
    """Texts that one kind of operation added."""
    return [record.added for record in made(outcome, op)]


def box(answer: object, note: str = "") -> str:
    """A solution with an answer."""
    return f"{note}\\boxed{{{answer}}}"
