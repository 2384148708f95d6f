"""expand, ask, fork, resample: operations that make candidates (C2 to C8, C12, C17 to C22)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import repeat
from math import ceil, floor
from typing import Any

from tts_lang.plan.expr import fields_in
from tts_lang.plan.graph import Ask, Expand, Fork, Operation, Resample
from tts_lang.plan.reads import needs_pool
from tts_runtime.executor.clauses import SHORTEN, Clauses, overlong
from tts_runtime.executor.expressions import (
    CompiledPrompt,
    argument_parts,
    argument_values,
    compiled_arguments,
    fill,
    needs_others,
)
from tts_runtime.executor.generation import ChildSpec, GenerationCall, children
from tts_runtime.executor.nodes import Conversation, opening
from tts_runtime.executor.pools import Content, Demand, Item, PendingRow, Pool, append
from tts_runtime.executor.problem import error_at
from tts_runtime.executor.program import Action, Builder, handles
from tts_runtime.executor.rows import OfProblem, Row
from tts_runtime.executor.scheduler import OrderedNumbering
from tts_runtime.executor.scope import Scope
from tts_runtime.executor.views import View, grouped, weights_of
from tts_runtime.streams import asked_key, resample_key, uniform

# ------------------------------------------------------------------ expand


@handles(Expand)
def expand(builder: Builder, spec: Expand) -> Action:
    """Children replace their parent's row; done rows pass through (C18, C19)."""
    compiler, operation = builder.compiler, builder.operation
    clauses = Clauses(compiler, builder.policies, spec.amount, spec.decoding)
    count = builder.count(spec.amount.count)
    weight = compiler.optional(spec.weight)
    per = compiler.column_or_none(spec.per)
    whole = spec.deal or any(map(needs_pool, fields_in(spec)))
    lazy = operation.outputs[0] in builder.program.lazy
    deal = _rounded_up if spec.rounding_up and weight is not None else largest_remainders

    def dealt(rows: Sequence[Row], total: int, view: View) -> list[int]:
        """How many children each row gets; done rows get none."""
        weights = [Fraction(number) for number in weights_of(weight, rows, view, operation)]
        shares = [0] * len(rows)
        for places in grouped(rows, per, view):
            live = [place for place in places if not rows[place].node.done]
            part = [weights[place] for place in live]
            if not any(part):
                part = [Fraction(1)] * len(live)
            for place, many in zip(live, deal(part, max(0, total)), strict=True):
                shares[place] = many
        return shares

    async def action(scope: Scope, inputs: Sequence[Any]) -> Sequence[Any]:
        pool: Pool = inputs[0]
        run = scope.run
        view = await scope.view(inputs, whole)
        many = count(scope.problem, view)
        shares = iter(dealt(view.inputs[0], many, view)) if spec.deal else repeat(many)
        numbering = OrderedNumbering(run, scope.barrier)
        # `expanded` must not refer to `numbering`, which refers to it: that would be a cycle.
        demand = Demand() if lazy and not pool.pending else None
        answer = many == 1 and pool.single and not spec.deal and builder.is_answer(scope)
        call_for = _calls(clauses, scope, operation, view, numbering.sequence, demand, answer)
        shared = None if clauses.differ else call_for(scope.problem)

        def expanded(row: Row, slot: PendingRow | None) -> Content:
            node = row.node
            share = next(shares)
            if node.done:
                return row.passed()
            if share <= 0:
                return None
            call = shared or call_for(row)
            settings = call.settings
            room = settings.room(node)
            candidate = row.candidate
            if room <= 0:
                error = overlong(node.conversation, settings)
                if error is not None and node.conversation.own:
                    raise error_at(operation, str(error), SHORTEN)
                return Row(node.closed_by_limit(), candidate, row.lets, known=row.known)
            child = ChildSpec(
                call, node, room, row, candidate.root, candidate.about, row.lets, row.known
            )
            return children(child, scope.next_children(node, share), share, view, slot)

        # A done row passes through, however many children it was to have.
        most = 0 if spec.deal else max(1, many)
        result = await numbering.apply(pool, expanded, in_order=spec.deal, most=most)
        if demand is not None and demand.seal(result.items):
            result.demand = demand
        scope.made.append(result)
        return (result,)

    return action


def _calls(
    clauses: Clauses,
    scope: Scope,
    operation: Operation,
    view: View,
    sequence: int,
    demand: Demand | None = None,
    answer: bool = False,
) -> Callable[[Row], GenerationCall]:
    """Makes the call by which a row is continued: one will do for all rows, unless its clauses tell
    them apart (C69)."""

    def call(row: Row) -> GenerationCall:
        settings = clauses.settings(row, view)
        return GenerationCall(
            scope.run, operation, settings, sequence, scope.number_of_call, demand, answer=answer
        )

    return call


def largest_remainders(weights: Sequence[Fraction], total: int) -> list[int]:
    """Quotas rounded down, what is left to the largest remainders, ties to the earlier (C20)."""
    whole = sum(weights)
    quotas = [total * weight / whole for weight in weights]
    shares = [floor(quota) for quota in quotas]
    places = sorted(range(len(weights)), key=lambda place: shares[place] - quotas[place])
    for place in places[: total - sum(shares)]:
        shares[place] += 1
    return shares


def _rounded_up(weights: Sequence[Fraction], total: int) -> list[int]:
    """Heaviest first, each the ceiling of its share of what is left (REBASE, Wu et al. 2024)."""
    shares = [0] * len(weights)
    left, weight_left = total, sum(weights, Fraction(0))
    for place in sorted(range(len(weights)), key=lambda place: -weights[place]):
        if left <= 0 or weight_left <= 0:
            break
        shares[place] = min(left, ceil(left * weights[place] / weight_left))
        left -= shares[place]
        weight_left -= weights[place]
    return shares


# ------------------------------------------------------------------ ask


@handles(Ask)
def ask(builder: Builder, spec: Ask) -> Action:
    """One conversation about each row, or about the whole pool (or group) with `together`."""
    compiler, operation = builder.compiler, builder.operation
    template = builder.program.plan.prompt(spec.prompt)
    clauses = Clauses(compiler, builder.policies, spec.amount, spec.decoding)
    count = builder.count(spec.amount.count)
    prompt = CompiledPrompt(template, compiler, spec.shown, operation)
    arguments = compiled_arguments(compiler, spec.arguments)
    per = compiler.column_or_none(spec.per)
    whole = (
        spec.together
        or needs_others(template)
        or any(isinstance(argument, int) for _, argument in spec.arguments)
        or any(map(needs_pool, fields_in(spec)))
    )

    async def action(scope: Scope, inputs: Sequence[Any]) -> Sequence[Any]:
        pool: Pool = inputs[0]
        run = scope.run
        view = await scope.view(inputs, whole)
        many = count(scope.problem, view)
        values = argument_values(arguments, scope.problem, view)
        parts = argument_parts(values)
        numbering = OrderedNumbering(run, scope.barrier)
        # As in `expand`, nothing defined here may refer to `numbering`.
        groups = grouped(view.inputs[0], per, view) if spec.together else []
        one = many == 1 and (len(groups) == 1 if spec.together else pool.single)
        answer = one and builder.is_answer(scope)
        call_for = _calls(clauses, scope, operation, view, numbering.sequence, answer=answer)
        shared = None if clauses.differ else call_for(scope.problem)

        def conversation_children(
            about: Sequence[Row], pool: Sequence[Row], slot: PendingRow | None
        ) -> Content:
            """Children of the conversation about some rows."""
            row = about[0]
            if not many:
                return None
            call = shared or call_for(scope.problem if spec.together else row)
            settings = call.settings
            message = fill(prompt, run.problem, values, row, pool, view)
            places = [(each.node.key, each.node.position) for each in about]
            history = row.node if spec.history else None
            told = [message, int(scope.thinks), *parts, *(["history"] if spec.history else [])]
            conversation = Conversation(
                asked_key(spec.prompt, told, places),
                message,
                thinking=scope.thinks,
                own=False,
                history=history,
            )
            error = overlong(conversation, settings)
            if error is not None and not run.loses_candidate(error):
                raise error_at(operation, str(error), SHORTEN)
            node = opening(conversation, settings.policy)
            room = settings.room(node)
            if spec.together:
                roots = {each.candidate.root for each in about}
                root = roots.pop() if len(roots) == 1 else None
                child = ChildSpec(call, node, room, None, root, None)
            else:
                child = ChildSpec(call, node, room, row, row.candidate.root, row, row.lets)
            if error is not None:
                return [child.row(node.failed(error)) for _ in range(many)]
            if room <= 0:
                return child.row(node.closed_by_limit())
            return children(child, scope.next_children(node, many), many, view, slot)

        if spec.together:
            await numbering.turn()
            rows: list[Row] = view.inputs[0]
            items: list[Item] = []
            for group in groups:
                members = [rows[place] for place in group]
                append(items, conversation_children(members, members, None))
            result = Pool(items, True, True)
        else:
            everyone = view.rows if view.rows is not None else ()
            result = await numbering.apply(
                pool, lambda row, slot: conversation_children((row,), everyone, slot), most=many
            )
        scope.made.append(result)
        return (result,)

    return action


# ------------------------------------------------------------------ copies


def copied(row: Row, scope: Scope, operation: Operation, *, draws: bool, tree: bool) -> Row:
    """A copy on the same node.

    `draws`: random numbers are drawn, so it needs a lane of its own (C3). `tree`: it starts a tree
    of its own (C49).
    """
    source = row.candidate
    copy = type(source)(
        row.node,
        source.parent,
        None if tree else source.root,
        source.before,
        source.about,
        source.created,
        operation,
        scope.next_copy(source) if draws else source.lane,
    )
    copy.scores = row.scores
    if isinstance(copy, OfProblem):
        copy.problem, copy.rootless = source.problem, source.rootless and not tree
    return Row(row.node, copy, row.lets, row.scores, row.known, row.backed, row.words)


@handles(Fork)
def fork(builder: Builder, spec: Fork) -> Action:
    """A number of copies of each row, side by side."""
    count, operation, draws = builder.count(spec.count), builder.operation, builder.program.draws
    # Lanes are counted in program order, so where numbers are drawn all rows must be known.
    whole = needs_pool(spec.count) or draws

    async def action(scope: Scope, inputs: Sequence[Any]) -> Sequence[Any]:
        pool: Pool = inputs[0]
        view = await scope.view(inputs, whole)
        many = count(scope.problem, view)

        def copies(row: Row, _: PendingRow | None) -> Content:
            return [copied(row, scope, operation, draws=draws, tree=True) for _ in range(many)]

        forked = scope.run.map(pool, copies, grows=True)
        result = Pool(forked.items, forked.pending, pool.apart and many <= 1)
        scope.made.append(result)
        return (result,)

    return action


@handles(Resample)
def resample(builder: Builder, spec: Resample) -> Action:
    """Systematic resampling in proportion to weights, ordered by source row (C12, C19)."""
    compiler, operation, draws = builder.compiler, builder.operation, builder.program.draws
    count, by = builder.count(spec.count), compiler.compile(spec.by)
    per = compiler.column_or_none(spec.per)

    async def action(scope: Scope, inputs: Sequence[Any]) -> Sequence[Any]:
        view = await scope.view(inputs, whole=True)
        rows: list[Row] = view.inputs[0]
        many = count(scope.problem, view)
        weights = weights_of(by, rows, view, operation)
        fractions = [Fraction(weight) for weight in weights]
        found = grouped(rows, per, view)
        times = [0] * len(rows)
        for places in found:
            names = tuple((rows[place].node.key, rows[place].node.position) for place in places)
            key = resample_key(scope.run.root_key, names, scope.next_resampling(names))
            drawn = systematic([fractions[place] for place in places], many, uniform(key))
            for place, number in zip(places, drawn, strict=True):
                times[place] = number
        kept = [place for place, number in enumerate(times) for _ in range(number)]
        scope.decided(operation, rows, kept, found, weights)
        result = Pool(
            [copied(rows[place], scope, operation, draws=draws, tree=False) for place in kept]
        )
        scope.made.append(result)
        return (result,)

    return action


def systematic(weights: Sequence[Fraction], many: int, start: float) -> list[int]:
    """How often each row is drawn by `many` evenly spaced points, the first at `start` in (0, 1).

    All weights 0: evenly (C20). Exact rationals: a point never slips past the last row.
    """
    if not any(weights):
        weights = [Fraction(1)] * len(weights)
    total = sum(weights, Fraction(0))
    drawn = [0] * len(weights)
    place, reached = 0, weights[0]
    for point in range(many):
        target = (Fraction(start) + point) / many * total
        while reached <= target:
            place += 1
            reached += weights[place]
        drawn[place] += 1
    return drawn
