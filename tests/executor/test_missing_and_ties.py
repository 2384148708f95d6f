"""Missing values, ties, votes and dealing: C33, C37 to C46."""

from __future__ import annotations

from math import log

import pytest

from tests.support.runs import PROBLEM, added, box, made, plan_of, run_plan, says
from tests.support.scripted import ScriptedPolicy, TableScorer
from tts_lang import values
from tts_lang.values import FUNCTIONS, REDUCTIONS

ORM = "scorer orm per solution"


def orm(**scores: float | None) -> dict[str, TableScorer]:
    """An outcome scorer of solutions `\\boxed{NAME...}`, by their first letter's note."""
    table = {box(name[-1], name[:-1]): score for name, score in scores.items()}
    scorer = TableScorer(table, other=0.5)
    scorer.low, scorer.high = 0.0, 1.0
    return {"orm": scorer}


def test_c33_reductions_of_an_empty_vector_are_missing() -> None:
    assert {how: reduce(()) for how, reduce in REDUCTIONS.items()} == dict.fromkeys(REDUCTIONS)


def test_c33_mean_is_over_steps_or_over_rows() -> None:
    scorers = {"prm": TableScorer({"a": 0.2, "b": 0.4, "c": 0.9}, steps=True)}
    outcome = says(
        ["a\n\nb\n\n", "c"],
        "pool = sample 2",
        "score pool by prm",
        "let own of pool = mean(prm)",
        "let over of pool = mean(mean(prm) of pool)",
        "return best of pool where abs(own - 0.3) < 1e-9 and abs(over - 0.6) < 1e-9 by 1",
        scorers=scorers,
    )
    assert outcome.row == 1


def test_c37_comparisons_with_missing_are_false_and_not_is_plain() -> None:
    outcome = says(
        ["no answer", box(1)],
        'yes = (sample 2) where answer == "1"',
        'no = (sample 2) where not answer == "1"',
        "return first of no",
    )
    assert outcome.answer is None
    for name in ("<", "<=", ">", ">=", "==", "!="):
        assert FUNCTIONS[name](None, 1) is False


@pytest.mark.parametrize(
    "call", [("/", 1, 0), ("log", 0), ("sqrt", -1), ("odds", 1), ("+", None, 1)]
)
def test_c37_arithmetic_without_a_result_is_missing(call: tuple[object, ...]) -> None:
    name, *arguments = call
    assert FUNCTIONS[str(name)](*arguments) is None


def test_c47_a_computed_count_is_limited() -> None:
    plan = plan_of(
        "pool = sample 2", "pool = fork pool into 10 ** (9 + count(pool))", "return vote pool"
    )
    outcome = run_plan(plan, ScriptedPolicy([box(4)]))
    assert outcome.error is not None
    assert outcome.error.startswith("main.tts:4: the count is 1e+11")


def test_c47_a_text_that_grows_without_end_is_missing() -> None:
    outcome = says(
        [box(1)],
        'words = "ab"',
        "repeat 60:",
        "    words = words + words",
        "pool = (sample 1) where has(words)",
        "return first of pool",
    )
    assert outcome.error is None
    assert outcome.answer is None


def test_c37_where_and_where_not_partition_a_pool() -> None:
    outcome = says(
        ["x", box(1), box(2)],
        "pool = sample 3",
        'left = pool where answer == "1"',
        'right = pool where not answer == "1"',
        "copies = fork (left + right) into 1",
        "return first of copies",
    )
    assert len(made(outcome, "fork")) == 3


def test_c37_every_verb_of_an_empty_pool_is_empty_without_error() -> None:
    outcome = says(
        ["x"],
        "pool = (sample 1) where steps > 5",
        "pool = expand (select top 2 of pool by tokens) by 2",
        "pool = expand pool to 3 weighted by tokens",
        "pool = fork (vote pool) into 2",
        "pool = resample (sort pool by tokens) to 3 by tokens",
        "pool = dedupe (first 2 of pool)",
        'force "x" into pool',
        "return first of pool",
    )
    assert outcome.answer is None
    assert len(outcome.candidates) == 1


def test_c38_a_missing_condition_takes_else_and_thresholds_are_strict() -> None:
    lines = (
        "pool = sample 1",
        "if max(tokens of (pool where steps > 9)) > 0:",
        "    return sample 1 max 1 tokens",
        "choose by count(pool):",
        "    above 1: return sample 1 max 2 tokens",
        "    above 0: return sample 1 max 3 tokens",
        "    otherwise: return sample 1 max 4 tokens",
    )
    assert added(says(["abcdef"], *lines))[-1] == "abc"


def test_c39_select_puts_missing_last_and_keeps_pool_order() -> None:
    scorers = orm(a1=None, b2=0.3, c3=0.9)
    lines = ("pool = sample 3", "score pool by orm", "kept = select top 2 of pool by orm")
    texts = [box(1, "a"), box(2, "b"), box(3, "c")]
    first = says(texts, *lines, "return first of kept", before=ORM, scorers=scorers)
    assert first.answer == "2"
    outcome = says(
        texts,
        *lines,
        "return first of (kept where orm > 0.4)",
        before=ORM,
        scorers=orm(a1=None, b2=0.3, c3=0.9),
    )
    assert outcome.answer == "3"


def test_c39_a_count_beyond_the_pool_keeps_all_and_below_zero_none() -> None:
    lines = ("pool = sample 3", "kept = select top count(pool) + 5 of pool by tokens")
    outcome = says(["a", "bb", "ccc"], *lines, "kept = fork kept into 1", "return first of kept")
    assert len(made(outcome, "fork")) == 3
    none = "kept = select top count(pool) - 9 of pool by tokens"
    outcome = says(["a"], lines[0], none, "kept = fork kept into 1", "return first of kept")
    assert made(outcome, "fork") == []


@pytest.mark.parametrize(("share", "kept"), [("7%", 7), ("10%", 10), ("0.5%", 1), ("29%", 29)])
def test_c39_a_share_is_rounded_up_as_written(share: str, kept: int) -> None:
    outcome = says(
        ["a"],
        "pool = fork problem into 100",
        f"pool = fork (select top {share} of pool by index) into 1",
        "return expand (first of pool) by 1",
    )
    assert len(made(outcome, "fork")) == 100 + kept


def test_c40_the_answer_is_that_of_the_first_row_and_missing_without_one() -> None:
    assert says([box(7)], "return sample 1").answer == "7"
    assert says(["no"], "return sample 1").answer is None


def test_c41_best_does_not_skip_rows_without_an_answer() -> None:
    scorers = {"orm": TableScorer({"none": 0.9, box(1): 0.1})}
    outcome = says(
        [box(1), "none"],
        "pool = sample 2",
        "score pool by orm",
        "return best of pool by orm",
        before=ORM,
        scorers=scorers,
    )
    assert outcome.answer is None


def test_c42_votes_count_classes_of_one_canonical_form() -> None:
    outcome = says([box("3"), box("1/2"), box("0.5")], "return vote (sample 3)")
    assert (outcome.answer, outcome.answer_key) == ("1/2", "1/2")


def test_c43_ties_go_to_the_earliest_class_and_row() -> None:
    outcome = says([box(2), box(1), box(1, "x"), box(2, "y")], "return vote (sample 4)")
    assert (outcome.answer, outcome.row) == ("2", 1)


def test_c43_the_heaviest_row_represents_the_elected_class() -> None:
    outcome = says(
        [box(2), box(1), box(2, "y")],
        "pool = sample 3",
        "score pool by orm",
        "return vote pool weighted by orm",
        before=ORM,
        scorers=orm(y2=0.9),
    )
    assert outcome.row == 3


def test_c43_zero_weights_elect_the_earliest_answer() -> None:
    outcome = says(["none", box(5), box(6), box(6)], "return vote (sample 4) weighted by 0")
    assert outcome.answer == "5"


def test_c43_a_missing_weight_weighs_nothing() -> None:
    outcome = says(
        [box(1), box(1), box(2)],
        "pool = sample 3",
        "score pool by orm",
        "return vote pool weighted by orm",
        before=ORM,
        scorers={"orm": TableScorer({box(1): None, box(2): 0.1})},
    )
    assert outcome.answer == "2"


def test_c43_a_negative_weight_is_an_error_that_names_statement_and_candidate() -> None:
    plan = plan_of("pool = sample 2", "return vote pool weighted by 0 - tokens")
    outcome = run_plan(plan, ScriptedPolicy([box(4)]))
    assert outcome.answer is None
    assert outcome.error is not None
    assert outcome.error.startswith("main.tts:4: the weight of candidate 1")
    assert "boxed{4}" in outcome.error
    assert "0 or more" in outcome.error


def posterior(first: float, second: float) -> float:
    """The probability that the first of two is the more frequent, by its beta distribution."""
    from scipy.stats import beta  # half a second

    return float(beta(first + 1, second + 1).sf(0.5))


@pytest.mark.parametrize(("first", "second"), [(3, 1), (5, 5), (10, 2), (0, 0), (1, 0)])
def test_c44_lead_of_whole_votes_is_the_beta_posterior(first: int, second: int) -> None:
    assert values.lead([second, first]) == pytest.approx(posterior(first, second))


@pytest.mark.parametrize(("first", "second"), [(0.7, 0.2), (2.5, 0.1), (9.9, 9.8), (0.0, 0.5)])
def test_c44_lead_of_weighted_votes_is_the_beta_posterior(first: float, second: float) -> None:
    high, low = max(first, second), min(first, second)
    assert values.lead([first, second]) == pytest.approx(posterior(high, low))


@pytest.mark.parametrize(
    ("first", "second"),
    [(2048, 2000), (2500, 2400), (50_001, 50_000), (50_500.5, 49_600), (1e6, 999_500), (1e9, 1e9)],
)
def test_c44_lead_of_many_votes_is_the_beta_posterior(first: float, second: float) -> None:
    assert values.lead([second, first]) == pytest.approx(posterior(first, second), rel=1e-8)


def test_c44_share_entropy_and_quantile() -> None:
    assert values.share([1, 3]) == 0.75
    assert values.entropy([1, 1]) == pytest.approx(log(2))
    assert values.quantile([4, 1, 3, 2], 0.25) == 1.75
    assert values.std([1, 3]) == 1
    assert values.share([]) == values.lead([]) == values.entropy([]) == 0


def test_c44_softmax_is_shifted_and_missing_weighs_nothing() -> None:
    assert values.softmax([1e9, None, 1e9], 1.0) == [0.5, 0.0, 0.5]
    assert values.ranks([0.5, None, 0.9, 0.5]) == [2, None, 1, 2]


@pytest.mark.parametrize(
    ("by", "order"),
    [
        ("(orm, -tokens)", "bcad"),
        ("(orm, tokens)", "cbad"),
        ("(-orm, -tokens, index)", "abcd"),
        ("-rank(orm, -tokens)", "bcad"),
        ("(tokens, orm)", "acbd"),
    ],
)
def test_c75_one_number_after_another_decides_and_missing_is_last(by: str, order: str) -> None:
    texts = {"a": box("1", "aaa"), "b": box("1", "b"), "c": box("1", "cc"), "d": box("1", "")}
    scores = {texts["a"]: 0.1, texts["b"]: 0.9, texts["c"]: 0.9, texts["d"]: None}
    outcome = says(
        list(texts.values()),
        "pool = sample 4",
        "score pool by orm",
        f"pool = sort pool by {by}",
        'force "!" into pool',
        "return first of pool",
        before=ORM,
        scorers={"orm": TableScorer(scores)},
    )
    names = {record.uid: name for name, record in zip("abcd", outcome.candidates, strict=False)}
    assert "".join(names[record.before] for record in made(outcome, "force")) == order


def test_c45_sums_do_not_depend_on_order() -> None:
    weights = [0.1] * 10
    assert values.AGGREGATES["sum"](weights) == 1.0


def test_c46_until_is_read_before_every_round_and_not_after_the_last() -> None:
    lines = (
        "pool = sample 1",
        "repeat 3 until count(pool) >= {n}:",
        "    pool = pool + (sample 1)",
    )
    counts = []
    for most in (1, 3, 9):
        body = (lines[0], lines[1].format(n=most), lines[2])
        counts.append(len(made(says(["a"], *body, "return first of pool"), "expand")))
    assert counts == [1, 3, 4]


def test_c20_dealing_largest_remainders_ties_to_the_earlier() -> None:
    lines = ("pool = sample 3 steps", "next = expand pool to {n} steps{w}", "return first of next")
    for total, weight, expected in (
        (4, "", [2, 1, 1]),
        (5, "", [2, 2, 1]),
        (2, "", [1, 1]),
        (4, " weighted by tokens", [1, 1, 2]),
        (4, " weighted by 0", [2, 1, 1]),
    ):
        texts = ["a\n\nx", "b\n\nx", "cc\n\nx", "y"]
        body = (lines[0], lines[1].format(n=total, w=weight), lines[2])
        children = made(says(texts, *body), "expand")[3:]
        parents = [child.parent for child in children]
        assert [parents.count(uid) for uid in dict.fromkeys(parents)] == expected


def test_c20_rounding_up_gives_the_heaviest_the_ceiling_of_what_is_left() -> None:
    texts = ["a\n\nx", "bbbb\n\nx", "cc\n\nx", "y"]
    outcome = says(
        texts,
        "pool = sample 3 steps",
        "next = expand pool to 4 steps weighted by tokens - 2 rounding up",
        "return first of next",
    )
    parents = [child.parent for child in made(outcome, "expand")[3:]]
    # Weights 1, 4, 2 of 4: ceil(16/7) = 3 for the second, then ceil(2/3) = 1 for the third.
    assert parents == [2, 2, 2, 3]


def test_the_problem_file_grades_as_a_scorer() -> None:
    outcome = says(
        [box(9), box("4/2")],
        "pool = sample 2",
        "score pool by gold",
        "return best of pool by gold",
        before='scorer gold field "answer"',
    )
    assert PROBLEM.answer == "2"
    assert outcome.answer == "4/2"


def test_scores_outside_the_declared_range_are_errors() -> None:
    before = "scorer orm per solution from 0 to 1"
    lines = ("pool = sample 1", "score pool by orm", "return best of pool by orm")
    plan = plan_of(*lines, before=before)
    outcome = run_plan(plan, ScriptedPolicy([box(4)]), {"orm": TableScorer({}, other=1.5)})
    assert outcome.error is not None
    assert "scorer `orm` gave 1.5, outside its range 0 to 1" in outcome.error
    assert "boxed{4}" in outcome.error
