"""`tts-run --out`: what is kept, and how a run continues that was interrupted or failed."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.records import candidates, content
from tests.support.tts_run import SIM, Command
from tts_lang import library
from tts_runtime.cli.display import Status
from tts_runtime.problems.model import Trial
from tts_runtime.record.reader import open_run
from tts_runtime.runs import engine_set, rundir
from tts_runtime.runs.results import Answer
from tts_runtime.runs.rundir import StrategyWriter, opened

BOTH = ("greedy", "majority", "--set", "n=3", *SIM)


@contextmanager
def watched(stop_after: int = 0) -> Iterator[list[tuple[int, str]]]:
    """The answers that a run makes, as (strategy, problem); Ctrl-C after that many of them.

    An answer that is ready in the same turn of the event loop is taken in as well.
    """
    made: list[tuple[int, str]] = []
    original = Status.problem_done

    def done(self: Status, strategy: int, answer: Answer) -> None:
        original(self, strategy, answer)
        made.append((strategy, answer.id))
        if len(made) == stop_after:
            signal.raise_signal(signal.SIGINT)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Status, "problem_done", done)
        yield made


def test_a_run_directory_holds_every_candidate_and_its_plan_runs_again(tts_run: Command) -> None:
    everything = ("--no-pass", "all")
    assert tts_run("majority", "--set", "n=3", *SIM, "--out", "run", *everything)[0] == 0
    run = Path("run")
    configuration = json.loads((run / "run.json").read_text())["configuration"]
    assert configuration["strategies"] == {"majority": {"n": 3}}
    found = candidates(run)
    assert len(found) == 6
    answers = (run / "majority" / "answers.jsonl").read_text().splitlines()
    assert {json.loads(line)["id"] for line in answers} == {"one", "line-2"}
    plan = str(run / "majority" / "plan.json")
    assert tts_run(plan, *SIM, "--out", "again", *everything)[0] == 0
    assert sorted(map(repr, candidates("again"))) == sorted(map(repr, found))


def test_an_interrupt_without_a_directory_keeps_nothing_and_says_so(tts_run: Command) -> None:
    with watched(stop_after=1) as made:
        code, printed, err = tts_run(*BOTH)
    assert (code, printed) == (130, "")
    assert f"interrupted after {len(made)} of 4 problems: no results are kept (--out DIR" in err


@pytest.mark.parametrize("finished", [1, 2, 3])
def test_an_interrupted_run_goes_on_and_ends_as_if_in_one_go(
    tts_run: Command, finished: int
) -> None:
    assert tts_run(*BOTH, "--out", "whole")[0] == 0
    with watched(stop_after=finished) as first:
        code, printed, err = tts_run(*BOTH, "--out", "parts")
    assert (code, printed) == (130, "")
    assert f"interrupted: {len(first)} of 4 problems are kept in parts" in err
    assert "the same command continues from there" in err
    kept = [json.loads(path.read_text()) for path in Path("parts").glob("*/summary.json")]
    assert sum(summary["problems"] for summary in kept) == len(first) >= finished
    with watched() as second:
        assert tts_run(*BOTH, "--out", "parts")[0] == 0
    assert sorted(first + second) == sorted((place, name) for place in (0, 1) for name in IDS)
    assert content("parts") == content("whole")


IDS = ("one", "line-2")


@pytest.mark.parametrize("file", ["nodes.jsonl", "answers.jsonl"])
@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 0.9, 0.999])
def test_what_a_crash_tore_runs_again(tts_run: Command, file: str, share: float) -> None:
    assert tts_run(*BOTH, "--out", "whole")[0] == 0
    assert tts_run(*BOTH, "--out", "torn")[0] == 0
    torn = Path("torn", "majority", file)
    whole = torn.read_bytes()
    torn.write_bytes(whole[: int(share * len(whole))])
    torn.with_name("summary.json").unlink()
    assert tts_run(*BOTH, "--out", "torn")[0] == 0
    assert content("torn") == content("whole")


def flipped(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 4]) + data[place + 1 :]


@pytest.mark.parametrize("file", ["nodes.jsonl", "answers.jsonl"])
@pytest.mark.parametrize("place", [0, 40, 101, -3])
def test_a_flipped_bit_is_named_and_its_problem_runs_again(
    tts_run: Command, file: str, place: int
) -> None:
    assert tts_run(*BOTH, "--out", "whole")[0] == 0
    assert tts_run(*BOTH, "--out", "flipped")[0] == 0
    path = Path("flipped", "majority", file)
    path.write_bytes(flipped(path.read_bytes(), place % len(path.read_bytes())))
    assert open_run("flipped").verify()[0].file == f"majority/{file}"
    with watched() as made:
        code, _, err = tts_run(*BOTH, "--out", "flipped")
    assert (code, len(made)) == (0, 1)
    assert f"majority/{file}:" in " ".join(err.split())
    assert content("flipped") == content("whole")
    assert not open_run("flipped").verify()


def test_lines_of_another_run_file_or_schema_are_not_believed(tts_run: Command) -> None:
    assert tts_run(*BOTH, "--out", "run")[0] == 0
    assert tts_run(*BOTH, "--no-pass", "lazy_first", "--out", "other")[0] == 0
    for source in (Path("other", "majority"), Path("run", "greedy")):
        before = Path("run", "majority", "answers.jsonl").read_bytes()
        Path("run", "majority", "answers.jsonl").write_bytes(
            (source / "answers.jsonl").read_bytes()
        )
        damaged = open_run("run").verify()
        assert damaged
        assert "damaged, or of another run" in str(damaged[0])
        assert not open_run("run").answers("majority")
        Path("run", "majority", "answers.jsonl").write_bytes(before)
    manifest = json.loads(Path("run", "run.json").read_text())
    Path("run", "run.json").write_text(json.dumps(manifest | {"schema": 2}))
    code, _, err = tts_run(*BOTH, "--out", "run")
    assert (code, "has schema 2, this tts-lang reads schema 1" in err) == (2, True)


def test_more_problems_continue_a_run_and_fewer_read_it(tts_run: Command) -> None:
    command = (*BOTH, "--out", "run")
    assert tts_run(*command, "--limit", "1")[0] == 0
    with watched() as made:
        assert tts_run(*command)[0] == 0
    assert sorted(made) == [(0, "line-2"), (1, "line-2")]
    assert tts_run(*BOTH, "--out", "whole")[0] == 0
    assert content("run") == content("whole")
    [first, *_] = tts_run.json(*command, "--limit", "1")
    assert first["problems"] == 1
    assert content("run") == content("whole")


def test_a_finished_run_is_read_back_without_engines(
    tts_run: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = tts_run.json(*BOTH, "--out", "run")

    def refused(name: str) -> Any:
        raise AssertionError(f"{name} is opened")

    monkeypatch.setattr(engine_set, "find_policy", refused)
    assert tts_run.json(*BOTH, "--out", "run") == first
    code, out, err = tts_run(*BOTH, "--out", "run")
    assert (code, "majority" in out) == (0, True)
    assert "everything was finished before: read from run" in err


def test_a_run_that_was_killed_after_its_last_answer_is_ended(tts_run: Command) -> None:
    """No summary yet, that of fewer problems, or replies that were still kept."""
    assert tts_run(*BOTH, "--out", "few", "--limit", "1")[0] == 0
    assert tts_run(*BOTH, "--out", "run")[0] == 0
    run, whole = Path("run"), content("run")
    for gone in ("majority", "greedy"):
        (run / gone / "summary.json").unlink()
        assert tts_run(*BOTH, "--out", "run")[0] == 0
        assert content("run") == whole
    for kept in (b"", b"{}\n"):
        (run / "replies.jsonl").write_bytes(kept)
        assert tts_run(*BOTH, "--out", "run")[0] == 0
        assert content("run") == whole
    fewer = (Path("few") / "greedy" / "summary.json").read_bytes()
    (run / "greedy" / "summary.json").write_bytes(fewer)
    assert tts_run(*BOTH, "--out", "run")[0] == 0
    assert content("run") == whole


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (["--set", "n=4"], "other strategies or parameters"),
        (["--policy", "policy=sim:1"], "another policy engine"),
        (["--no-pass", "lazy_first"], "other --no-pass"),
    ],
)
def test_another_run_is_refused(tts_run: Command, changed: list[str], message: str) -> None:
    base = ["majority", "--problems", "two.jsonl", "--out", "run"]
    policy = [] if "--policy" in changed else ["--policy", "sim"]
    assert tts_run(*base, "--policy", "sim")[0] == 0
    before = content("run")
    code, out, err = tts_run(*base, *policy, *changed)
    assert (code, out) == (2, "")
    assert f"run holds another run ({message}): name another directory with --out" in err
    assert content("run") == before


def test_strategies_and_problems_that_changed_are_noticed(tts_run: Command) -> None:
    mine = Path("mine.tts")
    mine.write_text("strategy mine():\n    return sample 1\n")
    command = ("mine.tts", *SIM, "--out", "run")
    assert tts_run(*command)[0] == 0
    mine.write_text("strategy mine():\n    return sample 1 at temperature 0\n")
    said = tts_run(*command)[2]
    assert "run holds another run (mine has changed since: `%1 = expand %0" in said
    assert "` is now `%1 = expand %0 by 1 solutions at temperature 0 from policy`)" in said
    mine.write_text("# why\nstrategy mine():\n    return sample 1\n")
    assert "(mine has changed since: its lines stand elsewhere in" in tts_run(*command)[2]
    mine.write_text("strategy mine():\n    return sample 1\n")
    problems = Path("two.jsonl")
    problems.write_text(problems.read_text().replace("1 + 2", "1 + 3"))
    assert "run holds another run (problem line-2 has changed since)" in tts_run(*command)[2]


def test_a_run_continues_where_its_strategies_have_moved_to(
    tts_run: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also the shipped ones, with the installation."""
    shipped = library.folder()
    places = [Path("one"), Path("two")]
    for place in places:
        shutil.copytree(shipped, place / "shipped")
        (place / "mine.tts").write_text("strategy mine():\n    return sample 1\n")
    found = []
    for place, limit in zip(places, ("1", "2"), strict=True):
        monkeypatch.setattr(library, "folder", lambda place=place: place.absolute() / "shipped")
        library.names.cache_clear()
        mine = str(place / "mine.tts")
        code, _, err = tts_run("majority", mine, *SIM, "--limit", limit, "--out", "run")
        assert code == 0, err
        found.append((Path("run") / "majority" / "plan.json").read_text())
    assert found[0] == found[1]
    assert str(Path.cwd()) not in found[0]
    library.names.cache_clear()
    assert len(open_run("run").answers("mine")) == 2
    assert open_run("run").strategy("mine").plan.file == "two/mine.tts"


def test_a_folder_that_is_no_run_is_refused_before_engines_are_opened(tts_run: Command) -> None:
    command = (
        "greedy",
        "--policy",
        "openai:http://127.0.0.1:9/v1#m?attempts=1",
        "--problems",
        "two.jsonl",
        "--out",
    )
    for name in ("used", "damaged", "old"):
        Path(name).mkdir()
    Path("used", "notes.txt").write_text("mine")
    Path("damaged", "run.json").write_text("{")
    Path("old", "run.json").write_text('{"version": "0.1.0", "strategies": {}}')
    for out, wrong in (
        ("used", "used is not a run directory: it has no run.json"),
        ("old", "old was written by an older tts-lang (without a schema): run it again"),
        ("damaged", "run.json is damaged"),
        ("two.jsonl", "two.jsonl is a file"),
        ("two.jsonl/run", "two.jsonl is a file"),
    ):
        code, _, err = tts_run(*command, out)
        assert code == 2
        assert wrong in err
        assert "cannot be reached" not in err
    assert "cannot be reached" in tts_run(*command, "new")[2]
    assert not Path("new").exists()


def test_failed_problems_are_tried_again(tts_run: Command) -> None:
    Path("s.tts").write_text(
        "scorer orm per solution\n\nstrategy s():\n    pool = sample 2\n    score pool by orm\n"
        "    return best of pool by orm\n"
    )
    command = ("s.tts", *SIM, "--scorer", "orm=field:level", "--out", "run")
    for _ in range(2):
        with watched() as made:
            code, _, err = tts_run(*command)
        assert code == 3
        assert "1 of 2 problems failed; the first, line-2:" in err
        assert "the same command tries them again" in err
    assert made == [(0, "line-2")]
    assert len(Path("run", "s", "answers.jsonl").read_text().splitlines()) == 2


def test_two_runs_do_not_write_one_directory(tts_run: Command) -> None:
    # One at a time: two answers in one turn would leave nothing to write.
    command = ("greedy", *SIM, "--out", "run", "--concurrency", "1")
    with watched(stop_after=1):
        assert tts_run(*command)[0] == 130
    with opened(Path("run"), open_run("run").manifest, ()):
        code, _, err = tts_run(*command)
    assert code == 2
    assert "run is being written by another tts-run" in err
    assert tts_run(*command)[0] == 0


def test_analyze_counts_what_earlier_sessions_made(tts_run: Command) -> None:
    command = (*BOTH, "--no-pass", "all", "--analyze")
    whole = tts_run(*command)[1].split("\n\n", 1)[1]
    with watched(stop_after=3):
        assert tts_run(*command, "--out", "run")[0] == 130
    for _ in range(2):
        assert tts_run(*command, "--out", "run")[1].split("\n\n", 1)[1] == whole


def test_a_full_disk_is_said_and_what_was_written_is_kept(
    tts_run: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = StrategyWriter.problem

    def no_space(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def problem(self: StrategyWriter, trial: Trial, *more: Any) -> None:
        if trial.problem == "line-2":
            full = open("/dev/full", "wb")  # noqa: PTH123, SIM115  (closed by the writer)
            self._record._files["answers.jsonl"] = full
            patch.setattr(os, "fsync", no_space)
        original(self, trial, *more)

    with monkeypatch.context() as patch:
        patch.setattr(StrategyWriter, "problem", problem)
        code, _, err = tts_run("greedy", *SIM, "--concurrency", "1", "--out", "run")
    assert code == 2
    assert "cannot be written: no space left on device; what has finished before is kept" in err
    assert not list(Path("run").rglob("*.new"))
    with watched() as made:
        assert tts_run("greedy", *SIM, "--concurrency", "1", "--out", "run")[0] == 0
    assert made == [(0, "line-2")]


def test_a_problem_that_no_reader_would_take_is_refused_before_the_run(
    tts_run: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rundir, "MAX_LINE_BYTES", 1 << 20)
    for size, code in ((1 << 20, 2), (1 << 19, 0)):
        rows = [{"problem": "1 + 1", "answer": "2"}, {"problem": "?", "answer": "x" * size}]
        Path("large.json").write_text(json.dumps(rows))
        ended, _, err = tts_run("greedy", *SIM[:2], "--problems=large.json", "--out", "run")
        assert (ended, "problem 'row-2' has 1 MiB or more" in err) == (code, code == 2), err


def test_flops_are_those_of_policies_and_scorers(tts_run: Command) -> None:
    command = ("best_of_n", "greedy", "--set", "n=3", *SIM, "--scorer", "prm=sim", "--out", "run")
    work = []
    for session in range(3):  # the second and the third read what has finished
        assumed = "params=100" if session == 2 else "params=100,prm_params=7"
        _, out, _ = tts_run(*command, "--json", "--assume", assumed)
        best, greedy = (json.loads(line) for line in out.splitlines())
        policy = [2 * 100 * (row["policy_tokens"] + row["prompt_tokens"]) for row in (best, greedy)]
        scorer = 2 * 7 * best["scorer_tokens"]
        assert greedy["flops"] == policy[1]
        assert best["flops"] == (None if session == 2 else policy[0] + scorer)
        assert min(*policy, scorer) > 0
        work.append((best["wall_s"], best["engines"]))
    assert work == work[:1] * 3  # of the first session, as nothing was drawn later


def test_flops_of_a_finished_run_follow_what_is_assumed(tts_run: Command) -> None:
    def rows(*assumed: str) -> list[Any]:
        _, out, _ = tts_run(*BOTH, "--out", "run", "--json", *assumed)
        return [json.loads(line) for line in out.splitlines()]

    assert [row["flops"] for row in (*rows(), *rows())] == [None] * 4
    for size in (100, 200):
        for row in rows("--assume", f"params={size}"):
            assert row["flops"] == 2 * size * (row["policy_tokens"] + row["prompt_tokens"])
    Path("run", "models.json").write_text("[]")
    assert [str(damage) for damage in open_run("run").verify()] == [
        "run/models.json: it has no checksum at its end"
    ]
    code, _, err = tts_run(*BOTH, "--out", "run")
    assert (code, "run/models.json: it has no checksum" in err) == (0, True)
    assert not open_run("run").verify()
