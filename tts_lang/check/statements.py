"""Statements without blocks: assignment, score, force, let, backup, return."""

from __future__ import annotations

from math import inf

from tts_lang.check import builtins
from tts_lang.check.context import (
    MOST_COLUMNS,
    NO_VALUE,
    Binding,
    Fixed,
    Inputs,
    PoolValue,
    Scalar,
    StrategyContext,
)
from tts_lang.check.dispatch import STATEMENTS, Site, statement_rule
from tts_lang.check.functions import pool_name
from tts_lang.check.prompts import arguments, shown_columns
from tts_lang.check.resolve import declaration_context, gives_pool, top_level
from tts_lang.check.scope import Role
from tts_lang.check.scorers import enter_scorer
from tts_lang.check.types import POISON, VALUE_KINDS, WORDS, ColumnType, PoolType, ScalarType, Typed
from tts_lang.check.uses import reads
from tts_lang.check.values import NO_POOL, count, expect, known_number, number, pool, scalar, text
from tts_lang.check.verbs import grouping
from tts_lang.diagnostics import did_you_mean
from tts_lang.plan.constants import constant, is_constant
from tts_lang.plan.expr import Const, Delimiter, Expr
from tts_lang.plan.graph import KEEPING, Backup, Compute, Force, Let, Score
from tts_lang.syntax import nodes


def block(context: StrategyContext, statements: tuple[nodes.Statement, ...]) -> bool:
    """Carries out the statements of a block; true if control never reaches its end."""
    for place, statement in enumerate(statements):
        if STATEMENTS[type(statement)](context, statement):
            if place + 1 < len(statements):
                context.warning(
                    "TTS909",
                    "this is never reached: every path has returned before",
                    statements[place + 1],
                    "remove it, or move it before the `return`",
                )
            return True
    return False


def materialise(
    context: StrategyContext, binding: Binding, node: nodes.SyntaxNode, name: str = ""
) -> Binding:
    """The same value as one that the plan computes, so that a region can pass it on."""
    if not isinstance(binding, Fixed) or binding.typed.type is ScalarType.UNKNOWN:
        return binding
    return compute(context, binding.typed, Inputs(), node, name)


def compute(
    context: StrategyContext, typed: Typed, inputs: Inputs, node: nodes.SyntaxNode, name: str = ""
) -> Scalar:
    """A scalar as a value of the plan."""
    number_ = context.value(VALUE_KINDS.get(typed.type, VALUE_KINDS[ScalarType.NUMBER]), name)
    context.emit(Compute(typed.expr), inputs, (number_,), node)
    return Scalar(number_, typed.type)


@statement_rule(nodes.Broken)
def _broken(context: StrategyContext, node: nodes.Broken) -> bool:
    for name in node.names:
        context.env[name.text] = Fixed(POISON)
    return False


@statement_rule(nodes.AssignStatement)
def _assign(context: StrategyContext, node: nodes.AssignStatement) -> bool:
    name = node.target.text
    binding: Binding
    if gives_pool(context, node.value):
        operand = pool(context, node.value)
        context.rename(operand.number, name)
        binding = Fixed(POISON) if operand is NO_POOL else operand
    else:
        binding = _scalar(context, node)
    binding = _same_kind(context, node, binding)
    context.env[name] = binding
    return False


def _scalar(context: StrategyContext, node: nodes.AssignStatement) -> Binding:
    inputs = Inputs()
    typed = scalar(context, node.value, Site(inputs))
    if typed.type in {ScalarType.STEPS, ScalarType.KEY}:
        typed = expect(context, typed, ScalarType.NUMBER, node.value)
    if typed.type is ScalarType.UNKNOWN:
        return Fixed(POISON)
    if not inputs.numbers and is_constant(typed.expr):
        return Fixed(Typed(typed.type, Const(constant(typed.expr)), typed.share))
    if not inputs.numbers and isinstance(typed.expr, Delimiter):
        return Fixed(typed)
    if isinstance(node.value, nodes.Name):
        binding = context.env.get(node.value.text)
        if binding is not None:
            return binding
    return compute(context, typed, inputs, node, node.target.text)


def _same_kind(context: StrategyContext, node: nodes.AssignStatement, binding: Binding) -> Binding:
    before, after = sort_of(context.env.get(node.target.text)), sort_of(binding)
    if before is None or after is None or before == after:
        return binding
    context.error(
        "TTS215",
        f"`{node.target.text}` holds {before}, and gets {after} here",
        node.target,
        "choose another name for one of them",
    )
    return Fixed(POISON)


def sort_of(binding: Binding | None) -> str | None:
    """The kind of a variable's value, in words; `None` if it is not known."""
    if isinstance(binding, PoolValue):
        return "a pool"
    if isinstance(binding, Scalar):
        return WORDS[binding.type]
    if isinstance(binding, Fixed) and binding.typed.type is not ScalarType.UNKNOWN:
        return WORDS[binding.typed.type]
    return None


def _variable(context: StrategyContext, node: nodes.Expression, verb: str) -> PoolValue | None:
    """The pool of a variable that a statement changes; `None` after a message."""
    if isinstance(node, nodes.Name) and node.text not in builtins.POOLS:
        operand = pool(context, node)
        return None if operand is NO_POOL else operand
    if gives_pool(context, node):
        written = context.scope.source.slice(node.span)
        shown = written if len(written) <= 30 and "\n" not in written else "..."
        actual = f"`{written}` is not one" if written in builtins.POOLS else "this is not one"
        context.error(
            "TTS212",
            f"`{verb}` gives a variable a new value, and {actual}",
            node,
            f"assign it first: `pool = {shown}`",
        )
    else:
        pool(context, node)
    return None


def _with_column(
    context: StrategyContext,
    operand: PoolType,
    name: str,
    column: ColumnType,
    node: nodes.SyntaxNode,
) -> PoolType:
    type_ = operand.with_column(name, column)
    if len(type_.columns or ()) > MOST_COLUMNS:
        message = f"a pool with more than {MOST_COLUMNS} columns"
        raise context.too_large("TTS405", message, node, "compute what is needed in one expression")
    return type_


def _rebind(context: StrategyContext, node: nodes.Expression, result: PoolValue) -> None:
    if isinstance(node, nodes.Name):
        context.rename(result.number, node.text)
        context.env[node.text] = result


@statement_rule(nodes.ScoreStatement)
def _score(context: StrategyContext, node: nodes.ScoreStatement) -> bool:
    declared = top_level(context, node.scorer, Role.SCORER)
    operand = _variable(context, node.pool, "score")
    if operand is None:
        return False
    if declared is None:
        # Every later use of any column would be reported for want of this one.
        if isinstance(node.pool, nodes.Name):
            context.env[node.pool.text] = NO_POOL
        return False
    described = enter_scorer(
        context, declaration_context(context.check, declared), declared, node.scorer
    )
    inputs = Inputs([operand.number])
    times = ahead = None
    if node.times is not None:
        times = count(context, node.times, "the number of readings", inputs)
        if described.judge is None:
            context.error(
                "TTS406",
                f"`times` needs a judge: `{declared.name}` gives the same score every time",
                node.times,
                "leave `times` out",
            )
    if node.look_ahead is not None:
        ahead = _ahead(context, node.look_ahead, inputs)
    per = grouping(context, node.per, operand, pool_name(node.pool))
    if node.per is not None and not described.together:
        context.error(
            "TTS406",
            f"`per` needs a scorer that looks at a pool: `{declared.name}` scores one candidate "
            "at a time",
            node.per,
            f"declare it so: `scorer {declared.name} together`",
        )
    parameters: tuple[nodes.Parameter, ...] = ()
    if isinstance(declared.node, nodes.JudgeDeclaration):
        parameters = declared.node.parameters
    passed = arguments(context, declared, parameters, node.arguments, node.scorer, inputs)
    expressions = tuple((name, value) for name, value in passed if not isinstance(value, int))
    if len(expressions) != len(passed):
        context.error("TTS218", "a judge takes numbers and texts, not pools", node.scorer)
    steps = described.steps or node.times is not None
    column = ColumnType(
        ScalarType.STEPS if steps else ScalarType.NUMBER, scored_at=frozenset({node.span})
    )
    context.scored.setdefault(node.span, (declared.name, node.span))
    type_ = _with_column(context, operand.type, declared.name, column, node)
    shown: tuple[tuple[str, Expr], ...] = ()
    if described.judge is not None:
        site = Site(inputs, operand.type, pool_name(node.pool))
        names = {each.name.text for each in parameters}
        shown = shown_columns(context, described.judge.template, names, site, node.scorer)
    spec = Score(declared.name, times, ahead, per, expressions, shown)
    _rebind(context, node.pool, context.emit_pool(spec, inputs, type_, node))
    return False


def _ahead(context: StrategyContext, node: nodes.Expression, inputs: Inputs) -> Expr | None:
    """The steps looked ahead; none is no look-ahead (C11)."""
    typed = scalar(context, node, Site(inputs))
    if typed.type is ScalarType.NUMBER and known_number(typed.expr) == 0:
        return None
    return count(context, node, "the number of steps looked ahead", inputs, least=0)


@statement_rule(nodes.ForceStatement)
def _force(context: StrategyContext, node: nodes.ForceStatement) -> bool:
    operand = _variable(context, node.pool, "force")
    inputs = Inputs([NO_VALUE if operand is None else operand.number])
    row = None if operand is None else operand.type
    forced = text(context, node.text, Site(inputs, row, pool_name(node.pool)))
    if operand is None:
        return False
    why = f"`force` at line {context.line(node)} dropped it: the text has changed"
    type_ = operand.type.children(why)
    _rebind(context, node.pool, context.emit_pool(Force(forced), inputs, type_, node))
    return False


@statement_rule(nodes.LetStatement)
def _let(context: StrategyContext, node: nodes.LetStatement) -> bool:
    operand = _variable(context, node.pool, "let")
    if operand is None:
        return False
    inputs = Inputs([operand.number])
    typed = scalar(context, node.value, Site(inputs, operand.type, pool_name(node.pool)))
    if typed.type in {ScalarType.STEPS, ScalarType.KEY}:
        typed = expect(context, typed, ScalarType.NUMBER, node.value)
    column = ColumnType(typed.type, inherited=True)
    type_ = _with_column(context, operand.type, node.column.text, column, node)
    _rebind(
        context,
        node.pool,
        context.emit_pool(Let(node.column.text, typed.expr), inputs, type_, node),
    )
    return False


@statement_rule(nodes.BackupStatement)
def _backup(context: StrategyContext, node: nodes.BackupStatement) -> bool:
    tree = _variable(context, node.tree, "backup")
    rows = pool(context, node.pool)
    inputs = Inputs()
    inputs.numbers = [NO_VALUE if tree is None else tree.number, rows.number]
    by = number(context, node.by, Site(inputs, rows.type, pool_name(node.pool)))
    keeping = KEEPING[0] if node.keeping is None else node.keeping.text
    if node.keeping is not None and keeping not in KEEPING:
        context.error(
            "TTS201",
            f"`backup` keeps no `{keeping}`",
            node.keeping,
            did_you_mean(keeping, KEEPING),
            expected=KEEPING,
        )
        keeping = KEEPING[0]
    if tree is not None:
        spec = Backup(by, keeping)
        _rebind(context, node.tree, context.emit_pool(spec, inputs, tree.type, node))
    return False


@statement_rule(nodes.ReturnStatement)
def _return(context: StrategyContext, node: nodes.ReturnStatement) -> bool:
    operand = pool(context, node.value)
    if operand is not NO_POOL:
        _one_row(context, node, operand)
        if operand.type.filtered and not _guarded(context, node):
            context.warning(
                "TTS904",
                "this pool is empty where the condition holds for no candidate: then there is no "
                "answer",
                node.value,
                "look at `count(...)` first, or add candidates to fall back on",
            )
    context.returned(operand)
    return True


def _guarded(context: StrategyContext, node: nodes.ReturnStatement) -> bool:
    return any(name.text in context.guarded for name in reads(node))


def _one_row(context: StrategyContext, node: nodes.ReturnStatement, operand: PoolValue) -> None:
    if not context.numbers_matter or operand.type.bound <= 1:
        return
    written = context.scope.source.slice(node.value.span)
    name = written if written.isidentifier() else f"({written})"
    name = name if len(name) <= 40 and "\n" not in name else "P"
    by = next(
        (
            f"last({key})" if column.type is ScalarType.STEPS else key
            for key, column in (operand.type.columns or {}).items()
            if not column.inherited
        ),
        "E",
    )
    most = "" if operand.type.bound == inf else f" (up to {operand.type.bound:.0f})"
    context.error(
        "TTS305",
        f"`return` takes one candidate's answer, and this pool can have several{most}",
        node.value,
        f"`return vote {name}`, `return best of {name} by {by}` or `return first of {name}`",
    )
