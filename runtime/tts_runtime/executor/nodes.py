"""Paths: conversations, and the nodes that continue them. Everything is written once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from functools import lru_cache
from math import nan
from struct import Struct
from typing import Any, Final, TypeAlias

from tts_lang.values import total
from tts_runtime.answers.boundary import EXCEPTION, Form, form, form_later
from tts_runtime.binding import Messages
from tts_runtime.engines.base import CandidateError, Finish, Generation
from tts_runtime.engines.policy import Policy
from tts_runtime.steps import NOTHING, StepSplit
from tts_runtime.streams import UNCLAIMED, Key, fresh_key, lane_key
from tts_runtime.tokens import encode, joined, path_mark

EMPTY: Final[Mapping[str, Any]] = {}

#: Where a call runs beside the plain one on a node: the how-manieth row on it (>= 1, C13), or a
#: strategy and the how-manieth fresh call of it (C65).
Lane: TypeAlias = "int | tuple[str, int]"


#: Nodes before one, among which one is looked for that keeps its whole path: what is forced or
#: asked between two generations adds some.
_NEAR: Final = 4


class KeptPath:
    """What is kept of a path that is continued: its ids, and the texts of its closed steps.

    `before`: the node that kept its own when this began.
    """

    __slots__ = ("before", "ids", "texts")

    def __init__(self, before: Node | None) -> None:
        self.before = before
        self.ids: tuple[int, ...] | None = None
        self.texts: tuple[str, ...] | None = None


class Conversation:
    """A prompt and the key that its candidates descend from.

    `message` is what the policy's chat template is filled with. `own`: it is the problem's own, and
    `before` the messages before the problem (C79).
    `history`: the path that it continues, by another turn (C73).
    """

    __slots__ = ("before", "history", "key", "message", "own", "prompts", "thinking")

    def __init__(
        self,
        key: Key,
        message: str,
        *,
        thinking: bool,
        own: bool,
        history: Node | None = None,
        before: Messages = (),
    ) -> None:
        self.key = key
        self.before = before
        self.history = history
        self.message = message
        self.thinking = thinking
        self.own = own
        #: Ids of the prompt by the name of the policy that reads it, as far as they are known.
        self.prompts: dict[str, tuple[int, ...]] = {}

    def prompt(self, policy: Policy) -> tuple[int, ...]:
        """Ids of the prompt, as `policy` reads it."""
        ids = self.prompts.get(policy.name)
        if ids is None:
            if self.history is None:
                text = policy.binding.open(self.message, thinking=self.thinking, before=self.before)
                ids = encode(policy.tokenizer, text)
            else:
                ids = (*self._before(self.history, policy), *self.turn(policy))
            self.prompts[policy.name] = ids
        return ids

    def turn(self, policy: Policy) -> tuple[int, ...]:
        """Ids of the last turn, where there is one before."""
        text = policy.binding.follow(self.message, thinking=self.thinking)
        return encode(policy.tokenizer, text, continued=True)

    def _before(self, history: Node, policy: Policy) -> tuple[int, ...]:
        """The conversation so far; a policy with another tokenizer reads it as text (C9)."""
        same = shares_ids(history, policy)
        path = history.path() if same else encode(policy.tokenizer, history.text, continued=True)
        return (*history.conversation.prompt(policy), *path)


class Node:
    """A path of a conversation: the ids added to a parent node, and the key of its stream.

    It keeps what is new, not the path: ids and text of the whole are put together when asked for.
    Those of a path that is continued are kept until its grandchildren's are known (`prefix`).

    `tokens` are the sampled ids on the path (C21), `level` the zero-token ancestors at this
    position (C10), `claimed` the sampling that the key belongs to (streams.py). `sampled` says
    whether this node's own ids were. `rank` is the largest child number on the path: how late its
    requests go (`GenerateRequest.priority`). `reader` is the last policy that was seen to have read
    the path. `mixed`: policies with different delimiters wrote it. `sampling`: the clauses that its
    own ids were sampled with, as child `number` of its parent. `error`: why there is no text of its
    own, and it is done: it has no answer and no score (C64). `drawn`, `halted`: as in
    the policy's reply, of which a sampled node is what is kept (`generation`). `made`: how many
    children it has in the scope that drew it, whose number is `home` (`Scope.next_children`).
    `doubles`: the log-probabilities of its ids, side by side where it was given them so.
    """

    _mark: int
    #: Of a problem's own first node: the lanes of the calls that lead to it (C13).
    start: tuple[Lane, ...] | None = None

    __slots__ = (
        "_answer",
        "_kept",
        "_mark",
        "claimed",
        "conversation",
        "done",
        "doubles",
        "drawn",
        "end_logprob",
        "error",
        "finish",
        "halted",
        "home",
        "ids",
        "key",
        "level",
        "made",
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
        logprobs: Sequence[float] | bytes = (),
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
        self.doubles = logprobs
        self.end_logprob = end_logprob
        self.statistics = statistics
        self.error = error
        self.sampling: Mapping[str, Any] | None = None
        self.number = self.drawn = self.home = self.made = 0
        self.halted = False
        many = len(ids)
        if parent is None:
            self.position = many
            self.tokens = many if sampled else 0
            self.rank = 0
            self.mixed = False
        else:
            tokens = parent.tokens
            position = parent.position + many
            self.position = position = policy.ids.setdefault(position, position)
            if sampled:  # one number where they are equal: large numbers are objects
                tokens = position if tokens + many == position else tokens + many
            self.tokens = tokens
            self.rank = parent.rank
            self.mixed = parent.mixed or (
                parent.policy is not policy and parent.policy.delimiter != policy.delimiter
            )
        self._kept: KeptPath | None = None
        #: As written, why it could not be looked for, and the canonical form, as far as known.
        self._answer: tuple[str | None, str | None, Form | None] | None = None
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
        return joined(self._until(None))

    def _until(self, before: Node | None) -> list[tuple[int, ...]]:
        """Its ids and those of the nodes back to one before, which is left out."""
        parts = [self.ids]
        node = self.parent
        while node is not None and node is not before:
            parts.append(node.ids)
            node = node.parent
        return parts

    def prefix(self) -> tuple[int, ...]:
        """`path()` for those who continue it, kept: each adds only what is new to the one before.

        Two generations are kept, as children that are continued read their parent's. Nodes that
        nobody continues, which are most, keep nothing.
        """
        whole = self._kept or self._keep_path()
        ids = whole.ids
        if ids is None:
            before = whole.before
            earlier = None if before is None else before._kept
            if earlier is None or earlier.ids is None:
                ids = self.path()
            elif before is self.parent:
                ids = earlier.ids + self.ids
            else:
                ids = earlier.ids + joined(self._until(before))
            whole.ids = ids
        return ids

    def first_texts(self, many: int) -> tuple[str, ...]:
        """Texts of the first steps, which are closed; what was before its last node is kept."""
        parent = self.parent
        texts: tuple[str, ...] | None = None
        if parent is not None:
            whole = parent._kept or parent._keep_path()
            texts = whole.texts or parent._closed_texts(whole)
        return self.segments.texts[:many] if texts is None or len(texts) != many else texts

    def _closed_texts(self, whole: KeptPath) -> tuple[str, ...]:
        """The texts of the closed steps, kept as in `prefix`."""
        segments, before = self.segments, whole.before
        earlier = None if before is None else before._kept
        if earlier is None or earlier.texts is None:
            texts = segments.texts
        else:
            texts = earlier.texts + segments.texts_after(len(earlier.texts))
        if segments.tail:  # which may be a step
            texts = texts[: segments.many_closed]
        whole.texts = texts
        return texts

    def _keep_path(self) -> KeptPath:
        """Begins to keep the whole path; what the second one before it kept is dropped."""
        before = self.parent
        for _ in range(_NEAR):
            if before is None or (whole := before._kept) is not None:
                break
            before = before.parent
        else:
            before = whole = None
        if before is not None and whole is not None and whole.before is not None:
            whole.before._kept = None
        self._kept = KeptPath(before)
        return self._kept

    @property
    def mark(self) -> int:
        """The `path_mark` of the path, made of that of the node before when it is first asked for.

        Few runs ask, so that it is not there before.
        """
        new: list[Node] = []
        node: Node | None = self
        while node is not None and not hasattr(node, "_mark"):
            new.append(node)
            node = node.parent
        mark = 0 if node is None else node._mark
        for each in reversed(new):
            each._mark = mark = path_mark(mark, each.ids)
        return mark

    @property
    def logprobs(self) -> Sequence[float]:
        """Of its ids."""
        numbers = self.doubles
        return _doubles(len(numbers))(numbers) if type(numbers) is bytes else numbers

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
        return self.data.decode("utf-8", errors="replace")

    @property
    def written(self) -> str | None:
        """The answer as written; missing while there is none."""
        if self.error is not None:
            return None
        if self._answer is None:
            self._answer = *self.policy.written(self.text, self.finish), None
        return self._answer[0]

    @property
    def answers(self) -> tuple[str | None, str | None]:
        """The answer as written, and its canonical form; missing while there is none."""
        written, found = self.written, self._form
        if written is None:
            return None, None
        if found is None:
            found = self._keep(form(written))
        return written, found.key

    @property
    def _form(self) -> Form | None:
        return None if self._answer is None else self._answer[2]

    def _keep(self, found: Form) -> Form:
        assert self._answer is not None  # what it is the form of
        self._answer = (*self._answer[:2], found)
        return found

    def answer_later(self) -> Future[Any] | None:
        """What to wait for, if a process works the canonical form out, before `answers` is read."""
        written = self.written
        if written is None or self._form is not None:
            return None
        found = form_later(written)
        if isinstance(found, Form):
            self._keep(found)
            return None
        return found

    @property
    def unread(self) -> tuple[str, str] | None:
        """The kind of fault and why, where the answer could not be read, so that there is none or
        it is compared as text. Works nothing out that nobody has asked for."""
        _, why, found = self._answer or (None, None, None)
        if why is not None:
            return EXCEPTION, why
        return None if found is None or found.fault is None else (found.kind, found.fault)

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

    @property
    def generation(self) -> Generation:
        """The policy's reply that it was made of, for who asks the same again."""
        return Generation(
            self.ids,
            self.logprobs,
            self.finish or Finish.STOP,
            self.segments,
            self.end_logprob,
            self.halted,
            self.drawn,
            0,
            self.statistics,
            self.error,
        )

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
        if isinstance(node, FirstNode) and self.start is not None:
            node.start = (*self.start, lane)
        return node

    def _copy(self, key: Key, claimed: bytes) -> Node:
        node = type(self)(
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
            self.doubles,
            self.end_logprob,
            self.statistics,
            self.error,
        )
        if isinstance(node, FirstNode):
            node.start = self.start
        return node


@lru_cache(1 << 10)
def _doubles(size: int) -> Callable[[bytes], tuple[float, ...]]:
    """Reads numbers that stand side by side."""
    return Struct(f"{size >> 3}d").unpack


class FirstNode(Node):
    """The first node of a conversation."""

    __slots__ = ("start",)


def _on_lane(node: Node, lane: Lane) -> Key:
    if isinstance(lane, int):
        return lane_key(node.key, lane)
    strategy, number = lane
    return fresh_key(node.key, node.position, strategy, number)


def marks_before(nodes: Sequence[Node]) -> list[int]:
    """The `mark` of what each continues; keeps its own, too, as what continues it is next."""
    found: list[int] = []
    for node in nodes:
        parent = node.parent
        assert parent is not None  # it was drawn from something
        try:
            before = parent._mark
        except AttributeError:
            before = parent.mark
        found.append(before)
        node._mark = path_mark(before, node.ids)
    return found


def shares_ids(node: Node, policy: Policy) -> bool:
    """Whether a policy can read the ids of a path as they are."""
    return not node.ids or node.policy.tokenizer.fingerprint == policy.tokenizer.fingerprint


def opening(conversation: Conversation, policy: Policy) -> Node:
    """The first node of a conversation."""
    node = FirstNode(
        conversation, None, policy, (), conversation.key, UNCLAIMED, 0, NOTHING, None, False, False
    )
    node.start = () if conversation.own else None
    return node
