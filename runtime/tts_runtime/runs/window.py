"""The default number of problems in flight: enough to keep engines full."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import ceil
from typing import Final

from tts_lang.explain.costs import bounds
from tts_lang.plan.graph import Plan
from tts_runtime.engines.base import PolicyEngine

#: Problems in flight are this many times what fills the engines' slots: searches wait for their
#: slowest candidate, and votes that are decided leave slots free.
_MULTIPLE: Final = 16
#: Never fewer problems than this.
_LEAST: Final = 16
#: Slots of an engine that does not say how many it has.
_SLOTS: Final = 64


def default_window(plans: Sequence[Plan], policies: Iterable[PolicyEngine]) -> int:
    """Problems in flight for these plans on these engines.

    With all problems in flight, every one of them would end last: a crash would lose all, and
    memory would grow with the problem set.
    """
    slots = max((_slots(engine) for engine in policies), default=_SLOTS)
    rows = max((_rows(plan) for plan in plans), default=1)
    return max(_LEAST, ceil(_MULTIPLE * slots / rows))


def _slots(engine: PolicyEngine) -> int:
    load = engine.load
    return load.slots if load is not None and load.slots else _SLOTS


def _rows(plan: Plan) -> int:
    """Rows of the plan's largest pool, at most; 1 if nothing bounds them."""
    limits = [rows.high for rows in bounds(plan).rows.values() if rows.high is not None]
    return max([1, *limits])
