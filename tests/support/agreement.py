"""Runs one plan on one random world, by the executor and by the reference interpreter."""

from __future__ import annotations

from dataclasses import dataclass

from tts_runtime.binding import Defaults
from tts_runtime.engines.sim import SimPolicy, SimScorer
from tts_runtime.engines.sim_model import Rates, SimModel
from tts_runtime.engines.station import Latency
from tts_runtime.engines.virtual import run_virtual
from tts_runtime.executor import Outcome, bind, execute
from tts_runtime.problems import Problem

from tests.support import reference
from tts_lang.plan.graph import Plan

PROBLEMS = (
    Problem("a", "2 a b", "2", {"pass_rate": 0.5}),
    Problem("b", "", "1", {"pass_rate": 1}),
    Problem("c", "b\n\nc 3\n\n", "3", {"pass_rate": 0}),
)


@dataclass(frozen=True, slots=True)
class World:
    """Random engines: which models, what their texts look like, how scores fall."""

    seed: int
    rates: Rates
    context: int
    levels: int
    missing: float
    defaults: Defaults

    def policies(self, latency: Latency) -> dict[str, SimPolicy]:
        """Two policies with one tokenizer."""
        found: dict[str, SimPolicy] = {}
        for number, name in enumerate(("policy", "small")):
            model = SimModel(self.seed * 2 + number, self.rates)
            binding = model.binding(self.context, self.defaults)
            found[name] = SimPolicy(model, binding, latency)
        return found

    def scorers(self, latency: Latency) -> dict[str, SimScorer]:
        """A process scorer, an outcome scorer, and one that sees whole pools."""
        return {
            name: SimScorer(
                self.seed * 3 + number,
                steps=name == "prm",
                levels=self.levels,
                missing=self.missing,
                latency=latency,
            )
            for number, name in enumerate(("prm", "orm", "pick"))
        }


def world(seed: int) -> World:
    """The world of a seed; small vocabularies of scores make ties, short contexts make ends."""
    return World(
        seed,
        Rates(
            step=(0.2, 0.4, 0.1)[seed % 3],
            end=(0.08, 0.25, 0.15, 0.02)[seed % 4],
            answer=(0.15, 0.4)[seed % 2],
            thought=(0.1, 0.3)[seed // 2 % 2],
            spread=(1.0, 0.3)[seed // 3 % 2],
        ),
        context=(140, 400, 90)[seed % 3],
        levels=(0, 3, 0, 2)[seed // 2 % 4],
        missing=(0.0, 0.3)[seed // 5 % 2],
        defaults=Defaults(top_k=(0, 0, 6)[seed // 7 % 3]),
    )


INSTANT = Latency(token=0.0)


def latency(seed: int) -> Latency:
    """Service times that change how many requests run at once and in which order they end."""
    slots = (0, 1, 7, 64)[seed % 4]
    return Latency(token=0.01, overhead=0.005, slots=slots, jitter=(0.0, 5.0)[seed % 2], seed=seed)


def by_reference(
    plan: Plan, world: World, problem: Problem, seed: int
) -> reference.ReferenceOutcome:
    """The reference interpreter's outcome."""
    return reference.run(plan, problem, world.policies(INSTANT), world.scorers(INSTANT), seed)


def by_executor(
    plan: Plan, world: World, problem: Problem, seed: int, speed: Latency = INSTANT
) -> Outcome:
    """The executor's outcome, on engines of some speed."""
    bound = bind(plan, world.policies(speed), world.scorers(speed))

    async def one() -> Outcome:
        return await execute(bound, problem, seed)

    return run_virtual(one())
