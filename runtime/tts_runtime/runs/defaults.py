"""What a run takes when an engine or the problem set is not named.

The bundled PRM was trained on the bundled policy's solutions of the bundled problems: beside any
other policy it ranks at random, and a table would not show it. So the three stand in for each other
only together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from tts_lang.plan.graph import Plan

Policy = TypeVar("Policy")
Scorer = TypeVar("Scorer")

BUNDLED = "bundled"
#: The problem set that goes with the bundled policy.
PROBLEMS = "arith"


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
        scorers: Scorers that are named; `prm` is the bundled one if every policy is.
        problems_named: Whether the problem set is.

    Raises:
        UnnamedError: A policy is not the bundled one, and a scorer or the problem set has no name.
    """
    bound: dict[str, str | Policy] = {"policy": BUNDLED, **policies}
    used = dict.fromkeys(name for plan in plans for name in plan.policies)
    foreign = next((name for name in used if name in bound and _foreign(name, bound[name])), None)
    if foreign is None:
        return bound, {"prm": BUNDLED, **scorers}
    missing = []
    unscored = [plan.strategy for plan in plans if _uses_prm(plan)]
    if unscored and "prm" not in scorers:
        missing.append(
            f"name the scorer that {unscored[0]} needs (`--scorer prm=ENGINE`): the bundled PRM "
            "can judge solutions of the bundled policy only"
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


def _foreign(name: str, engine: object) -> bool:
    """Whether an engine is another model than the bundled one; a tool beside `policy` is none."""
    tool = name != "policy" and isinstance(engine, str) and engine.startswith("exec:")
    return engine != BUNDLED and not tool


def _uses_prm(plan: Plan) -> bool:
    return any(
        scorer.name == "prm" and scorer.judge is None and scorer.field is None
        for scorer in plan.scorers
    )
