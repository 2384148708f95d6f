"""All published algorithms: importing this registers them."""

from tests.support.published import (
    beams,
    catalogue_budgets,
    catalogue_checks,
    catalogue_prompts,
    catalogue_steps,
    catalogue_votes,
    optimal,
    particles,
    revising,
    thinking,
    trees,
    voting,
)

__all__ = [
    "beams",
    "catalogue_budgets",
    "catalogue_checks",
    "catalogue_prompts",
    "catalogue_steps",
    "catalogue_votes",
    "optimal",
    "particles",
    "revising",
    "thinking",
    "trees",
    "voting",
]
