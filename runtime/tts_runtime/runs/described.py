"""A run's description of itself: its configuration, its engines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from importlib import import_module
from typing import Any

from tts_lang.plan.graph import Plan
from tts_lang.release import release
from tts_runtime.engines.base import Exactness, PolicyEngine, ScorerEngine
from tts_runtime.runs.rundir import RunDirectoryError, plan_text
from tts_runtime.runs.settings import Settings


def scorer_names(plan: Plan) -> list[str]:
    """Of a plan's scorers."""
    return [scorer.name for scorer in plan.scorers]


def _name(engine: str | PolicyEngine | ScorerEngine) -> str:
    return engine if isinstance(engine, str) else getattr(engine, "written", type(engine).__name__)


def names_of(
    engines: Mapping[str, str | PolicyEngine] | Mapping[str, str | ScorerEngine],
    used: Sequence[str],
) -> dict[str, str]:
    """The user's names of engines, by the names that strategies give them."""
    return {name: _name(engine) for name, engine in engines.items() if name in used}


def configuration_of(
    plans: Sequence[Plan], settings: Settings, graders: Sequence[str]
) -> dict[str, Any]:
    """The configuration of a run: two runs with the same one give the same answers.

    Raises:
        RunDirectoryError: Two strategies of one name, which a directory cannot hold.
    """
    names = [plan.strategy for plan in plans]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise RunDirectoryError(
            f"two strategies are called {twice[0]}: run them into different directories"
        )
    used = [name for plan in plans for name in (*plan.policies, *scorer_names(plan))]
    return {
        "version": release(),
        "strategies": {plan.strategy: dict(plan.parameters) for plan in plans},
        "plans": {plan.strategy: _digest(plan_text(plan)[:-1]) for plan in plans},
        "without": sorted(settings.disabled),
        "strict": settings.strict,
        "keep": sorted(settings.keep),
        "graders": graders,
        "policies": names_of(settings.policies, used),
        "scorers": names_of(settings.scorers, used),
    }


def engines_of(
    settings: Settings, opened: Mapping[str, PolicyEngine | ScorerEngine], *, logprobs: bool
) -> dict[str, dict[str, Any]]:
    """The entries of engines in `run.json`.

    `logprobs`: log-probabilities are wanted; an engine that then leaves them out says so.
    """
    named = {**settings.policies, **settings.scorers}
    entries: dict[str, dict[str, Any]] = {}
    for name, engine in opened.items():
        about: dict[str, Any] = {"engine": _name(named[name]), "exactness": engine.exactness}
        if engine.card is not None:
            about["parameters"] = engine.card.parameters
        if about["engine"].startswith("replay:"):
            about["record"] = import_module("tts_runtime.replay.sources").stamp_of(about["engine"])
        if isinstance(engine, PolicyEngine):
            about["binding"] = engine.binding.model_dump(mode="json", exclude_defaults=True)
            if engine.thought_end:
                about["thought_end"] = engine.thought_end
            if engine.spares_logprobs and not logprobs:
                about["logprobs"] = False
        entries[name] = about
    return entries


def exactness_of(about: Mapping[str, Any]) -> Exactness:
    """Of an engine in `run.json`; before 0.3 it said `exact` only."""
    level = Exactness.BITS if about.get("exact", True) else Exactness.NONE
    return Exactness(about.get("exactness", level))


def _digest(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
