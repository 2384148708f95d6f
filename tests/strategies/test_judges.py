"""Shipped strategies with a judge, on replies as judges write them: the better solution wins."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.support.runs import box, run_plan
from tests.support.scripted import ScriptedPolicy
from tts_lang.arguments import plan_from


@pytest.mark.parametrize(
    ("strategy", "parameters", "texts", "answer"),
    [
        ("genselect", {"n": 2}, [box(1), box(2), "Best: Solution 2, since 1 is wrong"], "2"),
        ("genselect", {"n": 3}, [box(1), box(2), box(3), "Best: [[2]]; 3 is close"], "2"),
        (
            "pairwise_tournament",
            {"n": 2},
            [box(1), box(2), "Best: 2 (solution 1 has a slip)", "Best: 1 (solution 2 has a slip)"],
            "2",
        ),
        (
            "best_of_n_judge",
            {"n": 2, "readings": 1},
            [box(1), box(2), "Grade: 3/10", "Grade: **8**/10. Only 1 slip."],
            "2",
        ),
        (
            "self_refine",
            {"rounds": 3},
            [box(1), "Grade: 3/10", "Step 2 is wrong.", box(2), "Grade: 9 out of 10"],
            "2",
        ),
    ],
)
def test_the_better_solution_wins(
    strategy: str, parameters: dict[str, int | float | str], texts: Sequence[str], answer: str
) -> None:
    [plan] = plan_from([strategy], parameters)
    policy = ScriptedPolicy([*texts, "nothing more is asked"])
    outcome = run_plan(plan, policy)
    assert (outcome.error, outcome.answer) == (None, answer)
    assert len(policy.requests) == len(texts)
    for judged in outcome.reliability.scorers.values():
        assert (judged.missing, judged.unreadable) == ({}, 0)


def test_fusion_shows_all_answers_to_the_model_that_merges_them() -> None:
    [plan] = plan_from(["fusion"], {"each": 1})
    models = {name: ScriptedPolicy([f"said by {name} " + box(1)]) for name in "abc"}
    merging = ScriptedPolicy(["all agree: " + box(7)])
    engines = {f"model_{name}": model for name, model in models.items()}
    outcome = run_plan(plan, {**engines, "policy": merging})
    assert (outcome.error, outcome.answer) == (None, "7")
    [asked] = merging.requests
    shown = bytes(b"".join(merging.tokenizer.pieces[token] for token in asked.prompt)).decode()
    places = [shown.index(f"said by {name}") for name in "abc"]
    assert places == sorted(places)


def test_cepo_goes_on_with_plans_that_could_be_carried_out() -> None:
    """A long plan leaves no room for its execution."""
    [plan] = plan_from(["cepo"], {"n": 1, "m": 1, "plans": 2})
    texts = ["long " * 120, "short", "run " + box(5), box(6), box(7), "yes"]
    policy = ScriptedPolicy(texts, context=700)
    policy.binding = policy.binding.model_copy(update={"turn": "|{message}|"})
    outcome = run_plan(plan, policy)
    assert (outcome.error, outcome.answer) == (None, "7")
    assert outcome.reliability.failed == {"too_long": 1}
    assert any("run " + box(5) in "".join(map(chr, each.prompt)) for each in policy.requests)


def test_a_judge_of_its_own_grades_the_samples_of_the_policy() -> None:
    [plan] = plan_from(["judged_best_of_n"], {"n": 2})
    critic = ScriptedPolicy(["Grade: 9", "A slip in step 2. Grade: 2"])
    policy = ScriptedPolicy([box(1), box(2)])
    outcome = run_plan(plan, {"policy": policy, "critic": critic})
    assert (outcome.error, outcome.answer) == (None, "1")
    assert (len(policy.requests), len(critic.requests)) == (2, 2)
