"""Children of a node: requested by number, and made into rows when the engine replies."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from tts_lang.plan.expr import Expr
from tts_lang.plan.graph import Operation, Unit
from tts_runtime.engines.base import (
    Finish,
    GenerateRequest,
    Generation,
    Limits,
    Partial,
)
from tts_runtime.engines.policy import Policy
from tts_runtime.executor.expressions import Compiler
from tts_runtime.executor.model import EMPTY, Candidate, Node, Row, ScoreCache
from tts_runtime.executor.problem_run import ProblemRun
from tts_runtime.executor.scheduler import Content, Item, PendingRow, Pool
from tts_runtime.executor.settings import CallSettings
from tts_runtime.executor.views import Evaluate, View
from tts_runtime.streams import UNCLAIMED, Key, child_key


@dataclass(frozen=True, slots=True)
class CandidateMade:
    """A policy's reply, or what stands for it where there is none, has become a candidate."""

    run: ProblemRun
    row: Row


class GenerationCall:
    """One execution of an operation that generates.

    Args:
        run: The problem.
        operation: The operation, for errors and records.
        settings: Its clauses.
        sequence: Its number among the operations of the scope that number children.
    """

    __slots__ = ("on_candidate", "operation", "run", "sequence", "settings")

    def __init__(
        self, run: ProblemRun, operation: Operation, settings: CallSettings, sequence: int
    ) -> None:
        self.run = run
        self.operation = operation
        self.settings = settings
        self.sequence = sequence
        self.on_candidate = run.events.listeners(CandidateMade)


class ChildSpec:
    """What all children of one row in one operation share.

    Args:
        call: The operation's execution.
        node: What they continue.
        room: Tokens that their path has room for.
        parent, root, about: As in `Candidate`.
        lets, known: As in `Row`.
    """

    __slots__ = ("about", "call", "known", "lets", "node", "parent", "room", "root")

    def __init__(
        self,
        call: GenerationCall,
        node: Node,
        room: int,
        parent: Row | None,
        root: Candidate | None,
        about: Row | None,
        lets: Mapping[str, Any] = EMPTY,
        known: Mapping[str, ScoreCache] = EMPTY,
    ) -> None:
        self.call = call
        self.node = node
        self.room = room
        self.parent = parent
        self.root = root
        self.about = about
        self.lets = lets
        self.known = known

    def row(self, node: Node) -> Row:
        """A new row on a node; without a root it is the first of a tree of its own (C49)."""
        call = self.call
        candidate = Candidate(
            node, self.parent, self.root, None, self.about, call.sequence, call.operation
        )
        row = Row(node, candidate, self.lets, EMPTY, self.known)
        for listener in call.on_candidate:
            listener(CandidateMade(call.run, row))
        return row


class OnReply:
    """The callback of one pending child."""

    __slots__ = ("rank", "slot", "spec")

    def __init__(self, slot: PendingRow, spec: ChildSpec, rank: int) -> None:
        self.slot = slot
        self.spec = spec
        self.rank = rank

    def __call__(self, generation: Generation) -> None:
        spec = self.spec
        slot = self.slot
        call = spec.call
        node = child_node(spec.node, slot.key, call.settings, spec.room, generation)
        node.rank = self.rank
        call.run.deliver(slot, spec.row(node))


def child_node(
    node: Node, key: Key, settings: CallSettings, room: int, generation: Generation
) -> Node:
    """The child node that a generation gives (C10, C17)."""
    ids = generation.ids
    finish = generation.finish
    return Node(
        node.conversation,
        node,
        settings.policy,
        ids,
        key,
        UNCLAIMED if settings.irregular else settings.tag,
        0 if ids else node.level + 1,
        generation.segments,
        finish,
        finish is Finish.END or generation.halted or len(ids) >= room,
        True,
        generation.logprobs,
        generation.end_logprob,
        generation.statistics,
        generation.error,
    )


def request_for(
    node: Node, number: int, settings: CallSettings, limits: Limits, statistics: tuple[str, ...]
) -> GenerateRequest:
    """The request for a node's child of this number."""
    rank = node.rank
    return GenerateRequest(
        node.conversation.prompt(settings.policy),
        node.path(),
        child_key(node.key, node.claimed, node.position, node.level, number, settings.tag),
        settings.sampling,
        limits,
        node.segments,
        number if settings.likeliest else None,
        statistics,
        number if number > rank else rank,
    )


def children(
    spec: ChildSpec, first: int, many: int, view: View, place: PendingRow | None = None
) -> PendingRow | list[Item]:
    """`many` children of a row from number `first`, requested now; its room is above 0.

    `place`: receives them. An only child takes it for itself.
    """
    call, node = spec.call, spec.node
    run, settings = call.run, call.settings
    limits = settings.limits(spec.room)
    statistics = run.engines.statistics
    found: list[Item] = []
    for number in range(first, first + many):
        request = request_for(node, number, settings, limits, statistics)
        if settings.stop_when is not None or settings.end_when is not None:
            # Every request has watchers of its own: they follow what it draws.
            request = replace(request, limits=_watched(limits, spec, view))
        if place is not None and many == 1:
            slot = place
            slot.key = request.key
        else:
            slot = PendingRow(request.key, 1)
            found.append(slot)
        on_reply = OnReply(slot, spec, request.priority)
        slot.source = run.generate(settings.policy, settings.signature, node, request, on_reply)
    return found or place or []


def _watched(limits: Limits, spec: ChildSpec, view: View) -> Limits:
    """The limits with `stop when` and `end when`."""
    stop, end = spec.call.settings.stop_when, spec.call.settings.end_when
    return replace(
        limits,
        stop_when=None if stop is None else _watcher(stop, spec, view),
        end_when=None if end is None else _watcher(end, spec, view),
    )


def _watcher(condition: Evaluate, spec: ChildSpec, view: View) -> Callable[[Partial], bool]:
    """Evaluates a condition on the whole path after every token (C27)."""
    node = spec.node
    policy = spec.call.settings.policy
    streaming = View(view.draw_key, view.inputs, None, streaming=True)
    segments = node.segments
    parent = spec.parent
    seen = 0

    def fires(partial: Partial) -> bool:
        nonlocal segments, seen
        for token in partial.ids[seen:]:
            segments = segments.add(policy.pieces[token], policy.delimiter)
        seen = len(partial.ids)
        path = Node(
            node.conversation,
            node,
            policy,
            # Lists where a node has tuples: copying them for every token would cost n squared.
            cast("tuple[int, ...]", partial.ids),
            node.key,
            UNCLAIMED,
            0,
            segments,
            None,
            False,
            True,
            cast("tuple[float, ...]", partial.logprobs),
            0.0,
            cast("Mapping[str, tuple[float, ...]]", partial.statistics),
        )
        candidate = Candidate(path, parent, spec.root, None, spec.about, 0, None)
        scores = EMPTY if parent is None else parent.scores
        return condition(Row(path, candidate, spec.lets, scores), streaming) is True

    return fires


class LookAhead:
    """The `looking ahead k steps` of one score operation, if it has any.

    Look-ahead is a greedy rollout that is scored instead of the row and then discarded (C11).
    """

    def __init__(self, compiler: Compiler, policy: Policy, steps: Expr | None) -> None:
        self._steps = compiler.optional(steps)
        self._policy = policy
        self._greedy = replace(self._policy.defaults, temperature=0.0)

    def settings(self, problem: Row, view: View) -> CallSettings | None:
        """How rollouts are generated; `None` for no look-ahead, or of no steps."""
        steps = 0 if self._steps is None else view.whole(self._steps(problem, view))
        if steps <= 0:
            return None
        return CallSettings(self._policy, self._greedy, Unit.STEPS, steps)


def roll_out(
    run: ProblemRun, node: Node, settings: CallSettings, arrived: Callable[[Node], None]
) -> bool:
    """Starts a rollout from a node; false if it is done or has no room, and stands as it is."""
    room = settings.room(node)
    if node.done or room <= 0:
        return False
    request = GenerateRequest(
        node.conversation.prompt(settings.policy),
        node.path(),
        node.key,
        settings.sampling,
        settings.limits(room),
        node.segments,
        None,
        run.engines.statistics,
    )

    def generated(generation: Generation) -> None:
        arrived(child_node(node, node.key, settings, room, generation))

    run.generate(settings.policy, settings.signature, node, request, generated)
    return True


def rolled_out(
    run: ProblemRun, pool: Pool, settings: CallSettings | None, originals: dict[Candidate, Row]
) -> Pool:
    """The rows with their rollouts in their stead; `originals` gets the rows themselves."""
    if settings is None:
        return pool
    chosen = settings

    def work(row: Row, slot: PendingRow | None) -> Content:
        originals[row.candidate] = row
        target = PendingRow() if slot is None else slot

        def arrived(node: Node) -> None:
            run.resolve(target, Row(node, row.candidate, row.lets, row.scores, row.known))

        return target if roll_out(run, row.node, chosen, arrived) else row

    return run.map(pool, work)
