"""What EXPLAIN takes for granted: `--assume NAME=VALUE,...` and what a run directory says."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from tts_lang.explain.bounds import DEFAULT_CONTEXT
from tts_lang.explain.lengths import DEFAULT_PROMPT, LengthError, Lengths, measured
from tts_lang.explain.models import UNKNOWN, Model, Models

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
    """Reads `--assume` options, and what a run directory measured where they say nothing.

    Raises:
        AssumeError: An option that cannot be read, or only one of both lengths.
        LengthError: No run directory.
    """
    given: dict[str, float] = {}
    for option in (part for each in options for part in each.split(",")):
        name, value = _pair(option)
        given[name] = value
    lengths = None
    models = UNKNOWN
    if stats is not None:
        lengths, models = measured(stats), stated(stats)
    if given.keys() & {"step", "steps"}:
        if not given.keys() >= {"step", "steps"}:
            raise AssumeError("expected both lengths, such as step=60,steps=9")
        lengths = Lengths(given["step"], given["steps"], lengths.prompt if lengths else None)
    prompt = given.get("prompt")
    if lengths is not None and (prompt is not None or lengths.prompt is None):
        lengths = replace(lengths, prompt=DEFAULT_PROMPT if prompt is None else prompt)
    context = int(given.get("context", DEFAULT_CONTEXT))
    if prompt is not None and prompt > context:
        raise AssumeError(
            f"a problem of {prompt:,.0f} tokens does not fit into a context window of {context:,}"
        )
    return Assumed(
        context, None if prompt is None else int(prompt), lengths, _models(given, models)
    )


def _pair(option: str) -> tuple[str, float]:
    name, equals, text = (part.strip() for part in option.partition("="))
    sized = name.endswith("_params") and name.removesuffix("_params").isidentifier()
    if not equals or not (sized or name in KNOWN):
        expected = ", ".join(f"{known}=N" for known in KNOWN)
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


def _models(given: dict[str, float], found: Models) -> Models:
    named = dict(found.named)
    for name, value in given.items():
        if name.endswith("_params"):
            named[name.removesuffix("_params")] = Model(value)
    policy = found.policy
    layers, width = given.get("layers", 0.0), given.get("width", 0.0)
    if "params" in given:
        policy = Model(given["params"], layers, width)
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
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise LengthError(f"{path / 'models.json'}: not sizes of models: {error}") from error
    return Models(named)
