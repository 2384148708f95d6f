"""Step-by-step arithmetic modulo 100: problems, exact solver, solution texts and step labels.

A problem is a chain of operations, each with a letter:

    Start with 17; a: *3; b: +45; c: -8 (mod 100)

and its solution one short step per operation, separated by blank lines:

    a: 17*3=51
    <blank>
    b: 51+45=96
    <blank>
    c: 96-8=88
    <blank>
    The answer is \\boxed{88}

Everything is seeded by the `random.Random` that callers pass in; there is no module state.
"""

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

MODULUS = 100
LETTERS = "abcdefghij"
DELIMITER = "\n\n"
THINK_BEGIN, THINK_END = "<think>", "</think>"
WAIT = "Wait"
ANSWER_PREFIX = "The answer is "
FORCED_ANSWER_PREFIX = "Final Answer:"

_PROBLEM = re.compile(r"Start with (\d{1,2})((?:; [a-j]: [-+*]\d{1,2})+) \(mod 100\)")
_OPERATION = re.compile(r"; ([a-j]): ([-+*])(\d{1,2})")
_STEP = re.compile(r"([a-j]): (\d{1,2})([-+*])(\d{1,2})=(\d{1,2})")
_ANSWER = re.compile(
    r"(?:<think>)?(?:</think>\s*)?(?:The answer is |Final Answer: ?)\\boxed\{(\d{1,2})\}"
)


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation on the running value: a symbol of `+ - *` and a constant in 1..99."""

    symbol: str
    operand: int

    def apply(self, value: int) -> int:
        """The exact result modulo 100."""
        if self.symbol == "+":
            return (value + self.operand) % MODULUS
        if self.symbol == "-":
            return (value - self.operand) % MODULUS
        return (value * self.operand) % MODULUS


@dataclass(frozen=True, slots=True)
class Problem:
    """A start value in 0..99 and one to ten operations."""

    start: int
    operations: tuple[Operation, ...]

    def text(self) -> str:
        """What a user reads, and what the policy is asked."""
        chain = "".join(
            f"; {letter}: {operation.symbol}{operation.operand}"
            for letter, operation in zip(LETTERS, self.operations, strict=False)
        )
        return f"Start with {self.start}{chain} (mod 100)"

    def values(self) -> tuple[int, ...]:
        """The exact value after each operation."""
        value, values = self.start, []
        for operation in self.operations:
            value = operation.apply(value)
            values.append(value)
        return tuple(values)

    def answer(self) -> int:
        """The exact final value."""
        return self.values()[-1]


@dataclass(frozen=True, slots=True)
class Statement:
    """One written step, `a: 17*3=51`; it may be wrong in any of its parts."""

    letter: str
    left: int
    symbol: str
    operand: int
    result: int

    def text(self) -> str:
        """The step as it stands in a solution."""
        return f"{self.letter}: {self.left}{self.symbol}{self.operand}={self.result}"


@dataclass(frozen=True, slots=True)
class Label:
    """Verdict on one step: `local` given the text before it, `cumulative` for all up to here."""

    local: bool
    cumulative: bool


def parse_problem(text: str) -> Problem:
    """The problem that `Problem.text` wrote; ValueError for any other text."""
    match = _PROBLEM.fullmatch(text)
    if match is None:
        raise ValueError(f"not a problem of this world: {text!r}")
    parts = _OPERATION.findall(match[2])
    if "".join(letter for letter, _, _ in parts) != LETTERS[: len(parts)]:
        raise ValueError(f"operations must be lettered in order: {text!r}")
    return Problem(int(match[1]), tuple(Operation(symbol, int(b)) for _, symbol, b in parts))


def parse_statement(text: str) -> Statement | None:
    """The written step, or None when the text is not of that form."""
    match = _STEP.fullmatch(text.strip())
    if match is None:
        return None
    return Statement(match[1], int(match[2]), match[3], int(match[4]), int(match[5]))


def parse_answer(text: str) -> int | None:
    """The boxed value of an answer step, or None when the text is not one."""
    match = _ANSWER.fullmatch(text.strip())
    return None if match is None else int(match[1])


def answer_text(value: int) -> str:
    """The last step of a solution."""
    return f"{ANSWER_PREFIX}\\boxed{{{value}}}"


def solution_text(problem: Problem) -> str:
    """The exact solution, as the policy would write it without errors."""
    value, pieces = problem.start, []
    for letter, operation in zip(LETTERS, problem.operations, strict=False):
        result = operation.apply(value)
        pieces.append(Statement(letter, value, operation.symbol, operation.operand, result).text())
        value = result
    return DELIMITER.join([*pieces, answer_text(value)])


def split_steps(text: str) -> list[str]:
    """Non-empty, stripped pieces between blank lines (the recipe of `prm_recipes.md`)."""
    return [piece.strip() for piece in text.split(DELIMITER) if piece.strip()]


class Checker:
    """Labels the steps of one solution in order.

    It keeps which value stands for each letter. Going back to a letter (after `Wait`, say) drops
    the values that rested on the old one, so a corrected trace counts as right again.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self._values = [problem.start]
        self._right = [True]
        self._ended = False

    def standing(self) -> int:
        """The latest value that the text rests on."""
        return self._values[-1]

    def right(self) -> bool:
        """Whether everything that the text rests on now is right."""
        return self._right[-1]

    def value_before(self, letter: str) -> int | None:
        """The value that a step for `letter` has to start from; None when there is none yet."""
        index = LETTERS.index(letter)
        return self._values[index] if index < len(self._values) else None

    def check(self, text: str) -> Label:
        """Label the next step and take it into account."""
        text = text.strip().removeprefix(THINK_BEGIN).strip()
        if self._ended:
            return Label(False, False)
        if text == WAIT:
            return Label(True, self.right())
        statement = parse_statement(text)
        if statement is not None:
            return self._check_statement(statement)
        answer = parse_answer(text)
        if answer is None:
            return Label(False, False)
        self._ended = True
        finished = len(self._values) == len(self.problem.operations) + 1
        early = FORCED_ANSWER_PREFIX in text
        local = (finished or early) and answer == self.standing()
        return Label(local, self.right() and answer == self.problem.answer() and local)

    def _check_statement(self, statement: Statement) -> Label:
        index = LETTERS.index(statement.letter)
        if index >= len(self.problem.operations) or index >= len(self._values):
            return Label(False, False)
        operation = self.problem.operations[index]
        local = (
            statement.left == self._values[index]
            and (statement.symbol, statement.operand) == (operation.symbol, operation.operand)
            and statement.result == operation.apply(statement.left)
        )
        cumulative = local and self._right[index]
        del self._values[index + 1 :], self._right[index + 1 :]
        self._values.append(statement.result)
        self._right.append(cumulative)
        return Label(local, cumulative)


def label_steps(problem: Problem, steps: Sequence[str]) -> list[Label]:
    """One label per step of a solution."""
    checker = Checker(problem)
    return [checker.check(step) for step in steps]


def generate_problem(rng: random.Random, operations: int, hardness: int) -> Problem:
    """A random problem.

    `operations` is 1..10. `hardness` 0 draws small operands and rarely carries, 1 mixes, 2 draws
    mostly large multipliers, carries and borrows.
    """
    if not 1 <= operations <= len(LETTERS) or hardness not in (0, 1, 2):
        raise ValueError(f"no such difficulty: {operations} operations, hardness {hardness}")
    value = rng.randrange(2, MODULUS)
    start, chain = value, []
    for _ in range(operations):
        operation = _draw_operation(rng, value, hardness)
        chain.append(operation)
        value = operation.apply(value)
    return Problem(start, tuple(chain))


def _draw_operation(rng: random.Random, value: int, hardness: int) -> Operation:
    symbol = rng.choices("+-*", ((4, 4, 1), (1, 1, 1), (1, 1, 2))[hardness])[0]
    if symbol == "*":
        low, high = ((2, 3), (2, 9), (4, 9))[hardness]
        return Operation(symbol, rng.randint(low, high))
    if hardness == 0:
        # Mostly operands that neither carry nor borrow; the units digit decides.
        units = rng.randint(0, 9 - value % 10 if symbol == "+" else value % 10)
        tens = rng.randint(0, 3)
        return Operation(symbol, max(1, 10 * tens + units))
    return Operation(symbol, rng.randint(1 if hardness == 1 else 11, 99))
