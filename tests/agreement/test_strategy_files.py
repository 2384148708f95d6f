"""The executor and the reference agree on every strategy file, at small parameters."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.agreement import PROBLEMS, by_reference, disagreement, latency, world
from tests.support.invariants import drawn_in_two_contexts
from tests.support.reference import StrategyFailure
from tts_lang.compiler import check_path, compile_strategy
from tts_lang.plan.graph import Plan
from tts_runtime.engines.base import EngineError

ROOT = Path(__file__).parents[2]
FILES = sorted((*ROOT.glob("strategies/**/*.tts"), *ROOT.glob("tests/fixtures/strategies/*.tts")))
SMALL = {"depth": 4, "rollouts": 4, "most": 6, "rounds": 2, "n": 6, "width": 2, "probes": 3}
NAMED = [(path, strategy.name) for path in FILES for strategy in check_path(path).strategies]
WORLDS = range(4)


def small(path: Path, name: str) -> Plan:
    """The strategy's plan, at small values of the parameters that make work."""
    known = next(s for s in check_path(path).strategies if s.name == name).parameters
    return compile_strategy(path, name, {key: SMALL[key] for key in known if key in SMALL})


@pytest.mark.parametrize(("path", "name"), NAMED, ids=[name for _, name in NAMED])
def test_strategy_file(path: Path, name: str) -> None:
    """Agreement, and invariant U."""
    plan = small(path, name)
    for number in WORLDS:
        problem = PROBLEMS[number % len(PROBLEMS)]
        found = disagreement(plan, world(number), problem, number, latency(number))
        assert found is None
        try:
            outcome = by_reference(plan, world(number), problem, number)
        except (StrategyFailure, EngineError):
            continue
        assert drawn_in_two_contexts(outcome.drawn) is None
