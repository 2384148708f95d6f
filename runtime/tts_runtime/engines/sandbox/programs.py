"""Finds the program in a text; shows a program's output as a text."""

from __future__ import annotations

import re
from textwrap import dedent
from typing import Final

from tts_runtime.engines.sandbox.box import ProgramResult

_FENCE: Final = re.compile(r"(`{3,}|~{3,})\s*([^\s`]*)")
_PYTHON: Final = ("python", "python3", "py", "py3")
#: Characters of error output to show, from its end.
_ERRORS_SHOWN: Final = 2000
#: Control characters, but for tabs and line breaks.
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")
_STOPPED: Final = {
    "time": "it ran too long",
    "memory": "it took too much memory",
    "processes": "it started too many processes",
    "disk": "it wrote too much",
    "output": "it printed too much",
}


def program_in(text: str, function: str = "") -> str:
    """The last block of code that is marked as Python, else the last block, else all of it.

    LiveCodeBench takes a model's last block, too. An unclosed block extends to the end. If one of
    several blocks defines `function`, the last that does counts: an example of its use may follow.
    """
    blocks: list[tuple[str, list[str]]] = []
    fence = ""
    for line in text.split("\n"):
        stripped = line.strip()
        if fence:
            if stripped.startswith(fence) and not stripped.strip(fence[0]):
                fence = ""
            else:
                blocks[-1][1].append(line)
        elif opened := _FENCE.match(stripped):
            fence = opened[1]
            blocks.append((opened[2].lower(), []))
    if not blocks:
        return text
    marked = [lines for kind, lines in blocks if kind in _PYTHON] or [lines for _, lines in blocks]
    programs = [dedent("\n".join(lines)) for lines in marked]
    defining = [program for program in programs if function and definition(function, program)]
    return (defining or programs)[-1]


def definition(function: str, program: str) -> re.Match[str] | None:
    """Where a program begins to define a function."""
    return re.search(rf"^\s*def {re.escape(function)}\b", program, re.MULTILINE)


def reply_of(outcome: ProgramResult) -> str:
    """What a program printed, and the error if it failed."""
    parts = [_shown(outcome.output)]
    if not outcome.finished:
        parts.append(_shown(outcome.errors)[-_ERRORS_SHOWN:])
        if outcome.stopped:
            parts.append(f"Stopped: {_STOPPED.get(outcome.stopped, outcome.stopped)}.")
        elif not outcome.errors.strip():
            parts.append(f"It ended with code {outcome.code}.")
    return "\n".join(part.rstrip("\n") for part in parts if part.strip()) + "\n"


def _shown(data: bytes) -> str:
    text = data.decode("utf-8", "replace").replace("\r\n", "\n")
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)
