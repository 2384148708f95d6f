"""The world's solver and step labels, against evaluators written another way."""

import random
import re

import pytest
from bundled import noise, world
from hypothesis import given, settings
from hypothesis import strategies as st

SETTINGS = settings(deadline=None, derandomize=True, max_examples=60)


def any_problem(seed: int) -> world.Problem:
    rng = random.Random(seed)
    return world.generate_problem(rng, rng.randint(1, 10), rng.randint(0, 2))


def slow_answer(text: str) -> int:
    """Reads the problem text alone: exact integers, reduced once at the very end."""
    start = re.match(r"Start with (\d+);", text)
    assert start is not None
    value = int(start[1])
    for symbol, operand in re.findall(r": ([-+*])(\d+)", text):
        number = int(operand)
        value = {"+": value + number, "-": value - number, "*": value * number}[symbol]
    return value % 100


@SETTINGS
@given(st.integers(0, 10**9))
def test_solver_agrees_with_an_evaluation_of_the_problem_text(seed: int) -> None:
    problem = any_problem(seed)
    assert problem.answer() == slow_answer(problem.text())
    assert world.parse_problem(problem.text()) == problem


@SETTINGS
@given(st.integers(0, 10**9))
def test_every_step_of_the_exact_solution_is_right(seed: int) -> None:
    problem = any_problem(seed)
    steps = world.split_steps(world.solution_text(problem))
    assert len(steps) == len(problem.operations) + 1
    assert set(world.label_steps(problem, steps)) == {world.Label(True, True)}
    assert steps[-1] == f"The answer is \\boxed{{{slow_answer(problem.text())}}}"


@SETTINGS
@given(st.integers(0, 10**9), st.data())
def test_one_wrong_step_is_wrong_by_itself_and_spoils_what_follows(
    seed: int, data: st.DataObject
) -> None:
    problem = any_problem(seed)
    at = data.draw(st.integers(0, len(problem.operations) - 1))
    shift = data.draw(st.integers(1, 99))
    value, steps = problem.start, []
    for index, operation in enumerate(problem.operations):
        result = (operation.apply(value) + (shift if index == at else 0)) % 100
        letter = world.LETTERS[index]
        steps.append(f"{letter}: {value}{operation.symbol}{operation.operand}={result}")
        value = result
    labels = world.label_steps(problem, [*steps, world.answer_text(value)])
    assert [label.local for label in labels] == [i != at for i in range(len(labels))]
    assert [label.cumulative for label in labels] == [i < at for i in range(len(labels))]


def two_steps() -> world.Problem:
    return world.parse_problem("Start with 17; a: *3; b: +45 (mod 100)")


def test_a_corrected_trace_counts_as_right_again() -> None:
    steps = [
        "a: 17*3=31",
        "b: 31+45=76",
        "Wait",
        "a: 17*3=51",
        "b: 51+45=96",
        "</think>The answer is \\boxed{96}",
    ]
    labels = world.label_steps(two_steps(), steps)
    assert [label.local for label in labels] == [False, True, True, True, True, True]
    assert [label.cumulative for label in labels] == [False, False, False, True, True, True]


@pytest.mark.parametrize(
    "steps",
    [
        ["a: 71*3=13"],  # start value copied wrongly
        ["a: 17+3=20"],  # another operation
        ["a: 17*8=36"],  # another operand, right arithmetic
        ["b: 17+45=62"],  # skips a step
        ["c: 17*3=51"],  # no such operation
        ["17*3=51"],  # no letter
        ["The answer is \\boxed{17}"],  # answers before the work is done
        ["a: 17*3=51", "b: 51+45=96", "The answer is \\boxed{95}"],
        ["a: 17*3=51", "b: 51+45=96", "The answer is \\boxed{96}", "b: 51+45=96"],
    ],
)
def test_steps_that_do_not_follow_are_wrong(steps: list[str]) -> None:
    assert world.label_steps(two_steps(), steps)[-1] == world.Label(False, False)


def test_an_early_forced_answer_must_repeat_the_value_that_stands() -> None:
    steps = ["a: 17*3=51", "</think>Final Answer: \\boxed{51}"]
    assert world.label_steps(two_steps(), steps)[-1] == world.Label(True, False)


@pytest.mark.parametrize(
    "text", ["", "1+1", "Start with 17 (mod 100)", "Start with 1; b: +2 (mod 100)"]
)
def test_other_texts_are_not_problems(text: str) -> None:
    with pytest.raises(ValueError):
        world.parse_problem(text)


def test_same_seed_same_problem() -> None:
    assert [any_problem(seed) for seed in range(20)] == [any_problem(seed) for seed in range(20)]


@SETTINGS
@given(st.integers(0, 10**9))
def test_noisy_chains_are_consistent_and_wrong_only_where_labelled(seed: int) -> None:
    problem = any_problem(seed)
    chain = noise.noisy_chain(random.Random(seed), problem)
    labels = world.label_steps(problem, [statement.text() for statement in chain])
    right = chain[-1].result == problem.answer()
    # All steps right means a right answer; the converse can fail when two errors cancel.
    assert right or not all(label.local for label in labels)
    assert all(0 <= statement.result < 100 for statement in chain)


def error_share(scale: float) -> float:
    rng, wrong, total = random.Random(0), 0, 0
    for seed in range(400):
        problem = any_problem(seed)
        chain = noise.noisy_chain(rng, problem, scale)
        labels = world.label_steps(problem, [statement.text() for statement in chain])
        wrong += sum(not label.local for label in labels)
        total += len(labels)
    return wrong / total


def test_rechecks_err_less_than_first_attempts() -> None:
    assert error_share(0.0) == 0.0
    assert error_share(noise.RECHECK_SCALES[1]) < 0.5 * error_share(1.0)


def test_the_carry_is_forgotten_more_often_than_not_where_it_traps() -> None:
    operation = world.Operation("*", 8)
    assert noise.is_trap(47, operation)
    assert noise.carry_slip(47, operation) == 26  # 8*4 tens without the 5 of 56
    results = [
        noise.noisy_statement(random.Random(seed), "a", 47, operation, 1.0).result
        for seed in range(400)
    ]
    assert results.count(26) > results.count(76) > 0
