"""Rows whose problem stands in two fields: a text and a question, an instruction and its input."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tts_runtime.problems import FieldNames, Problem, field_names, load_problems


def one(row: dict[str, Any], folder: Path, names: FieldNames | None = None) -> Problem:
    path = folder / "one.jsonl"
    path.write_text(json.dumps(row))
    [problem] = load_problems(path, names=names)
    return problem


@pytest.mark.parametrize(
    ("row", "answer"),
    [
        ({"Body": "Two ducks. ", "Question": "How many?", "Answer": 2.0}, "2"),
        ({"body": "Two ducks.", "question": "How many?", "answer": "2 (ducks)"}, "2"),
        ({"body": "Two ducks.", "question": "How many?", "answer": "Ann (or Bo)"}, "Ann (or Bo)"),
        ({"passage": "Two ducks.", "question": "How many?"}, None),
        ({"context": "Two ducks.", "question": "How many?", "final_answer": ["2"]}, "2"),
        ({"context": "Two ducks.", "query": "How many?"}, None),
        ({"article": "Two ducks.", "question": "How many?"}, None),
        ({"context": None, "question": "Two ducks.\nHow many?"}, None),
        ({"context": "Two ducks.", "question": "Two ducks.\nHow many?"}, None),
        ({"context": ["other"], "question": "Two ducks.\nHow many?"}, None),
        ({"body": "other", "problem": "Two ducks.\nHow many?"}, None),
    ],
)
def test_a_text_stands_before_the_question_about_it(
    row: dict[str, Any], answer: str | None, tmp_path: Path
) -> None:
    problem = one(row, tmp_path)
    assert (problem.text, problem.answer) == ("Two ducks.\nHow many?", answer)


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ({"instruction": "Add. ", "input": "1 and 1", "output": "2"}, "Add.\n\n1 and 1"),
        ({"Instruction": "Add.", "Input": "1 and 1"}, "Add.\n\n1 and 1"),
        ({"instruction": "Add 1 and 1.", "input": ""}, "Add 1 and 1."),
        ({"instruction": "", "input": "1 + 1"}, "1 + 1"),
        ({"instruction": "Add.", "input": "1 and 1", "question": "1 + 1"}, "1 + 1"),
    ],
)
def test_an_instruction_stands_before_its_input(
    row: dict[str, Any], text: str, tmp_path: Path
) -> None:
    assert one(row, tmp_path).text == text
    if "question" not in row and text != "1 + 1":
        name = next(name for name in row if name.lower() == "instruction")
        by_hand = one(row, tmp_path, field_names([f"problem={name}"]))
        assert by_hand.text == row[name]


def test_the_question_alone_can_be_asked_for(tmp_path: Path) -> None:
    row = {"context": "Two ducks.", "question": "How many?"}
    assert one(row, tmp_path, field_names(["problem=question"])).text == "How many?"
