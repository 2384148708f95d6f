"""Checking a whole file: its declarations, every strategy at its defaults, its laws."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tts_lang.check import (
    builtins,
    control,
    expressions,
    generate,
    statements,
    verbs,
)
from tts_lang.check.calls import (
    argument_value,
    bind,
    free_names,
    is_known,
    walk_strategy,
    written,
)
from tts_lang.check.context import (
    MOST_VALUES,
    NO_VALUE,
    CheckContext,
    NameValue,
    Parameter,
    PlanTooLarge,
    StrategyContext,
)
from tts_lang.check.prompts import template
from tts_lang.check.resolve import declaration_context, new_context, top_level
from tts_lang.check.sampling import CLAUSES
from tts_lang.check.scope import Declared, FileScope, Role, check_parameters, collisions
from tts_lang.check.scorers import check_judge, describe
from tts_lang.check.types import DEFAULT, POISON, ScalarType, Typed
from tts_lang.check.uses import assigned, reads
from tts_lang.check.values import static
from tts_lang.diagnostics import Diagnostic
from tts_lang.plan.expr import Const, Scalar
from tts_lang.plan.graph import Region, operations
from tts_lang.plan.repeats import repeats
from tts_lang.source import Span
from tts_lang.syntax import nodes

# Importing these modules registers their rules.
_RULES = (control, expressions, generate, statements, verbs)


@dataclass(frozen=True, slots=True)
class LawSide:
    """A call in a law: arguments are values, or names that stand for any small number.

    Args:
        strategy: What is called; `declared` is its declaration.
        arguments: Values of the parameters that are not free, defaults included.
        free: The arguments that free names stand in, by parameter.
        fixed: The arguments that are written in the law and known.
        law: Where the arguments stand.
    """

    strategy: str
    arguments: Mapping[str, Scalar]
    free: Mapping[str, nodes.Expression]
    declared: Declared = field(repr=False)
    fixed: Mapping[str, Parameter] = field(repr=False)
    law: Declared = field(repr=False)

    def values(self, check: CheckContext, numbers: Mapping[str, int]) -> dict[str, Parameter]:
        """The arguments at a number for each free name."""
        parameters = {name: Typed(ScalarType.NUMBER, Const(each)) for name, each in numbers.items()}
        context = new_context(check, self.law, dict(parameters))
        arguments = {name: argument_value(context, node) for name, node in self.free.items()}
        return {**self.fixed, **arguments}


@dataclass(frozen=True, slots=True)
class CheckedLaw:
    """A law whose names are resolved and whose calls fit; it is not verified here."""

    left: LawSide
    right: LawSide
    free_names: tuple[str, ...]
    document: str
    span: Span


def check_declarations(check: CheckContext, scope: FileScope) -> None:
    """Scorers, prompts and judges of a file."""
    for declared in scope.own.values():
        for diagnostic in check_parameters(scope, declared):
            check.add(diagnostic)
        context = declaration_context(check, declared)
        if declared.role is Role.SCORER:
            if isinstance(declared.node, nodes.JudgeDeclaration):
                check_judge(context, declared, declared.node)
            describe(context, declared)
        elif declared.role is Role.PROMPT:
            node = declared.prompt
            _, diagnostics = template(declared.name, node.text, node.parameters, scope)
            check.diagnostics.extend(diagnostics)
        _defaults(context, declared)


def _defaults(context: StrategyContext, declared: Declared) -> None:
    if isinstance(declared.node, nodes.PromptDeclaration | nodes.JudgeDeclaration):
        for parameter in declared.node.parameters:
            if parameter.default is not None:
                static(context, parameter.default, "a default")


def defaults(
    check: CheckContext, declared: Declared, settings: Mapping[str, Parameter] | None = None
) -> dict[str, Parameter]:
    """A strategy's parameters: `settings`, else defaults, else unknown ones.

    `settings` may hold sampling parameters, too (C72).
    """
    context = new_context(check, declared, {})
    values: dict[str, Parameter] = {}
    for parameter in declared.strategy.parameters:
        context.parameters = values
        name = parameter.name.text
        if settings is not None and name in settings:
            values[name] = settings[name]
        elif parameter.default is not None:
            values[name] = argument_value(context, parameter.default)
        else:
            values[name] = POISON
    return {**values, **(settings or {})}


def check_strategy(
    check: CheckContext, declared: Declared, parameters: dict[str, Parameter]
) -> tuple[StrategyContext, Region]:
    """Walks a strategy and warns about unused values."""
    for diagnostic in collisions(declared.home, declared):
        check.add(diagnostic)
    before = len(check.diagnostics)
    check.prompts.clear()
    check.scorers.clear()
    check.begin()
    context = new_context(check, declared, parameters, warn=True)
    try:
        region = walk_strategy(context)
    except PlanTooLarge as limit:
        if limit.diagnostic is not None:
            check.add(limit.diagnostic)
        else:
            context.error(
                "TTS405",
                f"`{declared.name}` has more than {MOST_VALUES:,} operations, its calls inlined",
                declared.strategy.name,
                "write `repeat` for what is done again, and call fewer strategies from strategies",
            )
        return context, Region((), (), ())
    diagnostics = check.diagnostics[before:]
    if context.facts.broken or any(each.is_error for each in diagnostics):
        # A strategy with errors gets no warnings: they may only follow from the errors.
        check.diagnostics[before:] = [each for each in diagnostics if each.is_error]
    else:
        _unused(context)
        _repeated(context, region)
    return context, region


def _repeated(context: StrategyContext, region: Region) -> None:
    """Warns about calls that repeat an earlier call: both give the same candidates (C13)."""
    if not context.calls or any(NO_VALUE in each.inputs for each in operations(region)):
        return  # the rows of a pool with an error are unknown
    for repeat in repeats(region, lambda call: context.calls[call.outputs[0]][1]):
        node, _ = context.calls[repeat.call.outputs[0]]
        if repeat.earlier is repeat.call:
            where, other = "in every round", "move the call before the loop"
        else:
            earlier, _ = context.calls[repeat.earlier.outputs[0]]
            where, other = f"as the call at line {context.line(earlier)}", "keep one of them"
        if repeat.meets:
            name = node.function.text
            context.warning(
                "TTS911",
                f"`{name}` gives the same candidates {where}",
                node,
                f"`fresh {name}(...)` draws new ones; or {other}",
            )


def _unused(context: StrategyContext) -> None:
    waiting = list(context.used)
    while waiting:
        new = context.flows.get(waiting.pop(), set()) - context.used
        context.used |= new
        waiting.extend(new)
    for span, (scorer, place) in context.scored.items():
        if span not in context.used:
            node = nodes.Name(scorer, span=place)
            context.warning(
                "TTS901",
                f"this score by `{scorer}` is never used",
                node,
                "use it in `by` or `weighted by`, or leave the scoring out",
            )
    uses = context.facts.uses
    for name, node in assigned(context.strategy.body).items():
        if name not in uses.places and name not in context.idle:
            context.warning("TTS902", f"`{name}` is never used", node, "remove the statement")
    read = {each.text for each in reads(context.strategy)}
    for parameter in context.strategy.parameters:
        name = parameter.name.text
        if name not in read:
            help_ = "remove it"
            if name in CLAUSES:  # it hides the setting of this name, which would work
                help_ += f": `{name}` can be set all the same, for what leaves it open"
            context.warning(
                "TTS902", f"the parameter `{name}` is never used", parameter.name, help_
            )


def check_law(check: CheckContext, scope: FileScope, law: nodes.Law) -> CheckedLaw | None:
    """Resolves a law's strategies and arguments; checks the calls where they are known."""
    place = Declared(
        Role.STRATEGY, "law", nodes.StrategyDeclaration(nodes.Name("law"), (), (), None, ()), scope
    )
    context = new_context(check, place, {})
    sides: list[LawSide] = []
    for call in (law.left, law.right):
        side = _law_side(check, context, call)
        if side is not None:
            sides.append(side)
    if len(sides) != 2:
        return None
    free = dict.fromkeys(
        name for side in sides for node in side.free.values() for name in free_names(context, node)
    )
    document = "" if law.docstring is None else law.docstring.value
    return CheckedLaw(sides[0], sides[1], tuple(free), document, law.span)


def _law_side(
    check: CheckContext, context: StrategyContext, call: nodes.CallExpression
) -> LawSide | None:
    declared = top_level(context, call.function, Role.STRATEGY)
    if declared is None:
        return None
    bound = bind(context, declared, call, free=True)
    if bound is None:
        return None
    names_ = [parameter.name.text for parameter in declared.strategy.parameters]
    free: dict[str, nodes.Expression] = {}
    fixed: dict[str, Parameter] = {}
    for place, argument in enumerate(call.arguments):
        name = names_[place] if argument.name is None else argument.name.text
        value = bound[name]
        if not is_known(value) and free_names(context, argument.value):
            free[name] = argument.value
        else:
            fixed[name] = value
    source = context.scope.source
    note = f"in the law at {source.name}:{context.line(call)}"
    inner = new_context(check, declared, dict(bound), notes=(note,))
    check.begin()
    try:
        walk_strategy(inner)
    except PlanTooLarge:
        return None  # the strategy's own check has said so
    values = {key: scalar_of(value) for key, value in bound.items() if key not in free}
    return LawSide(declared.name, values, free, declared, fixed, context.declared)


def scalar_of(value: Parameter) -> Scalar:
    """A parameter's value as the plan keeps it."""
    if isinstance(value, NameValue):
        return written(value)
    if value == DEFAULT:
        return builtins.UNSET
    return value.expr.value if isinstance(value.expr, Const) else None


def unique(diagnostics: list[Diagnostic]) -> tuple[Diagnostic, ...]:
    """In order of place; the same message at the same place once, whatever led there."""
    seen: dict[tuple[str, str, Span, str], Diagnostic] = {}
    for diagnostic in diagnostics:
        seen.setdefault(
            (diagnostic.code, diagnostic.source.name, diagnostic.span, diagnostic.message),
            diagnostic,
        )
    return tuple(sorted(seen.values(), key=lambda d: (d.source.name, d.span, d.code)))
