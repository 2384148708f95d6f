"""Which problems of a set are run."""

from __future__ import annotations

import pytest

from tts_runtime.problems import Problem, Selection, SelectionError

PROBLEMS = [
    Problem(str(n), "q", None, {"level": f"Level {n % 5 + 1}", "rate": n / 10, "topic": "Algebra"})
    for n in range(7)
]
#: Other fields: whole numbers that are one float, one that is null; the first have none.
PROBLEMS += [
    Problem(
        str(n), "q", None, {"level": f"Level {n % 5 + 1}", "rate": n / 10, "topic": topic, "at": at}
    )
    for n, topic, at in (
        (7, "A topic theory", 10**16),
        (8, "Algebra", 10**16 + 1),
        (9, "Algebra", None),
    )
]


def ids(selection: Selection) -> str:
    return "".join(problem.id for problem in selection.of(PROBLEMS))


@pytest.mark.parametrize(
    ("selection", "wanted"),
    [
        (Selection(), "0123456789"),
        (Selection(limit=3), "012"),
        (Selection(offset=7), "789"),
        (Selection(offset=4, limit=2), "45"),
        (Selection(ids=["7", "2", "7"]), "72"),
        (Selection(where=["level=5"]), "49"),
        (Selection(where=["level=Level 5"]), "49"),
        (Selection(where=["level>=4", "rate<0.5"]), "34"),
        (Selection(where=["level != 5"], limit=4), "0123"),
        (Selection(where=["topic=algebra"], offset=7), "89"),
        (Selection(where=["at>0"]), "78"),
        (Selection(where=["at!=0"]), "78"),
        (Selection(where=["at=10000000000000001"]), "8"),
        (Selection(where=["level=5"], ids=["9"]), "9"),
    ],
)
def test_what_is_kept(selection: Selection, wanted: str) -> None:
    assert ids(selection) == wanted


def test_a_shuffle_is_repeated_by_its_seed_and_comes_before_the_limit() -> None:
    shuffled = ids(Selection(shuffle=1))
    assert sorted(shuffled) == sorted("0123456789")
    assert shuffled not in ("0123456789", ids(Selection(shuffle=2)))
    assert ids(Selection(shuffle=1, offset=2, limit=3)) == shuffled[2:5]


@pytest.mark.parametrize(
    ("selection", "said"),
    [
        (Selection(where=["levle=5"]), "no problem has a field `levle`; did you mean 'level'?"),
        (Selection(where=["level"]), "expected FIELD=VALUE"),
        (Selection(where=["level="]), "expected FIELD=VALUE"),
        (Selection(where=["topic=a theory"]), "`topic=a theory` leaves no problem"),
        (Selection(where=["level=9"]), "leaves no problem; values of `level` are Level 1, Level 2"),
        (Selection(where=["topic<3"]), "only numbers can be less or greater"),
        (Selection(ids=["77"]), "no problem has the id `77`; the first is `0`"),
        (Selection(ids=["3"], where=["level=5"]), "--ids: --where leaves out the problem `3`;"),
        (Selection(offset=10), "--offset: 10 leaves none of 10 problems"),
    ],
)
def test_mistakes(selection: Selection, said: str) -> None:
    with pytest.raises(SelectionError) as caught:
        selection.of(PROBLEMS)
    assert said in str(caught.value)
