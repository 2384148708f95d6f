"""Random answers by the thousand: forms and grades, none of which may fail or take a second.

    python -m benchmarks.hostile_answers --count 100000 --workers 2

Half of them are formulas of a grammar that goes further than any parser here, a third are tokens
of LaTeX in any order, the rest are formulas with a wound. Time is processor time, so that a busy
machine does not matter. Ends with code 1 if an answer fails, takes over a second, or has a form
that is not its own form.
"""

from __future__ import annotations

import argparse
import random
import re
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field

from tts_runtime.answers import canonical, grade

LIMIT_S = 1.0

TOKENS = re.findall(
    r"\S+",
    r"\frac{ \frac \sqrt{ \sqrt[3]{ } { ( ) [ ] ^ ^{ _ _{ 2 3 9 10 0.5 x y n i e \pi \pm , \{ \} "
    r"\text{ \text{and} \left( \right) ! | = < \le \cup & \\ \begin{pmatrix} \end{pmatrix} \circ "
    r"\% \$ and \in \ne 0 . / \log \ln \sin \cos \tan \arcsin \cosh \exp \cdot - + * : ; \ldots "
    r"\infty \mathbb{R} \setminus \binom{5}{2} \overline{3} f(x) million cm \int \sum \forall "
    "√ ² ½ ⁻ × ≤ ∪ π １ \x00 \u202e 平方 $ ~ ` ' \" (A) A. \\boxed{",
)
ATOMS = ("x", "y", "z", "n", "i", "e", r"\pi", "2", "3", "7", "10", "0.5", "12", "100", "99999",
         r"\sqrt{2}", "a", r"\infty", "10^{30}")  # fmt: skip
FUNCTIONS = ("sin", "cos", "tan", "ln", "log", "exp", "cosh", "sinh", "tanh", "arcsin", "arccos",
             "arctan", "sec", "cot")  # fmt: skip


def formula(draw: random.Random, depth: int) -> str:
    """A random formula, list, relation or tuple, nested at most so deep."""
    if depth == 0 or draw.random() < 0.2:
        return draw.choice(ATOMS)

    def part() -> str:
        return formula(draw, depth - 1)

    shape = draw.choice(
        (
            "({0}+{1})", "{0}-{1}", "{0}{1}", r"{0}\cdot {1}", r"\frac{{{0}}}{{{1}}}",
            "({0})^{{{1}}}", r"\sqrt{{{0}}}", r"\sqrt[7]{{{0}}}", r"\FUNCTION({0})", "({0})!",
            "|{0}|", r"\log_{{{0}}}({1})", "{0}={1}", "{0}<{1}", "({0},{1})", r"{0}\pm {1}",
            "{0},{1}", r"[{0},{1})\cup({1},{0}]", r"\begin{{pmatrix}}{0}\\{1}\end{{pmatrix}}",
            "{0}:{1}", r"x\in\{{{0},{1}\}}",
        )
    )  # fmt: skip
    text = shape.format(part(), part())
    return text.replace("FUNCTION", draw.choice(FUNCTIONS))


def answers(seed: int) -> Iterator[str]:
    """Random answers without end."""
    draw = random.Random(seed)
    while True:
        kind = draw.random()
        if kind < 0.33:
            yield "".join(draw.choice(TOKENS) for _ in range(draw.randint(1, 25)))
        elif kind < 0.85:
            yield formula(draw, draw.randint(1, 4))
        else:
            whole = formula(draw, 3)
            cut = draw.randrange(len(whole) + 1)
            yield whole[:cut] + draw.choice(TOKENS) + whole[cut:]


@dataclass
class Found:
    """What a number of answers gave: the slowest of them, and what is wrong."""

    count: int = 0
    text: int = 0
    slowest: list[tuple[float, str, str]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


def try_out(seed: int, count: int) -> Found:
    """Forms of random answers, and the grade of each against the one before it."""
    found = Found()
    gold = "42"
    canonical(r"\sqrt{2}x")
    grade(r"\sin x", r"\cos y")  # what is loaded once is loaded
    for answer, _ in zip(answers(seed), range(count), strict=False):
        try:
            begin = time.process_time()
            key = canonical(answer)
            between = time.process_time()
            grade(answer, gold)
            end = time.process_time()
            if canonical(key) != key:
                found.wrong.append(f"unstable: {answer!a} gives {key!a}")
        except Exception as error:  # noqa: BLE001  (that is what is looked for)
            found.wrong.append(f"{type(error).__name__}: {answer!a}")
            continue
        found.count += 1
        found.slowest += [(between - begin, "form", answer), (end - between, "grade", answer)]
        if len(found.slowest) > 1000:
            found.slowest = sorted(found.slowest, reverse=True)[:5]
        gold = answer
    found.slowest = sorted(found.slowest, reverse=True)[:5]
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints what was found; 1 if something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100_000, help="answers in all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args(arguments)
    size = max(1, min(2_000, options.count // options.workers))
    seeds = range(options.seed, options.seed + -(-options.count // size))
    with ProcessPoolExecutor(options.workers) as pool:
        parts = list(pool.map(try_out, seeds, [size] * len(seeds)))
    slowest = sorted((each for part in parts for each in part.slowest), reverse=True)[:5]
    wrong = [line for part in parts for line in part.wrong]
    print(f"{sum(part.count for part in parts):,} answers, {len(wrong)} wrong; the slowest:")
    for seconds, what, answer in slowest:
        print(f"  {seconds:.2f} s {what} {answer!a}")
    for line in wrong[:20]:
        print(line)
    return 1 if wrong or slowest[0][0] > LIMIT_S else 0


if __name__ == "__main__":
    raise SystemExit(main())
