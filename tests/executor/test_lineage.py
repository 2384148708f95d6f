"""Columns that survive, parents, roots, identity, trees: C28 to C34 and C48 to C55."""

from __future__ import annotations

import pytest

from tests.support.runs import added, box, made, says
from tests.support.scripted import ScriptedPolicy, TableScorer

ASK = 'prompt again = "{text} again"'
PRM = {"a": 0.1, "b": 0.2, "c": 0.3, "d": 0.4}


def prm() -> dict[str, TableScorer]:
    return {"prm": TableScorer(PRM, steps=True)}


def test_c28_scores_survive_copies_and_choices() -> None:
    outcome = says(
        ["a", "b"],
        "pool = sample 2",
        "score pool by prm",
        "pool = resample (fork (sort pool by last(prm)) into 2) to 4 by last(prm)",
        "return best of (dedupe pool) by last(prm)",
        scorers=prm(),
    )
    assert outcome.candidates[outcome.row - 1].scores == {"prm": (0.2,)} if outcome.row else False


def test_c29_scoring_rebinds_a_name_and_leaves_the_other_alone() -> None:
    scorers = {"orm": TableScorer({"a": 0.9, "b": 0.1})}
    outcome = says(
        ["a", "b"],
        "pool = sample 2",
        "same = pool",
        "score pool by orm",
        "let mark of same = 1",
        "score same by orm",
        "return best of same by orm",
        before="scorer orm per solution",
        scorers=scorers,
    )
    assert outcome.row == 1
    assert len(scorers["orm"].requests) == 2


def test_c30_a_row_in_both_sides_of_a_union_appears_once_with_the_lefts_values() -> None:
    outcome = says(
        ["a", "b"],
        "pool = sample 2",
        "left = first of pool",
        "let mark of left = 5",
        "let mark of pool = 1",
        "both = left + pool",
        "copies = fork both into 1",
        "return best of copies by mark",
    )
    assert len(made(outcome, "fork")) == 2
    assert outcome.row == 3


def test_c31_let_columns_are_inherited() -> None:
    outcome = says(
        ["ab\n\nc", "x", "y"],
        "pool = sample 1 step",
        "let size of pool = tokens",
        "pool = expand pool by 1",
        'force "z" into pool',
        "pool = ask again about pool",
        "return pool where size == 4",
        before=ASK,
    )
    assert outcome.row == 4


def test_c32_only_steps_that_are_new_are_scored() -> None:
    scorers = prm()
    outcome = says(
        ["a\n\nb\n\nc\n\nd"],
        "pool = sample 1 step",
        "score pool by prm",
        "repeat 3:",
        "    pool = expand pool by 1 step",
        "    score pool by prm",
        "return pool",
        scorers=scorers,
    )
    assert [request.known for request in scorers["prm"].requests] == [0, 1, 2, 3]
    assert outcome.candidates[-1].scores == {"prm": (0.1, 0.2, 0.3, 0.4)}


def test_c32_an_open_last_step_is_scored_again_when_it_grows() -> None:
    scorers = {"prm": TableScorer({"a": 0.1, "b": 0.2, "bc": 0.7}, steps=True)}
    outcome = says(
        ["a\n\nb"],
        "pool = sample 1",
        "score pool by prm",
        'force "c" into pool',
        "score pool by prm",
        "return pool",
        scorers=scorers,
    )
    assert [(each.known, each.steps) for each in scorers["prm"].requests] == [
        (0, ("a", "b")),
        (1, ("a", "bc")),
    ]
    assert outcome.candidates[-1].scores == {"prm": (0.1, 0.7)}


def test_c11_looking_ahead_scores_greedy_rollouts_and_keeps_no_child() -> None:
    engine = ScriptedPolicy(["a\n\nx", "b\n\nx"])
    scorers = {"prm": TableScorer({"x": 0.9, "a": 0.1, "b": 0.1}, steps=True)}
    outcome = says(
        [],
        "pool = sample 2 steps",
        "score pool by prm looking ahead 1 steps",
        "pool = expand pool by 1 step",
        "score pool by prm",
        "return best of pool by last(prm)",
        policy=engine,
        scorers=scorers,
    )
    ahead = engine.requests[2:4]
    assert [request.sampling.temperature for request in ahead] == [0, 0]
    assert [request.key for request in ahead] == [request.key for request in engine.requests[4:6]]
    assert outcome.candidates[0].scores == {"prm": (0.1, 0.9)}
    assert added(outcome) == ["a\n\n", "b\n\n", "x", "x"]


JUDGE = """judge grade:
    "{text} Grade:"
    read number from 0 to 9
    retry 1"""


def test_c34_a_judge_is_pure_and_asks_again_what_it_cannot_read() -> None:
    engine = ScriptedPolicy(["a", "what?", "7 of 9"])
    outcome = says(
        [],
        "pool = sample 1",
        "score pool by grade",
        "score pool by grade",
        "return best of pool by grade",
        before=JUDGE,
        policy=engine,
    )
    assert outcome.candidates[0].scores == {"grade": 7.0}
    assert len(engine.requests) == 3
    assert engine.requests[1].key != engine.requests[2].key


def test_c34_readings_are_independent_and_reduced_like_steps() -> None:
    engine = ScriptedPolicy(["a", "3", "5", "x", "x"])
    outcome = says(
        [],
        "pool = sample 1",
        "score pool by grade times 3",
        "return pool where mean(grade) == 4",
        before=JUDGE,
        policy=engine,
    )
    assert outcome.candidates[0].scores == {"grade": (3.0, 5.0, None)}
    assert outcome.row == 1


@pytest.mark.parametrize(
    ("read", "reply", "scores"),
    [
        ("read choice", "I choose 2.", [0.0, 1.0, 0.0]),
        ("read ranking", "3 > 1", [0.5, None, 1.0]),
    ],
)
def test_c34_set_wise_judges(read: str, reply: str, scores: list[float | None]) -> None:
    judge = f'judge pick together:\n    "{{candidates}} Best:"\n    {read}'
    outcome = says(
        ["a", "b", "c", reply],
        "pool = sample 3",
        "score pool by pick",
        "return best of pool by pick",
        before=judge,
    )
    assert [each.scores["pick"] for each in outcome.candidates] == scores
    assert outcome.row == scores.index(1.0) + 1


def test_c34_a_pairwise_judge_counts_wins_over_ordered_pairs() -> None:
    judge = 'judge duel pairwise:\n    "{candidates} Better:"\n    read choice'
    replies = ["1", "1", "2", "1", "2", "1"]
    outcome = says(
        ["a", "b", "c", *replies],
        "pool = sample 3",
        "score pool by duel",
        "return best of pool by duel",
        before=judge,
    )
    # (a, b) a; (a, c) a; (b, a) a; (b, c) b; (c, a) a; (c, b) c.
    assert [each.scores["duel"] for each in outcome.candidates] == [4.0, 1.0, 1.0]


def test_c48_parent_is_what_expand_or_ask_worked_on() -> None:
    outcome = says(
        ["a\n\nb", "c"],
        "pool = sample 1 step",
        'force "x" into pool',
        "pool = expand pool by 1 step",
        "pool = ask again about pool",
        "return pool",
        before=ASK,
    )
    assert [(each.op, each.parent) for each in outcome.candidates] == [
        ("expand", 0),
        ("force", 0),
        ("expand", 2),
        ("ask", 3),
    ]


def test_c49_root_is_the_nearest_made_from_the_problem_or_by_fork() -> None:
    outcome = says(
        ["a\n\nb", "c\n\nd", "e"],
        "pool = sample 2 steps",
        "pool = expand pool by 1 step",
        "pool = fork (first of pool) into 2",
        "pool = expand pool by 1",
        "return first of (vote pool per root)",
    )
    assert [each.root for each in outcome.candidates] == [1, 2, 1, 2, 5, 6]


def test_c49_trees_of_a_forced_problem_begin_with_their_first_sampled_rows() -> None:
    outcome = says(
        ["a", "b"],
        "start = problem",
        'force "Well" into start',
        "pool = expand start by 2",
        "return first of (vote pool per root)",
    )
    assert [(each.op, each.root) for each in outcome.candidates] == [
        ("force", None),
        ("expand", 2),
        ("expand", 3),
    ]


def test_c51_copies_are_rows_of_their_own_and_count_in_votes() -> None:
    outcome = says(
        [box(1), box(2)],
        "pool = sample 2",
        'second = pool where answer == "2"',
        "return vote (pool + (fork second into 2))",
    )
    assert outcome.answer == "2"


def test_c52_dedupe_keeps_the_first_of_equal_keys_and_all_without_one() -> None:
    outcome = says(
        ["x", "y", box(1), box("1.0")],
        "pool = dedupe (sample 4) by answer",
        "copies = fork pool into 1",
        "return first of copies",
    )
    assert len(made(outcome, "fork")) == 3


TREE = (
    "tree = problem",
    "repeat 3:",
    "    leaf = descend tree by value",
    "    children = expand leaf by 2 steps",
    "    score children by prm",
    "    tree = tree + children",
    "    backup tree from children by last(prm)",
)


def test_c54_backup_and_descend_walk_to_the_largest_mean_unvisited_first() -> None:
    texts = ["a\n\nx", "d\n\nx", "b\n\nx", "c\n\nx", "a\n\ny", "a\n\ny"]
    outcome = says(
        texts,
        *TREE,
        "best_one = tree where visits > 0",
        "return best of best_one by visits",
        scorers=prm(),
    )
    # d (0.4) is expanded second: its first child continues with its stream (x: 0.5), the other says
    # b (0.2). Then d is (0.4 + 0.5 + 0.2) / 3 and still ahead of a (0.1); x, the better, is next.
    assert [each.parent for each in made(outcome, "expand")] == [0, 0, 2, 2]
    assert outcome.row == 0


def test_c54_parent_visits_of_a_top_row_are_those_of_all_tops() -> None:
    outcome = says(
        ["a", "b", "c"],
        "tree = sample 3",
        "backup tree from tree by 1",
        "leaf = descend tree by index * (parent_visits - 2)",
        "return leaf",
    )
    assert outcome.row == 3


def test_c55_several_walks_leave_visits_of_value_zero_behind() -> None:
    outcome = says(
        ["a", "b", "c"],
        "tree = sample 3",
        "backup tree from tree by 1",
        "found = descend tree by value - visits times 2",
        "copies = fork found into 1",
        "return first of copies",
    )
    assert len(made(outcome, "fork")) == 2


def test_c55_equal_leaves_are_given_once() -> None:
    outcome = says(
        ["a"],
        "tree = sample 1",
        "found = descend tree by value times 3",
        "copies = fork found into 1",
        "return first of copies",
    )
    assert len(made(outcome, "fork")) == 1


def test_leaves_are_rows_that_are_no_parents() -> None:
    outcome = says(
        ["a\n\nb", "c"],
        "tree = sample 2 steps",
        "children = expand (first of tree) by 1",
        "tree = tree + children",
        "copies = fork leaves(tree) into 1",
        "return first of copies",
    )
    assert len(made(outcome, "fork")) == 2


def test_slots_show_attempts_solutions_and_others() -> None:
    before = (
        'prompt one = "{problem}|{text}"\n'
        'prompt two(limit) = "{attempts last 2}|{solution}|{limit}|{others}"'
    )
    outcome = says(
        ["a</think>b", "c", "d", "e"],
        "pool = sample 2",
        "pool = ask one about pool",
        "pool = ask two(2 * 4) about pool",
        "return first of pool",
        before=before,
        policy=ScriptedPolicy(["a</think>b", "c", "d", "e", "f"], thinking=True),
    )
    prompts = [each.prompt for each in made(outcome, "ask")]
    assert prompts[0] == "What is 1 + 1?|a</think>b"
    assert prompts[2] == ("Attempt 1:\na</think>b\n\nAttempt 2:\nd|d|8|Candidate 1:\ne")
