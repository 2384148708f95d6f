"""C47: one meaning of arithmetic, on ordinary and on extreme values."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.support.extremes import NUMBERS, VALUES
from tests.support.reference import values as reference
from tts_lang import values
from tts_lang.explain import mean_domain
from tts_lang.plan.constants import constant, fold
from tts_lang.plan.expr import FUNCTIONS, Apply, Const

COMPARISONS = {"==", "!=", "<", "<=", ">", ">=", "ends with", "contains"}
LOGIC = {"and", "or", "not", "if", "has"}
TEXTS = {"extract", "number"}


def tuples(function: str, every: tuple[Any, ...] = VALUES) -> list[tuple[Any, ...]]:
    """Arguments of a function; of three, a part."""
    found = list(itertools.product(every, repeat=FUNCTIONS[function]))
    return found if len(found) < 2000 else found[:: len(found) // 2000]


def same(one: Any, other: Any) -> bool:
    """Equal, and of one kind: 1, 1.0 and True differ."""
    return type(one) is type(other) and (bool(one == other) or one is other)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_c47_every_function_is_total_and_gives_values(function: str) -> None:
    for arguments in tuples(function):
        result = values.apply(function, arguments)
        if function == "if":
            continue  # one of its arguments
        assert result is None or isinstance(result, bool | str) or values.is_number(result)
        if function not in COMPARISONS | LOGIC and None in arguments:
            assert result is None


@pytest.mark.parametrize("function", FUNCTIONS)
def test_c47_constants_fold_and_are_expected_as_they_run(function: str) -> None:
    for arguments in tuples(function):
        ran = values.apply(function, arguments)
        folded = fold(function, *map(Const, arguments))
        if isinstance(folded, Const):
            assert same(folded.value, ran)
        assert same(constant(Apply(function, tuple(map(Const, arguments)))), ran)
        if None not in arguments and all(map(values.is_number, arguments)):
            expected = mean_domain.apply(function, arguments)
            assert expected is None or same(expected, ran) or function in LOGIC


@pytest.mark.parametrize("function", sorted(set(FUNCTIONS) - COMPARISONS - LOGIC - TEXTS))
def test_c47_arithmetic_agrees_with_the_reference(function: str) -> None:
    for arguments in tuples(function, NUMBERS):
        wanted = reference.arithmetic(function, arguments)
        assert same(values.apply(function, arguments), wanted), arguments


def test_c47_a_whole_number_is_exact_as_far_as_floats_reach() -> None:
    power = values.FUNCTIONS["**"]
    assert power(2, 600) == 2**600
    assert power(2, 1023) == 2**1023
    assert power(2, 1024) is None
    assert power(-1, 10**300) == 1
    assert power(10, 10**300) is None
    assert values.FUNCTIONS["*"](values.LARGEST, 2) is None
    assert values.FUNCTIONS["/"](2**63 + 2, 2) == 2**62 + 1


def test_c47_texts_do_not_grow_without_end() -> None:
    text = "ab"
    for _ in range(40):
        longer = values.FUNCTIONS["+"](text, text)
        if longer is None:
            break
        text = longer
    assert len(text) <= values.LONGEST_TEXT < 2 * len(text)


@given(
    st.lists(st.floats(allow_nan=False, allow_infinity=False) | st.integers(-5, 5), max_size=6)
    | st.lists(st.floats(0, 1), max_size=9)
    | st.builds(lambda number, size: [number] * size, st.floats(0, 1), st.integers(0, 9))
    | st.builds(  # means that are halfway between two floats, or almost
        lambda number, ulps, rest: [number + each * 2.0**-52 for each in ulps] + rest,
        st.sampled_from([1.0, 1.5]),
        st.lists(st.integers(0, 9), min_size=5, max_size=7),
        st.lists(st.sampled_from([1e-40, -1e-40, 5e-324]), max_size=2),
    )
)
@example([0.1] * 3)
def test_c47_means_and_sums_are_exact_and_rounded_once(numbers: list[float]) -> None:
    exact = sum(map(Fraction, numbers), Fraction(0))
    if numbers:
        assert values.mean(numbers) == float(exact / len(numbers))
    try:
        assert values.total(numbers) == float(exact)
    except OverflowError:
        assert values.total(numbers) is None


def test_c47_means_of_what_is_no_number_are_missing() -> None:
    for odd in ([math.inf], [math.inf, -math.inf], [1.0, math.nan, 2.0], [1.0, 2.0, -math.inf]):
        assert values.mean(odd) is None


def test_c47_aggregates_of_extreme_numbers_are_numbers_or_missing() -> None:
    for numbers in itertools.combinations(NUMBERS, 3):
        for how, aggregate in values.AGGREGATES.items():
            found = aggregate(numbers)
            assert found is None or values.is_number(found), (how, numbers)
        for q in (0, 0.3, 1):
            assert values.is_number(values.quantile(numbers, q))
        for how, reduce in values.REDUCTIONS.items():
            found = reduce((*numbers, None, math.nan))
            assert found is None or values.is_number(found), (how, numbers)
        weights = [abs(each) for each in numbers]
        assert 0 <= values.share(weights) <= 1
        assert 0 <= values.lead(weights) <= 1
        assert 0 <= values.entropy(weights) <= math.log(3) + 1e-9
        for temperature in (5e-324, 1.0, 1e308):
            assert math.isclose(sum(values.softmax(numbers, temperature)), 1)
