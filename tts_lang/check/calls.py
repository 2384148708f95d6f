"""Calls of strategies, which are inlined, and `leaves(T)`, which looks like one."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from tts_lang.check import builtins
from tts_lang.check.context import (
    Callee,
    Inputs,
    NameValue,
    Parameter,
    PoolValue,
    RegionBuilder,
    StrategyContext,
)
from tts_lang.check.dispatch import Site, pool_rule
from tts_lang.check.prompts import match
from tts_lang.check.resolve import (
    bound_arguments,
    is_strategy,
    new_context,
    report_bound_twice,
    top_level,
)
from tts_lang.check.sampling import passed_clauses, sampling_parameters
from tts_lang.check.scope import ROLE_WORDS, Declaration, Declared, Role, collisions
from tts_lang.check.statements import block
from tts_lang.check.types import DEFAULT, POISON, PROBLEM, WORDS, ScalarType, Typed
from tts_lang.check.uses import reads, walk
from tts_lang.check.values import NO_POOL, not_a_pool, scalar, static
from tts_lang.check.verbs import over
from tts_lang.plan.expr import REDUCTIONS, Const
from tts_lang.plan.graph import Call, Exit, Leaves, Region
from tts_lang.plan.pretty import constant
from tts_lang.syntax import nodes
from tts_lang.syntax.literals import string_literal

MOST_NESTED_CALLS = 24


@pool_rule(nodes.CallExpression)
def _call(context: StrategyContext, node: nodes.CallExpression) -> PoolValue:
    if is_strategy(context, node.function.text):
        return _run(context, node, PoolValue(context.problem, PROBLEM), on_rows=False)
    if node.function.text == "leaves" and not node.fresh:
        return _leaves(context, node)
    typed = scalar(context, node, Site(Inputs()))
    if typed.type is not ScalarType.UNKNOWN:
        not_a_pool(context, node, WORDS[typed.type])
    return NO_POOL


@pool_rule(nodes.CallOnPhrase)
def _call_on(context: StrategyContext, node: nodes.CallOnPhrase) -> PoolValue:
    operand, _, _ = over(context, node.pool)
    return _run(context, node.call, operand, on_rows=True)


def _leaves(context: StrategyContext, node: nodes.CallExpression) -> PoolValue:
    if len(node.arguments) != 1 or node.arguments[0].name is not None:
        context.error("TTS214", "`leaves` takes one tree", node, "`leaves(tree)`")
        return NO_POOL
    operand, inputs, _ = over(context, node.arguments[0].value)
    return context.emit_pool(Leaves(), inputs, operand.type.subset(), node)


def _run(
    context: StrategyContext, node: nodes.CallExpression, rows: PoolValue, on_rows: bool
) -> PoolValue:
    declared = top_level(context, node.function, Role.STRATEGY)
    if declared is None:
        for argument in node.arguments:
            argument_value(context, argument.value)
        return NO_POOL
    if declared in context.chain:
        names = [each.name for each in context.chain[context.chain.index(declared) :]]
        context.error(
            "TTS402",
            f"strategies call each other in a circle: {' -> '.join([*names, declared.name])}",
            node,
            "a strategy is inlined where it is called: use `repeat` for loops",
        )
        return NO_POOL
    if len(context.chain) >= MOST_NESTED_CALLS:
        context.error("TTS407", f"more than {MOST_NESTED_CALLS} calls inside each other", node)
        return NO_POOL
    parameters = bind(context, declared, node)
    if parameters is None:
        return NO_POOL
    region, callee = _inline(context, declared, parameters, node)
    why = f"the call of `{declared.name}` at line {context.line(node)} gives new candidates"
    type_ = replace(rows.type.children(why), closed=callee.closed)
    number = context.pool_value(type_)
    spec = Call(declared.name, callee.thinks, on_rows, node.fresh)
    regions = () if region is None else (region,)
    context.calls[number] = (node, (id(declared.node), tuple(parameters.items())))
    context.emit(spec, Inputs([rows.number]), (number,), node, regions)
    return PoolValue(number, type_)


def _inline(
    context: StrategyContext,
    declared: Declared,
    parameters: dict[str, Parameter],
    node: nodes.CallExpression,
) -> tuple[Region | None, Callee]:
    check = context.check
    # Counts in a branch that constants rule out do not matter.
    key = (id(declared.node), tuple(parameters.items()), context.numbers_matter)
    if not check.plan_wanted and key in check.checked:
        return None, check.checked[key]
    source = context.scope.source
    with_ = ", ".join(f"{name} = {shown(value)}" for name, value in parameters.items())
    note = f"called as {declared.name}({with_}) at {source.name}:{context.line(node)}"
    inner = new_context(check, declared, parameters, context.chain, notes=(note,))
    inner.numbers_matter = context.numbers_matter
    inner.outside = context.outside + len(context.regions)
    # Its own file may not have been checked: it may be imported.
    if id(declared.node) not in check.collisions:
        check.collisions[id(declared.node)] = collisions(declared.home, declared)
    check.diagnostics.extend(check.collisions[id(declared.node)])
    region = walk_strategy(inner)
    callee = check.checked[key] = Callee(inner.thinks, inner.closed)
    return region if check.plan_wanted else None, callee


def walk_strategy(context: StrategyContext) -> Region:
    """Elaborates a strategy's body in its context."""
    context.problem = context.pool_value(PROBLEM, "problem")
    builder = RegionBuilder((context.problem,))
    context.enter(builder, context.strategy)
    strategy = context.strategy
    if not block(context, strategy.body):
        if not context.facts.broken:  # what did not parse may have been the `return`
            _no_result(context, strategy)
    elif builder.exit is Exit.YIELD:
        builder.exit = Exit.NEVER
    return builder.region()


def shown(value: Parameter) -> str:
    """A parameter's value for messages."""
    if isinstance(value, NameValue):
        return written(value)
    if value == DEFAULT:
        return builtins.UNSET
    if isinstance(value.expr, Const) and value.type is not ScalarType.UNKNOWN:
        return repr(value.expr.value)
    return "?"


def written(value: NameValue) -> str:
    """A name as one would write it, with the arguments that it has."""
    with_ = ", ".join(f"{name} = {literal(each)}" for name, each in value.arguments)
    return f"{value.name}({with_})" if with_ else value.name


def literal(value: Parameter) -> str:
    """A parameter's value as one would write it in a file."""
    if isinstance(value, Typed) and isinstance(value.expr, Const) and value != DEFAULT:
        inner = value.expr.value
        if isinstance(inner, str):
            return string_literal(inner)
        if value.share:
            return f"{(Decimal(repr(inner)) * 100).normalize():f}%"
        return constant(inner)
    return shown(value)


def _no_result(context: StrategyContext, strategy: nodes.StrategyDeclaration) -> None:
    last = strategy.body[-1] if strategy.body else strategy.name
    help_ = "end it with `return`"
    if isinstance(last, nodes.ChooseStatement):
        help_ = "return in every arm, `otherwise:` included"
    elif isinstance(last, nodes.IfStatement):
        help_ = "return in every branch, or after them"
    elif isinstance(last, nodes.RepeatStatement):
        help_ = "return after the loop: it may run no round"
    elif isinstance(last, nodes.AssignStatement):
        help_ = f"end it with `return {last.target.text}`"
    name = strategy.name.text
    message = f"`{name}` may reach its end without a result, after line {context.line(last)}"
    context.error("TTS401", message, strategy.name, help_)


def bind(
    context: StrategyContext, declared: Declared, node: nodes.CallExpression, free: bool = False
) -> dict[str, Parameter] | None:
    """The parameters of a call: given ones and defaults; `None` after a message.

    With `free`, names that nothing declares stand for any number (in laws).
    """
    names = [parameter.name.text for parameter in declared.strategy.parameters]
    before = len(context.check.diagnostics)
    sampling = sampling_parameters(declared)
    matched = match(context, declared.name, names, node.arguments, "TTS403", sampling)
    bound = bound_arguments(context, node.function.text)
    misnamed = len(context.check.diagnostics) > before
    home = new_context(context.check, declared, {})
    values: dict[str, Parameter] = {}
    for parameter in declared.strategy.parameters:
        name = parameter.name.text
        argument = matched.get(name)
        home.parameters = values
        default = None
        if parameter.default is not None:
            default = argument_value(home, parameter.default)
        if argument is not None and name in bound:
            report_bound_twice(context, node.function, name, argument, "TTS403")
        elif name in bound:
            values[name] = bound[name]
        elif argument is not None:
            values[name] = argument_value(context, argument, free)
            _fits(context, declared, name, values[name], default, argument)
        elif default is not None:
            values[name] = default
        elif not misnamed:  # one that is given under another name is not missing too
            message = f"`{declared.name}` needs a value for `{name}`"
            context.error("TTS403", message, node, f"`{declared.name}({name} = ...)`")
    # Sampling parameters: from the call, else from the caller's own (C72).
    passed_on = {each: context.parameters[each] for each in passed_clauses(context)}
    for name in sampling:
        if name in matched and name in bound:
            report_bound_twice(context, node.function, name, matched[name], "TTS403")
        elif name in matched:
            values[name] = argument_value(context, matched[name], free)
            _fits(context, declared, name, values[name], DEFAULT, matched[name])
        elif name in bound or name in passed_on:
            values[name] = bound.get(name) or passed_on[name]
    failed = any(each.is_error for each in context.check.diagnostics[before:])
    return None if failed else values


def sort_name(value: Parameter) -> str | None:
    """The kind of a parameter's value, in words; `None` if it is not known."""
    if isinstance(value, NameValue):
        return ROLE_WORDS[value.role]
    return None if value.type is ScalarType.UNKNOWN else WORDS[value.type]


def _fits(
    context: StrategyContext,
    declared: Declared,
    name: str,
    value: Parameter,
    default: Parameter | None,
    node: nodes.Expression,
) -> None:
    expected = None if default is None else sort_name(default)
    actual = sort_name(value)
    if expected is None or actual is None or expected == actual:
        return
    message = f"`{name}` of `{declared.name}` is {expected}, and this is {actual}"
    context.error("TTS403", message, node, f"its default is {shown(default) if default else '?'}")


def argument_value(
    context: StrategyContext, node: nodes.Expression, free: bool = False
) -> Parameter:
    """An argument: a static number or text, or the name of something at top level.

    With `free`, it may calculate with names that nothing declares, and is unknown then.
    """
    if isinstance(node, nodes.Name):
        named = _named(context, node.text)
        if named is not None:
            return named
    if isinstance(node, nodes.CallExpression) and not node.fresh:
        named = _named(context, node.function.text)
        if named is not None and named.role in _TAKE_ARGUMENTS and named.declared is not None:
            return _with_arguments(context, named, named.declared, node, free)
    if free and (unknown := free_names(context, node)):
        context.parameters = {**context.parameters, **dict.fromkeys(unknown, POISON)}
        static(context, node, "an argument of a strategy")
        return POISON
    typed = static(context, node, "an argument of a strategy")
    return POISON if typed is None else typed


_TAKE_ARGUMENTS = (Role.STRATEGY, Role.PROMPT, Role.SCORER)


def _with_arguments(
    context: StrategyContext,
    named: NameValue,
    declared: Declared,
    node: nodes.CallExpression,
    free: bool,
) -> Parameter:
    """`beam_search(width = 8)` as a value: the strategy, prompt or judge with an argument (C71)."""
    parameters = {each.name.text: each for each in parameters_of(declared.node)}
    names = list(parameters)
    sampling = sampling_parameters(declared) if named.role is Role.STRATEGY else ()
    code = "TTS403" if named.role is Role.STRATEGY else "TTS218"
    matched = match(context, named.name, names, node.arguments, code, sampling)
    arguments = dict(named.arguments)
    home = new_context(context.check, declared, {}) if named.role is Role.STRATEGY else None
    for name, value in matched.items():
        if name in arguments:
            report_bound_twice(context, node.function, name, value, code)
            continue
        arguments[name] = argument_value(context, value, free)
        usual = parameters[name].default if name in parameters else None
        if (
            home is not None
            and usual is not None
            and not any(each.text in names for each in reads(usual))
        ):
            _fits(context, declared, name, arguments[name], argument_value(home, usual), value)
    in_order = tuple((name, arguments[name]) for name in (*names, *sampling) if name in arguments)
    return replace(named, arguments=in_order)


def parameters_of(node: Declaration) -> tuple[nodes.Parameter, ...]:
    """The parameters of a strategy, prompt or judge; other declarations have none."""
    with_ = nodes.StrategyDeclaration | nodes.PromptDeclaration | nodes.JudgeDeclaration
    return node.parameters if isinstance(node, with_) else ()


def is_known(value: Parameter) -> bool:
    """Whether a value, with the arguments that it has, is known."""
    if isinstance(value, NameValue):
        return all(is_known(each) for _, each in value.arguments)
    return value.type is not ScalarType.UNKNOWN


def free_names(context: StrategyContext, node: nodes.Expression) -> tuple[str, ...]:
    """The names in an argument of a law that nothing declares: they stand for any number."""
    called = {each.function.text for each in walk(node) if isinstance(each, nodes.CallExpression)}
    used = sorted(reads(node), key=lambda name: name.span)
    declared = {*context.scope.names, *called}
    return tuple(
        dict.fromkeys(
            n.text for n in used if n.text not in declared and builtins.meaning(n.text) is None
        )
    )


def _named(context: StrategyContext, name: str) -> NameValue | None:
    parameter = context.parameters.get(name)
    if parameter is not None:
        return parameter if isinstance(parameter, NameValue) else None
    if name in context.env:
        return None
    declared = context.scope.names.get(name)
    if declared is not None:
        return NameValue(declared.role, name, declared)
    if name in REDUCTIONS:
        return NameValue(Role.REDUCTION, name)
    return None
