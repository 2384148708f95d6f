"""What plans may cost: budgets, held against bounds before anything is drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from tts_lang.explain.assumptions import Assumed
from tts_lang.explain.budget import OverBudget, check, check_sane
from tts_lang.explain.costs import PlanBounds, bounds
from tts_lang.plan.graph import Plan

if TYPE_CHECKING:
    from tts_runtime.engines.base import PolicyEngine


@dataclass(frozen=True, slots=True)
class CostLimits:
    """Budgets of plans per problem (`explain.budget`), and what their bounds assume.

    Without engines, bounds assume a context window; open engines have one.
    """

    budgets: tuple[tuple[str, float], ...] = ()
    assumed: Assumed = field(default_factory=Assumed)

    def check(self, plan: Plan) -> None:
        """Refuses a plan whose bounds exceed a budget or a ceiling (`OverBudget`)."""
        check(plan, self.budgets, self.assumed)
        check_sane(plan, self.budgets, self.assumed)

    def check_on(self, plan: Plan, policies: Mapping[str, PolicyEngine]) -> None:
        """Refuses a plan that may exceed a budget on these engines (`OverBudget`)."""
        assumed = self._on(plan, policies)
        try:
            check(plan, self.budgets, assumed)
        except OverBudget as error:
            if assumed.context == self.assumed.context:
                raise
            raise OverBudget(
                f"{error}; the context window here is {assumed.context:,} tokens: limit samples "
                "(`max N tokens`), or the window (`context`, an option of many engines)"
            ) from error

    def bounds(self, plan: Plan, policies: Mapping[str, PolicyEngine]) -> PlanBounds:
        """The bounds of a plan on these engines, as far as they are open."""
        assumed = self._on(plan, policies)
        return bounds(plan, assumed.context, assumed.prompt, assumed.models)

    def _on(self, plan: Plan, policies: Mapping[str, PolicyEngine]) -> Assumed:
        windows = [policies[name].binding.context for name in plan.policies if name in policies]
        return replace(self.assumed, context=max(windows)) if windows else self.assumed
