"""The shipped problem files."""

import json
from pathlib import Path

import pytest
from bundled import world

PROBLEMS = Path(__file__).resolve().parents[2] / "runtime" / "bundled" / "problems"
NAMES = ("train", "calibration", "test")


def rows(name: str) -> list[dict[str, str | int | float]]:
    return [json.loads(line) for line in (PROBLEMS / f"{name}.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("name", NAMES)
def test_answers_are_right(name: str) -> None:
    for row in rows(name):
        problem = world.parse_problem(str(row["problem"]))
        assert row["answer"] == str(problem.answer())
        assert row["operations"] == len(problem.operations)


def test_ids_are_unique_and_splits_disjoint() -> None:
    everything = [row for name in NAMES for row in rows(name)]
    assert len({row["id"] for row in everything}) == len(everything)
    assert len({row["problem"] for row in everything}) == len(everything)


@pytest.mark.parametrize("name", ["calibration", "test"])
def test_difficulty_groups_are_sizeable(name: str) -> None:
    from bundled.make_problems import GROUPS, group_of

    rates = [float(row["pass_rate"]) for row in rows(name)]
    assert len(rates) == 200
    assert 0.3 <= sum(rates) / len(rates) <= 0.7
    for group in GROUPS:
        assert sum(group_of(rate) == group for rate in rates) >= 30
