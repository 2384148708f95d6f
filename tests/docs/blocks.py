"""Reads the code blocks of a Markdown page and runs them the way a reader would."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FENCE = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)

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
    """What a command prints (both streams) in `folder`; only this project's commands are known."""
    program, *arguments = shlex.split(command)
    entries = {
        "tts-compile": ("tts_lang.cli", "main"),
        "tts-run": ("tts_runtime.cli", "main"),
        "tts-show": ("tts_runtime.cli", "show"),
    }
    if program == "cat":
        return "".join((folder / name).read_text(encoding="utf-8") for name in arguments)
    if program == "echo" and arguments[-2:-1] == [">"]:
        (folder / arguments[-1]).write_text(" ".join(arguments[:-2]) + "\n", encoding="utf-8")
        return ""
    module, entry = entries[program]
    starter = f"import sys; sys.argv[0] = {program!r}; from {module} import {entry}; {entry}()"
    environment = {**os.environ, "COLUMNS": "100", "TERM": "dumb", "NO_COLOR": "1"}
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(ROOT / "runtime")])
    done = subprocess.run(
        [sys.executable, "-c", starter, *arguments],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )
    return done.stdout
