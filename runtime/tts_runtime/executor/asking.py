"""ask: new conversations from a prompt and rows, and children of each (C5, C6, C22)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tts_lang.plan.expr import Expr, fields_in
from tts_lang.plan.graph import Ask
from tts_runtime.executor.children import ChildSpec, children
from tts_runtime.executor.expressions import needs_pool
from tts_runtime.executor.model import EMPTY, Conversation, Row, opening
from tts_runtime.executor.ops.sample import SHORTEN, overlong
from tts_runtime.executor.ordering import OrderedNumbering
from tts_runtime.executor.pools import Content, Item, PendingRow, Pool, append
from tts_runtime.executor.program import Builder, Work
from tts_runtime.executor.prompts import argument_parts, fill, needs_others
from tts_runtime.executor.scope import Scope
from tts_runtime.executor.settings import Clauses
from tts_runtime.executor.views import View, groups
from tts_runtime.streams import asked_key


def compiled_arguments(
    builder: Builder, arguments: Sequence[tuple[str, Expr | int]]
) -> dict[str, Any]:
    """A prompt's arguments: expressions compiled, pools as the index of their input."""
    return {
        name: given if isinstance(given, int) else builder.compiler.compile(given)
        for name, given in arguments
    }


def argument_values(arguments: Mapping[str, Any], view: View) -> dict[str, Any]:
    """The arguments' values; `view` holds the rows of the pools among them."""
    return {
        name: view.inputs[given] if isinstance(given, int) else given(view.scope.problem, view)
        for name, given in arguments.items()
    }


def ask(builder: Builder, spec: Ask) -> Work:
    """One conversation about each row, or about the whole pool (or group) with `together`."""
    compiler, site = builder.compiler, builder.site
    template = builder.program.plan.prompt(spec.prompt)
    clauses = Clauses(compiler, builder.policies, spec.amount, spec.decoding)
    count = builder.count(spec.amount.count)
    arguments = compiled_arguments(builder, spec.arguments)
    per = None if spec.per is None else compiler.column(spec.per)
    whole = (
        spec.together
        or needs_others(template)
        or any(isinstance(given, int) for _, given in spec.arguments)
        or any(map(needs_pool, fields_in(spec)))
    )

    async def work(scope: Scope, inputs: Sequence[Any]) -> Sequence[Any]:
        pool: Pool = inputs[0]
        view = await scope.view(inputs, whole)
        settings = clauses.settings(scope.problem, view)
        many = count(scope.problem, view)
        given = argument_values(arguments, view)
        parts = argument_parts(given)
        ordering = OrderedNumbering(scope)
        sequence = ordering.sequence  # not by way of `ordering`, which holds what is defined here
        run = scope.run

        def asked(about: Sequence[Row], pool: Sequence[Row], slot: PendingRow | None) -> Content:
            """Children of the conversation about some rows."""
            row = about[0]
            if not many:
                return None
            message = fill(template, run.problem.text, given, row, pool)
            places = [(each.node.key, each.node.position) for each in about]
            conversation = Conversation(
                asked_key(spec.prompt, [message, int(scope.thinks), *parts], places),
                message,
                thinking=scope.thinks,
                own=False,
            )
            error = overlong(conversation, settings)
            if error is not None and not run.loses_one(error):
                raise site.error(str(error), SHORTEN)
            node = opening(conversation, settings.policy)
            room = settings.room(node)
            here = run, node, settings, room
            if spec.together:
                roots = {each.candidate.root for each in about}
                root = roots.pop() if len(roots) == 1 else None
                parentage = ChildSpec(*here, None, root, None, EMPTY, EMPTY, sequence, site)
            else:
                root = row.candidate.root
                parentage = ChildSpec(*here, row, root, row, row.lets, EMPTY, sequence, site)
            if error is not None:
                return [parentage.row(node.failed(error)) for _ in range(many)]
            if room <= 0:
                return parentage.row(node.closed_by_limit())
            return children(scope, parentage, many, view, slot)

        if spec.together:
            await ordering.turn()
            rows: list[Row] = view.inputs[0]
            items: list[Item] = []
            keys = [0] * len(rows) if per is None else [per(row, view) for row in rows]
            for group in groups(keys):
                members = [rows[place] for place in group]
                append(items, asked(members, members, None))
            made = Pool(items, True, True)
        else:
            everyone = view.rows if view.rows is not None else ()
            made = await ordering.apply(
                pool, lambda row, slot: asked((row,), everyone, slot), most=many
            )
        scope.made.append(made)
        return (made,)

    return work
