"""Every table that must cover a vocabulary of the plan covers it."""

from __future__ import annotations

from tts_lang import values
from tts_lang.plan import expr, graph
from tts_lang.plan.columns import COLUMNS
from tts_lang.plan.graph import Judge
from tts_runtime import randomness
from tts_runtime.executor import expressions, views
from tts_runtime.executor.program import HANDLERS
from tts_runtime.sampling import STATISTICS


def test_every_operator_has_a_handler() -> None:
    assert set(HANDLERS) == {*graph.SPECS, Judge}


def test_every_function_is_implemented() -> None:
    assert set(values.FUNCTIONS) == set(expr.FUNCTIONS)


def test_every_reduction_is_implemented() -> None:
    assert set(values.REDUCTIONS) == set(expr.REDUCTIONS)


def test_every_aggregate_is_implemented() -> None:
    known = {*values.AGGREGATES, *values.CLASSES, *views.OF_ROWS}
    assert known == set(expr.AGGREGATES)


def test_every_statistic_and_span_is_implemented() -> None:
    assert set(expr.STATISTICS) == set(STATISTICS)
    assert {*views.SPANS, "tail", "lowest"} == set(expr.SPANS)


def test_every_distribution_is_implemented() -> None:
    assert set(randomness.DRAWS) == set(expr.DISTRIBUTIONS)


def test_every_kind_of_expression_is_compiled() -> None:
    assert set(expressions.COMPILERS) == set(expr.Expr.__args__)


def test_every_built_in_column_is_there() -> None:
    assert set(expressions.COLUMNS) == set(COLUMNS)
