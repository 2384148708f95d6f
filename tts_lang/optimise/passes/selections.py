"""Selections that keep every row, and set operations that change nothing, are taken out.

%2 = select top 16 of %1 by last(prm)   (%1 has at most 16 rows)   ->   %1
"""

from __future__ import annotations

from tts_lang.optimise.facts.effects import draws
from tts_lang.optimise.facts.rows import constant
from tts_lang.optimise.rules import Declined, Match, Pass, Pattern, Rule, removed
from tts_lang.optimise.workspace import Edit
from tts_lang.plan import graph
from tts_lang.plan.expr import Const


def _kept(match: Match) -> Edit:
    return removed(match.it, {match.it.outputs[0]: match.it.inputs[0]})


def _everything(match: Match) -> Edit | Declined:
    """`select top k` and `first k` of at most k rows, or of one row a tree."""
    spec = match.it.spec
    assert isinstance(spec, graph.Select | graph.First)
    pool = match.facts.rows.of(match.it.inputs[0])
    if draws(match.it):
        return Declined("its key draws random numbers, and later draws count from there")
    count = constant(spec.count)
    if isinstance(spec, graph.Select) and spec.share is not None:
        count = 1 if (constant(spec.share) or 0) > 0 else None  # at least one, by C39
    if count is None:
        return Declined("how many it keeps is only known when it runs")
    if spec.per == "root" and pool.apart and count >= 1:
        return _kept(match)
    if spec.per is not None:
        return Declined(f"a group of equal `{spec.per}` may have several rows, or a row no group")
    if pool.high > count:
        return Declined(f"the pool may have more than {count:g} rows")
    return _kept(match)


def _one_row(match: Match) -> Edit | Declined:
    """`sort` and `dedupe` of at most one row."""
    spec = match.it.spec
    assert isinstance(spec, graph.Sort | graph.Dedupe)
    if draws(match.it):
        return Declined("its key draws random numbers, and later draws count from there")
    if spec.per is not None:
        return Declined("a row without a key forms no group")
    if match.facts.rows.of(match.it.inputs[0]).high > 1:
        return Declined("the pool may have several rows")
    return _kept(match)


def _always(match: Match) -> Edit | Declined:
    """`where true`."""
    spec = match.it.spec
    assert isinstance(spec, graph.Where)
    if spec.condition != Const(True):
        return Declined("its condition is not always true")
    return _kept(match)


def _nothing_added(match: Match) -> Edit | Declined:
    """`P + none`, `none + P`, `P + P` and `P - none`."""
    left, right = match.it.inputs[:2]
    output = match.it.outputs[0]
    rows = match.facts.rows
    if rows.of(right).high == 0 or (left == right and isinstance(match.it.spec, graph.Union)):
        return removed(match.it, {output: left})
    if isinstance(match.it.spec, graph.Union) and rows.of(left).high == 0:
        return removed(match.it, {output: right})
    return Declined("both pools may have rows")


SELECTIONS = Pass(
    "selections",
    (
        Rule(
            "select-keeps-all",
            Pattern((graph.Select, graph.First)),
            _everything,
            "k beyond the pool keeps all, in pool order (C39); a tree's only row is its best",
        ),
        Rule(
            "one-row-in-order",
            Pattern((graph.Sort, graph.Dedupe)),
            _one_row,
            "one row is sorted, and equals no other",
        ),
        Rule(
            "where-true",
            Pattern((graph.Where,)),
            _always,
            "every row for which the condition holds is kept, in place (C37)",
        ),
        Rule(
            "nothing-added",
            Pattern((graph.Union, graph.Difference)),
            _nothing_added,
            "a union keeps the left pool's rows and adds those that it lacks (C30, C51)",
        ),
    ),
)
