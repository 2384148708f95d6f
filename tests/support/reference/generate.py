"""expand and what it shares with ask: limits, requests, children, dealing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from math import ceil, floor

from tests.support.reference.expressions import (
    Context,
    checked_weight,
    count_by,
    each,
    evaluate,
    groups,
)
from tests.support.reference.machine import Machine
from tests.support.reference.model import Node, Pool, Row, StrategyFailure, Token
from tests.support.reference.values import number, truth
from tts_lang.plan import expr, graph
from tts_runtime.engines.base import (
    Finish,
    GenerateRequest,
    Generation,
    Limits,
    Partial,
    Sampling,
)
from tts_runtime.randomness import row_lane
from tts_runtime.streams import UNCLAIMED, child_key, sampling_tag


@dataclass(frozen=True, slots=True)
class Call:
    """One generation call's settings, all numbers known."""

    policy: str
    sampling: Sampling
    tag: bytes
    irregular: bool
    unit: graph.Unit
    length: int
    most: int | None
    within: int | None
    at_least: int
    stop_at: str
    stop_when: expr.Expr | None
    end_when: expr.Expr | None
    likeliest: bool
    matching: str


def settings(
    machine: Machine, amount: graph.Amount, decoding: graph.Decoding, context: Context
) -> Call:
    """Evaluates a call's clauses; the binding fills in what the strategy leaves open."""

    def given(expression: expr.Expr | None) -> float | int | None:
        return None if expression is None else number(evaluate(expression, context))

    def whole(expression: expr.Expr | None) -> int | None:
        value = given(expression)
        return None if value is None else floor(value)

    defaults = machine.policies[decoding.policy].binding.defaults
    temperature, top_p, top_k, min_p = (
        given(decoding.temperature),
        given(decoding.top_p),
        whole(decoding.top_k),
        given(decoding.min_p),
    )
    sampling = Sampling(
        float(defaults.temperature if temperature is None else temperature),
        float(defaults.top_p if top_p is None else top_p),
        defaults.top_k if top_k is None else top_k,
        float(defaults.min_p if min_p is None else min_p),
    )
    nats = given(decoding.avoided_by) or 0
    tokenizer = machine.policies[decoding.policy].tokenizer
    avoided = {
        next(token for token in tokenizer.encode(text) if tokenizer.pieces[token].strip())
        for word in decoding.avoiding
        for text in (word, " " + word.strip())
    }
    sampling = replace(
        sampling, penalties=tuple((token, float(nats)) for token in sorted(avoided) if nats)
    )
    least = whole(decoding.at_least) or 0
    words = [f"at least {least} in {amount.unit.value}"] * (least > 0)
    words += ["likeliest"] * decoding.likeliest
    words += [f"matching {decoding.pattern}"] * (decoding.pattern != "")
    tag = sampling_tag(
        decoding.policy,
        sampling.temperature,
        sampling.top_p,
        sampling.top_k,
        sampling.min_p,
        " ".join(words),
        f"avoiding {', '.join(map(repr, decoding.avoiding))} by {float(nats)!r}" if nats else "",
    )
    stop_at = "" if decoding.stop_at is None else evaluate(decoding.stop_at, context)
    return Call(
        decoding.policy,
        sampling,
        tag,
        bool(words),
        amount.unit,
        count_by(amount.length, context),
        whole(decoding.max_tokens),
        whole(decoding.within),
        least,
        str(stop_at),
        decoding.stop_when,
        decoding.end_when,
        decoding.likeliest,
        decoding.pattern,
    )


def room(machine: Machine, node: Node, call: Call, *, own_limit: bool = True) -> int:
    """Tokens that may still be drawn; `own_limit` counts `max` of this call too (C21)."""
    policy = machine.policies[call.policy]
    prompt = node.conversation.ids(policy.tokenizer)
    left = [policy.binding.context - len(prompt) - node.position]
    if call.within is not None:
        left.append(call.within - node.tokens)
    if own_limit and call.most is not None:
        left.append(call.most)
    return min(left)


def request_for(
    machine: Machine, row: Row, call: Call, number_of_child: int, context: Context
) -> GenerateRequest:
    """The request for one numbered child of a row."""
    node = row.node
    policy = machine.policies[call.policy]
    thought: tuple[int, ...] = ()
    if call.unit is graph.Unit.THOUGHTS:
        if policy.binding.thinking is None:
            raise StrategyFailure(f"policy {call.policy} has no thoughts")
        thought = policy.tokenizer.encode(policy.binding.thinking.end)

    def holds(tested: expr.Expr, so_far: Partial) -> bool:
        tokens = drawn(so_far.ids, so_far.logprobs, so_far.statistics)
        segments = node.segments
        for token in so_far.ids:
            piece = policy.tokenizer.pieces[token]
            segments = segments.add(piece, policy.binding.step_delimiter.encode())
        longer = replace(
            node, path=(*node.path, *tokens), segments=segments, finish=None, end_logprob=0.0
        )
        there = row.again(node=longer)
        here = replace(context, pool=[there], row=there, index=0, streaming=True)
        return truth(evaluate(tested, here))

    return GenerateRequest(
        prompt=node.conversation.ids(policy.tokenizer),
        prefix=node.ids,
        key=child_key(node.key, node.claimed, node.position, node.level, number_of_child, call.tag),
        sampling=call.sampling,
        limits=Limits(
            max_tokens=room(machine, node, call),
            steps=call.length if call.unit is graph.Unit.STEPS else 0,
            thought=thought,
            unit_tokens=call.length if call.unit is graph.Unit.TOKENS else 0,
            stop_at=call.stop_at.encode(),
            stop_when=None if call.stop_when is None else partial(holds, call.stop_when),
            end_when=None if call.end_when is None else partial(holds, call.end_when),
            at_least=call.at_least,
            matching=call.matching,
        ),
        segments=node.segments,
        first_rank=number_of_child if call.likeliest else None,
        statistics=machine.statistics(),
    )


def drawn(ids: Sequence[int], logprobs: Sequence[float], statistics: object) -> tuple[Token, ...]:
    """Sampled tokens of a path."""
    named = dict(statistics)  # type: ignore[call-overload]
    return tuple(
        Token(token, True, logprobs[i], {name: values[i] for name, values in named.items()})
        for i, token in enumerate(ids)
    )


def grown(machine: Machine, node: Node, request: GenerateRequest, call: Call) -> Node:
    """The child that answers a request."""
    generation: Generation = machine.generate(call.policy, request)
    path = (*node.path, *drawn(generation.ids, generation.logprobs, generation.statistics))
    child = replace(
        node,
        key=request.key,
        path=path,
        segments=generation.segments,
        claimed=UNCLAIMED if call.irregular else call.tag,
        level=0 if generation.ids else node.level + 1,
        finish=generation.finish,
        end_logprob=generation.end_logprob,
        start=False,
    )
    ended = generation.finish is Finish.END or generation.halted
    return replace(child, done=ended or room(machine, child, call, own_limit=False) <= 0)


def passed(row: Row) -> Row:
    """A row that goes through `expand` unchanged; its score columns end all the same (C28)."""
    return row.again(scores={}, visits=0, total=0.0)


def children(
    machine: Machine, operation: str, start: Row, call: Call, context: Context, many: int
) -> list[Row]:
    """`many` numbered children of a row's node, whose parent is `start.parent`."""
    made: list[Row] = []
    node = start.node
    for _ in range(many):
        counted = context.scope.children[node.identity]
        context.scope.children[node.identity] += 1
        request = request_for(machine, start, call, counted, context)
        child = grown(machine, node, request, call)
        row = Row(
            child,
            lane=row_lane(child.key, child.position, child.level),
            parent=start.parent,
            root=start.root,
            asked=start.asked,
            lets=start.lets,
        )
        made.append(machine.made_by(operation, row))
    return made


def exhausted(row: Row) -> Row:
    """Nothing is left to draw: the row passes through, done, finish length (C21)."""
    node = replace(row.node, done=True, finish=Finish.LENGTH)
    return passed(row).again(node=node)


def expand(machine: Machine, spec: graph.Expand, pool: Pool, context: Context) -> Pool:
    """Children replace their parent's row; done rows pass (C18, C19)."""
    asked_for = count_by(spec.amount.count, context)
    shares = dealt(spec, pool, asked_for, context) if spec.deal else [asked_for for _ in pool]
    result: Pool = []
    for place, (row, many) in enumerate(zip(pool, shares, strict=True)):
        if row.node.done:
            result.append(passed(row))
            continue
        if many <= 0:
            continue
        call = settings(machine, spec.amount, spec.decoding, context.at(pool, place))
        if room(machine, row.node, call, own_limit=False) <= 0:
            result.append(exhausted(row))
        else:
            start = row.again(parent=row)
            result += children(machine, "expand", start, call, context, many)
    return result


def dealt(spec: graph.Expand, pool: Pool, total: int, context: Context) -> list[int]:
    """How many children each row gets of `total` (C18, C20); done rows get none."""
    weights = [Fraction(1) for _ in pool]
    if spec.weight is not None:
        given = each(spec.weight, pool, context)
        weights = [Fraction(checked_weight(value, "expand")) for value in given]
    shares = [0 for _ in pool]
    for group in groups(pool, spec.per, context):
        live = [place for place in group if not pool[place].node.done]
        part = [weights[place] for place in live]
        if not any(part):
            part = [Fraction(1) for _ in live]
        deal = rounded_up if spec.rounding_up and spec.weight is not None else largest_remainders
        for place, many in zip(live, deal(part, max(0, total)), strict=True):
            shares[place] = many
    return shares


def largest_remainders(weights: list[Fraction], total: int) -> list[int]:
    """Quotas rounded down, the rest to the largest remainders, ties to the earlier (C20)."""
    quotas = [total * weight / sum(weights) for weight in weights]
    shares = [floor(quota) for quota in quotas]
    places = sorted(range(len(weights)), key=lambda place: shares[place] - quotas[place])
    for place in places[: total - sum(shares)]:
        shares[place] += 1
    return shares


def rounded_up(weights: list[Fraction], total: int) -> list[int]:
    """Heaviest first, each the ceiling of its share of what is left (REBASE as published)."""
    shares = [0 for _ in weights]
    left, weight_left = total, sum(weights, Fraction(0))
    for place in sorted(range(len(weights)), key=lambda place: -weights[place]):
        if left > 0 and weight_left > 0:
            shares[place] = min(left, ceil(left * weights[place] / weight_left))
            left -= shares[place]
            weight_left -= weights[place]
    return shares
