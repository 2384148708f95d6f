"""Assumptions on models and problems: `--assume NAME=VALUE,...`, or measured in a run."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from tts_lang.diagnostics import did_you_mean
from tts_lang.explain.models import UNKNOWN, Model, Models
from tts_lang.plan.graph import Ask, Force, Plan, Split, operations
from tts_lang.plan.serialize import PlanError, from_json
from tts_lang.readers import MAX_PLAN_BYTES, read_written

#: Context window assumed where a strategy sets no limit: that of the bundled policy.
DEFAULT_CONTEXT: Final = 1024
#: Tokens of a problem unless they are stated or measured.
DEFAULT_PROMPT = 100.0


class LengthError(ValueError):
    """Lengths that cannot be read; the message says why."""


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
            for sampled, step_count in _solutions(_records(folder / "nodes.jsonl")):
                tokens.append(sampled)
                steps.append(max(1, step_count))
            if plain:
                for answer in _records(folder / "answers.jsonl"):
                    if answer.get("policy_calls"):
                        prompts.append(answer["prompt_tokens"])
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

        if batch["first"] == 1:  # a problem begins, perhaps again
            paths[batch["problem"], batch.get("seed", 0)] = {}
        sampled = paths.setdefault((batch["problem"], batch.get("seed", 0)), {})
        starts = batch["op"] == "ask"
        for at, (parent, tokens, steps, finish) in enumerate(
            zip(*map(column, ("parent", "tokens", "steps", "finish")), strict=True)
        ):
            before = 0 if starts else sampled.get(parent or 0, 0)
            sampled[batch["first"] + at] = before + tokens
            if finish == "end" and batch["op"] in ("expand", "ask"):
                yield before + tokens, steps


def _records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def _reads_problems_only(folder: Path) -> bool:
    if not (folder / "plan.json").is_file() or not (folder / "answers.jsonl").is_file():
        return False
    return reads_problems_only(
        from_json(read_written(folder / "plan.json", MAX_PLAN_BYTES).decode())
    )


def reads_problems_only(plan: Plan) -> bool:
    """Whether what policies read is one problem's prompt, once: its length can be told then."""
    judged = any(scorer.judge is not None for scorer in plan.scorers)
    other = any(
        isinstance(operation.spec, Ask | Force | Split) for operation in operations(plan.body)
    )
    return len(plan.policies) == 1 and not judged and not other


# ------------------------------------------------------------------------------ --assume

#: The numbers that `--assume` takes, with what they are; `NAME_params` sizes the model of a name.
KNOWN: Final = {
    "context": "tokens of a context window",
    "prompt": "tokens of a problem",
    "step": "tokens of a step",
    "steps": "steps of a solution",
    "params": "parameters of policies",
    "layers": "layers of policies",
    "width": "width of policies",
}


class AssumeError(ValueError):
    """An assumption that cannot be used; the message says what would be."""


@dataclass(frozen=True, slots=True)
class Assumed:
    """Everything about models and problems that a plan does not say.

    Args:
        context: Context window of policies and scorers, in tokens.
        prompt: Tokens of a problem at most; `None`: as many as the window holds.
        lengths: Of steps and solutions, for expected costs; none are shown without.
        models: Sizes of models; FLOPs are shown where they are known.
    """

    context: int | None = DEFAULT_CONTEXT
    prompt: int | None = None
    lengths: Lengths | None = None
    models: Models = UNKNOWN


def assumed(options: Sequence[str], stats: Path | None = None) -> Assumed:
    """Reads `--assume` options, else the lengths measured in a run directory.

    Raises:
        AssumeError: An option that cannot be read, or only one of both lengths.
        LengthError: No run directory.
    """
    numbers: dict[str, float] = {}
    for option in (part for each in options for part in each.split(",")):
        name, value = _pair(option)
        numbers[name] = value
    lengths = None
    models = UNKNOWN
    if stats is not None:
        lengths, models = measured(stats), stated(stats)
    if numbers.keys() & {"step", "steps"}:
        if not numbers.keys() >= {"step", "steps"}:
            raise AssumeError("expected both lengths, such as step=60,steps=9")
        lengths = Lengths(numbers["step"], numbers["steps"], lengths.prompt if lengths else None)
    prompt = numbers.get("prompt")
    if lengths is not None and (prompt is not None or lengths.prompt is None):
        lengths = replace(lengths, prompt=DEFAULT_PROMPT if prompt is None else prompt)
    context = int(numbers.get("context", DEFAULT_CONTEXT))
    if prompt is not None and prompt > context:
        raise AssumeError(
            f"a problem of {prompt:,.0f} tokens does not fit into a context window of {context:,}"
        )
    return Assumed(
        context, None if prompt is None else int(prompt), lengths, _models(numbers, models)
    )


def check_sized(options: Sequence[str], plans: Iterable[Plan]) -> None:
    """Refuses `--assume NAME_params=N` options for models that no plan uses.

    Raises:
        AssumeError: With the names that they use.
    """
    names = {
        name
        for plan in plans
        for name in (
            *plan.policies,
            *(each.name for each in plan.scorers if each.judge is None and each.field is None),
        )
    }
    for option in (part for each in options for part in each.split(",")):
        what = option.partition("=")[0].strip()
        name = what.removesuffix("_params")
        if name != what and name not in names:
            hint = did_you_mean(name, names) or f"they use: {', '.join(sorted(names)) or 'none'}"
            raise AssumeError(f"no strategy here uses a model `{name}`; {hint}")


def _pair(option: str) -> tuple[str, float]:
    name, equals, text = (part.strip() for part in option.partition("="))
    sized = name.endswith("_params") and name.removesuffix("_params").isidentifier()
    if not equals or not (sized or name in KNOWN):
        expected = ", ".join(f"{key}=N" for key in KNOWN)
        raise AssumeError(f"expected {expected} or SCORER_params=N, found `{option}`")
    what = f"parameters of {name.removesuffix('_params')}" if sized else KNOWN[name]
    try:
        value = float(text.replace("_", ""))
    except ValueError:
        value = 0.0
    whole = name not in ("step", "steps")
    if not 1 <= value <= 1e15 or (whole and value != int(value)):
        number = "a whole number" if whole else "a number"
        raise AssumeError(f"{name}={text}: expected {number} from 1 on: {what}")
    return name, value


def _models(numbers: dict[str, float], models: Models) -> Models:
    named = dict(models.named)
    for name, value in numbers.items():
        if name.endswith("_params"):
            named[name.removesuffix("_params")] = Model(value)
    policy = models.policy
    layers, width = numbers.get("layers", 0.0), numbers.get("width", 0.0)
    if "params" in numbers:
        policy = Model(numbers["params"], layers, width)
    elif layers or width:
        raise AssumeError("layers and width go with the number of parameters, params=7e9")
    if bool(layers) != bool(width):
        raise AssumeError("expected both layers=N and width=N, or neither")
    return Models(named, policy)


def stated(directory: Path) -> Models:
    """The sizes that engines stated when the run began (`models.json`).

    Raises:
        LengthError: The file holds something else.
    """
    path = next((p for p in (directory, directory.parent) if (p / "models.json").is_file()), None)
    if path is None:
        return UNKNOWN
    try:
        cards: dict[str, Any] = json.loads((path / "models.json").read_text("utf-8"))
        named = {
            name: Model(float(card["parameters"]), float(card["layers"]), float(card["width"]))
            for name, card in cards.items()
            if not name.startswith("#")  # a checksum
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise LengthError(f"{path / 'models.json'}: not sizes of models: {error}") from error
    return Models(named)
