"""Problem sets by name: the hub's, published ones, and how to bring a file where there is none."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from tests.support.processes import ROOT
from tts_runtime.problems import Problem, ProblemFileError, problems_given, problems_named
from tts_runtime.problems.sets import PUBLISHED, HubSet, set_named


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("math500", "math500"),
        ("MATH-500", "math500"),
        ("AIME24", "aime24"),
        ("GPQA-Diamond", "gpqa-diamond"),
        ("gpqa_diamond", "gpqa-diamond"),
        ("HumanEval", "humaneval"),
    ],
)
def test_published_sets_by_the_names_that_papers_use(name: str, wanted: str) -> None:
    assert set_named(name) == PUBLISHED[wanted]


def test_names_of_the_hub() -> None:
    assert set_named("hf:a/b") == HubSet("a/b")
    assert set_named("hf:a/b:train") == HubSet("a/b", None, "train")
    assert set_named("hf:a/b#main:test") == HubSet("a/b", "main", "test")
    for wrong in ("hf:", "hf:a b", "hf:a/b#:x"):
        with pytest.raises(ProblemFileError, match="expected hf:ID"):
            set_named(wrong)


def test_unknown_names_are_told_the_known_ones() -> None:
    for name, said in (
        ("math50", r"did you mean 'math500'\?$"),
        ("mine", "sets are arith, math500"),
    ):
        with pytest.raises(ProblemFileError, match=said):
            problems_named(name)


def test_a_file_called_like_a_set_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("gsm8k").write_text('{"question": "q", "answer": "#### 4"}\n')
    [problem] = problems_named("gsm8k")
    assert problem.answer == "4"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set with two splits, as `datasets` reads it from a folder."""
    folder = tmp_path_factory.mktemp("set")
    for split, count in (("train", 3), ("test", 2)):
        rows = ({"question": f"{split} {n}", "answer": f"#### {n}"} for n in range(count))
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def test_a_set_is_read_through_datasets(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path))
    test = problems_named(f"hf:{folder}")
    assert [(each.id, each.text, each.answer) for each in test] == [
        ("row-1", "test 0", "0"),
        ("row-2", "test 1", "1"),
    ]
    assert len(problems_named(f"hf:{folder}:train")) == 3
    with pytest.raises(ProblemFileError, match=r"it cannot be fetched: .*nonsense"):
        problems_named(f"hf:{folder}:nonsense")


def test_without_a_network_the_message_says_how_to_bring_the_file() -> None:
    code = "import sys; from tts_runtime.cli import main; main(sys.argv[1:])"
    path = os.pathsep.join([str(ROOT), str(ROOT / "runtime")])
    done = subprocess.run(
        [sys.executable, "-c", code, "majority", "--problems", "MATH-500"],
        capture_output=True,
        text=True,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": path},
        timeout=120,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "hf download HuggingFaceH4/MATH-500 --repo-type dataset" in done.stderr
    assert "Traceback" not in done.stderr


ROWS = [{"problem": "1 + 1", "answer": 2}, {"problem": "2 + 2", "answer": 4}]
WANTED = [("row-1", "1 + 1", "2"), ("row-2", "2 + 2", "4")]


class Frame:
    """A table as pandas has it: its items are its columns."""

    def __iter__(self) -> Iterator[str]:
        return iter(ROWS[0])

    def iterrows(self) -> None:
        """Never called."""

    def to_dict(self, orient: str) -> list[dict[str, object]]:
        """The rows."""
        assert orient == "records"
        return ROWS


class Polars:
    """A table as Polars has it: its items are its columns."""

    def to_dicts(self) -> list[dict[str, object]]:
        """The rows."""
        return ROWS


@pytest.mark.parametrize("table", [Frame(), Polars(), pa.Table.from_pylist(ROWS), iter(ROWS)])
def test_a_table_is_the_list_of_its_rows(table: Any) -> None:
    assert [(each.id, each.text, each.answer) for each in problems_given(table)] == WANTED


class NAType:
    """What pandas has for nothing."""


@pytest.mark.parametrize(
    ("row", "wanted"),
    [
        ({"id": np.int64(7), "problem": "q", "answer": np.int64(2)}, ("7", "q", "2")),
        ({"id": 7.0, "problem": np.str_("q"), "answer": np.float64(2)}, ("7", "q", "2")),
        ({"problem": "q", "answer": Decimal("2.00"), "id": Decimal(7)}, ("7", "q", "2")),
        ({"problem": "q", "answer": Decimal("2.50")}, ("row-1", "q", "2.50")),
        ({"problem": "q", "answer": NAType(), "solution": "#### 2"}, ("row-1", "q", "2")),
        ({"problem": "q", "answer": Decimal("NaN")}, ("row-1", "q", None)),
        ({"problem": "q", "answer": Decimal("1E+999999")}, ("row-1", "q", "1E+999999")),
        ({"problem": "q", "answer": ("2", Decimal(3))}, ("row-1", "q", "2, 3")),
        ({"messages": ({"role": "user", "content": "q"},), "answer": 2}, ("row-1", "q", "2")),
        *(
            ({"problem": "q", "choices": choices, "answer": 1}, ("row-1", "q\n\nA. x\nB. y", "B"))
            for choices in (("x", "y"), np.array(["x", "y"]), {"text": np.array(["x", "y"])})
        ),
    ],
)
def test_values_of_tables_are_those_of_json(
    row: dict[str, object], wanted: tuple[str, str, str | None]
) -> None:
    [problem] = problems_given([row])
    assert (problem.id, problem.text, problem.answer) == wanted
    json.dumps(dict(problem.fields))


def test_a_field_is_called_by_a_text() -> None:
    with pytest.raises(ProblemFileError, match="the name of the field 1 is of type int; write '1'"):
        problems_given([{1: "q"}])


def test_decimals_of_parquet(tmp_path: Path) -> None:
    rows = [{"problem": "q", "answer": Decimal("5.00")}, {"problem": "r", "answer": Decimal("0.1")}]
    parquet.write_table(pa.Table.from_pylist(rows), tmp_path / "rows.parquet")
    problems = problems_named(str(tmp_path / "rows.parquet"))
    assert [problem.answer for problem in problems] == ["5", "0.10"]


def test_a_path_is_its_file(tmp_path: Path) -> None:
    (tmp_path / "rows.json").write_text(json.dumps(ROWS))
    problems = problems_given(tmp_path / "rows.json")
    assert [(each.id, each.text, each.answer) for each in problems] == WANTED


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"problem": "1 + 1"}, "found one dict with 'problem'; put a row into a list"),
        (Problem("a", "1 + 1"), "found Problem(id='a'"),
        ("1 + 1", "found '1 + 1'; put one problem into a list"),
        (None, "expected problems, found None"),
    ],
)
def test_one_problem_is_no_list_of_them(
    wrong: Any, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ProblemFileError) as caught:
        problems_given(wrong)
    assert said in str(caught.value)
    monkeypatch.setitem(sys.modules, "mine", SimpleNamespace(rows=lambda: wrong))
    with pytest.raises(ProblemFileError) as caught:
        problems_named("python:mine:rows")
    assert said in str(caught.value)
    assert "cannot read problems from python:mine:rows" in str(caught.value)


async def _later() -> list[dict[str, object]]:
    await asyncio.sleep(0)
    return ROWS


async def _one_by_one() -> AsyncIterator[dict[str, object]]:
    for row in ROWS:
        yield row


@pytest.mark.parametrize("function", [_later, _one_by_one, lambda: iter(ROWS)])
@pytest.mark.parametrize("in_loop", [False, True])
def test_functions_of_problems_may_be_asynchronous(
    function: Callable[[], object], in_loop: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "mine", SimpleNamespace(rows=function))

    async def read() -> list[Problem]:
        return problems_named("python:mine:rows")

    problems = asyncio.run(read()) if in_loop else problems_named("python:mine:rows")
    assert [(each.id, each.text, each.answer) for each in problems] == WANTED


async def _exits_later() -> None:
    sys.exit("no data")


@pytest.mark.parametrize("function", [lambda: sys.exit("no data"), _exits_later])
def test_a_function_that_exits_is_named(
    function: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "mine", SimpleNamespace(rows=function))
    with pytest.raises(ProblemFileError) as caught:
        problems_named("python:mine:rows")
    message = str(caught.value)
    assert "cannot read problems from python:mine:rows" in message
    assert "test_sets.py:" in message
    assert "SystemExit: no data" in message
