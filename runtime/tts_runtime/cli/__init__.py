"""The commands `tts-run`, `tts-show` and `tts-serve` as processes.

Nothing but the handling of interrupts is imported before they are handled; the command itself is
`tts_runtime.cli.command`, `show` or `serve`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import NoReturn

from tts_lang.cli.process import run_as_process


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Entry point of `tts-run`.

    Exit code: 0, 2 for any mistake of the user's (with a message), 3 if problems failed, and those
    of `run_as_process`.
    """

    def command() -> int:
        from tts_runtime.cli.command import run_command

        return run_command(sys.argv[1:] if arguments is None else arguments)

    run_as_process(command)


def show(arguments: Sequence[str] | None = None) -> NoReturn:
    """Entry point of `tts-show`. Exit code: 0, or 2 for any mistake, also of damaged lines."""

    def command() -> int:
        from tts_runtime.cli.show import show_command

        return show_command(sys.argv[1:] if arguments is None else arguments)

    run_as_process(command)


def serve(arguments: Sequence[str] | None = None) -> NoReturn:
    """Entry point of `tts-serve`. Exit code: 0 once it is stopped, or 2 for any mistake."""

    def command() -> int:
        from tts_runtime.cli.serve import serve_command

        return serve_command(sys.argv[1:] if arguments is None else arguments)

    run_as_process(command)
