"""Trials, and shrinking what they find. Everything is a function of the seed and the trial."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice

from tts_lang.laws.sizes import larger, reach
from tts_lang.laws.verdicts import Counterexample, SearchResult
from tts_lang.plan.graph import Plan
from tts_runtime.executor import Outcome
from tts_runtime.laws.divergence import parting
from tts_runtime.laws.random_models import LawWorld, roomy, simpler, world
from tts_runtime.laws.runs import OutcomePair, alone, run

#: Runs that shrinking may spend on one counterexample.
_SHRINKING = 150
#: A simpler world is another world: that many random models of it are tried.
_MODELS = 3
#: Runs that are looked at, and clauses of a strategy, to say whose limits were not reached.
_WATCHED, _CLAUSES = 6, 6


def hunt(left: Plan, right: Plan, *, trials: range, seed: int) -> SearchResult:
    """Runs both plans in random worlds until their answers differ, and shrinks that world."""
    compared = failed = 0
    error: str | None = None
    tokens = reach(left, right)
    seen: list[tuple[LawWorld, OutcomePair]] = []
    for trial in trials:
        law_world = world(seed, trial, tokens)
        both = run(left, right, law_world)
        if both.failed and not law_world.endless:
            # Most often because a question does not fit into the context.
            law_world = roomy(law_world)
            both = run(left, right, law_world)
        if both.failed:
            failed += 1
            error = both.left.error or both.right.error
            continue
        compared += 1
        if len(seen) < _WATCHED or law_world.endless:
            seen.append((law_world, both))
        if both.differs:
            small, both = (
                (law_world, both) if law_world.endless else shrunk(left, right, law_world, both)
            )
            return SearchResult(
                compared,
                failed,
                Counterexample(
                    seed,
                    trial,
                    small.words(scored=bool(left.scorers or right.scorers)),
                    both.left.answer,
                    both.right.answer,
                    parting(both),
                ),
            )
    return SearchResult(compared, failed, None, error, tuple(idle(left, right, seen)))


def idle(left: Plan, right: Plan, seen: Sequence[tuple[LawWorld, OutcomePair]]) -> Iterator[str]:
    """Clauses whose limits none of the runs reached: twice as much changes none of them."""
    named: set[str] = set()
    for plan, side in ((left, "left"), (right, "right")):
        for clause, other in islice(larger(plan), _CLAUSES):
            ran = ((law_world, getattr(both, side)) for law_world, both in seen)
            if clause in named or not all(
                same(one, alone(other, law_world)) for law_world, one in ran
            ):
                continue
            named.add(clause)
            yield clause


def same(one: Outcome, other: Outcome) -> bool:
    """Whether two runs made the same candidates and chose the same of them, whatever limits they
    were sampled with."""
    return _seen(one) == _seen(other)


def _seen(ran: Outcome) -> tuple[object, ...]:
    return ran.answer, ran.row, [replace(each, sampling=None) for each in ran.candidates]


def shrunk(
    left: Plan, right: Plan, law_world: LawWorld, both: OutcomePair
) -> tuple[LawWorld, OutcomePair]:
    """A world that is as simple as can be found, in which the two still differ."""
    left_to_spend = _SHRINKING
    again = True
    while again:
        again = False
        for candidate in simpler(law_world):
            for other in range(_MODELS):
                if not left_to_spend:
                    return law_world, both
                left_to_spend -= 1
                tried = replace(candidate, model=other or candidate.model)
                attempt = run(left, right, tried)
                if attempt.differs:
                    law_world, both, again = tried, attempt, True
                    break
            if again:
                break
    return law_world, both
