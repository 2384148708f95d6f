"""Numbers taken from a whole pool: `mean(E of P)`, `count(P)`, `all P done`."""

from __future__ import annotations

from tts_lang.check import builtins
from tts_lang.check.columns import key
from tts_lang.check.dispatch import Site, scalar_rule
from tts_lang.check.frame import Frame, Pool
from tts_lang.check.functions import pool_wide, positional, softmax_arguments
from tts_lang.check.kinds import POISON, Sort, Typed
from tts_lang.check.resolve import reduction
from tts_lang.check.values import bounded, expect, number, pool, scalar
from tts_lang.diagnostics import did_you_mean
from tts_lang.plan.expr import Aggregate, Expr
from tts_lang.plan.shapes import QUANTILE
from tts_lang.syntax import nodes

_NAMES = (*builtins.POOL_AGGREGATES, *builtins.VALUE_AGGREGATES)


def pool_name(node: nodes.Expression) -> str:
    """How messages call a pool: by its variable, if it is one."""
    return node.text if isinstance(node, nodes.Name) else "the pool"


@scalar_rule(nodes.Quantified)
def _quantified(frame: Frame, node: nodes.Quantified, site: Site) -> Typed:
    over = _over(frame, node.pool)
    how = "all done" if node.every else "any done"
    return Typed(Sort.FLAG, Aggregate(how, site.inputs.index(over.number)))


def _over(frame: Frame, node: nodes.Expression) -> Pool:
    """The pool that is aggregated. The strategy looks at it, so it knows that it may be empty."""
    if isinstance(node, nodes.Name):
        frame.guarded.add(node.text)
    return pool(frame, node)


@scalar_rule(nodes.Aggregate)
def _aggregate(frame: Frame, node: nodes.Aggregate, site: Site) -> Typed:
    name = node.function.text
    how = reduction(frame, name) or name
    if how in {"softmax", "rank"}:
        return _grouped(frame, node, site)
    if how not in _NAMES:
        _unknown(frame, node, how)
        return POISON
    if node.pool is None:
        message = f"`{name}` needs a pool to take its values over"
        frame.error("TTS210", message, node, f"write `{name}(E of POOL per KEY)`")
        return POISON
    over = _over(frame, node.pool)
    inner = Site(site.inputs, over.type, pool_name(node.pool), site.streaming)
    index = site.inputs.index(over.number)
    of, sort = _value(frame, node, how, inner)
    per = _per(frame, node, over, site)
    quantile = _quantile(frame, node, how, site)
    on = "answer"
    if node.key is not None:
        if how not in {"share", "lead", "entropy"}:
            frame.error(
                "TTS214", f"`on` belongs to share, lead and entropy, not `{name}`", node.key
            )
        on = key(frame, node.key, over.type, inner.pool_name) or on
    weight = None
    if node.weight is not None:
        if how not in {"share", "lead", "entropy"}:
            message = f"`weighted by` belongs to share, lead and entropy, not `{name}`"
            frame.error("TTS214", message, node.weight)
        weight = number(frame, node.weight, inner)
    if sort is Sort.UNKNOWN:
        return POISON
    return Typed(sort, Aggregate(how, index, of, per, node.below, on, weight, quantile))


def _unknown(frame: Frame, node: nodes.Aggregate, how: str) -> None:
    code, message = "TTS201", f"there is no aggregate called `{how}`"
    if how in builtins.FUNCTIONS or how in frame.parameters:
        code, message = "TTS210", f"`{how}` cannot be taken over a pool"
    options = f"aggregates: {', '.join(_NAMES)}"
    frame.error(code, message, node.function, did_you_mean(how, _NAMES) or options)


def _value(frame: Frame, node: nodes.Aggregate, how: str, inner: Site) -> tuple[Expr | None, Sort]:
    if how in builtins.POOL_AGGREGATES:
        if node.value is not None:
            frame.error(
                "TTS210",
                f"`{how}` takes a pool and no value",
                node.value,
                f"write `{how}({inner.pool_name})`; rows that fit: `{how}(P where ...)`",
            )
        return None, Sort.NUMBER
    if node.value is None:
        message = f"`{how}` needs a value to take of each candidate"
        frame.error("TTS210", message, node, f"write `{how}(E of {inner.pool_name})`")
        return None, Sort.UNKNOWN
    if how == "first":
        typed = scalar(frame, node.value, inner)
        if typed.sort in {Sort.STEPS, Sort.KEY}:
            typed = expect(frame, typed, Sort.NUMBER, node.value)
        return typed.expr, typed.sort
    typed = expect(frame, scalar(frame, node.value, inner), Sort.NUMBER, node.value)
    return typed.expr, typed.sort


def _per(frame: Frame, node: nodes.Aggregate, over: Pool, site: Site) -> str | None:
    if site.row is None and (node.per is not None or node.below):
        what = "per" if node.per is not None else "below"
        frame.error(
            "TTS219",
            f"`{what}` gives each row its own number, and no row is looked at here",
            node.per or node,
            "use it in `let`, `where` or `by`",
        )
        return None
    if node.per is None or site.row is None:
        return None
    key(frame, node.per, site.row, site.pool_name)
    return key(frame, node.per, over.type, pool_name(node.pool) if node.pool else "the pool")


def _quantile(frame: Frame, node: nodes.Aggregate, how: str, site: Site) -> Expr | None:
    wanted = 1 if how == "quantile" else 0
    if not wanted and not node.arguments:
        return None
    given = positional(frame, node, wanted, wanted) if node.arguments else ()
    if not given:
        if wanted and given is not None:
            message = "`quantile` needs to know which: a number between 0 and 1"
            frame.error("TTS214", message, node, "`quantile(E of P, 0.5)` is the median")
        return None
    return bounded(frame, given[0], "a quantile", site.inputs, QUANTILE)


def _grouped(frame: Frame, node: nodes.Aggregate, site: Site) -> Typed:
    """`softmax(E per KEY, temperature)` and `rank(E per KEY)`."""
    if node.pool is not None or node.value is None:
        frame.error(
            "TTS210",
            f"`{node.function.text}` looks at the current pool, so it names none",
            node,
            f"write `{node.function.text}(E)` or `{node.function.text}(E per KEY)`",
        )
        return POISON
    split = softmax_arguments(frame, node)
    if split is None:
        return POISON
    by_place, temperature = split
    if len(by_place) > (1 if node.function.text == "softmax" and temperature is None else 0):
        frame.error("TTS214", f"too many arguments of `{node.function.text}`", node)
        return POISON
    per = None
    if node.per is not None and site.row is not None:
        per = key(frame, node.per, site.row, site.pool_name)
    heat = by_place[0] if by_place else temperature
    return pool_wide(frame, node.function, node.value, heat, per, site)
