"""Where a generation stops: rules C21, C23 to C27 and `at least`, token by token."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tts_runtime.engines.base import Finish, GenerateRequest, Limits, Partial, Sampling
from tts_runtime.engines.sim.model import SimTokenizer
from tts_runtime.engines.stopping import StopCriteria
from tts_runtime.steps import NOTHING, StepSplit

TOKENIZER = SimTokenizer()
END, OTHER_END = TOKENIZER.id("<end>"), TOKENIZER.id("<eot>")
THOUGHT = TOKENIZER.encode("</think>")


def tracker(limits: Limits, prefix: str = "", statistics: tuple[str, ...] = ()) -> StopCriteria:
    """A tracker on a path that begins with `prefix`."""
    segments: StepSplit = NOTHING
    for token in TOKENIZER.encode(prefix):
        segments = segments.add(TOKENIZER.pieces[token], b"\n\n")
    request = GenerateRequest(
        TOKENIZER.encode("?"),
        TOKENIZER.encode(prefix),
        b"key",
        Sampling(),
        limits,
        segments,
        statistics=statistics,
    )
    return StopCriteria(request, TOKENIZER, frozenset({END, OTHER_END}), b"\n\n")


def feed(follower: StopCriteria, text: str) -> tuple[int, Finish | None]:
    """Pushes a text's tokens until the tracker stops; how many it took, and why it stopped."""
    for count, token in enumerate(TOKENIZER.encode(text), 1):
        if follower.push(token, -1.0):
            return count, follower.finish
    return len(TOKENIZER.encode(text)), None


def written(follower: StopCriteria) -> bytes:
    """The bytes of what was kept."""
    return b"".join(TOKENIZER.pieces[token] for token in follower.result(0).ids)


@pytest.mark.parametrize("end", [END, OTHER_END])
def test_any_end_ends_and_is_no_part_of_the_text(end: int) -> None:
    """C1, C36: the end's log-probability is kept apart."""
    follower = tracker(Limits(10, steps=3))
    feed(follower, "ab")
    assert follower.push(end, -0.25) is Finish.END
    result = follower.result(7)
    assert (len(result.ids), result.end_logprob, result.drawn) == (2, -0.25, 3)
    assert result.prefilled == 7
    assert result.logprobs == (-1.0, -1.0)


@pytest.mark.parametrize(
    ("text", "steps", "tokens"),
    [
        ("ab\n\nc", 1, 3),
        ("\n\nab\n\nc", 1, 4),  # a leading delimiter belongs to the next step
        (" \n\n\na\n\nc", 1, 5),
        ("a\n\nbc\n\na", 2, 4),  # the first delimiter's token carries text past it
        ("a\n\n\n\nc\n\nd", 2, 5),
    ],
)
def test_a_step_ends_with_the_token_that_closes_it(text: str, steps: int, tokens: int) -> None:
    """C23: reaching the unit is `stop`, the completing token is kept whole."""
    follower = tracker(Limits(50, steps=steps))
    assert feed(follower, text) == (tokens, Finish.STOP)
    assert len(follower.result(0).segments.closed) == steps


def test_the_tail_of_a_delimiter_token_is_no_step() -> None:
    """C24."""
    follower = tracker(Limits(50, steps=1))
    feed(follower, "a\n\nb")
    assert written(follower) == b"a\n\nb"
    assert follower.segments.steps == 1
    assert follower.segments.texts == ("a",)


def test_a_delimiter_begun_in_the_prefix_closes_the_step() -> None:
    follower = tracker(Limits(50, steps=1), prefix="a\n")
    assert feed(follower, "\nb") == (1, Finish.STOP)


def test_token_unit_stops_and_limit_cuts() -> None:
    """C23 and C21: the unit `x k tokens` is `stop`, a limit `length`; the unit wins a tie."""
    assert feed(tracker(Limits(9, unit_tokens=2)), "abc") == (2, Finish.STOP)
    assert feed(tracker(Limits(2)), "abc") == (2, Finish.LENGTH)
    assert feed(tracker(Limits(2, unit_tokens=2)), "abc") == (2, Finish.STOP)


def test_thought_delimiter_is_withheld() -> None:
    """C25: matched as whole tokens, not in the text, counted as drawn."""
    follower = tracker(Limits(50, thought=THOUGHT), statistics=("margin",))
    for token in TOKENIZER.encode("a</b</think>"):
        follower.push(token, -1.0, (0.5,))
    result = follower.result(0)
    assert follower.finish is Finish.STOP
    assert written(follower) == b"a</b"
    assert (len(result.ids), result.drawn) == (3, 5)
    assert len(result.logprobs) == len(result.statistics["margin"]) == 3
    assert result.segments.tail == b"a</b"


def test_an_empty_thought_has_no_tokens() -> None:
    """C10's case."""
    follower = tracker(Limits(50, thought=THOUGHT), prefix="ab")
    assert feed(follower, "</think>") == (2, Finish.STOP)
    assert follower.result(0).ids == ()
    assert follower.result(0).segments.tail == b"ab"


def test_a_thought_delimiter_begun_in_the_prefix_ends_the_thought() -> None:
    follower = tracker(Limits(50, thought=THOUGHT), prefix="a</")
    assert feed(follower, "think>") == (1, Finish.STOP)
    assert follower.result(0).ids == ()
    # A delimiter that the prefix already has does not end a new thought.
    assert feed(tracker(Limits(50, thought=THOUGHT), prefix="a</think>"), "ab") == (2, None)


def test_stop_text_across_tokens_is_kept_whole() -> None:
    """C26."""
    follower = tracker(Limits(50, stop_at=b"abc"))
    assert feed(follower, "ababcd") == (5, Finish.STOP)
    assert written(follower) == b"ababc"
    assert feed(tracker(Limits(50, stop_at=b"wer")), "aAnswer:b") == (2, Finish.STOP)


def test_stop_text_may_begin_in_the_prefix_but_not_end_there() -> None:
    assert feed(tracker(Limits(50, stop_at=b"abc"), prefix="ab"), "cd") == (1, Finish.STOP)
    assert feed(tracker(Limits(50, stop_at=b"abc"), prefix="abc"), "dd") == (2, None)


@pytest.mark.parametrize("clause", ["stop_when", "end_when"])
def test_a_condition_sees_every_token_and_only_end_when_halts(clause: str) -> None:
    """C27, C17."""
    seen: list[int] = []

    def condition(partial: Partial) -> bool:
        seen.append(len(partial.ids))
        return len(partial.ids) == 3

    limits = Limits(50, stop_when=condition if clause == "stop_when" else None)
    if clause == "end_when":
        limits = Limits(50, end_when=condition)
    follower = tracker(limits)
    assert feed(follower, "abcdef") == (3, Finish.STOP)
    assert seen == [1, 2, 3]
    assert follower.result(0).halted is (clause == "end_when")


@pytest.mark.parametrize(
    "other",
    [
        Limits(3),
        Limits(50, unit_tokens=3),
        Limits(50, stop_at=b"c"),
        Limits(50, stop_when=lambda partial: len(partial.ids) == 3),
    ],
)
def test_end_when_halts_where_something_else_stops_at_the_same_token(other: Limits) -> None:
    """C17: the condition holds after the last token, whatever else does."""
    follower = tracker(replace(other, end_when=lambda partial: len(partial.ids) == 3))
    assert feed(follower, "abcdef") == (3, Finish.STOP)
    assert follower.result(0).halted
    follower = tracker(other)
    feed(follower, "abcdef")
    assert not follower.result(0).halted


def test_at_least_forbids_ends_steps_and_the_end_of_thought() -> None:
    follower = tracker(Limits(50, at_least=3, steps=1))
    newline, both, longer = (TOKENIZER.id(text) for text in ("\n", "\n\n", "\n\nb"))
    assert follower.forbidden() == {END, OTHER_END}  # a leading delimiter closes nothing
    follower.push(TOKENIZER.id("a"), -1.0)
    assert follower.forbidden() == {END, OTHER_END, both, longer}
    follower.push(newline, -1.0)
    assert follower.forbidden() == {END, OTHER_END, newline, both, longer}
    follower.push(TOKENIZER.id("a"), -1.0)
    assert follower.forbidden() == frozenset()

    thinking = tracker(Limits(50, at_least=2, thought=THOUGHT))
    assert thinking.forbidden() == {END, OTHER_END}
    thinking.push(THOUGHT[0], -1.0)
    assert thinking.forbidden() == {END, OTHER_END, THOUGHT[1]}
    begun = tracker(Limits(50, at_least=2, thought=THOUGHT), prefix="</")
    assert THOUGHT[1] in begun.forbidden()


def test_statistics_come_in_the_asked_order() -> None:
    follower = tracker(Limits(1), statistics=("entropy", "margin"))
    follower.push(TOKENIZER.id("a"), -1.0, (0.1, 0.2))
    assert follower.result(0).statistics == {"entropy": (0.1,), "margin": (0.2,)}


def test_a_request_without_stops_runs_to_its_limit() -> None:
    request = replace(tracker(Limits(3)).request, segments=NOTHING)
    follower = StopCriteria(request, TOKENIZER, frozenset(), b"\n\n")
    assert feed(follower, "a\n\nb<end>") == (3, Finish.LENGTH)
