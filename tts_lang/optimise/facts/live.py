"""What the answer needs: operations, values, and columns of pools, found backwards from `return`.

A value is needed if an operation that is needed reads it. A column of a pool is live if such an
operation reads it there, or if it is live in a pool made of these rows: score columns stay with
their rows in selections and copies, computed ones also pass to children (C28, C31). Where a column
could have come from several pools, it is live in all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from tts_lang.optimise.facts.effects import Effects
from tts_lang.optimise.workspace import Block, Site, Workspace
from tts_lang.plan import expr, graph
from tts_lang.plan.clauses import keys_of
from tts_lang.plan.columns import COLUMNS
from tts_lang.plan.graph import Exit, Kind
from tts_lang.plan.operator import entry

_Column: TypeAlias = "tuple[int, str]"


class Live:
    """Answers `needed(site)`, `read(value)` and `column(value, name)`."""

    def __init__(self, work: Workspace) -> None:
        self._work = work
        self._seen = set(work.sites())
        self._sites: set[Site] = set()
        self._values: set[int] = set()
        self._columns: set[_Column] = set()
        self._waiting: list[Site | int | _Column] = []
        self._roots = Effects(work).roots
        self._call(work.body)
        while self._waiting:
            item = self._waiting.pop()
            if isinstance(item, Site):
                self._site(item)
            elif isinstance(item, int):
                self._value(item)
            else:
                self._column(*item)

    def needed(self, site: Site) -> bool:
        """Whether removing the operation could change the answer, or a number of the program.

        Of an operation that a rewrite has made since, it must be supposed.
        """
        return site in self._sites or site not in self._seen

    def read(self, value: int) -> bool:
        """Whether an operation that is needed reads the value."""
        return value in self._values

    def column(self, value: int, name: str) -> bool:
        """Whether an operation that is needed reads the column, here or of rows made from these."""
        return (value, name) in self._columns

    # ------------------------------------------------------------------ marking

    def _need_site(self, site: Site) -> None:
        if site not in self._sites:
            self._sites.add(site)
            self._waiting.append(site)
            if site.block.owner is not None:
                self._need_site(site.block.owner)

    def _need_value(self, value: int) -> None:
        if value not in self._values:
            self._values.add(value)
            self._waiting.append(value)

    def _need_column(self, value: int, name: str) -> None:
        if (value, name) not in self._columns:
            self._columns.add((value, name))
            self._waiting.append((value, name))

    def _call(self, body: Block) -> None:
        """What a call (or the plan) returns, and what counts in it, is needed if the call is."""
        for site in self._roots.get(body, ()):
            self._need_site(site)
        for value in body.results:
            self._need_value(value)

    # ------------------------------------------------------------------ following

    def _site(self, site: Site) -> None:
        """All that a needed operation reads itself; loops and branches carry value by value."""
        spec = site.spec
        if isinstance(spec, graph.Repeat):
            self._need_value(site.blocks[0].results[0])
        else:
            for value in site.inputs:
                self._need_value(value)
        for block in site.blocks:
            if isinstance(spec, graph.Call):
                self._call(block)
            elif block.exit is Exit.RETURN:
                self._need_value(block.results[0])
        pools = [v for v in site.inputs if self._work.values[v].kind is Kind.POOL]
        for name in mentioned(site):
            for pool in pools:
                self._need_column(pool, name)

    def _value(self, value: int) -> None:
        definer = self._work.definers.get(value)
        if isinstance(definer, Site):
            self._need_site(definer)
        for source in self._sources(value):
            self._need_value(source)

    def _column(self, value: int, name: str) -> None:
        definer = self._work.definers.get(value)
        if isinstance(definer, Site):
            spec = definer.spec
            if isinstance(spec, graph.Score) and spec.scorer == name:
                return
            if isinstance(spec, graph.Let) and spec.name == name:
                return
            if isinstance(spec, graph.Call):
                self._need_column(definer.inputs[0], name)
                return
            if not definer.blocks:
                for source in definer.inputs[: entry(spec).row_inputs]:
                    self._need_column(source, name)
        for source in self._sources(value):
            self._need_column(source, name)

    def _sources(self, value: int) -> Iterator[int]:
        """Values that a loop or branch hands on as this one."""
        definer = self._work.definers.get(value)
        if isinstance(definer, Site):
            place = definer.outputs.index(value)
            if isinstance(definer.spec, graph.Repeat):
                yield definer.inputs[place]
            for block in definer.blocks:
                is_until = isinstance(definer.spec, graph.Repeat) and block is definer.blocks[0]
                if block.exit is Exit.YIELD and not is_until:
                    yield block.results[place]
        elif definer is not None and definer.owner is not None:
            owner = definer.owner
            if isinstance(owner.spec, graph.Repeat):
                place = definer.parameters.index(value)
                yield owner.inputs[place]
                body = owner.blocks[1]
                if body.exit is Exit.YIELD:
                    yield body.results[place]


def mentioned(site: Site) -> set[str]:
    """Columns beyond the built-in ones that an operation names anywhere."""
    spec = site.spec
    found = set(keys_of(spec))
    for node in site.nodes:
        match node:
            case expr.Column(name):
                found.add(name)
            case expr.Reduce(_, column):
                found.add(column)
            case expr.Aggregate(per=per, on=on):
                found.update(key for key in (per, on) if key is not None)
            case expr.PoolWide(per=str() as key):
                found.add(key)
    return found - COLUMNS.keys()
