"""force, cut and split: edges that no policy draws, each on a key made of what was done (C4)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tts_lang.plan.expr import fields_in
from tts_lang.plan.graph import Cut, Force, Operation, Split, Unit
from tts_lang.plan.reads import needs_pool
from tts_runtime.engines.base import Finish
from tts_runtime.executor.nodes import EMPTY, Node
from tts_runtime.executor.pools import Content, PendingRow, Pool
from tts_runtime.executor.problem import error_at
from tts_runtime.executor.program import Action, Builder, handles
from tts_runtime.executor.rows import Candidate, OfProblem, Row
from tts_runtime.executor.scope import Scope
from tts_runtime.steps import NOTHING, StepSplit
from tts_runtime.streams import UNCLAIMED, cut_key, forced_key, split_key


def derived(row: Row, node: Node, operation: Operation, *, keeps_scores: bool = True) -> Row:
    """A row made from another: parent, root and `let` columns stay (C28, C31, C48)."""
    source = row.candidate
    candidate = (OfProblem if source.rootless else Candidate)(
        node, source.parent, source.root, row, source.about, source.created, operation, source.lane
    )
    if isinstance(candidate, OfProblem):
        candidate.problem, candidate.rootless = False, True
    return Row(node, candidate, row.lets, EMPTY, row.known if keeps_scores else None)


@handles(Force)
def force(builder: Builder, spec: Force) -> Action:
    """The row with a text appended; its end is undone."""
    text, operation = builder.compiler.compile(spec.text), builder.operation
    whole = needs_pool(spec.text)

    async def action(scope: Scope, inputs: Sequence[Any]) -> Sequence[Any]:
        pool: Pool = inputs[0]
        view = await scope.view(inputs, whole)

        def forced(row: Row, _: PendingRow | None) -> Content:
            value = text(row, view)
            if value is None:
                raise error_at(
                    operation, "the text to force is missing", "test it with `has(...)` first"
                )
            node = forced_node(row.node, value if isinstance(value, str) else str(value))
            return derived(row, node, operation)

        result = scope.run.map(pool, forced)
        scope.made.append(result)
        return (result,)

    return action


def forced_node(node: Node, text: str) -> Node:
    """The node with a text's ids appended."""
    policy = node.policy
    ids = policy.forced(text)
    segments = node.segments
    for token in ids:
        segments = segments.add(policy.pieces[token], policy.delimiter)
    key = forced_key(node.key, node.position, ids)
    return Node(
        node.conversation, node, policy, ids, key, UNCLAIMED, 0, segments, None, False, False
    )


@handles(Cut)
def cut(builder: Builder, spec: Cut) -> Action:
    """The row back at its first steps or tokens, open again (C17)."""
    length, operation = builder.compiler.compile(spec.length), builder.operation
    whole = any(map(needs_pool, fields_in(spec)))

    async def action(scope: Scope, inputs: Sequence[Any]) -> Sequence[Any]:
        pool: Pool = inputs[0]
        view = await scope.view(inputs, whole)

        def shortened(row: Row, _: PendingRow | None) -> Content:
            kept = max(0, view.whole(length(row, view)))
            node = cut_node(row.node, kept, spec.unit, operation)
            shorter = derived(row, node, operation)
            closed = node.segments.many_closed
            # What is written after the cut is new, and so are its scores (C32).
            shorter.known = None if row.known is None else row.known.cut(closed)
            return shorter

        result = scope.run.map(pool, shortened)
        scope.made.append(result)
        return (result,)

    return action


def cut_node(node: Node, length: int, unit: Unit, operation: Operation) -> Node:
    """The path up to its first `length` steps or tokens: an edge of an ancestor, cut short.

    Raises:
        RunError: It ends inside of a text whose tokens are not known.
    """
    segments = NOTHING
    kept = 0
    edges = node.edges()
    last, inside = edges[0], 0
    for edge in edges:
        last, inside = edge, 0
        for token in edge.ids:
            if _enough(segments, kept, length, unit):
                break
            segments = segments.add(edge.policy.pieces[token], edge.policy.delimiter)
            kept += 1
            inside += 1
        if inside < len(edge.ids) or _enough(segments, kept, length, unit):
            break
    if 0 < inside < len(last.ids) and not last.policy.engine.borders:
        raise error_at(
            operation,
            f"policy `{last.policy.name}` does not say where tokens end, and this cuts inside of "
            "what it drew",
            "cut where a draw ended, or bind another policy: the model itself, not a record of it",
        )
    return Node(
        node.conversation,
        last.parent,
        last.policy,
        last.ids[:inside],
        cut_key(node.key, node.position, kept),
        UNCLAIMED,
        0,
        segments,
        Finish.CUT,
        False,
        last.sampled,
        last.logprobs[:inside],
        0.0,
        {name: values[:inside] for name, values in last.statistics.items()},
    )


def _enough(segments: StepSplit, kept: int, length: int, unit: Unit) -> bool:
    return (segments.many_closed if unit is Unit.STEPS else kept) >= length


@handles(Split)
def split(builder: Builder, spec: Split) -> Action:
    """Each row as the pieces of its text, blank ones left out; each on a stream of its own."""
    compiler, operation = builder.compiler, builder.operation
    at, most = compiler.compile(spec.at), compiler.optional(spec.most)
    whole = any(map(needs_pool, fields_in(spec)))

    async def action(scope: Scope, inputs: Sequence[Any]) -> Sequence[Any]:
        pool: Pool = inputs[0]
        view = await scope.view(inputs, whole)
        limit = None if most is None else max(0, view.whole(most(scope.problem, view)))

        def pieces(row: Row, _: PendingRow | None) -> Content:
            separator = at(row, view)
            if not separator:
                raise error_at(
                    operation, "the text to split at is empty", "name the text between pieces"
                )
            texts = [text.strip() for text in row.node.text.split(str(separator))]
            return [
                derived(row, _piece(row.node, text, number), operation, keeps_scores=False)
                for number, text in enumerate([text for text in texts if text][:limit])
            ]

        result = scope.run.map(pool, pieces, grows=True)
        scope.made.append(result)
        return (result,)

    return action


def _piece(node: Node, text: str, number: int) -> Node:
    """A piece alone: forced text of the conversation, keyed by where it was found."""
    policy = node.policy
    ids = policy.forced(text)
    segments = NOTHING
    for token in ids:
        segments = segments.add(policy.pieces[token], policy.delimiter)
    key = split_key(node.key, node.position, number, ids)
    # What a failed candidate begins with has not failed.
    finish = node.finish if node.error is None else None
    return Node(
        node.conversation, None, policy, ids, key, UNCLAIMED, 0, segments, finish, False, False
    )
