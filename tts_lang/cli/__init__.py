"""The `tts-compile` command as a process, and code that the commands share.

Nothing but the handling of interrupts is imported before they are handled; the command itself is
`tts_lang.cli.compile`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import NoReturn

from tts_lang.cli.process import run_as_process


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Entry point of `tts-compile`.

    Exit code: 0, 2 for any mistake of the user's (with a message), 1 from `--fmt --check`, and
    those of `run_as_process`.
    """

    def command() -> int:
        from tts_lang.cli.compile import run_command

        return run_command(sys.argv[1:] if arguments is None else arguments)

    run_as_process(command)
