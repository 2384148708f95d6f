"""A run holds little of what has ended, however many problems it has."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest

import tts_runtime
from tts_runtime.engines.sim import engines
from tts_runtime.engines.sim.engines import SimPolicy
from tts_runtime.engines.sim.sim_server import Latency
from tts_runtime.runs.results import Answer
from tts_runtime.sampling import draw


class Counted(tts_runtime.Progress):
    """Objects that refer to others, at each of these numbers of problems."""

    def __init__(self, *after: int) -> None:
        self.objects: list[int] = []
        self._after = after
        self._done = 0

    def problem_done(self, strategy: int, answer: Answer) -> None:  # noqa: ARG002
        self._done += 1
        if self._done in self._after:
            gc.collect()
            self.objects.append(len(gc.get_objects()))


@pytest.mark.usefixtures("standing")
def test_a_problem_that_has_ended_leaves_no_objects(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its answer is JSON until it is asked for; it would be a dozen objects, five kilobytes."""
    policy = SimPolicy(latency=Latency(token=0))
    # Caches, up to a limit.
    monkeypatch.setattr(policy.model, "row", policy.model._row)
    monkeypatch.setattr(engines, "_draw", draw)
    settings = tts_runtime.Settings(
        policies={"policy": policy}, out=tmp_path / "run", concurrency=2
    )
    problems = [tts_runtime.Problem(f"p{at}", f"{at} + 1") for at in range(60)]
    counted = Counted(20, 60)
    [result] = tts_runtime.run("greedy", problems, settings=settings, progress=counted)
    assert [answer.id for answer in result.answers[:2]] == ["p0", "p1"]
    before, after = counted.objects
    assert (after - before) / 40 < 2
