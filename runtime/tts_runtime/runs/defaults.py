"""Defaults of a run for engines and problem sets that are not named.

The bundled PRM was trained on the bundled policy's solutions of the bundled problems: beside any
other policy it ranks at random, and a table would not show it. So the three stand in for each other
only together.

A record (`replay:PATH`) has its own problems and scores: they stand in where it is the policy. If
it has several policies, each stands in for that of its name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, TypeVar

from tts_lang.plan.graph import Plan

Policy = TypeVar("Policy")
Scorer = TypeVar("Scorer")

BUNDLED = "bundled"
#: The problem set that goes with the bundled policy.
PROBLEMS = "arith"
#: The start of each of their texts.
_KNOWN = "Start with "

_REPLAY = "replay:"


class UnnamedError(Exception):
    """Something must be named for this run; the message has one line for each."""


def completed(
    plans: Sequence[Plan],
    policies: Mapping[str, str | Policy],
    scorers: Mapping[str, str | Scorer],
    problems_named: bool,
) -> tuple[dict[str, str | Policy], dict[str, str | Scorer]]:
    """The engines of a run, by the names that strategies give them.

    Args:
        plans: What runs.
        policies: Engines that are named; `policy` is the bundled one if it is not among them.
        scorers: Scorers that are named; `prm` is the bundled one if every policy is, and those that
            a record has are the record's.
        problems_named: Whether the problem set is.

    Raises:
        UnnamedError: A policy is not the bundled one, and a scorer or the problem set has no name.
    """
    bound: dict[str, str | Policy] = {"policy": BUNDLED}
    bound.update((name, _of_record(name, engine)) for name, engine in policies.items())
    used = dict.fromkeys(name for plan in plans for name in plan.policies)
    scorers = {**_recorded_scorers(plans, used, bound), **scorers}
    problems_named = problems_named or problem_set(bound) != PROBLEMS
    foreign = next((name for name in used if name in bound and _foreign(name, bound[name])), None)
    if foreign is None:
        return bound, {"prm": BUNDLED, **scorers}
    missing = []
    unscored = [plan.strategy for plan in plans if _uses_prm(plan)]
    if unscored and "prm" not in scorers:
        missing.append(
            f"name the scorer that {unscored[0]} needs (`--scorer prm=ENGINE`): the bundled PRM "
            "can judge solutions of the bundled policy only"
            + (f"; it has no scorer `{'`, `'.join(scorers)}`" if scorers else "")
        )
    if not problems_named:
        missing.append(
            "name the problem set (`--problems FILE.jsonl`): the bundled problems, "
            f"`{PROBLEMS}`, are made for the bundled policy"
        )
    if missing:
        engine = bound[foreign]
        what = f"`{engine}`" if isinstance(engine, str) else f"a {type(engine).__name__}"
        head = f"policy `{foreign}` is {what}, so nothing else is taken for granted:"
        raise UnnamedError("\n".join([head, *(f"  {line}" for line in missing)]))
    return bound, dict(scorers)


def problem_set(policies: Mapping[str, Any]) -> str:
    """The problems that go with these policies: those of a record, else the bundled ones."""
    for engine in policies.values():
        if isinstance(engine, str) and engine.startswith(_REPLAY):
            return _source(engine)
    return PROBLEMS


def unknown_to_bundled(policies: Mapping[str, Any], texts: Sequence[str]) -> str | None:
    """A warning about problems that are not of the bundled policy's kind; `None` if all are."""
    if BUNDLED not in policies.values() or all(text.startswith(_KNOWN) for text in texts):
        return None
    return (
        f'the bundled policy knows only problems such as "{_KNOWN}54; a: +76 (mod 100)", and its '
        "answers to others mean nothing: name a model with --policy"
    )


def _of_record(name: str, engine: str | Policy) -> str | Policy:
    """The engine of a policy: of a record's, that of the same name."""
    if not isinstance(engine, str) or not engine.startswith(_REPLAY):
        return engine
    own: str = import_module("tts_runtime.replay.sources").policy_recorded(name, engine)
    return own


def _source(engine: str) -> str:
    source: str = import_module("tts_runtime.replay.sources").source_of(engine)
    return source


def _recorded_scorers(
    plans: Sequence[Plan], used: Mapping[str, None], policies: Mapping[str, Any]
) -> dict[str, Any]:
    """Scorers of these plans that the record of a policy has."""
    scorers: dict[str, Any] = {}
    for name in used:
        engine = policies.get(name)
        if not isinstance(engine, str) or not engine.startswith(_REPLAY):
            continue
        recorded = import_module("tts_runtime.replay.sources").scorers_recorded(engine)
        for plan in plans:
            for scorer in plan.scorers:
                if scorer.judge is None and scorer.field is None and scorer.name in recorded:
                    scorers.setdefault(scorer.name, recorded[scorer.name])
    return scorers


def _foreign(name: str, engine: object) -> bool:
    """Whether an engine is another model than the bundled one; a tool beside `policy` is none."""
    tool = name != "policy" and isinstance(engine, str) and engine.startswith("exec:")
    return engine != BUNDLED and not tool


def _uses_prm(plan: Plan) -> bool:
    return any(
        scorer.name == "prm" and scorer.judge is None and scorer.field is None
        for scorer in plan.scorers
    )
