"""Columns: using one in an expression, grouping by one."""

from __future__ import annotations

from tts_lang.check import builtins
from tts_lang.check.dispatch import Site
from tts_lang.check.frame import Frame, NameValue
from tts_lang.check.kinds import POISON, Sort, Typed
from tts_lang.check.pools import NOT_THERE, PoolType
from tts_lang.check.resolve import unknown
from tts_lang.check.scope import Declared, Role
from tts_lang.plan.expr import Column
from tts_lang.syntax import nodes


def scorer_named(frame: Frame, name: str) -> Declared | None:
    """The scorer that a column name stands for, if it is one."""
    given = frame.parameters.get(name)
    if isinstance(given, NameValue):
        return given.declared if given.role is Role.SCORER else None
    declared = frame.scope.names.get(name)
    return declared if declared is not None and declared.role is Role.SCORER else None


def is_column_name(frame: Frame, name: str) -> bool:
    """Whether a name can be a column in this strategy: built in, a scorer, or made by `let`."""
    return (
        name in builtins.COLUMNS
        or scorer_named(frame, name) is not None
        or name in frame.let_columns
    )


def column(frame: Frame, node: nodes.Name, site: Site) -> Typed:
    """A column of the current row; reported where there is no row, or no such column."""
    if site.row is None:
        frame.error(
            "TTS207",
            f"`{node.text}` is a column: it has one value for each candidate, not one here",
            node,
            f"aggregate it over a pool, as in `mean({_reduced(frame, node.text)} of POOL)`",
        )
        return POISON
    if site.streaming and scorer_named(frame, node.text) is not None:
        frame.error(
            "TTS219",
            f"`{node.text}` scores whole candidates, not one that is being generated",
            node,
            "a stop looks at what the policy knows, as in `confidence(tail 64) < 2`",
        )
        return POISON
    return _of_row(frame, node, site.row, site.pool_name)


def _reduced(frame: Frame, name: str) -> str:
    scorer = scorer_named(frame, name)
    return f"last({name})" if scorer is not None and gives_steps(scorer) else name


def gives_steps(scorer: Declared) -> bool:
    """Whether a scorer gives one number per step (a process scorer)."""
    node = scorer.scorer
    return isinstance(node, nodes.ScorerDeclaration) and node.scale is nodes.ScorerScale.STEP


def _of_row(frame: Frame, node: nodes.Name, row: PoolType, pool_name: str) -> Typed:
    sort = builtins.COLUMNS.get(node.text)
    if sort is not None:
        return Typed(sort, Column(node.text))
    scorer = scorer_named(frame, node.text)
    name = scorer.name if scorer is not None else node.text
    if row.columns is None:
        if scorer is None:
            return POISON
        return Typed(Sort.STEPS if gives_steps(scorer) else Sort.NUMBER, Column(name))
    found = row.columns.get(name)
    if found is not None:
        frame.used |= found.made
        if found.sort is Sort.UNKNOWN:
            return POISON
        return Typed(found.sort, Column(name))
    _not_there(frame, node, name, row, pool_name, scorer)
    return POISON


def _not_there(
    frame: Frame,
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
        frame.error("TTS208", missing, node, help_, notes=(why,))
    else:
        frame.error("TTS208", missing, node, help_)


def key(frame: Frame, node: nodes.Name, row: PoolType, pool_name: str) -> str | None:
    """The column that groups the rows of a pool; `None` after a message."""
    if not is_column_name(frame, node.text):
        if node.text in frame.env or node.text in frame.parameters:
            frame.error(
                "TTS213",
                f"`{node.text}` is not a column, so it cannot group candidates",
                node,
                "`per root`, `per parent`, `per answer`, or a column made by `let`",
            )
        else:
            unknown(frame, node, tuple(row.columns or ()), in_row=True)
        return None
    typed = _of_row(frame, node, row, pool_name)
    if typed.sort is Sort.STEPS:
        frame.error(
            "TTS213",
            f"`{node.text}` has one number per step, so it cannot group candidates",
            node,
            f"make a column: `let k of {pool_name} = last({node.text})`",
        )
        return None
    return typed.expr.name if isinstance(typed.expr, Column) else None
