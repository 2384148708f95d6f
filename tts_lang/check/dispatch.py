"""Tables from syntax nodes to the functions that elaborate them; the other modules fill them.

Three questions are asked of a node: what pool it gives, what scalar it is (read by the operation
being made), and what a statement does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias, TypeVar

from tts_lang.check.context import Inputs, PoolValue, StrategyContext
from tts_lang.check.types import PoolType, Typed
from tts_lang.syntax import nodes

N = TypeVar("N", bound=nodes.SyntaxNode)
Handler = TypeVar("Handler", bound=Callable[..., Any])


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


#: The function that makes the pool of a node of type `N`.
PoolHandler: TypeAlias = Callable[[StrategyContext, N], PoolValue]
#: The function that makes the scalar expression of a node.
ScalarHandler: TypeAlias = Callable[[StrategyContext, N, Site], Typed]
#: The function that carries out a statement; true if control never passes to the next one.
StatementHandler: TypeAlias = Callable[[StrategyContext, N], bool]

POOLS: dict[type[nodes.SyntaxNode], PoolHandler[Any]] = {}
SCALARS: dict[type[nodes.SyntaxNode], ScalarHandler[Any]] = {}
STATEMENTS: dict[type[nodes.SyntaxNode], StatementHandler[Any]] = {}


def pool_rule(kind: type[N]) -> Callable[[PoolHandler[N]], PoolHandler[N]]:
    """Registers the function that makes the pool of a node."""
    return partial(_register, POOLS, kind)


def scalar_rule(kind: type[N]) -> Callable[[ScalarHandler[N]], ScalarHandler[N]]:
    """Registers the function that makes the scalar expression of a node."""
    return partial(_register, SCALARS, kind)


def statement_rule(kind: type[N]) -> Callable[[StatementHandler[N]], StatementHandler[N]]:
    """Registers the function that carries out a statement."""
    return partial(_register, STATEMENTS, kind)


def _register(
    table: dict[type[nodes.SyntaxNode], Handler], kind: type[nodes.SyntaxNode], handler: Handler
) -> Handler:
    table[kind] = handler
    return handler
