"""A plan: regions of operations, and the values that they define.

A plan is structured SSA: a `Region` is a straight list of `Operation`s in program order; each
defines values by number and reads values defined before it, in its own region or an enclosing one.
Loops, branches and calls hold regions of their own. Nothing is ever changed in place.

Two `Expand`s of one pool are two different operations even when they look alike: they ask for
different children (semantics.md C2), so they must never be merged by structural equality. The
position in the program is what tells them apart; every rewrite must keep the child numbers of the
program.

The operators and their clauses are defined in `ops` and `decoding`, and can be named from here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum

import tts_lang.notebook as notebook
from tts_lang.plan.decoding import Amount as Amount
from tts_lang.plan.decoding import Decoding as Decoding
from tts_lang.plan.decoding import Unit as Unit
from tts_lang.plan.expr import Scalar
from tts_lang.plan.operator import Kind as Kind
from tts_lang.plan.ops import *  # noqa: F403
from tts_lang.plan.ops import Spec
from tts_lang.plan.template import Template


class Exit(Enum):
    """The way in which a region ends."""

    YIELD = "yield"  # its results become the outputs of the operation that holds it
    RETURN = "return"  # its one result is what the strategy (or call) returns
    NEVER = "never"  # its last operation always returns, so its end is not reached


@dataclass(frozen=True, slots=True)
class Origin:
    """A place in a strategy file, 1-based; a rewritten operation may have several."""

    file: str
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Operation:
    """One step of a region: its operator, the values it reads, the values it defines."""

    spec: Spec
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    regions: tuple[Region, ...] = ()
    origins: tuple[Origin, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class Region:
    """A list of operations in program order, the values it starts from, and its results."""

    parameters: tuple[int, ...]
    operations: tuple[Operation, ...]
    results: tuple[int, ...]
    exit: Exit = Exit.YIELD


@dataclass(frozen=True, slots=True)
class Value:
    """A value's entry: its kind, its name in the file, a pool's columns.

    `columns` maps each column beyond the built-in ones to "steps" (a process scorer's vector),
    "number", "text" or "flag"; `None` stands for every column (the pool `none`).
    """

    kind: Kind
    name: str = ""
    columns: Mapping[str, str] | None = field(default_factory=dict)


#: Likeliest first tokens that `read probability` looks at; what is none of them has probability 0.
PROBABILITY_RANKS = 20


@dataclass(frozen=True, slots=True)
class Judge:
    """The prompt of a judge, and the reading of its number.

    Args:
        policy: The policy that answers.
        template: The question; its slots as in a prompt.
        read: "number", "choice", "ranking" or "probability" (of `options[0]` as the first token).
        after: Text after which the number stands in the reply; anywhere (the last) when absent.
        low, high: Accepted range of a "number".
        retries: How often an unreadable reply is requested again before the score is missing.
        decoding: How the reply is sampled.
        options: Words that stand for numbers, with `read choice of "sure" = 20, "likely" = 1`.
        pairwise: It sees two rows at a time, every ordered pair, and a row's score is its wins.
        history: Its question is another turn of the row's conversation (C73).
    """

    policy: str
    template: Template
    read: str
    after: str | None
    low: float | None
    high: float | None
    retries: int
    decoding: Decoding
    options: tuple[tuple[str, float], ...] = ()
    pairwise: bool = False
    history: bool = False


@dataclass(frozen=True, slots=True)
class Scorer:
    """A scorer that the plan reads.

    `steps`: a process scorer (a number per step), else one per solution. `together`: it sees the
    whole pool. `low`, `high`: its declared range; `None` for unbounded. `field`: it reads this
    field of the problem file, so it needs no engine.
    """

    name: str
    steps: bool
    together: bool = False
    low: float | None = 0.0
    high: float | None = 1.0
    judge: Judge | None = None
    field: str | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """A compiled strategy: what to do for one problem.

    `body` has one parameter, the pool `problem` (its one row is the problem itself), and exits by
    RETURN. `values` describes every value by its number. `thinks`: as in `Call`, for the main
    strategy.
    """

    strategy: str
    parameters: Mapping[str, Scalar]
    body: Region
    values: tuple[Value, ...]
    policies: tuple[str, ...] = ("policy",)
    scorers: tuple[Scorer, ...] = ()
    prompts: tuple[Template, ...] = ()
    thinks: bool = False
    document: str = ""
    file: str = ""

    def scorer(self, name: str) -> Scorer:
        """The scorer called `name`; a KeyError if the plan reads none of that name."""
        return {scorer.name: scorer for scorer in self.scorers}[name]

    def prompt(self, name: str) -> Template:
        """The prompt called `name`; a KeyError if the plan asks none of that name."""
        return {prompt.name: prompt for prompt in self.prompts}[name]

    def _repr_html_(self) -> str:
        """EXPLAIN, for notebooks."""
        return notebook.plan_html(self)


def operations(region: Region) -> Iterator[Operation]:
    """Every operation of a region and of the regions inside it, in program order."""
    for operation in region.operations:
        yield operation
        for inner in operation.regions:
            yield from operations(inner)
