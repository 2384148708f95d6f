"""Problem files: what is read, and what every bad line is told."""

import copy
import json
import pickle
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tts_runtime.problems import (
    FieldNames,
    Problem,
    ProblemFileError,
    bundled_problems,
    load_problems,
    problems_given,
)


def write(folder: Path, *lines: object) -> Path:
    path = folder / "problems.jsonl"
    texts = (line if isinstance(line, str) else json.dumps(line) for line in lines)
    path.write_text("\n".join(texts) + "\n", encoding="utf-8")
    return path


def errors_of(path: Path) -> dict[int, str]:
    with pytest.raises(ProblemFileError) as caught:
        load_problems(path)
    return {line.number: line.reason for line in caught.value.lines}


def test_fields_of_a_problem(tmp_path: Path) -> None:
    path = write(tmp_path, {"id": "a", "problem": "1+1?", "answer": "2", "level": 3})
    assert load_problems(path) == [Problem("a", "1+1?", "2", {"level": 3})]


@pytest.mark.parametrize(
    ("line", "problem_id", "answer"),
    [
        ({"question": "q", "answer": "2+2=<<2+2=4>>4\n#### 1,234"}, "line-2", "1,234"),
        ({"problem": "q", "solution": 27.0, "extracted_groundtruth": 27.0}, "line-2", "27"),
        ({"problem": "q", "solution": 0.5}, "line-2", "0.5"),
        ({"problem": "q", "solution": r"so \framebox{204} min"}, "line-2", "204"),
        ({"problem": "q", "solution": "by magic 5", "unique_id": "t/1"}, "t/1", None),
        ({"problem": "q", "solution": "s", "extracted_groundtruth": "025"}, "line-2", "025"),
        ({"problem": "q", "solution": r"\boxed{1}", "answer": "x=5"}, "line-2", "x=5"),
        ({"problem": "q", "answer": r"As 2 + 3 = 5, it is $\boxed{5}$."}, "line-2", "5"),
        ({"problem": "q", "answer": r"The \boxed{} holds 5"}, "line-2", r"The \boxed{} holds 5"),
        ({"Problem ID": "a1", "Problem": "q", "Short Answer": "3"}, "a1", "3"),
        ({"id": "7", "original_text": "q", "ans": "3"}, "7", "3"),
        ({"id": 7, "problem": "q", "answer": None}, "7", None),
        ({"id": "7", "problem": "q"}, "7", None),
        ({"id": "7", "problem": "q", "answer": 12}, "7", "12"),
    ],
)
def test_common_sets(
    tmp_path: Path, line: dict[str, object], problem_id: str, answer: str | None
) -> None:
    (problem,) = load_problems(write(tmp_path, "", line))
    assert (problem.id, problem.text, problem.answer) == (problem_id, "q", answer)


def test_a_problem_is_pickled_copied_and_hashed(tmp_path: Path) -> None:
    [problem] = load_problems(write(tmp_path, {"id": "a", "problem": "1+1?", "level": [3]}))
    for other in (pickle.loads(pickle.dumps(problem)), copy.copy(problem), copy.deepcopy(problem)):
        assert other == problem
        assert hash(other) == hash(problem)
    assert hash(problem) != hash(Problem("b", "1+1?"))


@pytest.mark.parametrize(
    ("problem", "said"),
    [
        (Problem(1, "q"), "a Problem's id must be a text, not empty; it is 1"),  # type: ignore[arg-type]
        (Problem("1", " "), "a Problem's text must be a text, not empty; it is ' '"),
        (Problem("1", "q", 4), "answer must be a text or None, not 4; write '4'"),  # type: ignore[arg-type]
        (Problem("1", "q", None, None), "fields must be a dict, not None"),  # type: ignore[arg-type]
        (Problem("1", "q", None, {}, len), "grader must be a text or None"),  # type: ignore[arg-type]
    ],
)
def test_parts_of_a_problem_are_checked(problem: Problem, said: str) -> None:
    with pytest.raises(ProblemFileError) as caught:
        problems_given([problem])
    assert said in str(caught.value)


def test_own_field_names(tmp_path: Path) -> None:
    path = write(tmp_path, {"key": "k", "prompt": "p", "target": "t", "answer": "other"})
    names = FieldNames(id=("key",), text=("prompt",), answer=("target",))
    assert load_problems(path, names=names) == [Problem("k", "p", "t", {"answer": "other"})]


def test_limit_takes_the_first_but_checks_all(tmp_path: Path) -> None:
    good = [{"id": str(number), "problem": "q"} for number in range(5)]
    assert [problem.id for problem in load_problems(write(tmp_path, *good), limit=2)] == ["0", "1"]
    with pytest.raises(ProblemFileError, match="line 6"):
        load_problems(write(tmp_path, *good, "{"), limit=2)
    with pytest.raises(ProblemFileError, match="limit must be 1 or more"):
        load_problems(write(tmp_path, *good), limit=0)


def test_every_bad_line_is_named(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        {"id": "a", "problem": "good"},
        "not json",
        [1],
        {"id": "b"},
        {"id": "a", "problem": "again"},
        {"id": "c", "problem": 5},
        {"id": "d", "problem": " "},
        {"id": [], "problem": "q"},
        {"id": "e", "problem": "q", "answer": [[1]]},
        {"id": "f", "problem": "q", "answer": {"a": 1}},
        '{"id": "g", "problem": "q", "answer": NaN}',
        r'{"id": "h", "problem": "\ud800"}',
        '{"id": "j", "problem": "one", "problem": "two"}',
        '{"id": "k", "problem": "q", "answer": ' + "9" * 5000 + "}",
        '{"id": "l", "problem": "q", "answer": 1e400}',
        {"id": "i", "problem": "good"},
    )
    reasons = errors_of(path)
    assert sorted(reasons) == list(range(2, 16))
    expected = {
        2: "not JSON (column 1",
        3: "a JSON array instead of an object",
        4: "no field 'problem' or 'question'",
        5: "already used on line 1",
        6: "'problem' must be a text",
        7: "'problem' must be a text that is not empty",
        8: "'id' must be a text or a whole number",
        9: "not a JSON array",
        10: "not a JSON object",
        11: "NaN is no JSON number",
        12: "half a character (\\ud800)",
        13: "the object has 'problem' twice",
        14: "(a whole number of more than 4,300 digits); correct the number",
        15: "the field 'answer' is too large for a number",
    }
    for number, reason in expected.items():
        assert reason in reasons[number]


def test_invalid_utf8_is_named(tmp_path: Path) -> None:
    path = tmp_path / "problems.jsonl"
    path.write_bytes(b'{"problem": "good"}\n{"problem": "\xff"}\n')
    assert "not UTF-8 (byte 14" in errors_of(path)[2]


def test_twenty_bad_lines_are_shown_and_the_rest_counted(tmp_path: Path) -> None:
    with pytest.raises(ProblemFileError) as caught:
        load_problems(write(tmp_path, '{"problem": "good"}', *["{"] * 25))
    message = str(caught.value)
    assert message.count("\n  line ") == 20
    assert message.endswith("and 5 more bad lines")


def test_a_file_that_is_no_problem_file_is_said_once(tmp_path: Path) -> None:
    with pytest.raises(ProblemFileError) as caught:
        load_problems(write(tmp_path, "id,problem", *["a,1 + 1"] * 25))
    assert len(caught.value.lines) == 26
    first, last = str(caught.value).splitlines()[1:]
    assert first.startswith("  line 1: not JSON")
    assert last.startswith("  no line of the file can be used; a line looks like {")


def test_windows_files_and_separators_inside_texts(tmp_path: Path) -> None:
    path = tmp_path / "problems.jsonl"
    path.write_bytes('\ufeff{"problem": "a\u2028b"}\r\n\r\n{"problem": "c"}'.encode())
    assert [(p.id, p.text) for p in load_problems(path)] == [
        ("line-1", "a\u2028b"),
        ("line-3", "c"),
    ]


@pytest.mark.parametrize("content", ["", "\n \n"])
def test_empty_file(tmp_path: Path, content: str) -> None:
    path = tmp_path / "problems.jsonl"
    path.write_text(content)
    assert "no problems" in errors_of(path)[0]


def test_missing_file_and_folder(tmp_path: Path) -> None:
    assert "does not exist" in errors_of(tmp_path / "none.jsonl")[0]
    assert "cannot be opened" in errors_of(tmp_path)[0]


@settings(
    deadline=None,
    derandomize=True,
    max_examples=100,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.one_of(st.binary(max_size=80), st.just(b"[" * 100_000), st.just(b"9" * 10_000)))
def test_any_bytes_give_problems_or_one_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "problems.jsonl"
    path.write_bytes(content)
    try:
        count = len(load_problems(path))
    except ProblemFileError as error:
        count = len(error.lines)
    assert count > 0


def test_unknown_bundled_split_names_the_known_ones() -> None:
    with pytest.raises(ProblemFileError, match="nonsense"):
        bundled_problems("nonsense")
