"""The commands that run strategies and read records, as processes.

Nothing but the handling of interrupts is imported before they are handled; the commands themselves
are in the modules of this package.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn, Protocol

from tts_lang.cli.process import run_as_process


class EntryPoint(Protocol):
    """Runs a command with these arguments, by default those of the process, and ends it."""

    def __call__(self, arguments: Sequence[str] | None = None) -> NoReturn: ...


def _entry(module: str, function: str) -> EntryPoint:
    def main(arguments: Sequence[str] | None = None) -> NoReturn:
        def command() -> int:
            run = getattr(import_module(f"tts_runtime.cli.{module}"), function)
            return int(run(sys.argv[1:] if arguments is None else arguments))

        run_as_process(command)

    return main


# Exit codes: 0; 2 for any mistake of the user's, with a message; those of `run_as_process`.
main = _entry("command", "run_command")  # 3 if problems failed
show_main = _entry("show", "show_command")
export_main = _entry("export", "export_command")
tune_main = _entry("tune", "tune_command")
metrics_main = _entry("metrics", "metrics_command")
serve_main = _entry("serve", "serve_command")
report_main = _entry("reporting", "report_command")
view_main = _entry("viewing", "view_command")
merge_main = _entry("merging", "merge_command")
