"""One bad candidate does not lose its problem: it goes without, is counted, the others decide."""

from __future__ import annotations

import asyncio
from asyncio import Future
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.runs import PROBLEM, box, plan_of
from tests.support.scripted import ScriptedPolicy, TableScorer
from tts_lang.plan.graph import Plan
from tts_runtime.engines.base import (
    CandidateError,
    EngineError,
    Fault,
    GenerateRequest,
    Generation,
    PolicyEngine,
    ScorerEngine,
    ScoreReply,
    ScoreRequest,
)
from tts_runtime.engines.sim.virtual import run_virtual
from tts_runtime.executor import PASSES, Outcome, bind, execute
from tts_runtime.reliability import (
    Recorder,
    Reliability,
    ScorerReliability,
    footer,
    warnings_of,
)

ORM = "scorer orm per solution"
TOGETHER = "scorer orm per solution together"
BEST = ("pool = sample 4", "score pool by orm", "return best of pool by orm")
TEXTS = [box(1), box(2), box(3), box(4)]
TABLE = {text: number / 10 for number, text in enumerate(TEXTS, 1)}


def outcome_of(
    plan: Plan,
    policy: PolicyEngine,
    scorers: Mapping[str, ScorerEngine] | None = None,
    *,
    strict: bool = False,
    passes: Sequence[str] = (),
) -> Outcome:
    """What a plan gives, whether it fails or not."""
    bound = bind(plan, {"policy": policy}, scorers or {}, passes, strict=strict)

    async def one() -> Outcome:
        return await execute(bound, PROBLEM, 0)

    return run_virtual(one())


class Faulty(TableScorer):
    """A scorer with something wrong for some texts.

    Args:
        wrong: By text: an error that is raised (at once, or later), or the scores that are given.
        at_once: Whether an error is raised by `score` itself.
    """

    def __init__(
        self,
        wrong: Mapping[str, BaseException | tuple[object, ...]],
        *,
        at_once: bool = False,
        steps: bool = False,
    ) -> None:
        super().__init__(TABLE, steps)
        self._wrong = wrong
        self._at_once = at_once

    def score(self, request: ScoreRequest) -> Future[ScoreReply]:
        """As of a table, but for these texts."""
        wrong = self._wrong.get(request.text.strip())
        if wrong is None:
            return super().score(request)
        if isinstance(wrong, BaseException) and self._at_once:
            raise wrong
        future: Future[ScoreReply] = asyncio.get_running_loop().create_future()
        if isinstance(wrong, BaseException):
            future.set_exception(wrong)
        else:
            future.set_result(ScoreReply(wrong))  # type: ignore[arg-type]
        return future

    def score_together(self, requests: Sequence[ScoreRequest]) -> Future[Sequence[ScoreReply]]:
        """Fails for the whole pool if one of these texts is in it."""
        for request in requests:
            wrong = self._wrong.get(request.text.strip())
            if isinstance(wrong, BaseException):
                raise wrong
        return super().score_together(requests)


class Filtered(ScriptedPolicy):
    """A policy whose server keeps some replies back, by the number of the request."""

    def __init__(self, texts: Sequence[str], filtered: Sequence[int]) -> None:
        super().__init__(texts)
        self._filtered = filtered

    def generate(self, request: GenerateRequest) -> Future[Generation]:
        """As scripted, or filtered."""
        number = len(self.requests)
        future = super().generate(request)
        if number not in self._filtered:
            return future
        kept: Future[Generation] = asyncio.get_running_loop().create_future()
        kept.set_exception(CandidateError(Fault.FILTERED, "the server filtered the reply"))
        return kept


WRONG: list[tuple[BaseException | tuple[object, ...], Fault]] = [
    (CandidateError(Fault.TOO_LONG, "a path of 9 tokens is too long"), Fault.TOO_LONG),
    (CandidateError(Fault.MARKED, "step 1 contains 'ки'"), Fault.MARKED),
    (ZeroDivisionError("division by zero"), Fault.EXCEPTION),
    ((float("nan"),), Fault.UNUSABLE),
    ((), Fault.UNUSABLE),
    ((0.1, 0.2), Fault.UNUSABLE),
    (("good",), Fault.UNUSABLE),
    ((None,), Fault.NO_SCORE),
]


@pytest.mark.parametrize(("wrong", "fault"), WRONG)
@pytest.mark.parametrize("at_once", [False, True])
def test_c64_a_candidate_without_a_score_is_counted_and_the_others_decide(
    wrong: BaseException | tuple[object, ...], fault: Fault, at_once: bool
) -> None:
    scorer = Faulty({TEXTS[3]: wrong}, at_once=at_once)
    outcome = outcome_of(plan_of(*BEST, before=ORM), ScriptedPolicy(TEXTS), {"orm": scorer})
    assert outcome.error is None
    assert outcome.answer == "3"
    found = outcome.reliability.scorers["orm"]
    assert (found.scores, found.missing, found.blind) == (4, {fault.value: 1}, 0)
    bad = outcome.candidates[3]
    assert bad.scores == {"orm": None}
    assert ("orm" in bad.errors) == (fault is not Fault.NO_SCORE)


@pytest.mark.parametrize("wrong", [wrong for wrong, _ in WRONG[:-1]])
def test_c64_strict_makes_it_a_failure(wrong: BaseException | tuple[object, ...]) -> None:
    scorer = Faulty({TEXTS[3]: wrong})
    plan = plan_of(*BEST, before=ORM)
    outcome = outcome_of(plan, ScriptedPolicy(TEXTS), {"orm": scorer}, strict=True)
    assert outcome.error is not None


def test_c64_an_engine_that_broke_fails_the_problem() -> None:
    scorer = Faulty({TEXTS[3]: EngineError("the server is gone")})
    outcome = outcome_of(plan_of(*BEST, before=ORM), ScriptedPolicy(TEXTS), {"orm": scorer})
    assert outcome.error == "the server is gone"


def test_c64_an_exception_is_told_with_its_line() -> None:
    class Buggy(TableScorer):
        def score(self, request: ScoreRequest) -> Future[ScoreReply]:
            raise KeyError(f"weight of {request.text}")

    outcome = outcome_of(plan_of(*BEST, before=ORM), ScriptedPolicy(TEXTS), {"orm": Buggy({})})
    found = outcome.reliability.scorers["orm"]
    assert found.missing == {"exception": 4}
    assert found.blind == 1
    assert found.example is not None
    assert found.example.startswith("test_faults.py:")
    assert "KeyError: 'weight of" in found.example
    # Missing sorts last, ties to the earlier (C39): the first candidate.
    assert outcome.answer == "1"


def test_c64_no_step_of_a_failed_path_counts() -> None:
    """Reductions skip missing steps, so what was scored before must not stand for the path."""
    lines = (
        "pool = sample 2 x 1 step",
        "score pool by prm",
        "pool = expand pool by 1",
        "score pool by prm",
        "return best of pool by min(prm)",
    )
    texts = [f"a\n\n{box(1)}", f"b\n\n{box(2)}"]
    wrong = {texts[0]: CandidateError(Fault.TOO_LONG, "too long")}
    scorer = Faulty(wrong, steps=True)
    scorer._table = {"a": 0.9, "b": 0.2}
    outcome = outcome_of(plan_of(*lines), ScriptedPolicy(texts), {"prm": scorer})
    assert outcome.answer == "2"
    assert outcome.reliability.scorers["prm"].missing == {"too_long": 1}


def test_c64_a_pool_scorer_that_fails_leaves_its_pool_without() -> None:
    wrong = {TEXTS[1]: ValueError("no")}
    plan = plan_of(*BEST, before=TOGETHER)
    outcome = outcome_of(plan, ScriptedPolicy(TEXTS), {"orm": Faulty(wrong)})
    assert outcome.answer == "1"
    assert outcome.reliability.scorers["orm"].missing == {"exception": 4}


@pytest.mark.parametrize(
    ("verb", "answer"),
    [
        ("vote pool", "2"),
        ("best of pool by logprob", "2"),
        ("best of pool by confidence(tail 4)", "2"),
        ("best of pool by -tokens", "2"),
        ("best of pool by 0", "2"),
        ('best of pool by number("none")', "2"),
        ('vote (first 1 of (sort pool by number("none")))', "2"),
    ],
)
@pytest.mark.parametrize("passes", [(), tuple(PASSES)], ids=["no passes", "all passes"])
@pytest.mark.parametrize("delays", [(), (0.02, 0.01, 0.0)], ids=["at once", "last first"])
def test_c64_a_filtered_reply_is_a_candidate_without_an_answer(
    delays: Sequence[float], passes: Sequence[str], verb: str, answer: str
) -> None:
    policy = Filtered([box(1), box(2), box(2)], filtered=[0])
    policy._delays = delays
    outcome = outcome_of(plan_of("pool = sample 3", f"return {verb}"), policy, passes=passes)
    assert outcome.answer == answer
    assert outcome.reliability.failed == {"filtered": 1}
    bad = outcome.candidates[0]
    assert (bad.finish, bad.done, bad.answer, bad.logprob) == ("failed", True, None, None)
    assert bad.errors == {"policy": "the server filtered the reply"}


def test_c64_a_failed_candidate_is_neither_scored_nor_judged_nor_continued() -> None:
    judge = 'judge grade:\n    "{text}"\n    read number'
    lines = (
        "pool = sample 2 x 1 step",
        "pool = expand pool by 1",
        "score pool by orm",
        "score pool by grade",
        "return best of pool by orm",
    )
    policy = Filtered([f"a\n\n{box(1)}", f"b\n\n{box(2)}", "7"], filtered=[0])
    scorer = TableScorer({})
    plan = plan_of(*lines, before=f"{ORM}\n{judge}")
    outcome = outcome_of(plan, policy, {"orm": scorer})
    assert outcome.answer == "2"
    assert len(scorer.requests) == 1
    assert len(policy.requests) == 4
    assert {name: each.scores for name, each in outcome.reliability.scorers.items()} == {
        "grade": 1,
        "orm": 1,
    }


@pytest.mark.parametrize(
    ("about", "slot", "listed"),
    [
        ("pool together", "{candidates}", "Candidate 1:\nsecond\n\nCandidate 2:\nthird"),
        ("(first 2 of pool)", "{others.text}", ""),
        ("problem", "{notes}", "second\n\nthird"),
    ],
)
def test_c64_a_failed_candidate_is_in_no_list(about: str, slot: str, listed: str) -> None:
    notes, shown = ("(notes)", "(pool)") if slot == "{notes}" else ("", "")
    lines = ("pool = sample 3", f"return first of (ask tell{shown} about {about})")
    policy = Filtered(["first", "second", "third", "told"], filtered=[0])
    plan = plan_of(*lines, before=f'prompt tell{notes} = "<{slot}>"')
    assert outcome_of(plan, policy).error is None
    assert bytes(policy.requests[-1].prompt).decode() == f"<{listed}>"


@pytest.mark.parametrize("passes", [(), tuple(PASSES)], ids=["no passes", "all passes"])
@pytest.mark.parametrize(
    "lines",
    [
        ("return vote (sample 3)",),
        ("return first of (sample 3) where has(answer)",),
        ("hit = first of (sample 3) where has(answer)", "return vote (expand hit by 1)"),
        ("return vote (select top 1 of (sample 3) by -tokens)",),
    ],
)
def test_c64_a_problem_without_any_text_fails(lines: Sequence[str], passes: Sequence[str]) -> None:
    policy = Filtered(["x"], filtered=range(9))
    outcome = outcome_of(plan_of(*lines), policy, passes=passes)
    assert outcome.error == "no candidate has a text; the first: the server filtered the reply"


def test_c64_a_filtered_reply_fails_a_strict_run() -> None:
    policy = Filtered([box(1), box(2)], filtered=[0])
    outcome = outcome_of(plan_of("return vote (sample 2)"), policy, strict=True)
    assert outcome.error == "the server filtered the reply"


def test_c64_a_judge_leaves_out_what_does_not_fit_its_window() -> None:
    judge = f'judge grade:\n    "{{text}} {"Grade it." * 9}"\n    read number from 0 to 10'
    lines = ("pool = sample 2", "score pool by grade", "return best of pool by grade")
    policy = ScriptedPolicy([box(1, "long " * 20), box(2), "3"], context=160)
    plan = plan_of(*lines, before=judge)
    outcome = outcome_of(plan, policy)
    assert outcome.answer == "2"
    assert outcome.reliability.scorers["grade"].missing == {"too_long": 1}
    strict = outcome_of(plan, ScriptedPolicy([box(1, "long " * 20), "3"], context=160), strict=True)
    assert strict.error is not None
    assert "context window of 160" in strict.error


def test_c64_a_question_that_does_not_fit_gives_a_failed_candidate() -> None:
    ask = f'prompt again = "{{text}} {"Again:" * 9}"'
    lines = ("pool = sample 2", "pool = ask again about pool by 2", "return vote pool")
    policy = ScriptedPolicy(["x" * 120, "short", box(5)], context=150)
    outcome = outcome_of(plan_of(*lines, before=ask), policy)
    assert outcome.answer == "5"
    assert outcome.reliability.failed == {"too_long": 2}


def test_c64_candidates_cut_by_a_limit_are_counted_unless_continued() -> None:
    lines = (
        "pool = sample 2 max 3 tokens",
        'force "Wait" into pool',
        "return first of (expand pool by 2 max 4 tokens)",
    )
    outcome = outcome_of(plan_of(*lines), ScriptedPolicy(["abcdefghijkl"]))
    assert outcome.reliability.cut == 4
    assert outcome.reliability.candidates == 8


@settings(max_examples=30, deadline=None)
@given(st.sets(st.integers(0, 3)), st.sampled_from([0, 1, 2, 4, 6]))
def test_c64_a_fault_changes_nothing_but_its_candidate(bad: set[int], kind: int) -> None:
    """Every other score is that of a run without faults, and so is every text."""
    plan = plan_of("pool = sample 4", "score pool by orm", "return best of pool by orm", before=ORM)
    clean = outcome_of(plan, ScriptedPolicy(TEXTS), {"orm": Faulty({})})
    scorer = Faulty({TEXTS[place]: WRONG[kind][0] for place in bad})
    outcome = outcome_of(plan, ScriptedPolicy(TEXTS), {"orm": scorer})
    assert outcome.error is None
    pairs = zip(clean.candidates, outcome.candidates, strict=True)
    for place, (before, after) in enumerate(pairs):
        assert after.added == before.added
        assert after.scores == ({"orm": None} if place in bad else before.scores)
    left = [text for place, text in enumerate(TEXTS) if place not in bad]
    best = max(left, key=TABLE.__getitem__) if left else TEXTS[0]
    assert outcome.answer == best[len("\\boxed{") : -1]
    if not bad:
        assert outcome.reliability == clean.reliability


def test_counts_add_up_and_are_said_in_words() -> None:
    one = Reliability(
        candidates=4,
        cut=1,
        failed={"filtered": 1},
        example="b",
        scorers={"prm": ScorerReliability(scores=4, missing={"too_long": 1}, example="long")},
    )
    other = Reliability(
        candidates=2,
        failed={"filtered": 1, "too_long": 1},
        example="a",
        scorers={
            "grade": ScorerReliability(
                scores=2, missing={"unreadable": 2}, blind=1, replies=6, unreadable=6, example="?"
            )
        },
    )
    both = one + other
    assert both == other + one
    assert both + Reliability() == both
    assert both.failed == {"filtered": 2, "too_long": 1}
    assert both.example == "a"
    assert list(footer(both)) == [
        "3 of 6 candidates failed (2 filtered, 1 too long)",
        "1 of 6 candidates cut by a limit",
        "grade: 2 of 2 scores missing (2 unreadable); 6 of 6 replies unreadable; none for 1 answer,"
        " where the earliest candidate counts as the best",
        "prm: 1 of 4 scores missing (1 too long)",
    ]
    assert not list(footer(Reliability(candidates=9)))
    assert [line.split(" of ")[0] for line in warnings_of(both)] == [
        "3",
        "scorer `grade`: 2",
        "scorer `prm`: 1",
    ]
    assert next(warnings_of(both)).endswith("bind a server without this filter")  # the most
    few = {"prm": ScorerReliability(scores=5, missing={"too_long": 1})}
    assert not list(warnings_of(Reliability(candidates=5, failed={"filtered": 1}, scorers=few)))
    clocked = Reliability(as_text={"time": 1, "exception": 9}, ungraded={"time": 2})
    assert "ended the reading of 3 answers" in next(warnings_of(clocked))


def test_each_score_and_reply_counts_once() -> None:
    recorder = Recorder()
    for name in ("one", "one", "two", "three"):
        recorder.scored("grade", name, None if name == "two" else Fault.UNREADABLE, f"no {name}")
        recorder.replied("grade", (name, 0), readable=name == "two")
    assert recorder.scorers() == {
        "grade": ScorerReliability(
            scores=3, missing={"unreadable": 2}, replies=3, unreadable=2, example="no one"
        )
    }


def test_c57_passes_do_not_fail_a_problem_whose_other_candidates_were_given_up() -> None:
    """The first is filtered, and nobody waits for the others: they may well have a text."""
    policy = Filtered([box(1), box(2), box(3)], filtered=[0])
    policy._delays = (0.0, 9.0, 9.0)
    plan = plan_of("return first of (sample 3)")
    outcome = outcome_of(plan, policy, passes=tuple(PASSES))
    assert (outcome.error, outcome.answer) == (None, None)
    assert outcome.reliability.failed == {"filtered": 1}
