"""What a judge's reply says, as a person reads it (C34)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.judge_replies import (
    BEST,
    BESTS,
    CHOICE,
    CHOICES,
    GERMAN,
    GERMANS,
    GRADE,
    GRADES,
    LETTER,
    LETTERS,
    ORDER,
    ORDERS,
    OTHER_MARKERS,
    PLAIN_ORDER,
    RESULT,
    RESULTS,
    SOUND,
    SOUNDS,
    TEN,
    VALUE,
    VALUES,
    VERDICT,
    VERDICTS,
    WITHOUT_MARKER,
)
from tts_lang.plan.graph import Judge
from tts_lang.plan.template import Template
from tts_runtime.answers.judge_replies import Reading, final_text, read
from tts_runtime.binding import Binding, Thinking


def one(reading: Reading | None) -> float | None:
    """The number of a single candidate."""
    return None if reading is None else reading[0]


def chosen(reading: Reading | None) -> int | None:
    """The candidate with the 1."""
    return None if reading is None else reading.index(1.0) + 1


def ordered(reading: Reading | None) -> list[int] | None:
    """Candidates from the best to the worst named one."""
    if reading is None:
        return None
    named = [(-score, place) for place, score in enumerate(reading, 1) if score is not None]
    return [place for _, place in sorted(named)]


@pytest.mark.parametrize(("reply", "grade"), GRADES)
def test_c34_the_verdict_is_what_follows_the_last_marker(reply: str, grade: float | None) -> None:
    assert one(read(GRADE, reply, 1)) == grade


@pytest.mark.parametrize(("reply", "grade"), WITHOUT_MARKER)
def test_c34_without_a_marker_a_number_must_be_the_only_verdict(
    reply: str, grade: float | None
) -> None:
    assert one(read(TEN, reply, 1)) == grade


@pytest.mark.parametrize(("spec", "reply", "grade"), OTHER_MARKERS)
def test_c34_markers_and_ranges_of_published_judges(
    spec: Judge, reply: str, grade: float | None
) -> None:
    assert one(read(spec, reply, 1)) == grade


@pytest.mark.parametrize(
    ("spec", "reply", "place"),
    [(BEST, *case) for case in BESTS] + [(CHOICE, *case) for case in CHOICES],
)
def test_c34_a_choice_names_one_candidate(spec: Judge, reply: str, place: int | None) -> None:
    assert chosen(read(spec, reply, 3)) == place


@pytest.mark.parametrize(
    ("spec", "reply", "worth"),
    [(VALUE, *case) for case in VALUES]
    + [(SOUND, *case) for case in SOUNDS]
    + [(GERMAN, *case) for case in GERMANS]
    + [(VERDICT, *case) for case in VERDICTS]
    + [(RESULT, *case) for case in RESULTS]
    + [(LETTERS, *case) for case in LETTER],
)
def test_c34_an_option_is_read_where_it_is_the_verdict(
    spec: Judge, reply: str, worth: float | None
) -> None:
    assert one(read(spec, reply, 1)) == worth


@pytest.mark.parametrize(("spec", "reply", "order"), ORDERS)
def test_c34_a_ranking_is_a_chain_or_a_list(
    spec: Judge, reply: str, order: list[int] | None
) -> None:
    assert ordered(read(spec, reply, 3)) == order


def test_c34_a_question_that_ends_with_the_marker_is_answered_without_it() -> None:
    spec = replace(GRADE, template=Template("j", ("Grade it. Grade:",)))
    assert one(read(spec, " 8/10. Only 1 slip.", 1)) == 8
    assert one(read(spec, "2 slips, so Grade: 7", 1)) == 7
    assert one(read(spec, "It has 2 slips.", 1)) is None


THINKING = Binding(name="b", context=9, thinking=Thinking(begin="<t>", end="</t>"))
ALWAYS = THINKING.model_copy(update={"prompt": "{message}<t>\n"})
PLAIN = Binding(name="b", context=9)


@pytest.mark.parametrize(
    ("binding", "reply", "text"),
    [
        (THINKING, "<t>Grade: 3</t>Grade: 8", "Grade: 8"),
        (THINKING, "Grade: 3</t>Grade: 8", "Grade: 8"),
        (THINKING, "<t>Grade: 3", ""),
        (THINKING, "Grade: 8", "Grade: 8"),
        (ALWAYS, "Grade: 3", ""),
        (ALWAYS, "Grade: 3</t>", ""),
        (ALWAYS, "hm</t>Grade: 8", "Grade: 8"),
        (PLAIN, "<think>Grade: 3</think>\nGrade: 8", "\nGrade: 8"),
        (PLAIN, "<think>Grade: 3", ""),
        (PLAIN, "[THINK]Grade: 3[/THINK]Grade: 8", "Grade: 8"),
    ],
)
def test_c34_what_stands_in_thoughts_is_no_verdict(binding: Binding, reply: str, text: str) -> None:
    assert final_text(reply, binding, "Grade it.") == text


@given(st.text(), st.sampled_from([GRADE, TEN, BEST, CHOICE, VALUE, SOUND, ORDER, PLAIN_ORDER]))
def test_c34_whatever_a_judge_writes_is_read_or_not(reply: str, spec: Judge) -> None:
    for text in (reply, f"Grade: {reply}", f"Best: {reply}", f"Ranking: {reply}"):
        reading = read(spec, text, 3)
        assert reading is None or len(reading) == 3
        if reading is not None and spec.read == "number":
            assert 0 <= (reading[0] or 0) <= 10


@given(st.text(alphabet="0123456789 .,/-*[]()Grade:outf \n", max_size=40), st.integers(0, 10))
def test_c34_what_stands_before_the_last_marker_says_nothing(talk: str, grade: int) -> None:
    assert one(read(GRADE, f"{talk}\nGrade: {grade}", 1)) == grade
