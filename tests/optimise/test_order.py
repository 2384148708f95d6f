"""Passes whose order matters: swapped, they leave more behind."""

from __future__ import annotations

import pytest

from tests.support.agreement import compiled
from tts_lang.optimise import PASSES, optimise
from tts_lang.optimise.rules import Pass
from tts_lang.plan.graph import Plan, operations

#: (the earlier pass, the later one, what only this order reduces).
ORDERED = (
    (
        "fold_constants",
        "simplify_selections",
        (
            "x = 0",
            "repeat 1:",
            "    x = x + 1",
            "p = (sample 3) where x == 1",
            "return vote p",
        ),
    ),
    (
        "simplify_selections",
        "eliminate_dead",
        ("p = sample 3", "score p by prm", "p = select top 3 of p by last(prm)", "return vote p"),
    ),
    (
        "eliminate_dead",
        "push_down_selections",
        (
            "p = sample 3 max 9 tokens",
            "score p by prm",
            "q = p where last(prm) > 0.5",
            "p = p where done",
            "return best of p by last(prm)",
        ),
    ),
    (
        "eliminate_dead",
        "fuse_expansions",
        ("p = sample 3 steps", "score p by prm", "p = expand p by 1", "return vote p"),
    ),
)


def swapped(first: str, second: str) -> tuple[Pass, ...]:
    """The passes, with two in each other's place."""
    places = {passed.name: place for place, passed in enumerate(PASSES)}
    made = list(PASSES)
    made[places[first]], made[places[second]] = PASSES[places[second]], PASSES[places[first]]
    return tuple(made)


def shape(plan: Plan) -> list[str]:
    """The operators in order: a rewrite that was missed leaves more of them, or others."""
    return [operation.spec.op for operation in operations(plan.body)]


@pytest.mark.parametrize(("first", "second", "lines"), ORDERED)
def test_the_order_matters(first: str, second: str, lines: tuple[str, ...]) -> None:
    """What the right order finds, the other one misses."""
    source = "strategy main():\n" + "".join(f"    {line}\n" for line in lines)
    raw = compiled(source)
    right = shape(optimise(raw).plan)
    wrong = shape(optimise(raw, passes=swapped(first, second)).plan)
    if first == "eliminate_dead" and second == "push_down_selections":
        assert (right.index("where") < right.index("score"), len(right)) == (True, len(wrong))
        assert wrong.index("score") < wrong.index("where")
    else:
        assert len(right) < len(wrong)
