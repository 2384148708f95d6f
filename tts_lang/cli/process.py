"""Process setup that `tts-compile` and `tts-run` share: signals, streams, exit codes."""

from __future__ import annotations

import codecs
import errno
import io
import json
import os
import select
import signal
import stat
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any, NoReturn

#: A mistake of the user's.
MISTAKE = 2
#: The user pressed Ctrl-C: 128 + SIGINT, as shells count.
INTERRUPTED = 130
#: Whoever read the output stopped reading (`| head`): 128 + SIGPIPE.
UNREAD = 141

#: Signals that stop a command as Ctrl-C does; its exit code is then 128 + the signal.
_STOPPING = tuple(
    getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)
)  # Windows has no SIGHUP
_UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EBADF, errno.EIO)
#: Seconds to wait for the reader of a full pipe on standard error, once.
_PATIENCE = 10.0
#: Bytes that a pipe takes without blocking once it can be written to (POSIX's PIPE_BUF).
_PIECE = 4096
#: Name of the way in which characters are written that a stream's encoding lacks.
_ESCAPED = "tts_lang.escaped"


def run_as_process(command: Callable[[], int]) -> NoReturn:
    """Ends the process with a command's exit code; without a traceback if it is stopped.

    Exit code: the command's; `INTERRUPTED` after Ctrl-C, 143 after SIGTERM and 129 after SIGHUP,
    `UNREAD` if the reader of standard output is gone, `MISTAKE` if standard output cannot be
    written. Messages on standard error that cannot be written are dropped, and change nothing.
    """
    _open_streams()
    ended_by: list[int] = []
    _stop_as_interrupted(ended_by)
    try:
        code = command()
        sys.stdout.flush()
    except KeyboardInterrupt:
        code = INTERRUPTED
    except BrokenPipeError:
        _stop_writing()
        code = UNREAD
    except SystemExit as ended:
        # Rich ends the process with a code of its own when a pipe closes.
        if not isinstance(ended.__context__, BrokenPipeError):
            raise
        _stop_writing()
        code = UNREAD
    except OSError as error:
        if error.errno not in _UNWRITABLE or error.filename is not None:
            raise
        _stop_writing()
        reason = os.strerror(error.errno or 0).lower()
        print(f"error: standard output cannot be written: {reason}", file=sys.stderr)
        code = MISTAKE
    if code == INTERRUPTED:
        # Libraries may take a while to go; whoever presses Ctrl-C again wants no traceback.
        for number in (signal.SIGINT, *_STOPPING):
            signal.signal(number, signal.SIG_DFL)
        code = 128 + ended_by[0] if ended_by else code
    sys.exit(code)


def _stop_as_interrupted(ended_by: list[int]) -> None:
    """SIGTERM and SIGHUP do what Ctrl-C does at that moment; the signal is added to `ended_by`."""

    def stop(number: int, frame: FrameType | None) -> None:
        ended_by.append(number)
        interrupt = signal.getsignal(signal.SIGINT)
        if callable(interrupt):
            interrupt(signal.SIGINT, frame)
        else:  # ignored, as in a shell's background job
            raise KeyboardInterrupt

    for number in _STOPPING:
        if signal.getsignal(number) is signal.SIG_DFL:  # nohup ignores SIGHUP: leave it so
            signal.signal(number, stop)


class _Messages(io.FileIO):
    """Standard error: what cannot be written, or is not read for long, is dropped."""

    def __init__(self) -> None:
        super().__init__(2, "w", closefd=False)
        waits = sys.platform != "win32" and stat.S_ISFIFO(os.fstat(2).st_mode)
        self._patience = _PATIENCE if waits else None

    def write(self, data: Any, /) -> int:
        if self._patience is not None:
            if not select.select((), (2,), (), self._patience)[1]:
                self._patience = 0.0
                return len(data)
            data = memoryview(data)[:_PIECE]
        try:
            return super().write(data) or 0
        except OSError:
            return len(data)


def _escaped(error: UnicodeError) -> tuple[str, int]:
    r"""Characters that an encoding lacks, as JSON escapes (`\u00e9`), which keep JSON valid."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return json.dumps(error.object[error.start : error.end])[1:-1], error.end


codecs.register_error(_ESCAPED, _escaped)


def _open_streams() -> None:
    """Makes standard streams usable whatever they are: closed, unread, of any encoding."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            # Else the next file to be opened gets this number, and whatever is printed lands in it.
            # Writing to standard output then fails, since a result must not vanish.
            os.open(os.devnull, os.O_WRONLY if name == "stderr" else os.O_RDONLY)
        if getattr(sys, name) is None:
            mode = "r" if name == "stdin" else "w"
            stream = os.fdopen(number, mode, encoding="utf-8", closefd=False)
            setattr(sys, name, stream)
    if sys.stderr is sys.__stderr__ or sys.__stderr__ is None:
        sys.stderr = io.TextIOWrapper(
            io.BufferedWriter(_Messages()), encoding=sys.stderr.encoding, line_buffering=True
        )
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_ESCAPED)  # whatever the terminal's encoding is


def _stop_writing() -> None:
    """The interpreter must not try again to write what nothing reads."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
