"""Builders of expressions: names, literals, operators, calls and aggregates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tts_lang.syntax import nodes
from tts_lang.syntax.build import BUILDERS, Arguments, Context, Parts, builder, part
from tts_lang.syntax.literals import block_value, number_value, string_value
from tts_lang.syntax.nodes import NumberKind, Operator, TokenRange, UnaryOperator
from tts_lang.syntax.words import UNIT_WORDS

if TYPE_CHECKING:
    from tts_lang.source import Span
    from tts_lang.syntax.tokens import Token

# Functions of a pool that take no value: `count(P)`.
POOL_FUNCTIONS = frozenset({"count", "share", "lead", "entropy"})
# Statistics over a range of tokens: `margin(answer)`.
TOKEN_STATISTICS = frozenset({"confidence", "certainty", "entropy", "margin"})
_NAMED_RANGES = {"step": TokenRange.STEP, "answer": TokenRange.ANSWER}


class OfPool(NamedTuple):
    """`E of P tails` as an argument; without `of`, `pool` is missing."""

    value: nodes.Expression
    pool: nodes.Expression | None
    parts: Parts
    span: Span


for _tail in ("below", "per", "on", "weighted"):
    part(_tail)


@builder("name", "count_name", "fresh_name")
def _name(context: Context, children: list[Any], span: Span) -> nodes.Name:
    del context
    token: Token = children[0]
    return nodes.Name(token.text, span=span)


_KINDS = {
    "integer": NumberKind.INTEGER,
    "float": NumberKind.FLOAT,
    "percent": NumberKind.PERCENT,
}


def _number_builder(kind: NumberKind) -> None:
    def build(context: Context, children: list[Any], span: Span) -> nodes.Number:
        del context
        literal = children[0].text
        return nodes.Number(number_value(literal), kind, literal=literal, span=span)

    BUILDERS[kind.value] = build


for _kind in NumberKind:
    _number_builder(_kind)


@builder("string")
def _string(context: Context, children: list[Any], span: Span) -> nodes.Text:
    del context
    return nodes.Text(string_value(children[0].text), span=span)


@builder("text")
def _text(context: Context, children: list[Any], span: Span) -> nodes.Text:
    del context
    return nodes.Text(block_value(children[0].text), block=True, span=span)


@builder("unit")
def _unit(context: Context, children: list[Any], span: Span) -> nodes.Unit:
    del context, span
    return nodes.Unit(UNIT_WORDS[children[0].text].lower() + "s")


_OPERATORS = {
    "or_": Operator.OR,
    "and_": Operator.AND,
    "equal": Operator.EQUAL,
    "unequal": Operator.UNEQUAL,
    "less": Operator.LESS,
    "less_equal": Operator.LESS_EQUAL,
    "greater": Operator.GREATER,
    "greater_equal": Operator.GREATER_EQUAL,
    "ends_with": Operator.ENDS_WITH,
    "contains": Operator.CONTAINS,
    "add": Operator.ADD,
    "subtract": Operator.SUBTRACT,
    "multiply": Operator.MULTIPLY,
    "divide": Operator.DIVIDE,
    "power": Operator.POWER,
}


def _operator_builder(rule: str, operator: Operator) -> None:
    def build(context: Context, children: list[Any], span: Span) -> nodes.Binary:
        del context
        return nodes.Binary(operator, children[0], children[1], span=span)

    BUILDERS[rule] = build


for _rule, _operator in _OPERATORS.items():
    _operator_builder(_rule, _operator)


@builder("negate")
def _negate(context: Context, children: list[Any], span: Span) -> nodes.Unary:
    del context
    return nodes.Unary(UnaryOperator.NEGATE, children[0], span=span)


@builder("not_")
def _not(context: Context, children: list[Any], span: Span) -> nodes.Unary:
    del context
    return nodes.Unary(UnaryOperator.NOT, children[0], span=span)


@builder("where")
def _where(context: Context, children: list[Any], span: Span) -> nodes.Where:
    del context
    return nodes.Where(children[0], children[1], span=span)


@builder("conditional")
def _conditional(context: Context, children: list[Any], span: Span) -> nodes.Conditional:
    del context
    then, condition, otherwise = children
    return nodes.Conditional(condition, then, otherwise, span=span)


@builder("all_done")
def _all_done(context: Context, children: list[Any], span: Span) -> nodes.Quantified:
    del context
    return nodes.Quantified(True, children[0], span=span)


@builder("any_done")
def _any_done(context: Context, children: list[Any], span: Span) -> nodes.Quantified:
    del context
    return nodes.Quantified(False, children[0], span=span)


# ------------------------------------------------------------------------------ calls


@builder("arguments")
def _arguments(context: Context, children: list[Any], span: Span) -> Arguments:
    del context, span
    return Arguments(tuple(children))


@builder("positional")
def _positional(context: Context, children: list[Any], span: Span) -> nodes.Argument:
    del context
    return nodes.Argument(None, children[0], span=span)


@builder("named")
def _named(context: Context, children: list[Any], span: Span) -> nodes.Argument:
    del context
    return nodes.Argument(children[0], children[1], span=span)


@builder("of_pool")
def _of_pool(context: Context, children: list[Any], span: Span) -> OfPool | nodes.Broken:
    value, pool, *tails = children
    parts = Parts(context, tails)
    return parts.broken or OfPool(value, pool, parts, span)


@builder("tailed")
def _tailed(context: Context, children: list[Any], span: Span) -> OfPool | nodes.Broken:
    value, *tails = children
    parts = Parts(context, tails)
    return parts.broken or OfPool(value, None, parts, span)


@builder("span_all")
def _span_all(context: Context, children: list[Any], span: Span) -> nodes.Argument:
    del context, children
    return nodes.Argument(None, nodes.TokenSpan(TokenRange.ALL, span=span), span=span)


@builder("span_tail")
def _span_tail(context: Context, children: list[Any], span: Span) -> nodes.Argument:
    del context
    return nodes.Argument(None, nodes.TokenSpan(TokenRange.TAIL, children[0], span=span), span=span)


@builder("span_lowest")
def _span_lowest(context: Context, children: list[Any], span: Span) -> nodes.Argument:
    del context
    share = children[1] if len(children) > 1 else None
    lowest = nodes.TokenSpan(TokenRange.LOWEST, children[0], share, span=span)
    return nodes.Argument(None, lowest, span=span)


def plain_arguments(
    context: Context, arguments: tuple[Any, ...]
) -> tuple[nodes.Argument, ...] | nodes.Broken:
    """Arguments that are values; `E of P` belongs to functions only, as their first argument."""
    for argument in arguments:
        if isinstance(argument, OfPool):
            return context.refuse(
                "TTS134",
                "`E of P` can only be the first argument of a function",
                argument.span,
                "as in `mean(E of P)` or `quantile(E of P, 0.5)`",
            )
    return arguments


@builder("call")
def _call(
    context: Context, children: list[Any], span: Span
) -> nodes.Call | nodes.Aggregate | nodes.Broken:
    function: nodes.Name = children[0]
    given: tuple[Any, ...] = children[1].items
    first = given[0] if given else None
    rest = plain_arguments(context, given[1:])
    if isinstance(rest, nodes.Broken):
        return rest
    if isinstance(first, OfPool):
        return _aggregate(context, function, first, rest, span)
    if isinstance(first, nodes.Argument) and first.name is None:
        value = first.value
        if (
            function.text in TOKEN_STATISTICS
            and isinstance(value, nodes.Name)
            and value.text in _NAMED_RANGES
        ):
            token_range = nodes.TokenSpan(_NAMED_RANGES[value.text], span=value.span)
            return nodes.Call(
                function, (nodes.Argument(None, token_range, span=first.span), *rest), span=span
            )
        if function.text in POOL_FUNCTIONS and not isinstance(value, nodes.TokenSpan):
            return nodes.Aggregate(function, None, value, arguments=rest, span=span)
    return nodes.Call(function, given, span=span)


@builder("fresh")
def _fresh(context: Context, children: list[Any], span: Span) -> nodes.Call | nodes.Broken:
    given = children[1].items
    if any(isinstance(argument, OfPool) for argument in given):
        return context.refuse(
            "TTS120", "`fresh` stands before a call of a strategy", span, "leave `fresh` out"
        )
    return nodes.Call(children[0], given, fresh=True, span=span)


def _aggregate(
    context: Context,
    function: nodes.Name,
    first: OfPool,
    rest: tuple[nodes.Argument, ...],
    span: Span,
) -> nodes.Aggregate | nodes.Broken:
    name, parts = function.text, first.parts
    value: nodes.Expression | None = first.value
    pool = first.pool
    if pool is None and name in POOL_FUNCTIONS:
        value, pool = None, first.value
    elif pool is None and ("below" in parts or "on" in parts or "weighted" in parts):
        return context.refuse(
            "TTS134",
            f"`{name}` needs a value and a pool here",
            first.span,
            f"write `{name}(E of P ...)`",
        )
    return nodes.Aggregate(
        function,
        value,
        pool,
        below="below" in parts,
        per=parts.get("per"),
        key=parts.get("on"),
        weight=parts.get("weighted"),
        arguments=rest,
        span=span,
    )
