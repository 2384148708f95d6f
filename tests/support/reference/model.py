"""What the reference interpreter works on: conversations, nodes, rows, scopes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import count
from math import fsum, isfinite
from typing import TypeAlias

from tts_runtime.engines.base import Finish, GenerateRequest, Generation
from tts_runtime.steps import NOTHING, StepSplit
from tts_runtime.streams import UNCLAIMED, Key
from tts_runtime.tokens import Tokenizer, to_bytes, to_text

Value: TypeAlias = "int | float | str | bool | None"
Vector: TypeAlias = "tuple[float | None, ...]"

_identities = count(1)


class StrategyFailure(Exception):
    """The strategy cannot continue with this problem (a weight below 0, a score out of range)."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """A prompt and the key that its candidates descend from."""

    key: Key
    prompt: str
    problems_own: bool
    before: tuple[int, ...] = ()

    def ids(self, tokenizer: Tokenizer) -> tuple[int, ...]:
        """What a policy reads: earlier turns, then this one."""
        return (*self.before, *tokenizer.encode(self.prompt))


@dataclass(frozen=True, slots=True)
class Token:
    """One id of a path; `logprob` and `statistics` only if a policy drew it."""

    id: int
    sampled: bool
    logprob: float = 0.0
    statistics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Node:
    """A path of a conversation, with the key of its stream.

    `start` marks the problem's own node; its `lanes` are those of the calls that it is the problem
    of (C13, C65).
    """

    conversation: Conversation
    key: Key
    tokenizer: Tokenizer
    path: tuple[Token, ...] = ()
    segments: StepSplit = NOTHING
    claimed: bytes = UNCLAIMED
    level: int = 0
    finish: Finish | None = None
    done: bool = False
    end_logprob: float = 0.0
    start: bool = False
    lanes: tuple[int | tuple[str, int], ...] = ()

    @property
    def ids(self) -> tuple[int, ...]:
        """All ids after the prompt, forced ones included (C1)."""
        return tuple(token.id for token in self.path)

    @property
    def position(self) -> int:
        """Where the next token goes."""
        return len(self.path)

    @property
    def text(self) -> str:
        """Text after the prompt."""
        return to_text(to_bytes(self.tokenizer, self.ids))

    @property
    def tokens(self) -> int:
        """Sampled ids (C21)."""
        return sum(token.sampled for token in self.path)

    @property
    def logprob(self) -> float:
        """Of what was sampled, the end included while it stands (C36)."""
        return fsum([*(token.logprob for token in self.path if token.sampled), self.end_logprob])

    @property
    def identity(self) -> tuple[object, ...]:
        """Children are counted per scope and this."""
        return (self.conversation.key, self.key, self.claimed, self.position, self.level)


@dataclass(frozen=True, slots=True)
class Row:
    """A reference to a node, with an identity, a place in the lineage, and columns.

    `before` is the row that `force` or `cut` made this one from; `asked` the row that this
    conversation asks about; `problem` marks the row that a strategy calls `problem`, and
    `called_on` is the row of the caller that it stands for.
    """

    node: Node
    lane: Key
    parent: Row | None = None
    root: int | None = None
    before: Row | None = None
    asked: Row | None = None
    problem: bool = False
    lets: Mapping[str, Value] = field(default_factory=dict)
    scores: Mapping[str, Value | Vector] = field(default_factory=dict)
    visits: int = 0
    total: float = 0.0
    kept: str = "mean"
    backed: float | None = None
    uid: int = field(default_factory=_identities.__next__)
    called_on: Row | None = None

    @property
    def value(self) -> float | None:
        """What `backup` has kept: the mean of all visits' values, or another figure."""
        if not self.visits:
            return None
        found = self.total / self.visits if self.kept == "mean" else self.backed
        return found if found is not None and isfinite(found) else None

    def again(self, **changes: object) -> Row:
        """The same row (the same identity) with other columns."""
        return replace(self, uid=self.uid, **changes)  # type: ignore[arg-type]

    @property
    def recorded_parent(self) -> Row | None:
        """What the record calls its parent: for a strategy's `problem`, what it was called on."""
        parent = self.parent
        while parent is not None and parent.called_on is not None:
            parent = parent.called_on
        return parent

    def lineage(self) -> list[Row]:
        """The row itself, then everything it was made from, nearest first."""
        found: list[Row] = []
        row: Row | None = self
        while row is not None:
            found.append(row)
            row = row.before if row.before is not None else row.parent
        return found


Pool: TypeAlias = "list[Row]"


@dataclass(slots=True)
class Scope:
    """One strategy call: its problem row, and counters that start from 0 (C13)."""

    problem: Row
    thinks: bool
    children: Counter[object] = field(default_factory=Counter)
    draws: Counter[object] = field(default_factory=Counter)
    copies: Counter[object] = field(default_factory=Counter)
    fresh: Counter[str] = field(default_factory=Counter)
    resamplings: Counter[object] = field(default_factory=Counter)


@dataclass(slots=True)
class Counts:
    """Distinct policy requests and what they cost; `scorer_calls` counts repeated ones too."""

    policy_calls: int = 0
    policy_tokens: int = 0
    scorer_calls: int = 0


@dataclass(frozen=True, slots=True)
class ReferenceOutcome:
    """What a strategy gave for one problem."""

    answer: str | None
    answer_key: str | None
    row: Row | None
    rows: tuple[tuple[str, Row], ...]
    scores: Mapping[int, Mapping[str, Value | Vector]]
    counts: Counts
    drawn: tuple[tuple[str, GenerateRequest, Generation], ...]
