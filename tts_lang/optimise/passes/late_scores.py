"""Rows are scored after a selection that does not read the score, so only survivors are.

%2 = score %1 by prm; %3 = %2 where done   ->   %2 = %1 where done; %3 = score %2 by prm
"""

from __future__ import annotations

from tts_lang.optimise.facts.live import mentioned
from tts_lang.optimise.rules import Declined, Match, Pass, Pattern, Rule, origins
from tts_lang.optimise.workspace import Edit, Site
from tts_lang.plan import graph
from tts_lang.plan.expr import Const, fields_in
from tts_lang.plan.operator import OPERATORS

_SELECTING = tuple(known.spec for known in OPERATORS.values() if known.selects)


def _later(match: Match) -> Edit | Declined:
    """The selection first."""
    selecting, scoring = match.it, match["scoring"]
    spec = scoring.spec
    assert isinstance(spec, graph.Score)
    scored, pool = scoring.outputs[0], scoring.inputs[0]
    if spec.scorer in mentioned(selecting):
        return Declined("the selection reads the score")
    if match.work.plan.scorer(spec.scorer).together:
        return Declined("a set-wise score is of the whole pool")
    if not all(isinstance(part, Const) for part in fields_in(spec)):
        return Declined("the scoring reads other values")
    chosen = match.work.new_value(selecting.outputs[0], frozenset((spec.scorer,)))
    inputs = tuple(pool if value == scored else value for value in selecting.inputs)
    first = Site(selecting.spec, inputs, (chosen,), (), selecting.origins)
    then = Site(spec, (chosen, *scoring.inputs[1:]), selecting.outputs, (), origins(scoring))
    return Edit({scoring: (), selecting: (first, then)})


LATE_SCORES = Pass(
    "late-scores",
    (
        Rule(
            "select-before-score",
            Pattern(
                _SELECTING,
                inputs=(Pattern((graph.Score,), "scoring", sole=True),),
            ),
            _later,
            "a score is a function of the row alone, and the selection does not read it (C28, C32)",
        ),
    ),
)
