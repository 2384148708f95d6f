"""Pools that are made from pools without generating: names, sets, selections, votes, trees."""

from __future__ import annotations

from dataclasses import replace

from tts_lang.check import builtins
from tts_lang.check.columns import key
from tts_lang.check.context import (
    Fixed,
    Inputs,
    NameValue,
    PoolValue,
    Scalar,
    StrategyContext,
    Unset,
)
from tts_lang.check.dispatch import Site, pool_rule
from tts_lang.check.functions import pool_name
from tts_lang.check.resolve import gives_pool, unknown, unset
from tts_lang.check.types import EVERYTHING, PROBLEM, WORDS, ScalarType, union
from tts_lang.check.values import (
    NO_POOL,
    SELECTED,
    bounded,
    check_not_empty,
    condition,
    count,
    not_a_pool,
    number,
    pool,
    scalar,
    text,
)
from tts_lang.plan import expr as plan
from tts_lang.plan import graph
from tts_lang.plan.clauses import SHARE, ClauseType, clauses
from tts_lang.plan.constants import constant, is_constant
from tts_lang.plan.expr import Const, Expr
from tts_lang.plan.operator import Makes
from tts_lang.plan.ops import POOL_VERBS
from tts_lang.plan.rows import literal_count
from tts_lang.syntax import nodes

_ANSWERED = plan.Apply("has", (plan.Column("answer"),))


def over(context: StrategyContext, node: nodes.Expression) -> tuple[PoolValue, Inputs, Site]:
    """The pool a verb works on, as its first input, and the place of expressions on its rows."""
    operand = pool(context, node)
    inputs = Inputs([operand.number])
    return operand, inputs, Site(inputs, operand.type, pool_name(node))


def grouping(
    context: StrategyContext, node: nodes.Name | None, operand: PoolValue, name: str
) -> str | None:
    """The column of `per KEY`, if it is written."""
    return None if node is None else key(context, node, operand.type, name)


@pool_rule(nodes.Name)
def _name(context: StrategyContext, node: nodes.Name) -> PoolValue:
    if node.text == "problem":
        return PoolValue(context.problem, PROBLEM)
    if node.text == "none":
        return context.emit_pool(graph.Empty(), Inputs(), EVERYTHING, node)
    binding = context.env.get(node.text)
    if isinstance(binding, PoolValue):
        return binding
    if isinstance(binding, Unset):
        unset(context, node, binding)
    elif isinstance(binding, Scalar | Fixed):
        type_ = binding.type if isinstance(binding, Scalar) else binding.typed.type
        if type_ is not ScalarType.UNKNOWN:
            not_a_pool(context, node, WORDS[type_])
    else:
        _no_pool(context, node)
    return NO_POOL


def _no_pool(context: StrategyContext, node: nodes.Name) -> None:
    parameter = context.parameters.get(node.text)
    declared = context.scope.names.get(node.text)
    if isinstance(parameter, NameValue):
        not_a_pool(context, node, f"a {parameter.role.value}")
    elif parameter is not None:
        if parameter.type is not ScalarType.UNKNOWN:
            not_a_pool(context, node, f"a parameter: {WORDS[parameter.type]}")
    elif declared is not None:
        not_a_pool(context, node, f"a {declared.role.value}")
    elif (meaning := builtins.meaning(node.text)) is not None:
        not_a_pool(context, node, meaning)
    elif node.text in context.let_columns:
        not_a_pool(context, node, "a column")
    else:
        unknown(context, node)


@pool_rule(nodes.BinaryExpression)
def _binary(context: StrategyContext, node: nodes.BinaryExpression) -> PoolValue:
    adds = node.operator is nodes.Operator.ADD
    if not gives_pool(context, node):
        typed = scalar(context, node, Site(Inputs()))
        if typed.type is not ScalarType.UNKNOWN:
            not_a_pool(context, node, WORDS[typed.type])
        return NO_POOL
    left, right = pool(context, node.left), pool(context, node.right)
    inputs = Inputs()
    inputs.numbers = [left.number, right.number]  # places matter here, even for equal values
    if not adds:
        return context.emit_pool(graph.Difference(), inputs, left.type.subset(), node)
    names = [f"`{context.scope.source.slice(side.span)}`" for side in (node.left, node.right)]
    names = [name if len(name) < 40 else "the other side" for name in names]
    type_ = union(left.type, right.type, names[0], names[1])
    return context.emit_pool(graph.Union(), inputs, type_, node)


@pool_rule(nodes.WhereExpression)
def _where(context: StrategyContext, node: nodes.WhereExpression) -> PoolValue:
    operand, inputs, site = over(context, node.pool)
    fits = condition(context, node.condition, site)
    fixed = not any(isinstance(each, plan.Input | plan.Aggregate) for each in plan.walk(fits))
    if fits == _ANSWERED:  # without answers there is no answer, filtered or not
        fixed = False
    type_ = replace(operand.type, filtered=node.span if fixed else None)
    return context.emit_pool(graph.Where(fits), inputs, type_, node)


@pool_rule(nodes.ConditionalExpression)
def _conditional(context: StrategyContext, node: nodes.ConditionalExpression) -> PoolValue:
    context.error(
        "TTS205",
        "a pool cannot be chosen inside an expression",
        node,
        "use an `if` statement that assigns it",
    )
    return NO_POOL


@pool_rule(nodes.SelectPhrase)
def _select(context: StrategyContext, node: nodes.SelectPhrase) -> PoolValue:
    operand, inputs, site = over(context, node.pool)
    if scalar(context, node.count, Site(Inputs())).share:
        part = bounded(context, node.count, "a share of a pool", inputs, SHARE)
        by = number(context, node.by, site)
        per = grouping(context, node.per, operand, site.pool_name)
        if is_constant(part) and constant(part) == 1:
            _keeps_everything(context, node, site.pool_name, "100%")
        spec = graph.Select(by, share=part, per=per)
        return context.emit_pool(spec, inputs, operand.type.subset(), node)
    how_many = count(context, node.count, SELECTED, inputs)
    by = number(context, node.by, site)
    per = grouping(context, node.per, operand, site.pool_name)
    limit, rows = literal_count(how_many), operand.type.bound
    if per is None and limit is not None and rows <= limit and operand.type.columns is not None:
        _keeps_everything(context, node, site.pool_name, f"{limit}", rows)
    spec = graph.Select(by, how_many, per=per)
    return context.emit_pool(spec, inputs, operand.type.subset(), node)


def _keeps_everything(
    context: StrategyContext,
    node: nodes.SelectPhrase,
    name: str,
    limit: str,
    bound: float | None = None,
) -> None:
    has = "" if bound is None else f": {name} has at most {bound:.0f}"
    context.warning(
        "TTS905",
        f"`select top {limit}` keeps every candidate{has}",
        node.count,
        "select fewer, or leave the selection out",
    )


@pool_rule(nodes.BestPhrase)
def _best(context: StrategyContext, node: nodes.BestPhrase) -> PoolValue:
    operand, inputs, site = over(context, node.pool)
    by = number(context, node.by, site)
    per = grouping(context, node.per, operand, site.pool_name)
    return context.emit_pool(graph.Select(by, Const(1), per=per), inputs, operand.type, node)


@pool_rule(nodes.FirstPhrase)
def _first(context: StrategyContext, node: nodes.FirstPhrase) -> PoolValue:
    operand, inputs, site = over(context, node.pool)
    how_many: Expr = Const(1)
    if node.count is not None:
        how_many = count(context, node.count, "the number of first candidates", inputs)
    if operand.type.identical and operand.type.filtered:
        context.error(
            "TTS307",
            "all these samples are equal at temperature 0, so the first one fits or none does",
            node,
            "sample at a temperature above 0",
        )
    per = grouping(context, node.per, operand, site.pool_name)
    return context.emit_pool(graph.First(how_many, per), inputs, operand.type.subset(), node)


@pool_rule(nodes.PoolVerbPhrase)
def _pool_verb(context: StrategyContext, node: nodes.PoolVerbPhrase) -> PoolValue:
    """A verb that its entry in the table of operators describes."""
    verb = POOL_VERBS[node.verb]
    operand, inputs, site = over(context, node.pool)
    values = {}
    for clause in node.clauses:
        value = _clause(context, clause, clauses(verb.spec).get(clause.field), site)
        if value is not None:
            values[clause.field] = value
    spec: graph.Spec = verb.spec(**values)
    type_ = operand.type
    if not verb.makes.keeps_scores:
        why = f"`{node.verb}` at line {context.line(node)} dropped it: the text has changed"
        type_ = type_.children(why)
    elif verb.makes is not Makes.SUBSET or verb.lineage:
        type_ = type_.subset()
    return context.emit_pool(spec, inputs, type_, node)


def _clause(
    context: StrategyContext, node: nodes.VerbClause, clause: ClauseType | None, site: Site
) -> object:
    """The value of an operator's field."""
    value = node.value
    if isinstance(value, nodes.Unit):
        return value
    assert clause is not None
    if clause.column and isinstance(value, nodes.Name):
        return key(context, value, site.row or PROBLEM, site.pool_name)
    if clause.counts and clause.once:
        return count(context, value, clause.called, site.inputs)
    kind = {"number": number, "text": text, "flag": condition}[clause.type or "number"]
    written = kind(context, value, Site(site.inputs) if clause.once else site)
    if clause.type == "text" and isinstance(written, Const) and context.numbers_matter:
        check_not_empty(context, written.value, "the text", value)
    return written
