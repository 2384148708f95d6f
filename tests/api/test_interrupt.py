"""Ctrl-C in a notebook's cell: the run in the other thread stops, and keeps what has finished."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from pathlib import Path

import pytest

import tts_runtime
from tts_runtime.runs.results import Answer


class Interrupting(tts_runtime.Progress):
    """Presses Ctrl-C when the first problem has finished."""

    pressed = False

    def problem_done(self, strategy: int, answer: Answer) -> None:  # noqa: ARG002
        if not self.pressed:
            self.pressed = True
            os.kill(os.getpid(), signal.SIGINT)


def test_ctrl_c_in_a_cell_stops_the_run_and_keeps_what_finished(tmp_path: Path) -> None:
    problems = [f"{number} + 1" for number in range(300)]
    out = tmp_path / "run"

    async def cell() -> None:
        settings = tts_runtime.Settings(policies={"policy": "sim"}, out=out, concurrency=1)
        tts_runtime.run("greedy", problems, settings=settings, progress=Interrupting())

    loop = asyncio.new_event_loop()  # a kernel's: without asyncio.run's own handler of Ctrl-C
    try:
        with pytest.raises(KeyboardInterrupt):
            loop.run_until_complete(cell())
    finally:
        loop.close()
    finished = len(tts_runtime.open_run(out).answers())
    assert 1 <= finished < len(problems)
    assert not [each for each in threading.enumerate() if each.name.startswith("tts-run")]
