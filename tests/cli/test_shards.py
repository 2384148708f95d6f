"""`--shard` and `tts-merge`: a run in parts is the run of one process."""

from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path

import pytest

from tests.support.records import content
from tests.support.tts_run import Command
from tts_runtime.cli.merging import merge_command
from tts_runtime.record.files import MANIFEST, read_manifest, seal_of
from tts_runtime.record.manifest import ShardOf
from tts_runtime.record.reader import open_run
from tts_runtime.runs.rundir import write

ENGINES = ("--policy", "sim", "--scorer", "prm=sim", "--problems", "many.jsonl")
RUN = ("majority", "best_of_n", "--set", "n=2", *ENGINES)


@pytest.fixture(autouse=True)
def many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seven problems."""
    monkeypatch.chdir(tmp_path)
    rows = [{"id": f"p{at}", "problem": f"{at} + 1", "answer": at + 1} for at in range(7)]
    Path("many.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def sharded(tts_run: Command, of: int, *more: str, out: str = "parts") -> None:
    for index in range(1, of + 1):
        assert tts_run(*RUN, *more, "--out", out, "--shard", f"{index}/{of}")[0] == 0


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert merge_command(arguments) == 2
    return " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("of", [1, 3, 9])
def test_merged_shards_are_the_run_of_one_process(tts_run: Command, of: int) -> None:
    more = ("--seeds", "0..1", "--shuffle", "5")
    assert tts_run(*RUN, *more, "--out", "whole")[0] == 0
    sharded(tts_run, of, *more)
    assert merge_command(["parts", "--out", "merged"]) == 0
    assert content("merged") == content("whole")
    assert list(open_run("merged").problems) == list(open_run("whole").problems)
    assert open_run("merged").verify() == []
    before = content("merged")
    code, _, err = tts_run(*RUN, *more, "--out", "merged")
    assert (code, "everything was finished before" in err) == (0, True)
    assert content("merged") == before


def test_shards_that_are_no_whole_run_are_refused(
    tts_run: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    sharded(tts_run, 3)
    first, second, third = (f"parts/shard-{index}-of-3" for index in (1, 2, 3))
    out = ("--out", "merged")
    assert "missing: shard 2/3" in refused(capsys, first, third, *out)
    shutil.copytree(first, "copy")
    assert "shard 1/3 is there twice" in refused(capsys, "parts", "copy", *out)
    assert tts_run(*RUN, "--seed", "9", "--out", "other", "--shard", "2/3")[0] == 0
    assert "of different runs (other seeds)" in refused(capsys, first, "other", third, *out)
    assert tts_run("majority", "best_of_n", *ENGINES, "--out", "more", "--shard", "2/3")[0] == 0
    assert "(other strategies or parameters)" in refused(capsys, first, "more", third, *out)
    assert tts_run(*RUN, "--limit", "6", "--out", "fewer", "--shard", "2/3")[0] == 0
    assert "7 problems there, 6 here" in refused(capsys, first, "fewer", third, *out)
    assert tts_run(*RUN, "--out", "halves", "--shard", "1/2")[0] == 0
    assert "one of 3 shards" in refused(capsys, first, "halves", *out)
    assert tts_run(*RUN, "--out", "unsharded")[0] == 0
    assert "was run without --shard" in refused(capsys, "unsharded", *out)
    Path("empty").mkdir()
    assert "has no shards" in refused(capsys, "empty", *out)
    assert "is there already" in refused(capsys, "parts", "--out", "empty")
    assert "--out: name the merged run directory" in refused(capsys, "parts")
    answers = Path(second, "majority", "answers.jsonl")
    lines = answers.read_text().splitlines(keepends=True)
    answers.write_text(lines[0])
    assert "answers.jsonl: problem" in refused(capsys, "parts", *out)
    for file in ("nodes.jsonl", "decisions.jsonl", "answers.jsonl", "summary.json"):
        Path(second, "majority", file).unlink(missing_ok=True)
    assert "has not ended (majority: 2 of 2 answers are missing)" in refused(capsys, "parts", *out)
    assert not list(Path().glob("*merged*"))
    assert tts_run(*RUN, "--out", "parts", "--shard", "2/3")[0] == 0
    assert merge_command(["parts", *out]) == 0


@pytest.mark.parametrize(
    ("first", "second", "was", "now"),
    [
        (("--limit", "4"), ("--limit", "4", "--offset", "3"), "", ""),
        (("--shuffle", "1"), ("--shuffle", "2"), "", ""),
        ((), (), "6 + 1", "6 + 2"),
        ((), (), '"answer": 7', '"answer": 8'),
    ],
)
def test_shards_of_other_problems_are_refused(
    tts_run: Command,
    capsys: pytest.CaptureFixture[str],
    first: tuple[str, ...],
    second: tuple[str, ...],
    was: str,
    now: str,
) -> None:
    assert tts_run(*RUN, *first, "--out", "parts", "--shard", "1/2")[0] == 0
    problems = Path("many.jsonl")
    problems.write_text(problems.read_text().replace(was, now))
    assert tts_run(*RUN, *second, "--out", "parts", "--shard", "2/2")[0] == 0
    said = refused(capsys, "parts", "--out", "merged")
    assert "of different runs (other problems, or in another order)" in said


def test_shards_of_before_are_merged(tts_run: Command) -> None:
    sharded(tts_run, 2)
    for place in Path("parts").iterdir():
        manifest = read_manifest(place)
        assert manifest.shard is not None
        old = manifest.model_copy(
            update={"shard": ShardOf(**manifest.shard.model_dump(exclude={"digest"}))}
        )
        text = old.model_dump_json(indent=2, by_alias=True, exclude_none=True)
        write(place / MANIFEST, seal_of("", "", MANIFEST).document(text))
    assert merge_command(["parts", "--out", "merged"]) == 0


@pytest.mark.parametrize("killed", ["shard-1-of-2", "*"])
def test_shards_killed_after_their_last_answer_are_merged(tts_run: Command, killed: str) -> None:
    sharded(tts_run, 2)
    for path in Path("parts").glob(f"{killed}/*/summary.json"):
        path.unlink()
    assert merge_command(["parts", "--out", "merged"]) == 0
    assert not list(Path("merged").glob("*/summary.json"))
    assert tts_run(*RUN, "--out", "merged")[0] == 0
    assert list(Path("merged").glob("*/summary.json"))


def test_what_lies_beside_the_merged_run_stays(
    tts_run: Command, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sharded(tts_run, 2, out="whole.new")
    before = content("whole.new/shard-1-of-2")
    with monkeypatch.context() as full:
        full.setattr("tts_runtime.runs.merge._write_strategy", _no_room)
        assert "no space left on device" in refused(capsys, "whole.new", "--out", "whole")
    assert sorted(path.name for path in Path().iterdir() if path.is_dir()) == ["whole.new"]
    assert merge_command(["whole.new", "--out", "whole"]) == 0
    assert content("whole.new/shard-1-of-2") == before
    assert list(Path().glob(".*")) == []


def _no_room(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_no_whole_run_among_its_parts(tts_run: Command, capsys: pytest.CaptureFixture[str]) -> None:
    sharded(tts_run, 2)
    first, second = (f"parts/shard-{index}-of-2" for index in (1, 2))
    for named in (["parts"], [first, second]):
        assert "file name too long" in refused(capsys, *named, "--out", "x" * 300)
        for out in ("parts/whole", f"{first}/../whole"):
            assert "lies among the parts" in refused(capsys, *named, "--out", out)
    Path("moved").mkdir()
    Path(first).rename("moved/a")
    Path(second).rename("moved/b")
    assert "lies among the parts" in refused(capsys, "moved", "--out", "moved/whole")
    assert merge_command(["moved/a", "moved/b", "--out", "moved/whole"]) == 0


def test_a_part_without_problems_has_no_seeds(tts_run: Command) -> None:
    _, out, _ = tts_run(*RUN, "--limit", "1", "--out", "parts", "--shard", "2/2")
    assert "; problems many.jsonl (0)\n" in out


@pytest.mark.parametrize("shard", ["0/3", "4/3", "1", "1/0", "-1/2", "1/2/3", "", "a/b"])
def test_no_such_shard(tts_run: Command, shard: str) -> None:
    code, _, err = tts_run(*RUN, "--out", "parts", f"--shard={shard}")
    assert (code, "--shard: " in err, Path("parts").exists()) == (2, True, False)


def test_a_shard_needs_a_directory(tts_run: Command) -> None:
    code, _, err = tts_run(*RUN, "--shard", "1/2")
    assert (code, "--shard: name the directory" in err) == (2, True)
