"""The critical path: what can run side by side does not add up."""

from __future__ import annotations

import pytest

from tests.support.agreement import compiled
from tts_lang import library
from tts_lang.compiler import compile_strategy
from tts_lang.explain.costs import bounds

DECLARED = 'policy small\n\nprompt again = """{problem}"""\n\n'
HELPER = "strategy two():\n    p = sample 2 steps\n    return vote (expand p by 1)\n\n"


def rounds(*lines: str, declared: str = DECLARED) -> int | None:
    """Engine rounds of a strategy of these lines."""
    body = "".join(f"    {line}\n" for line in lines)
    return bounds(compiled(f"{declared}strategy main():\n{body}")).total.rounds


def test_a_chain_is_as_long_as_it_is() -> None:
    chain = ("p = sample 4 steps", "score p by prm", "p = expand p by 1", "score p by prm")
    assert rounds(*chain, "return best of p by last(prm)") == 4


def test_samplings_side_by_side_are_one_round() -> None:
    both = ("p = sample 4", "q = sample 4 from small")
    assert rounds(*both, "return vote (p + q)") == 1
    # Scoring row by row holds up nobody who does not read the score.
    assert rounds("p = sample 4", "score p by prm", both[1], "return vote (p + q)") == 2
    # A choice by scores is waited for, and so is everything behind it.
    best = "p = best of p by last(prm)"
    assert rounds("p = sample 4", "score p by prm", best, both[1], "return vote (p + q)") == 3


@pytest.mark.parametrize(
    ("scoring", "held_up"),
    [("score p by prm", 0), ("score p by pick", 1), ("score p by prm looking ahead 1 steps", 1)],
)
def test_what_scores_rows_together_or_samples_for_them_holds_up_what_follows(
    scoring: str, held_up: int
) -> None:
    beside = ("q = sample 4 from small", "q = ask again about q", "q = ask again about q")
    lines = ("p = sample 4 steps", scoring, *beside, "return vote (p + q)")
    assert rounds(*lines, declared=f"scorer pick together\n{DECLARED}") == 3 + held_up


def test_asking_about_rows_waits_for_them() -> None:
    assert rounds("p = sample 4", "p = ask again about p", "return vote p") == 2


def test_called_strategies_run_side_by_side() -> None:
    called = ("p = two()", "q = two()", "return vote (p + q)")
    assert rounds(*called, declared=HELPER) == 2
    # But children of the same rows are numbered behind those of what was called before.
    mixed = ("p = two()", "q = sample 4", "return vote (p + q)")
    assert rounds(*mixed, declared=HELPER) == 3


@pytest.mark.parametrize("trips", [1, 2, 3, 4, 50, 100_000])
def test_rounds_of_a_loop_add_up(trips: int) -> None:
    loop = (f"repeat {trips} until all p done:", "    p = expand p by 1 step", "    score p by prm")
    chain = ("p = sample 1 step", "score p by prm", *loop, "return best of p by last(prm)")
    assert rounds(*chain) == 2 + 2 * trips


def test_either_side_of_a_branch() -> None:
    lines = (
        "p = sample 4",
        "if count(p where done) > 2:",
        "    p = expand p by 1",
        "    p = expand p by 1",
        "else:",
        "    p = expand p by 1",
        "return vote p",
    )
    assert rounds(*lines) == 3


def test_layers_of_a_mixture_are_as_many_rounds() -> None:
    plan = compile_strategy(library.find("mixture_of_agents"))
    found = bounds(plan)
    spent = sum(each.spent.rounds or 0 for each in found.operations)
    assert found.total.rounds is not None
    assert found.total.rounds <= spent


def test_equal_questions_of_two_calls_take_their_replies_in_turn() -> None:
    """A reply that cannot be read is asked for again: the second call gets what the first left."""
    judge = 'judge j together max 6 tokens:\n    """{candidates} Answer:"""\n    read choice\n'
    helper = (
        "strategy one():\n    p = sample 2\n    score p by j\n    return vote p weighted by j\n\n"
    )
    called = ("p = one()", "q = one()", "return vote (p + q)")
    assert rounds(*called, declared=f"{judge}    retry 1\n\n{helper}") == 1 + 2 + 2
    assert rounds(*called, declared=f"{judge}\n\n{helper}") == 1 + 1
