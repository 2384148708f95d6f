"""Rows with choices: how they are written, and what their gold answer is."""

from __future__ import annotations

from typing import Any

import pytest

from tts_runtime.problems import Problem, ProblemFileError, problems_given


def one(row: dict[str, Any]) -> Problem:
    [problem] = problems_given([row])
    return problem


CHOICES = ["Mars", "Jupiter", "Venus"]
LABELLED = list(zip(CHOICES, "ABC", strict=True))


@pytest.mark.parametrize(
    "row",
    [
        {"question": "q", "choices": CHOICES, "answer": 1},
        {"question": "q", "choices": CHOICES, "answer": "B"},
        {"question": "q", "options": CHOICES, "answer": "Jupiter"},
        {"question": "q", "choices": {"text": CHOICES, "label": list("ABC")}, "answerKey": "B"},
        {"question": "q", "options": dict(zip("ABC", CHOICES, strict=True)), "answer": "B"},
        {"question": "q", "choices": str(CHOICES), "answer": "B"},
        {"question": "q", "choices": {"text": CHOICES, "label": list("123")}, "answerKey": "2"},
        {"question": "q", "choices": {"text": CHOICES, "label": [1, 2, 3]}, "answerKey": 2},
        {"question": "q", "options": {"B": "Jupiter", "C": "Venus", "A": "Mars"}, "answer": "B"},
        {"question": "q", "options": {"b": "Jupiter", "c": "Venus", "a": "Mars"}, "answer": "(b)"},
        {"question": "q", "options": dict(zip("PQR", CHOICES, strict=True)), "answer": "Q"},
        {"question": "q", "options": dict(zip("PQR", CHOICES, strict=True)), "answer": 1},
        {
            "question": "q",
            "choices": [
                {"label": str(n), "text": choice} for n, choice in enumerate(CHOICES, start=1)
            ],
            "answer": "2",
        },
        {"question": "q", "options": ["A)Mars", "B)Jupiter", "C)Venus"], "correct": "B"},
        {"question": "q", "options": ["(A) Mars", "(B) Jupiter", "(C) Venus"], "label": 1},
        {"question": "q", "options": ["A. Mars", "B. Jupiter", "C. Venus"], "answer": "B. Jupiter"},
        {"question": "q", "options": "A) Mars B) Jupiter C) Venus", "answer": "B"},
        {"question": "q", "options": "(A) Mars\n(B) Jupiter\n(C) Venus", "answer": "Jupiter"},
        {"question": "q", "options": "a ) Mars , b ) Jupiter , c ) Venus", "correct": "b"},
        {"question": "q", "options": ["a ) Mars", "b ) Jupiter", "c ) Venus"], "correct": "b"},
        {"question": {"stem": "q", "choices": [{"text": t, "label": x} for t, x in LABELLED]}}
        | {"answerKey": "B"},
        {"ctx": "q", "endings": CHOICES, "label": "1"},
        {"question": "q", "choices": CHOICES, "answers": ["B"]},
        {"question": "q", "choices": CHOICES, "reward_model": {"ground_truth": "B"}},
        {"question": "q", "choices": CHOICES, "answer": 1.0},
        {"question": "q", "choices": str(CHOICES), "answer": "1"},
        {"question": "q", "choices": str(CHOICES), "answer": "1.0"},
        {"question": "q", "choices": str(CHOICES), "label": "1.0"},
        {"question": "q", "options": [*CHOICES, None, ""], "answer": 1},
        {"question": "q", "options": dict(zip("ABCDE", [*CHOICES, None, None], strict=True))}
        | {"answer": "B"},
        {"question": "q", "options": [{"key": x, "value": t} for t, x in LABELLED], "answer": "B"},
        {"question": "q", "options": [{"id": x, "content": t} for t, x in LABELLED], "answer": "B"},
        {"question": "q", "options": [{x: t} for t, x in LABELLED], "answer": "B"},
        {"question": "q", "options": [[x, t] for t, x in LABELLED], "answer": "B"},
        {"question": "q", "choices": [{"text": text} for text in CHOICES], "answer": "Jupiter"},
        {"question": "q", "options": {"A": "Mars", "B": None, "C": "Jupiter", "D": "Venus"}}
        | {"answer": "C"},
        {"question": "q", "options": {"A": "Mars", "B": None, "C": "Jupiter", "D": "Venus"}}
        | {"answer": 2},
        {"question": "q", "options": ["Mars", None, "Jupiter", "Venus"], "answer": 2},
        {"question": "q", "options": ["Mars", "", "Jupiter", "Venus"], "answer": "C"},
        {"question": "q", "opa": "Mars", "opb": "", "opc": "Jupiter", "opd": "Venus", "cop": 2},
        {"question": "q", "options": '{"A": "Mars", "B": "Jupiter", "C": "Venus", "D": null}'}
        | {"answer": "B"},
        {"question": "q", "options": "['Mars' 'Jupiter'\n 'Venus']", "answer": "1"},
        {
            "question": "q",
            "choices": "{'text': array(['Mars', 'Jupiter', 'Venus'], dtype=object), "
            "'label': array(['A', 'B', 'C'], dtype=object)}",
            "answer": "B",
        },
        {"question": "q", "options": "1) Mars 2) Jupiter 3) Venus", "answer": "2"},
        {"question": "q", "options": "1. Mars\n2. Jupiter\n3. Venus", "answer": 2},
        {"question": "q", "options": "Mars | Jupiter | Venus", "answer": "B"},
        {"question": "q", "options": "Mars\nJupiter\nVenus\n", "answer": "Jupiter"},
        {"question": "q", "options": CHOICES, "correct_option": 1},
        {"question_stem": "q", "options": CHOICES, "answerKey": "B"},
        {"question": "q", "A": "Mars", "B": "Jupiter", "C": "Venus", "answer": "B"},
        {"Question": "q", "A": "Mars", "B": "Jupiter", "C": "Venus", "D": "", "Answer": " B "},
        {"question": "q", "A": "Mars", "B": "Jupiter", "C": "Venus", "answer_idx": "B"},
        {"question": "q", "opa": "Mars", "opb": "Jupiter", "opc": "Venus", "cop": 1},
        {"question": "q", "opa": "Mars", "opb": "Jupiter", "opc": "Venus", "cop": "1"},
        {"": "0", "question": "q", "option_a": "Mars", "option_b": "Jupiter", "option_c": "Venus"}
        | {"answer": "Jupiter"},
        {"question": "q", "OptionA": "Mars", "OptionB": "Jupiter", "OptionC": "Venus"}
        | {"correct": "b"},
    ],
)
def test_choices_are_part_of_the_text_and_the_answer_is_a_letter(row: dict[str, Any]) -> None:
    problem = one(row)
    assert problem.text == "q\n\nA. Mars\nB. Jupiter\nC. Venus"
    assert problem.answer == "B"
    assert problem.fields["choices"] == CHOICES


@pytest.mark.parametrize(
    ("row", "text", "answer"),
    [
        ({"A": 3, "B": 5, "answer": 8}, "q", "8"),
        ({"A": "3", "B": "5", "C": "1", "D": "2", "answer": "7"}, "q", "7"),
        ({"A": "3", "B": "5"}, "q", None),
        ({"B": "3", "C": "5", "answer": "B"}, "q", "B"),
        ({"a": "3", "b": "5", "answer": "b"}, "q", "b"),
        ({"A": "3", "B": "5", "C": "1", "D": "2"}, "q\n\nA. 3\nB. 5\nC. 1\nD. 2", None),
        ({"A": "3", "B": "5", "C": "1", "D": "2", "answer": 5}, "q\n\nA. 3\nB. 5\nC. 1\nD. 2", "B"),
        ({"opa": "3", "opb": "5", "cop": -1}, "q\n\nA. 3\nB. 5", None),
        ({"opa": "3", "opb": "5", "choices": ["x", "y"], "answer": "B"}, "q\n\nA. x\nB. y", "B"),
        ({"choices": ["$1$", "$2$"], "answer": "1"}, "q\n\nA. $1$\nB. $2$", "1"),
        ({"choices": ["2.0", "1.0"], "answer": "1.0"}, "q\n\nA. 2.0\nB. 1.0", "B"),
        ({"choices": ["x", None, "y"], "answer": "7"}, "q\n\nA. x\nB. y", "7"),
        ({"option1": "x", "option2": "y", "answer": "2"}, "q\n\nA. x\nB. y", "B"),
        ({"Choice 1": "x", "Choice 2": "y", "answer": 2.0}, "q\n\nA. x\nB. y", "B"),
        ({"option_0": "x", "option_1": "y", "label": 1}, "q\n\nA. x\nB. y", "B"),
        ({"options": "1. 2.5 2. 3.5", "answer": "2"}, "q\n\nA. 2.5\nB. 3.5", "B"),
        ({"options": "choose:\nx\ny", "answer": "x"}, "q", "x"),
        ({"options": "|x|, |y|", "answer": "B"}, "q", "B"),
        ({"options": "P(A|B)\nP(B|A)", "answer": "B"}, "q\n\nA. P(A|B)\nB. P(B|A)", "B"),
        ({"option1": "x", "option2": "y", "answer": "option2"}, "q\n\nA. x\nB. y", "B"),
        ({"option1": "x", "option2": "y", "answer": "y"}, "q\n\nA. x\nB. y", "B"),
        ({"option1": "x", "option2": "y"}, "q\n\nA. x\nB. y", None),
        ({"option1": "x", "answer": "y"}, "q", "y"),
        ({"choices": ["x", None, "y"], "answer": 1}, "q\n\nA. x\nB. y", "1"),
        ({"choices": [None, "x", "y"], "answer": 1}, "q\n\nA. x\nB. y", "A"),
        ({"choices": ["A) x", "", "C) y"], "answer": "C"}, "q\n\nA. x\nB. y", "B"),
        ({"choices": [[1, 2], [2, 3]], "answer": 1}, "q\n\nA. [1, 2]\nB. [2, 3]", "B"),
        (
            {"choices": [["A", "C"], ["B", "D"], ["C", "E"]], "answer": 1},
            "q\n\nA. C\nB. D\nC. E",
            "B",
        ),
    ],
)
def test_columns_are_choices_only_if_it_is_plain(
    row: dict[str, Any], text: str, answer: str | None
) -> None:
    problem = one({"question": "q", **row})
    assert (problem.text, problem.answer) == (text, answer)


@pytest.mark.parametrize(
    ("row", "text", "answer"),
    [
        ({"goal": "g", "sol1": "x", "sol2": "y", "label": 1}, "g\n\nA. x\nB. y", "B"),
        ({"goal": "g", "sol1": "x", "sol2": "y", "label": "0"}, "g\n\nA. x\nB. y", "A"),
        ({"goal": "g", "sol1": "x", "sol2": "y", "label": -1}, "g\n\nA. x\nB. y", None),
        (
            {"premise": "p.", "question": "cause", "choice1": "x", "choice2": "y", "label": 1},
            "p.\nWhat was the cause?\n\nA. x\nB. y",
            "B",
        ),
        (
            {"premise": "p.", "question": "effect", "choice1": "x", "choice2": "y", "label": 0},
            "p.\nWhat happened as a result?\n\nA. x\nB. y",
            "A",
        ),
        (
            {"context": "c.", "question": "q", "answerA": "x", "answerB": "y", "answerC": "z"}
            | {"label": "1"},
            "c.\nq\n\nA. x\nB. y\nC. z",
            "A",
        ),
        (
            {"context": "c.", "question": "q", "answerA": "x", "answerB": "y", "answerC": "z"}
            | {"label": "C"},
            "c.\nq\n\nA. x\nB. y\nC. z",
            "C",
        ),
        (
            {"question": "q", "options": ["x", "y", "z"], "answer_index": 1},
            "q\n\nA. x\nB. y\nC. z",
            "B",
        ),
    ],
)
def test_labels_of_published_sets(row: dict[str, Any], text: str, answer: str | None) -> None:
    """PIQA's and COPA's count from 0 although the columns do from 1, those of Social IQa from 1."""
    problem = one(row)
    assert (problem.text, problem.answer, problem.grader) == (text, answer, "choice")


@pytest.mark.parametrize(
    "targets",
    [{"choices": ["right", "x", "y"], "labels": [1, 0, 0]}, {"right": 1, "x": 0, "y": 0}],
)
def test_choices_with_the_right_one_first_are_shuffled(targets: dict[str, Any]) -> None:
    """TruthfulQA, as the hub has it and as its authors do."""
    rows = [{"question": f"Which {n}?", "mc1_targets": targets} for n in range(12)]
    problems = [one(row) for row in rows]
    assert all(f"\n{problem.answer}. right" in problem.text for problem in problems)
    assert {problem.answer for problem in problems} == set("ABC")
    assert "mc1_targets" not in problems[0].fields


@pytest.mark.parametrize("gold", [{"cop": 2}, {"cop": "2"}, {"cop": 2.0}, {"answer": "2"}])
def test_an_index_behind_the_last_column_is_refused(gold: dict[str, Any]) -> None:
    with pytest.raises(ProblemFileError, match="is 2, but an index of 2 choices counts from 0 to"):
        one({"question": "q", "opa": "Mars", "opb": "Jupiter", **gold})


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"choice1": "x", "choice2": "y", "label": 0}, "is 0, but the choices are numbered 1, 2"),
        ({"option1": "x", "option2": "y", "answer": "3"}, "is 3, but the choices are numbered"),
        ({"opa": "x", "opb": "", "opc": "y", "cop": 1}, "is 1, but that choice is empty"),
    ],
)
def test_a_number_of_no_choice_is_refused(row: dict[str, Any], message: str) -> None:
    with pytest.raises(ProblemFileError, match=message):
        one({"question": "q", **row})


@pytest.mark.parametrize(
    "text",
    [
        "q (A) Mars (B) Jupiter (C) Venus",
        "q\nA. Mars\nB.Jupiter\nC: Venus",
        "q\n- **a)** Mars\n- **b)** Jupiter\n- **c)** Venus",
        r"f(A) = ? $\textbf{(A)}\ Mars \qquad \textbf{(B) } Jupiter, (\mathrm{C})\ Venus$",
    ],
)
def test_choices_that_the_text_lists_are_not_repeated(text: str) -> None:
    row = {"question": text, "choices": CHOICES, "answer": "B"}
    assert one(row).text == text


@pytest.mark.parametrize(
    ("text", "choices"),
    [
        ("Let l = [1,2,3,4]. What is min(l)?", ["1", "2", "3", "4"]),
        ("Is it north, south or east of A?", ["north", "south", "east"]),
        ("q (A) 12 (B) 34", ["1", "3"]),
        ("q (A) 1 (B) 2", ["2", "1"]),
    ],
)
def test_choices_that_the_text_only_mentions_are_listed(text: str, choices: list[str]) -> None:
    problem = one({"question": text, "choices": choices, "answer": 0})
    assert problem.text.startswith(f"{text}\n\nA. {choices[0]}\nB. {choices[1]}")
    assert problem.answer == "A"


@pytest.mark.parametrize(
    ("choices", "wanted"),
    [
        (["(A) only", "(B) only"], ["(A) only", "(B) only"]),
        (["A.B", "B.C"], ["A.B", "B.C"]),
        (["B) x", "A) y"], ["B) x", "A) y"]),
        (["1.5", "2.5"], ["1.5", "2.5"]),
        ({"text": ["y", "x"], "label": ["2", "1"]}, ["x", "y"]),
        ({"one": "y", "two": "x"}, ["y", "x"]),
    ],
)
def test_only_labels_in_order_are_no_part_of_a_choice(choices: object, wanted: list[str]) -> None:
    problem = one({"question": "q", "choices": choices, "answer": "A"})
    assert problem.fields["choices"] == wanted


def test_one_text_of_choices_that_cannot_be_split_stands_below() -> None:
    options = "A) Mars B) Jupiter, as A) of B) says"
    problem = one({"question": "q", "options": options, "answer": "B"})
    assert problem == Problem("row-1", f"q\n\n{options}", "B", {"options": options}, "choice")
    options = "a ) 1 , b ) 2 or a ) , c ) 3"
    problem = one({"question": "q", "options": options, "correct": "b"})
    assert problem == Problem("row-1", f"q\n\n{options}", "b", {"options": options}, "choice")
    problem = one({"question": "q", "options": "strict", "answer": "B"})
    assert (problem.text, problem.grader) == ("q", None)
