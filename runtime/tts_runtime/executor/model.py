"""What the executor works on: conversations, nodes, candidates, rows.

A node is (conversation, ids, key). A candidate is one identity: a row is a candidate with columns,
and several rows (scored, not scored) can stand for one candidate. Everything is written once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from functools import lru_cache
from math import nan
from typing import Any, Final, TypeAlias

from tts_lang.plan.graph import Operation
from tts_lang.values import total
from tts_runtime.answers.boundary import EXCEPTION, Form, form, form_later
from tts_runtime.engines.base import CandidateError, Finish
from tts_runtime.engines.policy import Policy
from tts_runtime.executor.backed import UNVISITED, Backed
from tts_runtime.randomness import row_lane
from tts_runtime.steps import NOTHING, StepSplit
from tts_runtime.streams import UNCLAIMED, Key, fresh_key, lane_key
from tts_runtime.tokens import encode, joined, to_text

#: Scores of a process scorer's steps, or of a judge's readings.
Vector: TypeAlias = "tuple[float | None, ...]"

EMPTY: Final[Mapping[str, Any]] = {}

#: Where a call runs beside the plain one on a node: the how-manieth row on it (>= 1, C13), or a
#: strategy and the how-manieth fresh call of it (C65).
Lane: TypeAlias = "int | tuple[str, int]"


#: Nodes between those that keep the ids of the nodes between them.
_STRETCH: Final = 16


class Conversation:
    """A prompt and the key that its candidates descend from.

    `message` is what the policy's chat template is filled with. `own`: it is the problem's own.
    `history`: the path that it continues, by another turn (C73).
    """

    __slots__ = ("_prompts", "history", "key", "message", "own", "thinking")

    def __init__(
        self, key: Key, message: str, *, thinking: bool, own: bool, history: Node | None = None
    ) -> None:
        self.key = key
        self.history = history
        self.message = message
        self.thinking = thinking
        self.own = own
        self._prompts: dict[str, tuple[int, ...]] = {}

    def prompt(self, policy: Policy) -> tuple[int, ...]:
        """Ids of the prompt, as `policy` reads it."""
        ids = self._prompts.get(policy.name)
        if ids is None:
            if self.history is None:
                text = policy.binding.open(self.message, thinking=self.thinking)
                ids = encode(policy.tokenizer, text)
            else:
                ids = (*self._before(self.history, policy), *self.turn(policy))
            self._prompts[policy.name] = ids
        return ids

    def turn(self, policy: Policy) -> tuple[int, ...]:
        """Ids of the last turn, where there is one before."""
        text = policy.binding.follow(self.message, thinking=self.thinking)
        return encode(policy.tokenizer, text)

    def _before(self, history: Node, policy: Policy) -> tuple[int, ...]:
        """The conversation so far; a policy with another tokenizer reads it as text (C9)."""
        same = shares_ids(history, policy)
        path = history.path() if same else encode(policy.tokenizer, history.text)
        return (*history.conversation.prompt(policy), *path)


class Node:
    """A path of a conversation: the ids added to a parent node, and the key of its stream.

    It keeps what is new, not the path: ids and text of the whole are put together when asked for.
    `depth` counts the nodes before it; `anchor` is the nearest of them at a multiple of `_STRETCH`.

    `tokens` are the sampled ids on the path (C21), `level` the zero-token ancestors at this
    position (C10), `claimed` the sampling that the key belongs to (streams.py). `sampled` says
    whether this node's own ids were. `rank` is the largest child number on the path: how late its
    requests go (`GenerateRequest.priority`). `reader` is the last policy that was seen to have read
    the path. `mixed`: policies with different delimiters wrote it. `start`, of a problem's own
    first node only, holds the lanes of the calls that lead to it (C13). `sampling`: the clauses
    that its own ids were sampled with, as child `number` of its parent. `error`: why there is no
    text of its own, and it is done: it has no answer and no score (C64).
    """

    __slots__ = (
        "_form",
        "_stretched",
        "_written",
        "anchor",
        "claimed",
        "conversation",
        "depth",
        "done",
        "end_logprob",
        "error",
        "finish",
        "ids",
        "key",
        "level",
        "logprobs",
        "mixed",
        "number",
        "parent",
        "policy",
        "position",
        "rank",
        "reader",
        "sampled",
        "sampling",
        "segments",
        "start",
        "statistics",
        "tokens",
    )

    def __init__(
        self,
        conversation: Conversation,
        parent: Node | None,
        policy: Policy,
        ids: tuple[int, ...],
        key: Key,
        claimed: bytes,
        level: int,
        segments: StepSplit,
        finish: Finish | None,
        done: bool,
        sampled: bool,
        logprobs: Sequence[float] = (),
        end_logprob: float = 0.0,
        statistics: Mapping[str, tuple[float, ...]] = EMPTY,
        error: CandidateError | None = None,
    ) -> None:
        self.conversation = conversation
        self.parent = parent
        self.policy = policy
        self.ids = ids
        self.key = key
        self.claimed = claimed
        self.level = level
        self.segments = segments
        self.finish = finish
        self.done = done
        self.sampled = sampled
        self.logprobs = logprobs
        self.end_logprob = end_logprob
        self.statistics = statistics
        self.error = error
        self.start: tuple[Lane, ...] | None = None
        self.sampling: Mapping[str, Any] | None = None
        self.number = 0
        if parent is None:
            self.position = len(ids)
            self.tokens = len(ids) if sampled else 0
            self.rank = self.depth = 0
            self.mixed = False
            self.anchor: Node | None = None
        else:
            self.position = parent.position + len(ids)
            self.tokens = parent.tokens + len(ids) if sampled else parent.tokens
            self.rank = parent.rank
            self.depth = parent.depth + 1
            self.anchor = parent.anchor if parent.depth % _STRETCH else parent
            self.mixed = parent.mixed or (
                parent.policy is not policy and parent.policy.delimiter != policy.delimiter
            )
        self._stretched: tuple[int, ...] | None = None
        self._written: tuple[str | None, str | None] | None = None
        self._form: Form | None = None
        self.reader: Policy | None = None

    @property
    def place(self) -> tuple[Key, Key, bytes, int, int]:
        """Children are counted per scope and this (C2)."""
        return (self.conversation.key, self.key, self.claimed, self.position, self.level)

    def edges(self) -> list[Node]:
        """The nodes of the path, oldest first; their `ids` together are the path."""
        found = [self]
        node = self.parent
        while node is not None:
            found.append(node)
            node = node.parent
        found.reverse()
        return found

    def path(self) -> tuple[int, ...]:
        """All ids after the prompt, forced ones included (C1)."""
        parts: list[tuple[int, ...]] = []
        node: Node | None = self
        while node is not None:
            if node.depth % _STRETCH:
                parts.append(node.ids)
                node = node.parent
            else:
                parts.append(node._stretch())
                node = node.anchor
        return joined(parts)

    def _stretch(self) -> tuple[int, ...]:
        """Its ids and those before, up to its anchor: what keeps the walk along a path short."""
        if self._stretched is None:
            parts: list[tuple[int, ...]] = []
            node: Node | None = self
            while node is not None and node is not self.anchor:
                parts.append(node.ids)
                node = node.parent
            self._stretched = joined(parts)
        return self._stretched

    @property
    def data(self) -> bytes:
        """The bytes of the path."""
        if self.mixed:
            return b"".join([node.policy.pieces[id_] for node in self.edges() for id_ in node.ids])
        segments = self.segments
        return self.policy.delimiter.join((*segments.closed, segments.tail))

    @property
    def text(self) -> str:
        """All text since the prompt, forced text included."""
        return to_text(self.data)

    @property
    def step_texts(self) -> tuple[str, ...]:
        """Text of each step, stripped (`StepSplit.texts`)."""
        segments = self.segments
        closed = segments.closed
        if segments.steps > len(closed):
            return (*map(_step_text, closed), _step_text(segments.tail))
        return tuple(map(_step_text, closed))

    @property
    def written(self) -> str | None:
        """The answer as written; missing while there is none."""
        if self.error is not None:
            return None
        if self._written is None:
            self._written = self.policy.written(self.text, self.finish)
        return self._written[0]

    @property
    def answers(self) -> tuple[str | None, str | None]:
        """The answer as written, and its canonical form; missing while there is none."""
        written = self.written
        if written is None:
            return None, None
        if self._form is None:
            self._form = form(written)
        return written, self._form.key

    def answer_later(self) -> Future[Any] | None:
        """What to wait for, if a process works the canonical form out, before `answers` is read."""
        written = self.written
        if written is None or self._form is not None:
            return None
        found = form_later(written)
        if isinstance(found, Form):
            self._form = found
            return None
        return found

    @property
    def unread(self) -> tuple[str, str] | None:
        """The kind of fault and why, where the answer could not be read, so that there is none or
        it is compared as text. Works nothing out that nobody has asked for."""
        if self._written is not None and self._written[1] is not None:
            return EXCEPTION, self._written[1]
        if self._form is not None and self._form.fault is not None:
            return self._form.kind, self._form.fault
        return None

    @property
    def logprob(self) -> float:
        """Of all that was sampled, the end included while it stands (C36); NaN: not known."""
        if self.error is not None:
            return nan
        numbers = [self.end_logprob]
        node: Node | None = self
        while node is not None:  # in any order: the sum is exact
            if node.sampled:
                numbers += node.logprobs
            node = node.parent
        found = total(numbers)
        return nan if found is None else found

    def closed_by_limit(self) -> Node:
        """This node with nothing left to draw: done, finish length (C21)."""
        return self._ended(Finish.LENGTH, None)

    def failed(self, error: CandidateError) -> Node:
        """This node where nothing can be drawn from it."""
        return self._ended(Finish.FAILED, error)

    def _ended(self, finish: Finish, error: CandidateError | None) -> Node:
        node = self._copy(self.key, self.claimed)
        node.finish, node.done, node.error, node.end_logprob = finish, True, error, 0.0
        return node

    def on_lane(self, lane: Lane) -> Node:
        """This node on the stream of another call on it, which nobody has claimed."""
        node = self._copy(_on_lane(self, lane), UNCLAIMED)
        node.start = None if self.start is None else (*self.start, lane)
        return node

    def _copy(self, key: Key, claimed: bytes) -> Node:
        node = Node(
            self.conversation,
            self.parent,
            self.policy,
            self.ids,
            key,
            claimed,
            self.level,
            self.segments,
            self.finish,
            self.done,
            self.sampled,
            self.logprobs,
            self.end_logprob,
            self.statistics,
            self.error,
        )
        node.start = self.start
        return node


@lru_cache(1 << 14)
def _step_text(piece: bytes) -> str:
    """A step is asked for again with every later step of its path."""
    return to_text(piece).strip()


def _on_lane(node: Node, lane: Lane) -> Key:
    if isinstance(lane, int):
        return lane_key(node.key, lane)
    strategy, number = lane
    return fresh_key(node.key, node.position, strategy, number)


def shares_ids(node: Node, policy: Policy) -> bool:
    """Whether a policy can read the ids of a path as they are."""
    return not node.ids or node.policy.tokenizer.fingerprint == policy.tokenizer.fingerprint


def opening(conversation: Conversation, policy: Policy) -> Node:
    """The first node of a conversation."""
    node = Node(
        conversation, None, policy, (), conversation.key, UNCLAIMED, 0, NOTHING, None, False, False
    )
    node.start = () if conversation.own else None
    return node


class Candidate:
    """An identity: what `+`, `-`, `parent` and `root` compare.

    Args:
        node: The node that it was made with.
        parent: The row that `expand` or `ask` worked on (C48).
        root: The tree that it belongs to; none starts a tree of its own (C49).
        before: The row that `force`, `cut` or `split` made it from.
        about: The row that its conversation asks about.
        lane: Where its random numbers come from; `None`: from its node.
        created: Sequence number, in its scope, of the operation that made its node.
        operation: The operation that made it; `None` for a problem's row.
    """

    __slots__ = (
        "_lane",
        "_root",
        "about",
        "before",
        "created",
        "errors",
        "node",
        "operation",
        "parent",
        "problem",
        "rootless",
        "scores",
        "uid",
    )

    def __init__(
        self,
        node: Node,
        parent: Row | None,
        root: Candidate | None,
        before: Row | None,
        about: Row | None,
        created: int,
        operation: Operation | None,
        lane: Key | None = None,
    ) -> None:
        self.node = node
        self.parent = parent
        self._root = root
        self.before = before
        self.about = about
        self.created = created
        self.operation = operation
        self._lane = lane
        self.problem = False
        #: It belongs to no tree: `problem`, and what is forced or cut of it.
        self.rootless = False
        self.scores: Mapping[str, float | Vector | None] = EMPTY
        #: Why a scorer gave it none, by name.
        self.errors: Mapping[str, str] = EMPTY
        self.uid = -1

    @property
    def root(self) -> Candidate | None:
        """The first of its tree."""
        # Not stored where it is itself: without cycles, a finished problem is freed at once.
        return None if self.rootless else self._root or self

    @property
    def lane(self) -> Key:
        """The key that its random draws descend from."""
        if self._lane is None:
            node = self.node
            self._lane = row_lane(node.key, node.position, node.level)
        return self._lane


class Row:
    """A candidate with columns.

    `lets` are the columns made by `let`, `scores` those of scorers, for which judges wrote `words`;
    `known` remembers scores of closed steps by scorer (C32), also where the columns are gone.
    """

    __slots__ = ("backed", "candidate", "known", "lets", "node", "scores", "words")

    def __init__(
        self,
        node: Node,
        candidate: Candidate,
        lets: Mapping[str, Any] = EMPTY,
        scores: Mapping[str, Any] = EMPTY,
        known: Mapping[str, ScoreCache] = EMPTY,
        backed: Backed = UNVISITED,
        words: Mapping[str, str] = EMPTY,
    ) -> None:
        self.node = node
        self.candidate = candidate
        self.lets = lets
        self.scores = scores
        self.known = known
        self.backed = backed
        self.words = words

    def with_score(self, name: str, column: Any, known: ScoreCache | None, said: Any = None) -> Row:
        """The same row with a score column, and what a judge said for it."""
        scores = {**self.scores, name: column} if self.scores else {name: column}
        caches = self.known if known is None else {**self.known, name: known}
        words = self.words if said is None else {**self.words, name: said}
        return Row(self.node, self.candidate, self.lets, scores, caches, self.backed, words)

    def with_let(self, name: str, value: object) -> Row:
        """The same row with a computed column."""
        return self._with({**self.lets, name: value}, self.backed)

    def with_backed(self, backed: Backed) -> Row:
        """The same row with other visits and another value (C54)."""
        return self._with(self.lets, backed)

    def _with(self, lets: Mapping[str, Any], backed: Backed) -> Row:
        return Row(self.node, self.candidate, lets, self.scores, self.known, backed, self.words)

    def passed(self) -> Row:
        """The row that goes through `expand`: its score columns end all the same (C28)."""
        return Row(self.node, self.candidate, self.lets, EMPTY, self.known)


class ScoreCache:
    """Scores of one scorer on one path: of the pieces that a delimiter closed, and of all of it."""

    __slots__ = ("closed", "column", "node")

    def __init__(self, node: Node, closed: Vector, column: Vector) -> None:
        self.node = node
        self.closed = closed
        self.column = column
