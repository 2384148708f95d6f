"""Liveness: operations, values and columns that the answer needs, backwards from `return`.

`Effects`: operations that count something that later ones continue from. `Liveness`: what is
needed at all. `StepReuse`: unread scores that save later scorings plan.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import TypeAlias

from tts_lang.optimise.rewriter import Block, MutablePlan, OpNode, User
from tts_lang.plan import graph
from tts_lang.plan.columns import COLUMNS
from tts_lang.plan.constants import literal_number
from tts_lang.plan.graph import Exit, Kind
from tts_lang.plan.operator import Makes, entry
from tts_lang.plan.reads import columns_read

_Column: TypeAlias = "tuple[int, str]"


class Effects:
    """Operations that must stay although nothing reads their result (C2, C3, C7, C12, C65).

    Children are numbered by those requested before them, resamplings of the same rows by those
    before, copies and random numbers by those before on the same lane.

    Attributes:
        roots: By call (its region, or the plan's): those operations, and regions that return.
        draws: Some expression of the plan draws random numbers.
    """

    def __init__(self, plan: MutablePlan) -> None:
        self._plan = plan
        self.draws = any(node.draws for node in plan.nodes())
        self.roots: dict[Block, list[OpNode]] = {}
        self._scope(plan.body)

    def _scope(self, body: Block) -> None:
        """The counters of one call: nothing continues from the last operation that counts."""
        numbered = list(self._plan.in_scope(body))
        expands = resamples = 0
        prompts: set[str] = set()
        fresh: set[str] = set()
        roots = self.roots[body] = []
        for node, looping in reversed(numbered):
            match node.spec:
                case graph.Expand():
                    is_root = looping or expands > 0
                    expands += 1
                case graph.Ask(prompt=prompt):
                    # Only questions from the same prompt can open the same conversation.
                    is_root = looping or prompt in prompts
                    prompts.add(prompt)
                case graph.Resample():
                    is_root = self.draws or looping or resamples > 0
                    resamples += 1
                case graph.Fork():
                    is_root = self.draws
                case graph.Call(strategy=strategy):
                    # Fresh calls of a strategy are numbered (C65); plain ones start from 0 (C13).
                    is_root = node.spec.fresh and (looping or strategy in fresh)
                    if node.spec.fresh:
                        fresh.add(strategy)
                    self._scope(node.blocks[0])
                case _:
                    is_root = any(block.exit is not Exit.YIELD for block in node.blocks)
            if is_root or node.draws:
                roots.append(node)


class Liveness:
    """The operations, values and columns that are needed.

    A value is needed if a needed operation reads it. A column of a pool is live if such an
    operation reads it there, or if it is live in a pool made of these rows: score columns stay with
    their rows in selections and copies, computed ones also pass to children (C28, C31). Where a
    column could come from several pools, it is live in all of them.
    """

    def __init__(self, plan: MutablePlan) -> None:
        self._plan = plan
        self._seen = set(plan.nodes())
        self._nodes: set[OpNode] = set()
        self._values: set[int] = set()
        self._columns: set[_Column] = set()
        self._waiting: list[OpNode | int | _Column] = []
        self._roots = Effects(plan).roots
        # Each file has its own names: a scorer may be called like another file's `let` column.
        lets = {node.spec.name for node in self._seen if isinstance(node.spec, graph.Let)}
        self._scores = {scorer.name for scorer in plan.plan.scorers} - lets
        self._call(plan.body)
        while self._waiting:
            item = self._waiting.pop()
            if isinstance(item, OpNode):
                self._node(item)
            elif isinstance(item, int):
                self._value(item)
            else:
                self._column(*item)

    def needed(self, node: OpNode) -> bool:
        """Whether removing the operation could change the answer, or a child number.

        Always true of an operation that a rewrite has added since.
        """
        return node in self._nodes or node not in self._seen

    def read(self, value: int) -> bool:
        """Whether an operation that is needed reads the value."""
        return value in self._values

    def column(self, value: int, name: str) -> bool:
        """Whether an operation that is needed reads the column, here or of rows made from these."""
        return (value, name) in self._columns

    # ------------------------------------------------------------------ marking

    def _need_node(self, node: OpNode) -> None:
        if node not in self._nodes:
            self._nodes.add(node)
            self._waiting.append(node)
            if node.block.owner is not None:
                self._need_node(node.block.owner)

    def _need_value(self, value: int) -> None:
        if value not in self._values:
            self._values.add(value)
            self._waiting.append(value)

    def _need_column(self, value: int, name: str) -> None:
        if (value, name) not in self._columns:
            self._columns.add((value, name))
            self._waiting.append((value, name))

    def _call(self, body: Block) -> None:
        """The results of a call (or of the plan), and what counts in it, go with the call."""
        for node in self._roots.get(body, ()):
            self._need_node(node)
        for value in body.results:
            self._need_value(value)

    # ------------------------------------------------------------------ following

    def _node(self, node: OpNode) -> None:
        """Marks what a needed operation reads; loops and branches are followed value by value."""
        spec = node.spec
        if isinstance(spec, graph.Repeat):
            self._need_value(node.blocks[0].results[0])
        else:
            for value in node.inputs:
                self._need_value(value)
        for block in node.blocks:
            if isinstance(spec, graph.Call):
                self._call(block)
            elif block.exit is Exit.RETURN:
                self._need_value(block.results[0])
        pools = [v for v in node.inputs if self._plan.values[v].kind is Kind.POOL]
        for name in columns_read(node.spec) - COLUMNS.keys():
            for pool in pools:
                self._need_column(pool, name)

    def _value(self, value: int) -> None:
        definer = self._plan.definers.get(value)
        if isinstance(definer, OpNode):
            self._need_node(definer)
        for source in self._sources(value):
            self._need_value(source)

    def _column(self, value: int, name: str) -> None:
        definer = self._plan.definers.get(value)
        if isinstance(definer, OpNode):
            spec = definer.spec
            if isinstance(spec, graph.Score) and spec.scorer == name:
                return
            if isinstance(spec, graph.Let) and spec.name == name:
                return
            if isinstance(spec, graph.Call):
                self._need_column(definer.inputs[0], name)
                return
            lost = name in self._scores and not entry(spec).makes.keeps_scores
            if not definer.blocks and not lost:
                for source in definer.inputs[: entry(spec).row_inputs]:
                    self._need_column(source, name)
        for source in self._sources(value):
            self._need_column(source, name)

    def _sources(self, value: int) -> Iterator[int]:
        """Values that a loop or branch passes on as this one."""
        definer = self._plan.definers.get(value)
        if isinstance(definer, OpNode):
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


class StepReuse:
    """Unread scores of process scorers that save later scorings plan.

    After `expand` a process scorer reads only new steps (C32). Where rows have at most one child,
    the later scoring reads in one go what both read together; where they have several, each would
    read the common part again.
    """

    def __init__(self, plan: MutablePlan, live: Liveness) -> None:
        self._plan = plan
        steps = {scorer.name for scorer in plan.plan.scorers if scorer.steps}
        self._scorings: dict[str, set[OpNode]] = {name: set() for name in steps}
        unread: list[OpNode] = []
        for node in plan.nodes():
            if isinstance(node.spec, graph.Score) and node.spec.scorer in steps:
                if live.column(node.outputs[0], node.spec.scorer):
                    self._scorings[node.spec.scorer].add(node)
                else:
                    unread.append(node)
        # A score that is kept for others is itself continued from, so repeat until nothing changes.
        while unread:
            spread = {name: self._spread(scorings) for name, scorings in self._scorings.items()}
            keep = [s for s in unread if s.outputs[0] in spread[_scorer(s)]]
            if not keep:
                break
            for node in keep:
                self._scorings[_scorer(node)].add(node)
            unread = [node for node in unread if node not in set(keep)]

    def saves_reading(self, node: OpNode) -> bool:
        """Whether later scorings could have to read more without this one."""
        return node in self._scorings.get(_scorer(node), ())

    def _spread(self, scorings: set[OpNode]) -> set[int]:
        """Pools whose rows the kept scorings may read several times.

        Backwards from those scorings: a pool with two paths to them, or that grows on the way, and
        every pool that its rows come from.
        """
        ways: dict[int, set[int]] = {}
        edges: dict[int, list[int]] = {}
        spread: set[int] = set()
        waiting = deque[int]()
        for node in scorings:
            ways.setdefault(node.inputs[0], set()).add(id(node))
            waiting.append(node.inputs[0])
        while waiting:
            value = waiting.popleft()
            if value in edges:
                continue
            edges[value] = []
            for source, multiplies, reader in self._sources(value, scorings):
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

    def _sources(self, value: int, scorings: set[OpNode]) -> Iterator[tuple[int, bool, User]]:
        """Source pools, whether one row of them may become several, and their reader."""
        definer = self._plan.definers.get(value)
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
            if definer in scorings:
                return  # a scoring here continues from there
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


def _scorer(node: OpNode) -> str:
    assert isinstance(node.spec, graph.Score)
    return node.spec.scorer


def _multiplies(spec: graph.Spec) -> bool:
    """Whether a row may become several."""
    match spec:
        case graph.Expand():
            count = literal_number(spec.amount.count)
            return spec.deal or count is None or count >= 2
        case graph.Fork(count):
            many = literal_number(count)
            return many is None or many >= 2
    several = entry(spec).makes in (Makes.COPIES, Makes.CHILDREN)
    return several or isinstance(spec, graph.Cut | graph.Descend)
