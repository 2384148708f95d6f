"""Which function elaborates which syntax node: tables that the other modules fill.

Three questions are asked of a node: what pool it gives, what scalar it is (read by the operation
being made), and what a statement does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from tts_lang.check.frame import Frame, Inputs, Pool
from tts_lang.check.kinds import Typed
from tts_lang.check.pools import PoolType
from tts_lang.syntax import nodes

N = TypeVar("N", bound=nodes.Node)


@dataclass(frozen=True, slots=True)
class Site:
    """Where an expression is evaluated.

    Args:
        inputs: The inputs of the operation that will hold the expression.
        row: The pool whose rows it is evaluated for; `None` if it is evaluated once.
        pool_name: How messages call that pool.
        streaming: It is evaluated while a row is being generated (`stop when`, `end when`).
    """

    inputs: Inputs
    row: PoolType | None = None
    pool_name: str = "the pool"
    streaming: bool = False


PoolHandler = Callable[[Frame, Any], Pool]
ScalarHandler = Callable[[Frame, Any, Site], Typed]
#: Gives true if control does not go on behind the statement.
StatementHandler = Callable[[Frame, Any], bool]

POOLS: dict[type[nodes.Node], PoolHandler] = {}
SCALARS: dict[type[nodes.Node], ScalarHandler] = {}
STATEMENTS: dict[type[nodes.Node], StatementHandler] = {}


def pool_rule(
    kind: type[N],
) -> Callable[[Callable[[Frame, N], Pool]], Callable[[Frame, N], Pool]]:
    """Registers the function that makes the pool of a node."""

    def register(handler: Callable[[Frame, N], Pool]) -> Callable[[Frame, N], Pool]:
        POOLS[kind] = handler
        return handler

    return register


def scalar_rule(
    kind: type[N],
) -> Callable[[Callable[[Frame, N, Site], Typed]], Callable[[Frame, N, Site], Typed]]:
    """Registers the function that makes the scalar expression of a node."""

    def register(handler: Callable[[Frame, N, Site], Typed]) -> Callable[[Frame, N, Site], Typed]:
        SCALARS[kind] = handler
        return handler

    return register


def statement_rule(
    kind: type[N],
) -> Callable[[Callable[[Frame, N], bool]], Callable[[Frame, N], bool]]:
    """Registers the function that carries out a statement."""

    def register(handler: Callable[[Frame, N], bool]) -> Callable[[Frame, N], bool]:
        STATEMENTS[kind] = handler
        return handler

    return register
