"""Selections that keep every row, and set operations that change nothing, are removed.

%2 = select top 16 of %1 by last(prm)   (%1 has at most 16 rows)   ->   %1
"""

from __future__ import annotations

import math
from dataclasses import replace
from math import inf

from tts_lang.explain.interval import ANYTHING, IntervalReading, evaluate
from tts_lang.optimise.passes.row_laws import POOL_LAWS, returned, row_alone
from tts_lang.optimise.rewriter import Edit, OpNode
from tts_lang.optimise.rules import Declined, Keeps, Match, Pass, Pattern, Rule, origins
from tts_lang.plan import graph
from tts_lang.plan.constants import literal_number
from tts_lang.plan.expr import Apply, Const, Expr
from tts_lang.plan.rows import literal_count

_DRAWS = Declined("its key draws random numbers, and later draws count from there")


def _pool(match: Match) -> Edit:
    """The pool in place of the operation."""
    return match.removed(match.it.inputs[0])


def _keeps_all(match: Match) -> Edit | Declined:
    """`select top k` and `first k` of at most k rows, or of one row per tree."""
    spec = match.it.spec
    assert isinstance(spec, graph.Select | graph.First)
    pool = match.analyses.rows.of(match.it.inputs[0])
    if match.it.draws:
        return _DRAWS
    count = literal_count(spec.count)
    if isinstance(spec, graph.Select) and spec.share is not None:
        share = literal_number(spec.share) or 0
        count = inf if share >= 1 else 1 if share > 0 else None  # at least one (C39)
    if count is None:
        return Declined("how many it keeps is only known at run time")
    if spec.per == "root" and pool.one_per_root and count >= 1:
        return _pool(match)
    if spec.per is not None:
        return Declined(f"a group of equal `{spec.per}` may have several rows, or a row no group")
    if pool.high > count:
        return Declined(f"the pool may have more than {count:g} rows")
    return _pool(match)


def _one_row(match: Match) -> Edit | Declined:
    """`sort` and `dedupe` of at most one row."""
    spec = match.it.spec
    assert isinstance(spec, graph.Sort | graph.Dedupe)
    if match.it.draws:
        return _DRAWS
    if spec.per is not None:
        return Declined("a row without a key forms no group")
    if match.analyses.rows.of(match.it.inputs[0]).high > 1:
        return Declined("the pool may have several rows")
    return _pool(match)


def _settled(match: Match) -> Edit | Declined:
    """`where` of a condition that the ranges of what it reads decide (`tokens >= 0`)."""
    spec = match.it.spec
    assert isinstance(spec, graph.Where)
    if match.it.draws:
        return _DRAWS
    scorers = {scorer.name: scorer for scorer in match.plan.plan.scorers}
    reading = IntervalReading(lambda _: (0, inf), lambda _: ANYTHING, scorers, inf)
    holds = evaluate(spec.condition, reading)
    if holds.low >= 1 and not holds.missing:
        return _pool(match)
    if holds.high > 0 and spec.condition != Const(None):
        return Declined("its condition is not always true, and not always false")
    nothing = OpNode(graph.Empty(), (), match.it.outputs, (), match.it.origins)
    return Edit({match.it: (nothing,)})


def _two_conditions(match: Match) -> Edit | Declined:
    """One `where` in place of two, if both conditions look at one row alone."""
    outer, inner = match.it.spec, match["inner"].spec
    assert isinstance(outer, graph.Where)
    assert isinstance(inner, graph.Where)
    if not all(map(row_alone, (inner.condition, outer.condition))):
        return Declined("a condition reads more than the row")
    both = graph.Where(Apply("and", (inner.condition, outer.condition)))
    inputs = match["inner"].inputs
    merged = OpNode(both, inputs, match.it.outputs, (), origins(match["inner"], match.it))
    return Edit({match.it: (merged,), match["inner"]: ()})


def _nothing_added(match: Match) -> Edit | Declined:
    """`P + none`, `none + P`, `P + P` and `P - none`."""
    left, right = match.it.inputs[:2]
    rows = match.analyses.rows
    union = isinstance(match.it.spec, graph.Union)
    if rows.of(right).high == 0 or (left == right and union):
        return match.removed(left)
    if union and rows.of(left).high == 0:
        return match.removed(right)
    return Declined("both pools may have rows")


def _equal_weights(match: Match) -> Edit | None:
    """Weights left out where they are one positive number for all."""
    spec = match.it.spec
    assert isinstance(spec, graph.Vote | graph.Expand)
    shares = isinstance(spec, graph.Vote) or (spec.deal and not spec.rounding_up)
    if not shares or not _positive(spec.weight):
        return None
    return match.respecified(replace(spec, weight=None))


def _positive(weight: Expr | None) -> bool:
    """A number whose multiples by a count of rows stay apart in floating point, and finite."""
    if not isinstance(weight, Const) or isinstance(weight.value, bool | str | None):
        return False
    return math.isfinite(weight.value) and 1e-100 < weight.value < 1e100


# ------------------------------------------------------------------ the answer alone


def _one_voter(match: Match) -> Edit | Declined:
    """A vote of one row whose result is only returned by the strategy itself.

    A row without an answer abstains, and then there is no row: both are a missing answer (C40).
    """
    spec = match.it.spec
    assert isinstance(spec, graph.Vote)
    pool = match.analyses.rows.of(match.it.inputs[0])
    if match.it.draws:
        return _DRAWS
    if spec.on != "answer" or spec.per not in (None, "answer", "root"):
        return Declined("its classes are not answers")
    if pool.high > 1 or (spec.per == "root" and not pool.rooted):
        return Declined("the pool may have several rows, or one without a key")
    block = returned(match)
    if block is None or block.scope is not match.plan.body:
        return Declined("more than the answer of its result may be read")
    return _pool(match)


def _first_row(match: Match) -> Edit | Declined:
    """`first` of a pool whose first row is all that a strategy or call returns."""
    spec = match.it.spec
    assert isinstance(spec, graph.First)
    if spec.per is not None or (literal_count(spec.count) or 0) < 1:
        return Declined("it may leave the first row out")
    if returned(match) is None:
        return Declined("its result is not only returned")
    return _pool(match)


def _one_particle(match: Match) -> Edit | Declined:
    """One row resampled to one, where nothing can tell a copy from its row."""
    spec = match.it.spec
    assert isinstance(spec, graph.Resample)
    if spec.per is not None or literal_count(spec.count) != 1:
        return Declined("it may draw more than one row")
    if match.analyses.rows.of(match.it.inputs[0]).high > 1:
        return Declined("the pool may have several rows")
    if match.analyses.identity is not None:
        return Declined(match.analyses.identity)
    return _pool(match)


def _one_copy(match: Match) -> Edit | Declined:
    """`fork into 1`, where nothing can tell a copy or its tree from the row's own."""
    spec = match.it.spec
    assert isinstance(spec, graph.Fork)
    if literal_count(spec.count) != 1:
        return Declined("it may make more than one copy")
    if match.analyses.identity is not None:
        return Declined(match.analyses.identity)
    if match.analyses.roots and not match.analyses.rows.of(match.it.inputs[0]).apart:
        return Declined("`root` is read")
    return _pool(match)


SIMPLIFY_SELECTIONS = Pass(
    "simplify_selections",
    (
        Rule(
            "select-keeps-all",
            Pattern((graph.Select, graph.First)),
            _keeps_all,
            "k beyond the pool keeps all, in pool order (C39); a tree's only row is its best",
        ),
        Rule(
            "one-row-in-order",
            Pattern((graph.Sort, graph.Dedupe)),
            _one_row,
            "one row is sorted, and equals no other",
        ),
        Rule(
            "condition-settled",
            Pattern((graph.Where,)),
            _settled,
            "every row for which the condition is true is kept, in place (C37)",
        ),
        Rule(
            "two-conditions",
            Pattern((graph.Where,), inputs=(Pattern((graph.Where,), "inner", sole=True),)),
            _two_conditions,
            "two conditions on a row are one with `and` (C37)",
        ),
        Rule(
            "nothing-added",
            Pattern((graph.Union, graph.Difference)),
            _nothing_added,
            "a union keeps the left pool's rows and adds those that it lacks (C30, C51)",
        ),
        Rule(
            "equal-weights",
            Pattern((graph.Vote, graph.Expand)),
            _equal_weights,
            "votes and shares of one positive weight each are those without weights (C20, C43)",
        ),
        Rule(
            "one-voter",
            Pattern((graph.Vote,)),
            _one_voter,
            "where only the answer counts, a vote of one row is that row (C40, C43)",
            Keeps.ANSWER,
        ),
        Rule(
            "first-is-returned",
            Pattern((graph.First,)),
            _first_row,
            "the result of a strategy is its first row (C40)",
            Keeps.ANSWER,
        ),
        Rule(
            "one-particle",
            Pattern((graph.Resample,)),
            _one_particle,
            "one row resampled to one is a copy on its own node (C3, C12)",
            Keeps.ANSWER,
        ),
        Rule(
            "one-copy",
            Pattern((graph.Fork,)),
            _one_copy,
            "fork into 1 gives the row, on its own node (C3)",
            Keeps.ANSWER,
        ),
        *POOL_LAWS,
    ),
)
