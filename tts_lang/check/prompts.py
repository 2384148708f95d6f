"""Prompts: their slots, their arguments, and one meaning for each name in a plan."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from tts_lang.check import builtins
from tts_lang.check.context import Inputs, NameValue, Parameter, StrategyContext
from tts_lang.check.dispatch import Site
from tts_lang.check.resolve import (
    bound_arguments,
    declaration_context,
    gives_pool,
    report_bound_twice,
)
from tts_lang.check.scope import Declared, FileScope
from tts_lang.check.types import POISON, ScalarType
from tts_lang.check.values import expect, pool, scalar, static
from tts_lang.diagnostics import Diagnostic, did_you_mean, error, suggest, warning
from tts_lang.plan.expr import Column, Expr, JudgeWords
from tts_lang.plan.template import LISTS, ROW_SLOTS, TEXTS, Slot, Template, shows_row, split_slot
from tts_lang.source import Source
from tts_lang.syntax import nodes
from tts_lang.syntax.template import WrittenSlot, near_slots, parse_template

#: What newcomers call the things that slots show.
_OTHER_WORDS = {
    **dict.fromkeys(("question", "query", "task", "instruction", "prompt", "input"), "problem"),
    **dict.fromkeys(("candidate", "response", "completion", "output", "reply"), "text"),
    **dict.fromkeys(("responses", "completions", "outputs", "replies"), "candidates"),
    "final_answer": "answer",
    "parent": "parent.text",
}


def template(
    name: str,
    text: nodes.Text,
    parameters: tuple[nodes.Parameter, ...],
    home: FileScope,
    imported: bool = False,
) -> tuple[Template, list[Diagnostic]]:
    """A prompt's text cut at its slots, and the errors in them.

    Whether a pool has the column that a slot shows is seen where the prompt is used (`shown`); a
    file that imports the prompt may make columns that its own does not.
    """
    source = home.source
    diagnostics: list[Diagnostic] = []
    slots = (*ROW_SLOTS, *(parameter.name.text for parameter in parameters))
    columns = home.columns
    others: set[str] = set()
    parts: list[str | Slot] = []
    for part in parse_template(text, source):
        if isinstance(part, str):
            parts.append(part)
            continue
        if (message := _slot_error(part, slots, columns)) is not None:
            listed = ", ".join(f"{{{each}}}" for each in slots)
            help_ = "as in `{attempts last 4}`" if part.last else f"slots: {listed}"
            if not _fits_somewhere(part.name, slots, columns):
                close = _close(part.name, slots, columns)
                wanted = _other_word(part.name, columns) or close
                help_ = f"write `{{{wanted}}}`" if wanted else help_
                if _is_column(part) and (imported or not (close or home.uses(name))):
                    parts.append(Slot(part.name))
                    _, column = split_slot(part.name)
                    if not imported and column not in others:
                        others.add(column)
                        diagnostics.append(_column_of_others(part, column, source))
                    continue
            diagnostics.append(error("TTS217", message, part.span, source, suggestion=help_))
            continue
        parts.append(Slot(part.name, int(part.last) if part.last else None))
    for near in near_slots(text, source, frozenset((*slots, *columns))):
        diagnostics.append(
            warning(
                "TTS913",
                f"`{near.text}` is no slot: it is text"
                if near.text[0] != "$"
                else f"the `$` of `{near.text}` is text",
                near.span,
                source,
                suggestion=near.meant,
            )
        )
    return Template(name, tuple(parts)), diagnostics


def _fits_somewhere(name: str, slots: Collection[str], columns: Collection[str]) -> bool:
    """Whether a slot can show something: it is known, or the name of a column, field or judge."""
    head, shown = split_slot(name)
    if name in slots or head == "field":
        return True
    if head in LISTS:
        return shown in TEXTS or shown in columns
    return shown == "words" if head else shown in columns


def _is_column(slot: WrittenSlot) -> bool:
    """Whether a slot that fits nothing here would show a column of a pool that has it."""
    head, shown = split_slot(slot.name)
    return slot.last is None and head in ("", *LISTS) and "." not in shown


def _close(name: str, slots: Collection[str], columns: Collection[str]) -> str | None:
    """The slot that may be meant."""
    head, shown = split_slot(name)
    if head not in LISTS or not shown:
        return suggest(name, (*slots, *columns))
    close = suggest(shown, (*TEXTS, *columns))
    return None if close is None else f"{head}.{close}"


def _other_word(name: str, columns: Collection[str]) -> str | None:
    """The slot that another word, or an attribute as in `{candidate.text}`, stands for."""
    if name in _OTHER_WORDS:
        return _OTHER_WORDS[name]
    head, dot, shown = name.partition(".")
    if not dot or head in LISTS:
        return None
    thing = _OTHER_WORDS.get(head, head)
    if thing == "problem":
        return (
            "problem" if _OTHER_WORDS.get(shown, shown) in ("problem", "text") else f"field.{shown}"
        )
    return shown if thing in TEXTS and shown in (*TEXTS, *columns) else None


def _column_of_others(slot: WrittenSlot, column: str, source: Source) -> Diagnostic:
    return warning(
        "TTS914",
        f"`{{{slot.name}}}` shows a column that no strategy of this file makes",
        slot.span,
        source,
        suggestion=f"a file that imports this prompt makes it: `let {column} of P = E`",
    )


def _slot_error(slot: WrittenSlot, slots: tuple[str, ...], columns: frozenset[str]) -> str | None:
    if not _fits_somewhere(slot.name, slots, columns):
        return f"`{{{slot.name}}}` is neither a slot nor a parameter of this prompt"
    if slot.last is None:
        return None
    if slot.name != "attempts":
        return f"`last` belongs to `{{attempts last 4}}`, not to `{{{slot.name}}}`"
    if not slot.last.isdigit() or int(slot.last) < 1:
        return f"`{{attempts last {slot.last}}}` needs a whole number of at least 1"
    return None


def shown_columns(
    context: StrategyContext,
    prompt: Template,
    parameters: Iterable[str],
    site: Site,
    place: nodes.Name,
) -> tuple[tuple[str, Expr], ...]:
    """The columns of a pool that a prompt's slots show, by slot, except for `parameters` (C70)."""
    expressions: dict[str, Expr] = {}
    for part in prompt.parts:
        if not isinstance(part, Slot) or part.name in expressions or part.name in parameters:
            continue
        head, name = split_slot(part.name)
        if part.name in ROW_SLOTS or head == "field" or (head in LISTS and name in TEXTS):
            continue
        if head and head not in LISTS:
            expression = _words(context, head, site, place, prompt.name)
        else:
            expression = _shown(context, name, site, place, prompt.name)
        if expression is not None:
            expressions[part.name] = expression
    return tuple(expressions.items())


def _shown(
    context: StrategyContext, name: str, site: Site, place: nodes.Name, prompt: str
) -> Expr | None:
    """A column that a prompt shows; `None` after a message."""
    type_ = builtins.COLUMNS.get(name)
    row = site.row
    if type_ is None and row is not None and row.columns is not None:
        column = row.columns.get(name)
        type_ = None if column is None else column.type
        context.used |= frozenset() if column is None else column.scored_at
    elif type_ is None:
        return Column(name)
    help_ = None
    message = f"`{prompt}` shows `{{{name}}}`, and {site.pool_name} has no such column here"
    if type_ is ScalarType.STEPS:
        message = f"`{prompt}` shows `{{{name}}}`, which has one number per step"
        help_ = f"show a column: `let worst of {site.pool_name} = min({name})`"
    elif type_ is ScalarType.KEY:
        message = f"`{prompt}` shows `{{{name}}}`, which is a reference to a row"
    elif type_ is not None:
        return Column(name)
    elif row is not None and name in row.lost:
        help_ = f"{row.lost[name]}"
    elif site.pool_name.isidentifier():
        help_ = f"give it a value first: `let {name} of {site.pool_name} = ...`"
    context.error("TTS217", message, place, help_)
    return None


def _words(
    context: StrategyContext, judge: str, site: Site, place: nodes.Name, prompt: str
) -> Expr | None:
    """The text that a judge wrote; `None` after a message."""
    scorer = context.check.scorers.get(judge)
    described = None if scorer is None else scorer[1].judge
    row = site.row
    if row is not None and row.columns is None:
        return JudgeWords(judge)
    column = None if row is None else (row.columns or {}).get(judge)
    if column is None or described is None:
        context.error(
            "TTS217",
            f"`{prompt}` shows what `{judge}` wrote, and no judge of this name has read "
            f"{site.pool_name} here",
            place,
            f"`score {site.pool_name} by {judge}` with a judge, and no new text after it",
        )
        return None
    context.used |= column.scored_at
    if described.read == "probability" or described.pairwise:
        message = f"`{judge}` writes nothing about a single candidate"
        context.error("TTS217", message, place, "a judge that reads a number or a choice does")
        return None
    return JudgeWords(judge)


def fits_view(
    context: StrategyContext,
    prompt: Template,
    parameters: Collection[str],
    together: bool,
    node: nodes.Expression,
    verb: str,
) -> None:
    """Reports slots that the way of looking (one candidate or the pool) cannot fill."""
    for part in prompt.parts:
        if not isinstance(part, Slot) or part.name in parameters:
            continue
        whole = split_slot(part.name)[0] == "candidates"
        if whole if not together else shows_row(part.name):
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
    bound = bound_arguments(context, place.text)
    fits = len(context.check.diagnostics) == before
    values: list[tuple[str, Expr | int]] = []
    for parameter in parameters:
        name = parameter.name.text
        value = matched.get(name)
        if name in bound:
            values.append((name, _bound(context, bound[name], place)))
            if value is not None:
                report_bound_twice(context, place, name, value, "TTS218")
        elif value is None and parameter.default is not None:
            home = declaration_context(context.check, declared)
            usual = static(home, parameter.default, "a default")
            values.append((name, POISON.expr if usual is None else usual.expr))
        elif value is None:
            # The value is most likely the one that fits nowhere; a slot is no parameter at all.
            if not fits or name in ROW_SLOTS:
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


def _bound(context: StrategyContext, value: Parameter, place: nodes.Name) -> Expr:
    """An argument that a parameter's prompt or judge has already."""
    if isinstance(value, NameValue):
        message = f"`{place.text}` has `{value.name}` as an argument, which is no number or text"
        context.error("TTS218", message, place)
        return POISON.expr
    return value.expr


def match(
    context: StrategyContext,
    called: str,
    names: list[str],
    written: tuple[nodes.Argument, ...],
    code: str = "TTS218",
    by_name: Collection[str] = (),
) -> dict[str, nodes.Expression]:
    """Arguments by the names of their parameters: by place first, then by name, each once.

    Those in `by_name` are only given by name.
    """
    matched: dict[str, nodes.Expression] = {}
    for position, argument in enumerate(written):
        if argument.name is not None:
            name = argument.name.text
            if name not in names and name not in by_name:
                takes = ", ".join(f"`{each}`" for each in names) or "nothing"
                context.error(
                    code,
                    f"`{called}` has no parameter `{name}`",
                    argument.name,
                    did_you_mean(name, (*names, *by_name)) or f"it takes {takes}",
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
    imported = declared.home is not context.scope
    prompt, diagnostics = template(
        declared.name, node.text, node.parameters, declared.home, imported
    )
    # Its own file may not have been checked: it may be imported.
    context.check.diagnostics.extend(each for each in diagnostics if each.is_error)
    entered = context.check.prompts.setdefault(declared.name, (declared, prompt))
    if entered[0] is not declared and entered[1] != prompt:
        two_meanings(context, "prompts", declared, entered[0], place)
    return prompt


def two_meanings(
    context: StrategyContext,
    what: str,
    declared: Declared,
    other: Declared,
    place: nodes.SyntaxNode,
) -> None:
    """Reports two declarations of one name that meet in one plan."""
    context.error(
        "TTS404",
        f"two different {what} called `{declared.name}` meet here: from "
        f"{other.home.source.name} and from {declared.home.source.name}",
        place,
        "rename one of them",
    )
