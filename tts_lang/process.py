"""What `tts-compile` and `tts-run` have in common as processes: their streams, how they end."""

from __future__ import annotations

import errno
import io
import os
import signal
import sys
from collections.abc import Callable
from typing import NoReturn

#: A mistake of the user's.
MISTAKE = 2
#: The user pressed Ctrl-C: 128 + SIGINT, as shells count.
INTERRUPTED = 130
#: Whoever read the output stopped reading (`| head`): 128 + SIGPIPE.
UNREAD = 141

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def run_as_process(command: Callable[[], int]) -> NoReturn:
    """Ends the process with a command's exit code; without a traceback if it is stopped.

    Exit code: the command's; `INTERRUPTED` after Ctrl-C, `UNREAD` if a pipe was closed, `MISTAKE`
    if the output cannot be written.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # whatever the terminal's encoding is
    try:
        code = command()
        sys.stdout.flush()
    except KeyboardInterrupt:
        code = INTERRUPTED
    except BrokenPipeError:
        _stop_writing()
        code = UNREAD
    except OSError as error:
        if error.errno not in _NO_SPACE or error.filename is not None:
            raise
        _stop_writing()
        reason = os.strerror(error.errno or 0).lower()
        print(f"error: standard output cannot be written: {reason}", file=sys.stderr)
        code = MISTAKE
    if code == INTERRUPTED:
        # Libraries may take a while to go; whoever presses Ctrl-C again wants no traceback.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(code)


def _stop_writing() -> None:
    """The interpreter must not try again to write what nobody reads."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
