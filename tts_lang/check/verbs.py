"""Pools that are made from pools without generating: names, sets, selections, votes, trees."""

from __future__ import annotations

from dataclasses import replace

from tts_lang.check import builtins
from tts_lang.check.aggregates import pool_name
from tts_lang.check.columns import key
from tts_lang.check.constants import constant, is_constant
from tts_lang.check.dispatch import Site, pool_rule
from tts_lang.check.frame import Fixed, Frame, Inputs, NameValue, Pool, Scalar, Unset
from tts_lang.check.kinds import WORDS, Sort
from tts_lang.check.pools import EVERYTHING, PROBLEM, at_most, plus, times, union
from tts_lang.check.resolve import gives_pool, unknown, unset
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
from tts_lang.plan.expr import Const, Expr
from tts_lang.plan.shapes import SHARE
from tts_lang.syntax import nodes

_ANSWERED = plan.Apply("has", (plan.Column("answer"),))


def bound_of(expression: Expr) -> int | None:
    """A count as a bound: its value, if it is known."""
    value = known_number(expression)
    return None if value is None else max(0, int(value))


def over(frame: Frame, node: nodes.Expression) -> tuple[Pool, Inputs, Site]:
    """The pool a verb works on, as its first input, and the place of expressions on its rows."""
    given = pool(frame, node)
    inputs = Inputs([given.number])
    return given, inputs, Site(inputs, given.type, pool_name(node))


def grouping(frame: Frame, node: nodes.Name | None, given: Pool, name: str) -> str | None:
    """The column of `per KEY`, if it is written."""
    return None if node is None else key(frame, node, given.type, name)


@pool_rule(nodes.Name)
def _name(frame: Frame, node: nodes.Name) -> Pool:
    if node.text == "problem":
        return Pool(frame.problem, PROBLEM)
    if node.text == "none":
        return frame.emit_pool(graph.Empty(), Inputs(), EVERYTHING, node)
    binding = frame.env.get(node.text)
    if isinstance(binding, Pool):
        return binding
    if isinstance(binding, Unset):
        unset(frame, node, binding)
    elif isinstance(binding, Scalar | Fixed):
        sort = binding.sort if isinstance(binding, Scalar) else binding.typed.sort
        if sort is not Sort.UNKNOWN:
            not_a_pool(frame, node, WORDS[sort])
    else:
        _no_pool(frame, node)
    return NO_POOL


def _no_pool(frame: Frame, node: nodes.Name) -> None:
    given = frame.parameters.get(node.text)
    declared = frame.scope.names.get(node.text)
    if isinstance(given, NameValue):
        not_a_pool(frame, node, f"a {given.role.value}")
    elif given is not None:
        if given.sort is not Sort.UNKNOWN:
            not_a_pool(frame, node, f"a parameter: {WORDS[given.sort]}")
    elif declared is not None:
        not_a_pool(frame, node, f"a {declared.role.value}")
    elif (known := builtins.meaning(node.text)) is not None:
        not_a_pool(frame, node, known)
    elif node.text in frame.let_columns:
        not_a_pool(frame, node, "a column")
    else:
        unknown(frame, node)


@pool_rule(nodes.Binary)
def _binary(frame: Frame, node: nodes.Binary) -> Pool:
    adds = node.operator is nodes.Operator.ADD
    if not gives_pool(frame, node):
        typed = scalar(frame, node, Site(Inputs()))
        if typed.sort is not Sort.UNKNOWN:
            not_a_pool(frame, node, WORDS[typed.sort])
        return NO_POOL
    left, right = pool(frame, node.left), pool(frame, node.right)
    inputs = Inputs()
    inputs.numbers = [left.number, right.number]  # places matter here, even for equal values
    if not adds:
        return frame.emit_pool(graph.Difference(), inputs, left.type.kept(left.type.bound), node)
    names = [f"`{frame.scope.source.slice(side.span)}`" for side in (node.left, node.right)]
    names = [name if len(name) < 40 else "the other side" for name in names]
    made = union(left.type, right.type, names[0], names[1])
    return frame.emit_pool(graph.Union(), inputs, made, node)


@pool_rule(nodes.Where)
def _where(frame: Frame, node: nodes.Where) -> Pool:
    given, inputs, site = over(frame, node.pool)
    fits = condition(frame, node.condition, site)
    fixed = not any(isinstance(each, plan.Input | plan.Aggregate) for each in plan.walk(fits))
    if fits == _ANSWERED:  # without answers there is no answer, filtered or not
        fixed = False
    made = replace(given.type, filtered=node.span if fixed else None)
    return frame.emit_pool(graph.Where(fits), inputs, made, node)


@pool_rule(nodes.Conditional)
def _conditional(frame: Frame, node: nodes.Conditional) -> Pool:
    frame.error(
        "TTS205",
        "a pool cannot be chosen inside an expression",
        node,
        "use an `if` statement that assigns it",
    )
    return NO_POOL


@pool_rule(nodes.Select)
def _select(frame: Frame, node: nodes.Select) -> Pool:
    given, inputs, site = over(frame, node.pool)
    wanted = scalar(frame, node.count, Site(Inputs()))
    if wanted.share:
        part = bounded(frame, node.count, "a share of a pool", inputs, SHARE)
        by = number(frame, node.by, site)
        per = grouping(frame, node.per, given, site.pool_name)
        if is_constant(part) and constant(part) == 1:
            _keeps_everything(frame, node, site.pool_name, "100%")
        made = graph.Select(by, share=part, per=per)
        return frame.emit_pool(made, inputs, given.type.kept(given.type.bound), node)
    how_many = count(frame, node.count, SELECTED, inputs)
    by = number(frame, node.by, site)
    per = grouping(frame, node.per, given, site.pool_name)
    bound = given.type.bound
    if per is None:
        kept = bound_of(how_many)
        if (
            kept is not None
            and bound is not None
            and bound <= kept
            and given.type.columns is not None
        ):
            _keeps_everything(frame, node, site.pool_name, str(kept), bound)
        bound = at_most(bound, kept)
    return frame.emit_pool(
        graph.Select(by, how_many, per=per), inputs, given.type.kept(bound), node
    )


def _keeps_everything(
    frame: Frame, node: nodes.Select, name: str, kept: str, bound: int | None = None
) -> None:
    has = "" if bound is None else f": {name} has at most {bound}"
    frame.warning(
        "TTS905",
        f"`select top {kept}` keeps every candidate{has}",
        node.count,
        "select fewer, or leave the selection out",
    )


@pool_rule(nodes.Best)
def _best(frame: Frame, node: nodes.Best) -> Pool:
    given, inputs, site = over(frame, node.pool)
    by = number(frame, node.by, site)
    per = grouping(frame, node.per, given, site.pool_name)
    bound = at_most(given.type.bound, 1) if per is None else given.type.bound
    made = replace(given.type, bound=bound)
    return frame.emit_pool(graph.Select(by, Const(1), per=per), inputs, made, node)


@pool_rule(nodes.First)
def _first(frame: Frame, node: nodes.First) -> Pool:
    given, inputs, site = over(frame, node.pool)
    how_many: Expr = Const(1)
    if node.count is not None:
        how_many = count(frame, node.count, "the number of first candidates", inputs)
    if given.type.identical and given.type.filtered:
        frame.error(
            "TTS307",
            "all these samples are equal at temperature 0, so the first one fits or none does",
            node,
            "sample at a temperature above 0",
        )
    per = grouping(frame, node.per, given, site.pool_name)
    bound = at_most(given.type.bound, bound_of(how_many)) if per is None else given.type.bound
    return frame.emit_pool(graph.First(how_many, per), inputs, given.type.kept(bound), node)


@pool_rule(nodes.Sort)
def _sort(frame: Frame, node: nodes.Sort) -> Pool:
    given, inputs, site = over(frame, node.pool)
    by = number(frame, node.by, site)
    per = grouping(frame, node.per, given, site.pool_name)
    return frame.emit_pool(graph.Sort(by, per), inputs, given.type, node)


@pool_rule(nodes.Vote)
def _vote(frame: Frame, node: nodes.Vote) -> Pool:
    given, inputs, site = over(frame, node.pool)
    on = "answer"
    if node.key is not None:
        on = key(frame, node.key, given.type, site.pool_name) or on
    weight = None if node.weight is None else number(frame, node.weight, site)
    per = grouping(frame, node.per, given, site.pool_name)
    bound = 1 if per is None else given.type.bound
    made = replace(given.type, bound=at_most(bound, given.type.bound))
    return frame.emit_pool(graph.Vote(on, weight, per), inputs, made, node)


@pool_rule(nodes.Resample)
def _resample(frame: Frame, node: nodes.Resample) -> Pool:
    given, inputs, site = over(frame, node.pool)
    how_many = count(frame, node.count, "the number of draws", inputs)
    by = number(frame, node.by, site)
    per = grouping(frame, node.per, given, site.pool_name)
    drawn = bound_of(how_many)
    bound = drawn if per is None else times(drawn, given.type.bound)
    made = given.type.kept(bound)
    return frame.emit_pool(graph.Resample(how_many, by, per), inputs, made, node)


@pool_rule(nodes.Fork)
def _fork(frame: Frame, node: nodes.Fork) -> Pool:
    given, inputs, _ = over(frame, node.pool)
    copies = count(frame, node.count, "the number of copies", inputs)
    made = given.type.kept(times(given.type.bound, bound_of(copies)))
    return frame.emit_pool(graph.Fork(copies), inputs, made, node)


@pool_rule(nodes.Descend)
def _descend(frame: Frame, node: nodes.Descend) -> Pool:
    given, inputs, site = over(frame, node.tree)
    by = number(frame, node.by, site)
    often = None if node.times is None else count(frame, node.times, "`times`", inputs)
    staying = None if node.staying is None else number(frame, node.staying, site)
    bound = 1 if often is None else bound_of(often)
    made = given.type.kept(at_most(bound, plus(given.type.bound, 0)))
    return frame.emit_pool(graph.Descend(by, often, staying), inputs, made, node)


@pool_rule(nodes.Dedupe)
def _dedupe(frame: Frame, node: nodes.Dedupe) -> Pool:
    given, inputs, site = over(frame, node.pool)
    by = "text"
    if node.key is not None:
        by = key(frame, node.key, given.type, site.pool_name) or by
    per = grouping(frame, node.per, given, site.pool_name)
    return frame.emit_pool(graph.Dedupe(by, per), inputs, given.type, node)


@pool_rule(nodes.Cut)
def _cut(frame: Frame, node: nodes.Cut) -> Pool:
    given, inputs, site = over(frame, node.pool)
    length = number(frame, node.length, site)
    why = f"`cut` at line {frame.line(node)} dropped it: the text has changed"
    made = given.type.children(given.type.bound, why)
    unit = graph.Unit(node.unit.value)
    return frame.emit_pool(graph.Cut(length, unit), inputs, made, node)


@pool_rule(nodes.Split)
def _split(frame: Frame, node: nodes.Split) -> Pool:
    given, inputs, _ = over(frame, node.pool)
    at = text(frame, node.separator, Site(inputs))
    most = None if node.most is None else count(frame, node.most, "`at most`", inputs)
    bound = None if most is None else times(given.type.bound, bound_of(most))
    why = f"`split` at line {frame.line(node)} dropped it: the text has changed"
    made = given.type.children(bound, why)
    return frame.emit_pool(graph.Split(at, most), inputs, made, node)
