"""Processes that work out canonical forms and grades, each under limits of time and memory.

A model's text is anybody's text, and a computer algebra system computes whatever it is told to.
Sizes are checked first (`canonical`, `normal_form`, `evaluate`); these limits are for what sizes do
not see. The processor time that an answer may take is limited by the kernel, so that a busy
machine decides nothing; a process that is killed is replaced when the next answer comes.

Run as a program, this module is such a process: a line of JSON in, a line of JSON out, until its
input ends. So none outlives its parent, however that ends.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from queue import SimpleQueue
from time import monotonic
from typing import Any, Final

#: Seconds of processor time for one answer; the size limits keep honest ones far below.
CPU_SECONDS: Final = 3
#: Seconds by the clock, for a process that waits for something instead of computing.
WALL_SECONDS: Final = 60.0
#: Bytes of address space of a process; sympy takes about a tenth.
MEMORY: Final = 2**30
MAXIMUM_WORKERS: Final = 4

_RUNTIME = Path(__file__).resolve().parents[2]


class WorkerLostError(Exception):
    """A process did not give a result. `clock`: a limit of time ended it."""

    def __init__(self, message: str, *, clock: bool) -> None:
        super().__init__(message)
        self.clock = clock


class WorkerPool:
    """Up to `size` processes, each with a thread that talks to it; they start when needed."""

    def __init__(self, size: int, command: Sequence[str] | None = None) -> None:
        self._size = size
        self._command = [sys.executable, "-m", __name__] if command is None else command
        self._jobs: SimpleQueue[tuple[Future[Any], Sequence[str]]] = SimpleQueue()
        self._lock = threading.Lock()
        self._processes: list[_Process] = []
        self._waiting = 0

    def submit(self, task: str, *texts: str) -> Future[Any]:
        """The result of a task of `_TASKS`, or WorkerLostError."""
        future: Future[Any] = Future()
        with self._lock:
            self._waiting += 1
            if self._waiting > len(self._processes) and len(self._processes) < self._size:
                process = _Process(self._command)
                self._processes.append(process)
                threading.Thread(
                    target=self._serve, args=(process,), name="answers", daemon=True
                ).start()
        self._jobs.put((future, (task, *texts)))
        return future

    def _serve(self, process: _Process) -> None:
        while True:
            future, job = self._jobs.get()
            try:
                future.set_result(process.ask(job))
            except Exception as error:  # noqa: BLE001  (whoever waits hears of it)
                future.set_exception(error)
            finally:
                with self._lock:
                    self._waiting -= 1

    def close(self) -> None:
        """Kills the processes; later tasks start new ones."""
        for process in self._processes:
            process.kill()


class _NoProcesses:
    """The pool of a browser, which has no processes: answers are compared as text there."""

    def submit(self, *_: str) -> Future[Any]:
        """A WorkerLostError."""
        future: Future[Any] = Future()
        future.set_exception(WorkerLostError("no processes in a browser", clock=False))
        return future


class _Process:
    """One process, started when it is first asked and after it was lost."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None
        self._rest = b""

    def ask(self, job: Sequence[str]) -> Any:
        process = self._started()
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # found out below
            process.stdin.write(json.dumps(job).encode() + b"\n")
            process.stdin.flush()
        line = self._line(process)
        if line is None:
            raise self._lost(process)
        reply = json.loads(line)
        if "error" in reply:
            raise WorkerLostError(reply["error"], clock=False)
        return reply["result"]

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, _search_path()))}
            self._rest = b""
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=environment,
            )
        return self._process

    def _line(self, process: subprocess.Popen[bytes]) -> bytes | None:
        assert process.stdout is not None
        descriptor = process.stdout.fileno()
        end = monotonic() + WALL_SECONDS
        while b"\n" not in self._rest:
            ready, _, _ = select.select([descriptor], [], [], max(0.0, end - monotonic()))
            data = os.read(descriptor, 1 << 16) if ready else b""
            if not data:
                return None
            self._rest += data
        line, self._rest = self._rest.split(b"\n", 1)
        return line

    def _lost(self, process: subprocess.Popen[bytes]) -> WorkerLostError:
        self.kill()
        status = process.wait()
        if status == -signal.SIGXCPU:
            return WorkerLostError(f"took over {CPU_SECONDS} s of processor time", clock=True)
        if status == -signal.SIGKILL:
            return WorkerLostError(f"no result after {WALL_SECONDS:g} s", clock=True)
        return WorkerLostError(f"the process ended with status {status}", clock=False)

    def kill(self) -> None:
        """Ends the process now."""
        process = self._process
        if process is not None:
            if process.poll() is None:
                process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    with contextlib.suppress(OSError):
                        stream.close()
            self._process = None


def _search_path() -> list[str | Path]:
    return [_RUNTIME, *(entry for entry in sys.path if entry)]


_pool: WorkerPool | None = None


def pool() -> WorkerPool | _NoProcesses:
    """The pool of this program."""
    global _pool
    if _pool is None:
        if sys.platform == "emscripten":
            return _NoProcesses()
        _pool = WorkerPool(min(MAXIMUM_WORKERS, os.cpu_count() or 1))
        atexit.register(_pool.close)
    return _pool


# ------------------------------------------------------------------ the process


def _form(answer: str) -> Sequence[Any]:
    from tts_runtime.answers.forms import canonical_form

    form = canonical_form(answer)
    return form.key, form.kind.value, form.fallback


def _grade(answer: str, gold: str) -> bool:
    from tts_runtime.answers.grading import grade

    return grade(answer, gold)


def _load() -> bool:
    return _grade(r"\pi", r"\sqrt{2}")


_TASKS: Final[Mapping[str, Callable[..., Any]]] = {"form": _form, "grade": _grade, "load": _load}


def _limit_memory() -> None:
    import resource

    with contextlib.suppress(ValueError, OSError):  # a smaller limit stands already
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _limit_time(seconds: int) -> None:
    """From now on, the kernel ends this process after that much more processor time."""
    import resource

    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = int(used.ru_utime + used.ru_stime) + 1 + seconds
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))


def serve(tasks: Mapping[str, Callable[..., Any]], cpu_seconds: int = CPU_SECONDS) -> None:
    """Works on tasks until the input ends; each is the name of one of `tasks`, and texts."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    _limit_memory()
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no reply
    for line in sys.stdin.buffer:
        task, *texts = json.loads(line)
        _limit_time(cpu_seconds)
        try:
            reply = {"result": tasks[task](*texts)}
        except Exception as error:  # noqa: BLE001  (the parent says what follows from it)
            reply = {"error": f"{type(error).__name__}: {error}"[:300]}
        try:
            replies.write(json.dumps(reply).encode() + b"\n")
            replies.flush()
        except BrokenPipeError:
            return


if __name__ == "__main__":
    serve(_TASKS)
