"""Conditions under which a strategy fails: a weight below 0, a temperature that is not above 0.

A law speaks of runs without errors (C57), so a proof holds on the condition that these do not
happen; ranges decide where they never or always do.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import inf

from tts_lang.explain.interval import ANYTHING, Interval, IntervalReading, evaluate
from tts_lang.optimise.rewriter import MutablePlan, OpNode
from tts_lang.plan import expr, graph
from tts_lang.plan.expr import Expr
from tts_lang.plan.graph import Plan, Spec
from tts_lang.plan.reads import nodes_of


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition for a run without errors.

    Args:
        text: In words.
        never: It holds in no run in which the operation has a row.
    """

    text: str
    never: bool


def conditions(plan: Plan) -> tuple[Condition, ...]:
    """Every condition that does not always hold, each once."""
    work = MutablePlan(plan)
    scorers = {scorer.name: scorer for scorer in plan.scorers}
    nothing = IntervalReading(lambda _: (0, inf), lambda _: ANYTHING, scorers, inf)
    by_text: dict[str, Condition] = {}
    for node in work.nodes():

        def number(index: int, node: OpNode = node) -> Interval:
            constant = work.constant(node.inputs[index])
            return ANYTHING if constant is None else evaluate(constant, nothing)

        reading = IntervalReading(lambda _: (0, inf), number, scorers, inf)
        for what, needed, expression in _needs(node.spec):
            value = evaluate(expression, reading)
            positive = needed == "above 0"
            fits = value.low > 0 or (value.low == 0 and not positive)
            if fits and not (value.missing and positive):
                continue
            never = (value.high < 0 or (value.high == 0 and positive)) and not value.missing
            where = f" (line {node.origins[0].line})" if node.origins else ""
            text = f"{what} of `{node.spec.op}`{where} is {needed}"
            by_text.setdefault(text, Condition(text, never))
    return tuple(by_text.values())


def _needs(spec: Spec) -> Iterator[tuple[str, str, Expr]]:
    """Numbers whose sign decides whether the operation fails."""
    weight = spec.by if isinstance(spec, graph.Resample) else getattr(spec, "weight", None)
    if weight is not None:
        yield "the weight", "never negative", weight
    for node in nodes_of(spec):
        if isinstance(node, expr.Aggregate) and node.weight is not None:
            yield f"the weight of `{node.how}`", "never negative", node.weight
        elif isinstance(node, expr.PoolWide) and node.temperature is not None:
            yield f"the temperature of `{node.how}`", "above 0", node.temperature
