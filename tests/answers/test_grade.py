"""Grading against gold: looser than the vote's equality, and never stricter."""

import subprocess
import sys
import threading

import pytest

from tts_runtime.answers import canonical, grade


@pytest.mark.parametrize(
    ("answer", "gold"),
    [
        ("0.333333", r"\frac13"),
        ("50%", "0.5"),
        ("0.5", r"50\%"),
        ("52", "52_8"),
        ("1,5", "3/2"),
        ("2/3", "2:3"),
        ("A/C", "A, C"),
        ("2x+3", "y=2x+3"),
        (r"\frac{\cos x}{\sin x}", r"\cot x"),
        (r"\frac{1}{\tan x}", r"\cot x"),
        (r"\sin^2 x+\cos^2 x", "1"),
        ("3.14159265", r"\pi"),
    ],
)
def test_looser_than_the_vote(answer: str, gold: str) -> None:
    assert canonical(answer) != canonical(gold)
    assert grade(answer, gold)


@pytest.mark.parametrize(
    ("answer", "gold"),
    [
        (None, "5"),
        ("", "5"),
        ("6", "5"),
        ("-5", "5"),
        ("0.33", r"\frac13"),
        ("3.14", r"\pi"),
        ("5%", "0.5"),
        ("52_9", "52_8"),
        ("(2,1)", "(1,2)"),
        ("[1,2]", "(1,2)"),
        ("1", "1,2"),
        ("x+2", "x+1"),
        ("Navin", r"\text{Evelyn}"),
        ("10 pm", "10 am"),
        (r"9^{9^{9}}", r"9^{9^{8}}"),
        (r"\log_{\arcsin(10)}(7)", "-1"),
        (r"\sin(x)^{60}", "(1+i)^{100}"),
        (r"(\log_{z}(y)-ix)=\sqrt{i}\cdot \sqrt[4]{x}", r"x\ln y=3"),
    ],
)
def test_wrong_answers(answer: str | None, gold: str) -> None:
    assert not grade(answer, gold)


def test_works_outside_the_main_thread() -> None:
    # A time limit by signals would fail here: only the main thread may set them.
    results: list[bool] = []
    thread = threading.Thread(target=lambda: results.append(grade(r"\frac{1}{\cot y}", r"\tan y")))
    thread.start()
    thread.join()
    assert results == [True]


LOADED = """
import sys
from tts_runtime.answers.boundary import grade_answer, warm_up
from tts_runtime.answers.workers import pool
warm_up([{gold!r}, None])
before = len(pool()._processes)
assert grade_answer({answer!r}, {gold!r}).correct is False
assert "sympy" not in sys.modules
print(before, len(pool()._processes) > 0)
"""


@pytest.mark.parametrize(
    ("answer", "gold", "printed"),
    [("13", "12", "0 False"), (r"\pi", r"\sqrt{3}", "1 True")],
)
def test_what_grading_needs_is_started_before_a_run_starts(
    answer: str, gold: str, printed: str
) -> None:
    """And not at all for plain answers; never in this process."""
    script = LOADED.format(answer=answer, gold=gold)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == printed, done.stderr
