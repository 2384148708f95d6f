"""A plan under rewriting: immutable specs and expressions in a graph that knows who reads what.

Plans are immutable trees, so that changing one operation means rebuilding all that is around it. A
`Workspace` holds the same operations as linked `Site`s; a rewrite then costs what it touches, and a
plan of thousands of operations is optimised in time that grows with its length. Rules only read
it; `apply` makes their edits; `freeze` gives the plan.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from tts_lang.optimise.rebuild import nodes_in
from tts_lang.plan.expr import Expr
from tts_lang.plan.graph import Exit, Operation, Origin, Plan, Region, Spec, Value


class Site:
    """One operation, or the operations that have taken its place."""

    __slots__ = (
        "_nodes",
        "block",
        "blocks",
        "gone",
        "inputs",
        "origins",
        "outputs",
        "spec",
        "successors",
    )

    def __init__(
        self,
        spec: Spec,
        inputs: Sequence[int],
        outputs: Sequence[int],
        blocks: Sequence[Block] = (),
        origins: tuple[Origin, ...] = (),
    ) -> None:
        self.spec = spec
        self.inputs = tuple(inputs)
        self.outputs = tuple(outputs)
        self.blocks = tuple(blocks)
        self.origins = origins
        self.block: Block
        self.gone = False
        self.successors: tuple[Site, ...] = ()
        self._nodes: tuple[Expr, ...] | None = None

    @property
    def nodes(self) -> tuple[Expr, ...]:
        """Every expression in its spec with all subexpressions; looked up often, so kept."""
        if self._nodes is None:
            self._nodes = tuple(nodes_in(self.spec))
        return self._nodes


class Block:
    """A region: its parameters and results, its sites, and the site that holds it."""

    __slots__ = ("exit", "owner", "parameters", "results", "sites")

    def __init__(
        self, parameters: Sequence[int], sites: Sequence[Site], results: Sequence[int], exit: Exit
    ) -> None:
        self.parameters = tuple(parameters)
        self.sites = list(sites)
        self.results = tuple(results)
        self.exit = exit
        self.owner: Site | None = None

    def __iter__(self) -> Iterator[Site]:
        """Its sites in program order, with what has taken the place of those that are gone."""
        waiting = list(reversed(self.sites))
        while waiting:
            site = waiting.pop()
            if site.gone:
                waiting.extend(reversed(site.successors))
            else:
                yield site


#: What reads a value: an operation, or a region as one of its results.
User: TypeAlias = "Site | Block"


@dataclass(frozen=True, slots=True)
class Edit:
    """A change of the graph.

    Args:
        replaced: Sites, and what comes in the place of each: new sites, or sites and blocks that
            stood inside it.
        same: Values that are no longer defined, and those that are read instead.
        narrowed: Columns that values no longer have.
        ends: Regions that end otherwise: with which results, and how.
    """

    replaced: Mapping[Site, tuple[Site, ...]]
    same: Mapping[int, int] = field(default_factory=dict)
    narrowed: Mapping[int, frozenset[str]] = field(default_factory=dict)
    ends: Mapping[Block, tuple[tuple[int, ...], Exit]] = field(default_factory=dict)


class Workspace:
    """A plan as linked sites."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.values = list(plan.values)
        self.definers: dict[int, Site | Block] = {}
        self._users: dict[int, dict[User, None]] = {}
        self.body = self._block(plan.body, None)

    # ------------------------------------------------------------------ reading

    def users(self, value: int) -> tuple[User, ...]:
        """Who reads a value, without repetition, in the order in which they came to."""
        return tuple(self._users.get(value, ()))

    def definer(self, value: int) -> Site | None:
        """The operation that gives a value; `None` for a parameter of a region."""
        found = self.definers.get(value)
        return found if isinstance(found, Site) else None

    def sites(self, block: Block | None = None) -> Iterator[Site]:
        """Every operation inside, in program order, each before what its regions hold."""
        for site in block or self.body:
            yield site
            for inner in site.blocks:
                yield from self.sites(inner)

    def new_value(self, like: int, without: frozenset[str] = frozenset()) -> int:
        """A value of the same kind and name, without some of its columns."""
        value = self.values[like]
        if without and value.columns is not None:
            kept = {name: kind for name, kind in value.columns.items() if name not in without}
            value = replace(value, columns=kept)
        return self.add_value(value)

    def add_value(self, value: Value) -> int:
        """A value that nothing defines yet."""
        self.values.append(value)
        return len(self.values) - 1

    # ------------------------------------------------------------------ changing

    def apply(self, edit: Edit) -> list[Site]:
        """Makes a change; returns the sites that may match other rules now."""
        touched: list[Site] = []
        for site, successors in edit.replaced.items():
            kept = set(map(id, successors))
            for part in successors:
                for block in part.blocks:
                    kept.add(id(block))
                    kept.update(map(id, block))
            for value in site.inputs:
                touched.extend(self._defining(value))
            self._forget(site, kept)
            site.gone, site.successors = True, successors
            for part in successors:
                self._enter(part, site.block)
            touched.extend(successors)
        for block, (results, exit) in edit.ends.items():
            for value in block.results:
                self._users.get(value, {}).pop(block, None)
            block.results, block.exit = results, exit
            for value in results:
                self._users.setdefault(value, {})[block] = None
        for value, other in edit.same.items():
            while other in edit.same:
                other = edit.same[other]
            touched.extend(self._read_instead(value, other))
        for value, columns in edit.narrowed.items():
            old = self.values[value]
            if old.columns is not None:
                left = {name: kind for name, kind in old.columns.items() if name not in columns}
                self.values[value] = replace(old, columns=left)
        return touched

    def _defining(self, value: int) -> Iterator[Site]:
        site = self.definer(value)
        if site is not None:
            yield site

    def _forget(self, site: Site, kept: set[int]) -> None:
        """The site reads and defines nothing any more; what it holds neither, unless it is kept."""
        for value in site.inputs:
            self._users.get(value, {}).pop(site, None)
        for block in site.blocks:
            if id(block) not in kept:
                for value in block.results:
                    self._users.get(value, {}).pop(block, None)
                for inner in block:
                    if id(inner) not in kept:
                        self._forget(inner, kept)

    def _enter(self, site: Site, block: Block) -> None:
        site.block = block
        for value in site.inputs:
            self._users.setdefault(value, {})[site] = None
        for value in site.outputs:
            self.definers[value] = site
        for inner in site.blocks:
            inner.owner = site
            for value in inner.parameters:
                self.definers[value] = inner
            for value in inner.results:
                self._users.setdefault(value, {})[inner] = None
            for each in inner:
                each.block = inner

    def _read_instead(self, value: int, other: int) -> Iterator[Site]:
        for user in self._users.pop(value, {}):
            if isinstance(user, Site):
                user.inputs = tuple(other if each == value else each for each in user.inputs)
                yield user
            else:
                user.results = tuple(other if each == value else each for each in user.results)
                if user.owner is not None:
                    yield user.owner
            self._users.setdefault(other, {})[user] = None
        yield from self._defining(other)

    # ------------------------------------------------------------------ plans

    def _block(self, region: Region, owner: Site | None) -> Block:
        block = Block(region.parameters, (), region.results, region.exit)
        block.owner = owner
        for value in region.parameters:
            self.definers[value] = block
        for operation in region.operations:
            site = Site(operation.spec, operation.inputs, operation.outputs, (), operation.origins)
            site.blocks = tuple(self._block(inner, site) for inner in operation.regions)
            self._enter(site, block)
            block.sites.append(site)
        for value in region.results:
            self._users.setdefault(value, {})[block] = None
        return block

    def freeze(self) -> Plan:
        """The plan as it is now."""
        return replace(self.plan, body=_region(self.body), values=tuple(self.values))


def _region(block: Block) -> Region:
    made = tuple(
        Operation(
            site.spec,
            site.inputs,
            site.outputs,
            tuple(_region(inner) for inner in site.blocks),
            site.origins,
        )
        for site in block
    )
    return Region(block.parameters, made, block.results, block.exit)
