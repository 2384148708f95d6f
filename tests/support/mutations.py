"""Mutated plans: JSON texts of plans with something changed, as a stranger might hand them in."""

from __future__ import annotations

import copy
import json
import signal
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from random import Random
from types import FrameType
from typing import Any, Final

from tests.support.agreement import compiled
from tests.support.programs import random_program
from tts_lang.compiler import compile_strategy
from tts_lang.explain.budget import OverBudget, check_sane
from tts_lang.explain.costs import bounds
from tts_lang.explain.formats import explained
from tts_lang.laws.sizes import runnable
from tts_lang.plan.graph import Plan
from tts_lang.plan.serialize import from_json, to_json
from tts_lang.plan.text import to_text
from tts_lang.plan.verify import PlanError
from tts_lang.printable import printable
from tts_runtime.laws.random_models import world
from tts_runtime.laws.runs import alone

STRATEGIES: Final = Path(__file__).resolve().parents[2] / "strategies"
#: What a value is exchanged for.
VALUES: Final[tuple[Any, ...]] = (
    *(0, 1, 2, -1, -5, 3, 0.5, -0.0, 1e308, 2**63, 10**400, float("nan"), float("inf")),
    *("", "x", "prm", "policy", "tokens", "answer", "a\x00b", "\ud800", "/tmp/x", "../x", "."),
    *("a" * 300, "n[1]", True, False, None, [], {}, [[]], {"is": "const"}, {"is": "input"}),
    *({"is": "const", "value": each} for each in (0, -5, 10**400, 1e308, None, "text", True)),
    *({"is": "column", "name": each} for each in ("tokens", "text", "prm", "done", "root", "x")),
)
#: Tokens that a run may draw, and seconds that a plan may take in all.
_TOKENS: Final = 50_000
_LIMIT: Final = 60


@cache
def originals() -> tuple[Any, ...]:
    """Plans as JSON values: shipped strategies and generated ones."""
    shipped = [compile_strategy(path) for path in sorted(STRATEGIES.glob("*.tts"))]
    made = [compiled(random_program(number)) for number in range(80)]
    return tuple(json.loads(to_json(plan)) for plan in (*shipped, *made))


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every container and key inside a JSON value."""
    waiting = [value]
    while waiting:
        current = waiting.pop()
        keys = list(current) if isinstance(current, dict) else range(len(current))
        for key in keys:
            yield current, key
            if isinstance(current[key], dict | list):
                waiting.append(current[key])


def mutated(seed: int) -> str:
    """The text of a plan in which one to three things were changed."""
    random = Random(seed)
    data = copy.deepcopy(random.choice(originals()))
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        places = [place for place in _places(data["plan"]) if place[1] != "origins"]
        if not places:
            break
        container, key = random.choice(places)
        match random.randrange(9):
            case 0 | 1 | 2:
                container[key] = copy.deepcopy(random.choice(VALUES))
            case 3:
                del container[key]
            case 4 if isinstance(container, list):
                container.insert(random.randrange(len(container) + 1), container[key])
            case 5 if isinstance(container[key], int):
                container[key] += random.choice((-1, 1))
            case _:  # what stands under the same key elsewhere
                other = random.choice(originals())
                same = [each[name] for each, name in _places(other) if name == key]
                container[key] = copy.deepcopy(random.choice(same)) if same else None
    return json.dumps(data)


class Slow(BaseException):
    """A plan took too long."""


def _late(_signal: int, _frame: FrameType | None) -> None:
    raise Slow


def tried(text: str, seed: int) -> str:
    """What becomes of a plan's text: refused, too large, failed or answered.

    Raises anything that a stranger's plan must not raise.
    """
    before = signal.signal(signal.SIGALRM, _late)
    signal.alarm(_LIMIT)
    try:
        return _tried(text, seed)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _tried(text: str, seed: int) -> str:
    try:
        plan = from_json(text)
    except PlanError as error:
        printable(error).encode()
        return "refused"
    _shown(plan)
    try:
        check_sane(plan, ())
    except OverBudget:
        return "too large"
    drawn = bounds(plan, 400, 64).total.sampled_tokens
    if not runnable(plan) or drawn is None or drawn > _TOKENS:
        return "too large"
    outcome = alone(plan, world(1, seed))
    if outcome.error is None:
        return "answered"
    assert outcome.error
    return "failed"


def _shown(plan: Plan) -> None:
    """Text, drawing and EXPLAIN; all of it can be printed."""
    for shown in (to_text(plan), explained(plan, "dot"), explained(plan)):
        assert shown
        str(shown).encode()
    assert from_json(to_json(plan)) == plan


def campaign(seeds: range) -> Counter[str]:
    """What became of many mutated plans."""
    found: Counter[str] = Counter()
    for seed in seeds:
        text = mutated(seed)
        try:
            found[tried(text, seed)] += 1
        except (Exception, Slow) as error:
            raise AssertionError(f"mutated plan {seed}: {error!r}") from error
    return found
