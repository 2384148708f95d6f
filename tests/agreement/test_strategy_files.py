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


def small(path: Path, name: str) -> Plan:
    """The strategy's plan, at small values of the parameters that make work."""
    known = PARAMETERS[path, name]
    return compile_strategy(path, name, {key: SMALL[key] for key in known if key in SMALL})


@pytest.mark.parametrize(
    ("path", "name"), PARAMETERS, ids=[f"{path.stem}:{name}" for path, name in PARAMETERS]
)
def test_strategy_file(path: Path, name: str, program_count: int) -> None:
    """Agreement, and invariant U; in more worlds in a longer run."""
    plan = small(path, name)
    first = list(PARAMETERS).index((path, name))
    for number in range(first, first + max(1, program_count // 300)):
        problem = PROBLEMS[number % len(PROBLEMS)]
        here = replace(world(number), context=2000)
        found = disagreement(plan, here, problem, number, latency(number))
        assert found is None, found
