"""Requests to policies for one operation: the children of a row by number, and look-ahead."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from struct import Struct
from typing import Any

from tts_lang.plan.expr import Expr
from tts_lang.plan.graph import Operation, Unit
from tts_runtime.engines.base import (
    Finish,
    GenerateRequest,
    Generation,
    Limits,
    Partial,
    StreamOrigin,
)
from tts_runtime.engines.policy import Policy
from tts_runtime.executor.clauses import CallSettings, watcher
from tts_runtime.executor.expressions import Compiler
from tts_runtime.executor.nodes import EMPTY, Node
from tts_runtime.executor.pools import Content, Demand, Item, PendingReply, PendingRow, Pool
from tts_runtime.executor.problem_run import ProblemRun
from tts_runtime.executor.rows import Candidate, Row, Scores
from tts_runtime.executor.views import View
from tts_runtime.streams import UNCLAIMED, Key, child_key

# ------------------------------------------------------------------ the answer while it is drawn


@dataclass(frozen=True, slots=True)
class AnswerDrawn:
    """More tokens have been drawn of what is going to be the answer.

    Args:
        node: What the generation continues: the text of its path begins the answer.
        policy: Draws the tokens.
        partial: All that it has drawn; another object once an engine has begun again.
    """

    node: Node
    policy: Policy
    partial: Partial


class AnswerFeed:
    """Tells a run's listeners of tokens as an engine draws them, in the event loop of the run.

    Engines may call it in threads of their own; tokens that come faster than the loop turns are
    told together.
    """

    __slots__ = ("_listeners", "_loop", "_node", "_policy", "_told")

    def __init__(
        self, listeners: Sequence[Callable[[AnswerDrawn], None]], policy: Policy, node: Node
    ) -> None:
        self._listeners = listeners
        self._loop = asyncio.get_running_loop()
        self._policy = policy
        self._node = node
        self._told = True

    def __call__(self, partial: Partial) -> None:
        """A token has been drawn."""
        if self._told and not self._loop.is_closed():
            self._told = False
            self._loop.call_soon_threadsafe(self._tell, partial)

    def _tell(self, partial: Partial) -> None:
        self._told = True
        for listener in self._listeners:
            listener(AnswerDrawn(self._node, self._policy, partial))


# ------------------------------------------------------------------ children


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
        home: The number of the scope.
        demand: Makes the requests when they are needed; `None`: at once.
        answer: Its one child is the answer.
    """

    __slots__ = (
        *("demand", "home", "on_answer", "on_candidate"),
        *("operation", "run", "sequence", "settings"),
    )

    def __init__(
        self,
        run: ProblemRun,
        operation: Operation,
        settings: CallSettings,
        sequence: int,
        home: int,
        demand: Demand | None = None,
        answer: bool = False,
    ) -> None:
        self.demand = demand
        self.run = run
        self.operation = operation
        self.settings = settings
        self.sequence = sequence
        self.home = home
        self.on_candidate = run.events.listeners(CandidateMade)
        # Of a thought's delimiter, which is withheld, the first tokens would be told.
        told = answer and settings.unit is not Unit.THOUGHTS
        self.on_answer = run.events.listeners(AnswerDrawn) if told else ()


class ChildSpec:
    """The common part of all children of one row in one operation.

    Args:
        call: The operation's execution.
        node: What they continue.
        room: Tokens that their path has room for.
        parent: The row.
        root, about: As in `Candidate`.
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
        known: Scores | None = None,
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
        call, parent = self.call, self.parent
        candidate = Candidate(
            node,
            None if parent is None else parent.candidate,
            self.root,
            None,
            self.about,
            call.sequence,
            call.operation,
        )
        row = Row(node, candidate, self.lets, EMPTY, self.known)
        for listener in call.on_candidate:
            listener(CandidateMade(call.run, row))
        return row


class OnReply:
    """The callback of one pending child; gives its node.

    One that comes to have `fewer` tokens is lost (C74).
    """

    __slots__ = ("fewer", "number", "rank", "slot", "spec")

    def __init__(self, slot: PendingRow, spec: ChildSpec, number: int, rank: int) -> None:
        self.slot = slot
        self.spec = spec
        self.number = number
        self.rank = rank
        self.fewer: int | None = None

    def __call__(self, generation: Generation) -> Node | None:
        spec = self.spec
        slot = self.slot
        call = spec.call
        if self.fewer is not None and spec.node.tokens + len(generation.ids) >= self.fewer:
            call.run.resolve(slot, None)
            return None
        node = child_node(spec.node, slot.key, call.settings, spec.room, generation)
        node.number = self.number
        node.rank = self.rank
        node.home = call.home
        row = spec.row(node)
        if node.done:
            call.run.deliver(slot, row)
        else:
            call.run.resolve(slot, row)
        return node


def child_node(
    node: Node, key: Key, settings: CallSettings, room: int, generation: Generation
) -> Node:
    """The child node that a generation gives (C10, C17), in little memory: runs keep it.

    Engines make an object of each id.
    """
    ids = generation.ids
    ids = tuple(map(settings.policy.ids.setdefault, ids, ids))
    finish = generation.finish
    child = Node(
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
        _doubles(len(generation.logprobs))(*generation.logprobs),
        generation.end_logprob,
        generation.statistics or EMPTY,
        generation.error,
    )
    child.drawn = generation.drawn
    child.halted = generation.halted
    child.sampling = settings.clauses
    if node.reader is settings.policy:  # it has drawn what is new
        child.reader = node.reader
    return child


@lru_cache(1 << 10)
def _doubles(many: int) -> Callable[..., bytes]:
    """Puts numbers side by side."""
    return Struct(f"{many}d").pack


#: Makes a named tuple of its values, in half the time.
_named = tuple.__new__


def request_for(
    run: ProblemRun, node: Node, number: int, settings: CallSettings, limits: Limits
) -> GenerateRequest:
    """The request for a node's child of this number."""
    rank, policy, conversation = node.rank, settings.policy, node.conversation
    return GenerateRequest.after(
        node,
        conversation.prompts.get(policy.name) or conversation.prompt(policy),
        child_key(node.key, node.claimed, node.position, node.level, number, settings.tag),
        settings.sampling,
        limits,
        number if settings.likeliest else None,
        run.engines.statistics,
        run.engines.logprobs,
        number if number > rank else rank,
        _named(StreamOrigin, (run.root_key, node.key, number, node.level)),
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
    found: list[Item] = []
    for number in range(first, first + many):
        request = request_for(run, node, number, settings, limits)
        if settings.stop_when is not None or settings.end_when is not None:
            # Every request has watchers of its own: they follow what it draws.
            request = replace(request, limits=_watched(limits, spec, view))
        if call.on_answer:
            request = replace(request, on_token=AnswerFeed(call.on_answer, settings.policy, node))
        if place is not None and many == 1:
            slot = place
            slot.key = request.key
        else:
            slot = PendingRow(request.key, 1)
            found.append(slot)
        on_reply = OnReply(slot, spec, number, request.priority)
        if call.demand is None:
            slot.source = run.generate(settings.policy, settings.signature, node, request, on_reply)
        else:
            call.demand.add(slot, partial(_ask_shorter, node, request, on_reply))
    return found or place or []


def _ask_shorter(
    node: Node,
    request: GenerateRequest,
    on_reply: OnReply,
    fewer: int | None,
) -> PendingReply | None:
    """Makes a request; with `fewer`, it is cut off once its path has that many tokens."""
    call = on_reply.spec.call
    ask = partial(call.run.generate, call.settings.policy, call.settings.signature)
    if fewer is None:
        return ask(node, request, on_reply)
    on_reply.fewer = fewer
    if node.tokens >= fewer:
        call.run.resolve(on_reply.slot, None)
        return None
    limits = request.limits
    # Ends and delimiters are drawn, and are no tokens of the path.
    most = fewer - node.tokens + len(limits.thought) + 1
    if most < limits.max_tokens:
        request = replace(request, limits=replace(limits, max_tokens=most))
    return ask(node, request, on_reply)


def _watched(limits: Limits, spec: ChildSpec, view: View) -> Limits:
    """The limits with `stop when` and `end when`."""
    settings = spec.call.settings
    drawn = partial(_drawn, spec)
    stop, end = settings.stop_when, settings.end_when
    policy, node = settings.policy, spec.node
    return replace(
        limits,
        stop_when=None if stop is None else watcher(stop, policy, node, drawn, view),
        end_when=None if end is None else watcher(end, policy, node, drawn, view),
    )


def _drawn(spec: ChildSpec, path: Node) -> Row:
    """A row while it is being drawn."""
    parent = spec.parent
    above = None if parent is None else parent.candidate
    candidate = Candidate(path, above, spec.root, None, spec.about, 0, None)
    return Row(path, candidate, spec.lets, EMPTY if parent is None else parent.scores)


# ------------------------------------------------------------------ look-ahead


class LookAhead:
    """The `looking ahead k steps` of one score operation, if it has any."""

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
    request = GenerateRequest.after(
        node,
        node.conversation.prompt(settings.policy),
        node.key,
        settings.sampling,
        settings.limits(room),
        None,
        run.engines.statistics,
        run.engines.logprobs,
    )

    def generated(generation: Generation) -> Node:
        child = child_node(node, node.key, settings, room, generation)
        arrived(child)
        return child

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
        target = PendingRow(b"", 1) if slot is None else slot

        def arrived(node: Node) -> None:
            run.resolve(target, Row(node, row.candidate, row.lets, row.scores, row.known))

        return target if roll_out(run, row.node, chosen, arrived) else row

    return run.map(pool, work)
