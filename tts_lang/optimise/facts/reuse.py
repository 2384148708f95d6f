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
        """Pools whose rows may be read several times by scorings that are kept."""
        if not kept:
            return set()
        reaching: set[int] = set()
        spread: set[int] = set()
        waiting = deque(site.inputs[0] for site in kept)
        reaching.update(waiting)
        while waiting:
            value = waiting.popleft()
            several = value in spread or self._ways(value, reaching, kept) > 1
            if several and value not in spread:
                spread.add(value)
            for source, multiplies in self._sources(value, kept):
                wide = multiplies or value in spread
                if source not in reaching or (wide and source not in spread):
                    reaching.add(source)
                    if wide:
                        spread.add(source)
                    waiting.append(source)
                elif self._ways(source, reaching, kept) > 1 and source not in spread:
                    waiting.append(source)
        return spread

    def _ways(self, value: int, reaching: set[int], kept: set[Site]) -> int:
        """Readers of a pool that lead to a scoring that is kept."""
        found = 0
        for user in self._work.users(value):
            if isinstance(user, Site) and user in kept and user.inputs[0] == value:
                found += 1
            else:
                found += any(made in reaching for made in _made_of(user, value))
        return found

    def _sources(self, value: int, kept: set[Site]) -> Iterator[tuple[int, bool]]:
        """Pools whose rows this pool's come from; whether one row may have become several."""
        definer = self._work.definers.get(value)
        if isinstance(definer, Block):
            owner = definer.owner
            if owner is None:
                return
            if isinstance(owner.spec, graph.Call):
                yield owner.inputs[0], owner.spec.on_rows
                return
            place = definer.parameters.index(value)
            yield owner.inputs[place], False
            if owner.blocks[1].exit is Exit.YIELD:
                yield owner.blocks[1].results[place], False
        elif definer is not None:
            if definer in kept:
                return  # what reads here goes on from there
            place = definer.outputs.index(value)
            match definer.spec:
                case graph.Repeat():
                    yield definer.inputs[place], False
                    if definer.blocks[1].exit is Exit.YIELD:
                        yield definer.blocks[1].results[place], False
                case graph.Branch():
                    for block in definer.blocks:
                        if block.exit is Exit.YIELD:
                            yield block.results[place], False
                case graph.Call():
                    for result in definer.blocks[0].results:
                        yield result, definer.spec.on_rows
                case graph.Ask() | graph.Compute() | graph.Empty():
                    return  # a new conversation goes on from nothing
                case spec:
                    rows = 2 if isinstance(spec, graph.Union) else 1
                    for source in definer.inputs[:rows]:
                        yield source, _multiplies(spec)


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
    return isinstance(spec, graph.Resample | graph.Split | graph.Cut | graph.Descend)


def _made_of(user: User, value: int) -> Iterator[int]:
    """Pools that a reader makes of a pool's rows."""
    if isinstance(user, Block):
        owner = user.owner
        if owner is None:
            return
        if isinstance(owner.spec, graph.Call):
            yield owner.outputs[0]
            return
        for place, result in enumerate(user.results):
            if result == value and place < len(owner.outputs):
                yield owner.outputs[place]
                if isinstance(owner.spec, graph.Repeat):
                    yield owner.blocks[1].parameters[place]
        return
    match user.spec:
        case graph.Repeat():
            for place, given in enumerate(user.inputs):
                if given == value:
                    yield user.outputs[place]
                    yield from (block.parameters[place] for block in user.blocks)
        case graph.Call():
            yield user.blocks[0].parameters[0]
        case graph.Branch() | graph.Compute() | graph.Ask():
            return
        case spec:
            rows = 2 if isinstance(spec, graph.Union) else 1
            if value in user.inputs[:rows]:
                yield user.outputs[0]
