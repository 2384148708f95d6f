"""`tts-run` as a process: what it imports when, interrupts at any moment, pipes that close."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.processes import forked, python

RUN = "import sys; from tts_runtime.cli import main; main(sys.argv[1:])"

#: Ctrl-C when a module is about to be imported.
INTERRUPTED = """
import signal, sys
class Finder:
    def find_spec(name, path=None, target=None):
        if name == MODULE:
            MODULES.append(name)
            signal.raise_signal(signal.SIGINT)
MODULES = []
MODULE = sys.argv.pop(1)
sys.meta_path.insert(0, Finder)
import atexit
atexit.register(lambda: MODULES or print("never imported"))
"""

#: The names of what has been imported, when the process ends.
LISTED = "import atexit, sys; atexit.register(lambda: print('modules:', *sys.modules));"


@pytest.mark.parametrize(
    "module",
    [
        "argparse",
        "tts_runtime.cli.command",
        "pydantic",
        "numpy",
        "tts_runtime.runs.runner",
        "tts_runtime.engines.bundled.llama",
    ],
)
def test_an_interrupt_while_modules_load_ends_quietly(module: str, tmp_path: Path) -> None:
    done = python(INTERRUPTED + RUN, module, "greedy", "--limit", "1", folder=tmp_path)
    assert "Traceback" not in done.stderr
    assert (done.returncode, done.stdout) == (130, "")


def test_runs_as_a_module() -> None:
    done = python("import runpy; runpy.run_module('tts_runtime', run_name='__main__')", "--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("tts-run ")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--help"], 0, "Run strategies over problems"),
        (["nosuch"], 2, "neither a file nor a shipped strategy"),
        (["majority", "--set", "m=1"], 2, "there is no parameter `m`"),
        (["majority", "--limits", "1"], 2, "no such option: --limits"),
        (["majority", "--policy", "x=sim"], 2, "uses a policy `x`"),
        (["majority", "--problems", "none.jsonl"], 2, "the file does not exist"),
    ],
)
def test_help_and_mistakes_do_not_wait_for_engines(
    arguments: list[str], code: int, said: str
) -> None:
    done = python(LISTED + RUN, *arguments)
    printed, _, modules = done.stdout.rpartition("modules:")
    assert done.returncode == code
    assert said in printed + done.stderr
    heavy = {"torch", "transformers", "numpy", "sympy", "networkx", "tts_runtime.runs.runner"}
    assert not heavy & set(modules.split())


#: Ctrl-C as soon as the first problem has finished, twice if the user is impatient.
PRESSED = """
import os, signal
from tts_runtime.cli.display import Status
usual = Status.problem_done
def pressed(self, strategy, answer):
    usual(self, strategy, answer)
    if self.done == 1:
        for _ in range(TIMES):
            os.kill(os.getpid(), signal.SIGINT)
Status.problem_done = pressed
"""


@pytest.mark.parametrize("times", [1, 2])
def test_an_interrupted_engine_leaves_no_process_behind(times: int, tmp_path: Path) -> None:
    """The bundled policy decodes in a thread of its own, for which the process waits."""
    code = PRESSED.replace("TIMES", str(times)) + RUN
    done = forked(code, "majority", "--limit", "4", "--out", "run", folder=tmp_path)
    assert done.returncode == 130
    assert "Traceback" not in done.stderr
    assert "interrupted: 1 of 4 problems are kept in run" in done.stderr


#: Ctrl-C at the first draw, and again at the second, while everything is being cancelled.
PRESSED_AGAIN = """
import os, signal
from tts_runtime.engines.sim.engines import SimPolicy
usual, drawn = SimPolicy.generate_now, []
def pressed(self, request):
    drawn.append(request)
    if len(drawn) < 3:
        os.kill(os.getpid(), signal.SIGINT)
    return usual(self, request)
SimPolicy.generate_now = pressed
"""


def test_who_presses_twice_sees_no_traceback_of_what_that_stopped(tmp_path: Path) -> None:
    engines = "--policy", "sim", "--scorer", "prm=sim", "--problems", "arith", "--limit", "4"
    done = forked(
        PRESSED_AGAIN + RUN, "beam_search", "majority", *engines, "--out", "run", folder=tmp_path
    )
    assert done.returncode == 130
    assert done.stderr.startswith("interrupted: 0 of 8 problems are kept in run")
    assert "Traceback" not in done.stderr
