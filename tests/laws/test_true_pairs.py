"""Fifty true pairs: all are proved, and no random model refutes any."""

from __future__ import annotations

import pytest

from tests.support.agreement import compiled
from tests.support.laws import refuting_trial
from tests.support.true_pairs import HEAD, PAIRS
from tts_lang.laws.normal_form import normalise, same


def test_there_are_fifty() -> None:
    assert len(PAIRS) == 50


@pytest.mark.parametrize("name", PAIRS)
def test_a_true_pair(name: str) -> None:
    plans = []
    for body in PAIRS[name]:
        lines = "".join(f"    {line}\n" for line in body.split("\n"))
        plans.append(compiled(f"{HEAD}strategy main():\n{lines}"))
    left, right = plans
    assert same(normalise(left), normalise(right))
    assert refuting_trial(left, right, range(3)) is None
