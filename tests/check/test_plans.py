"""Whole plans: those of the design's strategies as text, and all strategies at hand verified."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.golden import FIXTURES, check_golden
from tts_lang import library
from tts_lang.compiler import check_path, compile_strategy, compile_with_warnings
from tts_lang.plan.text import to_text
from tts_lang.plan.verify import verify

LANGUAGE = FIXTURES / "check" / "language.tts"
SHIPPED = sorted(library.folder().rglob("*.tts"))
METHODS = sorted((FIXTURES / "strategies").glob("*.tts"))


def _names(path: Path) -> list[str]:
    return [strategy.name for strategy in check_path(path).strategies]


@pytest.mark.parametrize("name", _names(LANGUAGE))
def test_plan(name: str, update_golden: bool) -> None:
    plan = compile_strategy(LANGUAGE, name)
    check_golden(FIXTURES / "check" / "plans" / f"{name}.txt", to_text(plan), update_golden)


@pytest.mark.parametrize("path", [*SHIPPED, *METHODS], ids=lambda path: path.stem)
def test_strategies_compile_without_complaint(path: Path) -> None:
    result = check_path(path)
    assert [str(diagnostic.message) for diagnostic in result.diagnostics] == []
    for strategy in result.strategies:
        settings = {name: 4 for name, value in strategy.parameters.items() if value is None}
        compiled = compile_with_warnings(path, strategy.name, settings)
        assert compiled.warnings == ()
        verify(compiled.plan)


def test_every_operation_knows_its_line() -> None:
    plan = compile_strategy(LANGUAGE, "majority")
    places = [operation.origins[0] for operation in plan.body.operations]
    source = LANGUAGE.read_text("utf-8").splitlines()
    assert [source[place.line - 1].strip() for place in places] == [
        "pool = sample n",
        "return vote pool",
    ]
    assert {place.file for place in places} == {str(LANGUAGE)}
