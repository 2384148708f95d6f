"""Builders of verb phrases and statements."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tts_lang.syntax import nodes
from tts_lang.syntax.build import Context, Part, Parts, builder, part, split_arguments
from tts_lang.syntax.build_expressions import plain_arguments
from tts_lang.syntax.nodes import Dealing, Unit

if TYPE_CHECKING:
    from tts_lang.source import Span

for _part in ("together", "by_amount", "staying", "times", "weighted_up", "look_ahead", "key"):
    part(_part)


@builder("amount")
def _amount(context: Context, children: list[Any], span: Span) -> nodes.Amount:
    del context
    return nodes.Amount(children[0], span=span)


@builder("amount_unit")
def _amount_unit(context: Context, children: list[Any], span: Span) -> nodes.Amount | nodes.Broken:
    count, unit = children
    if unit is Unit.TOKENS:
        written = context.source.slice(count.span)
        return context.refuse(
            "TTS138",
            "an amount of tokens needs the number of children and the length of each",
            span,
            f"write `1 x {written} tokens` for one child of up to {written} tokens",
        )
    return nodes.Amount(count, None, unit, span=span)


@builder("amount_long")
def _amount_long(context: Context, children: list[Any], span: Span) -> nodes.Amount:
    del context
    count, length, unit = children
    return nodes.Amount(count, length, unit, span=span)


@builder("sample")
def _sample(context: Context, children: list[Any], span: Span) -> nodes.Sample | nodes.Broken:
    parts = Parts(context, children[1:])
    return parts.broken or nodes.Sample(children[0], parts.clauses, span=span)


@builder("expand_by")
def _expand_by(context: Context, children: list[Any], span: Span) -> nodes.Expand | nodes.Broken:
    pool, amount, *rest = children
    parts = Parts(context, rest)
    return parts.broken or nodes.Expand(pool, Dealing.BY, amount, clauses=parts.clauses, span=span)


@builder("expand_to")
def _expand_to(context: Context, children: list[Any], span: Span) -> nodes.Expand | nodes.Broken:
    pool, amount, *rest = children
    parts = Parts(context, rest)
    return parts.broken or nodes.Expand(
        pool,
        Dealing.TO,
        amount,
        weight=parts.get("weighted") or parts.get("weighted_up"),
        rounding_up="weighted_up" in parts,
        per=parts.get("per"),
        clauses=parts.clauses,
        span=span,
    )


@builder("fork")
def _fork(context: Context, children: list[Any], span: Span) -> nodes.Fork:
    del context
    return nodes.Fork(children[0], children[1], span=span)


def _per(children: list[Any]) -> nodes.Name | None:
    last = children[-1]
    return last.value if isinstance(last, Part) and last.kind == "per" else None


@builder("select")
def _select(context: Context, children: list[Any], span: Span) -> nodes.Select:
    del context
    return nodes.Select(children[0], children[1], children[2], _per(children), span=span)


@builder("best")
def _best(context: Context, children: list[Any], span: Span) -> nodes.Best:
    del context
    return nodes.Best(children[0], children[1], _per(children), span=span)


@builder("first")
def _first(context: Context, children: list[Any], span: Span) -> nodes.First:
    del context
    return nodes.First(None, children[0], _per(children), span=span)


@builder("first_count")
def _first_count(context: Context, children: list[Any], span: Span) -> nodes.First:
    del context
    return nodes.First(children[0], children[1], _per(children), span=span)


@builder("call_of")
def _call_of(context: Context, children: list[Any], span: Span) -> nodes.First | nodes.Broken:
    """`first (n + 1) of P` looks like a call of a function `first`; any other call is a mistake."""
    call, pool = children[0], children[1]
    if (
        isinstance(call, nodes.Call)
        and call.function.text == "first"
        and len(call.arguments) == 1
        and call.arguments[0].name is None
    ):
        return nodes.First(call.arguments[0].value, pool, _per(children), span=span)
    written = context.source.slice(call.span).removesuffix(")")
    return context.refuse(
        "TTS134",
        "a function over a pool holds the pool inside its parentheses",
        span,
        f"write `{written} of {context.source.slice(pool.span)})`",
    )


@builder("sort")
def _sort(context: Context, children: list[Any], span: Span) -> nodes.Sort:
    del context
    return nodes.Sort(children[0], children[1], _per(children), span=span)


@builder("vote")
def _vote(context: Context, children: list[Any], span: Span) -> nodes.Vote | nodes.Broken:
    parts = Parts(context, children[1:])
    return parts.broken or nodes.Vote(
        children[0], parts.get("on"), parts.get("weighted"), parts.get("per"), span=span
    )


@builder("resample")
def _resample(context: Context, children: list[Any], span: Span) -> nodes.Resample:
    del context
    return nodes.Resample(children[0], children[1], children[2], _per(children), span=span)


@builder("ask")
def _ask(context: Context, children: list[Any], span: Span) -> nodes.Ask | nodes.Broken:
    given, rest = split_arguments(children[1:])
    arguments = plain_arguments(context, given)
    if isinstance(arguments, nodes.Broken):
        return arguments
    parts = Parts(context, rest[1:])
    if parts.broken is None and "per" in parts and "together" not in parts:
        return context.refuse(
            "TTS146",
            "`per` groups what `together` shows, and there is no `together`",
            span,
            f"write `together per {parts.get('per').text}`",
        )
    return parts.broken or nodes.Ask(
        children[0],
        arguments,
        rest[0],
        together="together" in parts,
        per=parts.get("per"),
        amount=parts.get("by_amount"),
        clauses=parts.clauses,
        span=span,
    )


@builder("descend")
def _descend(context: Context, children: list[Any], span: Span) -> nodes.Descend | nodes.Broken:
    parts = Parts(context, children[2:])
    return parts.broken or nodes.Descend(
        children[0], children[1], parts.get("times"), parts.get("staying"), span=span
    )


@builder("dedupe")
def _dedupe(context: Context, children: list[Any], span: Span) -> nodes.Dedupe:
    parts = Parts(context, children[1:])
    return nodes.Dedupe(children[0], parts.get("key"), parts.get("per"), span=span)


@builder("cut")
def _cut(context: Context, children: list[Any], span: Span) -> nodes.Cut | nodes.Broken:
    pool, length, unit = children
    if unit not in {Unit.STEPS, Unit.TOKENS}:
        return context.refuse(
            "TTS138", "`cut` counts steps or tokens", span, "write `cut P to 3 steps`"
        )
    return nodes.Cut(pool, length, unit, span=span)


@builder("split")
def _split(context: Context, children: list[Any], span: Span) -> nodes.Split:
    del context
    most = children[2] if len(children) > 2 else None
    return nodes.Split(children[0], children[1], most, span=span)


@builder("call_on")
def _call_on(context: Context, children: list[Any], span: Span) -> nodes.CallOn | nodes.Broken:
    call, pool = children
    if not isinstance(call, nodes.Call):
        return context.refuse(
            "TTS134",
            f"`{call.function.text}` is a function; only strategies run `on` a pool",
            span,
            "put everything a function looks at inside its parentheses",
        )
    return nodes.CallOn(call, pool, span=span)


# ------------------------------------------------------------------------------ statements


@builder("assign")
def _assign(context: Context, children: list[Any], span: Span) -> nodes.Assign:
    del context
    return nodes.Assign(children[0], children[1], span=span)


@builder("score")
def _score(context: Context, children: list[Any], span: Span) -> nodes.Score | nodes.Broken:
    pool, scorer = children[:2]
    given, rest = split_arguments(children[2:])
    arguments = plain_arguments(context, given)
    if isinstance(arguments, nodes.Broken):
        return arguments
    parts = Parts(context, rest)
    return parts.broken or nodes.Score(
        pool,
        scorer,
        arguments,
        parts.get("times"),
        parts.get("look_ahead"),
        parts.get("per"),
        span=span,
    )


@builder("force")
def _force(context: Context, children: list[Any], span: Span) -> nodes.Force:
    del context
    return nodes.Force(children[0], children[1], span=span)


@builder("let")
def _let(context: Context, children: list[Any], span: Span) -> nodes.Let:
    del context
    return nodes.Let(*children, span=span)


@builder("backup")
def _backup(context: Context, children: list[Any], span: Span) -> nodes.Backup:
    del context
    return nodes.Backup(*children, span=span)


@builder("return_")
def _return(context: Context, children: list[Any], span: Span) -> nodes.Return:
    del context
    return nodes.Return(children[0], span=span)


@builder("repeat")
def _repeat(context: Context, children: list[Any], span: Span) -> nodes.Repeat:
    del context
    return nodes.Repeat(children[0], None, children[1].statements, span=span)


@builder("repeat_until")
def _repeat_until(context: Context, children: list[Any], span: Span) -> nodes.Repeat:
    del context
    return nodes.Repeat(children[0], children[1], children[2].statements, span=span)
