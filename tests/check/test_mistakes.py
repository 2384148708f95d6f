"""What newcomers type wrongly: one report, on the right line, with a help that works."""

from __future__ import annotations

import pytest

from tests.support.mistakes import Judged, corpus
from tts_lang import diagnose
from tts_lang.source import Source

#: Every 16th of the corpus; `python -m tests.support.mistakes` has the figures for all.
STEP = 16


@pytest.fixture(scope="module")
def judged() -> list[Judged]:
    """How part of the corpus is answered."""
    return [Judged(each, each.errors()) for each in list(corpus())[5::STEP]]


def share(parts: list[bool]) -> float:
    """Of those that hold."""
    return sum(parts) / len(parts)


def test_a_mistake_is_reported_once_and_on_its_line(judged: list[Judged]) -> None:
    assert all(each.right_line for each in judged)
    assert share([each.one for each in judged]) >= 0.96


def test_the_help_is_what_was_meant(judged: list[Judged]) -> None:
    assert share([each.works for each in judged]) >= 0.96
    assert share([each.wrong for each in judged]) <= 0.03


def help_for(line: str, head: str = "") -> str | None:
    """The help for a line of a strategy that has a pool `beams`."""
    text = (
        f"{head}strategy s(n = 8, width = 2):\n    beams = sample n steps\n    score beams by prm\n"
        f"    {line}\n    return best of beams by logprob\n"
    )
    found = [each for each in diagnose(Source.of(text, "s.tts")) if each.is_error]
    return found[0].suggestion


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("beams = select topk n / width of beams by last(prm)", "top n / width of beams"),
        ("beams = filter beams where done", "beams = beams where done"),
        ("beams = fork beams 2", "fork beams into 2"),
        ("repeat width times: beams = expand beams by 1 step", "repeat width: beams = expand"),
        ("beams.append(sample 1 step)", "beams = beams + (sample 1 step)"),
        ('force "a.b" in beams  # why', 'force "a.b" into beams  # why'),
        # What stands in quotes of any kind is not read as a part of the line.
        ('beams.force("two  spaces, it\'s :)")', 'force "two  spaces, it\'s :)" into beams'),
        ("force 'Wait! a && b' into beams", 'force "Wait! a && b" into beams'),
        (
            "force \u201cit\u2019s 2\u00b2 \u2264 5!\u201d into beams",
            'force "it\u2019s 2\u00b2 \u2264 5!" into beams',
        ),
        ("force \u2018Wait!\u2019 into beams", 'force "Wait!" into beams'),
        ('force f"a" into beams', 'force "a" into beams'),
        ("beams = [b for b in beams if 'b.x' in b.text]", 'beams where text contains "b.x"'),
        ("beams = beams where beam['text'] contains \"a\"", 'beams where text contains "a"'),
        # Signs of word processors and of other keyboards.
        ("beams = sort beams by \u2212steps \u2013 2 \u00f7 n", "sort beams by -steps - 2 / n"),
        ("beams \uff1d expand beams by \uff08n\uff09 steps", "beams = expand beams by (n) steps"),
    ],
)
def test_a_line_that_would_do_is_shown_whole(line: str, meant: str) -> None:
    help_ = help_for(line)
    assert help_ is not None
    assert help_.startswith("write `")
    assert meant in help_


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("drop the worst 2 of beams by last(prm)", "select top count(beams) - 2 of beams by last"),
        ("beams = the 3 shortest of beams", "select top 3 of beams by -tokens"),
        ("if beams == []: beams = sample 1", "if count(beams) == 0: beams = sample 1"),
        ('beams = beams where text matches "a.c"', 'where has(extract("a.c", text))'),
        (
            'beams = beams.sort_values("logprob").head(2)',
            "top 2 of beams by E`: E may be `logprob` or",
        ),
    ],
)
def test_a_line_keeps_what_was_said_in_another_order(line: str, meant: str) -> None:
    assert meant in (help_for(line) or "")


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ('read choice of "yes" = \u22121, "no" = 0', 'read choice of "yes" = -1, "no" = 0'),
        ("read number after 'Score' from 0 to 10", 'read number after "Score" from 0 to 10'),
    ],
)
def test_signs_and_quotes_of_a_judge_are_read(line: str, meant: str) -> None:
    text = f'judge j:\n    """{{problem}} {{text}}"""\n    {line}\n'
    [first, *_] = diagnose(Source.of(text, "s.tts"))
    assert first.suggestion == f"write `{meant}`"


def test_a_text_with_slots_is_not_taken_for_one_without() -> None:
    assert '"Wait {n}" into' not in (help_for('force f"Wait {n}" into beams') or "")


def test_what_is_not_said_is_left_open() -> None:
    """Two readings that make different plans are both named; a slot that is empty is a letter."""
    both = help_for("beams = expand beams by 2 x 8") or ""
    assert "E may be `steps` or `tokens`" in both
    assert help_for("beams = top 4 of beams") == "the form is `beams = select top 4 of beams by E`"
    assert "write" not in (help_for("beams = top 4 of beams by last(prm) and 7") or "")


def test_where_nothing_helps_the_form_of_the_verb_is_shown() -> None:
    assert (
        help_for("beams = select most promising")
        == "the form is `select top k of P by E [per KEY]`"
    )


def test_a_guess_that_does_not_help_is_not_shown() -> None:
    """`did you mean 'with'?` for `width`."""
    assert "with" not in (help_for("beams = select top n / width by last(prm)") or "")


@pytest.mark.parametrize(
    "weights",
    [
        "weighted by (a, logprob)",
        "weighted by (index, logprob)",
        "by (a, logprob)",
    ],
)
def test_two_weights_are_not_one_of_them(weights: str) -> None:
    head = "scorer a\nscorer prm per step\n\n"
    help_ = help_for(f"score beams by a\n    best = vote beams {weights}", head) or ""
    assert "weighted by E" in help_
