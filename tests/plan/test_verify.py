"""The verifier accepts legal plans and names what is wrong with the others."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings

from tests.support.plans import LAST, PRM, Builder, beam_search, rebase, solutions, steps
from tests.support.random_plans import plans
from tts_lang.plan import graph
from tts_lang.plan.expr import Aggregate, Apply, Column, Const, Expr, Input, Reduce
from tts_lang.plan.graph import Decoding, Exit, Kind, Operation, Plan, Region
from tts_lang.plan.operator import OPERATORS
from tts_lang.plan.verify import PlanError, verify


def refused(plan: Plan, message: str) -> None:
    with pytest.raises(PlanError) as raised:
        verify(plan)
    assert message in str(raised.value)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(plans())
def test_legal_plans_pass(plan: Plan) -> None:
    verify(plan)


def test_every_operator_has_an_entry() -> None:
    assert set(OPERATORS) == set(graph.SPECS)


def test_failure_names_operation_path_and_place_in_the_file() -> None:
    build = Builder()
    pool = build.pool(graph.Expand(solutions(4), Decoding()), build.problem)
    refused(
        build.plan(build.pool(graph.Select(LAST, Const(1)), pool)),
        "body.operations[1] (select, hand.tts:2:1): value 1 has no column `prm`",
    )


def test_value_is_defined_before_its_use() -> None:
    build = Builder()
    later = build.value(Kind.POOL)
    build.pool(graph.Leaves(), later)
    refused(build.plan(build.problem), "value 1 is not defined before its use")


def test_value_is_defined_once() -> None:
    build = Builder()
    pool = build.pool(graph.Leaves(), build.problem)
    build.add(graph.Leaves(), build.problem, outputs=(pool,))
    refused(build.plan(pool), "value 1 is defined a second time")


def test_value_of_a_region_ends_with_it() -> None:
    build = Builder()
    flag = build.flag(Const(True))
    inner: list[int] = []

    def side() -> tuple[int, ...]:
        inner.append(build.pool(graph.Empty()))
        return ()

    sides = (build.region(side), build.region(lambda: ()))
    build.add(graph.Branch(), flag, outputs=(), regions=sides)
    refused(build.plan(inner[0]), "value 2 is out of scope here")


def test_kinds_of_inputs() -> None:
    build = Builder()
    flag = build.flag(Const(True))
    refused(
        build.plan(build.pool(graph.Leaves(), flag)),
        "expected inputs that start with pool; found flag",
    )


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        (Input(3), "input 3 does not exist"),
        (Input(0), "input 0 is a pool where one value is read"),
        (Apply("+", (Const(1),)), "`+` of 1 arguments is unknown"),
        (Apply("plus", (Const(1), Const(1))), "`plus` of 2 arguments is unknown"),
        (Column("prm"), "column `prm` of value 1 has a number per step"),
        (Reduce("last", "momentum"), "column `momentum` of value 1 has no number per step"),
        (Reduce("median", "prm"), "`median` is none of last, min"),
        (Column("orm"), "value 1 has no column `orm`"),
        (Aggregate("count", 7), "count reads input 7, which is not a pool"),
        (Aggregate("mean", 0, Column("orm")), "value 1 has no column `orm`"),
        (Aggregate("share", 0, on="orm"), "value 1 has no column `orm`"),
        (Aggregate("first", 0), "first takes a number of each row"),
        (Aggregate("count", 0, Column("tokens")), "count takes no number of each row"),
        (Aggregate("quantile", 0, Column("tokens")), "quantile has a `quantile` exactly if"),
        (Aggregate("mean", 0, Column("tokens"), quantile=Const(0.5)), "mean has a `quantile`"),
    ],
)
def test_expressions(expression: Expr, message: str) -> None:
    build = Builder()
    columns = {**PRM, "momentum": "number"}
    pool = build.pool(graph.Score("prm"), build.problem, columns=columns)
    refused(build.plan(build.pool(graph.Where(expression), pool)), message)


def test_aggregate_reads_the_columns_of_its_own_pool() -> None:
    build = Builder()
    scored = build.pool(graph.Score("prm"), build.problem, columns=PRM)
    spec = graph.Where(Apply(">", (Column("tokens"), Aggregate("mean", 1, LAST))))
    verify(build.plan(build.pool(spec, build.problem, scored)))


def test_pool_none_has_every_column() -> None:
    build = Builder()
    none = build.pool(graph.Empty())
    build.values[none] = replace(build.values[none], columns=None)
    verify(build.plan(build.pool(graph.Select(LAST, Const(1)), none)))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (graph.Score("grm"), "scorer `grm` is not declared"),
        (graph.Expand(steps(1), Decoding(policy="big")), "policy `big` is not declared"),
        (graph.Ask("fix", steps(1), Decoding()), "prompt `fix` is not declared"),
        (graph.Ask("revise", steps(1), Decoding(), (("a", 4),)), "argument `a` is input 4"),
        (graph.Select(Const(1)), "expected a count or a share"),
        (graph.Vote(per="topic"), "has no column `topic`"),
    ],
)
def test_names_are_declared(spec: graph.Spec, message: str) -> None:
    build = Builder()
    refused(build.plan(build.pool(spec, build.problem)), message)


def with_loop(change: dict[str, Region], plan: Plan) -> Plan:
    """The plan with regions of its loop replaced."""

    def changed(operation: Operation) -> Operation:
        if not isinstance(operation.spec, graph.Repeat):
            return operation
        until, body = operation.regions
        return replace(operation, regions=(change.get("until", until), change.get("body", body)))

    done = tuple(changed(operation) for operation in plan.body.operations)
    return replace(plan, body=replace(plan.body, operations=done))


def test_loop_carries_what_it_is_given() -> None:
    plan = rebase(n=2, depth=2)
    loop = next(o for o in plan.body.operations if isinstance(o.spec, graph.Repeat))
    until, body = loop.regions
    fewer = replace(body, results=body.results[:1])
    refused(with_loop({"body": fewer}, plan), "its body gives other values than it carries")
    no_flag = replace(until, results=())
    refused(with_loop({"until": no_flag}, plan), "its until region gives one flag")
    parameters = replace(body, parameters=body.parameters[:1])
    refused(
        with_loop({"body": parameters}, plan),
        "the parameters of its body region differ from its inputs",
    )
    ends = replace(until, exit=Exit.RETURN)
    refused(with_loop({"until": ends}, plan), "ends by return, expected yield")


def test_strategy_returns() -> None:
    plan = beam_search()
    refused(
        replace(plan, body=replace(plan.body, exit=Exit.YIELD)),
        "body: the region ends by yield, expected never or return",
    )
    refused(
        replace(plan, body=replace(plan.body, exit=Exit.NEVER, results=())),
        "says that its end is not reached, but nothing returns",
    )
    refused(
        replace(plan, body=replace(plan.body, results=())),
        "a returning region has one result, a pool",
    )
