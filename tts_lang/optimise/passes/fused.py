"""Chains of `expand by 1` become one longer generation.

    %2 = expand %1 by 4 steps; %3 = expand %2 by 1 solutions   ->   %3 = expand %1 by 4 solutions

The first child inherits its parent's stream, and a step ends with a token that is kept whole, so
what is drawn next does not depend on where the cuts are (claim 3 of semantics.md). That ends with
limits of one call, which start anew with each: those are refused.
"""

from __future__ import annotations

from dataclasses import replace

from tts_lang.optimise.facts.rows import constant
from tts_lang.optimise.rules import Declined, Match, Pass, Pattern, Rule, origins
from tts_lang.optimise.workspace import Edit, Site
from tts_lang.plan import graph
from tts_lang.plan.expr import Const, fields_in
from tts_lang.plan.graph import Amount, Decoding, Unit


def limited(decoding: Decoding) -> str | None:
    """The clause that starts anew with every call, if there is one."""
    for clause, given in (
        ("max", decoding.max_tokens),
        ("at least", decoding.at_least),
        ("stop at", decoding.stop_at),
        ("stop when", decoding.stop_when),
        ("end when", decoding.end_when),
        ("likeliest", decoding.likeliest or None),
    ):
        if given is not None:
            return clause
    return None


def _one_each(site: Site) -> bool:
    spec = site.spec
    return isinstance(spec, graph.Expand) and not spec.deal and spec.amount.count == Const(1)


def _together(first: Amount, then: Amount) -> Amount | None:
    """The amount that both make one after the other; `None` if no amount says that."""
    if then.unit is Unit.SOLUTIONS and first.unit is not Unit.SOLUTIONS:
        return Amount(first.count)
    if first.unit is not then.unit or first.unit not in (Unit.STEPS, Unit.TOKENS):
        return None
    lengths = [Const(1) if part.length is None else part.length for part in (first, then)]
    numbers = [constant(length) for length in lengths]
    if not all(isinstance(number, int) and number >= 1 for number in numbers):
        return None
    return Amount(first.count, first.unit, Const(sum(number or 0 for number in numbers)))


def _why_not(match: Match, first: Site, then: Site) -> Declined | None:
    """Why two generations are not one longer one."""
    assert isinstance(first.spec, graph.Expand | graph.Ask)
    assert isinstance(then.spec, graph.Expand)
    if not _one_each(then):
        return Declined("the second gives other than one child each")
    decoding = then.spec.decoding
    if first.spec.decoding != decoding:
        return Declined("the two sample in different ways")
    if not all(isinstance(part, Const) for part in fields_in(decoding)):
        return Declined("how they sample is only known when it runs")
    clause = limited(decoding)
    if clause is not None:
        return Declined(f"`{clause}` is a limit of each call")
    for site in (first, then):
        if match.facts.sharing.possible(site):
            return Declined("another operation may ask for the same generation (C62)")
    history = match.facts.history
    return Declined(history) if history is not None else None


def _chain(match: Match) -> Edit | Declined:
    """One generation in place of two."""
    then, first = match.it, match["first"]
    why = _why_not(match, first, then)
    if why is not None:
        return why
    assert isinstance(first.spec, graph.Expand | graph.Ask)
    assert isinstance(then.spec, graph.Expand)
    amount = _together(first.spec.amount, then.spec.amount)
    if amount is None:
        return Declined("no one unit says how far both go")
    spec = replace(first.spec, amount=amount)
    made = Site(spec, first.inputs, then.outputs, (), origins(first, then))
    # Where the first stood: there its children are numbered among their parents' others (C7).
    return Edit({first: (made,), then: ()})


def _loop(match: Match) -> Edit | Declined:
    """The expansion to the end alone, in place of a loop of single ones and of it."""
    then, loop = match.it, match["loop"]
    until, body = loop.blocks
    inside = list(body)
    if len(inside) != 1 or not isinstance(inside[0].spec, graph.Expand):
        return Declined("the loop does other things than expand")
    (step,) = inside
    if len(body.parameters) != 1 or body.results != step.outputs:
        return Declined("the loop hands on other things than what it expands")
    if step.inputs[:1] != body.parameters or not _one_each(step):
        return Declined("a round gives other than one child each")
    assert isinstance(then.spec, graph.Expand)
    if then.spec.amount.unit is not Unit.SOLUTIONS:
        return Declined("what comes behind the loop does not go on to the end")
    if any(isinstance(site.spec, graph.Expand | graph.Ask | graph.Call) for site in until):
        return Declined("the loop's condition generates")
    if _numbers_between(loop, then):
        return Declined("children are numbered between the loop and what comes behind it")
    why = _why_not(match, step, then)
    if why is not None:
        return why
    made = Site(then.spec, loop.inputs, then.outputs, (), origins(step, then))
    return Edit({loop: (made,), then: ()})


def _numbers_between(first: Site, then: Site) -> bool:
    """Whether an operation between the two may number children of the same rows (C8).

    A loop that runs no round numbers nothing, so those would come first.
    """
    between = False
    for site in then.block:
        if site is then:
            return False
        if between and (site.blocks or isinstance(site.spec, graph.Expand)):
            return True
        between |= site is first
    return False


FUSED = Pass(
    "fused",
    (
        Rule(
            "chain-fused",
            Pattern(
                (graph.Expand,),
                inputs=(Pattern((graph.Expand, graph.Ask), "first", sole=True),),
            ),
            _chain,
            "child 0 goes on with its parent's stream, wherever the cut is (claim 3, C23, C25)",
        ),
        Rule(
            "loop-fused",
            Pattern((graph.Expand,), inputs=(Pattern((graph.Repeat,), "loop", sole=True),)),
            _loop,
            "however many single steps come first, going on to the end gives the same (claim 3)",
        ),
    ),
)
