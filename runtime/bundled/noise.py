"""How the policy errs: noisy solutions, thinking traces and revisions to train it on.

Every written step is wrong with a probability that depends on its operation, and the text continues
consistently from the wrong value. A policy that learns this distribution has calibrated, diverse
errors when it is sampled, and some systematic ones (the forgotten carry), which majority voting
cannot repair but a verifier can.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from bundled.world import LETTERS, MODULUS, Operation, Problem, Statement, label_steps

# Error rates relative to a first attempt: of the first, second, ... re-check after `Wait`, and of a
# revision of one, two, ... attempts. Both get more careful, less and less so.
RECHECK_SCALES = (0.35, 0.2, 0.12, 0.08)
REVISE_SCALES = (0.35, 0.25, 0.18, 0.12)
# Further factor where the latest attempt has the step right already.
KEPT_SCALE = 0.4


@dataclass(frozen=True, slots=True)
class ErrorRate:
    """Chance that one operation goes wrong, and the share of errors that forget the carry."""

    total: float
    slip_share: float


def error_rate(value: int, operation: Operation) -> ErrorRate:
    """The error rate of a first attempt at `value operation`."""
    units, b = value % 10, operation.operand
    if operation.symbol == "+":
        return ErrorRate(0.1 if units + b % 10 >= 10 else 0.02, 0.4)
    if operation.symbol == "-":
        if value < b:
            return ErrorRate(0.2, 0.4)
        return ErrorRate(0.12 if units < b % 10 else 0.02, 0.4)
    if is_trap(value, operation):
        # The forgotten carry is likelier than the right result: the mode itself is wrong.
        return ErrorRate(0.65, 0.75)
    if b <= 3 or value < 10:
        return ErrorRate(0.05, 0.4)
    return ErrorRate(0.18 if b <= 6 else 0.3, 0.4)


def expected_pass_rate(problem: Problem) -> float:
    """Chance that a first attempt makes no error at all: a prior guess at a policy's pass@1."""
    value, chance = problem.start, 1.0
    for operation in problem.operations:
        chance *= 1 - error_rate(value, operation).total
        value = operation.apply(value)
    return chance


def is_trap(value: int, operation: Operation) -> bool:
    """Whether a first attempt usually forgets the carry here."""
    b = operation.operand
    return operation.symbol == "*" and b >= 7 and value >= 20 and (value % 10) * b >= 40


def carry_slip(value: int, operation: Operation) -> int:
    """The result when the carry (or borrow) is forgotten, or made up where there is none."""
    exact = operation.apply(value)
    units, b = value % 10, operation.operand
    if operation.symbol == "+":
        return (exact + (-10 if units + b % 10 >= 10 else 10)) % MODULUS
    if operation.symbol == "-":
        return (exact + (10 if units < b % 10 else -10)) % MODULUS
    carry = units * b // 10
    return (exact - 10 * carry if carry % 10 else exact + 10) % MODULUS


def noisy_statement(
    rng: random.Random, letter: str, value: int, operation: Operation, scale: float
) -> Statement:
    """One written step, wrong with probability `scale * error_rate`."""
    exact = operation.apply(value)
    statement = Statement(letter, value, operation.symbol, operation.operand, exact)
    rate = error_rate(value, operation)
    if rng.random() >= scale * rate.total:
        return statement
    if rng.random() < rate.slip_share:
        return _with_result(statement, carry_slip(value, operation))
    kind = rng.random()
    if kind < 0.25:
        return _with_result(statement, (exact + rng.choice((-1, 1))) % MODULUS)
    if kind < 0.5:
        return _with_result(statement, (exact + rng.choice((-10, 10))) % MODULUS)
    if kind < 0.62 and exact >= 10 and exact % 11:
        return _with_result(statement, exact % 10 * 10 + exact // 10)
    if kind < 0.87:
        return _miscopied(rng, statement)
    return _with_result(statement, (exact + rng.randrange(1, MODULUS)) % MODULUS)


def _with_result(statement: Statement, result: int) -> Statement:
    return Statement(statement.letter, statement.left, statement.symbol, statement.operand, result)


def _miscopied(rng: random.Random, statement: Statement) -> Statement:
    """One digit of an operand copied wrongly, then right arithmetic."""
    left, operand = statement.left, statement.operand
    if rng.random() < 0.5:
        left = _other_digit(rng, left)
    else:
        operand = _other_digit(rng, operand)
    result = Operation(statement.symbol, operand).apply(left)
    return Statement(statement.letter, left, statement.symbol, operand, result)


def _other_digit(rng: random.Random, number: int) -> int:
    digits = str(number)
    at = rng.randrange(len(digits))
    others = [d for d in "123456789" if d != digits[at]]
    return int(digits[:at] + rng.choice(others) + digits[at + 1 :])


def noisy_chain(rng: random.Random, problem: Problem, scale: float = 1.0) -> list[Statement]:
    """All steps, each wrong with its chance times `scale`."""
    value, statements = problem.start, []
    for letter, operation in zip(LETTERS, problem.operations, strict=False):
        statement = noisy_statement(rng, letter, value, operation, scale)
        statements.append(statement)
        value = statement.result
    return statements


def one_error_chain(rng: random.Random, problem: Problem) -> list[Statement]:
    """Exactly one wrong step, at any place and of any kind alike, and consistent ones after it.

    For verifiers: the policy makes some kinds of errors so seldom that its samples teach little
    about them, yet best-of-n finds every kind that a verifier misses.
    """
    at = rng.randrange(len(problem.operations))
    value, statements = problem.start, []
    for index, (letter, operation) in enumerate(zip(LETTERS, problem.operations, strict=False)):
        exact = operation.apply(value)
        statement = Statement(letter, value, operation.symbol, operation.operand, exact)
        if index == at:
            statement = _any_error(rng, statement, operation)
        statements.append(statement)
        value = statement.result
    return statements


def _any_error(rng: random.Random, statement: Statement, operation: Operation) -> Statement:
    exact = statement.result
    kind = rng.randrange(5)
    if kind == 0:
        return _miscopied(rng, statement)
    if kind == 1:
        return _with_result(statement, carry_slip(statement.left, operation))
    if kind == 2:
        return _with_result(statement, (exact + 10 * rng.randrange(1, 10)) % MODULUS)
    if kind == 3:
        units = (exact % 10 + rng.randrange(1, 10)) % 10
        return _with_result(statement, exact - exact % 10 + units)
    return _with_result(statement, (exact + rng.randrange(1, MODULUS)) % MODULUS)


def recheck(rng: random.Random, problem: Problem, waits: int) -> list[Statement]:
    """What the policy writes after `Wait` for the `waits`-th time: all steps again, with more care.

    Going back to the first wrong step would be shorter, but so small a policy does not find it.
    """
    scale = RECHECK_SCALES[min(waits, len(RECHECK_SCALES)) - 1]
    return noisy_chain(rng, problem, scale)


def revise(
    rng: random.Random, problem: Problem, attempts: Sequence[Sequence[Statement]]
) -> list[Statement]:
    """A correction of the latest of one to four attempts."""
    latest = attempts[-1]
    labels = label_steps(problem, [statement.text() for statement in latest])
    care = REVISE_SCALES[min(len(attempts), len(REVISE_SCALES)) - 1]
    value, statements = problem.start, []
    for index, operation in enumerate(problem.operations):
        correct = labels[index].local and latest[index].left == value
        scale = care * KEPT_SCALE if correct else care
        statement = noisy_statement(rng, LETTERS[index], value, operation, scale)
        statements.append(statement)
        value = statement.result
    return statements
