"""Expected costs in a world of equal lengths, lengths from runs, budgets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.agreement import compiled
from tests.support.programs import random_program
from tests.support.shipped import NAMED
from tts_lang.compiler import compile_strategy
from tts_lang.explain.bounds import bounds
from tts_lang.explain.budget import OverBudget, budget, check
from tts_lang.explain.expected import Expected, expected
from tts_lang.explain.lengths import LengthError, Lengths, assumed, measured
from tts_lang.explain.report import Actual, analysis, expectation, total_of

LENGTHS = Lengths(step=60, steps=9)


def total(strategy: str, **settings: int) -> Expected:
    return total_of(expected(compile_strategy(strategy, settings=settings), LENGTHS))


def test_samples_cost_a_solution_each() -> None:
    found = total("majority", n=16)
    assert (found.calls, found.tokens, found.scorer_tokens) == (16, 16 * 540, 0)
    assert total("best_of_n", n=16).scorer_tokens == 16 * 540


def test_a_beam_grows_step_by_step_until_solutions_end() -> None:
    found = total("beam_search", n=16, width=4, depth=40)
    # Nine rounds of 16 children: the loop ends as soon as all beams are done.
    assert (found.calls, found.tokens) == (9 * 16, 9 * 16 * 60)
    assert found.scorer_tokens == 9 * 16 * 60  # each token once


def test_the_rest_of_a_beam_that_was_cut_off_is_generated_in_one_go() -> None:
    found = total("beam_search", n=16, width=4, depth=4)
    assert found.tokens == 4 * 16 * 60 + 16 * 5 * 60


def test_branches_on_scores_go_half_each_way() -> None:
    body = "    pool = sample 4\n    score pool by prm\n    if mean(last(prm) of pool) > 0.5:\n"
    body += "        return vote pool\n    more = sample 6\n    return vote (pool + more)\n"
    costs = expected(compiled(f"strategy main():\n{body}"), LENGTHS)
    assert total_of(costs).calls == 4 + 6 / 2


@pytest.mark.parametrize("number", range(60))
def test_expectations_stay_within_bounds(number: int) -> None:
    plan = compiled(random_program(number))
    for cost, bound in zip(expected(plan, Lengths(5, 3)), bounds(plan).operations, strict=True):
        most = bound.spent
        for mean, limit in ((cost.calls, most.policy_calls), (cost.tokens, most.sampled_tokens)):
            assert mean >= 0
            assert limit is None or mean <= limit * (1 + 1e-9)


def test_every_shipped_strategy_has_an_expectation() -> None:
    for path, name in NAMED:
        text = expectation(compile_strategy(path, name), LENGTHS, 100)
        assert "total, expected, per problem" in text


def test_lengths_are_measured_in_a_run_directory(tmp_path: Path) -> None:
    folder = tmp_path / "majority"
    folder.mkdir()
    rows = [
        {"op": "expand", "finish": "end", "tokens": 100, "steps": 4},
        {"op": "expand", "finish": "end", "tokens": 50, "steps": 1},
        {"op": "expand", "finish": "length", "tokens": 900, "steps": 9},
    ]
    (folder / "candidates.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert measured(tmp_path) == measured(folder) == Lengths(30, 2.5)
    for broken in ("[1]\n", "{}\n", "?"):
        (folder / "candidates.jsonl").write_text(broken)
        with pytest.raises(LengthError, match="not a run directory"):
            measured(tmp_path)
    with pytest.raises(LengthError, match="no finished candidates"):
        measured(tmp_path / "other")


def test_lengths_are_assumed_together() -> None:
    assert assumed([("context", 8)]) is None
    assert assumed([("step", 60), ("steps", 9)]) == LENGTHS
    with pytest.raises(LengthError, match="step=60,steps=9"):
        assumed([("step", 60)])


def test_a_budget_names_what_costs_most() -> None:
    plan = compile_strategy("beam_search", settings={"n": 16, "width": 4, "depth": 40})
    check(plan, *budget("tokens=1e6"))
    with pytest.raises(OverBudget) as refused:
        check(plan, *budget("tokens=2e5"))
    message = str(refused.value)
    assert "may take 671,744 tokens" in message
    assert "(638,976) here:" in message
    assert "beam_search.tts:12: beams = expand beams by 4" in message
    with pytest.raises(OverBudget, match="656 calls"):
        check(plan, *budget("calls=655"))
    check(plan, *budget("calls=656"))


@pytest.mark.parametrize("text", ["tokens", "tokens=", "tokens=x", "tokens=-1", "words=3"])
def test_budgets_that_cannot_be_read(text: str) -> None:
    with pytest.raises(ValueError, match="tokens=2e6"):
        budget(text)


def test_actual_stands_beside_expected() -> None:
    plan = compile_strategy("majority", settings={"n": 4})
    origin = plan.body.operations[0].origins[0]
    actual = {("expand", f"{origin.file}:{origin.line}"): Actual(rows=8, tokens=900)}
    last = analysis(plan, LENGTHS, 1000, actual, 2).splitlines()[-1]
    assert last.split()[2:] == ["4.0", "4.0", "450", "2,160", "4,000"]
