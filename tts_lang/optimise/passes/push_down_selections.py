"""Selections that do not read a score move before it, so that only survivors are scored.

%2 = score %1 by prm; %3 = %2 where done   ->   %2 = %1 where done; %3 = score %2 by prm
"""

from __future__ import annotations

from tts_lang.optimise.analyses import fixed
from tts_lang.optimise.passes.row_laws import COLUMN_LAWS
from tts_lang.optimise.rewriter import Edit, OpNode
from tts_lang.optimise.rules import Declined, Match, Pass, Pattern, Rule, origins
from tts_lang.plan import graph
from tts_lang.plan.operator import OPERATORS
from tts_lang.plan.reads import columns_read

_SELECTING = tuple(operator.spec for operator in OPERATORS.values() if operator.selects)


def _select_first(match: Match) -> Edit | Declined:
    """The selection before the score."""
    selecting, scoring = match.it, match["scoring"]
    spec = scoring.spec
    assert isinstance(spec, graph.Score)
    scored, pool = scoring.outputs[0], scoring.inputs[0]
    if spec.scorer in columns_read(selecting.spec):
        return Declined("the selection reads the score")
    if match.plan.plan.scorer(spec.scorer).together:
        return Declined("a set-wise score is of the whole pool")
    if not fixed(spec):
        return Declined("the scoring reads other values")
    chosen = match.plan.new_value(selecting.outputs[0], frozenset((spec.scorer,)))
    inputs = tuple(pool if value == scored else value for value in selecting.inputs)
    first = OpNode(selecting.spec, inputs, (chosen,), (), selecting.origins)
    then = OpNode(spec, (chosen, *scoring.inputs[1:]), selecting.outputs, (), origins(scoring))
    return Edit({scoring: (), selecting: (first, then)})


PUSH_DOWN_SELECTIONS = Pass(
    "push_down_selections",
    (
        Rule(
            "select-before-score",
            Pattern(
                _SELECTING,
                inputs=(Pattern((graph.Score,), "scoring", sole=True),),
            ),
            _select_first,
            "a score is a function of the row alone, and the selection does not read it (C28, C32)",
        ),
        *COLUMN_LAWS,
    ),
)
