"""Expected costs in a world of equal lengths, lengths from runs, budgets."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.agreement import compiled
from tests.support.programs import random_program
from tests.support.records import solution
from tests.support.shipped import NAMED, as_shipped
from tts_lang.compiler import compile_strategy
from tts_lang.explain.assumptions import (
    Assumed,
    AssumeError,
    LengthError,
    Lengths,
    assumed,
    measured,
)
from tts_lang.explain.budget import OverBudget, budget, check, check_sane
from tts_lang.explain.costs import COSTS, bounds, expected, total_of
from tts_lang.explain.domain import Cost
from tts_lang.explain.mean_domain import MeanDomain
from tts_lang.explain.models import Model, Models
from tts_lang.explain.render import to_text
from tts_lang.explain.report import Actual, RunCounts, analysis
from tts_lang.explain.tree import explain
from tts_lang.explain.walk import Walk

LENGTHS = Lengths(step=60, steps=9)


def total(strategy: str, **settings: int) -> Cost:
    return total_of(expected(compile_strategy(strategy, settings=settings), LENGTHS))


def test_samples_cost_a_solution_each() -> None:
    found = total("majority", n=16)
    assert (found.policy_calls, found.sampled_tokens, found.scorer_tokens) == (16, 16 * 540, 0)
    assert total("best_of_n", n=16).scorer_tokens == 16 * 540


def test_a_beam_grows_step_by_step_until_solutions_end() -> None:
    found = total("beam_search", n=16, width=4, depth=40)
    # Nine rounds of 16 children: the loop ends as soon as all beams are done.
    assert (found.policy_calls, found.sampled_tokens) == (9 * 16, 9 * 16 * 60)
    assert found.scorer_tokens == 9 * 16 * 60  # each token once


def test_the_rest_of_a_beam_that_was_cut_off_is_generated_in_one_go() -> None:
    found = total("beam_search", n=16, width=4, depth=4)
    assert found.sampled_tokens == 4 * 16 * 60 + 16 * 5 * 60


@pytest.mark.parametrize(
    ("condition", "calls"),
    [
        ("mean(last(prm) of pool) > 0.5", 4 + 6 / 2),  # on scores: half each way
        ("mean(last(prm) of pool) > 0.5 and count(pool) > 9", 4 + 6),  # known: never
        ("mean(last(prm) of pool) > 0.5 and count(pool) > 3", 4 + 6 / 2),
        ("mean(last(prm) of pool) > 0.5 or count(pool) > 3", 4),  # always
    ],
)
def test_branches_go_where_what_is_known_says(condition: str, calls: float) -> None:
    body = f"    pool = sample 4\n    score pool by prm\n    if {condition}:\n"
    body += "        return vote pool\n    more = sample 6\n    return vote (pool + more)\n"
    costs = expected(compiled(f"strategy main():\n{body}"), LENGTHS)
    assert total_of(costs).policy_calls == calls


@pytest.mark.parametrize("depth", [0, 1])
@pytest.mark.parametrize(("one", "other"), [(2, 6), (4, 4)])
def test_after_a_branch_a_pool_is_the_mean_of_both_sides(one: int, other: int, depth: int) -> None:
    """Also within another branch, which is half as likely."""
    unknown = "if mean(last(prm) of pool) > 0.5:"
    lines = ["pool = sample 4", "score pool by prm"]
    lines += [unknown, "    return vote pool"] * depth
    lines += [unknown, f"    p = sample {one} steps", "else:", f"    p = sample {other} steps"]
    lines += ["    p = expand p by 1 steps", "p = expand p by 2 steps", "return vote p"]
    body = "".join(f"    {line}\n" for line in lines)
    found = total_of(expected(compiled(f"strategy main():\n{body}"), LENGTHS))
    steps = (one + other + other) / 2 + (one + other)
    assert found.policy_calls == 4 + steps / 2**depth
    assert found.sampled_tokens == 4 * 540 + steps * 60 / 2**depth
    if one == other:  # paths before the last calls have one step, or two
        cached = (steps * 100 + other / 2 * 60 + (one + other) * 90) / 2**depth
        assert found.cached_tokens == 3 * 100 + cached


def test_a_share_of_a_pool_goes_on() -> None:
    body = "    pool = sample 8 steps\n    score pool by prm\n"
    body += "    pool = select top 25% of pool by last(prm)\n    return vote (expand pool by 1)\n"
    assert total_of(expected(compiled(f"strategy main():\n{body}"), LENGTHS)).policy_calls == 8 + 2


def test_a_policy_reads_the_problem_once_and_a_scorer_new_steps_only() -> None:
    found = total("beam_search", n=16, width=4, depth=40)
    assert found.prefilled_tokens == 100  # the problem
    # Every call begins with the problem and the steps so far; the first of them reads it.
    assert found.cached_tokens == 144 * 100 + sum(range(9)) * 16 * 60 - 100
    # Without memory every round reads whole paths, and the last score reads them again.
    assert found.whole_scorer_tokens == sum(range(1, 10)) * 16 * 60 + 16 * 540
    assert found.rounds == 2 * 9


def test_flops_are_two_for_each_parameter_and_token_and_attention() -> None:
    model = Model(1e6, layers=4, width=100)
    models = Models({"prm": model}, model)
    plan = compile_strategy("best_of_n", settings={"n": 3})
    found = total_of(expected(plan, replace(LENGTHS, prompt=10), models))
    tokens = 2 * (10 + 3 * 540)  # the PRM reads the problem once, too
    positions = 2 * (10 * 10 / 2 + 3 * (540 * 10 + 540 * 540 / 2))
    assert found.flops == pytest.approx(2e6 * tokens + 4 * 400 * positions)


def test_layers_and_width_follow_from_parameters() -> None:
    assert Model(7e9).attention == pytest.approx(32 * 4096, rel=0.06)  # Llama 7B
    assert Model(7e9, layers=10, width=3).attention == 30


def test_rollouts_of_a_look_ahead_are_expected() -> None:
    body = "    pool = sample 4 steps\n    score pool by prm looking ahead 2 steps\n"
    found = total_of(
        expected(
            compiled(f"strategy main():\n{body}    return best of pool by last(prm)\n"), LENGTHS
        )
    )
    assert (found.policy_calls, found.sampled_tokens) == (8, 4 * 60 + 4 * 120)
    assert found.scorer_tokens == 4 * 180


@pytest.mark.parametrize("number", range(60))
def test_expectations_stay_within_bounds(number: int) -> None:
    plan = compiled(random_program(number))
    models = Models(policy=Model(1e6))
    costs = expected(plan, Lengths(5, 3, 20), models)
    for cost, bound in zip(costs, bounds(plan, 1024, 20, models).operations, strict=True):
        for name in COSTS:
            mean, limit = getattr(cost, name), getattr(bound.spent, name)
            assert mean >= -1e-6, name
            assert limit is None or mean <= limit * (1 + 1e-9) + 1e-6, name


@pytest.mark.parametrize("number", range(0, 60, 3))
def test_no_total_is_above_its_bound(number: int) -> None:
    """Lengths may be assumed that the context has no room for."""
    lengths = Assumed(context=64, lengths=Lengths(50, 10, 20))
    shown = explain(compiled(random_program(number)), lengths)
    assert shown.total is not None
    for name in COSTS:
        limit = getattr(shown.bounds.total, name)
        assert limit is None or getattr(shown.total, name) <= limit, name


@pytest.mark.parametrize("number", range(0, 60, 3))
def test_operations_add_up_to_what_paths_through_the_plan_cost(number: int) -> None:
    plan = compiled(random_program(number))
    walk = Walk(plan, MeanDomain(plan, Lengths(5, 3, 20), Models(policy=Model(1e6))))
    total, _ = walk.run()
    for name, expected_cost in total_of(walk.costs)._asdict().items():
        assert getattr(total, name) == pytest.approx(expected_cost), name
    assert all(weight <= 1 + 1e-9 for weight in walk.all_prompts().values())


@pytest.mark.parametrize(("other", "calls"), [("from small", 1), ("", 0.5)])
def test_a_policy_that_two_sides_call_reads_the_problem_once(other: str, calls: float) -> None:
    """And what calls it after them reads as much as the sides have not."""
    body = "    pool = sample 4\n    score pool by prm\n    if mean(last(prm) of pool) > 0.5:\n"
    body += "        p = sample 2 from small\n        p = expand p by 1\n"
    body += f"    else:\n        p = sample 3 {other}\n"
    source = f"policy small\n\nstrategy main():\n{body}"
    last = "    p = p + (sample 1 from small)\n"
    found = [total_of(expected(compiled(f"{source}{end}    return vote p\n"), LENGTHS))
             for end in ("", last)]  # fmt: skip
    assert [each.prefilled_tokens for each in found] == [(1 + calls) * 100, 2 * 100]


def test_a_prompt_per_group_quotes_the_rows_of_the_group() -> None:
    source = 'prompt p = """{problem} {candidates}"""\n\nstrategy main():\n'
    source += "    pool = expand (fork problem into 3) by 4\n"
    source += "    return vote (ask p about pool together per root)\n"
    found = total_of(expected(compiled(source), LENGTHS))
    assert found.prefilled_tokens == 100 + 3 * (100 + 4 * 540)


def test_resampling_within_groups_keeps_as_many_in_each() -> None:
    found = total("dvts_of_particles", n=16, trees=4, depth=3)
    assert found.policy_calls == 4 * 16  # 16 particles, every round


def test_every_shipped_strategy_has_an_expectation() -> None:
    for path, name in NAMED:
        text = to_text(explain(as_shipped(path, name), Assumed(lengths=LENGTHS)))
        assert re.search(r"^total, per problem +expected +at most$", text, re.MULTILINE)


def test_lengths_are_measured_in_a_run_directory(tmp_path: Path) -> None:
    folder = tmp_path / "majority"
    folder.mkdir()
    rows = [
        solution(60, 3, "stop"),
        solution([40, 50], [4, 1], first=2, parent=[1, 0]),
        solution(900, 9, "length", first=4),
    ]
    (folder / "nodes.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert measured(tmp_path) == measured(folder) == Lengths(30, 2.5)
    for broken in ("[1]\n", "{}\n", "?"):
        (folder / "nodes.jsonl").write_text(broken)
        with pytest.raises(LengthError, match="not a run directory"):
            measured(tmp_path)
    with pytest.raises(LengthError, match="no finished candidates"):
        measured(tmp_path / "other")


def test_lengths_are_assumed_together() -> None:
    assert assumed(["context=8"]) == Assumed(context=8)
    assert assumed(["step=60,steps=9"]).lengths == replace(LENGTHS, prompt=100)
    assert assumed(["step=60,steps=9", "prompt=7"]).lengths == replace(LENGTHS, prompt=7)
    with pytest.raises(AssumeError, match="step=60,steps=9"):
        assumed(["step=60"])


def test_sizes_of_models_are_assumed() -> None:
    models = assumed(["params=7e9,prm_params=1.5e9", "layers=32,width=4096"]).models
    assert models.of_policy("any") == Model(7e9, 32, 4096)
    assert models.of_scorer("prm") == Model(1.5e9)
    assert models.of_scorer("orm") is None


@pytest.mark.parametrize(
    "wrong",
    ["window=3", "context", "context=0", "context=1.5", "params=x", "layers=3", "prompt=9999999"],
)
def test_assumptions_that_cannot_be_used(wrong: str) -> None:
    with pytest.raises(AssumeError):
        assumed([wrong])


def test_sizes_of_models_are_those_of_the_run(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "nodes.jsonl").write_text(json.dumps(solution(100, 4)))
    card = {"parameters": 800_000, "layers": 4, "width": 128}
    (tmp_path / "models.json").write_text(json.dumps({"prm": card}))
    assert assumed([], tmp_path).models.of_scorer("prm") == Model(800_000, 4, 128)
    assert assumed(["prm_params=9"], tmp_path).models.of_scorer("prm") == Model(9)
    (tmp_path / "models.json").write_text(json.dumps({"prm": 3}))
    with pytest.raises(LengthError, match="not sizes of models"):
        assumed([], tmp_path)


def test_a_budget_names_what_costs_most() -> None:
    plan = compile_strategy("beam_search", settings={"n": 16, "width": 4, "depth": 40})
    check(plan, [budget("tokens=1e6")])
    with pytest.raises(OverBudget) as refused:
        check(plan, [budget("tokens=2e5")])
    message = str(refused.value)
    assert "may take 671,744 tokens" in message
    assert "(638,976) here:" in message
    assert "beam_search.tts:12: beams = expand beams by 4" in message
    with pytest.raises(OverBudget, match="656 calls"):
        check(plan, [budget("calls=656"), budget("calls=655")])
    check(plan, [budget("calls=656"), budget("rows=16"), budget("rounds=82")])
    with pytest.raises(OverBudget) as refused:
        check(plan, [budget("rows=15")])
    message = str(refused.value)
    assert "may hold 16 rows in one pool, more than the budget of 15: " in message
    assert "beam_search.tts:8: beams = expand problem by 16 steps" in message
    with pytest.raises(OverBudget, match="needs the sizes of models"):
        check(plan, [budget("flops=1e12")])
    sized = Assumed(models=Models({"prm": Model(7e9)}, Model(7e9)))
    check(plan, [budget("flops=2e16")], sized)
    with pytest.raises(OverBudget, match=r"19.*FLOPs per problem, more than the budget"):
        check(plan, [budget("flops=1e16")], sized)


def test_a_run_of_absurd_size_is_refused_unless_it_is_meant() -> None:
    usual = compile_strategy("majority", settings={"n": 10_000_000})
    check_sane(usual, [])
    absurd = compile_strategy("majority", settings={"n": 12_345_678_901})
    enough = "add --budget rows=1.3e10 --budget calls=1.3e10"
    with pytest.raises(OverBudget, match=enough) as refused:
        check_sane(absurd, [])
    assert "pool = expand problem by 12345678901 solutions" in str(refused.value)
    with pytest.raises(OverBudget, match="calls"):
        check_sane(absurd, [("rows", 1.3e10)])
    check_sane(absurd, [("rows", 1.3e10), ("calls", 1.3e10)])
    # What nothing bounds is not known to be large.
    check_sane(
        compiled('strategy main():\n    p = sample 1\n    return vote (split p at ".")\n'), []
    )


@pytest.mark.parametrize(
    "text", ["tokens", "tokens=", "tokens=x", "tokens=nan", "tokens=inf", "words=3"]
)
def test_budgets_that_cannot_be_read(text: str) -> None:
    with pytest.raises(ValueError, match="tokens=2e6"):
        budget(text)
    with pytest.raises(ValueError, match="must be 0 or more"):
        budget("tokens=-1")
    assert budget("tokens=0") == ("tokens", 0)


def test_actual_stands_beside_expected() -> None:
    plan = compile_strategy("majority", settings={"n": 4})
    origin = plan.body.operations[0].origins[0]
    made = {("expand", f"{Path(origin.file).name}:{origin.line}"): Actual(rows=8, tokens=900)}
    counts = {"policy_calls": 8, "sampled_tokens": 900, "prefilled_tokens": 60, "scorer_calls": 0}
    text = analysis(plan, Assumed(1000, None, LENGTHS), RunCounts(2, made, counts))
    lines = text.splitlines()
    assert lines[3].split()[-5:] == ["4.0", "4.0", "450", "2,160", "4,000"]
    assert lines[-2].split() == ["sampled", "tokens", "450.0", "2,160.0", "4,000"]
    assert lines[-1].split() == ["prefilled", "tokens", "30.0", "100.0", "1,000"]


def test_no_shipped_strategy_is_refused_as_it_stands() -> None:
    for path, name in NAMED:
        check_sane(as_shipped(path, name), [])
