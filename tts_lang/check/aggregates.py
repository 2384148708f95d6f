"""Numbers taken from a whole pool: `mean(E of P)`, `count(P)`, `all P done`."""

from __future__ import annotations

from tts_lang.check import builtins
from tts_lang.check.columns import key
from tts_lang.check.context import Pool, StrategyContext
from tts_lang.check.dispatch import Site, scalar_rule
from tts_lang.check.functions import pool_wide, positional, softmax_arguments
from tts_lang.check.resolve import reduction
from tts_lang.check.types import POISON, ScalarType, Typed
from tts_lang.check.values import bounded, expect, number, pool, scalar
from tts_lang.diagnostics import did_you_mean
from tts_lang.plan.clauses import QUANTILE
from tts_lang.plan.expr import Aggregate, Expr
from tts_lang.syntax import nodes

_NAMES = (*builtins.POOL_AGGREGATES, *builtins.VALUE_AGGREGATES)


def pool_name(node: nodes.Expression) -> str:
    """How messages call a pool: by its variable, if it is one."""
    return node.text if isinstance(node, nodes.Name) else "the pool"


@scalar_rule(nodes.Quantified)
def _quantified(context: StrategyContext, node: nodes.Quantified, site: Site) -> Typed:
    over = _over(context, node.pool)
    how = "all done" if node.every else "any done"
    return Typed(ScalarType.FLAG, Aggregate(how, site.inputs.index(over.number)))


def _over(context: StrategyContext, node: nodes.Expression) -> Pool:
    """The pool that is aggregated. The strategy looks at it, so it knows that it may be empty."""
    if isinstance(node, nodes.Name):
        context.guarded.add(node.text)
    return pool(context, node)


@scalar_rule(nodes.Aggregate)
def _aggregate(context: StrategyContext, node: nodes.Aggregate, site: Site) -> Typed:
    name = node.function.text
    how = reduction(context, name) or name
    if how in {"softmax", "rank"}:
        return _grouped(context, node, site)
    if how not in _NAMES:
        _unknown(context, node, how)
        return POISON
    if node.pool is None:
        message = f"`{name}` needs a pool to take its values over"
        context.error("TTS210", message, node, f"write `{name}(E of POOL per KEY)`")
        return POISON
    over = _over(context, node.pool)
    inner = Site(site.inputs, over.type, pool_name(node.pool), site.streaming)
    index = site.inputs.index(over.number)
    of, type_ = _value(context, node, how, inner)
    per = _per(context, node, over, site)
    quantile = _quantile(context, node, how, site)
    on = "answer"
    if node.on is not None:
        if how not in {"share", "lead", "entropy"}:
            context.error(
                "TTS214", f"`on` belongs to share, lead and entropy, not `{name}`", node.on
            )
        on = key(context, node.on, over.type, inner.pool_name) or on
    weight = None
    if node.weight is not None:
        if how not in {"share", "lead", "entropy"}:
            message = f"`weighted by` belongs to share, lead and entropy, not `{name}`"
            context.error("TTS214", message, node.weight)
        weight = number(context, node.weight, inner)
    if type_ is ScalarType.UNKNOWN:
        return POISON
    return Typed(type_, Aggregate(how, index, of, per, node.below, on, weight, quantile))


def _unknown(context: StrategyContext, node: nodes.Aggregate, how: str) -> None:
    code, message = "TTS201", f"there is no aggregate called `{how}`"
    if how in builtins.FUNCTIONS or how in context.parameters:
        code, message = "TTS210", f"`{how}` cannot be taken over a pool"
    options = f"aggregates: {', '.join(_NAMES)}"
    context.error(code, message, node.function, did_you_mean(how, _NAMES) or options)


def _value(
    context: StrategyContext, node: nodes.Aggregate, how: str, inner: Site
) -> tuple[Expr | None, ScalarType]:
    if how in builtins.POOL_AGGREGATES:
        if node.value is not None:
            context.error(
                "TTS210",
                f"`{how}` takes a pool and no value",
                node.value,
                f"write `{how}({inner.pool_name})`; rows that fit: `{how}(P where ...)`",
            )
        return None, ScalarType.NUMBER
    if node.value is None:
        message = f"`{how}` needs a value to take of each candidate"
        context.error("TTS210", message, node, f"write `{how}(E of {inner.pool_name})`")
        return None, ScalarType.UNKNOWN
    if how == "first":
        typed = scalar(context, node.value, inner)
        if typed.type in {ScalarType.STEPS, ScalarType.KEY}:
            typed = expect(context, typed, ScalarType.NUMBER, node.value)
        return typed.expr, typed.type
    typed = expect(context, scalar(context, node.value, inner), ScalarType.NUMBER, node.value)
    return typed.expr, typed.type


def _per(context: StrategyContext, node: nodes.Aggregate, over: Pool, site: Site) -> str | None:
    if site.row is None and (node.per is not None or node.below):
        what = "per" if node.per is not None else "below"
        context.error(
            "TTS219",
            f"`{what}` gives each row its own number, and no row is looked at here",
            node.per or node,
            "use it in `let`, `where` or `by`",
        )
        return None
    if node.per is None or site.row is None:
        return None
    key(context, node.per, site.row, site.pool_name)
    return key(context, node.per, over.type, pool_name(node.pool) if node.pool else "the pool")


def _quantile(context: StrategyContext, node: nodes.Aggregate, how: str, site: Site) -> Expr | None:
    wanted = 1 if how == "quantile" else 0
    if not wanted and not node.arguments:
        return None
    given = positional(context, node, wanted, wanted) if node.arguments else ()
    if not given:
        if wanted and given is not None:
            message = "`quantile` needs to know which: a number between 0 and 1"
            context.error("TTS214", message, node, "`quantile(E of P, 0.5)` is the median")
        return None
    return bounded(context, given[0], "a quantile", site.inputs, QUANTILE)


def _grouped(context: StrategyContext, node: nodes.Aggregate, site: Site) -> Typed:
    """`softmax(E per KEY, temperature)` and `rank(E per KEY)`."""
    if node.pool is not None or node.value is None:
        context.error(
            "TTS210",
            f"`{node.function.text}` looks at the current pool, so it names none",
            node,
            f"write `{node.function.text}(E)` or `{node.function.text}(E per KEY)`",
        )
        return POISON
    split = softmax_arguments(context, node)
    if split is None:
        return POISON
    by_place, temperature = split
    if len(by_place) > (1 if node.function.text == "softmax" and temperature is None else 0):
        context.error("TTS214", f"too many arguments of `{node.function.text}`", node)
        return POISON
    per = None
    if node.per is not None and site.row is not None:
        per = key(context, node.per, site.row, site.pool_name)
    heat = by_place[0] if by_place else temperature
    return pool_wide(context, node.function, node.value, heat, per, site)
