"""Prompts: their slots, their arguments, and one meaning for each name in a plan."""

from __future__ import annotations

from tts_lang.check.context import Inputs, StrategyContext
from tts_lang.check.dispatch import Site
from tts_lang.check.resolve import declaration_context, gives_pool
from tts_lang.check.scope import Declared
from tts_lang.check.types import POISON, ScalarType
from tts_lang.check.values import expect, pool, scalar, static
from tts_lang.diagnostics import Diagnostic, did_you_mean, error
from tts_lang.plan.expr import Expr
from tts_lang.plan.template import ONE_ROW, ROW_SLOTS, WHOLE_POOL, Slot, Template
from tts_lang.source import Source
from tts_lang.syntax import nodes
from tts_lang.syntax.template import WrittenSlot, parse_template


def template(
    name: str, text: nodes.Text, parameters: tuple[nodes.Parameter, ...], source: Source
) -> tuple[Template, list[Diagnostic]]:
    """A prompt's text cut at its slots, and what is wrong with them."""
    found: list[Diagnostic] = []
    known = (*ROW_SLOTS, *(parameter.name.text for parameter in parameters))
    parts: list[str | Slot] = []
    for part in parse_template(text, source):
        if isinstance(part, str):
            parts.append(part)
            continue
        if (message := _slot_error(part, known)) is not None:
            help_ = "as in `{attempts last 4}`"
            if part.name not in known:
                slots = ", ".join(f"{{{each}}}" for each in known)
                help_ = did_you_mean(part.name, known) or f"slots: {slots}"
            found.append(error("TTS217", message, part.span, source, suggestion=help_))
            continue
        parts.append(Slot(part.name, int(part.last) if part.last else None))
    return Template(name, tuple(parts)), found


def _slot_error(slot: WrittenSlot, known: tuple[str, ...]) -> str | None:
    if slot.name not in known:
        return f"`{{{slot.name}}}` is neither a slot nor a parameter of this prompt"
    if slot.last is None:
        return None
    if slot.name != "attempts":
        return f"`last` belongs to `{{attempts last 4}}`, not to `{{{slot.name}}}`"
    if not slot.last.isdigit() or int(slot.last) < 1:
        return f"`{{attempts last {slot.last}}}` needs a whole number of at least 1"
    return None


def fits_view(
    context: StrategyContext, prompt: Template, together: bool, node: nodes.Name, verb: str
) -> None:
    """Reports slots that the way of looking (one candidate or the pool) cannot fill."""
    wrong = ONE_ROW if together else WHOLE_POOL
    for part in prompt.parts:
        if isinstance(part, Slot) and part.name in wrong:
            if together:
                shows, looks, help_ = "one candidate", "all of them", "use `{candidates}`"
            else:
                shows, looks, help_ = "a whole pool", "one candidate", "add `together`"
            message = f"`{{{part.name}}}` shows {shows}, and `{verb}` looks at {looks}"
            context.error("TTS217", f"in `{prompt.name}`: {message}", node, help_)
            return


def arguments(
    context: StrategyContext,
    declared: Declared,
    parameters: tuple[nodes.Parameter, ...],
    written: tuple[nodes.Argument, ...],
    place: nodes.Name,
    inputs: Inputs,
) -> tuple[tuple[str, Expr | int], ...]:
    """A prompt's or judge's arguments in the order of its parameters.

    An expression, or the place of a pool among the operation's inputs.
    """
    before = len(context.check.diagnostics)
    matched = match(context, declared.name, [each.name.text for each in parameters], written)
    fits = len(context.check.diagnostics) == before
    values: list[tuple[str, Expr | int]] = []
    for parameter in parameters:
        name = parameter.name.text
        value = matched.get(name)
        if value is None and parameter.default is not None:
            home = declaration_context(context.check, declared)
            usual = static(home, parameter.default, "a default")
            values.append((name, POISON.expr if usual is None else usual.expr))
        elif value is None:
            if not fits:  # the value is most likely the one that fits nowhere
                continue
            context.error(
                "TTS218",
                f"`{declared.name}` needs a value for `{name}`",
                place,
                f"write `{place.text}({name} = ...)`",
            )
        elif gives_pool(context, value):
            values.append((name, inputs.index(pool(context, value).number)))
        else:
            typed = scalar(context, value, Site(inputs))
            if typed.type is ScalarType.STEPS:
                typed = expect(context, typed, ScalarType.NUMBER, value)
            values.append((name, typed.expr))
    return tuple(values)


def match(
    context: StrategyContext,
    called: str,
    names: list[str],
    written: tuple[nodes.Argument, ...],
    code: str = "TTS218",
) -> dict[str, nodes.Expression]:
    """Arguments by the names of their parameters: by place first, then by name, each once."""
    matched: dict[str, nodes.Expression] = {}
    for position, argument in enumerate(written):
        if argument.name is not None:
            name = argument.name.text
            if name not in names:
                takes = ", ".join(f"`{each}`" for each in names) or "nothing"
                context.error(
                    code,
                    f"`{called}` has no parameter `{name}`",
                    argument.name,
                    did_you_mean(name, names) or f"it takes {takes}",
                )
                continue
        elif position >= len(names):
            takes = ", ".join(f"`{each}`" for each in names) or "nothing"
            message = f"`{called}` takes {len(names)} arguments, not {len(written)}"
            if len(names) == 1:
                message = message.replace("arguments", "argument")
            context.error(code, message, argument, f"it takes {takes}")
            break
        else:
            name = names[position]
        if name in matched:
            context.error(code, f"`{name}` is given twice", argument, "keep one of them")
            continue
        matched[name] = argument.value
    return matched


def enter_prompt(context: StrategyContext, declared: Declared, place: nodes.Name) -> Template:
    """The template of a prompt, noted among those that the plan uses."""
    node = declared.prompt
    prompt, found = template(declared.name, node.text, node.parameters, declared.home.source)
    # Its own file may not have been checked: it may be imported.
    context.check.diagnostics.extend(found)
    known = context.check.prompts.setdefault(declared.name, (declared, prompt))
    if known[0] is not declared and known[1] != prompt:
        two_meanings(context, "prompts", declared, known[0], place)
    return prompt


def two_meanings(
    context: StrategyContext,
    what: str,
    declared: Declared,
    known: Declared,
    place: nodes.SyntaxNode,
) -> None:
    """Reports two declarations of one name that meet in one plan."""
    context.error(
        "TTS404",
        f"two different {what} called `{declared.name}` meet here: from "
        f"{known.home.source.name} and from {declared.home.source.name}",
        place,
        "rename one of them",
    )
