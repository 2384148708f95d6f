"""C47: what the optimiser computes is what would have run."""

from __future__ import annotations

import pytest

from tests.support.agreement import PROBLEMS, compiled, latency, world
from tests.support.extremes import LITERALS
from tests.support.optimising import outcome
from tts_lang.optimise import NAMES, optimise

PROGRAM = """
strategy main():
    pool = sample 4
    known = {number}
    repeat 1:
        known = known + 0
    kept = pool where {condition}
    return vote kept
"""
CONDITIONS = (
    "known > tokens",
    "known ** 600 > tokens",
    "has(known * 1e308)",
    "known == known / 3 * 3",
    "known - tokens < known",
    "not known < tokens",
)


@pytest.mark.parametrize(("place", "number"), [*enumerate(LITERALS)])
def test_c47_passes_compute_what_would_have_run(place: int, number: str) -> None:
    for condition in (CONDITIONS[0], CONDITIONS[1 + place % (len(CONDITIONS) - 1)]):
        raw = compiled(PROGRAM.format(number=number, condition=condition))
        here, problem, speed = world(place), PROBLEMS[0], latency(0)
        before = outcome(raw, raw, here, problem, 0, speed)
        for only in (("fold_constants",), NAMES):
            plan = optimise(raw, only=only).plan
            if plan.body != raw.body:
                after = outcome(plan, raw, here, problem, 0, speed)
                assert after.answer_key == before.answer_key, (condition, only)
