"""docs/gallery/ is what the strategies, their bounds and the measurements of today give."""

from __future__ import annotations

import json
import random

import pytest

from benchmarks import gallery
from benchmarks.families import FAMILIES, NOT_MEASURED
from benchmarks.formulas import Costs, costs_at, counts_of, drawn, evaluated, fitted, written
from benchmarks.measured import IMAGES, load
from tests.support.shipped import NAMED
from tts_lang import library
from tts_lang.compiler import check_path

FORMULAS: dict[str, dict[str, str | None]] = json.loads(gallery.FORMULAS.read_text("utf-8"))
RUNS = load(gallery.MEASURED)
#: Values at which every formula is compared with EXPLAIN, other ones than it was made from.
TRIALS = 3
MOST_BYTES = 60_000


def test_pages_are_up_to_date() -> None:
    """Sources, drawings, formulas and tables; `python -m benchmarks.gallery` writes them."""
    for path, text in gallery.pages(FORMULAS, RUNS).items():
        assert path.read_text("utf-8") == text, f"{path.name}: run python -m benchmarks.gallery"


def test_every_shipped_strategy_outside_the_catalogue_is_shown_once() -> None:
    shown = [s.name for family in FAMILIES for s in gallery.everything(family)]
    shipped = [name for path, name in NAMED if path.parent.name != "catalogue"]
    assert sorted(shown) == sorted(shipped)


def test_every_strategy_is_measured_or_it_is_said_why_not() -> None:
    points = {point.strategy for family in FAMILIES for point in family.points}
    shown = {s.name for family in FAMILIES for s in gallery.everything(family)}
    assert shown - points == set(NOT_MEASURED)


def test_figures_are_there_and_small() -> None:
    for name in RUNS:
        figure = IMAGES / f"gallery-{name}.svg"
        assert 1_000 < figure.stat().st_size < MOST_BYTES


@pytest.mark.parametrize("name", FORMULAS)
def test_formulas_are_the_bounds_of_explain(name: str) -> None:
    strategies = {s.name: s for s in check_path(library.find(name)).strategies}
    counts = counts_of(strategies[name].parameters)
    generator = random.Random(f"another seed, {name}")
    for _ in range(TRIALS):
        values = drawn(counts, generator)
        for found, formula in zip(costs_at(name, values), FORMULAS[name].values(), strict=True):
            assert formula is not None
            assert evaluated(formula, values) == found, f"{formula} at {values}"


def test_a_cost_that_is_no_polynomial_gets_no_formula() -> None:
    def costs(values: dict[str, int]) -> Costs:
        return Costs(values["n"] ** 2, 2 ** values["k"], values["n"] * values["k"], 7)

    square, power, product, constant = fitted(
        ["n", "k"],
        costs,  # type: ignore[arg-type]
        random.Random(0),
    )
    assert square is None
    assert power is None
    assert product is not None
    assert written(product) == "k*n"
    assert constant is not None
    assert written(constant) == "7"
