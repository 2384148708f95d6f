"""The index of a record: single problems of a file that grows, is torn, or is replaced."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.report.conftest import PROBLEMS
from tts_runtime.record.files import DirectoryError
from tts_runtime.record.index import RecordIndex
from tts_runtime.record.reader import open_run


@pytest.fixture
def copy(run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(run, tmp_path / "run"))


def test_single_trees_are_those_of_the_reader(run: Path) -> None:
    for record in open_run(run).strategies.values():
        index = RecordIndex(record)
        found = index.update()
        assert {key[0] for key in found} == {problem.id for problem in PROBLEMS}
        assert index.update() == {}
        for tree in record.trees():
            assert index.tree(tree.answer.trial) == tree


def test_only_what_was_appended_is_read_and_half_a_line_waits(copy: Path) -> None:
    record = open_run(copy).strategy("main")
    path = record.folder / "answers.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0])
    index = RecordIndex(record)
    assert len(index.update()) == 1
    with path.open("ab") as file:
        file.write(lines[1][:40])
        file.flush()
        assert index.update() == {}
        file.write(lines[1][40:] + lines[2])
    assert len(index.update()) == 2
    assert index.restarts == 0


def test_a_file_that_was_cut_is_read_again(copy: Path) -> None:
    record = open_run(copy).strategy("main")
    index = RecordIndex(record)
    everything = index.update()
    path = record.folder / "answers.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:2]))
    assert list(index.update()) == list(everything)[:2]
    assert index.restarts == 1


def test_a_damaged_problem_has_no_tree_and_is_named(copy: Path) -> None:
    record = open_run(copy).strategy("main")
    path = record.folder / "nodes.jsonl"
    text = path.read_bytes()
    path.write_bytes(text.replace(b'"tokens":', b'"tokens" :', 1))
    index = RecordIndex(record)
    keys = index.update()
    assert sum(index.tree(key) is None for key in keys) == 1
    assert any("checksum" in str(each) for each in record.damaged)


def test_a_problem_without_all_its_decisions_has_its_tree_and_is_named_once(copy: Path) -> None:
    record = open_run(copy).strategy("beam_search[n=4]")
    path = record.folder / "decisions.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))
    index = RecordIndex(record)
    index.update()
    trees = [each for _ in range(2) for each in record.trees()]
    assert all(index.tree(each.answer.trial) == each for each in trees)
    assert sum(len(each.decisions) < each.answer.decisions for each in trees) == 2
    assert [each.reason.partition(": ")[2] for each in record.damaged] == [
        "its decisions are not all there"
    ]


def test_what_was_torn_and_drawn_again_counts_once(copy: Path) -> None:
    record = open_run(copy).strategy("beam_search[n=4]")
    tree = next(iter(record.trees()))
    for name in ("nodes.jsonl", "decisions.jsonl"):
        path = record.folder / name
        lines = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(lines[0] + b"".join(lines))
    index = RecordIndex(record)
    index.update()
    assert index.tree(tree.answer.trial) == tree


@pytest.mark.parametrize("name", ["nodes.jsonl", "decisions.jsonl", "answers.jsonl"])
def test_a_file_that_is_lost_or_cannot_be_read_is_no_crash(copy: Path, name: str) -> None:
    record = open_run(copy).strategy("beam_search[n=4]")
    key = next(iter(record.trees())).answer.trial
    (record.folder / name).unlink()
    index = RecordIndex(record)
    index.update()
    assert (index.tree(key) is None) == (name != "decisions.jsonl")
    (record.folder / name).mkdir()
    with pytest.raises(DirectoryError, match=f"{name} cannot be read"):
        RecordIndex(record).update()
