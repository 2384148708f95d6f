"""How statements become operations: what is carried, returned, folded, read."""

from __future__ import annotations

import pytest

from tests.support.checking import body, compiled, operation
from tts_lang.plan.expr import (
    Aggregate,
    Apply,
    Column,
    Const,
    Delimiter,
    Input,
    PoolWide,
    Reduce,
    Statistic,
)
from tts_lang.plan.graph import (
    Ask,
    Branch,
    Call,
    Compute,
    Exit,
    Expand,
    Fork,
    Let,
    Repeat,
    Score,
    Select,
    Union,
    Unit,
    Vote,
    Where,
    operations,
)


def test_numbers_of_parameters_are_folded_into_counts() -> None:
    plan = compiled(body("return vote (expand (fork problem into n/2) by n - 1 steps)"))
    assert operation(plan, Fork).spec == Fork(Const(2))
    spec = operation(plan, Expand).spec
    assert isinstance(spec, Expand)
    assert spec.amount.count == Const(3)
    assert spec.amount.unit is Unit.STEPS


def test_a_fraction_is_rounded_down_when_it_is_a_count() -> None:
    plan = compiled(body("return vote (sample n / 3)", header="strategy s(n = 10):"))
    spec = operation(plan, Expand).spec
    assert isinstance(spec, Expand)
    assert spec.amount.count == Const(3)


def test_a_dynamic_count_that_may_be_a_fraction_is_floored_when_it_runs() -> None:
    text = body(
        "pool = sample n",
        "pool = select top count(pool) / 2 of pool by logprob",
        "return vote pool",
    )
    spec = operation(compiled(text), Select).spec
    assert isinstance(spec, Select)
    assert isinstance(spec.count, Apply)
    assert spec.count.function == "floor"


def test_an_early_return_leaves_by_its_arm_and_the_rest_stands_behind() -> None:
    text = body(
        "pool = sample n", "if share(pool) > 0.5:", "    return vote pool", "return sample 1"
    )
    plan = compiled(text)
    branch = operation(plan, Branch)
    assert [region.exit for region in branch.regions] == [Exit.RETURN, Exit.YIELD]
    assert branch.outputs == ()
    assert plan.body.exit is Exit.RETURN


def test_when_every_arm_returns_the_end_is_never_reached() -> None:
    text = body(
        "pool = sample n",
        "choose by share(pool):",
        "    above 0.8: return vote pool",
        "    above 0.4: return sample 1",
        "    otherwise: return first of pool",
    )
    plan = compiled(text)
    outer = plan.body.operations[-1]
    assert plan.body.exit is Exit.NEVER
    assert [region.exit for region in outer.regions] == [Exit.RETURN, Exit.NEVER]
    conditions = [
        each.spec.value
        for each in operations(plan.body)
        if isinstance(each.spec, Compute) and isinstance(each.spec.value, Apply)
    ]
    assert conditions == [
        Apply(">", (Input(0), Const(0.8))),
        Apply(">", (Input(0), Const(0.4))),
    ]


def test_a_branch_passes_on_what_is_read_later_and_nothing_else() -> None:
    text = body(
        "pool = sample n",
        "if share(pool) > 0.5:",
        "    extra = sample 1",
        "    pool = pool + extra",
        "return vote pool",
    )
    branch = operation(compiled(text), Branch)
    assert len(branch.outputs) == 1
    assert [len(region.results) for region in branch.regions] == [1, 1]


def test_a_loop_carries_what_was_there_before_and_changes() -> None:
    text = body(
        "pool = sample n",
        "heat = 1",
        "repeat 3 until count(pool) > 9:",
        "    fresh = sample 1 at temperature heat",
        "    pool = pool + fresh",
        "    heat = heat / 2",
        "return vote pool",
    )
    plan = compiled(text)
    loop = operation(plan, Repeat)
    names = [plan.values[number].name for number in loop.inputs]
    assert names == ["pool", "heat"]
    assert [len(region.parameters) for region in loop.regions] == [2, 2]
    spec = operation(plan, Union)
    assert spec.inputs[0] == loop.regions[1].parameters[0]


def test_a_loop_without_until_never_ends_early() -> None:
    text = body("pool = sample n", "repeat 3:", "    pool = pool + (sample 1)", "return vote pool")
    (test,) = operation(compiled(text), Repeat).regions[0].operations
    assert test.spec == Compute(Const(False))


@pytest.mark.parametrize(("count", "trips"), [("n - 9", 0), ("n", 4), ("2.5", 2)])
def test_rounds_are_whole_and_not_negative(count: str, trips: int) -> None:
    text = body(
        "pool = sample n", f"repeat {count}:", "    pool = pool + (sample 1)", "return vote pool"
    )
    assert operation(compiled(text), Repeat).spec == Repeat(trips)


def test_counts_in_a_branch_that_constants_rule_out_do_not_matter() -> None:
    lines = ("if n > 4:", "    return vote (sample n - 4)", "return vote (sample n)")
    assert compiled(body(*lines)).strategy == "s"


def test_a_text_in_a_branch_that_constants_rule_out_may_be_empty() -> None:
    lines = ("    pool = sample 4", '    if mark != "":', "        pool = split pool at mark")
    text = "\n".join(['strategy s(mark = ""):', *lines, "    return vote pool\n"])
    assert compiled(text).strategy == "s"


def test_header_clauses_are_defaults_of_its_own_calls_only() -> None:
    text = body("return sample 1", header="strategy inner():") + body(
        "a = sample 1",
        "b = sample 1 at temperature 1",
        "return vote a + b + inner()",
        header="strategy s() at temperature 0 top_p 0.9:",
    )
    decodings = [
        each.spec.decoding
        for each in operations(compiled(text, "s").body)
        if isinstance(each.spec, Expand)
    ]
    assert [(d.temperature, d.top_p) for d in decodings] == [
        (Const(0), Const(0.9)),
        (Const(1), Const(0.9)),
        (None, None),
    ]


def test_a_call_is_inlined_with_its_own_problem_and_says_whether_it_thinks() -> None:
    text = body(
        "trace = sample 1 thought",
        "return expand trace by 1",
        header="strategy inner(k = 1):",
    ) + body("pool = sample n", "return vote inner() on pool")
    text = text.replace(
        "return vote inner() on pool", "ends = inner() on pool\n    return vote ends"
    )
    plan = compiled(text, "s")
    call = operation(plan, Call)
    assert call.spec == Call("inner", thinks=True, on_rows=True)
    assert not plan.thinks
    (problem,) = call.regions[0].parameters
    assert call.regions[0].operations[0].inputs == (problem,)


def test_names_can_be_arguments() -> None:
    text = body(
        "pool = sample 2 from model",
        "score pool by judge_of",
        "return best of pool by reduce(judge_of)",
        header="strategy inner(model = policy, judge_of = prm, reduce = last):",
    ) + body("return inner(model = small, reduce = min)")
    plan = compiled("policy small\n" + text, "s")
    select = operation(plan, Select).spec
    assert isinstance(select, Select)
    assert select.by == Reduce("min", "prm")
    assert plan.policies == ("policy", "small")


def test_scalars_are_inputs_and_pools_are_inputs_of_aggregates() -> None:
    text = body(
        "pool = sample n",
        "bar = mean(tokens of pool)",
        "pool = pool where tokens < bar and tokens < max(tokens of pool)",
        "return vote pool",
    )
    plan = compiled(text)
    where = operation(plan, Where)
    pool, bar = where.inputs
    assert where.spec == Where(
        Apply(
            "and",
            (
                Apply("<", (Column("tokens"), Input(1))),
                Apply("<", (Column("tokens"), Aggregate("max", 0, Column("tokens")))),
            ),
        )
    )
    assert (plan.values[pool].name, plan.values[bar].name) == ("pool", "bar")


def test_unions_keep_their_sides_even_when_they_are_one_pool() -> None:
    plan = compiled(body("pool = sample n", "return vote pool + pool"))
    first, second = operation(plan, Union).inputs
    assert first == second


def test_reductions_extremes_and_aggregates_of_one_name() -> None:
    text = body(
        "pool = sample n",
        "score pool by prm",
        "let a of pool = max(prm)",
        "let b of pool = max(a, tokens, 3)",
        "let c of pool = max(a of pool per root)",
        "return best of pool by a + b + c",
    )
    lets = [s.spec for s in operations(compiled(text).body) if isinstance(s.spec, Let)]
    assert [let.value for let in lets] == [
        Reduce("max", "prm"),
        Apply("greatest", (Apply("greatest", (Column("a"), Column("tokens"))), Const(3))),
        Aggregate("max", 0, Column("a"), per="root"),
    ]


def test_statistics_and_functions_of_the_pool() -> None:
    text = body(
        "pool = sample n",
        "score pool by prm",
        "pool = select top 2 of pool by confidence(32) + margin(answer)",
        "return vote pool weighted by softmax(last(prm) per root, 0.5)",
    )
    plan = compiled(text)
    select, vote = operation(plan, Select).spec, operation(plan, Vote).spec
    assert isinstance(select, Select)
    assert isinstance(vote, Vote)
    assert select.by == Apply(
        "+",
        (Statistic("confidence", "lowest", Const(32)), Statistic("margin", "answer")),
    )
    assert vote.weight == PoolWide("softmax", Reduce("last", "prm"), Const(0.5), "root")


def test_a_percentage_selects_a_share() -> None:
    text = body(
        "pool = sample n",
        "return vote (select top keep of pool by logprob)",
        header="strategy s(n = 4, keep = 25%):",
    )
    spec = operation(compiled(text), Select).spec
    assert isinstance(spec, Select)
    assert (spec.count, spec.share) == (None, Const(0.25))


def test_arguments_of_prompts_are_in_the_order_of_its_parameters() -> None:
    text = 'prompt p(limit = 8, notes = "none") = "{text} {limit} {notes}"\n\n' + body(
        "pool = sample n", "return ask p(notes = pool) about problem"
    )
    ask = operation(compiled(text), Ask)
    assert isinstance(ask.spec, Ask)
    assert ask.spec.arguments == (("limit", Const(8)), ("notes", 1))
    assert ask.inputs[1] == operation(compiled(text), Expand).outputs[0]


def test_judges_and_fields_are_described() -> None:
    text = (
        'policy small\nscorer level from 0 to 1 field "pass_rate"\n'
        "judge sure from small at temperature 0 max 5 tokens:\n"
        '    "{text} Sure?"\n    read choice of "yes" = 1, "no" = -1\n    retry 3\n\n'
    ) + body(
        "pool = sample n",
        "score pool by sure times 2",
        "score pool by level",
        "return best of pool by mean(sure) + level",
    )
    plan = compiled(text)
    sure, level = plan.scorer("sure"), plan.scorer("level")
    assert (level.field, level.steps, level.low, level.high) == ("pass_rate", False, 0, 1)
    assert (sure.low, sure.high) == (-1, 1)
    assert sure.judge is not None
    assert sure.judge.options == (("yes", 1.0), ("no", -1.0))
    assert (sure.judge.policy, sure.judge.retries) == ("small", 3)
    assert sure.judge.decoding.max_tokens == Const(5)
    assert plan.policies == ("policy", "small")
    scores = [s.spec for s in operations(plan.body) if isinstance(s.spec, Score)]
    assert [score.times for score in scores] == [Const(2), None]


def test_delimiters_belong_to_the_policy_of_the_strategy() -> None:
    text = "policy small\n\n" + body(
        "trace = sample 1 thought",
        'force end_of_thought + "So" into trace',
        "return expand trace by 1",
        header="strategy s() from small:",
    )
    plan = compiled(text)
    assert plan.thinks
    (force,) = (each.spec for each in operations(plan.body) if each.spec.op == "force")
    assert force.text == Apply("+", (Delimiter("end_of_thought", "small"), Const("So")))  # type: ignore[union-attr]


def test_values_know_their_columns() -> None:
    text = body(
        "pool = sample n steps",
        "score pool by prm",
        "let past of pool = last(prm)",
        "pool = expand pool by 1",
        "return best of pool by past",
    )
    plan = compiled(text)
    pools = [plan.values[each.outputs[0]].columns for each in plan.body.operations]
    assert pools == [
        {},
        {"prm": "steps"},
        {"prm": "steps", "past": "number"},
        {"past": "number"},
        {"past": "number"},
    ]
