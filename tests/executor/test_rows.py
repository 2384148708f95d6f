"""What a row says for itself: clauses, forced texts, slots of prompts, scores of steps."""

from __future__ import annotations

import asyncio
from asyncio import Future
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from tests.support.runs import PROBLEM, added, box, made, plan_of, run_plan, says
from tests.support.scripted import ScriptedPolicy, TableScorer
from tts_lang.values import reduce_steps
from tts_runtime.engines.base import ScoreReply, ScoreRequest
from tts_runtime.executor.nodes import EMPTY
from tts_runtime.executor.rows import Scores, StepScores
from tts_runtime.problems import Problem


def questions(
    *lines: str, before: str, texts: tuple[str, ...], fields: Mapping[str, Any] | None = None
) -> list[str]:
    """The prompts of what a strategy asks its policy."""
    engine = ScriptedPolicy(texts)
    problem = PROBLEM if fields is None else Problem("p", PROBLEM.text, "2", fields)
    outcome = run_plan(plan_of(*lines, before=before), engine, problem=problem)
    assert outcome.error is None, outcome.error
    return [bytes(request.prompt).decode() for request in engine.requests]


# ------------------------------------------------------------------------------ steps


@pytest.mark.parametrize(
    ("how", "argument", "expected"),
    [
        ("argmin", None, 1),
        ("argmax", None, 3),
        ("first_below", 0.5, 1),
        ("first_below", 0.1, 5),
        ("first_below", None, None),
        ("nth", 3, 0.9),
        ("nth", 0, 0.6),
        ("nth", 5, None),
        ("nth", -1, None),
        ("nth", 2, None),
        ("quantile", 0, 0.2),
    ],
)
def test_c68_functions_of_steps_count_the_steps_before_the_one_they_look_for(
    how: str, argument: float | None, expected: float | None
) -> None:
    assert reduce_steps(how, (0.6, 0.2, None, 0.9, 0.2), argument) == expected


def test_c68_without_a_score_there_is_no_step_to_find() -> None:
    assert [reduce_steps(how, (None,)) for how in ("argmin", "argmax")] == [None, None]
    assert reduce_steps("first_below", (), 0.5) == 0


def test_scores_of_many_steps_are_those_of_a_tuple() -> None:
    plain = tuple(number / 20 for number in range(20))
    scores = StepScores(None, 0, ()) + plain
    assert len(scores) == 20
    assert [scores[at] for at in range(-20, 20)] == [*plain, *plain]
    assert scores[-3:] == plain[-3:]


def test_columns_of_several_scorers_are_a_mapping() -> None:
    columns = Scores("orm", 0.5, Scores("prm", (0.1, 0.2), EMPTY))
    assert columns == {"prm": (0.1, 0.2), "orm": 0.5}
    assert len(columns) == 2
    assert columns.keys() <= {"prm", "orm"}
    assert not columns.keys() <= {"prm"}


def test_steps_that_are_scored_together_are_read_once() -> None:
    class Together(TableScorer):
        def score_together(self, requests: Sequence[ScoreRequest]) -> Future[Sequence[ScoreReply]]:
            future: Future[Sequence[ScoreReply]] = asyncio.get_running_loop().create_future()
            many = [len(each.steps) for each in requests]
            future.set_result([ScoreReply((0.5,) * each, sizes=(1,) * each) for each in many])
            return future

    outcome = says(
        ["a\n\nb", "a\n\nc"],
        "pool = sample 2",
        "score pool by prm",
        "return best of pool by last(prm)",
        before="scorer prm per step together",
        scorers={"prm": Together({}, steps=True)},
    )
    assert outcome.counts.scorer_tokens == 3


def test_c68_a_solution_is_cut_where_its_worst_step_begins() -> None:
    scorer = TableScorer({"a": 0.9, "b": 0.1, "c": 0.5}, steps=True)
    outcome = says(
        ["a\n\nb\n\nc", "d"],
        "pool = sample 1",
        "score pool by prm",
        "let best of pool = max(take(prm, argmin(prm)))",
        "pool = expand (cut pool to argmin(prm) steps) by 1",
        "return pool where best > 0.8",
        scorers={"prm": scorer},
    )
    assert added(outcome) == ["a\n\nb\n\nc", "d"]
    assert outcome.row is not None


# ------------------------------------------------------------------------------ clauses


def test_c69_clauses_are_those_of_the_row_that_is_continued() -> None:
    engine = ScriptedPolicy(["abcdef"])
    lines = (
        "pool = fork problem into 3",
        "pool = expand pool by 1 at temperature 0.2 + 0.4 * index max 1 + index tokens",
        "return first of pool",
    )
    outcome = run_plan(plan_of(*lines), engine)
    assert [each.sampling.temperature for each in engine.requests] == [0.2, 0.6000000000000001, 1.0]
    assert added(outcome) == ["a", "ab", "abc"]


def test_c69_what_is_missing_leaves_the_default_and_a_bad_value_names_the_candidate() -> None:
    engine = ScriptedPolicy(["abc"])
    run_plan(plan_of("return sample 1 at temperature value max visits / 0 tokens"), engine)
    assert engine.requests[0].sampling.temperature == 1.0
    lines = ("pool = sample 1 step", "return expand pool by 1 at temperature 2 - tokens")
    outcome = run_plan(plan_of(*lines), ScriptedPolicy(["abcde\n\nf"]))
    assert "the temperature is -5 for the candidate 'abcde'" in str(outcome.error)


def test_c69_done_rows_and_rows_dealt_nothing_read_no_clause() -> None:
    outcome = says(
        ["ab"],
        "pool = sample 1",
        "return expand pool by 1 at temperature 1 - tokens",
    )
    assert added(outcome) == ["ab"]


def test_c69_each_row_is_forced_its_own_words() -> None:
    outcome = says(
        ["ab", "c"],
        "pool = sample 2 max 2 tokens",
        'let said of pool = "<" + text + ">"',
        "force said into pool",
        "return first of pool",
    )
    assert added(outcome, "force") == ["<ab>", "<c>"]


# ------------------------------------------------------------------------------ prompts


def test_c70_slots_show_columns_of_the_row_and_of_the_others() -> None:
    asked = questions(
        "pool = sample 2",
        "let mood of pool = tokens / 4",
        "return first of (ask tell about pool)",
        before='prompt tell = "{mood} {tokens} {done} {value} | {others.mood} | {others.answer}"\n',
        texts=(box(7, "a"), "bc"),
    )
    assert asked[2:] == [
        "2.5 10 yes  | Candidate 1:\n0.5 | Candidate 1:\n",
        "0.5 2 yes  | Candidate 1:\n2.5 | Candidate 1:\n7",
    ]


def test_c70_a_prompt_of_a_pool_lists_a_column_of_each_row() -> None:
    asked = questions(
        "pool = sample 2",
        "return ask tell about pool together",
        before='prompt tell = "{candidates.tokens}"\n',
        texts=("a", "bcd"),
    )
    assert asked[2] == "Candidate 1:\n1\n\nCandidate 2:\n3"


def test_c70_fields_of_the_problem_are_shown_readable() -> None:
    fields = {"choices": ["red", "blue"], "level": 3.0, "share": 1 / 3, "more": {"a": None}}
    asked = questions(
        "return ask tell about problem",
        before='prompt tell = "{field.choices} {field.level} {field.share} {field.more}"\n',
        texts=("x",),
        fields=fields,
    )
    assert asked == ['red\nblue 3 0.333333 {"a": null}']


def test_c70_a_field_that_the_problem_lacks_is_an_error_that_names_those_it_has() -> None:
    plan = plan_of("return ask tell about problem", before='prompt tell = "{field.answer}"\n')
    outcome = run_plan(plan, ScriptedPolicy(["x"]))
    assert "this problem has no field `answer`; its fields: level" in str(outcome.error)


def test_c70_a_prompt_shows_what_a_judge_wrote_about_the_row() -> None:
    before = """judge grade:
    "{text}?"
    read number from 0 to 9
    retry 1

prompt improve = "{text}: {grade}, {grade.words}"
"""
    asked = questions(
        "pool = sample 2",
        "score pool by grade",
        "pool = select top 2 of pool by grade",
        "return first of (ask improve about pool)",
        before=before,
        texts=("a", "b", "not sure", "Fine. 7", "Bad. 2"),
    )
    # The judge's reply about the first cannot be read, and is asked again.
    assert sorted(asked[-2:]) == ["a: 2, Bad. 2", "b: 7, Fine. 7"]


# ------------------------------------------------------------------------------ trees


@pytest.mark.parametrize(
    ("keeping", "expected"), [("", 2), ("keeping max", 4), ("keeping sum", 6), ("keeping last", 1)]
)
def test_c54_a_tree_keeps_a_mean_or_another_figure(keeping: str, expected: float) -> None:
    outcome = says(
        ["abc"],
        "tree = problem",
        "one = sample 1 max 1 tokens",
        f"backup tree from one by 1 {keeping}",
        f"backup tree from one by 4 {keeping}",
        f"backup tree from one by 1 {keeping}",
        "many = max(value of tree)",
        "return first of (fork one into many)",
    )
    assert len(made(outcome, "fork")) == expected
