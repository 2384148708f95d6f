"""What `tts-run` says of candidates that went without a score or a text."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.records import candidates
from tests.support.tts_run import SIM, Command

JUDGED = """judge grade:
    \"\"\"{text} PADDING\"\"\"
    read number after "Grade:" from 0 to 10

strategy judged(n = 3):
    pool = sample n within 20 tokens
    score pool by grade
    return best of pool by grade
"""


@pytest.fixture
def judged(tmp_path: Path) -> str:
    """A judge whose question never fits the window of 256 tokens."""
    path = tmp_path / "judged.tts"
    path.write_text(JUDGED.replace("PADDING", "a" * 260), encoding="utf-8")
    return str(path)


def test_missing_scores_are_below_the_table_and_warned_of(tts_run: Command, judged: str) -> None:
    code, out, err = tts_run(judged, *SIM)
    assert code == 0
    lines = [line for line in out.splitlines() if line.startswith("judged: ")]
    assert lines[-1] == (
        "judged: grade: 6 of 6 scores missing (6 too long); none for 2 answers, "
        "where the earliest candidate counts as the best"
    )
    assert "warning: judged: scorer `grade`: 6 of 6 scores missing" in err
    assert "bind a model with a larger window" in err


def test_counts_are_in_the_summary_in_json_and_survive_a_resume(
    tts_run: Command, judged: str, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    [first] = tts_run.json(judged, *SIM, "--out", str(out))
    summary = json.loads((out / "judged" / "summary.json").read_text(encoding="utf-8"))
    [again] = tts_run.json(judged, *SIM, "--out", str(out))
    for found in (first, summary, again):
        grade = found["reliability"]["scorers"]["grade"]  # type: ignore[index]
        assert (grade["scores"], grade["missing"], grade["blind"]) == (6, {"too_long": 6}, 2)
    errors = [candidate.errors for candidate in candidates(out)]
    assert len(errors) == 6
    assert all("context window of 256" in each["grade"] for each in errors)


def test_a_strict_run_fails_the_problem_and_is_another_run(
    tts_run: Command, judged: str, tmp_path: Path
) -> None:
    out = str(tmp_path / "run")
    assert tts_run(judged, *SIM, "--out", out)[0] == 0
    code, _, err = tts_run(judged, *SIM, "--strict")
    assert code == 3
    assert "context window of 256" in err
    code, _, err = tts_run(judged, *SIM, "--out", out, "--strict")
    assert code == 2
    assert "--strict" in err
