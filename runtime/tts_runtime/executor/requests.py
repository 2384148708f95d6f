"""A request for a generation: what it is called, and who waits for the reply."""

from __future__ import annotations

from asyncio import CancelledError, Future
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from tts_runtime.engines.base import CandidateError, Finish, GenerateRequest, Generation
from tts_runtime.executor.model import Node
from tts_runtime.executor.policies import Policy
from tts_runtime.executor.pools import PendingRow
from tts_runtime.executor.settings import Settings

if TYPE_CHECKING:
    from tts_runtime.executor.problem_run import ProblemRun

#: Called with the reply to a request.
Arrived: TypeAlias = Callable[[Generation], None]


def name_of(settings: Settings, node: Node, request: GenerateRequest) -> Any:
    """What equal requests of one problem have in common (C62).

    Stream key and position stand for the path (invariant U): paths are long to look up, and a
    request is looked up for every child. `Request.same_path` makes sure.
    """
    limits = request.limits
    if limits.watched:
        return object()  # what looks at every token is nobody else's
    if request.sampling.temperature:
        return (
            settings.signature,
            limits.max_tokens,
            request.key,
            node.position,
            request.first_rank,
        )
    # Temperature 0 ignores the key, so greedy children are one request (C15).
    return whole_name((settings.signature, limits.max_tokens, request.first_rank), request)


def whole_name(name: Any, request: GenerateRequest) -> Any:
    """A name with prompt and path in it."""
    return name, request.prompt, request.prefix


class Request:
    """One request on its way or answered; called by its future."""

    __slots__ = ("_waiting", "future", "name", "node", "policy", "reply", "run")

    def __init__(self, run: ProblemRun, node: Node, policy: Policy) -> None:
        self.name: Any = None
        self.node = node
        self.policy = policy
        self.future: Future[Generation] | None = None
        self.reply: Generation | None = None
        self.run = run
        self._waiting: list[Arrived] = []

    @property
    def pending(self) -> bool:
        """Whether the engine has yet to answer."""
        return self.future is not None and not self.future.done()

    def same_path(self, node: Node) -> bool:
        """Whether a request of the same name, from this node, goes on from the same path."""
        mine = self.node
        return mine is node or (
            mine.path() == node.path()
            and mine.conversation.message == node.conversation.message
            and mine.conversation.thinking == node.conversation.thinking
        )

    def abandon(self) -> None:
        """Nobody waits any more, whatever comes."""
        self._waiting = []

    def leave(self, slot: PendingRow) -> None:
        """The child in this place is not waited for; nobody else: the request is cancelled."""
        self._waiting = [each for each in self._waiting if getattr(each, "slot", None) is not slot]
        if not self._waiting and self.reply is None:
            self.run.unasked(self)

    def join(self, arrived: Arrived) -> None:
        """One more who asks for the same."""
        if self.reply is None:
            self._waiting.append(arrived)
        else:
            arrived(self.reply)

    def _failed(self, error: CandidateError) -> Generation:
        """The reply of a request that has none: nothing is added, and nothing may be (C64)."""
        segments = self.node.segments
        return Generation((), (), Finish.FAILED, segments, halted=True, error=error)

    def __call__(self, future: Future[Generation]) -> None:
        self.run.did(future)
        self.landed(future)

    def landed(self, future: Future[Generation]) -> None:
        """The engine is done with it."""
        run = self.run
        if not run.landed(future):
            return
        try:
            generation = future.result()
        except (Exception, CancelledError) as error:  # noqa: BLE001  (the run's, whatever it is)
            if not run.loses_one(error):
                run.broken(error)
                return
            generation = self._failed(error)
        if run.error is not None:
            return
        run.drew(self, generation.drawn)
        self.reply = generation
        self.future = None
        waiting, self._waiting = self._waiting, []
        try:
            for arrived in waiting:
                arrived(generation)
        except Exception as problem:  # noqa: BLE001  (kept: `execute` raises it or reports it)
            run.fail(problem)
        run.check_idle()
