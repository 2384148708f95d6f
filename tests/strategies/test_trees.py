"""Shipped tree searches whose random numbers no published form draws: what they do on the whole."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from statistics import fmean

import pytest

from tests.support.runs import box, made, run_plan
from tests.support.scripted import ScriptedPolicy, TableScorer
from tts_lang.arguments import plan_from

BUDGET = 12


@dataclass(eq=False)
class Node:
    """A node of AB-MCTS-A, with what its three kinds of arms have seen (treequest's rule)."""

    parent: Node | None = None
    seen: list[float] = field(default_factory=list)
    wider: list[float] = field(default_factory=list)
    deeper: list[float] = field(default_factory=list)
    children: list[Node] = field(default_factory=list)


def begun_anew(rewards: list[float], dice: Random) -> int:
    """How many of the solutions are children of the root."""

    def draw(rewards_seen: list[float]) -> float:
        won = sum(rewards_seen)
        return dice.betavariate(0.5 + won, 0.5 + len(rewards_seen) - won)

    root = Node()
    for reward in rewards:
        node = root
        while node.children and draw(node.wider) < draw(node.deeper):
            node = max(node.children, key=lambda child: draw(child.seen))
        node.wider.append(reward)
        node.children.append(Node(node, [reward]))
        while node.parent is not None:
            node.seen.append(reward)
            node.parent.deeper.append(reward)
            node = node.parent
    return len(root.children)


@pytest.mark.parametrize(
    "rewards",
    [[0.2] * BUDGET, [1.0] * BUDGET, [0.9, *[0.1] * (BUDGET - 1)], [0.1, *[0.9] * (BUDGET - 1)]],
)
def test_ab_mcts_goes_wider_as_often_as_its_authors_code(rewards: list[float]) -> None:
    """What sampling anew has brought decides, not the reward of the problem, which has none."""
    [plan] = plan_from(["ab_mcts"], {"budget": BUDGET})
    solutions = [box(number) for number in range(BUDGET)]
    scores = TableScorer(dict(zip(solutions, rewards, strict=True)))
    anew = []
    for seed in range(60):
        outcome = run_plan(plan, ScriptedPolicy(solutions), {"orm": scores}, seed=seed)
        assert outcome.error is None
        anew.append(len(made(outcome, "expand")))
    dice = Random(0)
    assert fmean(anew) == pytest.approx(
        fmean(begun_anew(rewards, dice) for _ in range(2000)), abs=1.2
    )
