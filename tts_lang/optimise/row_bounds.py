"""Upper bounds of the rows of a pool, and whether its rows lie in trees of their own.

Coarser and faster than the bounds of EXPLAIN: a loop is not followed round by round, and a pool
that grows in it has no bound. The bounds hold for every execution of the operation.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from tts_lang.optimise.rewriter import Block, MutablePlan, OpNode
from tts_lang.plan import graph
from tts_lang.plan.graph import Exit
from tts_lang.plan.operator import Makes, entry
from tts_lang.plan.rows import RowLimit, literal_count

#: Loops nested deeper than this are assumed to carry anything.
_DEEPEST = 3


class RowBound(NamedTuple):
    """A bound on the rows of a pool.

    Args:
        high: Upper bound of the number of rows.
        rooted: Every row belongs to a tree.
        apart: Every row belongs to a tree of its own (C49).
        problem: It is the problem's own pool: one row, which is live and belongs to no tree.
    """

    high: float = math.inf
    rooted: bool = False
    apart: bool = False
    problem: bool = False

    def join(self, other: RowBound) -> RowBound:
        """The bound of a pool that is one of the two."""
        return RowBound(
            max(self.high, other.high),
            self.rooted and other.rooted,
            self.apart and other.apart,
            self.problem and other.problem,
        )

    @property
    def one_per_root(self) -> bool:
        """Whether a selection of one row per root keeps every row."""
        return self.apart or (self.rooted and self.high <= 1)


_PROBLEM = RowBound(1, problem=True)


class RowBounds:
    """Bounds of every pool."""

    def __init__(self, plan: MutablePlan) -> None:
        self._bounds: dict[int, RowBound] = {}
        self._define(plan.body.parameters[0], _PROBLEM)
        self._block(plan.body, 0)

    def of(self, value: int) -> RowBound:
        """The bound of a pool; nothing is known of a value that a rewrite has added."""
        return self._bounds.get(value, RowBound())

    def _define(self, value: int, bound: RowBound) -> None:
        self._bounds[value] = bound

    def _block(self, block: Block, depth: int) -> None:
        for node in block:
            match node.spec:
                case graph.Repeat():
                    self._repeat(node, depth)
                case graph.Branch():
                    self._branch(node, depth)
                case graph.Call():
                    self._call(node, node.spec, depth)
                case graph.Compute():
                    pass
                case _:
                    pools = [self.of(value) for value in node.inputs]
                    self._define(node.outputs[0], _after(node.spec, pools))

    def _call(self, node: OpNode, spec: graph.Call, depth: int) -> None:
        """A call gives one row per row of its pool; on rows these may be done, or out of room."""
        body, pool = node.blocks[0], self.of(node.inputs[0])
        live = pool.problem and not spec.on_rows
        self._define(body.parameters[0], RowBound(1, problem=live))
        self._block(body, depth)
        self._define(node.outputs[0], RowBound(pool.high, True, pool.apart or pool.high <= 1))

    def _branch(self, node: OpNode, depth: int) -> None:
        ways: list[list[RowBound]] = []
        for block in node.blocks:
            self._block(block, depth)
            if block.exit is Exit.YIELD:
                ways.append([self.of(value) for value in block.results])
        for place, value in enumerate(node.outputs):
            bound = ways[0][place]
            for way in ways[1:]:
                bound = bound.join(way[place])
            self._define(value, bound)

    def _repeat(self, node: OpNode, depth: int) -> None:
        """The bounds before every round, as a fixed point."""
        until, body = node.blocks
        carried = [self.of(value) for value in node.inputs]
        if depth >= _DEEPEST:
            carried = [RowBound()] * len(carried)
        while True:
            for block in (until, body):
                for value, bound in zip(block.parameters, carried, strict=True):
                    self._define(value, bound)
            self._block(until, depth + 1)
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
        for value, bound in zip(node.outputs, carried, strict=True):
            self._define(value, bound)


def _wider(old: RowBound, met: RowBound) -> float:
    """A bound that grows in a round would grow in every one."""
    return met.high if met.high == old.high else math.inf


def _after(spec: graph.Spec, pools: list[RowBound]) -> RowBound:
    """The bound after an operator without regions."""
    operator, pool = entry(spec), pools[0] if pools else RowBound()
    of = RowLimit([each.high for each in pools], live=pool.problem)
    high = math.inf if operator.rows is None else operator.rows(spec, of)
    match operator.makes:
        case Makes.NOTHING:
            return RowBound(high, rooted=True, apart=True)
        case Makes.SAME:
            return RowBound(high, pool.rooted, pool.apart, pool.problem)
        case Makes.SUBSET | Makes.EDITED:
            return RowBound(high, pool.rooted, pool.apart)
        case Makes.CHILDREN if isinstance(spec, graph.Expand):
            if of.live(spec.decoding.within):
                return RowBound(high, rooted=True, apart=True)
            count = literal_count(spec.amount.count)
            alone = not spec.deal and count is not None and count <= 1
            return RowBound(high, pool.rooted, pool.apart and alone)
        case Makes.COPIES if isinstance(spec, graph.Fork):
            return RowBound(high, rooted=True, apart=True)
        case Makes.CONVERSATIONS if isinstance(spec, graph.Ask):
            return RowBound(high, pool.rooted and not spec.together)
        case Makes.BOTH:
            return RowBound(high, all(each.rooted for each in pools[:2]))
    return RowBound(high, pool.rooted)
