"""Control of thinking does what s1 and its relatives say."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.published import algorithms  # noqa: F401  (registers them)
from tests.support.published.worlds import ROOMY, WORLDS, check

CASES: list[tuple[str, dict[str, Any]]] = [
    *(("budget_forcing_maximum", {"budget": budget}) for budget in (1, 5, 9, 32_000)),
    *(
        ("budget_forcing", {"waits": waits, "budget": budget})
        for waits, budget in ((0, 7), (1, 12), (2, 25), (4, 32_000), (3, 4))
    ),
    *(("budget_forcing_minimum", {"waits": waits}) for waits in (0, 1, 4)),
    ("greedy_thinking", {}),
    ("answer_now", {}),
    *(
        (name, {"limit": limit})
        for name in (
            "token_conditional",
            "token_conditional_forced",
            "step_conditional",
        )
        for limit in (3, 12)
    ),
    ("step_conditional_forced", {"limit": 2, "zero": "1"}),
    ("step_conditional_forced", {"limit": 4, "zero": "a"}),
    ("class_conditional", {"amount": "think_long"}),
    ("class_conditional", {"amount": "think_short"}),
    ("think_deeper", {"shortest": 12, "longest": 20, "phrases": 4}),
    ("think_deeper", {"shortest": 30, "longest": 60, "phrases": 8}),
]


@pytest.mark.parametrize(("name", "parameters"), CASES)
def test_is_the_published_algorithm(name: str, parameters: dict[str, Any]) -> None:
    check(name, parameters, WORLDS if "conditional" not in name else ROOMY)
    check(name, parameters, ROOMY[:2])
