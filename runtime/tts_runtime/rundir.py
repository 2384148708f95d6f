"""Run directories: everything a run made, appended as it happens.

    DIR/run.json                      configuration: strategies, parameters, engines, problems, seed
    DIR/STRATEGY/plan.json            the plan that ran (`tts-run` accepts it again)
    DIR/STRATEGY/candidates.jsonl     every candidate: lineage, text, token counts, finish, scores
    DIR/STRATEGY/answers.jsonl        the answer to each problem and what it cost
    DIR/STRATEGY/summary.json         the line of the table

A problem's lines are written in one go when it finishes, so a run that is interrupted leaves whole
problems behind and nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, is_dataclass
from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tts_lang.plan.codec import to_json
from tts_lang.plan.graph import Plan
from tts_runtime.results import Answer, Summary


class RunDirectoryError(Exception):
    """A run directory that cannot be used; the message says which and what to do."""


def check_new(path: Path) -> None:
    """Refuses what `create` would refuse because something is there; makes nothing.

    Raises:
        RunDirectoryError: `path` holds something already, or cannot be read.
    """
    try:
        if path.exists() and any(path.iterdir()):
            raise RunDirectoryError(
                f"{path} is not empty: name another directory with --out, or remove this one first"
            )
    except NotADirectoryError as error:
        raise RunDirectoryError(f"{path} is a file: name a new directory with --out") from error
    except OSError as error:
        raise RunDirectoryError(f"{path} cannot be read: {_reason(error)}") from error


def create(path: Path, configuration: Mapping[str, Any]) -> Path:
    """Makes a new run directory and writes its configuration.

    Raises:
        RunDirectoryError: `path` holds something already, or cannot be written.
    """
    check_new(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
        text = json.dumps(configuration, indent=2, default=_plain)
        (path / "run.json").write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise RunDirectoryError(f"{path} cannot be written: {_reason(error)}") from error
    return path


def _reason(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()


def finished(path: Path) -> int:
    """How many problems a run directory holds, over all its strategies."""
    count = 0
    for answers in path.glob("*/answers.jsonl"):
        with answers.open("rb") as lines:
            count += sum(1 for _ in lines)
    return count


class StrategyWriter:
    """Writes one strategy's files; a context manager that closes them."""

    def __init__(self, directory: Path, name: str, plan: Plan) -> None:
        self.path = directory / name
        self.path.mkdir()
        (self.path / "plan.json").write_text(to_json(plan) + "\n", encoding="utf-8")
        self._candidates = (self.path / "candidates.jsonl").open("w", encoding="utf-8")
        self._answers = (self.path / "answers.jsonl").open("w", encoding="utf-8")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._candidates.close()
        self._answers.close()

    def problem(self, answer: Answer, candidates: Sequence[object]) -> None:
        """Writes a finished problem: its candidates first, so that an answer never lacks them."""
        lines = [
            json.dumps({"problem": answer.id, **_fields(candidate)}, default=_plain) + "\n"
            for candidate in candidates
        ]
        self._candidates.write("".join(lines))
        self._candidates.flush()
        self._answers.write(answer.model_dump_json() + "\n")
        self._answers.flush()

    def summary(self, summary: Summary) -> None:
        """Writes the strategy's summary."""
        text = summary.model_dump_json(indent=2)
        (self.path / "summary.json").write_text(text + "\n", encoding="utf-8")


def _fields(candidate: object) -> dict[str, Any]:
    assert is_dataclass(candidate)
    assert not isinstance(candidate, type)
    return asdict(candidate)


def _plain(value: object) -> object:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
