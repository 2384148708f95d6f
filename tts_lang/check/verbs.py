"""Pools that are made from pools without generating: names, sets, selections, votes, trees."""

from __future__ import annotations

from dataclasses import replace

from tts_lang.check import builtins
from tts_lang.check.aggregates import pool_name
from tts_lang.check.columns import key
from tts_lang.check.constants import constant, is_constant
from tts_lang.check.context import Fixed, Inputs, NameValue, Pool, Scalar, StrategyContext, Unset
from tts_lang.check.dispatch import Site, pool_rule
from tts_lang.check.pools import EVERYTHING, PROBLEM, at_most, plus, times, union
from tts_lang.check.resolve import gives_pool, unknown, unset
from tts_lang.check.types import WORDS, ScalarType
from tts_lang.check.values import (
    NO_POOL,
    SELECTED,
    bounded,
    condition,
    count,
    known_number,
    not_a_pool,
    number,
    pool,
    scalar,
    text,
)
from tts_lang.plan import expr as plan
from tts_lang.plan import graph
from tts_lang.plan.clauses import SHARE
from tts_lang.plan.expr import Const, Expr
from tts_lang.syntax import nodes

_ANSWERED = plan.Apply("has", (plan.Column("answer"),))


def bound_of(expression: Expr) -> int | None:
    """A count as a bound: its value, if it is known."""
    value = known_number(expression)
    return None if value is None else max(0, int(value))


def over(context: StrategyContext, node: nodes.Expression) -> tuple[Pool, Inputs, Site]:
    """The pool a verb works on, as its first input, and the place of expressions on its rows."""
    given = pool(context, node)
    inputs = Inputs([given.number])
    return given, inputs, Site(inputs, given.type, pool_name(node))


def grouping(
    context: StrategyContext, node: nodes.Name | None, given: Pool, name: str
) -> str | None:
    """The column of `per KEY`, if it is written."""
    return None if node is None else key(context, node, given.type, name)


@pool_rule(nodes.Name)
def _name(context: StrategyContext, node: nodes.Name) -> Pool:
    if node.text == "problem":
        return Pool(context.problem, PROBLEM)
    if node.text == "none":
        return context.emit_pool(graph.Empty(), Inputs(), EVERYTHING, node)
    binding = context.env.get(node.text)
    if isinstance(binding, Pool):
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
    given = context.parameters.get(node.text)
    declared = context.scope.names.get(node.text)
    if isinstance(given, NameValue):
        not_a_pool(context, node, f"a {given.role.value}")
    elif given is not None:
        if given.type is not ScalarType.UNKNOWN:
            not_a_pool(context, node, f"a parameter: {WORDS[given.type]}")
    elif declared is not None:
        not_a_pool(context, node, f"a {declared.role.value}")
    elif (known := builtins.meaning(node.text)) is not None:
        not_a_pool(context, node, known)
    elif node.text in context.let_columns:
        not_a_pool(context, node, "a column")
    else:
        unknown(context, node)


@pool_rule(nodes.Binary)
def _binary(context: StrategyContext, node: nodes.Binary) -> Pool:
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
        return context.emit_pool(graph.Difference(), inputs, left.type.kept(left.type.bound), node)
    names = [f"`{context.scope.source.slice(side.span)}`" for side in (node.left, node.right)]
    names = [name if len(name) < 40 else "the other side" for name in names]
    made = union(left.type, right.type, names[0], names[1])
    return context.emit_pool(graph.Union(), inputs, made, node)


@pool_rule(nodes.Where)
def _where(context: StrategyContext, node: nodes.Where) -> Pool:
    given, inputs, site = over(context, node.pool)
    fits = condition(context, node.condition, site)
    fixed = not any(isinstance(each, plan.Input | plan.Aggregate) for each in plan.walk(fits))
    if fits == _ANSWERED:  # without answers there is no answer, filtered or not
        fixed = False
    made = replace(given.type, filtered=node.span if fixed else None)
    return context.emit_pool(graph.Where(fits), inputs, made, node)


@pool_rule(nodes.Conditional)
def _conditional(context: StrategyContext, node: nodes.Conditional) -> Pool:
    context.error(
        "TTS205",
        "a pool cannot be chosen inside an expression",
        node,
        "use an `if` statement that assigns it",
    )
    return NO_POOL


@pool_rule(nodes.Select)
def _select(context: StrategyContext, node: nodes.Select) -> Pool:
    given, inputs, site = over(context, node.pool)
    wanted = scalar(context, node.count, Site(Inputs()))
    if wanted.share:
        part = bounded(context, node.count, "a share of a pool", inputs, SHARE)
        by = number(context, node.by, site)
        per = grouping(context, node.per, given, site.pool_name)
        if is_constant(part) and constant(part) == 1:
            _keeps_everything(context, node, site.pool_name, "100%")
        made = graph.Select(by, share=part, per=per)
        return context.emit_pool(made, inputs, given.type.kept(given.type.bound), node)
    how_many = count(context, node.count, SELECTED, inputs)
    by = number(context, node.by, site)
    per = grouping(context, node.per, given, site.pool_name)
    bound = given.type.bound
    if per is None:
        kept = bound_of(how_many)
        if (
            kept is not None
            and bound is not None
            and bound <= kept
            and given.type.columns is not None
        ):
            _keeps_everything(context, node, site.pool_name, str(kept), bound)
        bound = at_most(bound, kept)
    return context.emit_pool(
        graph.Select(by, how_many, per=per), inputs, given.type.kept(bound), node
    )


def _keeps_everything(
    context: StrategyContext, node: nodes.Select, name: str, kept: str, bound: int | None = None
) -> None:
    has = "" if bound is None else f": {name} has at most {bound}"
    context.warning(
        "TTS905",
        f"`select top {kept}` keeps every candidate{has}",
        node.count,
        "select fewer, or leave the selection out",
    )


@pool_rule(nodes.Best)
def _best(context: StrategyContext, node: nodes.Best) -> Pool:
    given, inputs, site = over(context, node.pool)
    by = number(context, node.by, site)
    per = grouping(context, node.per, given, site.pool_name)
    bound = at_most(given.type.bound, 1) if per is None else given.type.bound
    made = replace(given.type, bound=bound)
    return context.emit_pool(graph.Select(by, Const(1), per=per), inputs, made, node)


@pool_rule(nodes.First)
def _first(context: StrategyContext, node: nodes.First) -> Pool:
    given, inputs, site = over(context, node.pool)
    how_many: Expr = Const(1)
    if node.count is not None:
        how_many = count(context, node.count, "the number of first candidates", inputs)
    if given.type.identical and given.type.filtered:
        context.error(
            "TTS307",
            "all these samples are equal at temperature 0, so the first one fits or none does",
            node,
            "sample at a temperature above 0",
        )
    per = grouping(context, node.per, given, site.pool_name)
    bound = at_most(given.type.bound, bound_of(how_many)) if per is None else given.type.bound
    return context.emit_pool(graph.First(how_many, per), inputs, given.type.kept(bound), node)


@pool_rule(nodes.Sort)
def _sort(context: StrategyContext, node: nodes.Sort) -> Pool:
    given, inputs, site = over(context, node.pool)
    by = number(context, node.by, site)
    per = grouping(context, node.per, given, site.pool_name)
    return context.emit_pool(graph.Sort(by, per), inputs, given.type, node)


@pool_rule(nodes.Vote)
def _vote(context: StrategyContext, node: nodes.Vote) -> Pool:
    given, inputs, site = over(context, node.pool)
    on = "answer"
    if node.key is not None:
        on = key(context, node.key, given.type, site.pool_name) or on
    weight = None if node.weight is None else number(context, node.weight, site)
    per = grouping(context, node.per, given, site.pool_name)
    bound = 1 if per is None else given.type.bound
    made = replace(given.type, bound=at_most(bound, given.type.bound))
    return context.emit_pool(graph.Vote(on, weight, per), inputs, made, node)


@pool_rule(nodes.Resample)
def _resample(context: StrategyContext, node: nodes.Resample) -> Pool:
    given, inputs, site = over(context, node.pool)
    how_many = count(context, node.count, "the number of draws", inputs)
    by = number(context, node.by, site)
    per = grouping(context, node.per, given, site.pool_name)
    drawn = bound_of(how_many)
    bound = drawn if per is None else times(drawn, given.type.bound)
    made = given.type.kept(bound)
    return context.emit_pool(graph.Resample(how_many, by, per), inputs, made, node)


@pool_rule(nodes.Fork)
def _fork(context: StrategyContext, node: nodes.Fork) -> Pool:
    given, inputs, _ = over(context, node.pool)
    copies = count(context, node.count, "the number of copies", inputs)
    made = given.type.kept(times(given.type.bound, bound_of(copies)))
    return context.emit_pool(graph.Fork(copies), inputs, made, node)


@pool_rule(nodes.Descend)
def _descend(context: StrategyContext, node: nodes.Descend) -> Pool:
    given, inputs, site = over(context, node.tree)
    by = number(context, node.by, site)
    often = None if node.times is None else count(context, node.times, "`times`", inputs)
    staying = None if node.staying is None else number(context, node.staying, site)
    bound = 1 if often is None else bound_of(often)
    made = given.type.kept(at_most(bound, plus(given.type.bound, 0)))
    return context.emit_pool(graph.Descend(by, often, staying), inputs, made, node)


@pool_rule(nodes.Dedupe)
def _dedupe(context: StrategyContext, node: nodes.Dedupe) -> Pool:
    given, inputs, site = over(context, node.pool)
    by = "text"
    if node.key is not None:
        by = key(context, node.key, given.type, site.pool_name) or by
    per = grouping(context, node.per, given, site.pool_name)
    return context.emit_pool(graph.Dedupe(by, per), inputs, given.type, node)


@pool_rule(nodes.Cut)
def _cut(context: StrategyContext, node: nodes.Cut) -> Pool:
    given, inputs, site = over(context, node.pool)
    length = number(context, node.length, site)
    why = f"`cut` at line {context.line(node)} dropped it: the text has changed"
    made = given.type.children(given.type.bound, why)
    unit = graph.Unit(node.unit.value)
    return context.emit_pool(graph.Cut(length, unit), inputs, made, node)


@pool_rule(nodes.Split)
def _split(context: StrategyContext, node: nodes.Split) -> Pool:
    given, inputs, _ = over(context, node.pool)
    at = text(context, node.separator, Site(inputs))
    most = None if node.most is None else count(context, node.most, "`at most`", inputs)
    bound = None if most is None else times(given.type.bound, bound_of(most))
    why = f"`split` at line {context.line(node)} dropped it: the text has changed"
    made = given.type.children(bound, why)
    return context.emit_pool(graph.Split(at, most), inputs, made, node)
