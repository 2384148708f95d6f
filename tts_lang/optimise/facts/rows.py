"""How many rows a pool has at most, and whether its rows lie in trees of their own.

A coarser and faster analysis than the bounds of EXPLAIN: a loop is not followed round by round, a
pool that grows in it has no bound. What is said holds for every execution of the operation.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from tts_lang.optimise.workspace import Block, Site, Workspace
from tts_lang.plan import graph
from tts_lang.plan.expr import Const, Expr
from tts_lang.plan.graph import Exit
from tts_lang.plan.operator import Makes, entry
from tts_lang.plan.rows import RowLimit, literal_count

#: Loops nested deeper than this are taken to carry anything at once.
_DEEPEST = 3


class Known(NamedTuple):
    """What is known of a pool.

    Args:
        high: Rows at most.
        apart: Every row has a root, and no two rows the same one (C49).
        problem: It is the problem's own pool: one row, which belongs to no tree.
    """

    high: float = math.inf
    apart: bool = False
    problem: bool = False

    def join(self, other: Known) -> Known:
        """Either of the two."""
        return Known(
            max(self.high, other.high), self.apart and other.apart, self.problem and other.problem
        )


_PROBLEM = Known(1, False, True)


def constant(expression: Expr | None) -> float | None:
    """The number that an expression is, if it is a literal."""
    if isinstance(expression, Const) and isinstance(expression.value, int | float):
        return expression.value
    return None


class Rows:
    """What is known of every pool."""

    def __init__(self, work: Workspace) -> None:
        self._work = work
        self._known: dict[int, Known] = {}
        self._define(work.body.parameters[0], _PROBLEM)
        self._block(work.body, 0)

    def of(self, value: int) -> Known:
        """A pool's; of a value that a rewrite made, nothing is known."""
        return self._known.get(value, Known())

    def _define(self, value: int, known: Known) -> None:
        self._known[value] = known

    def _block(self, block: Block, depth: int) -> None:
        for site in block:
            match site.spec:
                case graph.Repeat():
                    self._repeat(site, depth)
                case graph.Branch():
                    self._branch(site, depth)
                case graph.Call():
                    self._define(site.blocks[0].parameters[0], _PROBLEM)
                    self._block(site.blocks[0], depth)
                    self._define(site.outputs[0], Known(self.of(site.inputs[0]).high))
                case graph.Compute():
                    pass
                case _:
                    pools = [self.of(value) for value in site.inputs]
                    self._define(site.outputs[0], _after(site.spec, pools))

    def _branch(self, site: Site, depth: int) -> None:
        ways: list[list[Known]] = []
        for block in site.blocks:
            self._block(block, depth)
            if block.exit is Exit.YIELD:
                ways.append([self.of(value) for value in block.results])
        for place, value in enumerate(site.outputs):
            known = ways[0][place]
            for way in ways[1:]:
                known = known.join(way[place])
            self._define(value, known)

    def _repeat(self, site: Site, depth: int) -> None:
        """What holds before the first round and after every further one, found by assuming it."""
        until, body = site.blocks
        carried = [self.of(value) for value in site.inputs]
        if depth >= _DEEPEST:
            carried = [Known()] * len(carried)
        while True:
            for block in (until, body):
                for value, known in zip(block.parameters, carried, strict=True):
                    self._define(value, known)
            self._block(body, depth + 1)
            if body.exit is not Exit.YIELD:
                break
            after = [self.of(value) for value in body.results]
            joined = [
                old if (met := old.join(new)) == old else met._replace(high=_wider(old, met))
                for old, new in zip(carried, after, strict=True)
            ]
            if joined == carried:
                break
            carried = joined
        for value, known in zip(site.outputs, carried, strict=True):
            self._define(value, known)


def _wider(old: Known, met: Known) -> float:
    """A bound that grows in a round would grow in every one."""
    return met.high if met.high == old.high else math.inf


def _after(spec: graph.Spec, pools: list[Known]) -> Known:
    """What an operator without regions gives."""
    known, pool = entry(spec), pools[0] if pools else Known()
    of = RowLimit([each.high for each in pools], live=pool.problem)
    high = float("inf") if known.rows is None else known.rows(spec, of)
    match known.makes:
        case Makes.NOTHING:
            return Known(high, True)
        case Makes.SAME:
            return Known(high, pool.apart, pool.problem)
        case Makes.SUBSET | Makes.EDITED:
            # A walk may reach a row twice (C55).
            return Known(high, pool.apart and not isinstance(spec, graph.Descend))
        case Makes.CHILDREN if isinstance(spec, graph.Expand):
            count = literal_count(spec.amount.count)
            alone = not spec.deal and count is not None and count <= 1
            return Known(high, (pool.apart and alone) or of.live(spec.decoding.within))
        case Makes.COPIES:
            return Known(high, isinstance(spec, graph.Fork))
    return Known(high)
