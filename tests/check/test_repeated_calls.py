"""Calls that give the same again: where the checker warns, and what EXPLAIN says (C13)."""

from __future__ import annotations

from textwrap import indent

import pytest

from tests.support.runs import plan_of
from tts_lang.compiler import check_source
from tts_lang.explain.render import to_text
from tts_lang.explain.tree import explain
from tts_lang.source import Source

BEFORE = "strategy one(n = 1):\n    return vote (sample n)\n"
SAME = "gives the same candidates"
EVERY, AS_BEFORE = f"`one` {SAME} in every round", f"`one` {SAME} as the call at line"

CASES = [
    # In loops: what the rows of a call are does not change.
    ("p = none\nrepeat 8:\n    p = p + one()\nreturn vote p", EVERY),
    ("p = one()\nrepeat 8:\n    p = p + one()\nreturn vote p", EVERY),
    ("p = sample 1\nrepeat 4 until max(tokens of one()) > 3:\n    p = sample 1\nreturn p", EVERY),
    (
        "repeat 8:\n    a = one()\n    if max(tokens of a) > 3:\n        return a\nreturn sample 1",
        EVERY,
    ),
    ("p = sample 2 steps\nq = none\nrepeat 4:\n    q = q + (one() on p)\nreturn vote q", EVERY),
    ("q = none\nrepeat 4:\n    q = q + (one() on (fork problem into 2))\nreturn vote q", EVERY),
    (
        "p = sample 2 steps\nq = none\nrepeat 4:\n    q = q + (one() on (first of p))\n"
        "return vote q",
        EVERY,
    ),
    (
        "q = none\nrepeat 4:\n    p = sample 1 step\n    repeat 2:\n        q = q + (one() on p)\n"
        "return vote q",
        EVERY,
    ),
    # In unions.
    ("return vote one() + one()", AS_BEFORE),
    ("return vote one(n = 1) + one()", AS_BEFORE),
    (
        "a = one()\nb = one()\nscore a by prm\nscore b by prm\nreturn best of a + b by last(prm)",
        AS_BEFORE,
    ),
    (
        "q = sample 1\nif count(q) > 3:\n    q = one()\nelse:\n    q = one()\n"
        "return vote q + one()",
        AS_BEFORE,
    ),
    # Other samples, or another number of rounds.
    ("p = none\nrepeat 8:\n    p = p + fresh one()\nreturn vote p", None),
    ("return vote one() + fresh one()", None),
    ("return vote one() + one(2)", None),
    ("p = none\nrepeat 1:\n    p = p + one()\nreturn vote p", None),
    ("repeat 8:\n    if uniform() < 0.5:\n        return one()\nreturn sample 1", None),
    ("p = sample 2 steps\nrepeat 4:\n    p = one() on p\nreturn vote p", None),
    ("p = none\nrepeat 4:\n    q = sample 1 step\n    p = p + (one() on q)\nreturn vote p", None),
    (
        "p = sample 2 steps\nq = none\nrepeat 4:\n"
        "    q = q + (one() on (p where uniform() < 0.3))\nreturn vote q",
        None,
    ),
    # One pool whose parts are put together again, and calls that never meet.
    ("a = one() on (sample 2 steps)\nreturn vote (a where done) + (a - (a where done))", None),
    ("a = one(2)\nif count(a) > 1:\n    a = one(2)\nreturn a", None),
]


@pytest.mark.parametrize(("body", "message"), CASES)
def test_a_call_that_meets_its_own_result_is_warned_of(body: str, message: str | None) -> None:
    source = f"{BEFORE}strategy main():\n{indent(body, '    ')}\n"
    found = check_source(Source.of(source, "main.tts")).diagnostics
    said = [each.message for each in found if each.code == "TTS911"]
    assert len(said) == (message is not None)
    assert message is None or said[0].startswith(message)


def test_explain_says_which_calls_share_their_samples() -> None:
    plan = plan_of(
        "p = one()",
        "repeat 3:",
        "    p = p + one(2) + fresh one(2) + (one() on p)",
        "q = one()",
        "return vote p - q",
        before=BEFORE,
    )
    lines = [line for line in to_text(explain(plan)).splitlines() if "one(...)" in line]
    said = [line.split("= ", 1)[1].rstrip() for line in lines]
    assert said == [
        "one(...)",
        "one(...): the same in every round",
        "fresh one(...)",
        "one(...) on p: once for each row",
        "one(...): the same as at line 5",
    ]


def test_a_pool_with_an_error_has_no_second_message() -> None:
    body = "    a = ask p about problem\n    return one() on a\n"
    source = f"{BEFORE}prompt p = \nstrategy main():\n{body}"
    found = check_source(Source.of(source, "main.tts")).diagnostics
    assert [each.is_error for each in found] == [True]
