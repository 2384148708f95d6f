"""Functions of step vectors: a process scorer's scores, one per step (C33, C68)."""

from __future__ import annotations

from dataclasses import replace

from tts_lang.check.context import StrategyContext
from tts_lang.check.dispatch import Site
from tts_lang.check.types import POISON, ScalarType, Typed
from tts_lang.check.values import bounded, number, scalar
from tts_lang.plan.clauses import QUANTILE
from tts_lang.plan.constants import fold
from tts_lang.plan.expr import STEP_FUNCTIONS, Column, Expr, Reduce
from tts_lang.syntax import nodes


def positional(
    context: StrategyContext,
    node: nodes.CallExpression | nodes.AggregateExpression,
    least: int,
    most: int,
) -> tuple[nodes.Expression, ...] | None:
    """The arguments of a function, which have no names; `None` after a message."""
    name = node.function.text
    for argument in node.arguments:
        if argument.name is not None:
            message = f"`{name}` takes its arguments by place, without names"
            context.error("TTS214", message, argument.name, f"remove `{argument.name.text} =`")
            return None
    count = len(node.arguments)
    if not least <= count <= most:
        expected = f"{least}" if least == most else f"{least} to {most}"
        plural = "" if most == 1 else "s"
        context.error("TTS214", f"`{name}` takes {expected} argument{plural}, not {count}", node)
        return None
    return tuple(argument.value for argument in node.arguments)


#: How a vector's first steps are noted until a function reduces it.
_TAKE = "take"


def of_steps(typed: Typed, how: str, argument: Expr | None = None) -> Reduce:
    """A function of a step vector, or of the first steps of one."""
    match typed.expr:
        case Reduce(how="take", column=name, taken=taken):
            return Reduce(how, name, argument, taken)
        case Column(name):
            return Reduce(how, name, argument)
    raise AssertionError(typed)


def step_function(context: StrategyContext, node: nodes.CallExpression, site: Site) -> Typed:
    """`argmin(prm)`, `nth(prm, k)` and others, and `take(prm, k)`, which is a vector again."""
    name = node.function.text
    arity = 1 if name == _TAKE else STEP_FUNCTIONS[name]
    arguments = positional(context, node, 1 + arity, 1 + arity)
    if arguments is None:
        return POISON
    typed = scalar(context, arguments[0], site)
    argument = None
    if name == "quantile":
        argument = bounded(context, arguments[1], "a quantile", site.inputs, QUANTILE, site)
    elif arity:
        argument = number(context, arguments[1], site)
    if typed.type is ScalarType.STEPS:
        if name != _TAKE:
            return Typed(ScalarType.NUMBER, of_steps(typed, name, argument))
        vector = of_steps(typed, name)
        assert argument is not None
        if vector.taken is not None:
            argument = fold("least", vector.taken, argument)
        return Typed(ScalarType.STEPS, replace(vector, taken=argument))
    if typed.type is not ScalarType.UNKNOWN:
        written = context.scope.source.slice(arguments[0].span)
        message = f"`{name}` looks at the scores of steps, and `{written}` is one value"
        form = f"{name}(prm, ...)" if arity else f"{name}(prm)"
        context.error("TTS210", message, node, f"give it the scores of a scorer per step: `{form}`")
    return POISON
