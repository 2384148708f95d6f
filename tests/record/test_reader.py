"""`open_run`: every reader of a run looks at it through this."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

import tts_runtime
from tests.support.runs import plan_of
from tts_runtime.problems import Problem
from tts_runtime.record.files import DirectoryError, folder_of, problem_line
from tts_runtime.record.reader import open_run
from tts_runtime.record.views import to_arrow
from tts_runtime.runs.shards import Shard

PROBLEMS = [
    Problem("one", "1 + 1", "2", {"level": 3, "tags": ["a"], "none": None}),
    Problem("two/../x", "2 + 2", None, {}, "none"),
]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    out = tmp_path / "run"
    settings = tts_runtime.Settings(policies={"policy": "sim"}, scorers={"prm": "sim"}, out=out)
    tts_runtime.run(
        ["majority", "beam_search"], PROBLEMS, settings=settings, parameters={"n": 4, "depth": 3}
    )
    return out


def test_everything_of_a_run_is_there(directory: Path) -> None:
    run = open_run(directory)
    assert list(run.strategies) == ["majority", "beam_search"]
    assert [run.problems[problem.id] for problem in PROBLEMS] == PROBLEMS
    assert run.manifest.engines["prm"] == {"engine": "sim", "exactness": "bit-exact"}
    assert run.strategy("majority").plan.parameters == {"n": 4}
    assert run.verify() == []
    for name in run.strategies:
        for tree in run.strategy(name).trees():
            winner = tree.winner
            assert winner is not None
            assert winner.answer == tree.answer.answer
            assert tree.text(winner.uid).endswith(winner.added)
            assert len(tree.nodes) == tree.answer.nodes


def test_arrays_of_a_problem_are_lists_of_the_record() -> None:
    problem = Problem("a", "q", None, {"x": np.arange(2), "y": np.int64(3), "z": [np.ones(1)]})
    assert problem_line(problem)["fields"] == {"x": [0, 1], "y": 3, "z": [[1.0]]}


def test_the_first_seed_is_the_smallest_not_the_one_that_came_first(tmp_path: Path) -> None:
    for seeds in ((3,), (1, 2, 3)):
        settings = tts_runtime.Settings(
            policies={"policy": "sim"}, out=tmp_path / "run", seeds=seeds
        )
        tts_runtime.run(["majority"], PROBLEMS, settings=settings, parameters={"n": 2})
    run = open_run(tmp_path / "run")
    assert next(iter(run.strategy().answers)).seed == 3
    assert run.tree("one").answer.seed == 1
    assert run.tree("one", seed=3).answer.seed == 3


def test_texts_and_scores_are_those_of_the_run(tmp_path: Path) -> None:
    plan = plan_of(
        "pool = sample 2 steps", "score pool by prm", "pool = expand pool by 2",
        "score pool by prm", "return best of pool by last(prm)",
    )  # fmt: skip
    settings = tts_runtime.Settings(
        policies={"policy": "sim"}, scorers={"prm": "sim"}, out=tmp_path / "run"
    )
    [result] = tts_runtime.run(plan, PROBLEMS[:1], settings=settings)
    tree = open_run(tmp_path / "run").tree("one")
    assert tree.answer == result.answers[0]
    for node in tree.nodes.values():
        scores = node.scores["prm"]
        assert isinstance(scores, tuple)
        assert len(scores) == node.steps


def test_flat_rows_for_pandas_and_arrow(directory: Path) -> None:
    run = open_run(directory)
    answers = run.to_pandas()
    assert list(answers["problem"]) == [problem.id for problem in PROBLEMS] * 2
    nodes = run.to_pandas("nodes")
    assert set(nodes["strategy"]) == {"majority", "beam_search"}
    assert nodes["winner"].sum() == 4
    assert run.to_arrow("nodes").num_rows == len(nodes)
    with pytest.raises(ValueError, match="not of 'trees'"):
        list(run.rows("trees"))


@pytest.mark.parametrize("what", ["answers", "nodes"])
def test_columns_depend_on_no_row(directory: Path, tmp_path: Path, what: str) -> None:
    settings = tts_runtime.Settings(
        policies={"policy": "sim"}, out=tmp_path / "parts", shard=Shard(2, 2)
    )
    tts_runtime.run("majority", PROBLEMS[:1], settings=settings)
    run, empty = open_run(directory), open_run(tmp_path / "parts/shard-2-of-2")
    table = run.to_arrow(what)
    assert empty.to_arrow(what).num_rows == 0
    assert empty.to_arrow(what).schema == table.schema
    assert "null" not in map(str, table.schema.types)
    assert list(run.to_pandas(what)) == list(empty.to_pandas(what)) == table.column_names
    assert [list(row) for row in run.rows(what)] == [table.column_names] * table.num_rows


def test_flops_of_more_than_64_bits_are_a_number_of_the_table(directory: Path) -> None:
    rows = [row | {"flops": 10**20} for row in open_run(directory).rows()]
    assert to_arrow("answers", rows)["flops"].to_pylist() == [1e20] * len(rows)


@pytest.mark.parametrize(
    ("strategy", "problem", "message"),
    [
        (None, "one", "name one of the run's strategies: majority, beam_search"),
        ("majorty", "one", "did you mean 'majority'"),
        ("majority", "on", "majority: no finished problem 'on'; did you mean 'one'"),
    ],
)
def test_names_that_are_none(
    directory: Path, strategy: str | None, problem: str, message: str
) -> None:
    with pytest.raises(KeyError) as caught:
        open_run(directory).tree(problem, strategy)
    assert message in str(caught.value.args[0])


def test_a_damaged_tree_is_called_so(directory: Path, tmp_path: Path) -> None:
    copied = Path(shutil.copytree(directory, tmp_path / "copied"))
    nodes = copied / "majority" / "nodes.jsonl"
    nodes.write_text(nodes.read_text(encoding="utf-8").replace('"crc"', '"crd"'), encoding="utf-8")
    with pytest.raises(KeyError, match="the record of problem 'one' is damaged"):
        open_run(copied).tree("one", "majority")


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DirectoryError, match=r"is not a run directory: it has no run\.json"):
        open_run(tmp_path)
    with pytest.raises(DirectoryError, match="is not a run directory"):
        open_run(tmp_path / "none")
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "run.json").write_text("{}")
    with pytest.raises(DirectoryError, match=r"it has no run\.json; there is one in it: .*x$"):
        open_run(tmp_path)
    with pytest.raises(DirectoryError, match=r"it is a file in one: name .*x$"):
        open_run(tmp_path / "x" / "run.json")
    (tmp_path / "run.json").write_text("[" * 200)
    with pytest.raises(DirectoryError, match="damaged"):
        open_run(tmp_path)


def test_lost_lines_are_found(directory: Path) -> None:
    path = directory / "beam_search" / "nodes.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    for lost in (0, len(lines) // 2, len(lines) - 1):
        path.write_text("".join(lines[:lost] + lines[lost + 1 :]))
        found = open_run(directory).verify()
        assert found, lost
        assert "beam_search/nodes.jsonl" in str(found[0])


@pytest.mark.parametrize(
    ("strategy", "folder"),
    [
        ("majority", "majority"),
        ("majority[n=4,width=2]", "majority@n=4,width=2"),
        ("a b", "a%20b"),
        ("../x", "%2E.%2Fx"),
        ("x$y*", "x%24y%2A"),
    ],
)
def test_folders_have_names_that_no_shell_expands(strategy: str, folder: str) -> None:
    assert folder_of(strategy) == folder
    assert len(folder_of("n" * 500)) == 200
