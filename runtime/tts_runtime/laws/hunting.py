"""Trials, and shrinking what they find. Everything is a function of the seed and the trial."""

from __future__ import annotations

from dataclasses import replace

from tts_lang.laws.verdicts import Counterexample, Hunt
from tts_lang.plan.graph import Plan
from tts_runtime.laws.parting import parting
from tts_runtime.laws.runs import Run, run
from tts_runtime.laws.worlds import LawWorld, roomy, simpler, world

#: Runs that shrinking may spend on one counterexample.
_SHRINKING = 150
#: A simpler world is another world: so many random models of it are tried.
_MODELS = 3


def hunt(left: Plan, right: Plan, *, trials: range, seed: int) -> Hunt:
    """Runs both plans in random worlds until their answers differ, and shrinks that world."""
    compared = failed = 0
    for trial in trials:
        found = world(seed, trial)
        both = run(left, right, found)
        if both.failed:  # most often because a question does not fit into the context
            found = roomy(found)
            both = run(left, right, found)
        if both.failed:
            failed += 1
            continue
        compared += 1
        if both.differs:
            small, both = shrunk(left, right, found, both)
            return Hunt(
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
    return Hunt(compared, failed)


def shrunk(left: Plan, right: Plan, found: LawWorld, both: Run) -> tuple[LawWorld, Run]:
    """A world that is as simple as can be found, in which the two still differ."""
    left_to_spend = _SHRINKING
    again = True
    while again:
        again = False
        for candidate in simpler(found):
            for other in range(_MODELS):
                if not left_to_spend:
                    return found, both
                left_to_spend -= 1
                tried = replace(candidate, model=other or candidate.model)
                attempt = run(left, right, tried)
                if attempt.differs:
                    found, both, again = tried, attempt, True
                    break
            if again:
                break
    return found, both
