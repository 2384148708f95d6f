"""Random worlds, and the comparison of a strategy file with its published algorithm."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from textwrap import dedent
from typing import Any, TypeVar

from tests.support.published.lab import Lab
from tests.support.published.path import Path
from tests.support.shipped import FILES
from tts_lang.compiler import compile_strategy
from tts_lang.plan.graph import Plan
from tts_runtime.binding import Defaults
from tts_runtime.engines.base import GenerateRequest, Generation
from tts_runtime.engines.sim.engines import SimPolicy, SimScorer
from tts_runtime.engines.sim.model import Rates, SimModel, SimTokenizer
from tts_runtime.engines.sim.virtual import run_virtual
from tts_runtime.executor import Bound, Outcome, bind, execute
from tts_runtime.problems import Problem

#: An algorithm takes a lab and the strategy's parameters, and gives the winner.
Algorithm = Callable[..., "Path | None"]
Registered = TypeVar("Registered", bound=Algorithm)
PUBLISHED: dict[str, Algorithm] = {}

PROBLEMS = (
    Problem("a", "2 a b", "2", {"pass_rate": 0.5}),
    Problem("b", "", "1", {"pass_rate": 1}),
    Problem("c", "b\n\nc 3\n\n", "3", {"pass_rate": 0.05}),
)
#: Words with which judges are answered, beside the usual vocabulary.
_VERDICTS = ("Grade:", "Best:", " sure ", " likely ", " impossible ", " low ", " high ", " yes ")
_TEMPLATE = re.compile(r'^(?:prompt|judge) (\w+)[^"\n]*(?:\n\s+)?"""(.*?)"""', re.M | re.S)
_SHORT_TEMPLATE = re.compile(r'^prompt (\w+) = "([^"\n]+)"$', re.M)


@dataclass(frozen=True, slots=True)
class World:
    """Random engines. Few levels make ties, a short context makes ends."""

    seed: int
    rates: Rates
    context: int = 400
    levels: int = 0
    missing: float = 0.0
    top_k: int = 0


#: Short solutions that have steps, thoughts, answers and ends.
_RICH = Rates(step=0.3, end=0.12, answer=0.4, thought=0.2, spread=0.5)
WORLDS = (
    World(1, _RICH),
    World(2, _RICH, levels=3, missing=0.2),
    World(3, Rates(0.4, 0.05, 0.3, 0.4, 0.3), context=60, levels=2),
    World(4, Rates(0.2, 0.2, 0.5, 0.1, 1.0), missing=0.3, top_k=6),
)
#: Room for prompts that show several solutions.
ROOMY = tuple(
    World(world.seed + 10, world.rates, 6000, world.levels, world.missing, world.top_k)
    for world in WORLDS
)


def published(function: Registered) -> Registered:
    """Registers an algorithm under the name of the strategy that it is the published form of."""
    PUBLISHED[function.__name__] = function
    return function


class _TalkingTokenizer(SimTokenizer):
    """Also knows what judges are answered with."""

    def __init__(self) -> None:
        super().__init__()
        for word in _VERDICTS:
            self._ids[word] = len(self._pieces)
            self._pieces = (*self._pieces, word.encode())
        longest_first = sorted(self._ids, key=len, reverse=True)
        self._split = re.compile("|".join([*map(re.escape, longest_first), r"[\s\S]"]))


class _TalkingModel(SimModel):
    """Also says now and then what judges are answered with."""

    def __init__(self, seed: int, rates: Rates) -> None:
        super().__init__(seed, rates)
        self.tokenizer = _TalkingTokenizer()
        self._usual = {state: self._expected(state) for state in self._usual}
        for word in _VERDICTS:
            self._usual["text"][self.tokenizer.id(word)] = -3.0


class _Remembering(SimPolicy):
    """Answers a request from memory if any test has made it before."""

    def __init__(self, world: World, number: int) -> None:
        model = _TalkingModel(world.seed * 2 + number, world.rates)
        super().__init__(model, model.binding(world.context, Defaults(top_k=world.top_k)))
        self._memory = {}

    def generate_now(self, request: GenerateRequest) -> Generation:
        """Requests with a `stop when` are pure too, but no two are equal."""
        if request.limits.watched:
            return self._generate(request)
        return super().generate_now(request)


@lru_cache(maxsize=64)
def policy_of(world: World, number: int = 0) -> SimPolicy:
    """A policy of a world, shared by all tests."""
    return _Remembering(world, number)


def _scorers(world: World, plan: Plan) -> dict[str, SimScorer]:
    return {
        scorer.name: SimScorer(
            world.seed * 3 + number,
            steps=scorer.steps,
            levels=world.levels,
            missing=world.missing,
        )
        for number, scorer in enumerate(plan.scorers)
        if scorer.judge is None and scorer.field is None
    }


@lru_cache(maxsize=1)
def templates() -> Mapping[str, str]:
    """Texts of all prompts and judges of the shipped files: wording, which no paper prescribes."""
    found: dict[str, str] = {}
    for path in FILES:
        source = path.read_text(encoding="utf-8")
        for name, text in _TEMPLATE.findall(source):
            found[name] = dedent(text.removeprefix("\n"))
        found.update(_SHORT_TEMPLATE.findall(source))
    return found


def check(
    name: str,
    parameters: Mapping[str, Any],
    worlds: tuple[World, ...] = WORLDS,
    altered: Mapping[str, Any] | None = None,
) -> None:
    """The strategy file does exactly what its published algorithm does, in every world.

    Compared: the answer, the winner's path, every sampled candidate, distinct generations, tokens.
    `altered` gives the algorithm other parameters, to see that a difference is noticed.
    """
    plan = compile_strategy(name, None, dict(parameters))
    for world in worlds:
        policies = {each: policy_of(world, place) for place, each in enumerate(plan.policies)}
        scorers = _scorers(world, plan)
        for seed, problem in enumerate(PROBLEMS, world.seed):
            lab = Lab(problem, seed, policies, scorers, templates())
            winner = PUBLISHED[name](lab, **{**parameters, **(altered or {})})
            _compare(lab, winner, outcome_of(bind(plan, policies, scorers), problem, seed))


def outcome_of(bound: Bound, problem: Problem, seed: int) -> Outcome:
    """What the executor makes of a strategy."""

    async def one() -> Outcome:
        return await execute(bound, problem, seed)

    return run_virtual(one())


def _compare(lab: Lab, winner: Path | None, outcome: Outcome) -> None:
    assert outcome.error is None, outcome.error
    records = outcome.candidates
    sampled = [
        (record.added, record.ids, record.tokens, record.finish, record.done, record.logprob)
        for record in records
        if record.op in ("expand", "ask")
    ]
    assert sorted(sampled, key=repr) == sorted(lab.ledger.candidates, key=repr)
    assert outcome.counts.policy_calls == len(lab.ledger.replies)
    assert outcome.counts.policy_tokens == lab.ledger.tokens
    if winner is None:
        assert outcome.row is None
        assert outcome.answer is None
        return
    row = next(record for record in records if record.uid == outcome.row)
    assert (row.ids, row.tokens, row.logprob) == (len(winner.ids), winner.tokens, winner.logprob)
    assert outcome.answer == lab.written_answer(winner)
    assert outcome.answer_key == lab.answer(winner)
