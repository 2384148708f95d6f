"""How long steps and solutions are: stated by the user, or measured in an earlier run."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tts_lang.plan.graph import Ask, Force, Plan, Split, operations
from tts_lang.plan.serialize import PlanError, from_json
from tts_lang.readers import MOST_PLAN, read_written

#: Tokens of a problem where nobody says.
DEFAULT_PROMPT = 100.0


class LengthError(ValueError):
    """Lengths that cannot be read; the message says what is wrong."""


@dataclass(frozen=True, slots=True)
class Lengths:
    """Every step has `step` tokens, every solution `steps` steps, every problem `prompt` tokens
    (not known: `None`)."""

    step: float
    steps: float
    prompt: float | None = None

    @property
    def solution(self) -> float:
        """Tokens of a solution."""
        return self.step * self.steps


def measured(directory: Path) -> Lengths:
    """Means over the finished candidates of a run directory (`tts-run --out`).

    Raises:
        LengthError: No such directory, or no finished candidate in it.
    """
    tokens: list[int] = []
    steps: list[int] = []
    prompts: list[int] = []
    try:
        for folder in sorted(path.parent for path in _candidates(directory)):
            plain = _reads_problems_only(folder)
            for record in _records(folder / "candidates.jsonl"):
                if record["finish"] == "end" and record["op"] in ("expand", "ask"):
                    tokens.append(record["tokens"])
                    steps.append(max(1, record["steps"]))
            if plain:
                answers = _records(folder / "answers.jsonl")
                prompts += [each["prompt_tokens"] for each in answers if each["policy_calls"]]
        if tokens:
            prompt = sum(prompts) / len(prompts) if prompts else None
            return Lengths(sum(tokens) / sum(steps), sum(steps) / len(steps), prompt)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, PlanError) as error:
        raise LengthError(f"{directory}: not a run directory: {error}") from error
    raise LengthError(f"{directory}: no finished candidates there: run `tts-run --out` first")


def _candidates(directory: Path) -> list[Path]:
    return list(directory.glob("*/candidates.jsonl")) or list(directory.glob("candidates.jsonl"))


def _records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def _reads_problems_only(folder: Path) -> bool:
    if not (folder / "plan.json").is_file() or not (folder / "answers.jsonl").is_file():
        return False
    return reads_problems_only(from_json(read_written(folder / "plan.json", MOST_PLAN).decode()))


def reads_problems_only(plan: Plan) -> bool:
    """Whether what policies read is one problem's prompt, once: its length can be told then."""
    judged = any(scorer.judge is not None for scorer in plan.scorers)
    other = any(
        isinstance(operation.spec, Ask | Force | Split) for operation in operations(plan.body)
    )
    return len(plan.policies) == 1 and not judged and not other
