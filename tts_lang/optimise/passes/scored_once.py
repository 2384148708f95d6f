"""A pool that already has a column of the same readings is not scored again.

%2 = score %1 by prm; %3 = %2 where ...; %4 = score %3 by prm   ->   %4 is %3
"""

from __future__ import annotations

from tts_lang.optimise.rules import Declined, Match, Pass, Pattern, Rule
from tts_lang.optimise.workspace import Edit, Site
from tts_lang.plan import graph
from tts_lang.plan.expr import Const
from tts_lang.plan.shapes import fields_in

#: Rows of input 0 with their score columns, none of them changed (C28).
KEEPING = (
    graph.Where,
    graph.Select,
    graph.First,
    graph.Sort,
    graph.Vote,
    graph.Dedupe,
    graph.Leaves,
    graph.Difference,
    graph.Let,
    graph.Score,
    graph.Fork,
    graph.Resample,
    graph.Descend,
    graph.Backup,
)


def _again(match: Match) -> Edit | Declined:
    """Follows the rows back to where they were last scored by the same scorer."""
    spec, work = match.it.spec, match.work
    assert isinstance(spec, graph.Score)
    scorer = work.plan.scorer(spec.scorer)
    if not all(isinstance(part, Const) for part in fields_in(spec)):
        return Declined("its numbers are only known when it runs")
    before = work.definer(match.it.inputs[0])
    while before is not None and isinstance(before.spec, KEEPING):
        if before.spec == spec:
            return _same(match.it)
        if isinstance(before.spec, graph.Score) and before.spec.scorer == spec.scorer:
            return Declined("it was last scored in another way")
        if scorer.together and not isinstance(before.spec, graph.Let | graph.Score):
            return Declined("a set-wise score is of the whole pool")
        before = work.definer(before.inputs[0])
    return Declined("its rows have no column of that scorer yet")


def _same(site: Site) -> Edit:
    return Edit({site: ()}, {site.outputs[0]: site.inputs[0]})


SCORED_ONCE = Pass(
    "scored-once",
    (
        Rule(
            "scored-again",
            Pattern((graph.Score,)),
            _again,
            "a score is a pure function of scorer, node, readings and look-ahead (C11, C29, C34)",
        ),
    ),
)
