"""What a generated program may draw from and refer to at one point of its text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

Item = TypeVar("Item")
LARGEST_POOL = 6


class Choices:
    """Random choices, all made through `integer` so that Hypothesis can shrink them."""

    def __init__(self, integer: Callable[[int, int], int]) -> None:
        self.integer = integer

    def one_of(self, items: Sequence[Item]) -> Item:
        """One of them; the first is the simplest."""
        return items[self.integer(0, len(items) - 1)]

    def chance(self, percent: int) -> bool:
        """True in about that many of a hundred cases."""
        return self.integer(0, 99) >= 100 - percent


@dataclass(frozen=True, slots=True)
class PoolInfo:
    """What is known of a pool: at most `size` rows, columns by kind ("steps" or "number").

    `filtered`: a `where` made it, so the first of it would be rejection sampling, which is refused
    at temperature 0 (C15).
    """

    size: int
    scores: dict[str, str] = field(default_factory=dict)
    lets: frozenset[str] = frozenset()
    filtered: bool = False

    def children(self, size: int) -> PoolInfo:
        """After a verb that makes new rows: scores are gone, `let` columns stay (C28, C31)."""
        return PoolInfo(size, {}, self.lets)

    def kept(self, size: int) -> PoolInfo:
        """Some of the rows, all of the columns."""
        return replace(self, size=size)


@dataclass(frozen=True, slots=True)
class Helper:
    """A strategy that later ones may call; `cost` is about how many generations it takes.

    `samples` are the parameters of how it samples that a call can give (C72). `whole`: its own
    parameter is given already (C71). `inner`: what its parameter of this name can be.
    """

    name: str
    cost: int
    samples: tuple[str, ...] = ()
    whole: bool = False
    inner: tuple[str, ...] = ()


@dataclass(slots=True)
class World:
    """The state of a program that is being written.

    Args:
        choices: Where decisions come from.
        parameters: Names of the strategy's numbers.
        helpers: Strategies that may be called.
        budget: Generations that the rest of the strategy may still cost.
        factor: How often the current line runs at most.
        pools: Pools in scope.
        numbers: Numbers in scope, made by the program.
        frozen: Pools that the current loop must leave as they are.
    """

    choices: Choices
    parameters: tuple[str, ...]
    helpers: tuple[Helper, ...]
    budget: int
    factor: int = 1
    pools: dict[str, PoolInfo] = field(default_factory=dict)
    numbers: tuple[str, ...] = ()
    named: int = 0
    spent: int = 0
    thinks: bool = True
    frozen: frozenset[str] = frozenset()

    def new_name(self, letter: str) -> str:
        """A name not used before."""
        self.named += 1
        return f"{letter}{self.named}"

    def affords(self, generations: int) -> bool:
        """Whether that many generations on this line are within the budget."""
        return self.spent + generations * self.factor <= self.budget

    def spend(self, generations: int) -> None:
        """Notes what a line costs."""
        self.spent += generations * self.factor

    def some_pool(self) -> str:
        """A pool in scope, later ones more often."""
        names = list(reversed(self.pools))
        return self.choices.one_of([*names, *names[:2]])

    def some_changeable_pool(self) -> str | None:
        """A pool in scope that may be made again."""
        names = [name for name in reversed(self.pools) if name not in self.frozen]
        return self.choices.one_of([*names, *names[:2]]) if names else None
