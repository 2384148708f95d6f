"""The laws of the shipped strategies and of the fixtures hold, and what is no law is refuted."""

from __future__ import annotations

import pytest

from tests.support.laws import FIXTURES, laws_in, refuting_trial, shipped, sides
from tts_lang.check.file import CheckedLaw
from tts_lang.laws.decide import LawChecker
from tts_lang.laws.normal_form import normalise, same
from tts_lang.laws.verdicts import SearchResult, Verdict
from tts_lang.plan.graph import Plan
from tts_runtime.laws import hunt
from tts_runtime.laws.random_models import roomy, world
from tts_runtime.laws.runs import run

SHIPPED = shipped()
TRUE = [*SHIPPED, *laws_in(FIXTURES / "sampling.tts", FIXTURES / "choosing.tts")]
FALSE = list(laws_in(FIXTURES / "false.tts"))

#: Laws that must be proved for all small values: a weaker prover would go unnoticed.
PROVED = {
    "beam_search(n, width = 1) == best_of_n(n)",
    "dvts(n, width = 1) == best_of_n(n)",
    "greedy_step_search(k = 1) == chain_of_thought()",
    "particle_filter(n = 1) == chain_of_thought()",
    "majority(n = 1) == chain_of_thought()",
    "revision_chains(chains = 1, rounds = 1) == chain_of_thought()",
    "equal_votes(n) == majority(n)",
    "two_parts(a, b) == one_part(a, b)",
    "stepwise(n) == majority(n)",
    "copied(n) == majority(n)",
    "called(n) == majority(n)",
}


def briefly(left: Plan, right: Plan, *, trials: range, seed: int) -> SearchResult:
    """The search, with fewer trials for each of a law's many instances."""
    return hunt(left, right, trials=trials[: 3 if len(trials) < 100 else 24], seed=seed)


def test_there_are_many_laws() -> None:
    assert len({title for title, _ in SHIPPED}) >= 25
    assert {title for title, _ in TRUE} >= PROVED


@pytest.mark.parametrize(("title", "law"), TRUE, ids=[title for title, _ in TRUE])
def test_a_law_holds(title: str, law: CheckedLaw) -> None:
    judgement = LawChecker(search=briefly).law(law, "")
    assert judgement.verdict in (Verdict.PROVED, Verdict.UNREFUTED)
    if title in PROVED:
        assert judgement.verdict is Verdict.PROVED
        assert not judgement.left_out


@pytest.mark.parametrize(("title", "law"), TRUE, ids=[title for title, _ in TRUE])
def test_what_is_proved_is_so_in_runs(title: str, law: CheckedLaw) -> None:
    """A proof and a counterexample cannot both be right."""
    left, right = sides(law, 3)
    if same(normalise(left), normalise(right)):
        assert refuting_trial(left, right, range(4), seed=1) is None, title


@pytest.mark.parametrize(("title", "law"), SHIPPED, ids=[title for title, _ in SHIPPED])
def test_shipped_laws_hold_in_runs_with_room_for_everything(title: str, law: CheckedLaw) -> None:
    """None of these runs fails, and contexts are long enough for every loop to end by itself."""
    for number in (1, 2, 4) if law.free_names else (1,):
        left, right = sides(law, number)
        for trial in range(6):
            both = run(left, right, roomy(world(2, trial)))
            assert not both.failed
            assert not both.differs, f"{title} at {number}, trial {trial}"


@pytest.mark.parametrize(("title", "law"), FALSE, ids=[title for title, _ in FALSE])
def test_what_is_no_law_is_refuted(title: str, law: CheckedLaw) -> None:
    left, right = sides(law, 2)
    assert not same(normalise(left), normalise(right))
    assert refuting_trial(left, right, range(120)) is not None, title
