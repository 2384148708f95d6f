"""Random worlds for laws: small policies, scorers with ties and missing values, problems."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from random import Random
from typing import Final
from zlib import crc32

from tts_lang.plan.graph import Plan, Scorer
from tts_runtime.binding import Defaults
from tts_runtime.engines.base import PolicyEngine, ScorerEngine
from tts_runtime.engines.scorers import GOLD
from tts_runtime.engines.sim.engines import SimPolicy, SimScorer
from tts_runtime.engines.sim.model import Rates, SimModel
from tts_runtime.engines.sim.sim_server import Latency
from tts_runtime.problems import Problem

_INSTANT: Final = Latency(token=0.0)
#: Far enough below all others that a token never comes.
_NEVER: Final = -60.0
#: Tokens that a world may do without, in the order in which shrinking tries to drop them.
OPTIONAL: Final = (
    *("<think>", "?", " ", "Wait", "Answer:", "accent", "<eot>", "\n", "\n\nb", " so"),
    *("h", "g", "f", "e", "d", "c", "9", "8", "7", "6", "5", "4", "b", "3", "2", "</", "\n\n"),
)
#: The token that ends a text.
ENDS: Final = frozenset(("<end>", "<eot>"))
#: Two of that many trials write texts that reach large limits.
_PATIENT: Final = 50
_TEXTS: Final = ("", "2", "a b", "2 a b", "b\n\nc 3\n\n")


@dataclass(frozen=True, slots=True)
class LawWorld:
    """A policy, scorers and a problem.

    Args:
        model: Which random policy and scorers.
        run: The run's seed.
        rates: What texts look like.
        order: How many tokens the policy looks back; `None`: all of them.
        without: Tokens that never come.
        context: The policy's context window in tokens.
        levels: How many different scores there are; 0: any number.
        missing: How often a score is missing.
        defaults: How the binding samples where a strategy does not say.
        text: The problem's.
        number: What every field of the problem holds.
        endless: No text ends by itself, only by a limit.
    """

    model: int
    run: int
    rates: Rates
    order: int | None
    without: frozenset[str]
    context: int
    levels: int
    missing: float
    defaults: Defaults
    text: str
    number: float
    endless: bool = False

    def policies(self, plan: Plan) -> dict[str, PolicyEngine]:
        """Engines by name: the same name is the same policy in every plan."""
        judges = [each.judge.policy for each in plan.scorers if each.judge is not None]
        return {
            name: self._policy(name) for name in dict.fromkeys(("policy", *plan.policies, *judges))
        }

    def _policy(self, name: str) -> PolicyEngine:
        seed = self.model * 1_000_003 + crc32(name.encode())
        without = self.without | ENDS if self.endless else self.without
        model = _LawModel(seed, self.rates, self.order, without)
        binding = model.binding(self.context, self.defaults)
        return SimPolicy(model, binding, _INSTANT, remember=True)

    def scorers(self, plan: Plan) -> dict[str, ScorerEngine]:
        """Engines by name, as the plan declares them."""
        return {
            scorer.name: _LawScorer(self, scorer)
            for scorer in plan.scorers
            if scorer.judge is None and scorer.field is None
        }

    def problem(self, *plans: Plan) -> Problem:
        """The problem, with every field that the plans read."""
        fields = {
            scorer.field: self.number
            for plan in plans
            for scorer in plan.scorers
            if scorer.field not in (None, GOLD)
        }
        gold = str(int(self.number * 4))
        return Problem("p", self.text, gold, {str(name): value for name, value in fields.items()})

    def words(self, *, scored: bool) -> tuple[str, ...]:
        """The world for people; `scored`: scorers play a part."""
        back = "at all tokens"
        if self.order is not None:
            back = f"{self.order} token{'s' if self.order > 1 else ''} back"
        tokens = len(_known_tokens()) - len(self.without)
        policy = (
            f"policy: random model {self.model} that looks {back}, of {tokens} different tokens, "
            f"context {self.context}"
            + (", whose texts never end" if self.endless else "")
            + "".join(f", {name} {value:g} by default" for name, value in self._unusual())
        )
        if not scored:
            return (f"problem: {self.text!r}", policy)
        ties = f"{self.levels} different numbers" if self.levels else "any numbers"
        absent = f", {self.missing:.0%} missing" if self.missing else ""
        return (f"problem: {self.text!r}", policy, f"scorers: {ties}{absent}")

    def _unusual(self) -> Iterator[tuple[str, float]]:
        """The binding's defaults that are not the usual ones."""
        usual = Defaults()
        for name in ("temperature", "top_p", "top_k", "min_p"):
            value = getattr(self.defaults, name)
            if value != getattr(usual, name):
                yield name, value


def world(seed: int, trial: int, reach: int | None = None) -> LawWorld:
    """The world of a trial: small ones first, all kinds in every dozen.

    Args:
        seed, trial: Which one.
        reach: Tokens of the text that some trials write, so that large limits are reached, too.
    """
    ordinary = _ordinary(seed, trial)
    if reach is None or trial % _PATIENT % 10 != 9 or trial % _PATIENT > 20:
        return ordinary
    rates = replace(ordinary.rates, step=max(0.3, ordinary.rates.step))
    return replace(ordinary, context=reach, order=1, rates=rates, endless=True)


def _ordinary(seed: int, trial: int) -> LawWorld:
    random = Random(f"law {seed} {trial}")
    pick = random.choice
    wide = trial % 3 == 2
    return LawWorld(
        model=random.randrange(10**6),
        run=random.randrange(10**6),
        rates=Rates(
            step=pick((0.1, 0.3, 0.5)),
            end=pick((0.02, 0.1, 0.2, 0.4)),
            answer=pick((0.1, 0.3, 0.5)),
            thought=pick((0.04, 0.1, 0.3)),
            spread=pick((0.3, 1.0)),
        ),
        order=pick((None, None, 1, 3)),
        without=frozenset() if wide else frozenset(OPTIONAL[: pick((8, 20))]),
        context=pick((24, 60, 140, 400) if wide else (24, 60, 140)),
        levels=pick((0, 0, 2, 3)),
        missing=pick((0.0, 0.0, 0.3)),
        defaults=Defaults(
            top_k=pick((0, 0, 0, 6)),
            temperature=pick((1.0, 1.0, 0.7, 0.3)),
            top_p=pick((1.0, 1.0, 0.8)),
            min_p=pick((0.0, 0.0, 0.1)),
        ),
        text=pick(_TEXTS),
        number=pick((0.0, 0.25, 0.5, 1.0)),
    )


def roomy(world: LawWorld) -> LawWorld:
    """The same world with a large context and short texts, for long questions."""
    rates = replace(world.rates, end=max(world.rates.end, 0.2))
    return replace(world, context=2000, rates=rates)


def simpler(world: LawWorld) -> Iterator[LawWorld]:
    """Worlds with one thing less, those that save most first."""
    for size in (len(OPTIONAL), 20, 12, 6):
        if not world.without.issuperset(OPTIONAL[:size]):
            yield replace(world, without=world.without | frozenset(OPTIONAL[:size]))
    for name in OPTIONAL:
        if name not in world.without:
            yield replace(world, without=world.without | {name})
    for text in _TEXTS[: _TEXTS.index(world.text)]:
        yield replace(world, text=text)
    for context in (6, 8, 12, 16, 24, 60):
        if context < world.context:
            yield replace(world, context=context)
    if world.missing:
        yield replace(world, missing=0.0)
    if world.defaults != Defaults():
        yield replace(world, defaults=Defaults())
    for levels in (2, 3):
        if world.levels == 0 or levels < world.levels:
            yield replace(world, levels=levels)
    if world.order != 1:
        yield replace(world, order=1)


@cache
def _known_tokens() -> dict[str, int]:
    """Every token that a world may do without or not, by its text."""
    return SimModel().tokenizer.names()


class _LawModel(SimModel):
    """A random model some of whose tokens never come."""

    def __init__(self, seed: int, rates: Rates, order: int | None, without: frozenset[str]) -> None:
        self._without = without
        super().__init__(seed, rates, order)

    def _expected(self, state: str) -> list[float]:
        logits = super()._expected(state)
        ids = self.tokenizer.names()
        for name in self._without:
            logits[ids[name]] = _NEVER
        return logits


class _LawScorer(SimScorer):
    """A random scorer with the range that the strategy declares."""

    def __init__(self, world: LawWorld, scorer: Scorer) -> None:
        seed = world.model * 1_000_003 + crc32(scorer.name.encode())
        super().__init__(seed, scorer.steps, world.levels, world.missing, _INSTANT)
        self.low = -2.0 if scorer.low is None else scorer.low
        self.high = self.low + 4.0 if scorer.high is None else scorer.high

    def _number(self, digest: bytes) -> float | None:
        number = super()._number(digest)
        low, high = self.low, self.high
        if number is None or low is None or high is None or (low, high) == (0, 1):
            return number
        return min(high, low + number * (high - low))
