"""How the policy errs: noisy solutions, thinking traces and revisions to train it on.

Every written step is wrong with a probability that depends on its operation, and the text goes on
consistently from the wrong value. A policy that learns this distribution has calibrated, diverse
errors when it is sampled, and some systematic ones (the forgotten carry), which majority voting
cannot repair but a verifier can.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from bundled.world import LETTERS, MODULUS, Checker, Operation, Problem, Statement

# Error rate of a re-check after `Wait`, and of a revision, relative to a first attempt.
RECHECK_SCALE = 0.35
REVISE_KEPT_SCALE = 0.1
REVISE_WRONG_SCALE = 0.45
# Chance that a re-check goes back to the first wrong step (else it redoes the last one).
DETECTION = 0.7


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


def noisy_chain(
    rng: random.Random, problem: Problem, first: int = 0, value: int | None = None, scale: float = 1
) -> list[Statement]:
    """The steps from operation number `first` on, starting at `value`."""
    value = problem.start if value is None else value
    statements = []
    for letter, operation in list(zip(LETTERS, problem.operations, strict=False))[first:]:
        statement = noisy_statement(rng, letter, value, operation, scale)
        statements.append(statement)
        value = statement.result
    return statements


def recheck(rng: random.Random, problem: Problem, standing: Sequence[Statement]) -> list[Statement]:
    """What the policy writes after `Wait`: from the first wrong step on, or the last one again."""
    labels = _local_labels(problem, standing)
    wrong = [index for index, right in enumerate(labels) if not right]
    back = len(standing) - 1
    if wrong and rng.random() < DETECTION:
        back = wrong[0]
    value = standing[back - 1].result if back else problem.start
    return noisy_chain(rng, problem, back, value, RECHECK_SCALE)


def merge(standing: Sequence[Statement], again: Sequence[Statement]) -> list[Statement]:
    """The steps that stand after some were written again."""
    return [*standing[: LETTERS.index(again[0].letter)], *again]


def revise(rng: random.Random, problem: Problem, latest: Sequence[Statement]) -> list[Statement]:
    """A corrected attempt: right steps are kept, wrong ones and what follows are redone."""
    labels = _local_labels(problem, latest)
    value, statements = problem.start, []
    for index, operation in enumerate(problem.operations):
        previous = latest[index]
        kept = labels[index] and previous.left == value
        scale = REVISE_KEPT_SCALE if kept else REVISE_WRONG_SCALE
        statement = noisy_statement(rng, LETTERS[index], value, operation, scale)
        statements.append(statement)
        value = statement.result
    return statements


def _local_labels(problem: Problem, statements: Sequence[Statement]) -> list[bool]:
    checker = Checker(problem)
    return [checker.check(statement.text()).local for statement in statements]
