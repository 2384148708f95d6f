"""What `tts-run` shows while it runs, on a terminal and elsewhere."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console
from rich.text import Text

import tts_lang
from tts_runtime.cli.display import Lines, Screen, Status, shown_on
from tts_runtime.engines.base import Load
from tts_runtime.engines.sim.engines import SimPolicy
from tts_runtime.engines.sim.model import SimModel
from tts_runtime.engines.sim.sim_server import Latency
from tts_runtime.runs.results import Answer

SWEPT = replace(tts_lang.compile("majority"), strategy="majority[n=16]")
PLANS = [tts_lang.compile("greedy"), SWEPT]


class Clock:
    """Stands still until it is moved."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


class Busy(SimPolicy):
    """An engine in the middle of its work."""

    @property
    def load(self) -> Load:
        return Load(64, 64, 1200)


def answer(number: int, correct: bool | None = True, error: str | None = None) -> Answer:
    return Answer(
        id=str(number), answer="1", key="1", gold="1", correct=correct, error=error, policy_tokens=9
    )


def test_the_line_says_time_speed_and_load() -> None:
    clock = Clock()
    status = Status(clock)
    clock.now += 3
    status.engine_opens("policy", "bundled")
    assert status.line() == "0:03  loading policy=bundled"
    status.run_starts(PLANS, 10, {"policy": Busy(SimModel(0))})
    clock.now += 60
    status.tokens_drawn(3000)
    clock.now += 5
    status.tokens_drawn(15_000)
    # The speed is that of the last quarter of a minute.
    assert status.line() == "1:08  1,200 tokens/s  64/64 slots, 1,200 queued"
    clock.now += 12
    assert "1,000 tokens/s" in status.line()
    clock.now += 3600
    status.run_ends()
    assert status.line() == "1:01:20  0 tokens/s"


def test_time_left_counts_what_this_process_has_done() -> None:
    clock = Clock()
    status = Status(clock)
    status.run_starts(PLANS, 10, {})
    for number in range(4):
        status.problem_resumed(1, answer(number))
    assert (status.done, status.total) == (4, 20)
    for number in range(4, 6):
        status.problem_done(1, answer(number))
    clock.now += 30
    assert status.left(1) == ""  # two say little
    status.problem_done(1, answer(6, correct=False))
    assert status.left(1) == "0:30 left"
    # One strategy has not finished anything yet; the run as a whole has.
    assert (status.left(0), status.all_left()) == ("", "2:10 left")
    status.problem_done(1, answer(7, correct=None, error="broke"))
    assert status.strategies[1].summary == "86% correct  1 failed"
    for number in range(8, 10):
        status.problem_done(1, answer(number))
    assert status.left(1) == ""


def test_lines_come_now_and_then() -> None:
    clock, written = Clock(), io.StringIO()
    lines = Lines(Console(file=written, width=200), clock)
    lines.run_starts(PLANS, 100, {"policy": Busy(SimModel(0))})
    for second in range(65):
        clock.now = 101.0 + second
        lines.tokens_drawn(10)
        lines.problem_done(0, answer(second))
        lines.problem_done(1, answer(second))
    shown = written.getvalue().splitlines()
    assert len(shown) == 2
    assert shown[0].startswith("58 of 200 problems  0:30  ")
    assert "tokens/s  64/64 slots, 1,200 queued  1:1" in shown[0]
    assert shown[0].endswith("1:13 left")  # 58 in 30 s, 142 to go
    assert "\x1b" not in written.getvalue()


def test_a_short_run_has_no_lines() -> None:
    written = io.StringIO()
    with Lines(Console(file=written), Clock()) as lines:
        lines.run_starts(PLANS, 2, {})
        lines.problem_done(0, answer(1))
    assert written.getvalue() == ""


def test_a_terminal_has_a_bar_for_each_strategy() -> None:
    written = io.StringIO()
    console = Console(file=written, force_terminal=True, width=100)
    screen = shown_on(console)
    assert isinstance(screen, Screen)
    with screen:
        screen.engine_opens("policy", "sim")
        screen.run_starts(PLANS, 2, {"policy": SimPolicy(SimModel(0))})
        screen.problem_resumed(0, answer(0))
        for number in range(2):
            screen.problem_done(1, answer(number, correct=not number))
    last = Text.from_ansi(written.getvalue()).plain.split("greedy")[-1]
    assert "1/2 100% correct" in last
    assert "2/2  50% correct" in last
    assert "majority[n=16] " in last
    assert isinstance(shown_on(Console(file=io.StringIO())), Lines)


@pytest.mark.parametrize(("slots", "shown"), [(0, "0 running"), (8, "0/8 slots")])
def test_simulated_engines_say_how_busy_they_are(slots: int, shown: str) -> None:
    clock = Clock()
    status = Status(clock)
    status.run_starts(PLANS, 1, {"policy": SimPolicy(SimModel(0), latency=Latency(slots=slots))})
    assert shown in status.line()
