"""Whatever is in the tables of operators and columns is everywhere: a test fails by its name.

How to add a verb or a column: docs/howto.
"""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.support.programs import random_program
from tests.support.random_plans import plans
from tts_lang.check import builtins
from tts_lang.compiler import compile_strategy
from tts_lang.explain.rules import RULES
from tts_lang.plan import graph, ops
from tts_lang.plan.columns import COLUMNS
from tts_lang.plan.graph import Plan, operations
from tts_lang.plan.operator import OPERATORS, Makes, OperatorEntry
from tts_lang.source import Source
from tts_lang.syntax.grammar import GRAMMAR_PATH
from tts_runtime.executor import expressions
from tts_runtime.executor.program import HANDLERS

ROOT = Path(__file__).resolve().parents[2]
NAMES = [spec.op for spec in graph.SPECS]
#: How the language writes operators that have no verb of their own name.
SURFACE = {
    "empty": "none",
    "compute": "E if C else F",
    "union": "P + Q",
    "difference": "P - Q",
    "call": "on P",
    "branch": "if",
}


def known(name: str) -> OperatorEntry:
    """The entry of an operator."""
    return next(each for each in OPERATORS.values() if each.name == name)


def test_the_union_of_operators_is_the_table() -> None:
    assert set(OPERATORS) == set(graph.SPECS)
    assert len(set(NAMES)) == len(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_operator_has_a_rule_of_rows_unless_its_regions_decide(name: str) -> None:
    decided = known(name).regions or known(name).output != (graph.Kind.POOL,)
    assert (known(name).rows is None) == bool(decided)


@pytest.mark.parametrize("name", NAMES)
def test_operator_can_be_named_from_graph(name: str) -> None:
    assert getattr(graph, known(name).spec.__name__) is known(name).spec


@pytest.mark.parametrize("name", list(ops.POOL_VERBS))
def test_verb_on_a_pool_has_a_rule_of_the_grammar(name: str) -> None:
    assert re.search(rf"\| {name.upper()} expr.* -> {name}\n", GRAMMAR_PATH.read_text("utf-8"))


@pytest.mark.parametrize("name", NAMES)
def test_executor_handles_operator(name: str) -> None:
    assert known(name).spec in HANDLERS


@pytest.mark.parametrize("name", NAMES)
def test_explain_knows_what_operator_costs(name: str) -> None:
    """Choosing and copying rows is free; anything else has a rule."""
    free = known(name).makes.same_nodes or known(name).makes is Makes.NOTHING
    assert free or known(name).rows is None or known(name).spec in RULES


@pytest.mark.parametrize("name", NAMES)
def test_reference_interprets_operator(name: str) -> None:
    assert known(name).spec.__name__ in _interpreted()


def _matched(tree: ast.AST) -> set[str]:
    """Operators that a `case` names."""
    classes = (each.cls for each in ast.walk(tree) if isinstance(each, ast.MatchClass))
    return {each.attr for each in classes if isinstance(each, ast.Attribute)}


def _tested(tree: ast.AST) -> set[str]:
    """Operators that `isinstance` names."""
    calls = (each for each in ast.walk(tree) if isinstance(each, ast.Call))
    tested = (each.args[1] for each in calls if ast.unparse(each.func) == "isinstance")
    return {
        each.attr for call in tested for each in ast.walk(call) if isinstance(each, ast.Attribute)
    }


@cache
def _interpreted() -> frozenset[str]:
    """Operators that the reference interpreter names."""
    tree = ast.parse((ROOT / "tests/support/reference/interpreter.py").read_text("utf-8"))
    return frozenset(_matched(tree) | _tested(tree))


@cache
def _generated() -> frozenset[str]:
    """Operators of generated programs, which compile: so grammar and checker know them too."""
    found: set[str] = set()
    for number in range(400):
        plan = compile_strategy(Source.of(random_program(number)), "main")
        found |= {each.spec.op for each in operations(plan.body)}
        if len(found) == len(NAMES):
            break
    return frozenset(found)


@pytest.mark.parametrize("name", NAMES)
def test_generator_of_programs_writes_operator(name: str) -> None:
    assert name in _generated()


@cache
def _planned() -> frozenset[str]:
    """Operators of random plans, of as many as it takes: what is imported changes them."""
    found: set[str] = set()

    @settings(
        max_examples=80,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(plans())
    def collect(plan: Plan) -> None:
        found.update(each.spec.op for each in operations(plan.body))

    for number in range(10):
        seed(number)(collect)()
        if len(found) == len(NAMES):
            break
    return frozenset(found)


@pytest.mark.parametrize("name", NAMES)
def test_random_plans_hold_operator(name: str) -> None:
    assert name in _planned()


@pytest.mark.parametrize("name", NAMES)
def test_language_page_shows_operator(name: str) -> None:
    page = (ROOT / "docs/language.md").read_text("utf-8")
    assert re.search(rf"(?<![\w.]){re.escape(SURFACE.get(name, name))}(?!\w)", page)


def test_a_match_over_most_operators_is_exhaustive() -> None:
    """It ends in `assert_never`, so that mypy names it where a new operator is missing."""
    classes = {each.__name__ for each in graph.SPECS}
    for folder in ("tts_lang", "runtime/tts_runtime/executor", "tests/support/reference"):
        for path in (ROOT / folder).rglob("*.py"):
            text = path.read_text("utf-8")
            if text.count("case graph.") + text.count("case ops.") <= len(classes) / 2:
                continue
            for match in (
                each for each in ast.walk(ast.parse(text)) if isinstance(each, ast.Match)
            ):
                if len(_matched(match) & classes) > len(classes) / 2:
                    assert "assert_never" in ast.unparse(match.cases[-1]), path


# ------------------------------------------------------------------------------ columns


@pytest.mark.parametrize("name", list(COLUMNS))
def test_checker_knows_column(name: str) -> None:
    assert name in builtins.COLUMNS


@pytest.mark.parametrize("name", list(COLUMNS))
def test_executor_reads_column(name: str) -> None:
    assert name in expressions.COLUMNS


@pytest.mark.parametrize("name", list(COLUMNS))
def test_reference_reads_column(name: str) -> None:
    sources = (ROOT / "tests/support/reference").glob("*.py")
    assert any(f'"{name}"' in path.read_text("utf-8") for path in sources)


@cache
def _read() -> frozenset[str]:
    """Names in generated programs."""
    return frozenset(
        name for number in range(1000) for name in re.findall(r"\w+", random_program(number))
    )


@pytest.mark.parametrize("name", list(COLUMNS))
def test_generator_of_programs_reads_column(name: str) -> None:
    assert name in _read()


@pytest.mark.parametrize("name", list(COLUMNS))
def test_language_page_describes_column(name: str) -> None:
    page = (ROOT / "docs/language.md").read_text("utf-8")
    rows = [line for line in page.splitlines() if line.startswith("|")]
    assert any(f"`{name}`" in line.split("|")[1] for line in rows)


def test_there_are_no_other_columns() -> None:
    assert set(expressions.COLUMNS) == set(builtins.COLUMNS) == set(COLUMNS)
