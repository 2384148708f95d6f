"""`ask`: new conversations about candidates."""

from __future__ import annotations

from dataclasses import replace

from tts_lang.check.context import Pool, StrategyContext
from tts_lang.check.dispatch import pool_rule
from tts_lang.check.generate import amount, clauses_of, closes, decoding, equal_samples
from tts_lang.check.pools import PoolType, times
from tts_lang.check.prompts import arguments, enter_prompt, fits_view
from tts_lang.check.resolve import top_level
from tts_lang.check.scope import Role
from tts_lang.check.values import NO_POOL
from tts_lang.check.verbs import bound_of, grouping, over
from tts_lang.plan.expr import Const
from tts_lang.plan.graph import Amount, Ask
from tts_lang.syntax import nodes


@pool_rule(nodes.Ask)
def _ask(context: StrategyContext, node: nodes.Ask) -> Pool:
    given, inputs, site = over(context, node.pool)
    wanted = Amount(Const(1))
    if node.amount is not None:
        wanted = amount(context, node.amount, inputs)
    how = decoding(context, clauses_of(context, node.clauses), inputs, given.type)
    if node.amount is not None:
        equal_samples(context, node.amount.count, wanted, how)
    per = grouping(context, node.per, given, site.pool_name)
    declared = top_level(context, node.prompt, Role.PROMPT)
    if declared is None:
        return NO_POOL
    made = enter_prompt(context, declared, node.prompt)
    fits_view(context, made, node.together, node.prompt, "ask")
    passed = arguments(
        context, declared, declared.prompt.parameters, node.arguments, node.prompt, inputs
    )
    spec = Ask(declared.name, wanted, how, passed, node.together, per)
    rows = given.type.bound if not node.together or node.per is not None else 1
    bound = times(rows, bound_of(wanted.count))
    why = f"`ask` at line {context.line(node)} dropped it: this is a new conversation"
    type_ = given.type.children(bound, why)
    if node.together:
        gone = dict.fromkeys(type_.columns or (), why)
        type_ = PoolType({}, {**type_.lost, **gone}, bound)
    type_ = replace(type_, closed=closes(wanted, how))
    return context.emit_pool(spec, inputs, type_, node)
