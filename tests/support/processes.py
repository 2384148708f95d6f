"""Commands as processes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def python(
    code: str, *arguments: str, folder: Path = ROOT, given: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs Python code with this checkout's packages."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "runtime")])
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        input=given,
        capture_output=True,
        text=True,
        cwd=folder,
        timeout=120,
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "COLUMNS": "100"},
    )


#: Runs code in copies of a process that has imported the commands: prints exit codes and errors.
_FORKED = """
import json, os, sys, tempfile
import tts_lang.cli.compile, tts_runtime.cli.command, tts_runtime.runs.runner
codes = []
for code, arguments in json.load(sys.stdin):
    with tempfile.TemporaryFile() as errors:
        child = os.fork()
        if not child:
            os.dup2(errors.fileno(), 2)
            sys.argv[1:] = arguments
            exec(code)
            os._exit(99)
        _, status = os.waitpid(child, 0)
        errors.seek(0)
        codes.append((os.waitstatus_to_exitcode(status), errors.read().decode()))
print(json.dumps(codes))
"""


def forked(runs: Sequence[tuple[str, Sequence[str]]], folder: Path = ROOT) -> list[tuple[int, str]]:
    """Exit code and standard error of Python codes, each in a process of its own.

    They share one start of Python and its imports; `python` starts from nothing.
    """
    done = python(_FORKED, folder=folder, given=json.dumps(runs))
    assert done.returncode == 0, done.stderr
    return [(code, errors) for code, errors in json.loads(done.stdout)]
