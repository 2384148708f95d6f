"""Both commands as processes: signals that stop them, and streams that are closed or full."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.processes import ROOT, forked, python
from tests.support.tts_run import SIM, two_problems

RUN = "import sys; from tts_runtime.cli import main; main(sys.argv[1:])"
COMPILE = "import sys; from tts_lang.cli import main; main(sys.argv[1:])"

#: A signal as soon as the first problem has finished.
STOPPED = """
import os, signal
from tts_runtime.cli.display import Status
usual = Status.problem_done
def stopped(self, strategy, answer):
    usual(self, strategy, answer)
    if self.done == 1:
        os.kill(os.getpid(), SIGNAL)
Status.problem_done = stopped
"""


@pytest.mark.parametrize("interrupts_ignored", [False, True])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_that_ends_a_run_keeps_what_has_finished(
    number: int, code: int, interrupts_ignored: bool, tmp_path: Path
) -> None:
    """A shell's background jobs ignore Ctrl-C, and `kill` must stop them all the same."""
    two_problems(tmp_path)
    before = "signal.signal(signal.SIGINT, signal.SIG_IGN)\n" if interrupts_ignored else ""
    script = STOPPED.replace("SIGNAL", str(number)) + before + RUN
    one = ("--concurrency", "1", "--out", "run")
    done = forked(script, "greedy", *SIM, *one, folder=tmp_path)
    assert (done.returncode, done.stdout) == (code, "")
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("interrupted: 1 of 2 problems are kept in run")


def test_a_run_that_ignores_hangups_is_not_ended_by_one(tmp_path: Path) -> None:
    two_problems(tmp_path)
    nohup = "signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
    script = STOPPED.replace("SIGNAL", str(signal.SIGHUP)) + nohup + RUN
    assert forked(script, "greedy", *SIM, folder=tmp_path).returncode == 0


_PRINTING = [
    (command, arguments)
    for command, several in (
        (
            COMPILE,
            (
                ["--help"],
                ["--list"],
                ["greedy"],
                ["greedy", "--explain"],
                ["greedy", "--explain", "--format", "html"],
                ["greedy", "-o", "-"],
                ["greedy", "--json"],
                ["greedy", "--equiv", "greedy"],
            ),
        ),
        (
            RUN,
            (["--help"], ["--version"], ["greedy", *SIM], ["greedy", *SIM, "--json"]),
        ),
    )
    for arguments in several
]


def test_a_reader_that_stops_reading_is_no_error(tmp_path: Path) -> None:
    two_problems(tmp_path)
    unread = "read, write = os.pipe(); os.close(read); os.dup2(write, 1);"
    for command, arguments in _PRINTING:
        done = forked(unread + command, *arguments, folder=tmp_path)
        assert (done.returncode, done.stderr) == (141, ""), arguments


def test_nobody_reads_standard_error(tmp_path: Path) -> None:
    two_problems(tmp_path)
    unread = "import os; read, write = os.pipe(); os.close(read); os.dup2(write, 2);"
    assert forked(unread + COMPILE, "nosuch").returncode == 2
    done = forked(unread + RUN, "greedy", *SIM, "--json", folder=tmp_path)
    assert done.returncode == 0
    assert '"strategy":"greedy"' in done.stdout


def test_a_full_pipe_on_standard_error_does_not_hold_the_command() -> None:
    full = """
import os, tts_lang.cli.process
read, write = os.pipe()
os.set_blocking(write, False)
try:
    while True:
        os.write(write, b"." * 4096)
except BlockingIOError:
    os.set_blocking(write, True)
os.dup2(write, 2)
tts_lang.cli.process._PATIENCE = 0.01
"""
    assert forked(full + COMPILE, "nosuch").returncode == 2


@pytest.mark.parametrize(
    ("closed", "code", "printed"),
    [((0,), 0, "ok: greedy ()\n"), ((2,), 0, "ok: greedy ()\n"), ((0, 1), 2, ""), ((1, 2), 2, "")],
)
def test_streams_that_are_closed(closed: tuple[int, ...], code: int, printed: str) -> None:
    shut = " ".join(f"{number}>&-" for number in closed)
    done = subprocess.run(
        ["sh", "-c", f'exec "$0" -m tts_lang greedy {shut}', sys.executable],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (code, printed)
    said = "error: standard output cannot be written: bad file descriptor\n"
    assert done.stderr == (said if code and 2 not in closed else "")


def test_a_full_disk_is_said(tmp_path: Path) -> None:
    two_problems(tmp_path)
    full = "import os; os.dup2(os.open('/dev/full', os.O_WRONLY), 1);"
    said = "error: standard output cannot be written: no space left on device\n"
    for done in (
        forked(full + COMPILE, "greedy"),
        forked(full + RUN, "greedy", *SIM, folder=tmp_path),
    ):
        assert (done.returncode, done.stderr) == (2, said)


def test_the_tests_run_where_interrupts_are_ignored() -> None:
    """As in `make test &`: a shell's background jobs inherit that Ctrl-C does nothing."""
    ignored = (
        "import signal, sys, pytest; signal.signal(signal.SIGINT, signal.SIG_IGN);"
        "sys.exit(pytest.main(['-q', '-p', 'no:cacheprovider', '-k', 'argparse', sys.argv[1]]))"
    )
    done = python(ignored, str(ROOT / "tests" / "cli" / "test_run_process.py"))
    assert done.returncode == 0, done.stdout
