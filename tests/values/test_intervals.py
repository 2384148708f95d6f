"""C47: intervals hold every value that the functions give."""

from __future__ import annotations

import itertools
import math
import random
from typing import TypeAlias

import pytest

from tests.support.agreement import compiled
from tests.support.extremes import NUMBERS
from tts_lang import values
from tts_lang.explain.assumptions import Lengths
from tts_lang.explain.bound_domain import BoundDomain
from tts_lang.explain.interval import Interval, IntervalReading, evaluate
from tts_lang.explain.mean_domain import MeanDomain
from tts_lang.explain.models import UNKNOWN
from tts_lang.plan.expr import FUNCTIONS, Aggregate, Apply, Const, Input, Reduce
from tts_lang.plan.graph import Scorer

Value: TypeAlias = "float | bool | None"
#: An interval, and values inside it.
Choice: TypeAlias = tuple[Interval, list[Value]]


def holds(interval: Interval, value: Value) -> bool:
    """Whether a value is one that the interval allows."""
    return interval.missing if value is None else interval.low <= value <= interval.high


def reading(*intervals: Interval) -> IntervalReading:
    """Inputs that are these intervals."""
    return IntervalReading(lambda _: (0, 9), lambda index: intervals[index], {}, 100)


def ranges(seed: int) -> list[Choice]:
    """Intervals between extreme numbers, and values inside them, their ends among these."""
    chance = random.Random(seed)
    found: list[Choice] = [(Interval(-math.inf, math.inf, True), [*NUMBERS, None])]
    ordered = sorted(NUMBERS)
    for _ in range(24):
        first, last = sorted(chance.choices(range(len(ordered)), k=2))
        missing = chance.random() < 0.3
        inside: list[Value] = [*ordered[first : last + 1], *[None] * missing]
        found.append((Interval(ordered[first], ordered[last], missing), inside))
    found += [(Interval(each, each), [each]) for each in NUMBERS]
    return found


TAKES_FLAGS = {"and", "or", "not", "if"}
FLAGS: list[Choice] = [
    (Interval(0, 0), [False]),
    (Interval(1, 1), [True]),
    (Interval(0, 1), [False, True]),
    (Interval(1, 1, True), [True, None]),
    (Interval(0, 1, True), [False, True, None]),
]


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("argmin", Interval(0, 100, True)),  # missing where no step has a score
        ("argmax", Interval(0, 100, True)),
        ("first_below", Interval(0, 100, True)),
        ("last", Interval(0.1, 0.9, True)),
        ("mean", Interval(math.nextafter(0.1, 0), math.nextafter(0.9, 1), True)),  # is computed
        ("quantile", Interval(math.nextafter(0.1, 0), math.nextafter(0.9, 1), True)),
        ("sum", Interval(0, math.inf, True)),
        ("prod", Interval(0, 0.9, True)),
    ],
)
def test_c47_what_reductions_of_steps_can_give(how: str, expected: Interval) -> None:
    scorers = {"prm": Scorer("prm", True, low=0.1, high=0.9)}
    steps = IntervalReading(lambda _: (0, 9), lambda _: Interval(0, 1), scorers, 100)
    assert evaluate(Reduce(how, "prm"), steps) == expected


@pytest.mark.parametrize("function", FUNCTIONS)
def test_c47_intervals_hold_what_functions_give(function: str) -> None:
    many = FUNCTIONS[function]
    chance = random.Random(function)
    for seed in range(3):
        plain = ranges(seed)
        for _ in range(60):
            chosen = [
                chance.choice(FLAGS if function in TAKES_FLAGS else plain) for _ in range(many)
            ]
            if function == "if":
                chosen[1:] = chance.choices(plain, k=2)
            intervals = [interval for interval, _ in chosen]
            found = evaluate(Apply(function, tuple(map(Input, range(many)))), reading(*intervals))
            inside = [chance.sample(each, min(6, len(each))) for _, each in chosen]
            for arguments in itertools.product(*inside):
                value = values.apply(function, arguments)
                assert holds(found, value), (intervals, arguments, value, found)


@pytest.mark.parametrize("how", ["mean", "sum", "min", "max", "std", "first", "quantile"])
def test_c47_intervals_hold_what_aggregates_give(how: str) -> None:
    chance = random.Random(how)
    for seed in range(2):
        for interval, inside in ranges(seed):
            quantile = Const(0.3) if how == "quantile" else None
            node = Aggregate(how, 0, Input(0), quantile=quantile)
            found = evaluate(node, reading(interval))
            for size in range(5):
                rows = chance.choices(inside, k=size)
                assert holds(found, _aggregate(how, rows)), (interval, rows, found)


def _aggregate(how: str, rows: list[Value]) -> Value:
    if how == "first":
        return rows[0] if rows else None
    there = values.present(rows)
    return values.quantile(there, 0.3) if how == "quantile" else values.AGGREGATES[how](there)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_c47_both_domains_of_the_cost_walk_agree_with_the_functions(function: str) -> None:
    """One number known exactly: its bounds hold the result, and its mean is the result if known."""
    plan = compiled("strategy main():\n    return sample 1\n")
    bound = BoundDomain(plan, 100, 100, UNKNOWN)
    mean = MeanDomain(plan, Lengths(5, 3), UNKNOWN)
    size = FUNCTIONS[function]
    inputs = tuple(range(size))
    node = Apply(function, tuple(map(Input, inputs)))
    chance = random.Random(function)
    flags: list[Value] = [False, True]
    for _ in range(200):
        arguments = [
            chance.choice(flags if function in TAKES_FLAGS else list(NUMBERS)) for _ in inputs
        ]
        if function == "if":
            arguments[1:] = chance.choices(list(NUMBERS), k=2)
        for place, argument in enumerate(arguments):
            assert argument is not None
            bound.values[place] = Interval(argument, argument)
            mean.values[place] = argument
        value = values.apply(function, arguments)
        assert holds(bound.evaluate(node, inputs), value), (arguments, value)
        expected = mean.evaluate(node, inputs)
        assert expected is None or expected == value, (arguments, value, expected)
