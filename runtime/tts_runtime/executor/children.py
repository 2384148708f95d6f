"""Children of a node: numbered, requested, and made into rows when the engine replies."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, cast

from tts_runtime.engines.base import (
    Finish,
    GenerateRequest,
    Generation,
    Limits,
    Partial,
)
from tts_runtime.executor.expressions import Evaluate
from tts_runtime.executor.model import EMPTY, Candidate, Node, Row, ScoreCache
from tts_runtime.executor.pools import Item, PendingRow
from tts_runtime.executor.problem_run import ProblemRun
from tts_runtime.executor.scope import Scope
from tts_runtime.executor.settings import Settings
from tts_runtime.executor.sites import Site
from tts_runtime.executor.views import View
from tts_runtime.streams import UNCLAIMED, Key, child_key


class ChildSpec:
    """What all children of one row in one operation share.

    `node`, `settings`, `room`: where they go on, how, and how far. `parent`, `root`, `asked` as in
    `Candidate`; `created`: the operation's sequence number.
    """

    __slots__ = (
        "asked",
        "created",
        "known",
        "lets",
        "node",
        "parent",
        "room",
        "root",
        "run",
        "settings",
        "site",
    )

    def __init__(
        self,
        run: ProblemRun,
        node: Node,
        settings: Settings,
        room: int,
        parent: Row | None,
        root: Candidate | None,
        asked: Row | None,
        lets: Mapping[str, Any],
        known: Mapping[str, ScoreCache],
        created: int,
        site: Site,
    ) -> None:
        self.run = run
        self.node = node
        self.settings = settings
        self.room = room
        self.parent = parent
        self.root = root
        self.asked = asked
        self.lets = lets
        self.known = known
        self.created = created
        self.site = site

    def row(self, node: Node) -> Row:
        """A new row on a node; without a root it is the first of a tree of its own (C49)."""
        candidate = Candidate(
            node, self.parent, self.root, None, self.asked, self.created, self.site
        )
        self.run.observer.candidate_done(self.run.problem.id)
        return Row(node, candidate, self.lets, EMPTY, self.known)


class OnReply:
    """One child on its way: called with the engine's reply."""

    __slots__ = ("parentage", "rank", "slot")

    def __init__(self, slot: PendingRow, parentage: ChildSpec, rank: int) -> None:
        self.slot = slot
        self.parentage = parentage
        self.rank = rank

    def __call__(self, generation: Generation) -> None:
        parentage = self.parentage
        slot = self.slot
        node = child_node(parentage.node, slot.key, parentage.settings, parentage.room, generation)
        node.rank = self.rank
        parentage.run.deliver(slot, parentage.row(node))


def child_node(node: Node, key: Key, settings: Settings, room: int, generation: Generation) -> Node:
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
    node: Node, number: int, settings: Settings, limits: Limits, statistics: tuple[str, ...]
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
    scope: Scope, parentage: ChildSpec, many: int, view: View, place: PendingRow | None = None
) -> PendingRow | list[Item]:
    """`many` further children of a row, requested now; its room is above 0.

    `place`: where they go. An only child takes it for itself.
    """
    node, settings = parentage.node, parentage.settings
    first = scope.next_children(node, many)
    limits = settings.limits(parentage.room)
    run = scope.run
    statistics = run.bound.program.statistics
    found: list[Item] = []
    for number in range(first, first + many):
        request = request_for(node, number, settings, limits, statistics)
        if settings.stop_when is not None or settings.end_when is not None:
            # Every request has watchers of its own: they follow what it draws.
            request = replace(request, limits=_watched(limits, parentage, view))
        if place is not None and many == 1:
            slot = place
            slot.key = request.key
        else:
            slot = PendingRow(request.key, 1)
            found.append(slot)
        birth = OnReply(slot, parentage, request.priority)
        slot.request = run.generate(settings, node, request, birth)
    return found or place or []


def _watched(limits: Limits, parentage: ChildSpec, view: View) -> Limits:
    """The limits with `stop when` and `end when`."""
    stop, end = parentage.settings.stop_when, parentage.settings.end_when
    return replace(
        limits,
        stop_when=None if stop is None else _watcher(stop, parentage, view),
        end_when=None if end is None else _watcher(end, parentage, view),
    )


def _watcher(condition: Evaluate, parentage: ChildSpec, view: View) -> Callable[[Partial], bool]:
    """Evaluates a condition on the whole path after every token (C27)."""
    node = parentage.node
    policy = parentage.settings.policy
    streaming = View(view.scope, view.inputs, None, streaming=True)
    segments = node.segments
    parent = parentage.parent
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
        candidate = Candidate(path, parent, parentage.root, None, parentage.asked, 0, None)
        scores = EMPTY if parent is None else parent.scores
        return condition(Row(path, candidate, parentage.lets, scores), streaming) is True

    return fires
