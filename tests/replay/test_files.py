"""Samples in files of others: what they hold is run as it is, anything else is refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

import tts_runtime
from tts_runtime.engines.base import EngineError
from tts_runtime.executor import BindError
from tts_runtime.problems import ProblemFileError
from tts_runtime.runs.results import Answer, Results
from tts_runtime.runs.rundir import RunDirectoryError

#: Where recordings of real models are, for who has them.
RECORDED = Path(__file__).parents[3] / "shared" / "data" / "recorded"


def boxed(*answers: object) -> list[str]:
    return [f"Step {at}.\n\nSo \\boxed{{{answer}}}" for at, answer in enumerate(answers)]


def completions(path: Path, **changes: Any) -> str:
    """Two problems as search-and-learn writes them."""
    rows: list[dict[str, Any]] = [
        {
            "problem": "1 + 1",
            "answer": "2",
            "unique_id": "one",
            "level": 3,
            "completions": boxed(3, 2, 2, 5),
            "scores": [[0.5, 0.9], [0.9, 0.3], [0.2, 0.2], [0.1, 0.1]],
            "completion_tokens": [7, 8, 9, 10],
            "pred": boxed(3)[0],
            "pred_maj@4": "2",
        },
        {
            "problem": "2 + 2",
            "answer": "4",
            "unique_id": "two",
            "completions": boxed(4, 1, 1, 1),
            "scores": [[0.5, 0.4], [0.1, 0.3], [0.2, 0.2], [0.1, 0.1]],
            "completion_tokens": [7, 7, 7, 7],
        },
    ]
    for row in rows:
        row.update(changes)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return f"replay:{path}"


def crucible(path: Path, answers: Sequence[object], meta: dict[str, Any], id_: str = "p-0") -> str:
    """One problem as crucible-ttc records it."""
    traces = [
        {"text": text, "tokens": 20 + at, "correct": False, "prm_score": 0.1 * (at + 1)}
        for at, text in enumerate(boxed(*answers))
    ]
    records = [{"problem_id": id_, "gold": "2", "difficulty": "level-5", "traces": traces}]
    path.write_text(json.dumps({"meta": meta, "records": records}), encoding="utf-8")
    return f"replay:{path}"


META = {"model": "m:1b", "temperature": 0.7, "max_tokens": 23, "seed": 4, "prm_aggregate": "mean"}


def replayed(strategies: str | Sequence[str], policy: str, seed: int = 0, **given: Any) -> Results:
    settings = tts_runtime.Settings(policies={"policy": policy}, seeds=(seed,))
    return tts_runtime.run(strategies, settings=settings, parameters=given)


def answers(policy: str, strategy: str, seed: int = 0, **given: Any) -> list[Answer]:
    [result] = replayed(strategy, policy, seed, **given)
    return list(result.answers)


def test_completions_give_votes_scores_problems_and_costs(tmp_path: Path) -> None:
    policy = completions(tmp_path / "best_of_n_completions.jsonl")
    voted = answers(policy, "majority", n=4)
    assert [(each.id, each.answer, each.correct) for each in voted] == [
        ("one", "2", True), ("two", "1", False),
    ]  # fmt: skip
    by_reduction = {
        how: [each.answer for each in answers(policy, "best_of_n", n=4, reduce=how)]
        for how in ("last", "min", "prod", "mean")
    }
    assert by_reduction == {
        "last": ["3", "4"], "min": ["3", "4"], "prod": ["3", "4"], "mean": ["3", "4"],
    }  # fmt: skip
    [first, _] = answers(policy, "pass_at", n=2)
    assert (first.correct, first.policy_tokens) == (True, 7 + 8)
    [alone, _] = answers(policy, "best_of_n", n=2)
    assert alone.scorer_tokens == 7 + 8 + alone.prompt_tokens  # the problem, and each step once
    run = tts_runtime.open_run(_run(policy, tmp_path))
    assert [each.text for each in run.problems.values()] == ["1 + 1", "2 + 2"]


def _run(policy: str, folder: Path) -> Path:
    settings = tts_runtime.Settings(policies={"policy": policy}, out=folder / "out")
    tts_runtime.run("majority", settings=settings, parameters={"n": 2})
    return folder / "out"


def test_a_run_goes_on_with_samples_that_were_appended_and_no_others(tmp_path: Path) -> None:
    policy = completions(tmp_path / "c.jsonl")
    file = tmp_path / "c.jsonl"
    whole = file.read_text(encoding="utf-8")
    first, second = whole.splitlines(keepends=True)
    file.write_text(first, encoding="utf-8")
    _run(policy, tmp_path)
    file.write_text(first + second, encoding="utf-8")
    answered = (_run(policy, tmp_path) / "majority" / "answers.jsonl").read_text(encoding="utf-8")
    assert answered.count("\n") == 2
    for changed in (whole.replace("{3}", "{7}"), second + first, second):
        file.write_text(changed, encoding="utf-8")
        with pytest.raises(RunDirectoryError, match=r"c\.jsonl has recorded has changed since"):
            _run(policy, tmp_path)
    file.write_text(whole, encoding="utf-8")
    _run(policy, tmp_path)  # nothing is left to do


def test_what_is_replayed_can_be_replayed_again(tmp_path: Path) -> None:
    policy = completions(tmp_path / "c.jsonl")
    again = answers(f"replay:{_run(policy, tmp_path)}", "majority", n=2)
    assert [each.answer for each in again] == ["3", "4"]


@pytest.mark.parametrize(
    ("changes", "given", "words"),
    [
        ({}, {"n": 5}, "5 samples, and the record has at most 4"),
        ({"scores": None}, {"strategy": "best_of_n", "n": 2}, "name the scorer that best_of_n"),
        ({"scores": [[0.5]] * 4}, {"strategy": "best_of_n", "n": 2}, "1 scores for a text of 2"),
        ({"scores": [[10**400]] * 4}, {"strategy": "best_of_n", "n": 2}, "1 scores for a text"),
        ({"completions": ["a"]}, {"n": 1}, "`scores` must have one entry per completion (1)"),
        ({"completions": []}, {"n": 1}, "must be a list of texts, not empty"),
        ({"completions": "a"}, {"n": 1}, "no list `completions`"),
        ({"scores": [["x"]] * 4}, {"n": 1}, "a score must be a number, found 'x'"),
        ({}, {"strategy": "beam_search", "n": 8}, "samples steps, and the record has whole"),
        ({}, {"strategy": "self_refine"}, "asks a question of its own"),
        ({}, {"strategy": "deepconf_offline", "n": 2}, "confidence"),
    ],
)
def test_where_a_record_ends_is_said(
    tmp_path: Path, changes: dict[str, Any], given: dict[str, Any], words: str
) -> None:
    policy = completions(tmp_path / "c.jsonl", **changes)
    strategy = given.pop("strategy", "majority")
    try:
        found = [each.error or "" for each in answers(policy, strategy, **given)]
    except (BindError, EngineError, ProblemFileError, tts_runtime.UnnamedError) as error:
        found = [str(error)]
    assert any(words in each for each in found), found


def test_other_clauses_are_refused(tmp_path: Path, plans: Callable[..., Any]) -> None:
    policy = crucible(tmp_path / "a.json", [1, 2, 2, 2], META)
    for line, words in (
        ("pool = sample 2 at temperature 0.5", "temperature 0.5, and the record was drawn at 0.7"),
        ("pool = sample 2 max 10 tokens", "20 tokens, and this stops after 10"),
        ("pool = sample 4 max 500 tokens", "was stopped after 23 tokens"),
        ("pool = sample 2 top_p 0.5", "top p 0.5"),
    ):
        settings = tts_runtime.Settings(policies={"policy": policy}, seeds=(4,))
        try:
            [result] = tts_runtime.run(plans(line, "return vote pool"), settings=settings)
            found = result.answers[0].error or ""
        except BindError as error:
            found = str(error)
        assert words in found, found


def test_recordings_are_seeds_and_of_one_model(tmp_path: Path) -> None:
    crucible(tmp_path / "a.json", [1, 2, 2], {**META, "seed": 0})
    crucible(tmp_path / "b.json", [3, 1, 3], {**META, "seed": 1})
    policy = f"replay:{tmp_path}/*.json"
    assert [each.answer for each in answers(policy, "majority", 0, n=3)] == ["2"]
    assert [each.answer for each in answers(policy, "majority", 1, n=3)] == ["3"]
    [absent] = answers(policy, "majority", 2, n=3)
    assert "not there under seed 2; its seeds are 0, 1" in (absent.error or "")
    for name, value, message in (
        ("model", "m:7b", r"has the model m:1b, .* has m:7b"),
        ("prm_aggregate", "min", r"has the reduction of scores mean, .* has min"),
    ):
        crucible(tmp_path / "c.json", [3], {**META, "seed": 2, name: value})
        with pytest.raises(EngineError, match=message):
            answers(policy, "majority", n=1)


def test_one_number_per_solution_stands_for_its_mean(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    policy = crucible(tmp_path / "a.json", [1, 2, 3], META)
    with caplog.at_level("WARNING"):
        assert [each.answer for each in answers(policy, "best_of_n", 4, n=3, reduce="mean")] == [
            "3"
        ]
        assert "is this number" not in caplog.text
        assert [each.answer for each in answers(policy, "best_of_n", 4, n=3)] == ["3"]
    assert "one number per solution for `prm` (mean): last(prm) is this number" in caplog.text
    assert "does not have the texts of its problems" in caplog.text
    with pytest.raises(BindError, match=r"there is no prod\(prm\): use mean"):
        answers(policy, "best_of_n", 4, n=3, reduce="prod")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "it has no lines"),
        ("[1, 2]", "JSON number instead of an object"),
        ('{"records": {}}', "scores without their samples"),
        ('{"records": []}', "its `records` are empty"),
        ('{"records": [{"problem_id": "a", "traces": [{"text": "x"}]}]}', "number of its `tokens`"),
        ('{"records": [{"traces": []}]}', "without an id"),
        (
            '{"records": [{"problem_id": "a", "traces": [{"text": "x", "tokens": 1}]}], '
            '"meta": {"parts": null, "max_tokens": "23"}}',
            "`max_tokens` of its `meta` cannot be '23'",
        ),
        ("{", "not JSON"),
        ('{"problem": "1", "completions": ["a"]', "not JSON"),
    ],
)
def test_files_that_hold_no_samples(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "x.json").write_text(text, encoding="utf-8")
    with pytest.raises(EngineError) as error:
        answers(f"replay:{tmp_path}/x.json", "majority", n=1)
    assert words in str(error.value)


def test_paths_that_hold_no_record(tmp_path: Path) -> None:
    for path, words in (
        (tmp_path, "neither a run nor files"),
        (tmp_path / "none.json", "no such file"),
        (tmp_path / "*.json", "no file matches"),
        ("", "expected replay:PATH"),
    ):
        with pytest.raises(EngineError, match=words):
            answers(f"replay:{path}", "majority", n=1)


# ------------------------------------------------------------------------------ real models

#: Samples whose answer stands in prose or as `\\$78`: right here, wrong for the recorder's grader.
UNREAD = 10


@pytest.mark.skipif(not RECORDED.is_dir(), reason="the recordings are not here")
def test_the_published_table() -> None:
    """crucible-ttc 0.1.1 publishes, over 120 observations at n = 1, 2, 4, 8: oracle 38.3, 50.0,
    61.7, 70.0; majority 38.3, 38.3, 45.0, 52.5; PRM 38.3, 45.0, 53.3, 55.0. Ten of the 960 samples
    state the right answer where its grader does not find it, so ours are equal or higher."""
    policy = f"replay:{RECORDED}/math500-bestofn-seed*.json"
    right: dict[str, list[int]] = {}
    names = ("majority", "best_of_n", "pass_at")
    for n in (1, 2, 4, 8):
        seeds = [replayed(names, policy, seed, n=n) for seed in range(3)]
        for name, results in zip(names, zip(*seeds, strict=True), strict=True):
            found = [each for result in results for each in result.answers]
            assert len(found) == 120
            right.setdefault(name, []).append(sum(each.correct is True for each in found))
    percent = {name: [round(each / 1.2, 1) for each in counts] for name, counts in right.items()}
    assert percent == {
        "majority": [39.2, 39.2, 46.7, 54.2],
        "best_of_n": [39.2, 46.7, 55.0, 57.5],
        "pass_at": [39.2, 50.8, 61.7, 70.0],
    }
