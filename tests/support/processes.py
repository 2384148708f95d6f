"""Commands as processes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def _environment() -> dict[str, str]:
    path = os.pathsep.join([str(ROOT), str(ROOT / "runtime")])
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "COLUMNS": "100"}


def python(code: str, *arguments: str, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Runs Python code with this checkout's packages."""
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        timeout=120,
        env=_environment(),
    )


#: Has imported the commands, and runs code in copies of itself: a line of JSON for each.
_FORKING = """
import json, os, signal, sys, tempfile
import tts_lang.cli.compile, tts_runtime.cli.command, tts_runtime.cli.display
import tts_runtime.cli.report, tts_runtime.engines.sim.engines, tts_runtime.runs.session
requests, replies = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
for line in requests:
    code, arguments, folder, environment = json.loads(line)
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        child = os.fork()
        if not child:
            signal.alarm(120)
            os.dup2(output.fileno(), 1)
            os.dup2(errors.fileno(), 2)
            os.environ.clear()
            os.environ.update(environment)
            os.chdir(folder)
            sys.argv[1:] = arguments
            exec(code)
            sys.exit()
        _, status = os.waitpid(child, 0)
        texts = [file.seek(0) or file.read().decode(errors="replace") for file in (output, errors)]
        print(json.dumps([os.waitstatus_to_exitcode(status), *texts]), file=replies, flush=True)
"""


@cache
def _forking() -> subprocess.Popen[str]:
    """One for all tests of this process; it ends with it, as its input does."""
    return subprocess.Popen(
        [sys.executable, "-c", _FORKING],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=_environment(),
    )


def forked(code: str, *arguments: str, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """As `python`, in a copy of a process that has imported the commands.

    For what does not depend on how modules are loaded: it takes a tenth of the time.
    """
    process = _forking()
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps([code, arguments, str(folder), _environment()]) + "\n")
    process.stdin.flush()
    ended, output, errors = json.loads(process.stdout.readline())
    return subprocess.CompletedProcess(arguments, ended, output, errors)
