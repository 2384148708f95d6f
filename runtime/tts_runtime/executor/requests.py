"""Requests to engines: what they cost, and their names (C62, C66)."""

from __future__ import annotations

import asyncio
from asyncio import CancelledError, Future
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, TypeAlias, TypeVar

from tts_runtime.engines.base import (
    CandidateError,
    EngineError,
    Fault,
    Finish,
    GenerateRequest,
    Generation,
    ScorerEngine,
    ScoreReply,
    ScoreRequest,
)
from tts_runtime.engines.policy import Policy
from tts_runtime.executor.nodes import Node, shares_ids
from tts_runtime.executor.problem import unforeseen

# ------------------------------------------------------------------ costs


@dataclass(slots=True)
class Counts:
    """The cost of a problem: a function of the strategy's requests, equal ones once (C66).

    Args:
        policy_calls: Different generations that it needed, those of judges and look-ahead included.
        policy_tokens: Tokens drawn in them, withheld ones and ends included.
        prompt_tokens: Per policy, every different prompt, and every token of a path that it reads
            and has not drawn, each once.
        scorer_calls: Different paths given to scorers.
        scorer_tokens: Per process scorer, the problem once and each step of each path once; per
            outcome scorer, each different path whole.
        by_policy: Of the tokens drawn and read, by the name of the policy.
        by_scorer: Of the scorer tokens, by the name of the scorer.
    """

    policy_calls: int = 0
    policy_tokens: int = 0
    prompt_tokens: int = 0
    scorer_calls: int = 0
    scorer_tokens: int = 0
    by_policy: dict[str, int] = field(default_factory=dict)
    by_scorer: dict[str, int] = field(default_factory=dict)


class _Policy:
    """The work of one policy."""

    __slots__ = ("calls", "drawn", "marks", "read")

    def __init__(self) -> None:
        self.calls = self.drawn = self.read = 0
        #: Nodes (by their places), conversations (by their keys), tokens (by digests).
        self.marks: set[Any] = set()


class _Scorer:
    """The work of one scorer."""

    __slots__ = ("calls", "steps", "tokens")

    def __init__(self) -> None:
        self.calls = self.tokens = 0
        #: Steps that it has read, by their marks; a dictionary takes less memory than a set.
        self.steps: dict[int, None] = {}


class CostCounter:
    """The costs of one problem."""

    __slots__ = ("_digests", "_policies", "_scorers")

    def __init__(self) -> None:
        self._policies: dict[str, _Policy] = {}
        self._scorers: dict[str, _Scorer] = {}
        self._digests: dict[Node, int] = {}

    @property
    def counts(self) -> Counts:
        """The counts so far."""
        policies, scorers = self._policies, self._scorers
        return Counts(
            sum(each.calls for each in policies.values()),
            sum(each.drawn for each in policies.values()),
            sum(each.read for each in policies.values()),
            sum(each.calls for each in scorers.values()),
            sum(each.tokens for each in scorers.values()),
            {name: policies[name].drawn + policies[name].read for name in sorted(policies)},
            {name: scorers[name].tokens for name in sorted(scorers)},
        )

    def generated(self, policy: Policy, node: Node, drawn: int) -> None:
        """A policy continued from a node; each generation is counted once by the caller."""
        mine = self._policies.get(policy.name)
        if mine is None:
            mine = self._policies[policy.name] = _Policy()
        mine.calls += 1
        mine.drawn += drawn
        if node.reader is not policy:
            mine.read += self._unread(policy, node, mine.marks)

    def scored(
        self, name: str, marks: Sequence[int] | None, reply: ScoreReply | CandidateError
    ) -> None:
        """A scorer read a path; each path is counted once by the caller.

        `marks`: of its new steps (`step_marks`), if it scores steps.
        """
        mine = self._scorers.get(name)
        if mine is None:
            mine = self._scorers[name] = _Scorer()
        mine.calls += 1
        if isinstance(reply, CandidateError):
            return
        if marks is None:
            mine.tokens += sum(reply.sizes)
            return
        read = mine.steps
        if not read:
            mine.tokens += reply.opening
        for mark, size in zip(marks, reply.sizes):  # noqa: B905  (for every step: keywords cost)
            if mark not in read:
                read[mark] = None
                mine.tokens += size

    def _unread(self, policy: Policy, node: Node, read: set[Any]) -> int:
        """Prompt and path tokens that the policy has neither read nor drawn in this problem."""
        count = 0
        place: Node | None = node
        while place is not None:
            if place.reader is policy:
                return count
            place.reader = policy
            mark = place.place
            if mark in read:
                return count
            read.add(mark)
            if place.ids and (not place.sampled or place.policy is not policy):
                count += self._foreign(place, read)
            place = place.parent
        # A conversation has several first nodes when calls run on lanes of their own.
        conversation = node.conversation.key
        if conversation not in read:
            read.add(conversation)
            history = node.conversation.history
            if history is not None and shares_ids(history, policy):
                count += len(node.conversation.turn(policy)) + self._unread(policy, history, read)
            else:
                count += len(node.conversation.prompt(policy))
        return count

    def _foreign(self, node: Node, read: set[Any]) -> int:
        """Tokens of a node that are not among those read; each is named by all before it.

        Equal paths may be cut into nodes in different ways, of which any may be seen first.
        """
        parent = node.parent
        start = node.position - len(node.ids)
        digest = hash(node.conversation.key) if parent is None else self._digest(parent)
        before = len(read)
        for position, token in enumerate(node.ids, start):
            digest = hash((digest, token, position))
            read.add(digest)
        self._digests[node] = digest
        return len(read) - before

    def _digest(self, node: Node) -> int:
        """A number for a path in its conversation."""
        path: list[Node] = []
        place: Node | None = node
        while place is not None and place not in self._digests:
            path.append(place)
            place = place.parent
        digest = hash(node.conversation.key) if place is None else self._digests[place]
        for each in reversed(path):
            start = each.position - len(each.ids)
            for position, token in enumerate(each.ids, start):
                digest = hash((digest, token, position))
            self._digests[each] = digest
        return digest


def step_marks(before: int, steps: Iterable[str]) -> list[int]:
    """A number for each step that names it and all before it; `before`: that of the step before."""
    marks: list[int] = []
    for step in steps:
        before = hash((before, step))
        marks.append(before)
    return marks


Reply = TypeVar("Reply")
#: Called with an engine's future when it is done.
Then: TypeAlias = Callable[[Any], object]


@dataclass(slots=True)
class Work:
    """The work of engines, for all requests; it depends on timing, caches and other problems.

    Args:
        policy_calls, scorer_calls: Requests that engines were given.
        policy_tokens: Tokens drawn for those that were answered.
        prompt_tokens: Prompt and path tokens that policies processed: what no cache had.
        scorer_tokens: Tokens that scorers processed: what no cache had.
        cancelled_calls: Requests to policies that were given up.
        cancelled_tokens: Tokens drawn for those, where engines can tell.
        speculated_tokens: Tokens drawn ahead of programs; a request that was given up half-way
            counts with its limit of tokens.
        wasted_tokens: Of these, those that no program came to.
    """

    policy_calls: int = 0
    policy_tokens: int = 0
    prompt_tokens: int = 0
    scorer_calls: int = 0
    scorer_tokens: int = 0
    cancelled_calls: int = 0
    cancelled_tokens: int = 0
    speculated_tokens: int = 0
    wasted_tokens: int = 0

    def generated(self, future: Future[Generation]) -> None:
        """A policy's engine is done with a request."""
        self.policy_calls += 1
        try:
            generation = future.result()
        except CancelledError:
            self.cancelled_calls += future.cancelled()
        except CandidateError as error:
            self.policy_tokens += error.drawn
            self.prompt_tokens += error.prefilled
        except Exception:  # noqa: BLE001  (who waits for it hears of it)
            return
        else:
            self.policy_tokens += generation.drawn
            self.prompt_tokens += generation.prefilled

    def scored(self, future: Future[ScoreReply] | Future[Sequence[ScoreReply]]) -> None:
        """A scorer's engine is done with a path, or with a pool."""
        try:
            found = future.result()
        except (Exception, CancelledError):  # noqa: BLE001  (who waits for it hears of it)
            self.scorer_calls += 1
            return
        if isinstance(found, ScoreReply):
            self.scorer_calls += 1
            self.scorer_tokens += found.tokens
            return
        for reply in found:
            self.scorer_calls += 1
            self.scorer_tokens += reply.tokens


def failure(node: Node, error: CandidateError) -> Generation:
    """The reply that a failed request has: nothing is added to the node, now or later (C64)."""
    return Generation(
        ids=(),
        logprobs=(),
        finish=Finish.FAILED,
        segments=node.segments,
        halted=True,
        drawn=error.drawn,
        error=error,
    )


# ------------------------------------------------------------------ names and sharing


def request_name(signature: str, position: int, request: GenerateRequest) -> Any:
    """The identity of a request within a problem: equal requests share it (C62).

    Stream key and position stand for the path (invariant U): paths are long to look up, and a
    request is looked up for every child. `same_path` makes sure.

    Args:
        signature: Of the call's clauses (`CallSettings.signature`).
        position: Tokens on the path that the request continues.
        request: The request itself.
    """
    limits = request.limits
    if limits.stop_when is not None or limits.end_when is not None:
        return object()  # what looks at every token is nobody else's
    if request.sampling.temperature:
        if request.first_rank is None:
            return signature, limits.max_tokens, request.key, position
        return signature, limits.max_tokens, request.key, position, request.first_rank
    # Temperature 0 ignores the key, so greedy children are one request (C15).
    return whole_name((signature, limits.max_tokens, request.first_rank), request)


def same_path(one: Node, other: Node, policy: Policy) -> bool:
    """Whether requests of the same name, from these nodes, continue the same path."""
    if one is other:
        return True
    mine, others = one.conversation, other.conversation
    return (
        one.path() == other.path()
        and mine.message == others.message
        and mine.thinking == others.thinking
        and (mine.history is others.history or mine.prompt(policy) == others.prompt(policy))
    )


def digest(text: str) -> bytes:
    """A digest that names a text where names are kept: a path's text is long."""
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def piece_mark(before: bytes, pieces: Iterable[bytes]) -> bytes:
    """The mark of a path: a digest of these pieces and all before them, whose mark is `before`."""
    for piece in pieces:
        before = blake2b(before + piece, digest_size=16).digest()
    return before


def whole_name(name: Any, request: GenerateRequest) -> Any:
    """A name with prompt and path in it."""
    return name, request.prompt, request.prefix


def asked(ask: Callable[[Any], Future[Reply]], argument: Any, then: Then | None) -> Future[Reply]:
    """An engine's future; `then` is called with it when it is done."""
    future = ask(argument)
    if then is not None:
        future.add_done_callback(then)
    return future


def scorer_future(
    ask: Callable[[Any, Then | None], Future[Reply]], argument: Any, then: Then | None
) -> Future[Reply]:
    """A scorer's future; one that raises at once gives a future that has failed."""
    try:
        return ask(argument, then)
    except Exception as error:  # noqa: BLE001  (a scorer may be anybody's code)
        future: Future[Reply] = failed_score(error)
        if then is not None:
            future.add_done_callback(then)
        return future


def scored_directly(
    engine: ScorerEngine, request: ScoreRequest, then: Then | None
) -> Future[ScoreReply]:
    """`scorer_future` of an engine that is asked itself."""
    try:
        future = engine.score(request)
    except Exception as error:  # noqa: BLE001  (a scorer may be anybody's code)
        future = failed_score(error)
    if then is not None:
        future.add_done_callback(then)
    return future


def failed_score(error: Exception) -> Future[Any]:
    """The future of a scorer that raised at once."""
    future: Future[Any] = asyncio.get_running_loop().create_future()
    future.set_exception(scorer_error(error))
    return future


def engine_error(error: BaseException) -> EngineError:
    """The error of an engine, whatever it raised."""
    if isinstance(error, CancelledError):
        return EngineError("the engine gave up a request (was it closed?)")
    if not isinstance(error, EngineError):  # an engine's library, out of memory perhaps
        return EngineError(f"the engine broke: {type(error).__name__}: {error}")
    return error


def scorer_error(error: BaseException) -> BaseException:
    """A scorer's error; an exception of its code, with the line, is that of the candidate."""
    if isinstance(error, EngineError | CancelledError):
        return error
    reported = CandidateError(Fault.EXCEPTION, unforeseen(error))
    reported.__cause__ = error
    return reported
