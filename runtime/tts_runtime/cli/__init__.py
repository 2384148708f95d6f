"""The commands that run strategies and read records, as processes.

Nothing but the handling of interrupts is imported before they are handled; the commands themselves
are in the modules of this package.
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


def export(arguments: Sequence[str] | None = None) -> NoReturn:
    """Entry point of `tts-export`. Exit code: 0, or 2 for any mistake."""

    def command() -> int:
        from tts_runtime.cli.export import export_command

        return export_command(sys.argv[1:] if arguments is None else arguments)

    run_as_process(command)


def tune(arguments: Sequence[str] | None = None) -> NoReturn:
    """Entry point of `tts-tune`. Exit code: 0, or 2 for any mistake."""

    def command() -> int:
        from tts_runtime.cli.tune import tune_command

        return tune_command(sys.argv[1:] if arguments is None else arguments)

    run_as_process(command)


def metrics(arguments: Sequence[str] | None = None) -> NoReturn:
    """Entry point of `tts-metrics`. Exit code: 0, or 2 for any mistake."""

    def command() -> int:
        from tts_runtime.cli.metrics import metrics_command

        return metrics_command(sys.argv[1:] if arguments is None else arguments)

    run_as_process(command)


def serve(arguments: Sequence[str] | None = None) -> NoReturn:
    """Entry point of `tts-serve`. Exit code: 0 once it is stopped, or 2 for any mistake."""

    def command() -> int:
        from tts_runtime.cli.serve import serve_command

        return serve_command(sys.argv[1:] if arguments is None else arguments)

    run_as_process(command)


def report(arguments: Sequence[str] | None = None) -> NoReturn:
    """Entry point of `tts-report`. Exit code: 0, or 2 for any mistake."""

    def command() -> int:
        from tts_runtime.cli.reporting import report_command

        return report_command(sys.argv[1:] if arguments is None else arguments)

    run_as_process(command)


def view(arguments: Sequence[str] | None = None) -> NoReturn:
    """Entry point of `tts-view`. Exit code: 0 after Ctrl-C, or 2 for any mistake."""

    def command() -> int:
        from tts_runtime.cli.viewing import view_command

        return view_command(sys.argv[1:] if arguments is None else arguments)

    run_as_process(command)


def merge(arguments: Sequence[str] | None = None) -> NoReturn:
    """Entry point of `tts-merge`. Exit code: 0, or 2 for any mistake, also of damaged shards."""

    def command() -> int:
        from tts_runtime.cli.merging import merge_command

        return merge_command(sys.argv[1:] if arguments is None else arguments)

    run_as_process(command)
