"""Training sequences with dense targets.

Beside the next token (which may be an error that the policy is meant to learn), every position
can carry the token that an error-free writer would put next, a verdict on the token itself, and a
verdict on all steps up to here. One bit per step alone is too sparse a signal for so small a model.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from bundled import noise, tokenizer
from bundled.world import (
    ANSWER_PREFIX,
    DELIMITER,
    FORCED_ANSWER_PREFIX,
    LETTERS,
    THINK_BEGIN,
    THINK_END,
    WAIT,
    Checker,
    Label,
    Operation,
    Problem,
    Statement,
    generate_problem,
    parse_statement,
)

IGNORE = -100
REVISE_HEAD = "Earlier attempts, the latest last:"
REVISE_TAIL = "Correct the latest attempt."


@dataclass(slots=True)
class Example:
    """One sequence; the four target lists are as long as `ids`, `IGNORE` where there is none.

    `next` and `exact` belong to the position *before* the token they name; `token_right` (1 or 0)
    and `steps_right` to the position of the token that is judged.
    """

    ids: list[int] = field(default_factory=list)
    next: list[int] = field(default_factory=list)
    exact: list[int] = field(default_factory=list)
    token_right: list[int] = field(default_factory=list)
    steps_right: list[int] = field(default_factory=list)

    def add(self, text: str, learn: bool) -> None:
        """Append text; with `learn` the policy is trained to write it."""
        for index in tokenizer.encode(text):
            self.add_token(index, learn)

    def add_token(self, index: int, learn: bool) -> None:
        """Append one token."""
        if self.ids:
            self.next[-1] = index if learn else IGNORE
        self.ids.append(index)
        for targets in (self.next, self.exact, self.token_right, self.steps_right):
            targets.append(IGNORE)

    def judge(self, label: Label) -> None:
        """Attach the verdict on a step to its last token, the delimiter."""
        self.token_right[-1] = int(label.local)
        self.steps_right[-1] = int(label.cumulative)

    def add_statement(self, statement: Statement, checker: Checker, learn: bool) -> Label:
        """Append one step and its delimiter with all targets, and take it into account."""
        index = LETTERS.index(statement.letter)
        before = checker.value_before(statement.letter)
        self.add(f"{statement.letter}: ", learn)
        if before is None or index >= len(checker.problem.operations):
            self.add(statement.text()[3:], learn)
        else:
            right = checker.problem.operations[index]
            operand, symbol = str(right.operand), right.symbol
            result = Operation(statement.symbol, statement.operand).apply(statement.left)
            self._add_field(str(statement.left), str(before), symbol, learn)
            self._add_field(statement.symbol, symbol, operand[0], learn)
            self._add_field(str(statement.operand), operand, "=", learn)
            self._add_field("=", "=", str(result)[0], learn)
            self._add_field(str(statement.result), str(result), DELIMITER, learn)
        self.add(DELIMITER, learn)
        label = checker.check(statement.text())
        self.judge(label)
        return label

    def _add_field(self, written: str, right: str, following: str, learn: bool) -> None:
        pieces = [*right, following]
        ids = tokenizer.vocabulary()
        for piece, character in zip(pieces, written, strict=False):
            self.exact[-1] = ids[piece]
            self.add(character, learn)
            self.token_right[-1] = int(piece == character)
        self.exact[-1] = ids[pieces[len(written)]] if len(written) < len(pieces) else IGNORE

    def add_answer(self, value: int, learn: bool, prefix: str = ANSWER_PREFIX) -> None:
        """Append the answer step, without delimiter or end."""
        self.add(f"{prefix}\\boxed{{{value}}}", learn)

    def end(self) -> None:
        """Append the end token, which the policy is trained to write."""
        self.add_token(tokenizer.vocabulary()[tokenizer.EOS], True)


def prompt(message: str) -> str:
    """The prompt around a message, as in the binding."""
    return f"Q: {message}\nA: "


def revise_message(problem: Problem, attempts: Sequence[str]) -> str:
    """The message that asks for a correction of the latest attempt."""
    blocks = "\n\n".join(f"Attempt {i}:\n{text}" for i, text in enumerate(attempts, 1))
    return f"{problem.text()}\n\n{REVISE_HEAD}\n{blocks}\n\n{REVISE_TAIL}"


def direct_example(problem: Problem, chain: Sequence[Statement]) -> Example:
    """A solution from the plain prompt."""
    example = Example()
    example.add(prompt(problem.text()), False)
    _finish_solution(example, problem, chain)
    return example


def _finish_solution(example: Example, problem: Problem, chain: Sequence[Statement]) -> None:
    checker = Checker(problem)
    for statement in chain:
        example.add_statement(statement, checker, True)
    example.add_answer(checker.standing(), True)
    example.end()


def thinking_example(rng: random.Random, problem: Problem) -> Example:
    """A trace between the thinking delimiters, with re-checks, sometimes cut short."""
    example, checker = Example(), Checker(problem)
    example.add(prompt(problem.text()) + THINK_BEGIN, False)
    for statement in noise.noisy_chain(rng, problem):
        example.add_statement(statement, checker, True)
    waits = rng.choices(range(5), (15, 35, 25, 15, 10))[0]
    for number in range(1, waits + 1):
        # A forced `Wait` stands where the policy wanted to end, so it is not learned: else the
        # policy would never end by itself.
        natural = rng.random() < 0.1
        example.add(WAIT, natural)
        example.add(DELIMITER, True)
        example.judge(checker.check(WAIT))
        for statement in noise.recheck(rng, problem, number):
            example.add_statement(statement, checker, True)
    if rng.random() < 0.15:
        return _cut_short(rng, problem, example)
    example.add(THINK_END, True)
    example.add_answer(checker.standing(), True)
    example.end()
    return example


def _cut_short(rng: random.Random, problem: Problem, example: Example) -> Example:
    """The thinking hit its limit: the end and `Final Answer:` are forced, the best value given."""
    texts = tokenizer.token_texts()
    begin = example.ids.index(tokenizer.vocabulary()[THINK_BEGIN]) + 1
    length = rng.randint(begin, len(example.ids))
    example.next[length - 1] = IGNORE
    for targets in (
        example.ids,
        example.next,
        example.exact,
        example.token_right,
        example.steps_right,
    ):
        del targets[length:]
    example.exact[-1] = IGNORE
    checker = Checker(problem)
    for piece in tokenizer.decode(example.ids[begin:]).split(DELIMITER)[:-1]:
        checker.check(piece)
    if not texts[example.ids[-1]].endswith("\n") and rng.random() < 0.5:
        example.add("\n", False)
    example.add(THINK_END + FORCED_ANSWER_PREFIX, False)
    example.add_answer(checker.standing(), True, prefix=" ")
    example.end()
    return example


def revision_example(rng: random.Random, problem: Problem) -> Example:
    """One to four earlier attempts and a correction of the latest."""
    attempts = [noise.noisy_chain(rng, problem)]
    for _ in range(rng.choices(range(4), (70, 15, 8, 7))[0]):
        if rng.random() < 0.7:
            attempts.append(noise.revise(rng, problem, attempts[-4:]))
        else:
            attempts.append(noise.noisy_chain(rng, problem))
    example = Example()
    example.add(f"Q: {problem.text()}\n\n{REVISE_HEAD}\n", False)
    for number, attempt in enumerate(attempts, 1):
        checker = Checker(problem)
        example.add(f"Attempt {number}:\n", False)
        for statement in attempt:
            example.add_statement(statement, checker, False)
        example.add_answer(checker.standing(), False)
        example.add(DELIMITER, False)
    example.add(f"{REVISE_TAIL}\nA: ", False)
    _finish_solution(example, problem, noise.revise(rng, problem, attempts[-4:]))
    return example


def scored_example(problem: Problem, steps: Sequence[str]) -> Example:
    """A solution as the PRM reads it: each step followed by the delimiter, with its verdicts."""
    example, checker = Example(), Checker(problem)
    example.add(prompt(problem.text()), False)
    for step in steps:
        statement = parse_statement(step)
        if statement is not None:
            example.add_statement(statement, checker, False)
            continue
        example.add(step + DELIMITER, False)
        example.judge(checker.check(step))
    return example


def policy_example(rng: random.Random, longest: int) -> Example:
    """A random sequence for the policy, of at most `longest` operations."""
    mode = rng.random()
    # Harder problems where care makes a difference that can be learned.
    hardness = rng.choice((0, 1, 2, 2) if mode < 0.45 else (1, 2, 2))
    problem = generate_problem(rng, rng.randint(1, longest), hardness)
    if mode < 0.45:
        return direct_example(problem, noise.noisy_chain(rng, problem))
    if len(problem.operations) > 6 and rng.random() < 0.6:
        # Long traces and revisions cost most of the tokens; a minority of them is enough.
        problem = Problem(problem.start, problem.operations[: rng.randint(1, 6)])
    return thinking_example(rng, problem) if mode < 0.78 else revision_example(rng, problem)
