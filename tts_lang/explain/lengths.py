"""How long steps and solutions are: stated by the user, or measured in an earlier run."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
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
        for folder in sorted(path.parent for path in _nodes(directory)):
            plain = _reads_problems_only(folder)
            for sampled, taken in _solutions(_records(folder / "nodes.jsonl")):
                tokens.append(sampled)
                steps.append(max(1, taken))
            if plain:
                for each in _records(folder / "answers.jsonl"):
                    if each.get("policy_calls"):
                        prompts.append(each["prompt_tokens"])
        if tokens:
            prompt = sum(prompts) / len(prompts) if prompts else None
            return Lengths(sum(tokens) / sum(steps), sum(steps) / len(steps), prompt)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, PlanError) as error:
        raise LengthError(f"{directory}: not a run directory: {error}") from error
    raise LengthError(f"{directory}: no finished candidates there: run `tts-run --out` first")


def _nodes(directory: Path) -> list[Path]:
    return list(directory.glob("*/nodes.jsonl")) or list(directory.glob("nodes.jsonl"))


def _solutions(batches: Iterable[Mapping[str, Any]]) -> Iterator[tuple[int, int]]:
    """Tokens and steps of every path that the policy ended itself."""
    paths: dict[tuple[str, int], dict[int, int]] = {}
    for batch in batches:
        count = max([len(each) for each in batch.values() if isinstance(each, list)], default=1)

        def column(name: str, batch: Mapping[str, Any] = batch, count: int = count) -> list[Any]:
            value = batch.get(name)
            return value if isinstance(value, list) else [value] * count

        if batch["first"] == 1:  # a problem begins, perhaps anew
            paths[batch["problem"], batch.get("seed", 0)] = {}
        known = paths.setdefault((batch["problem"], batch.get("seed", 0)), {})
        starts = batch["op"] == "ask"
        for at, (parent, tokens, steps, finish) in enumerate(
            zip(*map(column, ("parent", "tokens", "steps", "finish")), strict=True)
        ):
            before = 0 if starts else known.get(parent or 0, 0)
            known[batch["first"] + at] = before + tokens
            if finish == "end" and batch["op"] in ("expand", "ask"):
                yield before + tokens, steps


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
