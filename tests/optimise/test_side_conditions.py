"""Side conditions of rules that a random model once showed to be too weak.

Each program has a run in which a rewrite without the condition gives another answer.
"""

from __future__ import annotations

import pytest

from tests.support.agreement import compiled
from tests.support.laws import refuting_trial
from tts_lang.laws.normal_form import normalise, same
from tts_lang.optimise import optimise

CALL_ON_THE_NODE = """strategy piece():
    return sample 1 step

strategy main():
    row = piece()
    pool = sample 1 x 2 tokens
    pool = expand pool by 1
    other = expand row by 1 step
    return {result}
"""
DONE_PROBLEM = """strategy inner():
    pool = sample 2
    pool = first 1 of pool per root
    return vote pool

strategy main():
    pool = sample 2
    chosen = inner() on pool
    return vote chosen
"""
COMPUTED_TEXT = """strategy main():
    two = "2.0"
    repeat 1:
        two = "2.0"
    return vote ((sample 4) where answer == two)
"""
CHOSEN_TEXT = """strategy main():
    k = 1
    repeat 1:
        k = k + 1
    return vote ((sample 4) where answer == ("2.0" if k > 1 else "3.0"))
"""

#: The program, and the first trial whose answer the weaker condition changed.
PROGRAMS = {
    "a call's row on a node that fusing removes": (
        CALL_ON_THE_NODE.format(result="first of other"),
        8,
    ),
    "a done row as the problem of a call": (DONE_PROBLEM, 1),
    "a computed text is not a literal one": (COMPUTED_TEXT, 3),
    "nor is one that a known number chooses": (CHOSEN_TEXT, 3),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_answers_stay(name: str) -> None:
    source, trial = PROGRAMS[name]
    raw = compiled(source)
    for plan in (optimise(raw, check=True).plan, normalise(raw).plan):
        assert refuting_trial(raw, plan, range(max(0, trial - 2), trial + 3)) is None


def test_comparing_with_a_computed_text_is_not_comparing_with_a_literal() -> None:
    literal = compiled('strategy main():\n    return vote ((sample 4) where answer == "2.0")\n')
    computed = compiled(COMPUTED_TEXT)
    assert not same(normalise(literal), normalise(computed))
    assert refuting_trial(literal, computed, range(2, 5)) is not None
