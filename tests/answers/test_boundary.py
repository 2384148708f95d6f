"""A model's text is hostile: one boundary gives a value whatever it is, within limits."""

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from benchmarks.hostile_answers import try_out
from tests.support.answer_workers import answered
from tts_runtime.answers import boundary, workers
from tts_runtime.answers.boundary import CLOCK, EXCEPTION, Form, form, form_later, grade_answer
from tts_runtime.answers.workers import WorkerLostError, WorkerPool

RUNTIME = Path(__file__).resolve().parents[2] / "runtime"

HOSTILE = (
    r"\boxed{" + r"\pm" * 1000 + "1}",
    r"\pm" * 1000 + "1",
    r"\cosh(1000000)",
    r"\dfrac{5^{(5^{(5^{(5^5)})}-4)}-5}{16}",
    "9^{9^{9^{9}}}",
    "((((5!)!)!)!)!",
    "100000!",
    "(" * 50_000,
    r"\frac{" * 20_000,
    "√" * 20_000,
    "²" * 20_000,
    "7" * 3_000_000,
    "0." + "3" * 500_000,
    "1," * 300_000,
    "\x00",
    "5\x001",
    "\ud800",
    r"\frac{\udfff}{2}",
    r"\sin(" * 8 + "10^{500}" + ")" * 8,
    r"\left(x+y+z+w\right)^{60}",
    r"\begin{pmatrix}" * 200,
    r"\cup".join(["(1,2)"] * 150),
)


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text[:25]))
def test_nothing_hostile_raises_or_expires(text: str) -> None:
    found, reason = boundary.find(text, (r"\boxed{}",), "end", None)
    assert reason is None
    for answer in {text, found or text}:
        assert form(answer).fault is None
        assert form(form(answer).key).key == form(answer).key
        assert grade_answer(answer, "42") == boundary.Grade(False)
        assert grade_answer("42", answer).correct is False


TASKS = """
import os, sys, time
from tts_runtime.answers import workers

def burn():
    while True:
        pass

def hoard():
    return len(bytearray(workers.MEMORY))

def recurse():
    return recurse()

workers.serve(
    {"burn": burn, "hoard": hoard, "recurse": recurse, "leave": lambda: os._exit(3),
     "echo": lambda text: [text, os.getpid()], "print": lambda: print("no reply") or 1},
    cpu_seconds=0,
)
"""


@pytest.fixture
def pool() -> Iterator[WorkerPool]:
    made = WorkerPool(1, [sys.executable, "-c", TASKS])
    yield made
    made.close()


def test_a_process_is_limited_and_replaced(pool: WorkerPool) -> None:
    text, first = pool.submit("echo", "a\x00\ud800\n").result()
    assert text == "a\x00\ud800\n"
    assert pool.submit("print").result() == 1
    for task, message in (("hoard", "MemoryError"), ("recurse", "RecursionError")):
        with pytest.raises(WorkerLostError, match=message) as lost:
            pool.submit(task).result()
        assert not lost.value.clock
    assert pool.submit("echo", "").result() == ["", first]  # these cost no process
    with pytest.raises(WorkerLostError, match="processor time") as lost:
        pool.submit("burn").result()
    assert lost.value.clock
    assert pool.submit("echo", "").result()[1] != first
    with pytest.raises(WorkerLostError, match="ended with status 3"):
        pool.submit("leave").result()
    assert pool.submit("echo", "b").result()[0] == "b"


def test_a_process_that_waits_for_ever_is_ended_by_the_clock(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(workers, "WALL_SECONDS", 0.5)
    sleeping = WorkerPool(1, [sys.executable, "-c", "import time; time.sleep(600)"])
    with pytest.raises(WorkerLostError, match=r"no result after 0\.5 s") as lost:
        sleeping.submit("echo").result()
    assert lost.value.clock
    sleeping.close()


def failed(error: Exception) -> Future[Any]:
    future: Future[Any] = Future()
    future.set_exception(error)
    return future


def test_what_fails_is_text_or_not_graded_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    lost = WorkerLostError("took over 3 s of processor time", clock=True)
    for error, kind, why in (
        (lost, CLOCK, "took over 3 s of processor time"),
        (RecursionError("deep"), EXCEPTION, "RecursionError: deep"),
    ):
        answered(monkeypatch, failed(error))
        assert form(" x^2 +\n1") == Form("x^2 + 1", why, kind)
        assert grade_answer("x^2", "x^3") == boundary.Grade(None, why, kind)
        assert error.__traceback__ is None  # nobody's frames are kept


def test_what_is_kept_of_a_result_is_small(monkeypatch: pytest.MonkeyPatch) -> None:
    replies: list[Future[Any]] = [Future(), Future(), failed(RecursionError("deep"))]
    answered(monkeypatch, *replies)
    first, second = form_later("x^2"), form_later("x^3")
    assert (first, second) == (replies[0], replies[1])
    replies[0].set_result(["square"])
    assert form_later("x^4") == Form("x^4", "RecursionError: deep", EXCEPTION)
    assert form_later("x^2") == Form("square")
    assert form_later("x^3") is replies[1]
    assert [type(each) for each in boundary._kept._results.values()] == [Form, Future, Form]
    assert boundary._kept._results["form", "x^2"] == Form("square")


def test_plain_answers_start_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    answered(monkeypatch)
    boundary.warm_up(["5", r"\frac{1}{2}", "Monday", None, "$12", "12 bags"])
    for answer, gold, right in (
        ("42", "42", True),
        ("1,000", "1000", True),
        ("12 bags", "12", True),
        ("5 kg", "5 miles", False),
        ("(A)", "A", True),
        ("Monday", "monday.", True),
        ("Monday", "Tuesday", False),
        ("7", "8", False),
        (r"\frac{1}{2}", r"\frac{2}{4}", True),
    ):
        assert form(answer).fault is None
        assert grade_answer(answer, gold).correct is right


def test_waiting_does_not_block_the_loop() -> None:
    async def main() -> bool:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0.001)

        ticking = asyncio.create_task(tick())
        later = boundary.form_later(rf"\sqrt{{{random.getrandbits(40)}}}+x")
        assert isinstance(later, Future)
        before = ticks
        await boundary.settled(later)
        ticking.cancel()
        return ticks > before

    assert asyncio.run(main())


def test_random_answers_are_read_without_failing() -> None:
    """A few hundred here; the command in docs/reliability.md tries as many as wanted."""
    found = try_out(seed=2025, count=300)
    assert (found.count, found.wrong) == (300, [])


LEAVING = r"""
import os, sys
from tts_runtime.answers.boundary import form
from tts_runtime.answers.workers import pool
form(r"\sqrt{8}+x")
print(pool()._processes[0]._process.pid, flush=True)
if sys.argv[1] == "wait":
    input()
"""


@pytest.mark.parametrize("end", ["exit", "interrupt", "kill"])
def test_no_process_is_left_behind(end: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", LEAVING, "exit" if end == "exit" else "wait"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(RUNTIME)},
    )
    assert process.stdout is not None
    child = int(process.stdout.readline())
    if end != "exit":
        process.send_signal(signal.SIGINT if end == "interrupt" else signal.SIGKILL)
    process.wait()
    for _ in range(1000):
        try:
            os.kill(child, 0)
        except ProcessLookupError:
            break
        time.sleep(0.01)
    else:
        pytest.fail("the process is still there")
    process.stdout.close()
