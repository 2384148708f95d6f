"""A finished problem is freed at once, whatever listens: memory does not grow with their number."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

import tts_lang
import tts_runtime
from tts_runtime.engines.sim.virtual import run_virtual
from tts_runtime.executor.nodes import Node
from tts_runtime.executor.problem import Events
from tts_runtime.executor.problem_run import ProblemRun
from tts_runtime.serve.watch import Watch

PLANS = [
    tts_lang.compile("best_of_n", n=4),
    tts_lang.compile("majority", n=6),  # its vote ends early, so it is replayed
    tts_lang.compile("beam_search", n=4, depth=3),
]


@pytest.fixture
def no_collector(standing: None) -> Iterator[None]:  # noqa: ARG001
    gc.disable()
    yield
    gc.enable()


def alive() -> tuple[int, int]:
    """Runs and nodes that somebody still refers to, in cycles too."""
    found = [type(each) for each in gc.get_objects()]
    return found.count(ProblemRun), found.count(Node)


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: str(plan.strategy))
def test_a_run_into_a_directory_holds_its_window_only(plan: tts_lang.Plan, tmp_path: Path) -> None:
    most: list[tuple[int, int]] = []

    class Counting(tts_runtime.Progress):
        def problem_done(self, strategy: int, answer: tts_runtime.Answer) -> None:  # noqa: ARG002
            most.append(alive())

    before = alive()
    settings = tts_runtime.Settings(
        policies={"policy": "sim"}, scorers={"prm": "sim"}, out=tmp_path / "run", concurrency=2
    )
    problems = [f"{number} + 1" for number in range(12)]
    tts_runtime.run(plan, problems, settings=settings, progress=Counting())
    early, late = most[3], max(most[8:])
    assert late[0] <= early[0] + 2
    assert late[1] <= early[1] + 100
    assert alive()[0] <= before[0] + 1  # the last one, perhaps


@pytest.mark.usefixtures("no_collector")
def test_answers_of_a_session_go_with_their_responses() -> None:
    async def asked() -> None:
        async with tts_runtime.Session({"policy": "sim"}, {"prm": "sim"}) as session:
            before = alive()
            for number in range(4):
                for plan in PLANS:
                    watch = Watch()

                    def subscribe(events: Events, watch: Watch = watch) -> None:
                        watch.subscribe(events)

                    response = await session.answer(plan, f"{number} + 1", subscribe=subscribe)
                    if number % 2:
                        assert response.candidates
                    del response, watch, subscribe
            assert alive()[0] <= before[0] + 1

    run_virtual(asked())
