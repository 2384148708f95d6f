"""Entry points for expressions: a pool, a scalar of a given type, a count, a constant."""

from __future__ import annotations

from tts_lang.check.builtins import UNSET
from tts_lang.check.context import NO_VALUE, Inputs, PoolValue, StrategyContext
from tts_lang.check.dispatch import POOLS, SCALARS, Site
from tts_lang.check.types import POISON, UNKNOWN_POOL, WORDS, ScalarType, Typed
from tts_lang.plan.clauses import Range
from tts_lang.plan.constants import NotConstant, constant, fold, is_constant, whole
from tts_lang.plan.expr import Const, Expr
from tts_lang.syntax import nodes

#: The name of the count of `select` in messages (it may be a percentage instead).
SELECTED = "the number selected"

#: Stands for a pool whose error has been reported.
NO_POOL = PoolValue(NO_VALUE, UNKNOWN_POOL)


def pool(context: StrategyContext, node: nodes.Expression) -> PoolValue:
    """The pool that an expression gives; reported if it gives none."""
    handler = POOLS.get(type(node))
    if handler is not None:
        return handler(context, node)
    typed = scalar(context, node, Site(Inputs()))
    if typed.type is not ScalarType.UNKNOWN:
        not_a_pool(context, node, WORDS[typed.type])
    return NO_POOL


def not_a_pool(context: StrategyContext, node: nodes.Expression, actual: str) -> None:
    """Reports something that stands where a pool is needed."""
    context.error(
        "TTS205",
        f"a pool of candidates is needed here, and this is {actual}",
        node,
        "name a pool, as in `sample 4` or a variable that holds one",
    )


def scalar(context: StrategyContext, node: nodes.Expression, site: Site) -> Typed:
    """A number, text, condition (or column) from an expression; pools are reported."""
    handler = SCALARS.get(type(node))
    if handler is not None:
        return handler(context, node, site)
    not_a_scalar(context, node)
    return POISON


def not_a_scalar(context: StrategyContext, node: nodes.Expression) -> None:
    """Reports a pool that stands where a number, text or condition is needed."""
    name = node.text if isinstance(node, nodes.Name) else "P"
    context.error(
        "TTS206",
        "a number, text or condition is needed here, and this is a pool",
        node,
        f"count its rows with `count({name})`, or aggregate a column: `mean(tokens of {name})`",
    )


def expect(
    context: StrategyContext, typed: Typed, expected: ScalarType, node: nodes.Expression
) -> Typed:
    """The expression itself if it has the wanted type; else poison, after a message."""
    if typed.type is expected or typed.type is ScalarType.UNKNOWN:
        return typed
    if typed.type is ScalarType.STEPS:
        column = getattr(typed.expr, "name", getattr(typed.expr, "column", "it"))
        context.error(
            "TTS209",
            f"`{column}` has one number per step, and {WORDS[expected]} is needed here",
            node,
            f"choose a reduction: `last({column})`, `min({column})`, `mean({column})`, "
            f"`prod({column})`",
        )
    else:
        help_ = None
        if expected is ScalarType.FLAG and typed.type is ScalarType.NUMBER:
            help_ = "compare it with something, as in `... > 0`"
        if expected is ScalarType.FLAG and typed.type is ScalarType.TEXT:
            help_ = "compare it: `==`, `contains`, `ends with`"
        context.error(
            "TTS206",
            f"{WORDS[expected]} is needed here, and this is {WORDS[typed.type]}",
            node,
            help_,
        )
    return POISON


def number(context: StrategyContext, node: nodes.Expression, site: Site) -> Expr:
    """A number for each row, or once."""
    return expect(context, scalar(context, node, site), ScalarType.NUMBER, node).expr


def condition(context: StrategyContext, node: nodes.Expression, site: Site) -> Expr:
    """A condition for each row, or once."""
    return expect(context, scalar(context, node, site), ScalarType.FLAG, node).expr


def text(context: StrategyContext, node: nodes.Expression, site: Site) -> Expr:
    """A text for each row, or once."""
    return expect(context, scalar(context, node, site), ScalarType.TEXT, node).expr


def check_not_empty(
    context: StrategyContext, value: object, what: str, node: nodes.SyntaxNode
) -> None:
    """Reports a text to look for that is known to be empty: it is everywhere, or nowhere."""
    if value == "":
        help_ = _other_value(node, "the text to look for")
        context.error("TTS309", f"{what} is empty", node, help_)


def static(context: StrategyContext, node: nodes.Expression, what: str) -> Typed | None:
    """A scalar that must be known when compiling; `None` after a message, or if it is unknown.

    `what` is how the message calls it: "the number of rounds".
    """
    inputs = Inputs()
    typed = scalar(context, node, Site(inputs))
    if typed.type is ScalarType.UNKNOWN:
        return None
    if inputs.numbers or not is_constant(typed.expr):
        context.error(
            "TTS303",
            f"{what} must be known when compiling, and this depends on candidates",
            node,
            "use literals, parameters and arithmetic on them",
        )
        return None
    return Typed(typed.type, Const(constant(typed.expr)), typed.share)


def static_number(
    context: StrategyContext, node: nodes.Expression, what: str
) -> int | float | None:
    """A number that must be known when compiling."""
    typed = static(context, node, what)
    if typed is None:
        return None
    value = constant(expect(context, typed, ScalarType.NUMBER, node).expr)
    if value is None and typed.type is ScalarType.NUMBER:
        _no_value(context, what, node)
    return value if isinstance(value, int | float) else None


def known_number(expression: Expr) -> int | float | None:
    """The value of a number that is known now, else nothing."""
    try:
        value = constant(expression)
    except NotConstant:
        return None
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def count(
    context: StrategyContext,
    node: nodes.Expression,
    what: str,
    inputs: Inputs,
    site: Site | None = None,
    least: int = 1,
) -> Expr:
    """A count: known ones are whole and positive (C39), others are rounded down when it runs.

    At a site, it is one for each row. `least`: what messages say it must be, where the caller takes
    a 0 itself.
    """
    typed = expect(context, scalar(context, node, site or Site(inputs)), ScalarType.NUMBER, node)
    if typed.type is ScalarType.UNKNOWN:
        return Const(1)
    if not is_constant(typed.expr):
        return typed.expr if whole(typed.expr) else fold("floor", typed.expr)
    value = constant(typed.expr)
    if not context.numbers_matter:
        return Const(1)
    if isinstance(value, bool) or not isinstance(value, int | float):
        _no_value(context, what, node)
        return Const(1)
    rounded = int(value // 1)
    if rounded < 1:
        help_ = (
            "a fraction is rounded down"
            if 0 < value < 1
            else _other_value(node, f"{least} or more")
        )
        if what == SELECTED and 0 < value < 1:
            help_ = f"a fraction is rounded down; a share of a pool is written `{value:.0%}`"
        shown = _shown(context, node, value)
        context.error("TTS301", f"{what} must be at least {least}, and {shown}", node, help_)
        return Const(1)
    if rounded != value:
        shown = _shown(context, node, value)
        context.warning(
            "TTS906",
            f"{what} is not whole: {shown}, rounded down to {rounded}",
            node,
            "choose parameters that divide evenly"
            if isinstance(node, nodes.BinaryExpression)
            else _other_value(node, "a whole number"),
        )
    return Const(rounded)


def _shown(context: StrategyContext, node: nodes.Expression, value: int | float) -> str:
    written = context.scope.source.slice(node.span)
    if isinstance(node, nodes.Name):  # of a clause that is given from outside, elsewhere
        written = node.text
    return f"`{written}` is {value:g}" if written != f"{value:g}" else f"this is {value:g}"


def _other_value(node: nodes.SyntaxNode, expected: str) -> str:
    """A suggestion in place of a wrong number."""
    if isinstance(node, nodes.Name):
        return f"give `{node.text}` another value: {expected}"
    return f"write {expected}"


def _no_value(context: StrategyContext, what: str, node: nodes.Expression) -> None:
    """Reports a number that is missing: a quotient of a division by 0, say, or `default`."""
    reason = "the arithmetic gives a missing number"
    help_ = (
        "dividing by 0 gives a missing number; so do `log(0)`, `sqrt(-1)` and what is above 1e308"
    )
    if isinstance(node, nodes.Name):
        reason = f"`{node.text}` is no number"
        help_ = (
            f"`{UNSET}` is for clauses such as `at temperature`, and dividing by 0 gives no number"
        )
    context.error("TTS301", f"{what} has no value: {reason}", node, help_)


def bounded(
    context: StrategyContext,
    node: nodes.Expression,
    what: str,
    inputs: Inputs,
    fits: Range,
    site: Site | None = None,
) -> Expr:
    """A number that, where it is known, must lie in a range; at a site, one for each row."""
    expression = number(context, node, site or Site(inputs))
    value = known_number(expression)
    low, high, open_low = fits
    if value is None or not context.numbers_matter:
        return expression
    if value < low or value > high or (open_low and value == low):
        if high == float("inf"):
            expected = f"above {low:g}" if open_low else f"at least {low:g}"
        else:
            expected = f"{'above' if open_low else 'between'} {low:g} and " + (
                f"at most {high:g}" if open_low else f"{high:g}"
            )
        context.error("TTS302", f"{what} must be {expected}, and this is {value:g}", node)
    return expression
