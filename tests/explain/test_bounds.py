"""Bounds of plans, against numbers worked out by hand."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings

from tests.support.plans import (
    LAST,
    PRM,
    Builder,
    beam_search,
    rebase,
    solutions,
    steps,
)
from tests.support.random_plans import plans
from tts_lang.explain.assumptions import DEFAULT_CONTEXT
from tts_lang.explain.costs import PlanBounds, RowRange, bounds
from tts_lang.plan import graph
from tts_lang.plan.expr import Aggregate, Apply, Column, Const, Expr, Random
from tts_lang.plan.graph import Amount, Decoding, Exit, Judge, Plan, Scorer, Unit
from tts_lang.plan.template import Template

COUNT = Aggregate("count", 0)
UNLIMITED = Decoding()


def sampled(n: int, decoding: Decoding = UNLIMITED) -> tuple[Builder, int]:
    build = Builder()
    return build, build.pool(graph.Expand(solutions(n), decoding), build.problem)


def after(build: Builder, pool: int) -> PlanBounds:
    return bounds(build.plan(pool))


def test_best_of_n() -> None:
    build, pool = sampled(16)
    scored = build.pool(graph.Score("prm"), pool, columns=PRM)
    best = build.pool(graph.Select(LAST, Const(1)), scored)
    found = after(build, best)
    assert found.rows[pool] == found.rows[scored] == RowRange(16, 16)
    assert found.result == RowRange(1, 1)
    assert (found.policy_calls, found.scorer_calls, found.rounds) == (16, 16, 2)
    assert found.total.open_calls == 16
    assert found.sampled_tokens == found.scorer_tokens == 16 * DEFAULT_CONTEXT


def test_beam_search() -> None:
    """16 + 39 rounds of 16 children + 16 endings; every pool has at most 16 rows (C39)."""
    found = bounds(beam_search(16, 4, 40))
    assert found.policy_calls == 16 + 39 * 16 + 16
    assert found.scorer_calls == 16 + 39 * 16 + 16
    assert found.rounds == 2 + 39 * 2 + 2
    assert max(rows.high or 0 for rows in found.rows.values()) == 16


def test_c59_guard_bounds_what_grows() -> None:
    """REBASE: by intervals `finished` would grow to 41 n; the guard keeps it below 2 n."""
    found = bounds(rebase(16, 40))
    named = {found_rows.high for value, found_rows in found.rows.items()}
    assert max(high or 0 for high in named) == 15 + 16 + 16  # finished + live, at the end
    assert found.policy_calls == 16 + 40 * 16


@pytest.mark.parametrize(
    ("guard", "most"),
    [
        (Apply(">=", (COUNT, Const(8))), 7),
        (Apply(">", (COUNT, Const(8))), 8),
        (Apply("<=", (Const(8), COUNT)), 7),
        (Apply("not", (Apply("<", (COUNT, Const(8))),)), 7),
        (Apply(">=", (Apply("+", (COUNT, Const(2))), Const(8))), 5),
        (Apply("<=", (Apply("-", (Const(8), COUNT)), Const(0))), 7),
        (Apply(">=", (Apply("-", (COUNT, Const(2))), Const(8))), 9),
        (Apply(">=", (Apply("+", (Const(2), COUNT)), Const(8))), 5),
        (Apply("<=", (Apply("neg", (COUNT,)), Const(-8))), 7),
        (Apply(">=", (Apply("greatest", (COUNT, Const(3))), Const(8))), 7),
        (Apply(">=", (Apply("least", (COUNT, Const(30))), Const(8))), 20),
        (Apply("or", (Column("done"), Apply(">=", (COUNT, Const(8))))), 7),
        (Apply("==", (COUNT, Const(8))), 20),
    ],
)
def test_what_a_guard_tells_about_the_rows_inside(guard: Expr, most: int) -> None:
    assert inside_of(guard, *sampled(1)).high == most


@pytest.mark.parametrize(
    "guard",
    [
        Apply("<=", (Apply("-", (COUNT, Const(2))), Const(0))),
        Apply("<=", (Apply("least", (COUNT, Const(30))), Const(2))),
    ],
)
def test_what_a_guard_tells_about_the_fewest_rows_inside(guard: Expr) -> None:
    build, pool = sampled(5)
    some = build.pool(graph.Where(Column("done")), pool)
    assert inside_of(guard, build, some).low == 3


def inside_of(guard: Expr, build: Builder, pool: int) -> RowRange:
    """The rows of a pool inside of a loop that adds one to it until the guard holds."""
    inside: list[int] = []

    def grow(rows: int) -> tuple[int, ...]:
        inside.append(rows)
        more = build.pool(graph.Expand(solutions(1), Decoding()), build.problem)
        return (build.pool(graph.Union(), rows, more),)

    (grown,) = build.repeat(20, (pool,), lambda: guard, grow)
    return after(build, grown).rows[inside[0]]


def test_branch_is_the_maximum_and_the_side_not_taken_costs_nothing() -> None:
    build, pool = sampled(8)
    flag = build.flag(Apply(">", (Aggregate("share", 0), Const(0.5))), pool)

    def side(n: int) -> graph.Region:
        spec = graph.Expand(solutions(n), Decoding())
        return build.region(lambda: (build.pool(spec, build.problem),))

    out = build.value(graph.Kind.POOL)
    build.add(graph.Branch(), flag, outputs=(out,), regions=(side(2), side(32)))
    found = after(build, out)
    assert found.policy_calls == 8 + 32
    assert found.rows[out] == RowRange(2, 32)


def test_side_that_returns_does_not_pay_for_what_follows() -> None:
    build, probe = sampled(8)
    flag = build.flag(Apply(">", (Aggregate("share", 0), Const(0.5))), probe)
    leaves = build.region(
        lambda: (build.pool(graph.Expand(solutions(100), Decoding()), build.problem),),
        exit=Exit.RETURN,
    )
    build.add(graph.Branch(), flag, outputs=(), regions=(leaves, build.region(lambda: ())))
    rest = build.pool(graph.Expand(solutions(64), Decoding()), build.problem)
    found = after(build, rest)
    assert found.policy_calls == 8 + 100
    assert found.result == RowRange(64, 100)


def test_condition_that_is_certain_leaves_one_side() -> None:
    build, pool = sampled(8)
    flag = build.flag(Apply(">=", (COUNT, Const(8))), pool)
    many = build.region(
        lambda: (build.pool(graph.Expand(solutions(99), Decoding()), build.problem),),
        exit=Exit.RETURN,
    )
    same = build.region(lambda: (pool,), exit=Exit.RETURN)
    build.add(graph.Branch(), flag, outputs=(), regions=(same, many))
    assert bounds(build.plan(pool, exit=Exit.NEVER)).policy_calls == 8


def test_call_on_rows_costs_its_region_for_each_row() -> None:
    build, pool = sampled(4)
    problem = build.value(graph.Kind.POOL, "problem")

    def body(given: int) -> tuple[int, ...]:
        tries = build.pool(graph.Expand(solutions(3), Decoding()), given)
        return (build.pool(graph.First(Const(1)), tries),)

    region = build.region(body, problem, exit=Exit.RETURN)
    out = build.value(graph.Kind.POOL)
    build.add(graph.Call("inner", on_rows=True), pool, outputs=(out,), regions=(region,))
    found = after(build, out)
    assert found.policy_calls == 4 + 4 * 3
    assert found.rows[out].high == 4
    assert found.rounds == 2  # the rows run side by side
    inner = next(o for o in found.operations if o.operation.spec.op == "first")
    assert inner.rows == RowRange(1, 1)  # of one run


@pytest.mark.parametrize(
    ("amount", "decoding", "tokens", "is_open"),
    [
        (solutions(2), Decoding(max_tokens=Const(100)), 200, False),
        (solutions(2), Decoding(within=Const(300), max_tokens=Const(100)), 200, False),
        (solutions(2), Decoding(within=Const(30)), 60, False),
        (solutions(2), Decoding(max_tokens=Const(10**6)), 2 * DEFAULT_CONTEXT, True),
        (Amount(Const(8), Unit.TOKENS, Const(256)), UNLIMITED, 8 * 256, False),
        (steps(2, 3), UNLIMITED, 2 * DEFAULT_CONTEXT, True),
        (solutions(2), Decoding(one_of=("yes", "n\xe9")), 2 * (3 + 1), False),
        (solutions(2), Decoding(matching="-?[0-9]{1,3}"), 2 * (4 + 1), False),
        (solutions(2), Decoding(matching="[0-9]+"), 2 * DEFAULT_CONTEXT, True),
        (
            solutions(2),
            Decoding(avoiding=("Wait",), avoided_by=Const(5)),
            2 * DEFAULT_CONTEXT,
            True,
        ),
    ],
)
def test_c59_tokens_are_bounded_by_the_clauses_or_by_the_context(
    amount: Amount, decoding: Decoding, tokens: int, is_open: bool
) -> None:
    build = Builder()
    pool = build.pool(graph.Expand(amount, decoding), build.problem)
    found = after(build, pool)
    assert found.sampled_tokens == tokens
    assert found.total.open_calls == (found.policy_calls if is_open else 0)


def test_without_a_context_window_open_calls_are_unbounded() -> None:
    build, pool = sampled(4)
    assert bounds(build.plan(pool), context=None).sampled_tokens is None
    build, pool = sampled(4, Decoding(max_tokens=Const(50)))
    assert bounds(build.plan(pool), context=None).sampled_tokens == 200


def scored_steps(scorer: str) -> PlanBounds:
    """Three steps of at most 10 tokens, scored after each."""
    build = Builder()
    amount = Amount(Const(1), Unit.STEPS)
    limited = graph.Expand(amount, Decoding(within=Const(10)))
    pool = build.problem
    for _ in range(3):
        pool = build.pool(graph.Score(scorer), build.pool(limited, pool))
    return after(build, pool)


def test_c32_process_scorer_reads_each_token_once_and_others_everything() -> None:
    assert scored_steps("prm").scorer_tokens == 10 + 10 + 10
    assert scored_steps("orm").scorer_tokens == 10 + 20 + 30


def test_c32_open_pieces_and_forced_rows_are_read_again() -> None:
    build = Builder()
    opening = graph.Expand(Amount(Const(1), Unit.STEPS), Decoding(max_tokens=Const(10)))
    pool = build.pool(graph.Score("prm"), build.pool(opening, build.problem))
    again = build.pool(graph.Score("prm"), build.pool(opening, pool))
    assert after(build, again).scorer_tokens == 10 + 20
    build, pool = sampled(1, Decoding(within=Const(10)))
    scored = build.pool(graph.Score("prm"), pool)
    forced = build.pool(graph.Force(Const("Wait")), scored)
    assert after(build, build.pool(graph.Score("prm"), forced)).scorer_tokens == 10 + 10 + 4


def test_c11_look_ahead_is_a_policy_call_for_each_row() -> None:
    build, pool = sampled(4, Decoding(max_tokens=Const(10)))
    found = after(build, build.pool(graph.Score("prm", ahead=Const(2)), pool))
    assert found.policy_calls == 8
    assert found.sampled_tokens == 40 + 4 * DEFAULT_CONTEXT
    assert found.rounds == 3


@pytest.mark.parametrize(
    ("together", "pairwise", "calls"), [(False, False, 4), (True, False, 1), (True, True, 12)]
)
def test_judges_spend_policy_calls(together: bool, pairwise: bool, calls: int) -> None:
    build, pool = sampled(4)
    scored = build.pool(graph.Score("grade", times=Const(3)), pool)
    plan = build.plan(scored)
    judge = Judge(
        policy="policy",
        template=Template("grade", ("grade",)),
        read="number",
        after=None,
        low=0.0,
        high=1.0,
        retries=2,
        decoding=Decoding(max_tokens=Const(5)),
        pairwise=pairwise,
    )
    scorers = (Scorer("grade", steps=False, together=together, judge=judge),)
    found = bounds(Plan("judged", {}, plan.body, plan.values, scorers=scorers))
    readings = calls * 3 * 3  # three readings, each asked at most three times
    assert found.policy_calls == 4 + readings
    assert found.sampled_tokens == 4 * DEFAULT_CONTEXT + readings * 5
    assert found.scorer_calls == 0


def test_field_scorers_read_no_tokens() -> None:
    build, pool = sampled(4)
    plan = build.plan(build.pool(graph.Score("gold"), pool))
    scorers = (Scorer("gold", steps=False, field="answer"),)
    found = bounds(Plan("oracle", {}, plan.body, plan.values, scorers=scorers))
    assert (found.scorer_calls, found.scorer_tokens) == (4, 0)


def test_per_parent_keeps_one_row_a_tree() -> None:
    """dvts: without counting parents, four trees would grow to 4 x 4^40 rows."""
    build = Builder()
    trees = build.pool(graph.Fork(Const(4)), build.problem, name="trees", columns=PRM)

    def round_(rows: int) -> tuple[int, ...]:
        children = build.pool(graph.Expand(steps(4), Decoding()), rows)
        scored = build.pool(graph.Score("prm"), children, columns=PRM)
        return (build.pool(graph.Select(LAST, Const(1), per="parent"), scored),)

    (kept,) = build.repeat(40, (trees,), lambda: Aggregate("all done", 0), round_)
    found = after(build, kept)
    assert found.rows[trees] == RowRange(4, 4)
    assert found.rows[kept].high == 4
    assert found.policy_calls == 40 * 16


def test_dealing_leaves_done_rows_extra() -> None:
    """C18: `to n` gives n children to live rows; done rows come on top."""
    build = Builder()
    first = build.pool(graph.Expand(steps(4), Decoding()), build.problem)
    deal = graph.Expand(steps(10), Decoding(), deal=True)
    out = build.pool(deal, first)
    found = after(build, out)
    assert found.rows[out] == RowRange(1, 3 + 10)
    assert found.policy_calls == 4 + 10
    live = build.pool(graph.Where(Apply("not", (Column("done"),))), first)
    dealt = build.pool(deal, live)
    assert after(build, dealt).rows[dealt].high == 10


def test_share_and_counts_of_selections() -> None:
    build, pool = sampled(10)
    tenth = build.pool(graph.Select(Column("tokens"), share=Const(0.25)), pool)
    none = build.pool(graph.Select(Column("tokens"), Const(-3)), pool)
    more = build.pool(graph.Select(Column("tokens"), Const(99)), pool)
    found = after(build, pool)
    assert found.rows[tenth].high == 3
    assert found.rows[none] == RowRange(0, 0)
    assert found.rows[more] == RowRange(10, 10)


def test_split_without_a_limit_is_unbounded() -> None:
    build, pool = sampled(2)
    pieces = build.pool(graph.Split(Const("\n")), pool)
    at_most = build.pool(graph.Split(Const("\n"), Const(5)), pool)
    found = after(build, pieces)
    assert found.rows[pieces].high is None
    assert found.rows[at_most].high == 10


def test_long_loop_is_bounded_without_following_every_round() -> None:
    """A million rounds: one row more a round, found from what a round makes at most."""
    build, pool = sampled(1)

    def grow(rows: int) -> tuple[int, ...]:
        more = build.pool(graph.Expand(solutions(1), Decoding()), build.problem)
        return (build.pool(graph.Union(), rows, more),)

    until = Apply(">", (Aggregate("lead", 0), Const(0.95)))
    (grown,) = build.repeat(10**6, (pool,), lambda: until, grow)
    found = after(build, grown)
    assert found.policy_calls == 1 + 10**6
    assert 10**6 + 1 <= (found.rows[grown].high or math.inf) <= 10**6 + 10


def test_nested_long_loops_stay_bounded_in_work() -> None:
    build, pool = sampled(1)

    def nest(rows: int, depth: int) -> tuple[int, ...]:
        if depth:
            return build.repeat(
                1000, (rows,), lambda: Const(False), lambda given: nest(given, depth - 1)
            )
        more = build.pool(graph.Expand(solutions(1), Decoding()), build.problem)
        return (build.pool(graph.Union(), rows, more),)

    (grown,) = nest(pool, 6)
    assert after(build, grown).policy_calls == 1 + 1000**6


@settings(max_examples=60, deadline=None, derandomize=True)
@given(plans())
def test_bounds_exist_for_every_plan_and_grow_with_the_context(plan: Plan) -> None:
    small, large = bounds(plan, 100), bounds(plan, 1000)
    for rows in small.rows.values():
        assert rows.high is None or 0 <= rows.low <= rows.high
    assert len(small.operations) == len(list(graph.operations(plan.body)))
    assert (small.sampled_tokens or 0) <= (large.sampled_tokens or math.inf)
    sums = [one.spent.policy_calls for one in large.operations]
    if large.policy_calls is not None and None not in sums:
        assert large.policy_calls <= sum(calls or 0 for calls in sums)


def halves(build: Builder, pool: int, condition: Expr) -> tuple[int, int]:
    """`P where C` and `P where not C`."""
    kept = build.pool(graph.Where(condition), pool)
    return kept, build.pool(graph.Where(Apply("not", (condition,))), pool)


def test_c37_two_halves_of_a_pool_make_it_up() -> None:
    """budget_forcing: each round splits the traces, continues with one half, and rejoins."""
    build, pool = sampled(3)
    ended_here = Apply("==", (Column("finish"), Const("stop")))

    def round_(rows: int) -> tuple[int, ...]:
        ended, capped = halves(build, rows, ended_here)
        forced = build.pool(graph.Force(Const("Wait")), ended)
        again = build.pool(graph.Expand(solutions(1), Decoding()), forced)
        return (build.pool(graph.Union(), again, capped),)

    (kept,) = build.repeat(10, (pool,), lambda: Const(False), round_)
    found = after(build, kept)
    assert found.rows[kept].high == 3
    assert found.policy_calls == 3 + 10 * 3


@pytest.mark.parametrize("case", ["random", "more", "other pool", "same half"])
def test_what_is_no_half_is_added(case: str) -> None:
    build, pool = sampled(4)
    condition: Expr = Column("done")
    if case == "random":
        condition = Apply(">", (Random("uniform"), Const(0.5)))
    yes, no = halves(build, pool, condition)
    if case == "more":
        no = build.pool(graph.Expand(solutions(2), Decoding()), no)
    if case == "other pool":
        _, no = halves(build, build.pool(graph.Sort(Column("tokens")), pool), condition)
    if case == "same half":
        no = build.pool(graph.Force(Const("x")), yes)
    both = build.pool(graph.Union(), yes, no)
    assert after(build, both).rows[both].high == (12 if case == "more" else 8)


def test_halves_of_different_rounds_are_not_put_together() -> None:
    build, pool = sampled(4)
    kept: list[int] = []

    def round_(old: int, rows: int) -> tuple[int, ...]:
        yes, no = halves(build, rows, Column("done"))
        kept.append(build.pool(graph.Union(), old, no))
        fresh = build.pool(graph.Expand(solutions(4), Decoding()), build.problem)
        return yes, fresh

    none = build.pool(graph.Empty())
    old, _ = build.repeat(5, (none, pool), lambda: Const(False), round_)
    assert after(build, old).rows[kept[0]].high == 8


def test_rows_without_a_key_form_no_group() -> None:
    build, pool = sampled(4)
    for spec in (graph.Dedupe(per="answer"), graph.Sort(Column("tokens"), per="answer")):
        out = build.pool(spec, pool)
        assert after(build, out).rows[out] == RowRange(0, 4)
