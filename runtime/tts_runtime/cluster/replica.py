"""A replica: engines in a process of their own, which answer whole problems."""

from __future__ import annotations

import os
from asyncio import Future
from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any, Final

from tts_lang.explain.models import Model
from tts_lang.plan.graph import Plan
from tts_lang.release import release
from tts_runtime.binding import Binding
from tts_runtime.engines.base import (
    EngineError,
    Exactness,
    GenerateRequest,
    Generation,
    Load,
    PolicyEngine,
    ScorerEngine,
    ScoreReply,
    ScoreRequest,
)
from tts_runtime.executor import (
    Bound,
    Outcome,
    ProblemLike,
    Work,
    bind,
    execute_together,
    wants_logprobs,
)
from tts_runtime.executor.problem import Events
from tts_runtime.problems import Problem
from tts_runtime.problems.model import Trial
from tts_runtime.record.decisions import DecisionLog
from tts_runtime.runs.engine_set import EngineSet
from tts_runtime.runs.progress import Progress

_NUMBERS: Final = count()
#: Setups that stay bound to engines in a replica; the oldest go first.
_BOUND: Final = 64


@dataclass(frozen=True, slots=True)
class ReplicaSetup:
    """All that a replica needs to answer problems; it can be pickled where engines are names.

    Args:
        plans: The strategies, as they run.
        policies, scorers: Engines by the name that strategies give them.
        passes: Of the executor (`bind`).
        speculate: As in `Settings`.
        strict: As in `Settings`.
        keep: As in `Settings`; `None`: candidates are not needed at all.
        decisions: What strategies decide is needed.
        number: Tells the setups of one process apart.
    """

    plans: Sequence[Plan]
    policies: Mapping[str, str | PolicyEngine]
    scorers: Mapping[str, str | ScorerEngine]
    passes: Sequence[str]
    speculate: float
    strict: bool
    keep: Collection[str] | None
    decisions: bool
    number: int = field(default_factory=_NUMBERS.__next__)


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """Facts about an engine that a run records, wherever the engine is.

    Args:
        exact, same_bits, card: As of engines.
        binding, slots, spares_logprobs, thought_end: Of policies; 0 slots: it does not say.
    """

    exact: bool
    same_bits: bool
    card: Model | None
    binding: Binding | None = None
    slots: int = 0
    spares_logprobs: bool = False
    thought_end: int = 0


@dataclass(frozen=True, slots=True)
class ReplicaFacts:
    """A replica's description of itself.

    Args:
        version: Of this package.
        exactness: Per strategy: how far a rerun repeats it.
        policies, scorers: Engines by the name that strategies give them.
        process: Its process, for logs.
    """

    version: str
    exactness: Sequence[Exactness]
    policies: Mapping[str, EngineFacts]
    scorers: Mapping[str, EngineFacts]
    process: int


@dataclass(frozen=True, slots=True)
class Finished:
    """One strategy's outcome, with its candidates and what it decided."""

    place: int
    outcome: Outcome
    decisions: Sequence[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class ReplicaReply:
    """The outcomes of a problem; `work`: what the replica's engines have done since its last."""

    finished: Sequence[Finished]
    work: Work


@dataclass(frozen=True, slots=True)
class _Kept:
    """The candidates of an outcome that came from elsewhere, as lines."""

    lines: list[dict[str, Any]]

    def __call__(self, _keep: Collection[str]) -> list[dict[str, Any]]:
        return self.lines


@dataclass(frozen=True, slots=True)
class _BoundSetup:
    """Strategies on open engines."""

    bounds: Sequence[Bound]
    facts: ReplicaFacts


class Replica:
    """Engines, each opened when a setup first needs it, and the problems that they answer."""

    def __init__(self) -> None:
        self._engines = EngineSet()
        self._policies: dict[int, PolicyEngine] = {}
        self._bound: OrderedDict[int, _BoundSetup] = OrderedDict()
        self._cancelled = 0

    async def open(self, setup: ReplicaSetup) -> ReplicaFacts:
        """Opens the engines of a setup, unless they are.

        Raises:
            BindError, EngineError: They cannot be opened, or do not fit.
        """
        return self._bind(setup).facts

    def _bind(self, setup: ReplicaSetup) -> _BoundSetup:
        bound_setup = self._bound.get(setup.number)
        if bound_setup is not None:
            self._bound.move_to_end(setup.number)
            return bound_setup
        used = {name for plan in setup.plans for name in plan.policies}
        used |= {scorer.name for plan in setup.plans for scorer in plan.scorers}
        policies, scorers = self._engines.open(
            setup.policies, setup.scorers, used, Progress(), setup.plans
        )
        speculate = setup.speculate > 0
        logprobs = wants_logprobs(setup.plans, setup.keep or ())
        bounds = [
            bind(plan, policies, scorers, setup.passes, speculate, setup.strict, logprobs)
            for plan in setup.plans
        ]
        self._policies |= {id(engine): engine for engine in policies.values()}
        facts = ReplicaFacts(
            release(),
            [bound.exactness for bound in bounds],
            {name: _facts_of_policy(engine) for name, engine in policies.items()},
            {
                name: EngineFacts(engine.exact, engine.same_bits, engine.card)
                for name, engine in scorers.items()
            },
            os.getpid(),
        )
        bound_setup = self._bound[setup.number] = _BoundSetup(bounds, facts)
        if len(self._bound) > _BOUND:
            self._bound.popitem(last=False)
        return bound_setup

    async def answer(
        self, setup: ReplicaSetup, problem: Problem, seed: int, places: Collection[int]
    ) -> ReplicaReply:
        """The outcomes of the strategies in these places; what they have in common is done once."""
        bounds = self._bind(setup).bounds
        decided = [DecisionLog() for _ in bounds]
        outcomes: list[Finished] = []
        trial = Trial(problem.id, seed)
        keep = setup.keep

        def listen(place: int, _problem: ProblemLike, _seed: int, events: Events) -> None:
            if setup.decisions:
                decided[place].subscribe(trial, events)

        def ended(place: int, outcome: Outcome) -> None:
            nodes = [] if keep is None else outcome.lines(keep)
            lines = decided[place].lines(trial) if outcome.error is None else []
            outcomes.append(Finished(place, replace(outcome, _lines=_Kept(nodes)), lines))

        work = await execute_together(
            bounds,
            [(problem, seed)],
            ended,
            done=lambda place, _id, _seed: place not in places,
            speculate=setup.speculate,
            subscribe=listen,
        )
        cancelled = sum(engine.cancelled_tokens for engine in self._policies.values())
        work.cancelled_tokens, self._cancelled = cancelled - self._cancelled, cancelled
        return ReplicaReply(outcomes, work)

    async def close(self) -> None:
        """Closes the engines."""
        await self._engines.close()


def _facts_of_policy(engine: PolicyEngine) -> EngineFacts:
    load = engine.load
    slots = 0 if load is None else load.slots
    return EngineFacts(
        engine.exact,
        engine.same_bits,
        engine.card,
        engine.binding,
        slots,
        engine.spares_logprobs,
        engine.thought_end,
    )


class DistantPolicy(PolicyEngine):
    """Stands for a policy of replicas where a run tells what it ran on; it answers nothing."""

    def __init__(self, facts: EngineFacts) -> None:
        assert facts.binding is not None
        self.exact, self.same_bits = facts.exact, facts.same_bits
        self.card, self.binding = facts.card, facts.binding
        self.spares_logprobs = facts.spares_logprobs
        self._slots, self._thought_end = facts.slots, facts.thought_end
        #: Tokens of requests that replicas gave up.
        self.given_up = 0

    @property
    def thought_end(self) -> int:
        """As the replicas' tokenizer has it."""
        return self._thought_end

    @property
    def cancelled_tokens(self) -> int:
        """The count of cancelled tokens in all replicas."""
        return self.given_up

    @property
    def load(self) -> Load | None:
        """The slots of one replica; who is busy is known there."""
        return Load(0, self._slots, 0) if self._slots else None

    def generate(self, request: GenerateRequest) -> Future[Generation]:
        """Replicas generate."""
        raise EngineError(f"stream {request.key!r} is drawn by a replica")


class DistantScorer(ScorerEngine):
    """Stands for a scorer of replicas, as `DistantPolicy` does."""

    def __init__(self, facts: EngineFacts) -> None:
        self.exact, self.same_bits, self.card = facts.exact, facts.same_bits, facts.card

    def score(self, request: ScoreRequest) -> Future[ScoreReply]:
        """Replicas score."""
        raise EngineError(f"{request.problem[:40]!r} is scored by a replica")
