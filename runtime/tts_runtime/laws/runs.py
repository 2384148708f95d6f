"""Both sides of a law, run in one world."""

from __future__ import annotations

from dataclasses import dataclass

from tts_lang.plan.graph import Plan
from tts_runtime.engines.base import PolicyEngine
from tts_runtime.engines.sim.virtual import run_virtual
from tts_runtime.executor import BindError, Outcome, bind, execute
from tts_runtime.laws.random_models import LawWorld
from tts_runtime.problems import Problem


@dataclass(frozen=True, slots=True)
class OutcomePair:
    """The outcomes of both sides; `failed`: one has an error, so they prove nothing (C57)."""

    left: Outcome
    right: Outcome

    @property
    def failed(self) -> bool:
        """A law speaks of runs without errors."""
        return self.left.error is not None or self.right.error is not None

    @property
    def differs(self) -> bool:
        """Different answers; two missing ones are equal."""
        return not self.failed and self.left.answer_key != self.right.answer_key


def run(left: Plan, right: Plan, world: LawWorld) -> OutcomePair:
    """Both plans on the world's problem, on the same engines."""
    policies = {**world.policies(left), **world.policies(right)}
    problem = world.problem(left, right)
    return OutcomePair(*(_outcome(plan, world, policies, problem) for plan in (left, right)))


def alone(plan: Plan, world: LawWorld) -> Outcome:
    """One plan on the world's problem."""
    return _outcome(plan, world, world.policies(plan), world.problem(plan))


def _outcome(
    plan: Plan, world: LawWorld, policies: dict[str, PolicyEngine], problem: Problem
) -> Outcome:
    try:
        bound = bind(plan, policies, world.scorers(plan))
    except BindError as error:
        return Outcome(problem.id, error=str(error))

    async def one() -> Outcome:
        return await execute(bound, problem, world.run)

    return run_virtual(one())
