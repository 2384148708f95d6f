"""What a run stops generating (C45, C58): votes that are over, candidates behind the first hit."""

from __future__ import annotations

import asyncio
from asyncio import Future
from collections import Counter
from collections.abc import Collection, Sequence
from fractions import Fraction
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.runs import PROBLEM, box, plan_of
from tests.support.scripted import ScriptedPolicy, TableScorer
from tts_lang.plan.graph import Plan
from tts_runtime.engines.base import GenerateRequest, Generation, ScorerEngine
from tts_runtime.engines.sim.virtual import run_virtual
from tts_runtime.executor import PASSES, Outcome, bind, early_exit, execute

ORM = "scorer orm per solution from 0 to 1"
WEIGHTED = ("score pool by orm", "return vote pool weighted by orm")


def outcome(
    plan: Plan,
    policy: ScriptedPolicy,
    passes: Collection[str] = tuple(PASSES),
    scorer: ScorerEngine | None = None,
) -> Outcome:
    """One run in virtual time; nothing may be in flight behind it."""
    bound = bind(plan, {"policy": policy}, {} if scorer is None else {"orm": scorer}, passes)
    found = run_virtual(execute(bound, PROBLEM, 0))
    assert found.error is None, found.error
    return found


def votes(
    answers: str,
    *lines: str,
    delays: Sequence[float] = (),
    scores: dict[str, float | None] | None = None,
    before: str = ORM,
) -> tuple[str | None, int]:
    """The answer of candidates that say these letters, and how many were not generated.

    The n-th candidate takes n virtual seconds, unless `delays` says otherwise.
    """
    policy = ScriptedPolicy([box(letter) for letter in answers], delays or range(1, 99))
    table = {box(letter): score for letter, score in (scores or {}).items()}
    plan = plan_of(f"pool = sample {len(answers)}", *lines, before=before)
    scorer = TableScorer(table, other=1.0)
    found = outcome(plan, policy, scorer=scorer)
    everything = outcome(
        plan, ScriptedPolicy([box(letter) for letter in answers], delays), (), scorer
    )
    assert found.answer_key == everything.answer_key
    assert policy.waiting == 0
    assert policy.cancelled == 0, "generated without need"
    assert found.counts.policy_calls == len(policy.requests)
    return found.answer, len(answers) - len(policy.requests)


def test_c45_a_vote_generates_what_its_decision_needs() -> None:
    assert votes("11121", "return vote pool") == ("1", 2)
    # 1 has three of the first four: nobody can know before that a fourth is needed.
    assert votes("1112221", "return vote pool") == ("1", 0)
    assert votes("1121112", "return vote pool") == ("1", 2)


@settings(deadline=None)
@given(st.lists(st.sampled_from("1234"), min_size=1, max_size=12), st.randoms())
def test_c45_a_vote_generates_no_candidate_beyond_the_one_that_decides(
    answers: list[str], random: Random
) -> None:
    """Whatever arrives first, and however early a class may still win."""
    delays = [random.choice((1.0, 2.0, 5.0, 9.0)) for _ in answers]
    _, saved = votes("".join(answers), "return vote pool", delays=delays)

    def over(known: int) -> bool:
        """Whether every end of this beginning elects the same class."""
        counts = Counter(answers[:known])
        leader, votes_of_leader = counts.most_common(1)[0]
        left = len(answers) - known
        rivals = {each: number for each, number in counts.items() if each != leader}
        earlier = set(answers[: answers.index(leader)])
        return left <= votes_of_leader and all(
            number + left < votes_of_leader + (each not in earlier)
            for each, number in rivals.items()
        )

    needed = next(known for known in range(1, len(answers) + 1) if over(known))
    assert saved == len(answers) - needed


class Dated(ScriptedPolicy):
    """Knows when it was asked."""

    def generate(self, request: GenerateRequest) -> Future[Generation]:
        self.times.append(asyncio.get_running_loop().time())
        return super().generate(request)

    times: list[float]


def test_c45_few_rows_look_at_every_class(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of many different answers, a vote compares as many sums as there are rows, about."""

    def compared(rows: int) -> int:
        sums: list[Fraction] = []

        def rounded(votes: Fraction) -> float:
            sums.append(votes)
            return float(votes)

        monkeypatch.setattr(early_exit, "_rounded", rounded)
        texts = [box(str(number // 2 if number < rows // 2 else 0)) for number in range(rows)]
        plan = plan_of(f"pool = sample {rows}", "return vote pool")
        assert outcome(plan, ScriptedPolicy(texts)).answer == "0"
        return len(sums)

    assert compared(400) < 3 * compared(200)


def test_c45_a_row_that_dissents_is_made_up_for_at_once() -> None:
    """The first row is slow: what arrives before it says how many more are needed."""
    policy = Dated([box(each) for each in "11212"], delays=(9, 1, 2, 3, 3))
    policy.times = []
    assert outcome(plan_of("return vote (sample 5)"), policy).answer == "1"
    assert policy.times == [0, 0, 0, 2]


def test_c45_equal_votes_decide_only_for_the_earlier_class() -> None:
    # 1 leads by two with two to come. Were both 2, the sums would be equal and 1 came first.
    assert votes("1112", "return vote pool") == ("1", 2)
    assert votes("1122", "return vote pool") == ("1", 2)
    # 2 leads by two with two to come, but 1 came first: `>=` would elect 2 here.
    assert votes("122211", "return vote pool") == ("1", 0)


def test_c45_a_row_on_its_way_may_begin_the_earlier_class() -> None:
    # The first candidate is the last to come: with it, 2 draws level and came first.
    assert votes("2112", "return vote pool", delays=(9, 1, 2, 3)) == ("2", 0)
    # Two for 1 are there, but the row that stands for it might still be the first.
    assert votes("11111", "return vote pool", delays=(9, 1, 2, 3, 8)) == ("1", 2)


def test_c45_weights_count_with_their_declared_range() -> None:
    # 0.9 + 0.9 for 1 against 0.1 + 1 for 2 and the one that is still to come.
    scores: dict[str, float | None] = {"1": 0.9, "2": 0.1}
    assert votes("1122", *WEIGHTED, scores=scores) == ("1", 1)
    wide = "scorer orm per solution from 0 to 10"
    assert votes("1122", *WEIGHTED, scores=scores, before=wide) == ("1", 0)
    assert votes("1122", *WEIGHTED, scores={"1": None, "2": 0.1}) == ("2", 0)


@pytest.mark.parametrize(
    ("weight", "saved"),
    [
        ("orm / 2", 2),
        ("clip(exp(logprob), 0, 1) + orm", 1),
        ("orm - 1", 0),  # may be below 0
        ("1 / orm", 0),  # has no upper bound
        ("softmax(orm)", 0),  # depends on the pool
        ("rank(orm)", 0),
        ("mean(orm of pool)", 0),
        ("uniform()", 0),  # draws in the order of rows
    ],
)
def test_c45_only_bounded_weights_of_the_row_alone(weight: str, saved: int) -> None:
    lines = ("score pool by orm", f"return vote pool weighted by {weight}")
    assert votes("11111", *lines)[1] == saved


@pytest.mark.parametrize(
    "lines",
    [
        ("best = vote pool", "return vote (best + pool)"),
        ("best = vote pool", "return expand best by 1"),
        ("best = vote pool", "if count(best) > 3:", "    return best", "return best"),
        ("return vote pool on root",),
        ("return first of (vote pool per root)",),
    ],
)
def test_c45_only_where_nothing_but_the_answer_is_read(lines: Sequence[str]) -> None:
    assert votes("11111", *lines)[1] == 0


def test_c45_a_called_vote_that_is_returned_counts_as_the_last_one() -> None:
    policy = ScriptedPolicy([box(1)], delays=range(1, 9))
    before = "strategy inner():\n    pool = sample 5\n    return vote pool\n"
    assert outcome(plan_of("return inner()", before=before), policy).answer == "1"
    assert len(policy.requests) == 3
    policy = ScriptedPolicy([box(1)], delays=range(1, 9))
    assert outcome(plan_of("p = inner()", "return expand p by 1", before=before), policy)
    assert len(policy.requests) == 5


def test_c45_rows_that_still_think_are_counted_before_they_answer() -> None:
    policy = ScriptedPolicy([f"a\n\n{box(1)}"], delays=(1, 1, 1, 50, 50, 1, 1, 1))
    plan = plan_of("pool = sample 5 steps", "return vote (expand pool by 1)")
    assert outcome(plan, policy).answer == "1"
    assert policy.cancelled == 2


def test_c45_the_answer_is_the_earliest_of_its_class_whatever_came_first() -> None:
    texts = ("0.5", "1/2", "1/2", "7", "7")
    scores: dict[str, float | None] = {box("0.5"): 0.1, box("1/2"): 1.0, box("7"): 0.0}
    plan = plan_of("pool = sample 5", *WEIGHTED, before=ORM)
    for delays in ((1, 2, 3, 8, 9), (5, 1, 2, 3, 4), (3, 2, 1, 9, 4)):
        policy = ScriptedPolicy(list(map(box, texts)), delays)
        found = outcome(plan, policy, scorer=TableScorer(scores))
        assert (found.answer, found.answer_key) == ("0.5", "1/2")


def test_c57_a_generation_that_is_not_needed_cannot_fail() -> None:
    texts, delays = [box(1)], (1.0, 1.0, 5.0)
    plan = plan_of("pool = sample 3", "return vote pool")
    bound = bind(plan, {"policy": ScriptedPolicy(texts, delays, failures=(2,))}, {})
    assert run_virtual(execute(bound, PROBLEM, 0)).error == "request 2 broke"
    assert outcome(plan, ScriptedPolicy(texts, delays, failures=(2,))).answer == "1"


def test_c58_candidates_behind_the_first_hit_are_given_up() -> None:
    policy = ScriptedPolicy([box(n) for n in (1, 2, 3, 2)], delays=(2, 3, 1, 9))
    plan = plan_of("pool = sample 4", 'return first of (pool where answer == "2")')
    assert outcome(plan, policy).answer == "2"
    assert policy.cancelled == 1


def test_c58_hits_count_in_pool_order_not_in_order_of_arrival() -> None:
    policy = ScriptedPolicy([box(n) for n in ("1", "2.0", "2")], delays=(5, 3, 1))
    plan = plan_of("pool = sample 3", 'return first of (pool where answer == "2")')
    assert outcome(plan, policy).answer == "2.0"
    assert policy.cancelled == 0


def test_c58_numbers_advance_by_all_children_asked_for() -> None:
    lines = ("some = first 1 of (sample 4)", "more = sample 1", "return vote (more + some)")
    runs = []
    for passes in ((), tuple(PASSES)):
        policy = ScriptedPolicy([box(n) for n in range(5)], delays=(1, 9, 9, 9, 1))
        outcome(plan_of(*lines), policy, passes)
        runs.append([request.key for request in policy.requests])
        assert policy.cancelled == (3 if passes else 0)
    assert runs[0] == runs[1]


@pytest.mark.parametrize(
    "lines",
    [
        ('hit = first of (pool where answer == "1")', "return vote (hit + pool)"),
        ("return first of (pool where tokens >= mean(tokens of pool))",),
        ("let mark of pool = count(pool)", "return first of (pool where mark > 0)"),
        ("return first of (pool where index >= 0)",),
        ("return first of (sort pool by tokens)",),
    ],
)
def test_c58_not_where_the_whole_pool_is_read(lines: Sequence[str]) -> None:
    policy = ScriptedPolicy([box(1)], delays=(1, 5, 9))
    outcome(plan_of("pool = sample 3", *lines), policy)
    assert policy.cancelled == 0


def test_each_pass_can_be_left_out() -> None:
    vote, first = plan_of("return vote (sample 3)"), plan_of("return first of (sample 3)")
    for plan, name in ((vote, "short_circuit"), (first, "lazy_first")):
        for passes in ((), (name,), tuple(set(PASSES) - {name})):
            policy = ScriptedPolicy([box(1)], delays=(1, 2, 9))
            outcome(plan, policy, passes)
            done = len(policy.requests) - policy.cancelled
            assert (done < 3) == (name in passes)
    with pytest.raises(ValueError, match="not one of short_circuit, lazy_first, select_by_row"):
        bind(vote, {"policy": ScriptedPolicy(["a"])}, {}, ("shortcut",))


def test_children_of_low_numbers_ask_first() -> None:
    policy = ScriptedPolicy(["a\n\nb"])
    lines = ("pool = sample 3 steps", "pool = expand pool by 2 steps", "return vote pool")
    outcome(plan_of(*lines), policy, ())
    assert [request.priority for request in policy.requests] == [0, 1, 2, 0, 1, 1, 1, 2, 2]


# ------------------------------------------------------------------------------ the shortest rows


def lengths(
    sizes: Sequence[int], kept: int, passes: Collection[str], delays: Sequence[float] = ()
) -> tuple[Outcome, list[int]]:
    """A run that keeps the shortest of candidates with these lengths, and the requests' limits."""
    texts = [chr(ord("a") + number) * size for number, size in enumerate(sizes)]
    policy = ScriptedPolicy(texts, delays)
    lines = (f"pool = sample {len(sizes)}", f"pool = select top {kept} of pool by -tokens")
    found = outcome(plan_of(*lines, 'force "!" into pool', "return vote pool"), policy, passes)
    assert policy.waiting == policy.cancelled == 0
    return found, [request.limits.max_tokens for request in policy.requests]


def selected(found: Outcome) -> list[str]:
    """Texts of the rows that were kept."""
    by_uid = {record.uid: record for record in found.candidates}
    forced = [record for record in found.candidates if record.op == "force"]
    return [by_uid[record.before].added for record in forced]


def test_c74_candidates_are_cut_off_where_they_are_longer_than_those_kept() -> None:
    found, limits = lengths([4, 2, 6, 1], 1, ("shortest",))
    whole = limits[0]
    # The one, then one more, then two: each with the token that ends it.
    assert limits == [whole, 5, 3, 3]
    assert found.counts.policy_tokens == 5 + 3 + 3 + 2
    everything, _ = lengths([4, 2, 6, 1], 1, ())
    assert everything.counts.policy_tokens == 5 + 3 + 7 + 2
    assert selected(found) == selected(everything) == ["d"]
    assert len([record for record in found.candidates if record.op == "expand"]) == 3


@given(st.lists(st.integers(1, 6), min_size=1, max_size=9), st.integers(1, 4), st.randoms())
def test_c74_the_same_rows_are_kept_at_costs_that_know_no_order(
    sizes: list[int], kept: int, random: Random
) -> None:
    everything, _ = lengths(sizes, kept, ())
    delays = [random.random() for _ in sizes]
    one, other = lengths(sizes, kept, PASSES)[0], lengths(sizes, kept, PASSES, delays)[0]
    assert selected(one) == selected(other) == selected(everything)
    assert one.counts == other.counts
    assert one.counts.policy_tokens <= everything.counts.policy_tokens


@pytest.mark.parametrize(
    "lines",
    [
        ("few = select top 1 of pool by -tokens", "return vote (few + pool)"),
        ("few = select top 1 of pool by tokens", "return vote few"),
        ("few = select top 50% of pool by -tokens", "return vote few"),
        ("few = select top 1 of pool by -tokens per finish", "return vote few"),
    ],
)
def test_c74_not_where_others_read_the_pool_or_more_than_lengths_count(
    lines: Sequence[str],
) -> None:
    policy = ScriptedPolicy(["aaa", "aaaaaa", "a"])
    outcome(plan_of("pool = sample 3", *lines), policy, ("shortest",))
    assert len({request.limits.max_tokens for request in policy.requests}) == 1
    assert len(policy.requests) == 3


def test_c74_a_thought_may_end_with_the_token_that_fills_it() -> None:
    """Delimiters are drawn, and are no tokens of the path."""
    policy = ScriptedPolicy(["ab</think>", "c</think>"], thinking=True)
    lines = ("pool = sample 2 thoughts", "return best of pool by -tokens")
    found = outcome(plan_of(*lines), policy, ("shortest",))
    assert found.row is not None
    assert [record.added for record in found.candidates] == ["ab", "c"]
    assert policy.requests[1].limits.max_tokens == 2 + len("</think>") + 1
