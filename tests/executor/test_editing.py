"""cut, split, below, random columns, statistics: the forms for the methods that need them."""

from __future__ import annotations

from dataclasses import replace
from math import inf, nan

import pytest

from tests.support.runs import added, made, plan_of, run_plan, says
from tests.support.scripted import ScriptedPolicy, TableScorer
from tts_runtime import randomness
from tts_runtime.engines.base import GenerateRequest, Generation
from tts_runtime.executor import views
from tts_runtime.streams import cut_key, derive


def test_c17_cut_reopens_a_path_on_a_key_of_its_own() -> None:
    engine = ScriptedPolicy(["a\n\nb\n\nc", "x"])
    outcome = says(
        [], "p = sample 1", "p = cut p to 2 steps", "return expand p by 1", policy=engine
    )
    whole, cut, again = outcome.candidates
    assert (cut.ids, cut.tokens, cut.steps, cut.finish, cut.done) == (6, 6, 2, "cut", False)
    assert (cut.parent, again.parent, cut.logprob) == (whole.parent, cut.uid, -3.0)
    assert engine.requests[1].prefix == tuple(b"a\n\nb\n\n")
    expected = cut_key(engine.requests[0].key, 7, 6)
    assert engine.requests[1].key == derive(expected, "child", 6, 0, 0, _tag())


def _tag() -> bytes:
    from tts_runtime.streams import sampling_tag

    return sampling_tag("policy", 1.0, 1.0, 0, 0.0)


def test_c32_a_cut_path_keeps_forced_tokens_out_of_its_count() -> None:
    outcome = says(
        ["ab", "cd"],
        "p = sample 1",
        'force "xyz" into p',
        "p = expand p by 1",
        "return cut p to 6 tokens",
    )
    last = outcome.candidates[-1]
    assert (last.ids, last.tokens) == (6, 3)


def test_c32_what_is_written_after_a_cut_is_scored_anew() -> None:
    outcome = says(
        ["a\n\nb\n\nc", "d\n\ne"],
        "p = sample 1",
        "score p by prm",
        "p = expand (cut p to 1 steps) by 1",
        "score p by prm",
        "return p where max(prm) == 0.4",
        scorers={
            "prm": TableScorer({"a": 0.1, "b": 0.9, "c": 0.9, "d": 0.4, "e": 0.3}, steps=True)
        },
    )
    assert outcome.candidates[-1].scores == {"prm": (0.1, 0.4, 0.3)}
    assert outcome.row is not None


def test_split_gives_the_pieces_of_a_text() -> None:
    outcome = says(
        ["one\ntwo\n\nthree"],
        "p = sample 1",
        'pieces = split p at "\\n" at most 2',
        "asked = ask again about pieces",
        "return first of asked",
        before='prompt again = "Now: {text}"',
    )
    assert added(outcome, "split") == ["one", "two"]
    assert [each.prompt for each in made(outcome, "ask")] == ["Now: one", "Now: two"]


def test_aggregates_over_what_is_below_a_row() -> None:
    outcome = says(
        ["a\n\nbb", "c\n\ndddd", "e"],
        "p = sample 2 steps",
        "ends = expand p by 1",
        "let most of p = max(tokens of ends below)",
        "return best of p by most",
    )
    assert outcome.row == 2


def test_random_columns_are_drawn_by_lane_and_differ_between_copies() -> None:
    lines = (
        "p = fork problem into 3",
        "let one of p = uniform()",
        "let two of p = uniform()",
        "same = p where one == two",
        "let place of p = rank(one)",
        "copies = fork same into 1",
        "ends = expand (p where place == 1) by 1",
        "return first of ends",
    )
    outcome = says(["a"], *lines)
    assert len(made(outcome, "fork")) == 3
    assert len(made(outcome, "expand")) == 1
    assert says(["a"], *lines).candidates == outcome.candidates


@pytest.mark.parametrize("name", sorted(randomness.DRAWS))
def test_draws_have_the_mean_of_their_distribution(name: str) -> None:
    means = {"uniform": 0.5, "normal": 0.0, "gumbel": 0.5772, "beta": 0.25}
    arguments = (0.5, 1.5) if name == "beta" else ()
    drawn = [randomness.draw(name, derive(b"key", number), arguments) for number in range(4000)]
    numbers = [number for number in drawn if number is not None]
    assert sum(numbers) / 4000 == pytest.approx(means[name], abs=0.06)


def test_draws_with_impossible_arguments_are_missing() -> None:
    assert randomness.draw("beta", b"key", (0, 1)) is None
    assert randomness.draw("beta", b"key", (None, 1)) is None
    tiny = randomness.draw("beta", b"key", (1e-4, 1e3))
    assert tiny is not None
    assert 0 <= tiny <= 1


def test_windows_of_statistics() -> None:
    values = [5.0, 1.0, 3.0, 3.0]
    assert views.tail(values, 2, complete=False) == 3.0
    assert views.lowest(values, 2, None, complete=False) == 2.0
    assert views.lowest(values, 2, 0.5, complete=False) == pytest.approx(2.5)
    # A path that is shorter than a window is one window, except while it is being written.
    assert views.lowest(values, 9, None, complete=False) == 3.0
    assert views.lowest(values, 9, None, complete=True) is None
    assert views.lowest(values, 4, None, complete=True) == 3.0
    assert views.tail([], 3, complete=False) is None
    assert views.tail(values, 9, complete=False) == 3.0
    assert views.tail(values, 9, complete=True) is None
    assert views.tail(values, 4, complete=True) == 3.0


@pytest.mark.parametrize(
    ("span", "tokens"),
    [("all", b"a\n\nb\\boxed{7}"), ("step", b"b\\boxed{7}"), ("answer", b"7"), ("tail 2", b"7}")],
)
def test_spans_of_statistics(span: str, tokens: bytes) -> None:
    engine = ScriptedPolicy(["a\n\nb\\boxed{7}"])
    expected = sum(1.0 + token % 7 for token in tokens) / len(tokens)
    plan = plan_of(
        "p = sample 1",
        'force "Wait" into p' if span == "all" else "",
        f"return p where abs(confidence({span}) - {expected!r}) < 0.001",
    )
    outcome = run_plan(plan, engine)
    assert outcome.error is None
    assert outcome.row is not None
    assert engine.requests[0].statistics == ("confidence",)


@pytest.mark.parametrize(
    ("first", "last", "span", "tokens"),
    [
        ("a\n\n", "b\\boxed{349}", "all", b"a\n\nb\\boxed{349}"),
        ("a\n\n", "b\\boxed{349}", "step", b"b\\boxed{349}"),
        ("a\n\n", "b\\boxed{349}", "answer", b"349"),
        ("\\boxed{349}\n\n", "b", "answer", b"349"),
        ("a\n\n", "b\\boxed{349}", "tail 1", b"}"),
        ("a\n\n", "b\\boxed{349}", "tail 13", b"\nb\\boxed{349}"),
    ],
)
def test_spans_go_over_several_draws_and_leave_out_what_was_forced(
    first: str, last: str, span: str, tokens: bytes
) -> None:
    expected = sum(1.0 + token % 7 for token in tokens) / len(tokens)
    outcome = says(
        [f"{first}rest", last],
        "p = sample 1 step",
        'force "so" into p',
        "p = expand p by 1",
        f"return p where abs(confidence({span}) - {expected!r}) < 1e-9",
    )
    assert outcome.row is not None


class Impossible(ScriptedPolicy):
    """Counts on tokens of probability 0, and does not tell of one."""

    def _answer(self, request: GenerateRequest) -> Generation:
        reply = super()._answer(request)
        told = {name: (inf, nan, *each[2:]) for name, each in reply.statistics.items()}
        return replace(reply, statistics=told)


@pytest.mark.parametrize("span", ["all", "step", "answer", "tail 9", "lowest 2"])
def test_c47_an_infinite_statistic_is_missing(span: str) -> None:
    plan = plan_of("p = sample 1", f"return p where confidence({span}) < 9")
    outcome = run_plan(plan, Impossible(["77\\boxed{7}"]))
    assert (outcome.error, outcome.answer) == (None, "7")
