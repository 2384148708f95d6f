"""The executor and the reference agree on every strategy file, at small parameters."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.agreement import PROBLEMS, disagreement, latency, world
from tests.support.shipped import NAMED, names_in
from tts_lang.compiler import compile_strategy, parameters_of
from tts_lang.plan.graph import Plan

ROOT = Path(__file__).parents[2]
FIXTURES = sorted(ROOT.glob("tests/fixtures/strategies/*.tts"))
STRATEGIES = (*NAMED, *((path, name) for path in FIXTURES for name in names_in(path)))
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


def small(path: Path, name: str) -> Plan:
    """The strategy's plan, at small values of the parameters that make work."""
    known = parameters_of(path, name)
    return compile_strategy(path, name, {key: SMALL[key] for key in known if key in SMALL})


@pytest.mark.parametrize(
    ("path", "name"), STRATEGIES, ids=[f"{path.stem}:{name}" for path, name in STRATEGIES]
)
def test_strategy_file(path: Path, name: str, program_count: int) -> None:
    """Agreement, and invariant U; in more worlds in a longer run."""
    plan = small(path, name)
    first = STRATEGIES.index((path, name))
    for number in range(first, first + max(1, program_count // 300)):
        problem = PROBLEMS[number % len(PROBLEMS)]
        here = replace(world(number), context=2000)
        found = disagreement(plan, here, problem, number, latency(number))
        assert found is None, found
