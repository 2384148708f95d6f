"""What one generation call does: C16 to C27."""

from __future__ import annotations

import pytest

from tests.support.runs import added, box, made, plan_of, run_plan, says
from tests.support.scripted import ScriptedPolicy


def test_c17_the_policy_ends_the_path_limit_and_the_window_make_done() -> None:
    lines = ("pool = sample 1 {clause}", "pool = expand pool by 1 max 2 tokens", "return pool")
    for clause, texts in (
        ("", ["abcdef"]),
        ("within 3 tokens", ["abc"]),
        ("max 3 tokens", ["abc", "de"]),
        ('stop at "c"', ["abc", "de"]),
    ):
        outcome = says(["abcdef"], lines[0].format(clause=clause), *lines[1:])
        assert added(outcome) == texts, clause
    full = ScriptedPolicy(["abcdef"], context=14 + 4)
    outcome = says([], "pool = sample 1", "return expand pool by 1", policy=full)
    assert [(record.added, record.finish, record.done) for record in outcome.candidates] == [
        ("abcd", "length", True)
    ]


def test_c18_done_rows_pass_once_with_their_identity() -> None:
    outcome = says(
        ["end", "a\n\nmore", "rest"],
        "pool = sample 2 steps",
        "pool = expand pool by 2 steps",
        "pool = fork pool into 1",
        "return first of pool",
    )
    assert added(outcome) == ["end", "a\n\n", "more", "rest"]
    assert len(made(outcome, "fork")) == 3


def test_c18_expand_to_gives_its_number_to_live_rows_only() -> None:
    outcome = says(
        ["end", "a\n\nmore", "b\n\nmore", "x"],
        "pool = sample 3 steps",
        "pool = expand pool to 3",
        "return first of pool",
    )
    assert [record.parent for record in made(outcome, "expand")[3:]] == [2, 2, 3]
    assert outcome.row == 1


def test_c18_a_live_row_dealt_nothing_leaves_the_pool() -> None:
    outcome = says(
        ["a\n\nx", "b\n\nx", "c"],
        "pool = sample 2 steps",
        "pool = fork (expand pool to 1) into 1",
        "return first of pool",
    )
    assert len(made(outcome, "fork")) == 1


def test_c19_children_stand_where_their_parent_stood() -> None:
    outcome = says(
        ["a\n\nx", "b\n\ny", "c", "d"],
        "pool = sample 2 steps",
        "pool = expand pool by 2",
        "return first of pool",
    )
    children = made(outcome, "expand")[2:]
    assert [record.parent for record in children] == [1, 1, 2, 2]


def test_c21_max_is_per_call_and_leaves_the_step_open() -> None:
    outcome = says(["abcdef"], "pool = sample 1 step max 2 tokens", "return expand pool by 1 step")
    first, second = outcome.candidates
    assert (first.added, first.finish, first.done) == ("ab", "length", False)
    assert second.added == "cdef"


def test_c21_within_counts_the_sampled_tokens_of_the_path() -> None:
    outcome = says(
        ["abcdef", "ghijk"],
        "pool = sample 1 max 2 tokens",
        'force "12345" into pool',
        "pool = expand pool by 1 within 5 tokens",
        "return expand pool by 1 within 5 tokens",
    )
    last = outcome.candidates[-1]
    assert (last.added, last.tokens, last.ids) == ("ghi", 5, 10)
    assert (last.finish, last.done) == ("length", True)


def test_c21_with_nothing_left_a_row_passes_through_done() -> None:
    outcome = says(
        ["abcdef"],
        "pool = sample 1 max 4 tokens",
        "pool = expand pool by 3 within 4 tokens",
        'ended = pool where done and finish == "length"',
        "copies = fork ended into 1",
        "return first of copies",
    )
    assert len(made(outcome, "expand")) == 1
    assert len(made(outcome, "fork")) == 1


def test_c22_a_new_conversation_starts_its_counts_anew() -> None:
    outcome = says(
        ["abc", "defgh"],
        "pool = sample 1",
        "pool = ask again about pool within 4 tokens",
        "return first of (pool where tokens == 4)",
        before='prompt again = "{problem} {text}"',
    )
    (asked,) = made(outcome, "ask")
    assert (asked.added, asked.tokens, asked.ids, asked.steps) == ("defg", 4, 4, 1)
    assert asked.prompt == "What is 1 + 1? abc"
    assert asked.logprob == -2.0
    assert outcome.row == asked.uid


def test_c23_the_unit_reached_is_a_stop() -> None:
    outcome = says(["abcdef"], "return sample 1 x 3 tokens")
    (record,) = outcome.candidates
    assert (record.added, record.finish, record.done) == ("abc", "stop", False)


def test_c23_a_step_ends_behind_a_piece_that_is_not_blank() -> None:
    outcome = says(["\n\na\n\nb\n\nc"], "return sample 1 x 2 steps")
    assert added(outcome) == ["\n\na\n\nb\n\n"]


def test_c24_steps_are_what_scorers_see() -> None:
    outcome = says(["a\n\nb"], "pool = sample 1", "return pool where steps == 2")
    assert outcome.row == 1


def test_c25_a_thought_stops_before_its_delimiter_which_is_drawn_again() -> None:
    thinker = ScriptedPolicy(["hm</think>\\boxed{3}"], thinking=True)
    outcome = says([], "trace = sample 1 thought", "return expand trace by 1", policy=thinker)
    assert added(outcome) == ["hm", "</think>\\boxed{3}"]
    assert outcome.answer == "3"
    assert thinker.requests[0].prompt == tuple(b"What is 1 + 1?<think>")
    assert thinker.requests[0].key == thinker.requests[1].key


def test_c26_a_stop_text_is_kept_whole_and_does_not_make_done() -> None:
    outcome = says(["ab;cd"], 'pool = sample 1 stop at ";"', "return expand pool by 1")
    first, second = outcome.candidates
    assert (first.added, first.finish, first.done) == ("ab;", "stop", False)
    assert second.added == "cd"


@pytest.mark.parametrize(
    ("clause", "drawn"),
    [
        ("stop when", [("abc", False), ("de", False), ("fgh", True)]),
        ("end when", [("abc", False), ("de", True)]),
    ],
)
def test_c27_a_condition_sees_the_whole_path_after_every_token_and_end_when_makes_done(
    clause: str, drawn: list[tuple[str, bool]]
) -> None:
    outcome = says(
        ["abcdefgh"],
        "pool = sample 1 max 3 tokens",
        f"pool = expand pool by 1 {clause} tokens >= 5",
        "return expand pool by 1",
    )
    assert [(each.added, each.done) for each in outcome.candidates] == drawn


def test_c17_end_when_holds_at_the_end_of_a_step_too() -> None:
    """Whatever else stops the call at that token: the path has ended."""
    outcome = says(
        ["ab\n\ncd\n\n"],
        "pool = expand problem by 1 step end when steps >= 1 and tokens >= 4",
        "return expand pool by 1 step",
    )
    assert [(each.added, each.done) for each in outcome.candidates] == [("ab\n\n", True)]


def test_c27_a_window_that_is_not_full_does_not_fire() -> None:
    outcome = says(["abcdefgh"], "return sample 1 stop when confidence(tail 6) > 0")
    assert added(outcome) == ["abcdef"]


def test_likeliest_children_start_with_the_ranks_of_their_numbers() -> None:
    engine = ScriptedPolicy(["a"])
    run_plan(plan_of("pool = sample 3 likeliest", "return first of pool"), engine)
    assert [request.first_rank for request in engine.requests] == [0, 1, 2]


def test_a_prompt_that_fills_the_window_is_an_error_with_advice() -> None:
    outcome = run_plan(plan_of("return sample 1"), ScriptedPolicy(["a"], context=10))
    assert outcome.error is not None
    assert "the prompt has 14 tokens" in outcome.error
    assert "a context window of 10" in outcome.error


@pytest.mark.parametrize(
    ("clause", "message"),
    [
        ("at temperature 0 - tokens_of", "the temperature is -"),
        ("max tokens_of - 9 tokens", "max is -"),
        ("top_p tokens_of", "top_p is"),
    ],
)
def test_clauses_that_make_no_sense_are_errors(clause: str, message: str) -> None:
    plan = plan_of(
        "first_one = sample 1", "tokens_of = max(tokens of first_one)", f"return sample 1 {clause}"
    )
    outcome = run_plan(plan, ScriptedPolicy(["abc"]))
    assert outcome.error is not None
    assert message in outcome.error
    assert outcome.error.startswith("main.tts:5: ")


def test_c35_a_fallback_answer_counts_only_where_the_policy_ended() -> None:
    assert says(["so 12"], "return sample 1").answer == "12"
    assert says(["so 12 "], "return sample 1 max 5 tokens").answer is None
    assert says([box(3) + " 12"], "return sample 1 max 9 tokens").answer == "3"


def test_c36_logprob_counts_the_end_while_it_stands() -> None:
    outcome = says(["ab"], "pool = sample 1", 'force "x" into pool', "return pool")
    sampled, forced = outcome.candidates
    assert (sampled.logprob, forced.logprob) == (-1.5, -1.0)
