"""Run directories, as tests look at them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tts_runtime.executor import CandidateRecord
from tts_runtime.record.reader import open_run


def candidates(directory: str | Path, strategy: str | None = None) -> list[CandidateRecord]:
    """Every candidate of a strategy, by problem, then in program order; nothing may be damaged."""
    run = open_run(directory)
    found = [node for _, nodes in run.strategy(strategy).nodes() for node in nodes.values()]
    assert not run.verify()
    return found


def content(directory: str | Path) -> dict[str, Any]:
    """Everything in a run directory that is a matter of its strategies and problems."""
    found: dict[str, Any] = {}
    for path in Path(directory).rglob("*"):
        name = str(path.relative_to(directory))
        if path.suffix == ".jsonl":
            found[name] = sorted(path.read_text().splitlines())
        elif path.suffix == ".json":
            found[name] = json.loads(path.read_text())
            for of_a_session in ("wall_s", "engines", "sessions", "crc"):
                found[name].pop(of_a_session, None)
    return found


def solution(
    tokens: int | list[int],
    steps: int | list[int],
    finish: str = "end",
    first: int = 1,
    parent: int | list[int] = 0,
) -> dict[str, Any]:
    """A line of `nodes.jsonl`, as far as lengths are read from it."""
    counts = {"tokens": tokens, "steps": steps, "parent": parent}
    return {"problem": "p", "first": first, "op": "expand", "finish": finish, **counts}
