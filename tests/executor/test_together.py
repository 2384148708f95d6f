"""Strategies side by side: each as if alone, what they have in common drawn once (C14, C62)."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.support.agreement import PROBLEMS, compiled, latency, world
from tests.support.programs import random_program
from tests.support.runs import PROBLEM, box, plan_of
from tests.support.scripted import ScriptedPolicy
from tts_lang.compiler import compile_strategy
from tts_lang.explain.nesting import shifting
from tts_lang.plan.graph import Plan
from tts_runtime.engines.sim.engines import SimPolicy, SimScorer
from tts_runtime.engines.sim.sim_server import Latency
from tts_runtime.engines.sim.virtual import run_virtual
from tts_runtime.executor import (
    PASSES,
    Outcome,
    Work,
    bind,
    execute,
    execute_all,
    execute_together,
)
from tts_runtime.runs.sweeps import swept

VALUES = (1, 2, 4, 8, 16)


def together(
    plans: Sequence[Plan], number: int, passes: Sequence[str] = ()
) -> tuple[list[dict[str, Outcome]], Work]:
    """Outcomes of each plan by problem, and what the engines did."""
    here, speed = world(number), latency(number)
    policies: dict[str, SimPolicy] = {}
    scorers: dict[str, SimScorer] = {}
    for plan in plans:  # one engine a name, as in a run
        policies = {**here.policies(plan, speed), **policies}
        scorers = {**here.scorers(plan, speed), **scorers}
    bounds = [bind(plan, policies, scorers, passes) for plan in plans]
    found: list[dict[str, Outcome]] = [{} for _ in plans]

    def ended(place: int, outcome: Outcome) -> None:
        found[place][outcome.problem_id] = outcome

    return found, run_virtual(
        execute_together(bounds, ((each, number) for each in PROBLEMS), ended)
    )


def alone(plan: Plan, number: int) -> dict[str, Outcome]:
    """A run of its own, on engines of the same kind."""
    here, speed = world(number), latency(number)
    bound = bind(plan, here.policies(plan, speed), here.scorers(plan, speed))
    found: list[Outcome] = []
    run_virtual(execute_all(bound, PROBLEMS, number, found.append))
    return {outcome.problem_id: outcome for outcome in found}


def assert_as_alone(plans: Sequence[Plan], number: int) -> Work:
    """Bit for bit: answers, texts, scores, lineage and costs."""
    found, total = together(plans, number)
    for plan, outcomes in zip(plans, found, strict=True):
        expected = alone(plan, number)
        assert outcomes == expected
        for name, outcome in outcomes.items():
            assert outcome.counts == expected[name].counts
            assert outcome.candidates == expected[name].candidates
    return total


@pytest.mark.parametrize("strategy", ["majority", "best_of_n", "weighted_best_of_n"])
def test_c14_a_sweep_costs_what_its_largest_value_costs(strategy: str) -> None:
    plans = [compile_strategy(strategy, settings={"n": value}) for value in VALUES]
    total = assert_as_alone(plans, 3)
    largest = alone(plans[-1], 3).values()
    assert total.policy_calls == sum(outcome.counts.policy_calls for outcome in largest)
    assert total.policy_tokens == sum(outcome.counts.policy_tokens for outcome in largest)
    assert total.scorer_calls == sum(outcome.counts.scorer_calls for outcome in largest)


def test_c14_curves_of_all_methods_and_reductions_cost_what_the_largest_pool_costs() -> None:
    """Nine curves over n: one pool of the largest n is sampled, and scored once."""
    sweeps = ["n=1,3,4,8", "reduce=last,min,mean,prod"]
    plans, shifts = swept(["majority", "best_of_n", "weighted_best_of_n"], {}, sweeps)
    assert len(plans) == 4 * (1 + 4 + 4)
    assert not shifts
    total = assert_as_alone(plans, 3)
    largest = compile_strategy("best_of_n", settings={"n": 8})
    counts = [outcome.counts for outcome in alone(largest, 3).values()]
    assert total.policy_calls == 8 * len(PROBLEMS) == sum(each.policy_calls for each in counts)
    assert total.policy_tokens == sum(each.policy_tokens for each in counts)
    assert total.scorer_calls == sum(each.scorer_calls for each in counts)
    # The simulated scorer forgets the problem from one path to the next.
    assert total.scorer_tokens > sum(each.scorer_tokens for each in counts)


@pytest.mark.parametrize("number", range(6))
def test_c62_generated_strategies_side_by_side_are_each_as_if_alone(number: int) -> None:
    plans = [compiled(random_program(number)), compiled(random_program(number + 100))]
    assert_as_alone(plans, number)


def test_c62_several_methods_share_their_samples() -> None:
    plans = [
        compile_strategy(name, settings={"n": 8})
        for name in ("majority", "best_of_n", "weighted_best_of_n")
    ]
    total = assert_as_alone(plans, 1)
    assert total.policy_calls == 8 * len(PROBLEMS)
    scored = (outcome.counts.scorer_calls for outcome in alone(plans[1], 1).values())
    assert total.scorer_calls == sum(scored)  # equal texts are scored once


@pytest.mark.parametrize("number", range(4))
def test_c61_what_another_strategy_drew_ahead_takes_no_number(number: int) -> None:
    ahead = plan_of("return vote (sample 9)")
    behind = plan_of("few = sample 2 steps", "more = sample 3", "return vote (few + more)")
    assert_as_alone([ahead, behind], number)


def test_c62_a_step_is_taken_out_of_a_solution_that_is_there() -> None:
    steps = (
        "pool = sample 3 steps",
        "repeat 40 until all pool done:",
        "    pool = expand pool by 1 step",
        "return first of pool",
    )
    policy = SimPolicy(latency=Latency(token=0.0))
    plans = [plan_of("return vote (sample 6)"), plan_of(*steps)]
    bounds = [bind(plan, {"policy": policy}, {}) for plan in plans]
    outcomes: dict[int, Outcome] = {}
    total = run_virtual(execute_together(bounds, [(PROBLEM, 0)], outcomes.__setitem__))
    separate = [run_virtual(execute(bound, PROBLEM, 0)) for bound in bounds]
    assert list(map(outcomes.get, (0, 1))) == separate
    assert outcomes[1].candidates == separate[1].candidates
    assert outcomes[1].counts == separate[1].counts
    # The first steps are asked for beside the solutions; all later ones are known by then.
    alone_tokens = sum(outcome.counts.policy_tokens for outcome in separate)
    assert total.policy_tokens < alone_tokens
    assert total.policy_calls == 6 + 3


def test_c62_a_step_is_taken_out_of_a_solution_whose_end_the_binding_does_not_name() -> None:
    policy = ScriptedPolicy([f"a\n\n{box(1)}"])
    assert policy.binding.stop == ()
    steps = ("pool = sample 1 step", "return first of (expand pool by 1 step)")
    plans = [plan_of("return sample 1"), plan_of(*steps)]
    bounds = [bind(plan, {"policy": policy}, {}) for plan in plans]
    outcomes: dict[int, Outcome] = {}
    run_virtual(execute_together(bounds, [(PROBLEM, 0)], outcomes.__setitem__))
    assert [(each.answer, each.error) for each in outcomes.values()] == [("1", None)] * 2
    assert len(policy.requests) == 2


def test_a_request_is_cancelled_when_nobody_waits_for_it_any_more() -> None:
    policy = ScriptedPolicy([box(1)], delays=(1, 2, 3, 4, 50))
    three = plan_of("some = first 3 of (sample 5)", "return vote some")
    one = plan_of("return first of (sample 3)")
    bounds = [bind(plan, {"policy": policy}, {}, tuple(PASSES)) for plan in (three, one)]
    outcomes: dict[int, Outcome] = {}
    total = run_virtual(execute_together(bounds, [(PROBLEM, 0)], outcomes.__setitem__))
    assert {outcome.answer for outcome in outcomes.values()} == {"1"}
    assert (policy.cancelled, policy.waiting) == (2, 0)
    assert total.cancelled_calls == 2
    # `first` was over at 1 and left; `first 3` still waited for the others.
    assert outcomes[1].counts.policy_calls == 1


def test_a_shared_request_that_fails_fails_all_who_asked() -> None:
    policy = ScriptedPolicy([box(1)], failures=(1,))
    plans = [plan_of("return vote (sample 2)"), plan_of("return sample 1")]
    bounds = [bind(plan, {"policy": policy}, {}) for plan in plans]
    outcomes: dict[int, Outcome] = {}
    run_virtual(execute_together(bounds, [(PROBLEM, 0)], outcomes.__setitem__))
    assert outcomes[0].error == "request 1 broke"
    assert outcomes[1].error is None


@pytest.mark.parametrize("number", range(8))
def test_answers_of_a_sweep_are_the_same_with_cancellation(number: int) -> None:
    plans = [compile_strategy("majority", settings={"n": value}) for value in VALUES]
    found, _ = together(plans, number, tuple(PASSES))
    for plan, outcomes in zip(plans, found, strict=True):
        for name, outcome in alone(plan, number).items():
            assert outcomes[name].answer_key == outcome.answer_key


def test_c14_the_sweep_says_which_expansions_shift() -> None:
    def lines(*body: str) -> list[int]:
        source = "".join(f"    {line}\n" for line in body)
        plans = [compiled(f"strategy main(n = {n}):\n{source}") for n in (2, 4)]
        return [origin.line for origin in shifting(plans)]

    assert lines("return vote (sample n)") == []
    assert lines("a = sample 8", "b = sample n", "return vote (a + b)") == []
    assert lines("a = sample n", "b = sample 8", "return vote (a + b)") == [3]
    assert lines("a = sample n", "b = expand a by 2", "return vote b") == []
    again = ("a = sample 2 steps", "b = expand a by n", "c = expand (a where done) by 1")
    assert lines(*again, "return vote (b + c)") == [4]


def test_an_engine_that_is_not_exact_shares_equal_requests_only() -> None:
    class Remote(SimPolicy):
        exact = False

    policy = Remote(latency=Latency(token=0.0))
    lines = ("pool = sample 2 steps", "return first of (expand pool by 1)")
    bounds = [
        bind(plan_of(*body), {"policy": policy}, {})
        for body in (("return first of (sample 4)",), lines)
    ]
    outcomes: dict[int, Outcome] = {}
    total = run_virtual(execute_together(bounds, [(PROBLEM, 0)], outcomes.__setitem__))
    assert total.policy_tokens == sum(each.counts.policy_tokens for each in outcomes.values())
