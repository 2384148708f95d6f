"""`tts-export`: rows of every format, as TRL's formats are, and what cannot be written."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from dataclasses import replace
from io import TextIOWrapper
from pathlib import Path
from typing import Any

import pytest

import tts_runtime
from tts_runtime.cli.export import export_command
from tts_runtime.cli.metrics import metrics_command
from tts_runtime.engines.registry import find_policy
from tts_runtime.graders import find_grader
from tts_runtime.problems import Problem
from tts_runtime.record.grades import compares
from tts_runtime.record.training import rows
from tts_runtime.stats.samples import samples_of, whole

#: Solutions of one problem by their steps: two right ones, two that share a beginning.
TEXTS = ["a\n\nb\n\n\\boxed{2}", "a\n\nb\n\n\\boxed{3}", "a\n\nc\n\n\\boxed{2}", "d\n\n\\boxed{4}"]

FORCED = """strategy forced():
    pool = sample 4 max 3 tokens
    force "So " into pool
    pool = expand pool by 1
    return best of pool by tokens
"""


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Two strategies that share these samples."""
    row = {"id": "one", "problem": "1 + 1", "answer": "2", "completions": TEXTS}
    (tmp_path / "samples.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    settings = tts_runtime.Settings(
        policies={"policy": f"replay:{tmp_path}/samples.jsonl"}, out=tmp_path / "run"
    )
    tts_runtime.run(["pass_at", "majority"], settings=settings, parameters={"n": 4})
    return tmp_path / "run"


def exported(
    capsys: pytest.CaptureFixture[str], run: Path, form: str, *options: str
) -> list[dict[str, Any]]:
    assert export_command([str(run), "--as", form, *options]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_full_standard_output_is_left_to_the_process(run: Path) -> None:
    """As for every command, which says it in its own words (`tts_lang.cli.process`)."""
    with open("/dev/full", "wb", buffering=0) as file:  # noqa: PTH123
        full = TextIOWrapper(file, write_through=True)
        with redirect_stdout(full), pytest.raises(OSError, match="No space left"):
            export_command([str(run), "--as", "sft"])


def test_right_solutions(capsys: pytest.CaptureFixture[str], run: Path) -> None:
    assert exported(capsys, run, "sft") == [
        {"prompt": "1 + 1", "completion": TEXTS[0]}, {"prompt": "1 + 1", "completion": TEXTS[2]},
    ]  # fmt: skip
    [first, _] = exported(capsys, run, "sft", "--chat")
    assert first == {
        "prompt": [{"role": "user", "content": "1 + 1"}],
        "completion": [{"role": "assistant", "content": TEXTS[0]}],
    }


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "ascii"])
def test_rows_are_json_whatever_the_encoding(tmp_path: Path, encoding: str) -> None:
    row = {"id": "one", "problem": "é 😀 ∞ \x7f", "answer": "2", "completions": ["\\boxed{2}"]}
    (tmp_path / "samples.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    settings = tts_runtime.Settings(
        policies={"policy": f"replay:{tmp_path}/samples.jsonl"}, out=tmp_path / "run"
    )
    tts_runtime.run("pass_at", settings=settings, parameters={"n": 1})
    script = "import sys; from tts_runtime.cli import export_main; export_main(sys.argv[1:])"
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "run"), "--as", "sft"],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": encoding},
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.decode(encoding))["prompt"] == row["problem"]


def test_pairs_share_the_longest_beginning(capsys: pytest.CaptureFixture[str], run: Path) -> None:
    pairs = [(row["chosen"], row["rejected"]) for row in exported(capsys, run, "preference")]
    assert pairs == [
        (TEXTS[0], TEXTS[1]),  # they part after two steps, the next after one, then at once
        (TEXTS[2], TEXTS[1]),
        (TEXTS[0], TEXTS[3]),
    ]


def test_steps_have_labels_and_estimates(capsys: pytest.CaptureFixture[str], run: Path) -> None:
    hard = {tuple(row["completions"]): row["labels"] for row in exported(capsys, run, "stepwise")}
    assert hard == {
        ("a", "b", "\\boxed{2}"): [True, True, True],
        ("a", "b", "\\boxed{3}"): [True, True, False],
        ("a", "c", "\\boxed{2}"): [True, True, True],
        ("d", "\\boxed{4}"): [False, False],
    }
    soft = {tuple(row["completions"]): row for row in exported(capsys, run, "prm")}
    assert soft["a", "b", "\\boxed{3}"]["labels"] == [2 / 3, 1 / 2, 0]
    assert soft["a", "b", "\\boxed{3}"]["drawn"] == [3, 2, 1]


@pytest.mark.parametrize("form", ["sft", "preference", "stepwise", "prm"])
def test_datasets_reads_it_with_the_columns_of_its_kind(
    capsys: pytest.CaptureFixture[str], run: Path, form: str
) -> None:
    datasets = pytest.importorskip("datasets")
    wanted = {
        "sft": {"prompt", "completion"},
        "preference": {"prompt", "chosen", "rejected"},
        "stepwise": {"prompt", "completions", "labels"},
        "prm": {"prompt", "completions", "labels", "drawn"},
    }
    rows = datasets.Dataset.from_list(exported(capsys, run, form))
    assert set(rows.column_names) == wanted[form]


def test_what_cannot_be_written(capsys: pytest.CaptureFixture[str], run: Path) -> None:
    for options, words in (
        (["--as", "stf"], "did you mean 'sft'?"),
        ([], "--as: expected a format"),
        (["--as", "prm", "--chat"], "--chat: it goes with --as sft or preference"),
        (["--as", "sft", "--strategy", "pass"], "name one of the run's strategies"),
    ):
        assert export_command([str(run), *options]) == 2
        assert words in capsys.readouterr().err
    assert export_command([str(run.parent), "--as", "sft"]) == 2
    assert "is not a run directory" in capsys.readouterr().err


def test_trajectories_are_what_was_sampled(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    settings = tts_runtime.Settings(policies={"policy": "sim"}, keep=["ids", "logprobs"])
    problems = [{"id": "one", "problem": "1 + 1", "answer": "2"}]
    (tmp_path / "forced.tts").write_text(FORCED, encoding="utf-8")
    for name, strategy in (("drawn", "pass_at"), ("forced", f"{tmp_path}/forced.tts")):
        tts_runtime.run([strategy], problems, settings=replace(settings, out=tmp_path / name))
        rows = exported(capsys, tmp_path / name, "trajectories")
        [record] = tts_runtime.open_run(tmp_path / name).strategies.values()
        trees = record.trees()
        ended = [(tree, node) for tree in trees for node in tree.nodes.values()
                 if node.finish == "end" and node.op == "expand"]  # fmt: skip
        assert len(rows) == len(ended) > 0
        by_text = {tree.text(node.uid): (tree, node) for tree, node in ended}
        pieces = find_policy("sim")().tokenizer.pieces
        for row in rows:
            tree, node = by_text[row["completion"]]
            assert b"".join(pieces[id_] for id_ in row["completion_ids"]).decode(
                "utf-8", "replace"
            ) == tree.text(node.uid)
            assert row["reward"] == float(node.correct is True)
            assert sum(row["env_mask"]) == node.tokens
            assert all(logprob == 0.0 for logprob, mask in
                       zip(row["logprobs"], row["env_mask"], strict=True) if not mask)  # fmt: skip
            assert (0 in row["env_mask"]) == (name == "forced")
            assert len(row["completion_ids"]) == len(row["logprobs"]) == len(row["env_mask"])


def test_trajectories_need_what_was_kept(capsys: pytest.CaptureFixture[str], run: Path) -> None:
    assert export_command([str(run), "--as", "trajectories"]) == 2
    assert "run with --keep ids,logprobs" in capsys.readouterr().err


#: A grader of what is returned, and of nothing else.
ALWAYS = """import tts_runtime

@tts_runtime.grader
def yes(problem, answer, text):
    return True
"""


@pytest.fixture
def run_of(tmp_path: Path) -> Callable[..., Path]:
    """A run on samples of two problems: `one` is graded by mathematics, `two` by a function."""

    def run_of(texts: Sequence[str], *ids: str, **settings: Any) -> Path:
        (tmp_path / "always.py").write_text(ALWAYS, encoding="utf-8")
        graders = {"one": None, "two": f"python:{tmp_path}/always.py:yes"}
        problems = [Problem(id_, f"{id_} + 1", "2", {}, graders[id_]) for id_ in ids]
        rows = [{"id": each.id, "problem": each.text, "completions": texts} for each in problems]
        samples = tmp_path / "given.jsonl"
        samples.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        tts_runtime.run(
            ["pass_at"],
            problems,
            settings=tts_runtime.Settings(
                policies={"policy": f"replay:{samples}"}, out=tmp_path / "graded", **settings
            ),
            parameters={"n": len(texts)},
        )
        return tmp_path / "graded"

    return run_of


@pytest.mark.parametrize("texts", [TEXTS, ["a", "b"], ["a", "\\boxed{2}"]])
def test_what_a_grader_of_returned_answers_did_not_see_is_not_wrong(
    run_of: Callable[..., Path], texts: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    run = run_of(texts, "two")
    assert tts_runtime.open_run(run).tree("two").answer.correct is True
    assert export_command([str(run), "--as", "stepwise"]) == 2
    assert "no candidate has a grade" in capsys.readouterr().err
    [sampled] = map(samples_of, tts_runtime.open_run(run).strategy().trees())
    assert (sampled.graded, len(sampled.samples), sampled.ungraded) == (False, len(texts), 0)
    for what in ("samples", "rewards"):
        assert metrics_command([what, str(run)]) == 2
        assert "pass_at: no graded samples" in capsys.readouterr().err
    assert metrics_command(["costs", str(run)]) == 0
    assert "problem costs" in capsys.readouterr().out.replace("\n", " ")
    assert metrics_command(["difficulty", str(run)]) == 2


def test_where_some_problems_have_grades_the_others_are_left_out(
    run_of: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    run = run_of(["a", "b"], "one", "two")
    assert export_command([str(run), "--as", "stepwise"]) == 0
    out, err = capsys.readouterr()
    assert [json.loads(line) for line in out.splitlines()] == [
        {"prompt": "one + 1", "completions": [text], "labels": [False]} for text in ("a", "b")
    ]  # no answer is wrong: mathematics compares every one
    assert "left out, as they have no grade: 2 solutions" in err
    for what, said in (
        ("samples", "1 answer, at least 2 samples each"),
        ("samples", "left out, as they have no grade: the samples of 1 answer"),
        ("difficulty", "1 problem, 2 samples"),
    ):
        assert metrics_command([what, str(run)]) == 0
        assert said in capsys.readouterr().out.replace("\n", " ")


def test_a_sample_whose_grade_is_not_known_is_left_out(run_of: Callable[..., Path]) -> None:
    tree = tts_runtime.open_run(run_of([*TEXTS, "none"], "one")).tree("one")
    sampled = samples_of(tree)
    assert ([each.correct for each in sampled.samples], sampled.ungraded) == (
        [True, False, True, False, False], 0,
    )  # fmt: skip
    timed_out = replace(tree.nodes[1], correct=None)
    sampled = samples_of(replace(tree, nodes={**tree.nodes, 1: timed_out}))
    assert ([each.correct for each in sampled.samples], sampled.ungraded) == (
        [False, True, False, False], 1,
    )  # fmt: skip
    assert whole([samples_of(tree), sampled])


def test_a_grader_that_failed_says_nothing_of_solutions_without_an_answer(
    run_of: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """The gold answer 2 is no choice."""
    assert export_command([str(run_of(["a"], "one", grader="choice")), "--as", "stepwise"]) == 2
    assert "no candidate has a grade" in capsys.readouterr().err


@pytest.mark.parametrize(
    "name", ["math", "text", "number", "choice", "none", "exec:python?field=x"]
)
def test_graders_of_every_candidate_are_known_by_name(name: str) -> None:
    problem = Problem("p", "1 + 1", "2")
    assert compares(problem, [name]) == find_grader(name)().every_candidate
    assert compares(replace(problem, grader=name), ["math", name]) == compares(problem, [name])
    assert not compares(replace(problem, answer=None), [name])


def test_equal_texts_of_two_streams_are_two_draws(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    bodies = {
        "hot": "sample 6 at temperature 1",
        "cold": "sample 6 at temperature 0.3",
        "again": "expand (sample 6 steps at temperature 0.3) by 1 at temperature 0.3",
    }
    for name, pool in bodies.items():
        text = f"strategy {name}():\n    return best of ({pool}) by tokens\n"
        (tmp_path / f"{name}.tts").write_text(text, encoding="utf-8")
    problems = [{"id": "p", "problem": "Start with 3; a: +4 (mod 100)", "answer": "7"}]
    settings = tts_runtime.Settings(out=tmp_path / "run")
    tts_runtime.run([f"{tmp_path}/{name}.tts" for name in bodies], problems, settings=settings)
    run = tts_runtime.open_run(tmp_path / "run")
    trees = {name: run.tree("p", name) for name in bodies}
    texts = [{tree.text(node.uid) for node in tree.nodes.values()} for tree in trees.values()]
    assert texts[0] & texts[1]  # else this shows nothing
    rows = exported(capsys, tmp_path / "run", "prm")
    drawn = {row["completions"][0]: row["drawn"][0] for row in rows}
    assert sum(drawn.values()) == 12  # `again` draws what `cold` draws, in pieces


def test_chats_have_the_messages_before_the_problem(run: Path) -> None:
    before = (("system", "Add."), ("user", "1 + 0"), ("assistant", "\\boxed{1}"))
    opened = tts_runtime.open_run(run)
    opened.problems = {"one": replace(opened.problems["one"], before=before)}
    turns = [{"role": role, "content": text} for role, text in (*before, ("user", "1 + 1"))]
    said: list[str] = []
    for form in ("sft", "preference"):
        written = rows(opened, form, ["majority"], chat=True, say=said.append)
        assert [row["prompt"] for row in written][:1] == [turns]
    assert said == []
    assert next(rows(opened, "sft", ["majority"], chat=False, say=said.append))["prompt"] == "1 + 1"
    assert said == ["left out, as only --chat has them: the messages before 1 problem"]


def test_without_gold_answers_nothing_is_wrong(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    settings = tts_runtime.Settings(policies={"policy": "sim"}, out=tmp_path / "run")
    tts_runtime.run(["majority"], ["1 + 1"], settings=settings, parameters={"n": 16})
    [tree] = tts_runtime.open_run(tmp_path / "run").strategy("majority").trees()
    assert any(node.answer is None for node in tree.nodes.values())
    assert export_command([str(tmp_path / "run"), "--as", "stepwise"]) == 2
    assert "no candidate has a grade" in capsys.readouterr().err
