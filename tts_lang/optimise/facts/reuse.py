"""Where a score that nobody reads still saves work: process scorers go on from what they have read.

After `expand` a process scorer reads only new steps (C32). Where rows have one child at most, the
later scoring reads in one go what both read together; where they have several, each would read the
common part again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from tts_lang.optimise.facts.live import Live
from tts_lang.optimise.facts.rows import constant
from tts_lang.optimise.workspace import Block, Site, User, Workspace
from tts_lang.plan import graph
from tts_lang.plan.graph import Exit
from tts_lang.plan.operator import Makes, entry


class Reuse:
    """Answers `saves_reading(site)` for scores that no operation reads."""

    def __init__(self, work: Workspace, live: Live) -> None:
        self._work = work
        steps = {scorer.name for scorer in work.plan.scorers if scorer.steps}
        self._kept: dict[str, set[Site]] = {name: set() for name in steps}
        unread: list[Site] = []
        for site in work.sites():
            if isinstance(site.spec, graph.Score) and site.spec.scorer in steps:
                if live.column(site.outputs[0], site.spec.scorer):
                    self._kept[site.spec.scorer].add(site)
                else:
                    unread.append(site)
        # One that is kept for others is itself gone on from, so this goes on until nothing changes.
        while unread:
            spread = {name: self._spread(kept) for name, kept in self._kept.items()}
            keep = [s for s in unread if s.outputs[0] in spread[_scorer(s)]]
            if not keep:
                break
            for site in keep:
                self._kept[_scorer(site)].add(site)
            unread = [site for site in unread if site not in set(keep)]

    def saves_reading(self, site: Site) -> bool:
        """Whether later scorings could have to read more without this one."""
        return site in self._kept.get(_scorer(site), ())

    def _spread(self, kept: set[Site]) -> set[int]:
        """Pools whose rows may be read several times by scorings that are kept.

        Backwards from those scorings; a pool that two readers lead from, or that grows on the way,
        is such a pool, and so is every pool that its rows come from.
        """
        ways: dict[int, set[int]] = {}
        edges: dict[int, list[int]] = {}
        spread: set[int] = set()
        waiting = deque[int]()
        for site in kept:
            ways.setdefault(site.inputs[0], set()).add(id(site))
            waiting.append(site.inputs[0])
        while waiting:
            value = waiting.popleft()
            if value in edges:
                continue
            edges[value] = []
            for source, multiplies, reader in self._sources(value, kept):
                edges[value].append(source)
                ways.setdefault(source, set()).add(id(reader))
                if multiplies:
                    spread.add(source)
                waiting.append(source)
        spread.update(value for value, readers in ways.items() if len(readers) > 1)
        following = list(spread)
        while following:
            for source in edges.get(following.pop(), ()):
                if source not in spread:
                    spread.add(source)
                    following.append(source)
        return spread

    def _sources(self, value: int, kept: set[Site]) -> Iterator[tuple[int, bool, User]]:
        """Pools whose rows this pool's come from, whether one row may have become several, and
        what reads them for it."""
        definer = self._work.definers.get(value)
        if isinstance(definer, Block):
            owner = definer.owner
            if owner is None:
                return
            if isinstance(owner.spec, graph.Call):
                yield owner.inputs[0], owner.spec.on_rows, owner
                return
            place = definer.parameters.index(value)
            yield owner.inputs[place], False, owner
            if owner.blocks[1].exit is Exit.YIELD:
                yield owner.blocks[1].results[place], False, owner.blocks[1]
        elif definer is not None:
            if definer in kept:
                return  # what reads here goes on from there
            place = definer.outputs.index(value)
            match definer.spec:
                case graph.Repeat():
                    yield definer.inputs[place], False, definer
                    if definer.blocks[1].exit is Exit.YIELD:
                        yield definer.blocks[1].results[place], False, definer.blocks[1]
                case graph.Branch():
                    for block in definer.blocks:
                        if block.exit is Exit.YIELD:
                            yield block.results[place], False, block
                case graph.Call():
                    for result in definer.blocks[0].results:
                        yield result, definer.spec.on_rows, definer.blocks[0]
                case graph.Ask():
                    return  # a new conversation continues nothing
                case spec:
                    for source in definer.inputs[: entry(spec).row_inputs]:
                        yield source, _multiplies(spec), definer


def _scorer(site: Site) -> str:
    assert isinstance(site.spec, graph.Score)
    return site.spec.scorer


def _multiplies(spec: graph.Spec) -> bool:
    """Whether a row may become several."""
    match spec:
        case graph.Expand():
            count = constant(spec.amount.count)
            return spec.deal or count is None or count >= 2
        case graph.Fork(count):
            many = constant(count)
            return many is None or many >= 2
    several = entry(spec).makes in (Makes.COPIES, Makes.CHILDREN)
    return several or isinstance(spec, graph.Cut | graph.Descend)
