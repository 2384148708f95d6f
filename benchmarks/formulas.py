"""The cost of a strategy as a formula of its parameters, found by exact fitting.

A bound that EXPLAIN computes at given numbers is, for most strategies, a polynomial in counts such
as `n` and `depth`, perhaps with `width` as a divisor. Products in which each parameter occurs at
most once are solved for exactly, in rational numbers, from more values than there are products; a
cost of another form has no solution, and gets no formula rather than a nearly right one.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from itertools import product
from math import prod
from typing import NamedTuple

#: The context window in tokens, beside the strategy's parameters.
CONTEXT = "context"
#: Parameters that divide `n`, without a rest.
DIVISORS = ("width", "trees")
#: Limits in tokens: below the context window, or they would not matter.
LIMITS = ("budget", "limit")
#: Parameters that are whole numbers but count nothing that costs.
IDLE = ("window",)

Values = Mapping[str, int]
#: Names with their exponents.
Monomial = tuple[tuple[str, int], ...]
Polynomial = dict[Monomial, Fraction]


class Costs(NamedTuple):
    """Upper bounds of what one problem costs."""

    policy_calls: int
    sampled_tokens: int
    scorer_calls: int
    rounds: int


def costs_at(name: str, values: Values) -> Costs:
    """What EXPLAIN bounds for a shipped strategy, `context` being among the values."""
    from tts_lang.compiler import compile_strategy
    from tts_lang.explain.costs import bounds

    given = {key: value for key, value in values.items() if key != CONTEXT}
    total = bounds(compile_strategy(name, settings=given), values[CONTEXT]).total
    found = (total.policy_calls, total.sampled_tokens, total.scorer_calls, total.rounds)
    return Costs(*(int(number or 0) for number in found))


def counts_of(parameters: Mapping[str, object]) -> list[str]:
    """The parameters that may matter: whole numbers by default."""
    return [
        name
        for name, default in parameters.items()
        if isinstance(default, int) and not isinstance(default, bool) and name not in IDLE
    ]


def drawn(counts: Iterable[str], generator: random.Random) -> dict[str, int]:
    """Random values: counts from 2, such that divisors divide, and a context window."""
    values = {name: generator.randint(2, 7) for name in counts}
    for name in LIMITS:
        if name in values:
            values[name] = generator.randint(20, 90)
    if "n" in values:  # what it is divided by, and 4: the width inside compute_optimal
        values["n"] = 4 * prod(values.get(name, 1) for name in DIVISORS) * generator.randint(1, 5)
    if "proposals" in values:  # enough to choose `width` among them
        values["proposals"] += values["width"]
    if "agents" in values:  # halves of halves
        values["agents"] *= 2 ** values["rounds"]
    return {**values, CONTEXT: generator.randint(100, 900)}


def monomials(names: Sequence[str]) -> list[Monomial]:
    """Products of the names, each at most once; `n` may be divided."""
    powers = [(-1, 0, 1) if name in DIVISORS and "n" in names else (0, 1) for name in names]
    made = (
        tuple((name, power) for name, power in zip(names, each, strict=True) if power)
        for each in product(*powers)
    )
    return [each for each in made if ("n", 1) in each or all(power > 0 for _, power in each)]


def value_at(monomial: Monomial, values: Values) -> Fraction:
    """What a product of names is."""
    return prod((Fraction(values[name]) ** power for name, power in monomial), start=Fraction(1))


def fitted(
    counts: Sequence[str], costs: Callable[[Values], Costs], generator: random.Random
) -> tuple[Polynomial | None, ...]:
    """The polynomials that costs are, in the order of `Costs`; none for what is no polynomial."""
    basis = monomials([*counts, CONTEXT])
    points = [drawn(counts, generator) for _ in range(len(basis) + 10)]
    table = [[value_at(each, point) for each in basis] for point in points]
    found = [costs(point) for point in points]
    solutions = (
        _solved([[*row, Fraction(cost[which])] for row, cost in zip(table, found, strict=True)])
        for which in range(len(Costs._fields))
    )
    return tuple(
        None
        if solution is None
        else {each: factor for each, factor in zip(basis, solution, strict=True) if factor}
        for solution in solutions
    )


def _solved(rows: list[list[Fraction]]) -> list[Fraction] | None:
    """The solution of linear equations, each row ending with its right side; none if not unique."""
    unknowns = len(rows[0]) - 1
    for column in range(unknowns):
        pivot = next((i for i in range(column, len(rows)) if rows[i][column]), None)
        if pivot is None:
            return None
        rows[column], rows[pivot] = rows[pivot], rows[column]
        head = rows[column] = [value / rows[column][column] for value in rows[column]]
        for i, row in enumerate(rows):
            if i != column and row[column]:
                rows[i] = [a - row[column] * b for a, b in zip(row, head, strict=True)]
    return None if any(row[-1] for row in rows[unknowns:]) else [row[-1] for row in rows[:unknowns]]


def written(polynomial: Polynomial) -> str:
    """The polynomial, multiplied out or in factors, whichever names less; valid Python."""
    import sympy

    terms = [
        sympy.Rational(factor.numerator, factor.denominator)
        * sympy.prod([sympy.Symbol(name, positive=True) ** power for name, power in monomial])
        for monomial, factor in polynomial.items()
    ]
    whole = sympy.Add(*terms)
    forms = (str(form) for form in (sympy.factor(whole), sympy.expand(whole)))
    return min(forms, key=lambda form: (len(re.findall(r"[a-z_]+", form)), len(form)))


def evaluated(formula: str, values: Values) -> Fraction:
    """A written formula at certain values.

    Raises:
        NameError: It speaks of something else.
    """
    known = {name: Fraction(value) for name, value in values.items()}
    return Fraction(eval(formula, {"__builtins__": {"max": max, "min": min}}, known))
