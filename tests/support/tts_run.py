"""`tts-run` in this process, over two small problems and a simulated policy."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tts_runtime.cli.command import run_command

#: Options of a run that loads no model.
SIM = ("--policy", "sim", "--problems", "two.jsonl")

#: A command in this process, and its arguments: its exit code and what it wrote to both streams.
Call = Callable[..., tuple[int, str, str]]


class Command:
    """Runs `tts-run`; gives its exit code and what it wrote to both streams."""

    def __init__(self, capture: pytest.CaptureFixture[str]) -> None:
        self._capture = capture

    def __call__(self, *arguments: str) -> tuple[int, str, str]:
        asyncio_log = logging.getLogger("asyncio")
        hook, level = sys.unraisablehook, asyncio_log.level
        try:
            code = run_command(arguments)
        finally:  # an interrupted run is silent until its process ends: other tests are not
            sys.unraisablehook = hook
            asyncio_log.setLevel(level)
        out, err = self._capture.readouterr()
        return code, out, err

    def json(self, *arguments: str) -> list[dict[str, object]]:
        """The objects that a run prints with `--json`."""
        code, out, err = self(*arguments, "--json")
        assert code == 0, err
        return [json.loads(line) for line in out.splitlines()]


def two_problems(folder: Path) -> None:
    """Writes `two.jsonl`: one problem with an answer and a level, one with neither."""
    problems = [{"id": "one", "problem": "1 + 1", "answer": 2, "level": 3}, {"problem": "1 + 2"}]
    text = "".join(json.dumps(each) + "\n" for each in problems)
    (folder / "two.jsonl").write_text(text, encoding="utf-8")
