"""One program in a sandbox, from its start to its end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from selectors import EVENT_READ, DefaultSelector
from tempfile import TemporaryFile
from threading import Event
from typing import Any, Final

from tts_runtime.engines.base import EngineError

_LAUNCH: Final = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); "
    "from tts_runtime.engines.sandbox.jail import main; main()"
)
_HERE: Final = str(Path(__file__).resolve().parents[3])
#: How the message begins when a sandbox could not be made.
BROKE: Final = "exec: the sandbox broke: "
#: Seconds beyond the program's own that starting and ending it may take.
_GRACE: Final = 20
#: Seconds between looks at whether anybody still waits.
_LOOK: Final = 0.1


@dataclass(frozen=True, slots=True)
class ProgramResult:
    """What became of a program.

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
        EngineError: The sandbox could not be made.
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
