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


def begun_at_the_root(rewards: list[float], dice: Random) -> int:
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
    """What sampling again has brought decides, not the reward of the problem, which has none."""
    [plan] = plan_from(["ab_mcts"], {"budget": BUDGET})
    solutions = [box(number) for number in range(BUDGET)]
    scores = TableScorer(dict(zip(solutions, rewards, strict=True)))
    begun = []
    for seed in range(60):
        outcome = run_plan(plan, ScriptedPolicy(solutions), {"orm": scores}, seed=seed)
        assert outcome.error is None
        begun.append(len(made(outcome, "expand")))
    dice = Random(0)
    assert fmean(begun) == pytest.approx(
        fmean(begun_at_the_root(rewards, dice) for _ in range(2000)), abs=1.2
    )


def drawn_by_phi(steps: list[str], clusters: TableScorer) -> list[str]:
    """The step that one beam continues with, of each of 200 seeds."""
    [plan] = plan_from(["phi_decoding"], {"beams": 1, "k": len(steps), "depth": 1})
    texts = [f"{step}\n\nahead\n\n" for step in steps]
    drawn = []
    for seed in range(200):
        outcome = run_plan(
            plan, ScriptedPolicy([*texts, box(1)]), {"clusters": clusters}, seed=seed
        )
        assert outcome.error is None
        [parent] = {row.parent for row in made(outcome, "expand")[-1:]}
        drawn += [row.added.strip() for row in outcome.candidates if row.uid == parent]
    return drawn


def test_phi_decoding_weighs_steps_by_the_likelihood_of_a_token() -> None:
    """A long step whose tokens are as likely as those of a short one is drawn as often."""
    drawn = drawn_by_phi(["short", "a step that is much longer " * 3], TableScorer({}, other=1))
    assert drawn.count("short") / len(drawn) == pytest.approx(0.5, abs=0.1)


def test_phi_decoding_weighs_agreement_by_shares() -> None:
    """The one of five that stands alone: (1/5 + exp(0.2) / (exp(0.2) + 4 exp(0.8))) / 2."""
    drawn = drawn_by_phi(list("abcde"), TableScorer({"a\n\nahead": 2}, other=1))
    assert drawn.count("a") / len(drawn) == pytest.approx(0.16, abs=0.035)
