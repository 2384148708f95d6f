"""Tables from syntax nodes to the functions that elaborate them; the other modules fill them.

Three questions are asked of a node: what pool it gives, what scalar it is (read by the operation
being made), and what a statement does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from tts_lang.check.context import Inputs, PoolValue, StrategyContext
from tts_lang.check.types import PoolType, Typed
from tts_lang.syntax import nodes

N = TypeVar("N", bound=nodes.SyntaxNode)


@dataclass(frozen=True, slots=True)
class Site:
    """The place at which an expression is evaluated.

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


PoolHandler = Callable[[StrategyContext, Any], PoolValue]
ScalarHandler = Callable[[StrategyContext, Any, Site], Typed]
#: True if the statement never passes control to the next one.
StatementHandler = Callable[[StrategyContext, Any], bool]

POOLS: dict[type[nodes.SyntaxNode], PoolHandler] = {}
SCALARS: dict[type[nodes.SyntaxNode], ScalarHandler] = {}
STATEMENTS: dict[type[nodes.SyntaxNode], StatementHandler] = {}


def pool_rule(
    kind: type[N],
) -> Callable[
    [Callable[[StrategyContext, N], PoolValue]], Callable[[StrategyContext, N], PoolValue]
]:
    """Registers the function that makes the pool of a node."""

    def register(
        handler: Callable[[StrategyContext, N], PoolValue],
    ) -> Callable[[StrategyContext, N], PoolValue]:
        POOLS[kind] = handler
        return handler

    return register


def scalar_rule(
    kind: type[N],
) -> Callable[
    [Callable[[StrategyContext, N, Site], Typed]], Callable[[StrategyContext, N, Site], Typed]
]:
    """Registers the function that makes the scalar expression of a node."""

    def register(
        handler: Callable[[StrategyContext, N, Site], Typed],
    ) -> Callable[[StrategyContext, N, Site], Typed]:
        SCALARS[kind] = handler
        return handler

    return register


def statement_rule(
    kind: type[N],
) -> Callable[[Callable[[StrategyContext, N], bool]], Callable[[StrategyContext, N], bool]]:
    """Registers the function that carries out a statement."""

    def register(
        handler: Callable[[StrategyContext, N], bool],
    ) -> Callable[[StrategyContext, N], bool]:
        STATEMENTS[kind] = handler
        return handler

    return register
