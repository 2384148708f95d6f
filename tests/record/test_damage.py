"""Damage of a directory is found and named: a small form of `python -m tests.record.campaign`."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

import tts_runtime
from tests.record.campaign import DAMAGE, named, same, spoilt
from tts_runtime.problems import Problem

PROBLEMS = [Problem(str(number), f"{number} + 1", str(number + 1)) for number in range(4)]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A finished run and another one."""
    place = tmp_path_factory.mktemp("runs")
    for name, policy in (("run", "sim"), ("other", "sim:1")):
        settings = tts_runtime.Settings(
            policies={"policy": policy}, scorers={"prm": "sim"}, out=place / name
        )
        tts_runtime.run(
            ["majority", "beam_search"],
            PROBLEMS,
            settings=settings,
            parameters={"n": 4, "depth": 3},
        )
    return place / "run", place / "other"


@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_is_named(kind: str, runs: tuple[Path, Path], tmp_path: Path) -> None:
    run, other = runs
    assert not named(run)
    chance = random.Random(kind)
    for _ in range(40):
        damaged = tmp_path / "damaged"
        shutil.rmtree(damaged, ignore_errors=True)
        shutil.copytree(run, damaged)
        file = spoilt(kind, damaged, other, chance)
        if file is not None and not same(damaged, run):
            found = named(damaged)
            assert found, file
            if kind in ("torn", "truncated", "flipped"):
                assert any(file.name in each for each in found), (file, found)
