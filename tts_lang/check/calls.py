"""Calls of strategies, which are inlined, and `leaves(T)`, which looks like one."""

from __future__ import annotations

from dataclasses import replace

from tts_lang.check.builtins import meaning
from tts_lang.check.dispatch import Site, pool_rule
from tts_lang.check.frame import (
    Callee,
    Frame,
    Inputs,
    NameValue,
    Parameter,
    Pool,
    RegionBuilder,
)
from tts_lang.check.frames import new_frame
from tts_lang.check.kinds import POISON, WORDS, Sort
from tts_lang.check.mentions import reads
from tts_lang.check.names import collisions
from tts_lang.check.pools import PROBLEM
from tts_lang.check.prompts import match
from tts_lang.check.resolve import is_strategy, top_level
from tts_lang.check.scope import ROLE_WORDS, Declared, Role
from tts_lang.check.statements import block
from tts_lang.check.values import NO_POOL, not_a_pool, scalar, static
from tts_lang.check.verbs import over
from tts_lang.plan.expr import REDUCTIONS, Const
from tts_lang.plan.graph import Call, Exit, Leaves, Region
from tts_lang.syntax import nodes

MOST_NESTED_CALLS = 24


@pool_rule(nodes.Call)
def _call(frame: Frame, node: nodes.Call) -> Pool:
    if is_strategy(frame, node.function.text):
        return _run(frame, node, Pool(frame.problem, PROBLEM), on_rows=False)
    if node.function.text == "leaves" and not node.fresh:
        return _leaves(frame, node)
    typed = scalar(frame, node, Site(Inputs()))
    if typed.sort is not Sort.UNKNOWN:
        not_a_pool(frame, node, WORDS[typed.sort])
    return NO_POOL


@pool_rule(nodes.CallOn)
def _call_on(frame: Frame, node: nodes.CallOn) -> Pool:
    given, _, _ = over(frame, node.pool)
    return _run(frame, node.call, given, on_rows=True)


def _leaves(frame: Frame, node: nodes.Call) -> Pool:
    if len(node.arguments) != 1 or node.arguments[0].name is not None:
        frame.error("TTS214", "`leaves` takes one tree", node, "`leaves(tree)`")
        return NO_POOL
    given, inputs, _ = over(frame, node.arguments[0].value)
    return frame.emit_pool(Leaves(), inputs, given.type.kept(given.type.bound), node)


def _run(frame: Frame, node: nodes.Call, rows: Pool, on_rows: bool) -> Pool:
    declared = top_level(frame, node.function, Role.STRATEGY)
    if declared is None:
        for argument in node.arguments:
            argument_value(frame, argument.value)
        return NO_POOL
    if declared in frame.chain:
        names = [each.name for each in frame.chain[frame.chain.index(declared) :]]
        frame.error(
            "TTS402",
            f"strategies call each other in a circle: {' -> '.join([*names, declared.name])}",
            node,
            "a strategy is inlined where it is called: use `repeat` for loops",
        )
        return NO_POOL
    if len(frame.chain) >= MOST_NESTED_CALLS:
        frame.error("TTS407", f"more than {MOST_NESTED_CALLS} calls inside each other", node)
        return NO_POOL
    parameters = bind(frame, declared, node)
    if parameters is None:
        return NO_POOL
    region, callee = _inline(frame, declared, parameters, node)
    why = f"the call of `{declared.name}` at line {frame.line(node)} gives new candidates"
    type_ = replace(rows.type.children(rows.type.bound, why), closed=callee.closed)
    number = frame.pool_value(type_)
    spec = Call(declared.name, callee.thinks, on_rows, node.fresh)
    regions = () if region is None else (region,)
    frame.calls[number] = (node, (id(declared.node), tuple(parameters.items())))
    frame.emit(spec, Inputs([rows.number]), (number,), node, regions)
    return Pool(number, type_)


def _inline(
    frame: Frame, declared: Declared, parameters: dict[str, Parameter], node: nodes.Call
) -> tuple[Region | None, Callee]:
    session = frame.session
    # What a callee's counts would be in a branch that constants rule out does not matter.
    key = (id(declared.node), tuple(parameters.items()), frame.numbers_matter)
    if not session.plan_wanted and key in session.checked:
        return None, session.checked[key]
    source = frame.scope.source
    with_ = ", ".join(f"{name} = {shown(value)}" for name, value in parameters.items())
    note = f"called as {declared.name}({with_}) at {source.name}:{frame.line(node)}"
    inner = new_frame(session, declared, parameters, frame.chain, notes=(note,))
    inner.numbers_matter = frame.numbers_matter
    inner.outside = frame.outside + len(frame.regions)
    # Its own file may not have been checked: it may be imported.
    if id(declared.node) not in session.collisions:
        session.collisions[id(declared.node)] = collisions(declared.home, declared)
    session.diagnostics.extend(session.collisions[id(declared.node)])
    region = walk_strategy(inner)
    callee = session.checked[key] = Callee(inner.thinks, inner.closed)
    return region if session.plan_wanted else None, callee


def walk_strategy(frame: Frame) -> Region:
    """Elaborates a strategy's body in its frame."""
    frame.problem = frame.pool_value(PROBLEM, "problem")
    builder = RegionBuilder((frame.problem,))
    frame.enter(builder, frame.strategy)
    strategy = frame.strategy
    if not block(frame, strategy.body):
        if not frame.facts.broken:  # what did not parse may have been the `return`
            _no_result(frame, strategy)
    elif builder.exit is Exit.YIELD:
        builder.exit = Exit.NEVER
    return builder.region()


def shown(value: Parameter) -> str:
    """A parameter's value for messages."""
    if isinstance(value, NameValue):
        return value.name
    if isinstance(value.expr, Const) and value.sort is not Sort.UNKNOWN:
        return repr(value.expr.value)
    return "?"


def _no_result(frame: Frame, strategy: nodes.StrategyDeclaration) -> None:
    last = strategy.body[-1] if strategy.body else strategy.name
    help_ = "end it with `return`"
    if isinstance(last, nodes.Choose):
        help_ = "return in every arm, `otherwise:` included"
    elif isinstance(last, nodes.If):
        help_ = "return in every branch, or after them"
    elif isinstance(last, nodes.Repeat):
        help_ = "return after the loop: it may run no round"
    elif isinstance(last, nodes.Assign):
        help_ = f"end it with `return {last.target.text}`"
    name = strategy.name.text
    message = f"`{name}` may reach its end without a result, after line {frame.line(last)}"
    frame.error("TTS401", message, strategy.name, help_)


def bind(
    frame: Frame, declared: Declared, node: nodes.Call, free: bool = False
) -> dict[str, Parameter] | None:
    """The parameters of a call: given ones and defaults; `None` after a message.

    With `free`, names that nothing declares stand for any number (in laws).
    """
    names = [parameter.name.text for parameter in declared.strategy.parameters]
    before = len(frame.session.diagnostics)
    matched = match(frame, declared.name, names, node.arguments, "TTS403")
    misnamed = len(frame.session.diagnostics) > before
    home = new_frame(frame.session, declared, {})
    values: dict[str, Parameter] = {}
    for parameter in declared.strategy.parameters:
        name = parameter.name.text
        given = matched.get(name)
        home.parameters = values
        default = None
        if parameter.default is not None:
            default = argument_value(home, parameter.default)
        if given is not None:
            values[name] = argument_value(frame, given, free)
            _fits(frame, declared, name, values[name], default, given)
        elif default is not None:
            values[name] = default
        elif not misnamed:  # one that is given under another name is not missing too
            message = f"`{declared.name}` needs a value for `{name}`"
            frame.error("TTS403", message, node, f"`{declared.name}({name} = ...)`")
    failed = any(each.is_error for each in frame.session.diagnostics[before:])
    return None if failed else values


def sort_name(value: Parameter) -> str | None:
    """What a parameter's value is, in words; nothing if it is not known."""
    if isinstance(value, NameValue):
        return ROLE_WORDS[value.role]
    return None if value.sort is Sort.UNKNOWN else WORDS[value.sort]


def _fits(
    frame: Frame,
    declared: Declared,
    name: str,
    value: Parameter,
    default: Parameter | None,
    node: nodes.Expression,
) -> None:
    wanted = None if default is None else sort_name(default)
    actual = sort_name(value)
    if wanted is None or actual is None or wanted == actual:
        return
    message = f"`{name}` of `{declared.name}` is {wanted}, and this is {actual}"
    frame.error("TTS403", message, node, f"its default is {shown(default) if default else '?'}")


def argument_value(frame: Frame, node: nodes.Expression, free: bool = False) -> Parameter:
    """An argument: a static number or text, or the name of something at top level."""
    if isinstance(node, nodes.Name):
        named = _named(frame, node.text)
        if named is not None:
            return named
        if free and node.text not in frame.scope.names:
            return POISON
    elif free and (loose := _loose(frame, node)) is not None:
        frame.error(
            "TTS403",
            f"`{loose}` stands for any number, and a law cannot calculate with it",
            node,
            "calculate inside a strategy of your own, and write the law about that",
        )
        return POISON
    typed = static(frame, node, "an argument of a strategy")
    return POISON if typed is None else typed


def _loose(frame: Frame, node: nodes.Expression) -> str | None:
    """A name in an expression that nothing declares."""
    used = (name.text for name in reads(node))
    return next((n for n in used if n not in frame.scope.names and meaning(n) is None), None)


def _named(frame: Frame, name: str) -> NameValue | None:
    given = frame.parameters.get(name)
    if given is not None:
        return given if isinstance(given, NameValue) else None
    if name in frame.env:
        return None
    declared = frame.scope.names.get(name)
    if declared is not None:
        return NameValue(declared.role, name, declared)
    if name in REDUCTIONS:
        return NameValue(Role.REDUCTION, name)
    return None
