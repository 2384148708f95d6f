"""The text form of plans, and expressions in the language's notation."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings

from tests.support.golden import FIXTURES, check_golden
from tests.support.plans import Builder, beam_search, rebase
from tests.support.random_plans import plans
from tts_lang.plan import graph
from tts_lang.plan.expr import (
    Aggregate,
    Apply,
    Column,
    Const,
    Delimiter,
    Expr,
    Input,
    PoolWide,
    Random,
    Reduce,
    Statistic,
)
from tts_lang.plan.graph import Plan
from tts_lang.plan.text import expression, to_text

A, B, C = Column("a"), Column("b"), Column("c")


def apply(function: str, *arguments: Expr) -> Apply:
    return Apply(function, arguments)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Const(0.8), "0.8"),
        (Const('\n"x"'), '"\\n\\"x\\""'),
        (Const(None), "missing"),
        (Const(True), "true"),
        (Input(1), "%7"),
        (Delimiter("end_of_thought", "policy"), "end_of_thought"),
        (Delimiter("end_of_step", "small"), "end_of_step of small"),
        (Reduce("last", "prm"), "last(prm)"),
        (apply("*", apply("+", A, B), C), "(a + b) * c"),
        (apply("+", apply("*", A, B), C), "a * b + c"),
        (apply("-", A, apply("-", B, C)), "a - (b - c)"),
        (apply("-", apply("-", A, B), C), "a - b - c"),
        (apply("**", A, apply("**", B, C)), "a ** b ** c"),
        (apply("**", apply("**", A, B), C), "(a ** b) ** c"),
        (apply("neg", apply("**", A, B)), "-a ** b"),
        (apply("**", apply("neg", A), B), "(-a) ** b"),
        (apply("**", Const(-2), B), "(-2) ** b"),
        (apply("neg", Const(-2)), "-(-2)"),
        (apply("not", apply("or", A, B)), "not (a or b)"),
        (apply("and", apply("or", A, B), C), "(a or b) and c"),
        (apply("==", apply("<", A, B), C), "(a < b) == c"),
        (apply("if", A, B, apply("if", C, A, B)), "b if a else a if c else b"),
        (apply("+", apply("if", A, B, C), A), "(b if a else c) + a"),
        (apply("ends with", Column("text"), Const("x")), 'text ends with "x"'),
        (apply("least", A, B), "min(a, b)"),
        (apply("clip", A, Const(0), Const(1)), "clip(a, 0, 1)"),
        (Aggregate("count", 1), "count(%7)"),
        (Aggregate("all done", 0), "all %1 done"),
        (apply("not", Aggregate("any done", 0)), "not any %1 done"),
        (Aggregate("mean", 0, A, per="root"), "mean(a of %1 per root)"),
        (Aggregate("max", 1, A, below=True), "max(a of %7 below)"),
        (Aggregate("quantile", 0, A, quantile=Const(0.5)), "quantile(a of %1, 0.5)"),
        (Aggregate("share", 0, on="kind", weight=B), "share(%1 on kind weighted by b)"),
        (PoolWide("softmax", A, Const(0.2), "root"), "softmax(a per root, 0.2)"),
        (
            Statistic("confidence", "lowest", Const(64), Const(0.1)),
            "confidence(lowest 64 share 0.1)",
        ),
        (Random("beta", (A, B)), "beta(a, b)"),
    ],
)
def test_expressions_read_as_in_the_language(value: Expr, text: str) -> None:
    assert expression(value, ["%1", "%7"]) == text


def test_sum_of_many_terms_is_printed_without_recursion() -> None:
    total: Expr = A
    for _ in range(20_000):
        total = Apply("+", (total, B))
    assert expression(total, []).count("+") == 20_000


@pytest.mark.parametrize("plan", [beam_search(), rebase()], ids=lambda plan: plan.strategy)
def test_text_of_a_plan(plan: Plan, update_golden: bool) -> None:
    check_golden(FIXTURES / "plan" / f"{plan.strategy}.txt", to_text(plan), update_golden)


def renumbered(plan: Plan) -> Plan:
    """The same plan with its values numbered backwards."""
    last = len(plan.values) - 1

    def flip(values: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(last - value for value in values)

    def region(old: graph.Region) -> graph.Region:
        inside = tuple(
            replace(
                step,
                inputs=flip(step.inputs),
                outputs=flip(step.outputs),
                regions=tuple(map(region, step.regions)),
            )
            for step in old.operations
        )
        return graph.Region(flip(old.parameters), inside, flip(old.results), old.exit)

    return replace(plan, body=region(plan.body), values=tuple(reversed(plan.values)))


@settings(max_examples=40, deadline=None, derandomize=True)
@given(plans())
def test_text_does_not_depend_on_value_numbers(plan: Plan) -> None:
    assert to_text(renumbered(plan)) == to_text(plan)


def test_every_decoding_clause_is_shown() -> None:
    build = Builder()
    decoding = graph.Decoding(
        policy="small",
        temperature=Const(0),
        top_p=Const(1),
        top_k=Const(2),
        min_p=Const(3),
        max_tokens=Const(7),
        within=Const(8),
        at_least=Const(9),
        stop_at=Const("x"),
        stop_when=apply("<", Statistic("confidence", "tail", Const(5)), Const(1)),
        end_when=apply(">", Column("tokens"), Const(9)),
        likeliest=True,
        one_of=("a", "b"),
        avoiding=("Wait",),
        avoided_by=Const(4),
    )
    amount = graph.Amount(Const(2), graph.Unit.STEPS, Const(3))
    spec = graph.Expand(amount, decoding, True, Column("tokens"), True, "root")
    text = to_text(build.plan(build.pool(spec, build.problem)))
    assert (
        "%1 = expand %0 to 2 x 3 steps weighted by tokens rounding up per root at temperature 0 "
        "top_p 1 top_k 2 min_p 3 at least 9 tokens max 7 tokens within 8 tokens stop at "
        '"x" stop when confidence(tail 5) < 1 end when tokens > 9 '
        'one of "a", "b" avoiding "Wait" by 4 likeliest from small\n'
    ) in text
