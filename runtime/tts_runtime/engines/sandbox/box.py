"""The sandbox from outside: which level there is, and one program at a time in it."""

from __future__ import annotations

import asyncio
import json
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from selectors import EVENT_READ, DefaultSelector
from tempfile import TemporaryFile
from threading import Event
from typing import Any, Final, Literal

from pydantic import Field

import tts_lang
from tts_runtime.engines.base import EngineError
from tts_runtime.engines.options import NoOptions
from tts_runtime.engines.sandbox import kernel
from tts_runtime.engines.sandbox.inside import PROGRAM, WORK

_LAUNCH: Final = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); "
    "from tts_runtime.engines.sandbox.jail import main; main()"
)
_HERE: Final = str(Path(__file__).resolve().parents[3])
#: How messages of failed sandboxes begin.
BROKE: Final = "exec: the sandbox broke: "
#: Seconds beyond the program's own that starting and ending it may take.
_GRACE: Final = 20
#: Seconds between looks at whether anybody still waits.
_LOOK: Final = 0.1


@dataclass(frozen=True, slots=True)
class ProgramResult:
    """The result of running a program.

    Args:
        output, errors: What it printed, each cut at the limit; its file is called `main.py`.
        code: Its exit code, or minus the signal that ended it; `None` if it was stopped.
        stopped: Where it was stopped, the limit: `time`, `memory`, `processes`, `disk`, `output`.
    """

    output: bytes
    errors: bytes
    code: int | None
    stopped: str = ""

    @property
    def finished(self) -> bool:
        """It ran to its end without an error."""
        return self.code == 0


def ended(request: dict[str, Any], most: int, stop: Event) -> ProgramResult:
    """Runs a request of `jail` and waits for its end, which `stop` brings about.

    Args:
        request: What `jail` reads.
        most: Bytes of output and of errors that are kept; the program is stopped at more.
        stop: Nobody waits any more.

    Raises:
        EngineError: The sandbox cannot be created.
    """
    with TemporaryFile() as asked:
        asked.write(json.dumps(request).encode())
        asked.seek(0)
        report, reported = os.pipe2(os.O_CLOEXEC)
        try:
            jail = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _LAUNCH, _HERE, str(reported)],
                stdin=asked,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=(reported,),
                env={},
                cwd="/",
                start_new_session=True,
            )
        except OSError as error:
            os.close(report)
            raise EngineError(f"exec: the sandbox cannot be started: {error}") from error
        finally:
            os.close(reported)
    with jail:
        try:
            texts, stopped = _read(jail, report, most, request["limits"]["seconds"], stop)
        finally:
            os.close(report)
            _end(jail)
    output, errors, told = (bytes(text) for text in texts)
    errors = errors.replace(request["command"][-1].encode(), b"main.py")
    found = json.loads(told) if told else {}
    if stopped:
        return ProgramResult(output, errors, None, stopped)
    if "stopped" in found:
        return ProgramResult(output, errors, None, found["stopped"])
    if "code" not in found:
        reason = found.get("error") or "the process that makes it ended"
        words = errors.decode("utf-8", "replace").strip()[-200:]
        raise EngineError(f"{BROKE}{reason}" + (f" ({words})" if words else ""))
    return ProgramResult(output, errors, found["code"])


def _read(
    jail: subprocess.Popen[bytes], report: int, most: int, seconds: int, stop: Event
) -> tuple[list[bytearray], str]:
    """Output, errors and report until all three have ended; the limit that came before."""
    assert jail.stdout is not None
    assert jail.stderr is not None
    texts = [bytearray(), bytearray(), bytearray()]
    deadline = time.monotonic() + seconds + _GRACE
    with DefaultSelector() as selector:
        for text, source in zip(
            texts, (jail.stdout.fileno(), jail.stderr.fileno(), report), strict=True
        ):
            selector.register(source, EVENT_READ, text)
        while selector.get_map():
            if stop.is_set():
                return texts, "cancelled"
            if time.monotonic() > deadline:
                return texts, "time"
            for key, _ in selector.select(_LOOK):
                chunk = os.read(key.fd, 1 << 16)
                if not chunk:
                    selector.unregister(key.fd)
                room = most - len(key.data)
                key.data.extend(chunk[:room])
                if len(chunk) > room:
                    return texts, "output"
    with suppress(subprocess.TimeoutExpired):
        jail.wait(_GRACE)
    return texts, ""


def _end(jail: subprocess.Popen[bytes]) -> None:
    """Has the process that makes the sandbox end it, and waits."""
    try:
        if jail.poll() is None:
            jail.terminate()
        jail.wait(_GRACE)
    except subprocess.TimeoutExpired:
        jail.kill()
        jail.wait()


Level = Literal["bubblewrap", "namespaces", "landlock"]

#: Those that `auto` takes, best first; what `landlock` leaves open must be asked for by name.
_AUTOMATIC: Final[tuple[Level, ...]] = ("bubblewrap", "namespaces")
_SYSTEM: Final = (
    "/lib",
    "/lib32",
    "/lib64",
    "/usr/lib",
    "/usr/lib32",
    "/usr/lib64",
    "/usr/local/lib",
    "/usr/share/zoneinfo",
    "/etc/ld.so.cache",
    "/nix/store",
)


_PACKAGES: Final = ("purelib", "platlib")
_ENVIRONMENT: Final = {
    "PATH": "/usr/bin:/bin",
    "LANG": "C.UTF-8",
    "PYTHONHASHSEED": "0",
    "PYTHONIOENCODING": "utf-8",
    "PYTHONUNBUFFERED": "1",
    # One thread each: those of a library count as processes.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    # Address space, of which there is a limit, would go to an arena for each thread.
    "MALLOC_ARENA_MAX": "1",
}
#: Prints what it was able to do and should not have been.
_PROBE: Final = """
import os, socket
could = []
try:
    open({secret!r}).close()
    could.append("read files")
except OSError:
    pass
try:
    open("/etc/passwd").close()
    could.append("read /etc/passwd")
except OSError:
    pass
try:
    socket.create_connection(("127.0.0.1", 9), 1)
    could.append("connect")
except ConnectionRefusedError:
    could.append("reach the network")
except OSError:
    pass
for place in ({secret!r} + "-mine", "/usr/lib/tts-probe", "/tts-probe"):
    try:
        open(place, "w").close()
        could.append("write files")
    except OSError:
        pass
with open("mine", "w") as file:
    file.write("mine")
print(could)
"""


class SandboxOptions(NoOptions):
    """Limits of one program and all that it starts."""

    sandbox: Literal["auto", "bubblewrap", "namespaces", "landlock"] = "auto"
    timeout: int = Field(default=10, ge=1, le=3600, description="Seconds")
    memory: int = Field(default=1024, ge=64, le=1 << 20, description="MiB")
    processes: int = Field(default=16, ge=1, le=1024, description="Processes and threads")
    files: int = Field(default=64, ge=16, le=4096, description="Open files of a process")
    disk: int = Field(default=16, ge=1, le=1 << 16, description="MiB that it may write")
    output: int = Field(default=64, ge=1, le=1 << 16, description="KiB that it may print")
    slots: int = Field(default=0, ge=0, description="Programs at a time; 0: one per core")


class Sandbox:
    """Runs Python programs, a limited number at a time, each in a sandbox of its own.

    Raises:
        EngineError: No level that may be used works here; the message says why.
    """

    def __init__(self, options: SandboxOptions | None = None) -> None:
        self.options = options or SandboxOptions()
        self._readable = _readable()
        self._hidden = _hidden(self._readable)
        self.level: Level = self._working()
        self.slots = self.options.slots or os.cpu_count() or 1
        self._threads = ThreadPoolExecutor(self.slots, "tts-sandbox")

    @property
    def description(self) -> str:
        """The level and the limits, in a line."""
        limits = self.options
        weaker = "; it can see names and sizes of files" if self.level == "landlock" else ""
        return f"sandbox {self.level}: no network, {limits.timeout} s, {limits.memory} MiB{weaker}"

    async def run(self, program: str, stdin: str = "") -> ProgramResult:
        """Runs a program to its end or a limit; `stdin` is its standard input.

        Cancelling ends the program, and everything that it has started.

        Raises:
            EngineError: The sandbox itself broke.
        """
        stop = Event()
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(
                self._threads, self._run, self.level, program, stdin, stop
            )
        finally:
            stop.set()

    async def close(self) -> None:
        """Ends the threads; cancelled programs end by themselves."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _working(self) -> Level:
        """The best level that works."""
        asked = self.options.sandbox
        reasons = []
        for level in _AUTOMATIC if asked == "auto" else (asked,):
            reason = self._fault(level)
            if reason is None:
                return level
            reasons.append(f"{level}: {reason}")
        message = f"exec: programs cannot be confined here ({'; '.join(reasons)})"
        if asked == "auto":
            message += ": install bubblewrap, or allow user namespaces"
            if self._fault("landlock") is None:
                message += (
                    "; `?sandbox=landlock` works here, and is weaker: a program can see names and "
                    "sizes of files"
                )
        raise EngineError(message)

    def _fault(self, level: Level) -> str | None:
        """Why a level cannot be used; empty if it can. Each is tried before it is trusted."""
        if level == "bubblewrap" and shutil.which("bwrap") is None:
            return "it is not installed"
        if level == "landlock" and not kernel.landlock_version():
            return "the kernel has no Landlock"
        if level == "landlock" and not kernel.has_seccomp():
            return f"system calls of {platform.machine()} are not known"
        with tempfile.TemporaryDirectory(prefix="tts-probe-") as folder:
            secret = Path(folder, "secret")
            secret.write_text("seen", encoding="utf-8")
            try:
                outcome = self._run(level, _PROBE.format(secret=str(secret)), "", Event())
            except EngineError as error:
                return str(error).removeprefix(BROKE)
        if outcome.finished and outcome.output == b"[]\n":
            return None
        if outcome.finished:
            return f"it lets programs {outcome.output.decode('utf-8', 'replace').strip()}"
        return outcome.errors.decode("utf-8", "replace").strip()[-300:] or "it does not start"

    def _run(self, level: Level, program: str, stdin: str, stop: Event) -> ProgramResult:
        folder = _private_folder(program) if level == "landlock" else None
        try:
            request = self._request(level, program, stdin, folder)
            return ended(request, self.options.output << 10, stop)
        finally:
            if folder is not None:
                shutil.rmtree(folder, ignore_errors=True)

    def _request(
        self, level: Level, program: str, stdin: str, folder: str | None
    ) -> dict[str, Any]:
        """The request to the process that creates the sandbox."""
        limits = self.options
        file, work = PROGRAM, WORK
        if folder is not None:
            file, work = f"{folder}/program/main.py", f"{folder}/work"
        return {
            "level": level,
            "program": program,
            "input": stdin,
            "folder": folder,
            "command": [_interpreter(), "-s", "-B", file],
            "environment": {
                **_ENVIRONMENT,
                "HOME": work,
                "TMPDIR": work,
                "PYTHONPATH": os.pathsep.join(_libraries()),
            },
            "readable": self._readable,
            "hidden": self._hidden,
            "bubblewrap": shutil.which("bwrap"),
            "mountpoint": tempfile.gettempdir(),
            "limits": {
                "seconds": limits.timeout,
                "memory": limits.memory,
                "processes": limits.processes,
                "files": limits.files,
                "disk": limits.disk,
            },
        }


def _interpreter() -> str:
    """The file of the interpreter that runs this, outside of any virtual environment."""
    return os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable)


def _libraries() -> list[str]:
    """Folders of installed packages."""
    return list(dict.fromkeys(os.path.realpath(sysconfig.get_path(name)) for name in _PACKAGES))


def _readable() -> list[str]:
    """What a Python program must be able to read; folders before their contents."""
    python = [os.path.realpath(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib")]
    shared = sysconfig.get_config_var("LIBDIR")
    python += [os.path.realpath(shared)] if shared else []
    paths = {*_SYSTEM, *python, *_libraries(), _interpreter()}
    return sorted(filter(os.path.lexists, paths), key=lambda path: (len(path), path))


def _hidden(readable: Sequence[str]) -> list[str]:
    """Folders among those that programs must not see: problems and their answers."""
    packages = [str(Path(tts_lang.__file__).parent), str(Path(__file__).parents[2])]
    return [
        folder
        for folder in map(os.path.realpath, packages)
        if any(os.path.commonpath((folder, path)) == path for path in readable)
    ]


def _private_folder(program: str) -> str:
    """A folder on the disk for one program, where there is no file system of its own."""
    folder = Path(tempfile.mkdtemp(prefix="tts-exec-"))
    (folder / "program").mkdir()
    (folder / "work").mkdir()
    (folder / "program/main.py").write_bytes(program.encode("utf-8", "replace"))
    return str(folder)
