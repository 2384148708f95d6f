"""Columns: using one in an expression, grouping by one."""

from __future__ import annotations

from tts_lang.check import builtins
from tts_lang.check.context import NameValue, StrategyContext
from tts_lang.check.dispatch import Site
from tts_lang.check.resolve import unknown
from tts_lang.check.scope import Declared, Role
from tts_lang.check.types import NOT_THERE, POISON, PoolType, ScalarType, Typed
from tts_lang.plan.expr import Column
from tts_lang.syntax import nodes


def scorer_named(context: StrategyContext, name: str) -> Declared | None:
    """The scorer that a column name stands for, if it is one."""
    parameter = context.parameters.get(name)
    if isinstance(parameter, NameValue):
        return parameter.declared if parameter.role is Role.SCORER else None
    declared = context.scope.names.get(name)
    return declared if declared is not None and declared.role is Role.SCORER else None


def is_column_name(context: StrategyContext, name: str) -> bool:
    """Whether a name can be a column in this strategy: built in, a scorer, or made by `let`."""
    return (
        name in builtins.COLUMNS
        or scorer_named(context, name) is not None
        or name in context.let_columns
    )


def column(context: StrategyContext, node: nodes.Name, site: Site) -> Typed:
    """A column of the current row; reported where there is no row, or no such column."""
    if site.row is None:
        context.error(
            "TTS207",
            f"`{node.text}` is a column: it has one value for each candidate, not one here",
            node,
            f"aggregate it over a pool, as in `mean({_reduced(context, node.text)} of POOL)`",
        )
        return POISON
    if site.streaming and scorer_named(context, node.text) is not None:
        context.error(
            "TTS219",
            f"`{node.text}` scores whole candidates, not one that is being generated",
            node,
            "a stop looks at what the policy knows, as in `confidence(tail 64) < 2`",
        )
        return POISON
    return _of_row(context, node, site.row, site.pool_name)


def _reduced(context: StrategyContext, name: str) -> str:
    scorer = scorer_named(context, name)
    return f"last({name})" if scorer is not None and gives_steps(scorer) else name


def gives_steps(scorer: Declared) -> bool:
    """Whether a scorer gives one number per step (a process scorer)."""
    node = scorer.scorer
    return isinstance(node, nodes.ScorerDeclaration) and node.scale is nodes.ScorerScale.STEP


def _of_row(context: StrategyContext, node: nodes.Name, row: PoolType, pool_name: str) -> Typed:
    type_ = builtins.COLUMNS.get(node.text)
    if type_ is not None:
        return Typed(type_, Column(node.text))
    scorer = scorer_named(context, node.text)
    name = scorer.name if scorer is not None else node.text
    if row.columns is None:
        if scorer is None:
            return POISON
        return Typed(ScalarType.STEPS if gives_steps(scorer) else ScalarType.NUMBER, Column(name))
    column = row.columns.get(name)
    if column is not None:
        context.used |= column.scored_at
        if column.type is ScalarType.UNKNOWN:
            return POISON
        return Typed(column.type, Column(name))
    _not_there(context, node, name, row, pool_name, scorer)
    return POISON


def _not_there(
    context: StrategyContext,
    node: nodes.Name,
    name: str,
    row: PoolType,
    pool_name: str,
    scorer: Declared | None,
) -> None:
    why = row.lost.get(name)
    how = "again" if why is not None else "first"
    if why is not None and why.startswith(NOT_THERE):
        how = "on every path"
    target = pool_name if pool_name.isidentifier() else "it"
    if scorer is not None:
        help_ = f"score {target} by {node.text} {how}"
        missing = f"{pool_name} is not scored by `{node.text}` here"
    else:
        help_ = f"give it a value first: `let {node.text} of {target} = ...`"
        missing = f"{pool_name} has no column `{node.text}` here"
    if pool_name.isidentifier():
        missing = "`" + missing.replace(" ", "` ", 1)
    if why is not None:
        # This use would be reported again with every later one that the same loss explains.
        context.error("TTS208", missing, node, help_, notes=(why,))
    else:
        context.error("TTS208", missing, node, help_)


def key(context: StrategyContext, node: nodes.Name, row: PoolType, pool_name: str) -> str | None:
    """The column that groups the rows of a pool; `None` after a message."""
    if not is_column_name(context, node.text):
        if node.text in context.env or node.text in context.parameters:
            context.error(
                "TTS213",
                f"`{node.text}` is not a column, so it cannot group candidates",
                node,
                "`per root`, `per parent`, `per answer`, or a column made by `let`",
            )
        else:
            unknown(context, node, tuple(row.columns or ()), in_row=True)
        return None
    typed = _of_row(context, node, row, pool_name)
    if typed.type is ScalarType.STEPS:
        context.error(
            "TTS213",
            f"`{node.text}` has one number per step, so it cannot group candidates",
            node,
            f"make a column: `let k of {pool_name} = last({node.text})`",
        )
        return None
    return typed.expr.name if isinstance(typed.expr, Column) else None
