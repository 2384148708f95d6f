"""Expected costs of a plan, if all steps and all solutions are equally long."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tts_lang.explain.bounds import Bounds, bounds
from tts_lang.explain.domain import Cost
from tts_lang.explain.lengths import Lengths
from tts_lang.explain.mean_domain import MeanDomain
from tts_lang.explain.models import UNKNOWN, Models
from tts_lang.explain.walk import Walk
from tts_lang.plan.graph import Plan

#: The fields of `Cost` that are expected.
COSTS: Final = tuple(
    name for name in Cost._fields if name not in ("open_calls", "rows", "new_rows")
)


def expected(
    plan: Plan, lengths: Lengths, models: Models = UNKNOWN, most: Bounds | None = None
) -> list[Cost]:
    """Means per problem, in the order of `graph.operations(plan.body)`.

    Args:
        plan: A verified plan.
        lengths: Of steps, solutions and problems.
        models: Sizes of models, for FLOPs.
        most: Bounds of the plan, if they are known already.
    """
    domain = MeanDomain(plan, lengths, models)
    walk = Walk(plan, domain)
    walk.run()
    # Intervals know some conditions (`share(P) > 1`) that mean numbers do not.
    limits = bounds(plan, None, None, models) if most is None else most
    costs = []
    for index, (cost, bound) in enumerate(zip(walk.costs, limits.operations, strict=True)):
        whole = domain.read_prompts(cost, walk.prompts.get(index, {}))
        known = {name: getattr(bound.spent, name) for name in COSTS}
        costs.append(
            whole._replace(
                **{
                    name: min(getattr(whole, name), float(limit))
                    for name, limit in known.items()
                    if limit is not None
                }
            )
        )
    return costs


def total_of(costs: Sequence[Cost]) -> Cost:
    """The sum of all operations."""
    return Cost(*map(sum, zip(*costs, strict=True))) if costs else Cost()
