"""EXPLAIN as text (golden files), as JSON and as drawings."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys

import pytest
from hypothesis import given, settings

import tts_lang
from tests.support.golden import FIXTURES, check_golden
from tests.support.plans import Builder, beam_search, rebase, solutions
from tests.support.random_plans import plans
from tts_lang import library
from tts_lang.compiler import compile_strategy
from tts_lang.explain.assumptions import DEFAULT_CONTEXT, Assumed, Lengths
from tts_lang.explain.formats import explained
from tts_lang.explain.json_form import to_values
from tts_lang.explain.models import Model, Models
from tts_lang.explain.render import to_text
from tts_lang.explain.tree import explain
from tts_lang.explain.units import exact, short
from tts_lang.optimise.command import explain_optimised
from tts_lang.optimise.pipeline import optimise
from tts_lang.plan import graph
from tts_lang.plan.expr import Aggregate, Apply, Column, Const
from tts_lang.plan.graph import Decoding, Plan
from tts_runtime.binding import load_binding
from tts_runtime.paths import bundled

SHOWN = ("beam_search", "best_of_n", "budget_forcing", "compute_optimal", "dvts", "mcts", "rebase")


def text_of(plan: Plan, width: int = 100, context: int | None = 1024) -> str:
    return to_text(explain(plan, Assumed(context)), width)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "inf"),
        (0.25, "0.25"),
        (2.99, "2.99"),
        (2.996, "3"),
        (999.4, "999"),
        (999.96, "1000"),
        (1234.5, "1234"),
        (9999, "9999"),
        (10_000, "10.0k"),
        (16_384, "16.4k"),
        (99_940, "99.9k"),
        (99_950, "100k"),
        (999_499, "999k"),
        (999_500, "1.00M"),
        (9_994_000, "9.99M"),
        (9_995_000, "10.0M"),
        (999e24, "999Y"),
        (1.26e27, "1e27"),
        (sys.float_info.max, "2e308"),
        (10**400, ">1e308"),
    ],
)
def test_a_short_number_is_never_an_exponent_where_it_fits(value: float | None, shown: str) -> None:
    assert short(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "unbounded"),
        (2.04, "2"),
        (2.06, "2.1"),
        (16_384, "16,384"),
        (2**53 + 1, "9,007,199,254,740,993"),
        (10**18 - 1, "999,999,999,999,999,999"),
        (10**18, "1e18"),
        (1.26e27, "1.3e27"),
        (10**400, ">1e308"),
    ],
)
def test_an_exact_number_has_all_its_digits_where_it_fits(value: float | None, shown: str) -> None:
    assert exact(value) == shown


@pytest.mark.parametrize("name", SHOWN)
def test_explain_of_shipped_strategies(name: str, update_golden: bool) -> None:
    plan = compile_strategy(library.find(name))
    check_golden(FIXTURES / "explain" / f"{name}.txt", text_of(plan), update_golden)


@pytest.mark.parametrize("form", ["dot", "mermaid", "json"])
def test_other_forms(form: str, update_golden: bool) -> None:
    plan = rebase(n=8, depth=5)
    check_golden(
        FIXTURES / "explain" / f"rebase.{form}", explained(plan, form, 1024), update_golden
    )


@pytest.mark.parametrize("width", [60, 80, 100, 140])
@pytest.mark.parametrize("plan", [beam_search(), rebase()], ids=lambda plan: plan.strategy)
def test_lines_fit_the_width_and_columns_line_up(plan: Plan, width: int) -> None:
    lines = text_of(plan, width).split("\n")
    header = next(line for line in lines if line.startswith("rows"))
    assert max(map(len, lines)) <= max(width, len(header))
    tree = header.index("at most")
    rows = [line for line in lines if line[tree : tree + 1] in ("├", "└", "│")]
    assert len(rows) > 8
    for line in rows:
        assert re.fullmatch(r" *(≤?[0-9.]+k?)?  ", line[:tree]), line
    # Every number below a heading ends where the heading does.
    ends = {found.end() for found in re.finditer(r"\S+", header[tree + len("at most") :])}
    ends = {tree + len("at most") + end for end in ends}
    for line in rows:
        costs = re.search(r"(  +[0-9.]+[kMG]?)+$", line)
        if costs is not None and line[tree:].lstrip("│ ")[:1] in ("├", "└"):
            found = re.finditer(r"[0-9.]+[kMG]?", costs.group())
            assert {costs.start() + number.end() for number in found} <= ends, line


def test_colour_only_decorates() -> None:
    plan = beam_search()
    tree = explain(plan)
    colored = to_text(tree, color=True)
    assert "\033[" in colored
    assert re.sub(r"\033\[\d+m", "", colored) == to_text(tree)


def test_what_is_assumed_is_said_only_where_it_matters() -> None:
    build = Builder()
    limited = graph.Expand(solutions(4), Decoding(max_tokens=Const(100)))
    free = graph.Expand(solutions(2), Decoding())
    pool = build.pool(limited, build.problem)
    assert "the only limit" not in text_of(build.plan(pool))
    both = build.pool(graph.Union(), pool, build.pool(free, build.problem))
    text = text_of(build.plan(both))
    assert "2,448  = 2 calls x context + 400" in text
    assert "context window of 1,024 tokens, the only limit of 2 calls" in text
    unbounded = text_of(build.plan(both), context=None)
    assert re.search(r"sampled tokens +unbounded  2 calls x context among them", unbounded)


def test_a_count_without_a_bound_is_said() -> None:
    text = """strategy wide(n = 4):
    pool = sample n
    score pool by prm
    return vote (sample 1 / mean(last(prm) of pool))
"""
    plan = tts_lang.compile(tts_lang.Source.of(text))
    for form in ("text", "html", "json", "dot", "mermaid"):
        assert tts_lang.explain_plan(plan, form)
    assert "policy calls          unbounded" in tts_lang.explain_plan(plan)


def test_assumed_context_is_that_of_the_bundled_policy() -> None:
    binding = load_binding(bundled("policy") / "binding.yaml")
    assert binding.context == DEFAULT_CONTEXT


def test_json_adds_up() -> None:
    plan = beam_search()
    values = json.loads(json.dumps(to_values(explain(plan))))
    total = {"policy_calls": 0}

    def add(lines: list[dict[str, object]]) -> None:
        for line in lines:
            spent, inside = line["spent"], line["inside"]
            if isinstance(spent, dict):
                total["policy_calls"] += spent["policy_calls"]
            assert isinstance(inside, list)
            add(inside)

    add(values["operations"])
    assert total["policy_calls"] == values["total"]["policy_calls"] == 656
    assert values["result_rows"] == {"low": 1, "high": 1}


@settings(max_examples=40, deadline=None, derandomize=True)
@given(plans())
def test_every_plan_can_be_shown_in_every_form(plan: Plan) -> None:
    text = text_of(plan)
    for operation in graph.operations(plan.body):
        if isinstance(operation.spec, graph.Score):
            assert f"by {operation.spec.scorer}" in text
    json.dumps(to_values(explain(plan)), allow_nan=False)
    dot, mermaid = explained(plan, "dot"), explained(plan, "mermaid")
    # Edges lead from node to node, and every cluster is closed.
    for drawing, arrow in ((dot, "->"), (mermaid, "-->")):
        nodes = set(re.findall(r"^\s*(n\d+)[ (\[]", drawing, re.MULTILINE))
        ends = re.findall(rf"^\s*(n\d+) {arrow}(?:\|\"[^\"]*\"\|)? (n\d+)", drawing, re.MULTILINE)
        assert {name for pair in ends for name in pair} <= nodes
    assert mermaid.count("subgraph") == len(re.findall(r"^\s*end$", mermaid, re.MULTILINE))


HOSTILE = 'a"b\\c\n<b>|}]"; n0 --> n1 %% #quot; end'


def hostile() -> Plan:
    build = Builder()
    forced = build.pool(graph.Force(Const(HOSTILE)), build.problem, name="pool")
    kept = build.pool(graph.Where(Apply("contains", (Column("text"), Const(HOSTILE)))), forced)
    (looped,) = build.repeat(2, (kept,), lambda: Aggregate("all done", 0), lambda rows: (rows,))
    return build.plan(looped)


def test_mermaid_labels_hold_no_markup() -> None:
    for label in re.findall(r'"([^"]*)"', explained(hostile(), "mermaid")):
        assert not re.search(r"[<>|{}\[\]`\\;%](?!br)", re.sub(r"#\d+;|<br/>", "", label)), label


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed")
@pytest.mark.parametrize(
    "plan", [beam_search(), rebase(), hostile()], ids=["beam", "rebase", "bad"]
)
def test_graphviz_reads_the_drawing(plan: Plan) -> None:
    done = subprocess.run(
        ["dot", "-Tplain"], input=explained(plan, "dot"), capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    operations = sum(1 for _ in graph.operations(plan.body))
    assert done.stdout.count("\nnode ") >= operations


@pytest.mark.parametrize("name", ["beam_search", "compute_optimal_quantiles", "greedy_thinking"])
def test_no_line_is_wider_than_the_terminal(name: str) -> None:
    plan = compile_strategy(library.find(name))
    models = Models({"prm": Model(7e9)}, policy=Model(7e9))
    optimised = optimise(plan)
    for assumed in (Assumed(), Assumed(lengths=Lengths(60, 9, 100), models=models)):
        for width in (60, 80, 200):
            text = explain_optimised(optimised, "text", assumed, width=width)
            assert max(map(len, text.splitlines())) <= width
            # Calls and tokens are always there; the rest where there is room, and in the totals.
            assert re.search(r"^ *rows .* calls +sampled", text, re.MULTILINE)
            assert "cached tokens" in text
