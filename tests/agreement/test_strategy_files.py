"""The executor and the reference agree on every strategy file, at small parameters."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.agreement import PROBLEMS, disagreement, latency, world
from tts_lang.compiler import check_path, compile_strategy
from tts_lang.plan.graph import Plan

ROOT = Path(__file__).parents[2]
FILES = sorted((*ROOT.glob("strategies/**/*.tts"), *ROOT.glob("tests/fixtures/strategies/*.tts")))
SMALL = {
    "depth": 4,
    "rollouts": 4,
    "most": 6,
    "rounds": 2,
    "n": 8,
    "trees": 2,
    "width": 2,
    "probes": 3,
}
PARAMETERS = {
    (path, strategy.name): strategy.parameters
    for path in FILES
    for strategy in check_path(path).strategies
}
WORLDS = range(2)


def small(path: Path, name: str) -> Plan:
    """The strategy's plan, at small values of the parameters that make work."""
    known = PARAMETERS[path, name]
    return compile_strategy(path, name, {key: SMALL[key] for key in known if key in SMALL})


@pytest.mark.parametrize(("path", "name"), PARAMETERS, ids=[name for _, name in PARAMETERS])
def test_strategy_file(path: Path, name: str) -> None:
    """Agreement, and invariant U."""
    plan = small(path, name)
    for number in WORLDS:
        problem = PROBLEMS[number % len(PROBLEMS)]
        here = replace(world(number), context=2000)
        found = disagreement(plan, here, problem, number, latency(number))
        assert found is None, found
