"""Bounds hold in runs of random programs on random worlds.

Rows of every pool are those of the reference interpreter, costs also those of the executor, which
asks once what is asked twice.
"""

from __future__ import annotations

import pytest

from tests.support.agreement import PROBLEMS, by_executor, by_reference, compiled, world
from tests.support.programs import random_program
from tests.support.reference import StrategyFailure, interpreter
from tts_lang.explain.bounds import Bounds, bounds
from tts_lang.plan.graph import Operation
from tts_lang.plan.verify import verify
from tts_runtime.engines.base import EngineError
from tts_runtime.engines.sim_model import SimModel

PROGRAMS = 80
#: Bytes of the longest token of the simulated policies.
LONGEST = max(map(len, SimModel(0).tokenizer.pieces))


class Watch:
    """Compares every pool that the reference makes with its bounds."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.bounds: Bounds | None = None
        self.wrong: list[str] = []
        self.pools = 0
        self.tight = 0
        inner = interpreter.execute

        def execute(
            machine: object, scope: object, operation: Operation, known: dict[int, object]
        ) -> object:
            returned = inner(machine, scope, operation, known)  # type: ignore[arg-type]
            for value in operation.outputs:
                rows = known.get(value)
                if isinstance(rows, list):
                    self.pool(value, operation, len(rows))
            return returned

        monkeypatch.setattr(interpreter, "execute", execute)

    def pool(self, value: int, operation: Operation, count: int) -> None:
        assert self.bounds is not None
        rows = self.bounds.rows.get(value)
        self.pools += 1
        if rows is None:
            self.wrong.append(f"{operation.spec.op} was thought never to run")
        elif count < rows.low or (rows.high is not None and count > rows.high):
            self.wrong.append(f"{operation.spec} gave {count} rows: {rows}")
        else:
            self.tight += count == rows.high


def test_c59_bounds_hold_in_random_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    watch = Watch(monkeypatch)
    finished = 0
    for number in range(PROGRAMS):
        source = random_program(number)
        plan, place = compiled(source), world(number)
        verify(plan)
        found = watch.bounds = bounds(plan, place.context)
        problem = PROBLEMS[number % len(PROBLEMS)]
        try:
            reference = by_reference(plan, place, problem, number).counts
        except (StrategyFailure, EngineError):
            continue
        finally:
            assert not watch.wrong, f"{watch.wrong} in program {number}:\n{source}"
        finished += 1
        counts = by_executor(plan, place, problem, number).counts
        # The simulated scorer reads bytes, and the problem once for every path it starts.
        scored = found.scorer_tokens
        if scored is not None:
            scored = scored * LONGEST + counts.scorer_calls * len(problem.text.encode())
        for name, spent, most in (
            ("policy calls", max(reference.policy_calls, counts.policy_calls), found.policy_calls),
            ("sampled tokens", counts.policy_tokens, found.sampled_tokens),
            ("scorer calls", max(reference.scorer_calls, counts.scorer_calls), found.scorer_calls),
            ("scorer tokens", counts.scorer_tokens, scored),
        ):
            assert most is None or spent <= most, f"{name} in program {number}:\n{source}"
    assert finished > PROGRAMS // 2
    assert watch.tight > watch.pools // 2, "bounds this loose say nothing"
