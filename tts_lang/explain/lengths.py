"""How long steps and solutions are: stated by the user, or measured in an earlier run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


class LengthError(ValueError):
    """Lengths that cannot be read; the message says what is wrong."""


@dataclass(frozen=True, slots=True)
class Lengths:
    """Every step has `step` tokens, and every solution `steps` steps."""

    step: float
    steps: float

    @property
    def solution(self) -> float:
        """Tokens of a solution."""
        return self.step * self.steps


def measured(directory: Path) -> Lengths:
    """Means over the finished candidates of a run directory (`tts-run --out`).

    Raises:
        LengthError: No such directory, or no finished candidate in it.
    """
    paths = sorted(directory.glob("*/candidates.jsonl")) or sorted(
        directory.glob("candidates.jsonl")
    )
    tokens: list[int] = []
    steps: list[int] = []
    try:
        for path in paths:
            for line in path.read_text(encoding="utf-8").splitlines():
                record = json.loads(line)
                if record["finish"] == "end" and record["op"] in ("expand", "ask"):
                    tokens.append(record["tokens"])
                    steps.append(max(1, record["steps"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LengthError(f"{directory}: not a run directory: {error}") from error
    if not tokens:
        raise LengthError(f"{directory}: no finished candidates there: run `tts-run --out` first")
    return Lengths(sum(tokens) / sum(steps), sum(steps) / len(steps))


def assumed(pairs: Sequence[tuple[str, float]]) -> Lengths | None:
    """The lengths among `--assume` pairs; none if neither is given.

    Raises:
        LengthError: Only one of them, or one below 1.
    """
    given = dict(pairs)
    if not given.keys() & {"step", "steps"}:
        return None
    if not given.keys() >= {"step", "steps"} or min(given["step"], given["steps"]) < 1:
        raise LengthError("expected both lengths, such as --assume step=60,steps=9 (at least 1)")
    return Lengths(given["step"], given["steps"])
