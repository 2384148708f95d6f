"""Which operations count something that later ones go on from (semantics.md C2, C3, C7, C12, C65).

An operation whose result nobody reads can still not simply be removed: children are numbered by
those requested before them, resamplings of the same rows by those before, copies and random numbers
by those before on the same lane. Here is when that cannot matter.
"""

from __future__ import annotations

from collections.abc import Iterator

from tts_lang.optimise.workspace import Block, Site, Workspace
from tts_lang.plan import graph
from tts_lang.plan.expr import Random
from tts_lang.plan.graph import Exit


def draws(site: Site) -> bool:
    """Whether running an operation uses up random numbers."""
    return any(isinstance(node, Random) for node in site.nodes)


class Effects:
    """Operations that cannot be removed though nothing reads what they give.

    Attributes:
        roots: By call (its region, or the plan's): those operations, and regions that return.
        draws: Some expression of the plan draws random numbers.
    """

    def __init__(self, work: Workspace) -> None:
        self.draws = any(draws(site) for site in work.sites())
        self.roots: dict[Block, list[Site]] = {}
        self._scope(work.body)

    def _scope(self, body: Block) -> None:
        """One call's counters: those that count last leave nothing to go on from."""
        numbered = list(_in_scope(body, looping=False))
        expands = resamples = 0
        prompts: set[str] = set()
        fresh: set[str] = set()
        roots = self.roots[body] = []
        for site, looping in reversed(numbered):
            match site.spec:
                case graph.Expand():
                    kept = looping or expands > 0
                    expands += 1
                case graph.Ask(prompt=prompt):
                    # Only questions from the same prompt can open the same conversation.
                    kept = looping or prompt in prompts
                    prompts.add(prompt)
                case graph.Resample():
                    kept = self.draws or looping or resamples > 0
                    resamples += 1
                case graph.Fork():
                    kept = self.draws
                case graph.Call(strategy=strategy):
                    # Fresh calls of a strategy are numbered (C65); plain ones start from 0 (C13).
                    kept = site.spec.fresh and (looping or strategy in fresh)
                    if site.spec.fresh:
                        fresh.add(strategy)
                    self._scope(site.blocks[0])
                case _:
                    kept = any(block.exit is not Exit.YIELD for block in site.blocks)
            if kept or draws(site):
                roots.append(site)


def _in_scope(block: Block, looping: bool) -> Iterator[tuple[Site, bool]]:
    """Operations of one call in program order, and whether they may run more than once in it."""
    for site in block:
        yield site, looping
        if not isinstance(site.spec, graph.Call):
            inner = looping or isinstance(site.spec, graph.Repeat)
            for each in site.blocks:
                yield from _in_scope(each, inner)
