"""`stop when` and `end when`: conditions that are read after every token (C27)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast

from tts_runtime.engines.base import Partial
from tts_runtime.engines.policy import Policy
from tts_runtime.executor.model import Node, Row
from tts_runtime.executor.views import Evaluate, View
from tts_runtime.streams import UNCLAIMED


def watcher(
    condition: Evaluate, policy: Policy, node: Node, row: Callable[[Node], Row], view: View
) -> Callable[[Partial], bool]:
    """Evaluates a condition on the whole path after every token.

    Args:
        condition: What is read of a row.
        policy: Draws the tokens.
        node: What is continued.
        row: The row of a path so far.
        view: Of the operation.
    """
    streaming = View(view.draw_key, view.inputs, None, streaming=True)
    segments = node.segments
    seen = 0
    watched: Partial | None = None

    def fires(partial: Partial) -> bool:
        nonlocal segments, seen, watched
        if partial is not watched:  # a reply that was there before, or an engine's attempt
            segments, seen, watched = node.segments, 0, partial
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
            partial.logprobs,
            0.0,
            cast("Mapping[str, tuple[float, ...]]", partial.statistics),
        )
        return condition(row(path), streaming) is True

    return fires
