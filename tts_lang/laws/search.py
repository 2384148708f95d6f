"""Finds the search for counterexamples: an entry point of the group `tts_lang.laws`.

The search runs strategies on random engines, which the compiler does not have.
"""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Protocol

from tts_lang.laws.verdicts import SearchResult
from tts_lang.plan.graph import Plan

GROUP = "tts_lang.laws"


class LawError(Exception):
    """A law that cannot be decided at all; the message says why and what to do."""


class CounterexampleSearch(Protocol):
    """Looks for a run in which two plans answer differently."""

    def __call__(self, left: Plan, right: Plan, *, trials: range, seed: int) -> SearchResult:
        """Runs both plans in the given trials of a seed, until they differ.

        A trial is a function of its number, the seed and the plans.
        """


def find_search() -> CounterexampleSearch:
    """The installed search.

    Raises:
        LawError: There is none, or it cannot be loaded.
    """
    for entry in entry_points(group=GROUP):
        try:
            search: CounterexampleSearch = entry.load()
        except (ImportError, AttributeError) as error:
            raise LawError(
                f"the search for counterexamples `{entry.value}` cannot be loaded: {error}"
            ) from error
        return search
    raise LawError(
        f"this law is not proved, and no search for counterexamples is installed (no entry "
        f"point of the group `{GROUP}`): install the package with its runtime "
        "(`pip install -e .` in a checkout)"
    )
