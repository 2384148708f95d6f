"""Function calls: mathematics, reductions, statistics, randomness, aggregates over pools."""

from __future__ import annotations

from collections.abc import Callable

from tts_lang.check import builtins
from tts_lang.check.columns import key
from tts_lang.check.context import NameValue, PoolValue, StrategyContext
from tts_lang.check.dispatch import Site, scalar_rule
from tts_lang.check.resolve import gives_pool, hidden, is_strategy, reduction
from tts_lang.check.scope import Role
from tts_lang.check.steps import of_steps, positional, step_function
from tts_lang.check.texts import extract, text_number
from tts_lang.check.types import POISON, ScalarType, Typed
from tts_lang.check.values import bounded, count, expect, not_a_scalar, number, pool, scalar
from tts_lang.diagnostics import did_you_mean, suggest
from tts_lang.plan.clauses import HEAT, QUANTILE, SHARE
from tts_lang.plan.constants import fold
from tts_lang.plan.expr import (
    DISTRIBUTIONS,
    STATISTICS,
    STEP_FUNCTIONS,
    Aggregate,
    Apply,
    Expr,
    PoolWide,
    Random,
    Statistic,
)
from tts_lang.syntax import nodes
from tts_lang.syntax.words import VERBS


@scalar_rule(nodes.CallExpression)
def _call(context: StrategyContext, node: nodes.CallExpression, site: Site) -> Typed:
    name = node.function.text
    if is_strategy(context, name):
        not_a_scalar(context, node)
        return POISON
    if node.fresh and (meaning := builtins.meaning(name)) is not None:
        message = f"`fresh` stands before a call of a strategy, and `{name}` is {meaning}"
        context.error("TTS216", message, node.function, "leave `fresh` out")
        return POISON
    if name == "leaves":
        not_a_scalar(context, node)
        return POISON
    how = reduction(context, name)
    if how is not None:
        return _reduce(context, node, how, site)
    handler = _HANDLERS.get(name)
    if handler is not None and not (name == "quantile" and _of_pool(context, node)):
        return handler(context, node, site)
    if name in builtins.VALUE_AGGREGATES:
        _needs_pool(context, node, name)
        return POISON
    _not_a_function(context, node)
    return POISON


def _not_a_function(context: StrategyContext, node: nodes.CallExpression) -> None:
    name = node.function.text
    parameter = context.parameters.get(name)
    if (isinstance(parameter, Typed) and parameter.type is ScalarType.UNKNOWN) or hidden(
        context, name
    ):
        return
    if name in context.env or parameter is not None or name in context.scope.names:
        message = f"`{name}` is neither a function nor a strategy"
        unquoted = None
        if isinstance(parameter, Typed) and parameter.type is ScalarType.TEXT:
            unquoted = f"a parameter that names a reduction has no quotes: `{name} = last`"
        context.error("TTS216", message, node.function, unquoted)
        return
    options = [*builtins.FUNCTIONS, *context.scope.of_role([Role.STRATEGY])]
    options += [key for key, value in context.parameters.items() if isinstance(value, NameValue)]
    hint = did_you_mean(name, [*options, *VERBS])
    if name == "fresh":
        hint = "write `fresh S(...)`, without parentheses around the call"
    context.error(
        "TTS201",
        f"there is no function or strategy called `{name}`",
        node.function,
        hint or _import(name),
    )


def _import(name: str) -> str:
    """A suggestion to import a strategy from another file."""
    import tts_lang.library as library

    shipped = library.names()
    if name in shipped:
        return f'import it: `import "{shipped[name].name}"`'
    close = suggest(name, shipped)
    if close is not None:
        return f'did you mean `{close}`, with `import "{shipped[close].name}"` above?'
    return f'import the file that declares it: `import "{name}.tts"`'


def _reduce(context: StrategyContext, node: nodes.CallExpression, how: str, site: Site) -> Typed:
    extreme = builtins.EXTREMES.get(how)
    arguments = positional(context, node, 1, 16 if extreme else 1)
    if arguments is None:
        return POISON
    if extreme and len(arguments) > 1:
        return _extreme(context, arguments, extreme, site)
    (operand,) = arguments
    if gives_pool(context, operand):
        _needs_pool(context, node, how)
        return POISON
    typed = scalar(context, operand, site)
    if typed.type is ScalarType.STEPS:
        return Typed(ScalarType.NUMBER, of_steps(typed, how))
    if typed.type is not ScalarType.UNKNOWN:
        written = context.scope.source.slice(operand.span)
        help_ = f"use `{written}` itself"
        if how in builtins.VALUE_AGGREGATES:
            help_ += f", or aggregate it over a pool: `{how}({written} of POOL)`"
        message = f"`{how}` reduces the scores of steps, and `{written}` is already one value"
        context.error("TTS210", message, node, help_)
    return POISON


def _of_pool(context: StrategyContext, node: nodes.CallExpression) -> bool:
    return not node.arguments or gives_pool(context, node.arguments[0].value)


def _needs_pool(context: StrategyContext, node: nodes.CallExpression, how: str) -> None:
    pool = "POOL"
    if node.arguments and isinstance(node.arguments[0].value, nodes.Name):
        named = node.arguments[0].value.text
        if isinstance(context.env.get(named), PoolValue):
            pool = named
    tail = ", q" if how == "quantile" else ""
    context.error(
        "TTS210",
        f"`{how}` needs a value and a pool to take it over",
        node,
        f"for example `{how}(tokens of {pool}{tail})`",
    )


def _extreme(
    context: StrategyContext, arguments: tuple[nodes.Expression, ...], function: str, site: Site
) -> Typed:
    operands = [
        expect(context, scalar(context, argument, site), ScalarType.NUMBER, argument)
        for argument in arguments
    ]
    if any(operand.type is ScalarType.UNKNOWN for operand in operands):
        return POISON
    result = operands[0].expr
    for operand in operands[1:]:
        result = fold(function, result, operand.expr)
    return Typed(ScalarType.NUMBER, result)


def _mathematics(context: StrategyContext, node: nodes.CallExpression, site: Site) -> Typed:
    name = node.function.text
    arity = builtins.MATHEMATICS[name]
    arguments = positional(context, node, arity, arity)
    if arguments is None:
        return POISON
    operands = [
        expect(context, scalar(context, argument, site), ScalarType.NUMBER, argument)
        for argument in arguments
    ]
    if any(operand.type is ScalarType.UNKNOWN for operand in operands):
        return POISON
    return Typed(ScalarType.NUMBER, fold(name, *(operand.expr for operand in operands)))


def _has(context: StrategyContext, node: nodes.CallExpression, site: Site) -> Typed:
    arguments = positional(context, node, 1, 1)
    if arguments is None:
        return POISON
    typed = scalar(context, arguments[0], site)
    if typed.type is ScalarType.STEPS:
        typed = expect(context, typed, ScalarType.NUMBER, arguments[0])
    if typed.type is ScalarType.UNKNOWN:
        return POISON
    return Typed(ScalarType.FLAG, Apply("has", (typed.expr,)))


def pool_wide(
    context: StrategyContext,
    function: nodes.Name,
    value: nodes.Expression,
    temperature: nodes.Expression | None,
    per: str | None,
    site: Site,
    then: tuple[nodes.Expression, ...] = (),
) -> Typed:
    """`softmax(E, temperature)` and `rank(E, E)` over the pool whose rows are looked at."""
    if site.row is None or site.streaming:
        where = "while a row is generated" if site.streaming else "here"
        context.error(
            "TTS219",
            f"`{function.text}` compares the rows of the current pool, and there is none {where}",
            function,
            "use it in `by`, `where`, `let` or `weighted by`",
        )
        return POISON
    of = number(context, value, site)
    heat = None
    if temperature is not None:
        heat = bounded(context, temperature, "the temperature of softmax", site.inputs, HEAT)
    others = tuple(number(context, each, site) for each in then)
    return Typed(ScalarType.NUMBER, PoolWide(function.text, of, heat, per, others))


@scalar_rule(nodes.InTurn)
def _in_turn(context: StrategyContext, node: nodes.InTurn, site: Site) -> Typed:
    """`by (a, b)`: the rank by a, then by b, the best first (C75)."""
    first, *then = node.keys
    rank = pool_wide(context, nodes.Name("rank"), first, None, None, site, tuple(then))
    return Typed(ScalarType.NUMBER, fold("neg", rank.expr))


def softmax_arguments(
    context: StrategyContext, node: nodes.CallExpression | nodes.AggregateExpression
) -> tuple[tuple[nodes.Expression, ...], nodes.Expression | None] | None:
    """The arguments by place, and `temperature` given by name."""
    named = [argument for argument in node.arguments if argument.name is not None]
    for argument in named:
        if argument.name is not None and (
            argument.name.text != "temperature" or node.function.text != "softmax"
        ):
            context.error(
                "TTS214",
                f"`{node.function.text}` has no argument `{argument.name.text}`",
                argument.name,
                "`softmax(E, temperature)`, `rank(E)`",
            )
            return None
    by_place = tuple(each.value for each in node.arguments if each.name is None)
    return by_place, named[0].value if named else None


def _softmax(context: StrategyContext, node: nodes.CallExpression, site: Site) -> Typed:
    split = softmax_arguments(context, node)
    if split is None:
        return POISON
    by_place, temperature = split
    if node.function.text == "rank" and by_place:
        return pool_wide(context, node.function, by_place[0], None, None, site, by_place[1:])
    most = 2 if node.function.text == "softmax" and temperature is None else 1
    if not 1 <= len(by_place) <= most:
        expected = "a value and a temperature" if most == 2 else "one value"
        context.error("TTS214", f"`{node.function.text}` takes {expected}", node)
        return POISON
    if len(by_place) == 2:
        temperature = by_place[1]
    return pool_wide(context, node.function, by_place[0], temperature, None, site)


def _statistic(context: StrategyContext, node: nodes.CallExpression, site: Site) -> Typed:
    name = node.function.text
    arguments = positional(context, node, 1, 1)
    if arguments is None:
        return POISON
    if site.row is None:
        context.error(
            "TTS207",
            f"`{name}` is a statistic of one candidate's tokens, and there is no candidate here",
            node,
            f"aggregate it over a pool: `mean({name}(all) of POOL)`",
        )
        return POISON
    span = arguments[0]
    if not isinstance(span, nodes.TokenSpan):
        # `confidence(w)` is the lowest mean over windows of w tokens (language.md).
        window = count(context, span, "the window", site.inputs)
        return Typed(ScalarType.NUMBER, Statistic(name, "lowest", window))
    width = None
    if span.width is not None:
        width = count(context, span.width, "the window", site.inputs)
    share = None
    if span.share is not None:
        share = bounded(context, span.share, "the share", site.inputs, SHARE)
    return Typed(ScalarType.NUMBER, Statistic(name, span.range.value, width, share))


def _random(context: StrategyContext, node: nodes.CallExpression, site: Site) -> Typed:
    name = node.function.text
    arity = DISTRIBUTIONS[name]
    arguments = positional(context, node, arity, arity)
    if arguments is None:
        return POISON
    if site.streaming:
        message = f"`{name}` draws once for a row, and this is read after every token"
        context.error("TTS219", message, node, "draw it before: `let u of P = uniform()`")
        return POISON
    return Typed(
        ScalarType.NUMBER, Random(name, tuple(number(context, each, site) for each in arguments))
    )


@scalar_rule(nodes.TokenSpan)
def _span(context: StrategyContext, node: nodes.TokenSpan, site: Site) -> Typed:
    del site
    context.error(
        "TTS206",
        f"`{node.range.value}` says which tokens a statistic looks at; it is no value of its own",
        node,
        "as in `confidence(tail 16)`",
    )
    return POISON


_Handler = Callable[[StrategyContext, nodes.CallExpression, Site], Typed]
_HANDLERS: dict[str, _Handler] = {
    "has": _has,
    "extract": extract,
    "number": text_number,
    "softmax": _softmax,
    "rank": _softmax,
    "take": step_function,
    **dict.fromkeys(STEP_FUNCTIONS, step_function),
    **dict.fromkeys(builtins.MATHEMATICS, _mathematics),
    **dict.fromkeys(STATISTICS, _statistic),
    **dict.fromkeys(DISTRIBUTIONS, _random),
}


# ---------------------------------------------------------------------- aggregates over pools


_NAMES = (*builtins.POOL_AGGREGATES, *builtins.VALUE_AGGREGATES)


def pool_name(node: nodes.Expression) -> str:
    """The name of a pool in messages: its variable, if it is one."""
    return node.text if isinstance(node, nodes.Name) else "the pool"


@scalar_rule(nodes.QuantifiedExpression)
def _quantified(context: StrategyContext, node: nodes.QuantifiedExpression, site: Site) -> Typed:
    over = _over(context, node.pool)
    how = "all done" if node.every else "any done"
    return Typed(ScalarType.FLAG, Aggregate(how, site.inputs.index(over.number)))


def _over(context: StrategyContext, node: nodes.Expression) -> PoolValue:
    """The pool that is aggregated. The strategy looks at it, so it knows that it may be empty."""
    if isinstance(node, nodes.Name):
        context.guarded.add(node.text)
    return pool(context, node)


@scalar_rule(nodes.AggregateExpression)
def _aggregate(context: StrategyContext, node: nodes.AggregateExpression, site: Site) -> Typed:
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


def _unknown(context: StrategyContext, node: nodes.AggregateExpression, how: str) -> None:
    code, message = "TTS201", f"there is no aggregate called `{how}`"
    if how in builtins.FUNCTIONS or how in context.parameters:
        code, message = "TTS210", f"`{how}` cannot be taken over a pool"
    options = f"aggregates: {', '.join(_NAMES)}"
    context.error(code, message, node.function, did_you_mean(how, _NAMES) or options)


def _value(
    context: StrategyContext, node: nodes.AggregateExpression, how: str, inner: Site
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


def _per(
    context: StrategyContext, node: nodes.AggregateExpression, over: PoolValue, site: Site
) -> str | None:
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


def _quantile(
    context: StrategyContext, node: nodes.AggregateExpression, how: str, site: Site
) -> Expr | None:
    arity = 1 if how == "quantile" else 0
    if not arity and not node.arguments:
        return None
    arguments = positional(context, node, arity, arity) if node.arguments else ()
    if not arguments:
        if arity and arguments is not None:
            message = "`quantile` needs to know which: a number between 0 and 1"
            context.error("TTS214", message, node, "`quantile(E of P, 0.5)` is the median")
        return None
    return bounded(context, arguments[0], "a quantile", site.inputs, QUANTILE)


def _grouped(context: StrategyContext, node: nodes.AggregateExpression, site: Site) -> Typed:
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
