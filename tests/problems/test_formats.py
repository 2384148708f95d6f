"""Problem files as people have them: formats, names of fields, choices, what is no such file."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from tts_runtime.answers import grade
from tts_runtime.problems import FieldNames, Problem, ProblemFileError, field_names, load_problems

ROWS = [
    {"id": "a", "problem": "1 + 1, in words?", "answer": "two", "level": "1"},
    {"id": "b", "problem": 'say "1 + 2"\nin digits', "answer": "3", "level": "2"},
]
WANTED = [Problem(r["id"], r["problem"], r["answer"], {"level": r["level"]}) for r in ROWS]


def _table(delimiter: str) -> bytes:
    import csv

    text = io.StringIO()
    writer = csv.DictWriter(text, list(ROWS[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(ROWS)
    return text.getvalue().encode()


def _parquet() -> bytes:
    buffer = io.BytesIO()
    parquet.write_table(pa.Table.from_pylist(ROWS), buffer)
    return buffer.getvalue()


LINES = "".join(json.dumps(row) + "\n" for row in ROWS).encode()
FORMATS: dict[str, bytes] = {
    "lines.jsonl": LINES,
    "lines.json": LINES,
    "lines": LINES,
    "array.json": json.dumps(ROWS).encode(),
    "array.jsonl": json.dumps(ROWS, indent=1).encode(),
    "array.txt": json.dumps(ROWS, indent=2).encode(),
    **{f"{name}.jsonl": LINES.decode().encode(name) for name in ("utf-16", "utf-16-be", "utf-32")},
    "utf-16-le.csv": _table(",").decode().encode("utf-16-le"),
    "mac.jsonl": LINES.replace(b"\n", b"\r"),
    "held.json": json.dumps({"version": 1, "data": ROWS}).encode(),
    "hub.json": json.dumps({"rows": [{"row_idx": 0, "row": row} for row in ROWS]}).encode(),
    "columns.json": json.dumps({name: [row[name] for row in ROWS] for name in ROWS[0]}).encode(),
    "pandas.json": json.dumps(
        {name: {str(n): row[name] for n, row in enumerate(ROWS)} for name in ROWS[0]}
    ).encode(),
    "split.json": json.dumps(
        {"columns": list(ROWS[0]), "index": [0, 1], "data": [list(row.values()) for row in ROWS]}
    ).encode(),
    "by_id.json": json.dumps({row["id"]: row for row in ROWS}).encode(),
    "table.csv": _table(","),
    "semicolons.csv": _table(";"),
    "excel.csv": b"sep=;\r\n" + _table(";"),
    "excel": b"sep=;\n" + _table(";"),
    "table.tsv": _table("\t"),
    "table": _table(","),
    "utf16.csv": _table(",").decode().encode("utf-16"),
    "table.parquet": _parquet(),
    "parquet": _parquet(),
}


@pytest.mark.parametrize("name", FORMATS)
def test_formats_are_known_by_their_content(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(FORMATS[name])
    assert load_problems(path) == WANTED


def test_a_square_of_columns_and_rows_is_no_list_for_each_column(tmp_path: Path) -> None:
    table = {"columns": ["problem", "answer"], "index": [0, 1], "data": [["q", "1"], ["r", "2"]]}
    (tmp_path / "square.json").write_text(json.dumps(table))
    problems = load_problems(tmp_path / "square.json")
    assert [(problem.text, problem.answer) for problem in problems] == [("q", "1"), ("r", "2")]


TURNS = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "4"}]


@pytest.mark.parametrize(
    "fields",
    [
        {"problem": "q", "answer": "4"},
        {"problem": "q", "answer": "4", "test": [{"input": "1", "output": "2"}]},
        {"question": "q", "answer": "4", "examples": [{"problem": "inner", "answer": "9"}]},
        {"prompt": "q", "answer": "4", "data": [{"prompt": "inner"}]},
        {"answer": "4", "messages": TURNS},
        {"answer": "4", "conversations": [{"from": "human", "value": "q"}]},
    ],
)
@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("name", ["one.json", "one.jsonl", "one"])
def test_one_object_that_is_a_problem_is_one(
    fields: dict[str, Any], indent: int | None, name: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_text("\n" + json.dumps({"id": "1", **fields}, indent=indent) + "\n")
    [problem] = load_problems(path)
    assert (problem.id, problem.text, problem.answer) == ("1", "q", "4")


@pytest.mark.parametrize(
    "held",
    [
        {"instruction": "Solve them.", "data": ROWS},
        {"text": "Sums", "sums": ROWS},
        {"messages": [TURNS, TURNS], "id": ["a", "b"]},
        {"a": {"problem": "q"}, "problem": {"problem": "r"}},
    ],
)
def test_one_object_that_is_no_problem_holds_them(held: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "held.json"
    path.write_text(json.dumps(held))
    assert len(load_problems(path)) == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{\n "problem": "q",\n "answer": NaN\n}', "not usable JSON (NaN is no JSON number)"),
        ('{\n "problem": "q",\n "problem": "r"\n}', "the object has 'problem' twice"),
    ],
)
@pytest.mark.parametrize("name", ["one.json", "one.jsonl"])
def test_an_object_over_several_lines_is_told_what_is_wrong(
    text: str, said: str, name: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ProblemFileError) as caught:
        load_problems(tmp_path / name)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("ending", "compress"), [(".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress)]
)
@pytest.mark.parametrize("name", ["lines.jsonl", "table.csv", "array.json", "table.parquet"])
def test_compressed_files(
    name: str, ending: str, compress: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    path = tmp_path / (name + ending)
    path.write_bytes(compress(FORMATS[name]))
    assert load_problems(path) == WANTED
    path.write_bytes(compress(FORMATS[name])[:-10])
    with pytest.raises(ProblemFileError, match="the compressed file is damaged"):
        load_problems(path)


@pytest.mark.parametrize("name", ["lines.jsonl", "array.json", "table.csv", "table.parquet"])
def test_standard_input(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(FORMATS[name]))
    monkeypatch.setattr(sys, "stdin", stream)
    assert load_problems("-") == WANTED


def test_what_unpacks_to_too_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tts_runtime.problems.rows.MAX_PROBLEMS_BYTES", 1 << 20)
    monkeypatch.setattr("tts_runtime.problems.rows.MAX_LINE_BYTES", 1 << 10)
    path = tmp_path / "bomb.jsonl"
    path.write_bytes(gzip.compress(b" " * (1 << 24)))
    with pytest.raises(ProblemFileError, match="more than 1 MiB"):
        load_problems(path)
    path.write_bytes(LINES + json.dumps({"problem": "x" * 2_000}).encode())
    with pytest.raises(ProblemFileError, match="line 3: longer than"):
        load_problems(path)


def _sqlite(path: Path) -> bytes:
    with sqlite3.connect(path) as database:
        database.execute("create table problems (id text, problem text)")
    return path.read_bytes()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\n", "a git-lfs pointer"),
        (b"%PDF-1.7\n%\xe2\xe3", "a PDF"),
        (b"PK\x03\x04\x14\x00", "a ZIP archive or an Excel file"),
        (b"<!DOCTYPE html>\n<html>", "a web page: download the file itself"),
        (b"\x80\x04\x95", "a Python pickle"),
        (b"\x28\xb5\x2f\xfd\x00", "compressed with Zstandard"),
        (b"\xff\xff\xff\xff\xa8\x00\x00\x00", "an Arrow stream"),
        (b"FEA1\x00\x00\x00\x00", "a Feather file"),
        (b"PAR1 and no more", "the Parquet file is damaged"),
        (b'{"id": 1,\n "problem": }', "not JSON"),
    ],
)
@pytest.mark.parametrize("name", ["file.jsonl", "file.csv", "file"])
def test_a_file_that_is_something_else_is_named(
    content: bytes, said: str, name: str, tmp_path: Path
) -> None:
    if said == "not JSON" and name == "file.csv":
        pytest.skip("any text can be a table")
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ProblemFileError, match=said):
        load_problems(path)


def test_a_file_called_parquet_that_is_none_is_named(tmp_path: Path) -> None:
    path = tmp_path / "problems.parquet"
    path.write_bytes(b"Not Found")
    with pytest.raises(ProblemFileError, match="is called Parquet, but is none"):
        load_problems(path)


def test_a_database_and_a_folder_are_named(tmp_path: Path) -> None:
    path = tmp_path / "problems.db"
    _sqlite(path)
    with pytest.raises(ProblemFileError, match="an SQLite database: export its table"):
        load_problems(path)
    with pytest.raises(ProblemFileError, match=r"it is a folder; in it: problems\.db"):
        load_problems(tmp_path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("problem,answer\n1+1,2,3\n", "row 1: more values than the heading has names"),
        ("problem,answer\n1+1\n", "row 1: fewer values"),
        ("a,b\n1,2\n", "the fields are 'a', 'b': say which holds the text, for example"),
        ('problem,answer\n"1+1,2\n', "line 2: not CSV"),
        ('problem,answer\na,b\n"c" d,2\n', "line 3: not CSV: ',' expected after"),
        ('problem,answer\n"a\nb",3\n\n"c" d,2\n', "line 5: not CSV: ',' expected after"),
        ('problem,answer\n"a\nb",3\n"c,2\nd,5\n', "line 4: not CSV: unexpected end"),
        ('"problem" x,answer\nc,2\n', "line 1: not CSV"),
        ('sep=;\nproblem;answer\n"c" d;2\n', "line 3: not CSV"),
        ("problem,answer\n", "no problems"),
        ("problem,answer, problem\n1,2,3\n", "the heading has 'problem' twice"),
    ],
)
def test_bad_tables(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text(text)
    with pytest.raises(ProblemFileError) as caught:
        load_problems(path)
    assert said in str(caught.value)


def one(row: object, folder: Path, names: FieldNames | None = None) -> Problem:
    path = folder / "one.jsonl"
    path.write_text(json.dumps(row))
    [problem] = load_problems(path, names=names)
    return problem


ASKED = [{"role": "user", "content": "q"}]


@pytest.mark.parametrize(
    ("row", "wanted"),
    [
        ({"ID": "2024-I-1", "Problem": "q", "Solution": r"\boxed{7}", "Answer": 7}, "7"),
        ({"problem": "q", "answer": "", "solution": r"thus $\boxed{5}$"}, "5"),
        ({"problem": "q", "answer": None, "solution": r"thus $\boxed{5}$"}, "5"),
        ({"question": "q", "target": "4"}, "4"),
        ({"prompt": "q", "gt_answer": "4"}, "4"),
        ({"question": "q", "answer": None, "answer_number": 4}, "4"),
        ({"problem": "q", "ground_truth_answer": "4"}, "4"),
        ({"question": "q", "final_answer": ["5", "7"]}, "5, 7"),
        ({"question": "q", "final_answer": "['5']"}, "5"),
        ({"question": "q", "final_answer": '["\\\\sqrt{2}"]'}, r"\sqrt{2}"),
        ({"question": "q", "final_answer": r"['\frac12']"}, r"['\frac12']"),
        ({"question": "q", "final_answer": "[5]"}, "[5]"),
        ({"question": "q", "final_answer": "['5', '7']"}, "5, 7"),
        ({"input": "q", "expected_answer": 0.5}, "0.5"),
        ({"question": "q", "answer": 1e15}, "1000000000000000"),
        ({"question": "q", "answer": 1e23}, "1e+23"),
        ({"question": "q", "answer": [-2.0, 1e23]}, "-2, 1e+23"),
        ({"question": "q", "answer": 10**23}, "1" + "0" * 23),
        ({"question": "q", "answer": True}, "True"),
        ({"messages": [{"role": "user", "content": "q"}], "answer": "4"}, "4"),
        ({"problem": "q", "solution": "no box"}, None),
        (
            {"prompt": [{"role": "user", "content": "q"}], "reward_model": {"ground_truth": 34}},
            "34",
        ),
        ({"prompt": "q", "answer": None, "reward_model": {"ground_truth": "34"}}, "34"),
        ({"prompt": "q", "reward_model": {"ground_truth": '{"inputs": ["1"]}'}}, None),
        ({"prompt": "q", "answer": "2", "reward_model": {"ground_truth": "34"}}, "2"),
        ({"conversations": [{"from": "human", "value": "q"}], "answer": "5"}, "5"),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": "q"}]}]}, None),
        (
            {
                "conversations": [
                    {"from": "system", "value": "s"},
                    {"from": "human", "value": "q"},
                    {"from": "gpt", "value": r"\boxed{5}"},
                ]
            },
            "5",
        ),
        ({"question": "q", "answers": ["5"]}, "5"),
        ({"question": "q", "answers": "['5']"}, "5"),
        ({"question": "q", "answer": '["5", "7"]'}, "5, 7"),
        ({"question": "q", "answer": r"['\\frac{1}{2}']"}, r"\frac{1}{2}"),
        ({"question": "q", "answer": r'["it\'s \u00e9"]'}, "it's \u00e9"),
        ({"question": "q", "answer": r"['\frac{1}{2}']"}, r"['\frac{1}{2}']"),
        ({"question": "q", "answer": "['5' '7']"}, "['5' '7']"),
        ({"question": "q", "answer": "[5, 7]"}, "[5, 7]"),
        ({"question": "q", "answer": "['']"}, None),
        ({"question": "q", "answers": "5"}, "5"),
        ({"question": "q", "answers": ["5", "five"]}, None),
        ({"question": "q", "answers": {"text": ["5"], "answer_start": [0]}}, None),
        ({"messages": [*ASKED, {"role": "assistant", "content": r"so $\boxed{4}$"}]}, "4"),
        ({"messages": [*ASKED, {"role": "assistant", "content": "so 4"}]}, None),
        ({"messages": [*ASKED, {"role": "assistant", "content": "#### 4"}], "answer": "5"}, "5"),
        ({"problem": "", "question": "q", "answer": "4"}, "4"),
        ({"question": "q", "answer": "Die Antwort ist 11.", "answer_number": 11}, "11"),
        (
            [
                {"from": "human", "value": "q"},
                {"from": "assistant", "ground_truth": {"value": "4"}},
            ],
            "4",
        ),
        ({"Problem_1": {"question": "q", "answer": "4", "label": "A1"}}, "4"),
    ],
)
def test_names_that_data_sets_use(row: object, wanted: str | None, tmp_path: Path) -> None:
    problem = one(row, tmp_path)
    assert (problem.text, problem.answer) == ("q", wanted)


def test_a_field_is_no_name_of_a_problem(tmp_path: Path) -> None:
    """ARC's rows without answers have one field, as MathOdyssey's have, whose name is the id."""
    choices = [{"text": text, "label": label} for text, label in zip("xy", "AB", strict=True)]
    arc = one({"question": {"stem": "q", "choices": choices}}, tmp_path)
    assert arc.id != "question"
    assert arc.text.startswith("q\n")
    assert one({"Problem_1": {"question": "q", "answer": "4"}}, tmp_path).id == "Problem_1"


@pytest.mark.parametrize(
    ("solution", "gold"),
    [(r"so $\boxed 2$.", "2"), (r"it is $\boxed\frac{9}{7}$", r"\frac{9}{7}")],
)
def test_boxes_without_braces(solution: str, gold: str, tmp_path: Path) -> None:
    assert grade(one({"problem": "q", "solution": solution}, tmp_path).answer, gold)


def test_fields_are_mapped_by_hand(tmp_path: Path) -> None:
    names = field_names(["problem=Frage,answer=Antwort", "id=Nr"])
    row = {"Nr": 7, "Frage": "1 + 1", "Antwort": "2", "answer": "other"}
    assert one(row, tmp_path, names) == Problem("7", "1 + 1", "2", {"answer": "other"})
    row = {"task": {"text": "q"}, "reward_model": {"ground_truth": ["1", "2"], "style": "rule"}}
    names = field_names(["problem=task.text", "answer=reward_model.ground_truth"])
    assert (one(row, tmp_path, names).text, one(row, tmp_path, names).answer) == ("q", "1, 2")
    with pytest.raises(ProblemFileError, match=r"no row has a field 'task\.gold'"):
        one(row, tmp_path, field_names(["problem=task.text", "answer=task.gold"]))
    for wrong in ("problem", "problem=", "text=Frage", "awnser=x"):
        with pytest.raises(ValueError, match="`"):
            field_names([wrong])
    with pytest.raises(ValueError, match="did you mean 'answer'"):
        field_names(["awnser=x"])


GPQA = {
    "Record ID": "rec1",
    "Question": "Which?",
    "Correct Answer": "right",
    "Incorrect Answer 1": "x",
    "Incorrect Answer 2": "y",
    "Incorrect Answer 3": "z",
    "Subdomain": "Physics",
}


def test_gpqa_is_shuffled_the_same_way_each_time(tmp_path: Path) -> None:
    problem = one(GPQA, tmp_path)
    assert problem.id == "rec1"
    assert problem.answer in set("ABCD")
    assert f"{problem.answer}. right" in problem.text
    assert sorted(problem.fields["choices"]) == ["right", "x", "y", "z"]
    assert problem == one(GPQA, tmp_path)
    letters = {one({**GPQA, "Question": f"Which {n}?"}, tmp_path).answer for n in range(20)}
    assert letters == set("ABCD")


@pytest.mark.parametrize("name", ["id=Record ID", "problem=Question", "answer=Correct Answer"])
def test_a_field_that_is_mapped_by_hand_leaves_the_rest_of_a_layout(
    name: str, tmp_path: Path
) -> None:
    assert one(GPQA, tmp_path, field_names([name])) == one(GPQA, tmp_path)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("answer=nope", "`--fields answer=nope`: no row has a field 'nope'; the fields are 'Recor"),
        ("id=Subdomian", "no row has a field 'Subdomian'; did you mean 'Subdomain'"),
        ("problem=nope", "no field 'nope'; the fields are 'Record ID', 'Question'"),
    ],
)
def test_a_mapped_field_that_no_row_has_is_named(name: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(ProblemFileError) as caught:
        one(GPQA, tmp_path, field_names([name]))
    assert said in str(caught.value)


def test_a_mapped_field_may_be_empty_or_missing_in_some_rows(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"problem": "q"}\n{"problem": "r", "key": null}\n')
    names = field_names(["answer=key"])
    assert [problem.answer for problem in load_problems(path, names=names)] == [None, None]


def test_blank_rows_of_a_spreadsheet_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("problem,answer\n,\nq,5\n , \nr,6\n,\n")
    assert [problem.answer for problem in load_problems(path)] == ["5", "6"]


def test_the_parts_of_an_answer_that_is_an_object_are_named(tmp_path: Path) -> None:
    row = {"question": "q", "answer": {"aliases": ["five"], "value": "5"}}
    with pytest.raises(ProblemFileError, match=r"`--fields answer=answer\.value`"):
        one(row, tmp_path)
    assert one(row, tmp_path, field_names(["answer=answer.value"])).answer == "5"


def test_a_part_of_a_message_that_is_no_text_is_named(tmp_path: Path) -> None:
    parts = [{"type": "text", "text": "q"}, {"type": "image_url", "image_url": {"url": "x"}}]
    with pytest.raises(ProblemFileError, match="has a part that is no text: 'image_url'"):
        one({"messages": [{"role": "user", "content": parts}]}, tmp_path)


def test_sets_of_programs(tmp_path: Path) -> None:
    humaneval = {
        "task_id": "HumanEval/0",
        "prompt": 'def one():\n    """One."""\n',
        "canonical_solution": "    return 1\n",
        "test": "def check(candidate):\n    assert candidate() == 1\n",
        "entry_point": "one",
    }
    problem = one(humaneval, tmp_path)
    assert problem.id == "HumanEval/0"
    assert 'def one():\n    """One."""' in problem.text
    assert problem.answer is None
    assert problem.fields["entry_point"] == "one"
    assert problem.fields["test"] == humaneval["test"]
    assert "return 1" not in str(problem)
    assert one(humaneval, tmp_path, field_names(["id=task_id"])) == problem
    by_hand = one(humaneval, tmp_path, field_names(["problem=prompt"]))
    assert (by_hand.text, by_hand.grader) == (humaneval["prompt"], problem.grader)
    mbpp = {
        "task_id": 2,
        "prompt": "Write a function one.",
        "code": "def one(): return 1",
        "test_imports": [],
        "test_list": ["assert one() == 1"],
    }
    fenced = 'def one():\n    """So:\n    ```\n    one()\n    ```\n    """\n'
    assert f"````python\n{fenced}````" in one({**humaneval, "prompt": fenced}, tmp_path).text
    problem = one(mbpp, tmp_path)
    assert (problem.id, problem.answer) == ("2", None)
    assert "assert one() == 1" in problem.text
    assert "return 1" not in str(problem)


@settings(max_examples=50, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["problem", "answer", "solution", "id", "choices", "options", "Question"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        ),
    )
)
def test_any_row_gives_a_problem_or_one_reason(row: dict[str, Any]) -> None:
    from tts_runtime.problems.fields import problem_of
    from tts_runtime.problems.model import BadRowError

    try:
        problem = problem_of(row, "line-1", FieldNames())
    except BadRowError:
        return
    assert problem.text.strip()
    assert problem.answer is None or problem.answer.strip() == problem.answer
