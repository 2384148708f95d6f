"""Runs a program in a sandbox, in a bare interpreter that drops its rights.

The request comes as JSON on standard input, the report goes to a descriptor as JSON; the program's
output goes to this process's own. This process watches time, memory and processes from outside.
Inside, a first process prepares the files and ends last; the program is a child of that one.
Standard library only.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from contextlib import suppress
from select import select
from typing import Any, Final

from tts_runtime.engines.sandbox import inside, kernel
from tts_runtime.engines.sandbox.usage import descendants, files_of, resident, share, size

#: Seconds between checks of memory and processes; files are checked less often.
_LOOK: Final = 0.02
_LOOKS_PER_FILE_LOOK: Final = 10
#: Processes that hold the program: the first one inside, bubblewrap's own.
_HOLDING: Final = 3


class _Stopped(Exception):
    """The program is cancelled."""


def main() -> None:
    """Answers one request; argument: the descriptor of the report."""
    report = int(sys.argv[1])
    os.set_inheritable(report, False)
    signal.signal(signal.SIGTERM, _stop)
    kernel.die_with_parent(signal.SIGTERM)
    request = json.loads(sys.stdin.buffer.read())
    try:
        found = _run(request)
    except _Stopped:
        found = {"stopped": "cancelled"}
    except OSError as error:
        found = {"error": str(error)}
    os.write(report, json.dumps(found).encode())
    os._exit(0)


def _stop(_signal: int, _frame: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise _Stopped


def _run(request: dict[str, Any]) -> dict[str, Any]:
    """Runs the program to its end, or to a limit."""
    level = request["level"]
    request["owner"] = inside.owner_of_its_own()
    # Programs that read get their input from memory: a pipe might never be emptied.
    given = os.memfd_create("input", os.MFD_CLOEXEC)
    os.write(given, request["input"].encode("utf-8", "replace"))
    os.lseek(given, 0, os.SEEK_SET)
    if level == "namespaces":
        inside.unshare()
    else:
        kernel.adopt_orphans()
    told, tell = os.pipe2(os.O_CLOEXEC)
    # The first process continues once it is sure to learn of this one's end.
    ready, go = os.pipe2(os.O_CLOEXEC)
    first = os.fork()
    if not first:
        try:
            inside.forget_signals()
            os.close(go)
            kernel.die_with_parent(signal.SIGKILL)
            if os.read(ready, 1):
                inside.LEVELS[level](request, given, tell)
        except BaseException as error:  # noqa: BLE001  (reported)
            os.write(tell, json.dumps({"error": str(error)}).encode())
        os._exit(1)
    try:
        os.close(tell)
        inside.leave_output()
        os.write(go, b"!")
        over = _watched(request, first)
    finally:
        status = _killed(first, request)
    if over is not None:
        return {"stopped": over}
    return _report(level, os.read(told, 1 << 16), status)


def _report(level: str, told: bytes, status: int) -> dict[str, Any]:
    """The result of the program, from the reports of the processes inside."""
    last = told.splitlines()[-1] if told else b""
    found: dict[str, Any] = json.loads(last) if last else {"status": status}
    if level == "bubblewrap" and not last:
        return {"error": "bubblewrap did not start the program"}
    if "error" in found:
        return found
    code = os.waitstatus_to_exitcode(found.get("status", status))
    # As a shell and bubblewrap say it, so that a reply is the same at every level.
    return {"code": code if code >= 0 else 128 - code}


def _watched(request: dict[str, Any], first: int) -> str | None:
    """Waits for the end of the first process; the limit that comes before."""
    limits = request["limits"]
    deadline = time.monotonic() + limits["seconds"]
    end = os.pidfd_open(first)
    looks = 0
    while True:
        left = deadline - time.monotonic()
        if left <= 0:
            return "time"
        if select([end], [], [], min(left, _LOOK))[0]:
            return None
        processes = list(descendants(first))
        if len(processes) > limits["processes"] + _HOLDING:
            return "processes"
        most = limits["memory"] << 20
        if sum(map(resident, processes)) > most and sum(map(share, processes)) > most:
            return "memory"
        looks += 1
        if looks % _LOOKS_PER_FILE_LOOK == 0 and _overfull(request, processes):
            return "disk"


def _overfull(request: dict[str, Any], processes: list[int]) -> bool:
    """Whether there are more files, or more in them, than the file system itself keeps out."""
    disk = request["limits"]["disk"]
    if request["level"] == "bubblewrap" and processes:
        return files_of(processes[-1], inside.WORK) > inside.files_in(disk)
    folder = request.get("folder")
    return folder is not None and size(f"{folder}/work", inside.files_in(disk)) > disk << 20


def _killed(first: int, request: dict[str, Any]) -> int:
    """Ends every process inside and waits for them; the first one's status."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it is what this does
    status = 0
    if request["level"] == "landlock" and request["owner"] is not None:
        inside.kill_user(request["owner"])
    while True:
        for process in descendants(os.getpid()):
            if process != os.getpid():
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
        with suppress(ProcessLookupError):
            os.kill(first, signal.SIGKILL)
        try:
            ended, found = os.wait()
        except ChildProcessError:
            return status
        if ended == first:
            status = found
