"""Pools and costs in a world where all steps and all solutions are equally long."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from tts_lang.explain.guess import Truth

_NUMBERS = ("rows", "tokens", "parents", "roots", "forced", "prompt")


@dataclass(frozen=True, slots=True)
class Pool:
    """Rows that are all alike.

    Args:
        rows: Mean number of rows; `parents`, `roots`: of groups by these keys.
        tokens: Sampled tokens of a path; `forced`: those that nobody sampled.
        read: By process scorer: tokens of a path that it has read.
        prompt: Tokens of the conversation's prompt.
        own: In which of the problem's conversations the rows are (`cost.Pool.own`); 0: in others.
        mine: By policy: tokens of a path that it has read or sampled.
    """

    rows: float
    tokens: float = 0.0
    parents: float = 1.0
    roots: float = 1.0
    read: Mapping[str, float] = field(default_factory=dict)
    forced: float = 0.0
    prompt: float = 0.0
    own: int = 1
    mine: Mapping[str, float] = field(default_factory=dict)

    @property
    def length(self) -> float:
        """Tokens of a path."""
        return self.tokens + self.forced

    def sized(self, rows: float) -> Pool:
        """Fewer (or more) of the same rows."""
        return replace(
            self, rows=rows, parents=min(self.parents, rows), roots=min(self.roots, rows)
        )


@dataclass(slots=True)
class Expected:
    """One operation over a whole run: executions, rows given in all of them, and what it spends.

    The costs are those of `bounds.Spent`.
    """

    times: float = 0.0
    rows: float = 0.0
    policy_calls: float = 0.0
    sampled_tokens: float = 0.0
    prefilled_tokens: float = 0.0
    cached_tokens: float = 0.0
    scorer_calls: float = 0.0
    scorer_tokens: float = 0.0
    whole_scorer_tokens: float = 0.0
    rounds: float = 0.0
    flops: float = 0.0
    operations: float = 0.0


#: The fields of `Expected` that are costs.
COSTS = (
    "policy_calls",
    "sampled_tokens",
    "prefilled_tokens",
    "cached_tokens",
    "scorer_calls",
    "scorer_tokens",
    "whole_scorer_tokens",
    "rounds",
    "flops",
    "operations",
)


def total_of(costs: Sequence[Expected]) -> Expected:
    """The sum of all operations."""
    return Expected(**{name: sum(getattr(cost, name) for cost in costs) for name in COSTS})


Value: TypeAlias = "Pool | Truth"


def together(left: Pool, right: Pool) -> Pool:
    """The rows of both."""
    if not left.rows or not right.rows:
        return right if not left.rows else left
    rows = left.rows + right.rows
    mixed = mean([(left.rows / rows, left), (right.rows / rows, right)])
    assert isinstance(mixed, Pool)
    return replace(
        mixed, rows=rows, parents=left.parents + right.parents, roots=left.roots + right.roots
    )


def mean(sides: Sequence[tuple[float, Any]]) -> Value:
    """Of pools, field by field; of anything else, what is the same on all sides."""
    first = sides[0][1]
    if isinstance(first, Pool):
        numbers = {
            name: sum(part * getattr(pool, name) for part, pool in sides) for name in _NUMBERS
        }
        known = {
            name: {
                key: sum(part * getattr(pool, name).get(key, 0.0) for part, pool in sides)
                for key in set[str]().union(*(getattr(pool, name) for _, pool in sides))
            }
            for name in ("read", "mine")
        }
        own = 0
        for _, pool in sides:
            own |= pool.own
        return Pool(**numbers, **known, own=own)  # type: ignore[arg-type]
    same: Truth = first if all(value == first for _, value in sides) else None
    return same
