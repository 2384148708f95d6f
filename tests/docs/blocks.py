"""Reads the code blocks of a Markdown page and runs them the way a reader would."""

from __future__ import annotations

import io
import os
import re
import shlex
from collections.abc import Callable, Sequence
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from tts_lang.cli.compile import run_command as tts_compile
from tts_runtime.cli.command import run_command as tts_run
from tts_runtime.cli.export import export_command as tts_export
from tts_runtime.cli.merging import merge_command as tts_merge
from tts_runtime.cli.metrics import metrics_command as tts_metrics
from tts_runtime.cli.reporting import report_command as tts_report
from tts_runtime.cli.show import show_command as tts_show
from tts_runtime.cli.tune import tune_command as tts_tune

ROOT = Path(__file__).resolve().parents[2]
FENCE = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)

COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {
    "tts-compile": tts_compile,
    "tts-run": tts_run,
    "tts-report": tts_report,
    "tts-merge": tts_merge,
    "tts-export": tts_export,
    "tts-show": tts_show,
    "tts-tune": tts_tune,
    "tts-metrics": tts_metrics,
}
#: Blocks that are no code: output, data, drawings.
PASSIVE = {"", "text", "json", "yaml", "mermaid", "dot"}


@dataclass(frozen=True)
class Block:
    """One fenced block: its info string, its text and the line it starts at."""

    info: str
    body: str
    line: int


def blocks(page: Path) -> list[Block]:
    """All fenced blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    return [
        Block(match["info"].strip(), match["body"], text.count("\n", 0, match.start()) + 1)
        for match in FENCE.finditer(text)
    ]


def matches(expected: str, actual: str) -> bool:
    """Whether an output is what a page shows; `...` stands for anything, also for whole lines."""

    def tidy(text: str) -> str:
        return "\n".join(line.rstrip() for line in text.strip("\n").split("\n"))

    pattern = re.escape(tidy(expected)).replace(re.escape("..."), "(?s:.*?)")
    return re.fullmatch(pattern, tidy(actual)) is not None


def commands(block: Block) -> list[tuple[str, str]]:
    """(command, expected output) pairs of a `console` block."""
    found: list[tuple[str, str]] = []
    for line in block.body.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], ""))
        else:
            command, output = found[-1]
            found[-1] = (command, output + line + "\n")
    return found


def run_command(command: str, folder: Path) -> str:
    """What a command prints (both streams) in `folder`; only this project's commands are known.

    They run in this process: a process each would take most of the time, and prove nothing here
    (tests/cli starts processes).
    """
    program, *arguments = shlex.split(command)
    if program == "cat":
        return "".join((folder / name).read_text(encoding="utf-8") for name in arguments)
    if program == "echo" and arguments[-2:-1] == [">"]:
        (folder / arguments[-1]).write_text(" ".join(arguments[:-2]) + "\n", encoding="utf-8")
        return ""
    printed = io.StringIO()
    terminal = {"COLUMNS": "100", "TERM": "dumb", "NO_COLOR": "1"}
    with (
        chdir(folder),
        mock.patch.dict(os.environ, terminal),
        redirect_stdout(printed),
        redirect_stderr(printed),
    ):
        COMMANDS[program](arguments)
    return printed.getvalue()
