"""The answer while it is drawn, where a plan ends in one sample (`optimise.last_draws`)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tts_runtime.engines.base import Partial
from tts_runtime.engines.policy import Policy
from tts_runtime.executor.nodes import Node


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
