"""Which generations could be asked for twice in a run, and so cost once (C62).

Two requests are one if policy, prompt, prefix, key, sampling and limits are equal. Within one call
every child has a number of its own, and so a key of its own; but a call starts from 0 again (C13),
and at temperature 0 the key does not count (C15). Fusing two calls into one changes what is asked
for, so it must leave alone what another operation may ask for too: that would then cost twice.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TypeAlias

from tts_lang.optimise.facts.rows import constant
from tts_lang.optimise.workspace import Site, Workspace
from tts_lang.plan import graph
from tts_lang.plan.expr import Const
from tts_lang.plan.graph import Amount, Decoding

_Way: TypeAlias = "tuple[Decoding, Amount]"


class Sharing:
    """Answers `possible(site)`."""

    def __init__(self, work: Workspace) -> None:
        self._calls = False
        self._greedy = False
        self._ways: Counter[_Way] = Counter()
        for site in work.sites():
            spec = site.spec
            self._calls |= isinstance(spec, graph.Call)
            self._greedy |= isinstance(spec, graph.Score) and spec.ahead is not None
            if isinstance(spec, graph.Expand | graph.Ask):
                self._ways[_way(spec)] += 1
        self._greedy |= any(scorer.judge is not None for scorer in work.plan.scorers)

    def possible(self, site: Site) -> bool:
        """Whether another operation may ask for what this one asks for.

        A binding whose own temperature is 0 is not thought of: there the saving may be smaller.
        """
        spec = site.spec
        assert isinstance(spec, graph.Expand | graph.Ask)
        temperature = spec.decoding.temperature
        regular = temperature is None or (constant(temperature) or 0) > 0
        if regular and not self._calls:
            return False
        return self._ways[_way(spec)] > 1 or (not regular and self._greedy)


def _way(spec: graph.Expand | graph.Ask) -> _Way:
    """All of a request that the operation says; how many children does not matter."""
    return spec.decoding, replace(spec.amount, count=Const(0))
