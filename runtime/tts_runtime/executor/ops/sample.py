"""expand: children of every row, dealt or so many each (C2, C8, C17 to C21)."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import repeat
from math import ceil, floor
from typing import Any, Final

from tts_lang.plan.expr import fields_in
from tts_lang.plan.graph import Expand
from tts_runtime.engines.base import CandidateError, Fault
from tts_runtime.executor.children import ChildSpec, children
from tts_runtime.executor.expressions import needs_pool
from tts_runtime.executor.model import Conversation, Row
from tts_runtime.executor.ordering import OrderedNumbering
from tts_runtime.executor.pool_values import weights_of
from tts_runtime.executor.pools import Content, PendingRow, Pool
from tts_runtime.executor.program import Builder, Work
from tts_runtime.executor.scope import Scope
from tts_runtime.executor.settings import Clauses, Settings
from tts_runtime.executor.views import View, groups


def expand(builder: Builder, spec: Expand) -> Work:
    """Children replace their parent's row; done rows pass through (C18, C19)."""
    compiler, site = builder.compiler, builder.site
    clauses = Clauses(compiler, builder.policies, spec.amount, spec.decoding)
    count = builder.count(spec.amount.count)
    weight = compiler.optional(spec.weight)
    per = None if spec.per is None else compiler.column(spec.per)
    whole = spec.deal or any(map(needs_pool, fields_in(spec)))
    deal = _rounded_up if spec.rounding_up and weight is not None else largest_remainders

    def dealt(rows: Sequence[Row], total: int, view: View) -> list[int]:
        """How many children each row gets; done rows get none."""
        weights = [Fraction(number) for number in weights_of(weight, rows, view, site)]
        shares = [0] * len(rows)
        for places in groups([0] * len(rows) if per is None else [per(row, view) for row in rows]):
            live = [place for place in places if not rows[place].node.done]
            part = [weights[place] for place in live]
            if not any(part):
                part = [Fraction(1)] * len(live)
            for place, many in zip(live, deal(part, max(0, total)), strict=True):
                shares[place] = many
        return shares

    async def work(scope: Scope, inputs: Sequence[Any]) -> Sequence[Any]:
        pool: Pool = inputs[0]
        view = await scope.view(inputs, whole)
        settings = clauses.settings(scope.problem, view)
        many = count(scope.problem, view)
        shares = iter(dealt(view.inputs[0], many, view)) if spec.deal else repeat(many)
        ordering = OrderedNumbering(scope)
        sequence = ordering.sequence  # not by way of `ordering`, which holds what is defined here

        def numbered(row: Row, slot: PendingRow | None) -> Content:
            node = row.node
            share = next(shares)
            if node.done:
                return row.passed()
            if share <= 0:
                return None
            room = settings.room(node)
            if room <= 0:
                error = overlong(node.conversation, settings)
                if error is not None and node.conversation.own:
                    raise site.error(str(error), SHORTEN)
                return Row(node.closed_by_limit(), row.candidate, row.lets, known=row.known)
            parentage = ChildSpec(
                scope.run,
                node,
                settings,
                room,
                row,
                row.candidate.root,
                row.candidate.asked,
                row.lets,
                row.known,
                sequence,
                site,
            )
            return children(scope, parentage, share, view, slot)

        # A done row passes through, however many children it was to have.
        most = 0 if spec.deal else max(1, many)
        made = await ordering.apply(pool, numbered, in_order=spec.deal, most=most)
        scope.made.append(made)
        return (made,)

    return work


#: What to do about a question that fills the window.
SHORTEN: Final = "shorten the problem or the prompt, or bind a policy with a longer context"


def overlong(conversation: Conversation, settings: Settings) -> CandidateError | None:
    """What is wrong with a question that fills the window; a path that has filled it is done."""
    policy = settings.policy
    length = len(conversation.prompt(policy))
    if length < policy.context:
        return None
    return CandidateError(
        Fault.TOO_LONG,
        f"the prompt has {length} tokens, but policy `{policy.name}` "
        f"(`{policy.binding.name}`) has a context window of {policy.context}",
    )


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
