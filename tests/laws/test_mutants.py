"""Every law fails when one of its strategies is broken on purpose."""

from __future__ import annotations

import pytest

from tests.support.laws import FIXTURES, laws_in, refuting_trial, shipped, sides
from tests.support.mutants import mutants
from tts_lang.check.file import CheckedLaw
from tts_lang.laws.normal_form import normalise
from tts_lang.plan.graph import Plan
from tts_lang.plan.verify import verify

LAWS = dict([*shipped(), *laws_in(FIXTURES / "sampling.tts", FIXTURES / "choosing.tts")])
TRIALS = range(60)
DEPTH = 2

#: Laws that look at ordering, ties, counts and keys: every mutant of theirs is accounted for.
THOROUGH = (
    "beam_search(n, width = 1) == best_of_n(n)",
    "dvts(n, width = 1) == best_of_n(n)",
    "equal_votes(n) == majority(n)",
    "two_parts(a, b) == one_part(a, b)",
    "nobody_lost(n) == majority(n)",
    "sorted_first(n) == best_of_n(n)",
)

#: Mutants that are the same strategy, though the prover does not see it, and why.
EQUIVALENT = {
    (
        "nobody_lost(n) == majority(n)",
        "left, a wrong unit in `expand` 1",
    ): "whole solutions are done, so what follows passes them through",
    (
        "sorted_first(n) == best_of_n(n)",
        "left, one more in `first` 1",
    ): "a strategy's answer is that of the first row that it returns",
}


def broken(law: CheckedLaw) -> list[tuple[str, Plan, Plan]]:
    """(what was broken, the broken plan, the other side)."""
    left, right = sides(law, 3, DEPTH)
    found = [(f"left, {name}", mutant, right) for name, mutant in mutants(left)]
    return found + [(f"right, {name}", mutant, left) for name, mutant in mutants(right)]


@pytest.mark.parametrize("title", LAWS)
def test_a_law_fails_when_its_strategy_is_broken(title: str) -> None:
    """By the wrong temperature or the wrong unit somewhere, on either side."""
    found: dict[str, bool] = {}
    for name, mutant, other in broken(LAWS[title]):
        side = name.partition(",")[0]
        if not found.get(side) and ("temperature" in name or "unit" in name):
            verify(mutant)
            found[side] = refuting_trial(mutant, other, TRIALS) is not None
    assert found == {"left": True, "right": True}


@pytest.mark.parametrize("title", THOROUGH)
def test_every_mutant_is_refuted_or_no_mutant(title: str) -> None:
    """A wrong k, a wrong key, a missing tie rule...: refuted, or proved to change nothing."""
    survivors: list[str] = []
    refuted = 0
    for name, mutant, other in broken(LAWS[title]):
        verify(mutant)
        if normalise(mutant).key == normalise(other).key:
            assert refuting_trial(mutant, other, range(6)) is None, f"wrongly proved: {name}"
        elif (title, name) in EQUIVALENT:
            assert refuting_trial(mutant, other, range(10)) is None, f"not equivalent: {name}"
        elif refuting_trial(mutant, other, TRIALS) is None:
            survivors.append(name)
        else:
            refuted += 1
    assert survivors == []
    assert refuted >= 4
