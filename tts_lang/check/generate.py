"""Pools that are generated: `sample`, `expand` and `ask`, their amounts and clauses."""

from __future__ import annotations

from dataclasses import replace
from math import inf
from typing import Any

from tts_lang.check.builtins import UNSET
from tts_lang.check.context import Fixed, Inputs, PoolValue, StrategyContext
from tts_lang.check.dispatch import Site, pool_rule
from tts_lang.check.prompts import arguments, enter_prompt, fits_view, shown_columns
from tts_lang.check.resolve import top_level
from tts_lang.check.sampling import passed_clauses
from tts_lang.check.scope import Role
from tts_lang.check.types import DEFAULT, PROBLEM, PoolType, ScalarType
from tts_lang.check.uses import reads
from tts_lang.check.values import (
    NO_POOL,
    bounded,
    check_not_empty,
    condition,
    count,
    expect,
    known_number,
    number,
    static,
    text,
)
from tts_lang.check.verbs import grouping, over
from tts_lang.plan.clauses import MIN_P, PENALTY, TEMPERATURE, TOP_P, Range
from tts_lang.plan.constants import is_constant
from tts_lang.plan.decoding import misfit
from tts_lang.plan.expr import Column, Const, Expr, fields_in, walk
from tts_lang.plan.graph import Amount, Ask, Decoding, Expand, Unit
from tts_lang.plan.rows import literal_count
from tts_lang.syntax import nodes
from tts_lang.syntax.nodes import ClauseKind, find_clause

_RANGES: dict[ClauseKind, tuple[str, Range]] = {
    ClauseKind.TEMPERATURE: ("the temperature", TEMPERATURE),
    ClauseKind.TOP_P: ("top_p", TOP_P),
    ClauseKind.MIN_P: ("min_p", MIN_P),
}
_COUNTS: dict[ClauseKind, str] = {
    ClauseKind.TOP_K: "top_k",
    ClauseKind.MAX: "the limit `max`",
    ClauseKind.WITHIN: "the limit `within`",
    ClauseKind.AT_LEAST: "`at least`",
}

_FORMS = {ClauseKind.MATCHING, ClauseKind.ONE_OF}


def amount(context: StrategyContext, node: nodes.AmountPhrase, inputs: Inputs) -> Amount:
    """`COUNT [x LENGTH] UNIT` with its numbers checked."""
    unit = node.unit or Unit.SOLUTIONS
    if unit is Unit.THOUGHTS:
        context.thinks = True
    how_many = count(context, node.count, "the number of children", inputs)
    length: Expr | None = None
    written = context.scope.source.slice(node.count.span)
    if node.length is not None:
        length = count(context, node.length, "the length", inputs)
        if unit not in {Unit.STEPS, Unit.TOKENS}:
            context.error(
                "TTS306",
                f"a length is given in steps or tokens, not in {unit.value}",
                node,
                f"`{written} {unit.value}`, or `{written} x 3 steps`",
            )
    return Amount(how_many, unit, length)


def clauses_of(context: StrategyContext, own: tuple[nodes.Clause, ...]) -> tuple[nodes.Clause, ...]:
    """A verb's clauses, and those defaults of its strategy that it does not set itself."""
    kinds = {clause.kind for clause in own}
    if kinds & _FORMS:
        kinds |= _FORMS
    from_parameters = {
        kind: nodes.Clause(kind, nodes.Name(name, span=context.strategy.name.span))
        for name, kind in passed_clauses(context).items()
    }
    defaults = {clause.kind: clause for clause in context.strategy.clauses} | from_parameters
    return (*own, *(clause for kind, clause in defaults.items() if kind not in kinds))


def decoding(
    context: StrategyContext,
    clauses: tuple[nodes.Clause, ...],
    site: Site,
    unit: Unit = Unit.SOLUTIONS,
) -> Decoding:
    """The decoding settings and stop conditions of one verb; with a row, one for each (C69)."""
    inputs = site.inputs
    fields: dict[str, Any] = {}
    for clause in clauses:
        if clause.kind in (ClauseKind.ONE_OF, ClauseKind.AVOIDING):
            fields[_FIELDS[clause.kind]] = tuple(known_text(context, each) for each in clause.words)
        if clause.value is None or clause.kind is ClauseKind.FROM:
            continue
        if is_unset(context, clause.value):
            fields.pop(_FIELDS[clause.kind], None)
            continue
        if clause.kind is ClauseKind.AVOIDING:
            value = bounded(context, clause.value, "the penalty", inputs, PENALTY, site)
            fields["avoided_by"] = value
            continue
        if clause.kind is ClauseKind.MATCHING:
            fields["matching"] = known_text(context, clause.value)
            continue
        if clause.kind in _RANGES:
            what, fits = _RANGES[clause.kind]
            value = bounded(context, clause.value, what, inputs, fits, site)
        elif clause.kind in _COUNTS:
            value = count(context, clause.value, _COUNTS[clause.kind], inputs, site)
        elif clause.kind is ClauseKind.STOP_AT:
            value = text(context, clause.value, site)
            if isinstance(value, Const) and context.numbers_matter:
                check_not_empty(context, value.value, "the text", clause.value)
        else:
            streamed = Site(inputs, site.row or PROBLEM, "the candidate", streaming=True)
            value = condition(context, clause.value, streamed)
        fields[_FIELDS[clause.kind]] = value
    likeliest = find_clause(clauses, ClauseKind.LIKELIEST) is not None
    settings = Decoding(policy=policy(context, clauses), likeliest=likeliest, **fields)
    wrong = misfit(unit, settings)
    if wrong is not None:
        kinds = _FORMS if settings.matching or settings.one_of else {ClauseKind.AVOIDING}
        where = [each for each in clauses if each.kind in kinds]
        context.error("TTS308", wrong, where[-1])
        settings = replace(settings, matching="", one_of=())
    return settings


def known_text(context: StrategyContext, node: nodes.Expression) -> str:
    """A text that is known when compiling."""
    typed = static(context, node, "a text that says what is drawn")
    if typed is None:
        return "?"
    expression = expect(context, typed, ScalarType.TEXT, node).expr
    return (
        expression.value
        if isinstance(expression, Const) and isinstance(expression.value, str)
        else "?"
    )


def is_unset(context: StrategyContext, node: nodes.Expression) -> bool:
    """Whether a clause is calculated from `default`, so that it is as without it (C72)."""
    for name in reads(node):
        binding = context.env.get(name.text)
        value = binding.typed if isinstance(binding, Fixed) else context.parameters.get(name.text)
        if name.text == UNSET or value == DEFAULT:
            return True
    return False


_FIELDS = {
    ClauseKind.TEMPERATURE: "temperature",
    ClauseKind.TOP_P: "top_p",
    ClauseKind.TOP_K: "top_k",
    ClauseKind.MIN_P: "min_p",
    ClauseKind.MAX: "max_tokens",
    ClauseKind.WITHIN: "within",
    ClauseKind.AT_LEAST: "at_least",
    ClauseKind.STOP_AT: "stop_at",
    ClauseKind.STOP_WHEN: "stop_when",
    ClauseKind.END_WHEN: "end_when",
    ClauseKind.MATCHING: "matching",
    ClauseKind.ONE_OF: "one_of",
    ClauseKind.AVOIDING: "avoiding",
}


def policy(context: StrategyContext, clauses: tuple[nodes.Clause, ...]) -> str:
    """The policy that `from` names, or the default one."""
    clause = find_clause(clauses, ClauseKind.FROM)
    if clause is None or not isinstance(clause.value, nodes.Name):
        return context.default_policy
    declared = top_level(context, clause.value, Role.POLICY)
    if declared is None:
        return context.default_policy
    context.check.policies.setdefault(declared.name)
    return declared.name


def equal_samples(
    context: StrategyContext,
    node: nodes.Expression,
    quantity: Amount,
    how: Decoding,
) -> bool:
    """Whether the children of a row are all equal (C15); warns about it."""
    greedy = how.temperature is not None and known_number(how.temperature) == 0
    several = is_constant(quantity.count) and (known_number(quantity.count) or 0) > 1
    if not (greedy and several) or how.likeliest:
        return False
    context.warning(
        "TTS908",
        "at temperature 0 all children of a candidate are equal",
        node,
        "one is enough; or choose a temperature above 0",
    )
    return True


def closes(quantity: Amount, how: Decoding) -> bool:
    """Whether the candidates drawn are done, however the calls end (C17)."""
    limits = (how.max_tokens, how.stop_at, how.stop_when)
    return quantity.unit is Unit.SOLUTIONS and all(limit is None for limit in limits)


@pool_rule(nodes.SamplePhrase)
def _sample(context: StrategyContext, node: nodes.SamplePhrase) -> PoolValue:
    inputs = Inputs([context.problem])
    quantity = amount(context, node.amount, inputs)
    site = Site(inputs, PROBLEM, "the problem")
    how = decoding(context, clauses_of(context, node.clauses), site, quantity.unit)
    _one_for_all(context, node, how)
    equal = equal_samples(context, node.amount.count, quantity, how)
    type_ = PoolType(identical=equal, closed=closes(quantity, how))
    return context.emit_pool(Expand(quantity, how), inputs, type_, node)


def _one_for_all(context: StrategyContext, node: nodes.SamplePhrase, how: Decoding) -> None:
    """Warns where a clause reads a column: of the problem, one row whatever is sampled (C69)."""
    fields = {**_FIELDS, ClauseKind.AVOIDING: "avoided_by"}
    for clause in node.clauses:
        if clause.value is None or clause.kind in (ClauseKind.STOP_WHEN, ClauseKind.END_WHEN):
            continue
        values = fields_in(getattr(how, fields.get(clause.kind, ""), ()))
        parts = (part for value in values for part in walk(value, pools=False))
        column = next((part for part in parts if isinstance(part, Column)), None)
        if column is not None:
            context.warning(
                "TTS915",
                f"`{column.name}` is that of the problem here, the same for every child",
                clause.value,
                "`fork problem into n`, then `expand ... by 1`: each copy has its own `index`",
            )


@pool_rule(nodes.ExpandPhrase)
def _expand(context: StrategyContext, node: nodes.ExpandPhrase) -> PoolValue:
    operand, inputs, site = over(context, node.pool)
    quantity = amount(context, node.amount, inputs)
    how = decoding(context, clauses_of(context, node.clauses), site, quantity.unit)
    _nothing_open(context, node, operand.type)
    why = f"`expand` at line {context.line(node)} dropped it: the text has changed"
    closed = operand.type.closed or closes(quantity, how)
    if node.dealing is nodes.Dealing.BY:
        if quantity.count != Const(1):
            equal_samples(context, node.amount.count, quantity, how)
        identical = operand.type.identical
        type_ = replace(operand.type.children(why), identical=identical, closed=closed)
        return context.emit_pool(Expand(quantity, how), inputs, type_, node)
    weight = None if node.weight is None else number(context, node.weight, site)
    per = grouping(context, node.per, operand, site.pool_name)
    if weight is None and per is None:
        _uneven(context, node, quantity, operand.type)
    spec = Expand(quantity, how, True, weight, node.rounding_up, per)
    type_ = replace(operand.type.children(why), closed=closed)
    return context.emit_pool(spec, inputs, type_, node)


def _nothing_open(context: StrategyContext, node: nodes.ExpandPhrase, operand: PoolType) -> None:
    """Warns where only done candidates can be expanded: they pass through (C18)."""
    if not operand.closed or operand.bound == 0 or not context.numbers_matter:
        return
    if node.span not in context.still:
        name = f"`{node.pool.text}`" if isinstance(node.pool, nodes.Name) else "the pool"
        context.warning(
            "TTS910",
            f"every candidate of {name} is done, so `expand` passes them all through",
            node.pool,
            "leave them open with a unit such as `steps`, `max`, `stop at` or `stop when`, or open "
            "them again with `force` or `cut`",
        )


def _uneven(
    context: StrategyContext, node: nodes.ExpandPhrase, quantity: Amount, operand: PoolType
) -> None:
    dealt, rows = literal_count(quantity.count), operand.bound
    if dealt is None or rows in (0, inf) or operand.columns is None:
        return
    if dealt % rows:
        context.warning(
            "TTS907",
            f"{dealt} children cannot be dealt evenly over {rows:.0f} candidates",
            node.amount,
            "earlier candidates get one more; choose numbers that divide",
        )


# ------------------------------------------------------------------------------ `ask`


@pool_rule(nodes.AskPhrase)
def _ask(context: StrategyContext, node: nodes.AskPhrase) -> PoolValue:
    operand, inputs, site = over(context, node.pool)
    quantity = Amount(Const(1))
    if node.amount is not None:
        quantity = amount(context, node.amount, inputs)
    about = Site(inputs) if node.together else site
    how = decoding(context, clauses_of(context, node.clauses), about, quantity.unit)
    if node.amount is not None:
        equal_samples(context, node.amount.count, quantity, how)
    per = grouping(context, node.per, operand, site.pool_name)
    declared = top_level(context, node.prompt, Role.PROMPT)
    if declared is None:
        return NO_POOL
    prompt = enter_prompt(context, declared, node.prompt)
    parameters = {each.name.text for each in declared.prompt.parameters}
    fits_view(context, prompt, parameters, node.together, node.prompt, "ask")
    passed = arguments(
        context, declared, declared.prompt.parameters, node.arguments, node.prompt, inputs
    )
    shown = shown_columns(context, prompt, parameters, site, node.prompt)
    spec = Ask(declared.name, quantity, how, passed, node.together, per, shown, node.history)
    why = f"`ask` at line {context.line(node)} dropped it: this is a new conversation"
    type_ = operand.type.children(why)
    if node.together:
        gone = dict.fromkeys(type_.columns or (), why)
        type_ = PoolType({}, {**type_.lost, **gone})
    type_ = replace(type_, closed=closes(quantity, how))
    return context.emit_pool(spec, inputs, type_, node)
