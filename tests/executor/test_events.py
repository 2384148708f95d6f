"""What a run tells its listeners: every decision, with what it went by."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from importlib import import_module
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.runs import PROBLEM, box, plan_of
from tests.support.scripted import ScriptedPolicy, TableScorer
from tts_lang.plan.graph import Plan
from tts_lang.values import softmax
from tts_runtime.engines.base import ScorerEngine
from tts_runtime.engines.sim.virtual import run_virtual
from tts_runtime.executor import PASSES, Outcome, ProblemLike, bind, execute
from tts_runtime.executor.generation import CandidateMade
from tts_runtime.executor.problem import Events
from tts_runtime.executor.problem_run import (
    Progressed,
    ReplyArrived,
    RequestMade,
    RunStopped,
    ScoreRequested,
)
from tts_runtime.executor.rows import Row
from tts_runtime.executor.scope import (
    Decided,
    JudgeReplied,
    PoolKnown,
    PoolWaits,
    Scored,
    StrategyReturned,
)

KINDS: tuple[type[Any], ...] = (
    *(CandidateMade, Decided, JudgeReplied, PoolKnown, PoolWaits, Progressed, ReplyArrived),
    *(RequestMade, RunStopped, ScoreRequested, Scored, StrategyReturned),
)
ORM = "scorer orm per solution from 0 to 1"
FOUR = [box(letter, note) for letter, note in zip("abba", "1234", strict=True)]
TABLE = TableScorer(dict(zip(FOUR, (0.75, 0.25, 0.5, None), strict=True)))


def heard(
    plan: Plan,
    policy: ScriptedPolicy,
    scorers: Mapping[str, ScorerEngine] | None = None,
    passes: Collection[str] = (),
) -> tuple[Outcome, list[Any]]:
    """The outcome of a run, and what happened in the attempt that it comes from."""
    events: list[Any] = []

    def subscribe(_problem: ProblemLike, run: Events) -> None:
        events.clear()
        for kind in KINDS:
            run.subscribe(kind, events.append)

    bound = bind(plan, {"policy": policy}, scorers or {}, passes)
    outcome = run_virtual(execute(bound, PROBLEM, 0, subscribe=subscribe))
    assert outcome.error is None, outcome.error
    return outcome, events


def decisions(*lines: str, texts: Sequence[str] = FOUR, before: str = ORM) -> list[Decided]:
    """The decisions of a strategy."""
    _, events = heard(plan_of(*lines, before=before), ScriptedPolicy(texts), {"orm": TABLE})
    return [event for event in events if type(event) is Decided]


def uids(rows: Sequence[Row]) -> list[int]:
    """Which candidates some rows are."""
    return [row.candidate.uid for row in rows]


def test_a_vote_tells_its_classes_and_weights() -> None:
    lines = ("pool = sample 4", "score pool by orm", "return vote pool weighted by orm")
    plan = plan_of(*lines, before=ORM)
    outcome, events = heard(plan, ScriptedPolicy(FOUR), {"orm": TABLE})
    (vote,) = [event for event in events if type(event) is Decided]
    assert vote.operation.spec.op == "vote"
    assert uids(vote.rows) == [1, 2, 3, 4]
    assert vote.values == ["a", "b", "b", "a"]
    assert vote.weights == [0.75, 0.25, 0.5, 0.0]
    assert vote.groups == [[0, 1, 2, 3]]
    assert uids([vote.rows[place] for place in vote.kept]) == [outcome.row] == [1]


@pytest.mark.parametrize(
    ("line", "values", "kept"),
    [
        ("select top 2 of pool by orm", [0.75, 0.25, 0.5, None], [0, 2]),
        ("select top 1 of pool by orm per answer", [0.75, 0.25, 0.5, None], [0, 2]),
        ("sort pool by orm", [0.75, 0.25, 0.5, None], [0, 2, 1, 3]),
        ("dedupe pool by answer", ["a", "b", "b", "a"], [0, 1]),
        ("first 3 of pool", None, [0, 1, 2]),
        # Of groups whose rows stand between each other: in pool order, but for `sort`.
        ("sort pool by orm per answer", [0.75, 0.25, 0.5, None], [0, 3, 2, 1]),
        ("dedupe pool by orm per answer", [0.75, 0.25, 0.5, None], [0, 1, 2, 3]),
        ("first 2 of pool per answer", None, [0, 1, 2, 3]),
        ("resample pool to 3 by orm ** 99", [0.75**99, 0.25**99, 0.5**99, 0.0], [0, 0, 0]),
    ],
)
def test_a_decision_tells_what_it_went_by(
    line: str, values: Sequence[Any] | None, kept: Sequence[int]
) -> None:
    lines = ("pool = sample 4", "score pool by orm", f"found = {line}", "return first of found")
    decided = decisions(*lines)[0]
    assert decided.values == values
    assert list(decided.kept) == kept
    assert len(decided.rows) == 4
    assert sorted(place for group in decided.groups for place in group) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("softmax(orm)", softmax([0.75, 0.25, 0.5, None], 1.0)),
        ("softmax(orm, 0.5)", softmax([0.75, 0.25, 0.5, None], 0.5)),
        ("softmax(orm per answer, 0.5)", [1.0, *softmax([0.25, 0.5], 0.5), 0.0]),
        ("rank(orm)", [1, 3, 2, None]),
        ("rank(orm per answer)", [1, 2, 1, None]),
    ],
)
def test_a_row_has_its_part_of_its_pool_or_group(value: str, expected: Sequence[Any]) -> None:
    lines = ("pool = sample 4", "score pool by orm", f"found = sort pool by {value}")
    [sort] = [
        each
        for each in decisions(*lines, "return first of found")
        if each.operation.spec.op == "sort"
    ]
    assert sort.values == expected


def test_a_filter_tells_each_row() -> None:
    """No comparison holds for what is missing (C37)."""
    lines = ("pool = sample 4", "score pool by orm", "return first of (pool where orm > 0.4)")
    found = [each for each in decisions(*lines) if each.operation.spec.op == "where"]
    # They come as processes have read the answers.
    assert sorted((uids(each.rows), each.values, each.kept) for each in found) == [
        ([1], (True,), (0,)),
        ([2], (False,), ()),
        ([3], (True,), (0,)),
        ([4], (False,), ()),
    ]


def test_decisions_in_loops_have_the_numbers_of_their_rounds() -> None:
    lines = (
        "pool = sample 4",
        "repeat 2:",
        "    pool = first 3 of pool",
        "    repeat 2:",
        "        pool = pool where tokens > 0",
        "return first of pool",
    )
    rounds = {
        "first": [(0,), (1,), ()],
        "where": [(0, 0)] * 3 + [(0, 1)] * 3 + [(1, 0)] * 3 + [(1, 1)] * 3,
    }
    found = decisions(*lines)
    for op, numbers in rounds.items():
        assert [each.round for each in found if each.operation.spec.op == op] == numbers


def test_decisions_in_calls_name_the_row_that_is_called_on() -> None:
    inner = "strategy inner():\n    more = sample 2\n    return first of more\n"
    plan = plan_of(
        "pool = sample 2", "found = inner() on pool", "return first of found", before=inner
    )
    outcome, events = heard(plan, ScriptedPolicy(["x", "y"]))
    returned = [event for event in events if type(event) is StrategyReturned]
    callers = [event.scope.caller for event in returned]
    assert [None if row is None else row.candidate.uid for row in callers] == [1, 2, None]
    assert uids(returned[-1].rows)[0] == outcome.row


def test_scores_tell_which_numbers_are_new() -> None:
    """Of a path that has grown, only the new steps are scored (C32)."""
    lines = (
        "pool = sample 2 steps",
        "score pool by prm",
        "repeat 2:",
        "    pool = expand pool by 1 step",
        "    score pool by prm",
        "return first of pool",
    )
    plan = plan_of(*lines, before="scorer prm per step")
    prm = TableScorer({}, steps=True, other=0.5)
    _, events = heard(plan, ScriptedPolicy(["a\n\nb\n\nc\n\nd", "e\n\nf\n\ng\n\nh"]), {"prm": prm})
    scored = [event for event in events if type(event) is Scored]
    lengths = [len(each.column) for each in scored if isinstance(each.column, tuple)]
    assert lengths == [1, 1, 2, 2, 3, 3]
    assert [each.known for each in scored] == [0, 0, 1, 1, 2, 2]
    assert all(each.row.scores["prm"] == each.column for each in scored)


def test_a_judge_is_quoted() -> None:
    judge = 'judge grade:\n    "Grade: {text}"\n    read number from 0 to 10'
    lines = ("pool = sample 1", "score pool by grade", "return pool")
    _, events = heard(plan_of(*lines, before=judge), ScriptedPolicy(["x", "I say 7."]))
    (reply,) = [event for event in events if type(event) is JudgeReplied]
    assert (uids(reply.rows), reply.reply, reply.numbers) == ([1], "I say 7.", [7.0])


@settings(max_examples=20, deadline=None)
@given(delays=st.lists(st.floats(0, 9), min_size=5, max_size=5))
@pytest.mark.parametrize(
    "last", ["return vote pool", "return first of (first 2 of pool where tokens > 1)"]
)
def test_early_decisions_do_not_depend_on_timing(last: str, delays: list[float]) -> None:
    """They are those of the replay, from which the outcome comes (C66)."""

    def told(delays: Sequence[float]) -> list[Any]:
        policy = ScriptedPolicy([box(letter) for letter in "aabab"], delays)
        outcome, events = heard(plan_of("pool = sample 5", last), policy, passes=tuple(PASSES))
        made = [event.row.candidate.uid for event in events if type(event) is CandidateMade]
        assert sorted(uid for uid in made if uid > 0) == [each.uid for each in outcome.candidates]
        return [
            (uids(event.rows), list(event.kept), event.values, outcome.row)
            for event in events
            if type(event) is Decided and event.operation.spec.op != "where"
        ]

    assert told(delays) == told(())


def test_pools_that_are_waited_for_become_known() -> None:
    plan = plan_of("pool = sample 3", "return select top 1 of pool by tokens")
    _, events = heard(plan, ScriptedPolicy(["a", "bb", "c"], [3, 1, 2]))
    kinds = [type(event) for event in events]
    waits, known = kinds.index(PoolWaits), kinds.index(PoolKnown)
    assert kinds[waits:known].count(ReplyArrived) == kinds.count(ReplyArrived) == 3
    assert kinds.index(Decided) > known
    assert kinds[-1] is RunStopped


@pytest.mark.parametrize("kind", [each for each in KINDS if each is not RunStopped])
def test_an_exception_of_a_listener_fails_the_problem(kind: type[Any]) -> None:
    def broken(_event: object) -> None:
        raise KeyError("a listener")

    def subscribe(_problem: ProblemLike, events: Events) -> None:
        events.subscribe(kind, broken)

    outcome = run_virtual(execute(*everything(), subscribe=subscribe))
    assert outcome.error is not None
    assert "KeyError: 'a listener'" in outcome.error


def everything() -> tuple[Any, Any, int]:
    """A run with every kind of event."""
    judge = 'judge grade:\n    "Grade: {text}"\n    read number from 0 to 10'
    lines = (
        *("pool = sample 2", "score pool by orm", "score pool by grade"),
        *("pool = select top 1 of pool by orm", "return pool"),
    )
    policies = {"policy": ScriptedPolicy(["x", "y", "7"], [1, 2, 1, 1])}
    plan = plan_of(*lines, before=f"{ORM}\n{judge}")
    return bind(plan, policies, {"orm": TableScorer({}, other=0.5)}), PROBLEM, 0


def test_no_event_is_made_when_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_arguments: object) -> object:
        raise AssertionError("an event without a listener")

    modules = ("generation", "execute", "problem_run", "scope")
    for name in (*modules, "ops.control", "ops.judge", "ops.score", "ops.select"):
        module = import_module(f"tts_runtime.executor.{name}")
        for kind in KINDS:
            if hasattr(module, kind.__name__):
                monkeypatch.setattr(module, kind.__name__, refused)
    assert run_virtual(execute(*everything())).error is None
