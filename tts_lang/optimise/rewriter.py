"""A plan under rewriting: a graph of operations that knows the readers of each value.

Plans are immutable trees, so changing one operation means rebuilding everything around it. A
`MutablePlan` holds the same operations as linked `OpNode`s; a rewrite then costs what it touches,
and a plan of thousands of operations takes time that grows linearly with its length. Rules only
read it; `apply` applies their edits; `freeze` returns the plan.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from tts_lang.plan.expr import Const, Expr, Random
from tts_lang.plan.graph import (
    Call,
    Compute,
    Exit,
    Operation,
    Origin,
    Plan,
    Region,
    Repeat,
    Spec,
    Value,
)
from tts_lang.plan.reads import nodes_of


class OpNode:
    """One operation, or the operations that have replaced it."""

    __slots__ = (
        "_expressions",
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
        self.successors: tuple[OpNode, ...] = ()
        self._expressions: tuple[Expr, ...] | None = None

    @property
    def expressions(self) -> tuple[Expr, ...]:
        """Every expression in its spec with all subexpressions; looked up often, so cached."""
        if self._expressions is None:
            self._expressions = tuple(nodes_of(self.spec))
        return self._expressions

    @property
    def draws(self) -> bool:
        """Whether running it uses up random numbers."""
        return any(isinstance(node, Random) for node in self.expressions)


class Block:
    """A region: its parameters and results, its operations, and the operation that holds it."""

    __slots__ = ("exit", "nodes", "owner", "parameters", "results")

    def __init__(
        self, parameters: Sequence[int], nodes: Sequence[OpNode], results: Sequence[int], exit: Exit
    ) -> None:
        self.parameters = tuple(parameters)
        self.nodes = list(nodes)
        self.results = tuple(results)
        self.exit = exit
        self.owner: OpNode | None = None

    def __iter__(self) -> Iterator[OpNode]:
        """Its operations in program order, those that were replaced by their successors."""
        waiting = list(reversed(self.nodes))
        while waiting:
            node = waiting.pop()
            if node.gone:
                waiting.extend(reversed(node.successors))
            else:
                yield node

    @property
    def scope(self) -> Block:
        """The body of the call (or of the plan) in which its operations count (C13)."""
        block = self
        while block.owner is not None and not isinstance(block.owner.spec, Call):
            block = block.owner.block
        return block


#: A reader of a value: an operation, or a region with the value among its results.
User: TypeAlias = "OpNode | Block"


@dataclass(frozen=True, slots=True)
class Edit:
    """A change of the graph.

    Args:
        replaced: Operations, and the successors of each: new ones, or some that stood inside it.
        same: Values that are no longer defined, and those to read instead.
        narrowed: Columns that values no longer have.
        ends: Regions with another end: their results, and how they exit.
        thinks: The plan's `thinks` from now on; unchanged when absent.
    """

    replaced: Mapping[OpNode, tuple[OpNode, ...]]
    same: Mapping[int, int] = field(default_factory=dict)
    narrowed: Mapping[int, frozenset[str]] = field(default_factory=dict)
    ends: Mapping[Block, tuple[tuple[int, ...], Exit]] = field(default_factory=dict)
    thinks: bool | None = None


class MutablePlan:
    """A plan as linked operations."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.values = list(plan.values)
        self.definers: dict[int, OpNode | Block] = {}
        self._users: dict[int, dict[User, None]] = {}
        self.body = self._block(plan.body, None)

    # ------------------------------------------------------------------ reading

    def users(self, value: int) -> tuple[User, ...]:
        """The readers of a value, each once, in the order in which they were added."""
        return tuple(self._users.get(value, ()))

    def definer(self, value: int) -> OpNode | None:
        """The operation that gives a value; `None` for a parameter of a region."""
        node = self.definers.get(value)
        return node if isinstance(node, OpNode) else None

    def read_once(self, value: int) -> bool:
        """Whether a value has one reader, which reads it once."""
        users = self.users(value)
        if len(users) != 1:
            return False
        read = users[0].inputs if isinstance(users[0], OpNode) else users[0].results
        return read.count(value) == 1

    def constant(self, value: int) -> Const | None:
        """The literal that a value is, if it is one."""
        definer = self.definer(value)
        if definer is not None and isinstance(definer.spec, Compute):
            literal = definer.spec.value
            return literal if isinstance(literal, Const) else None
        return None

    def nodes(self, block: Block | None = None) -> Iterator[OpNode]:
        """Every operation inside, in program order, each before those in its regions."""
        for node in block or self.body:
            yield node
            for inner in node.blocks:
                yield from self.nodes(inner)

    def in_scope(self, block: Block, *, looping: bool = False) -> Iterator[tuple[OpNode, bool]]:
        """Operations that count in a block's scope, and whether they may run more than once."""
        for node in block:
            yield node, looping
            if not isinstance(node.spec, Call):
                for inner in node.blocks:
                    repeated = looping or isinstance(node.spec, Repeat)
                    yield from self.in_scope(inner, looping=repeated)

    def new_value(self, like: int, without: frozenset[str] = frozenset()) -> int:
        """A new value of the same kind and name, without some of the columns."""
        value = self.values[like]
        if without and value.columns is not None:
            remaining = {name: kind for name, kind in value.columns.items() if name not in without}
            value = replace(value, columns=remaining)
        return self.add_value(value)

    def add_value(self, value: Value) -> int:
        """A new value, to be defined by an edit."""
        self.values.append(value)
        return len(self.values) - 1

    # ------------------------------------------------------------------ changing

    def apply(self, edit: Edit) -> list[OpNode]:
        """Applies an edit; returns the operations that may match other rules now."""
        touched: list[OpNode] = []
        for node, successors in edit.replaced.items():
            survivors = set(map(id, successors))
            for part in successors:
                for block in part.blocks:
                    survivors.add(id(block))
                    survivors.update(map(id, block))
            for value in node.inputs:
                touched.extend(self._defining(value))
            self._forget(node, survivors)
            node.gone, node.successors = True, successors
            for part in successors:
                self._enter(part, node.block)
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
                remaining = {
                    name: kind for name, kind in old.columns.items() if name not in columns
                }
                self.values[value] = replace(old, columns=remaining)
        if edit.thinks is not None:
            self.plan = replace(self.plan, thinks=edit.thinks)
        return touched

    def _defining(self, value: int) -> Iterator[OpNode]:
        node = self.definer(value)
        if node is not None:
            yield node

    def _forget(self, node: OpNode, survivors: set[int]) -> None:
        """Removes an operation, and those inside it that are not kept, as readers."""
        for value in node.inputs:
            self._users.get(value, {}).pop(node, None)
        for block in node.blocks:
            if id(block) not in survivors:
                for value in block.results:
                    self._users.get(value, {}).pop(block, None)
                for inner in block:
                    if id(inner) not in survivors:
                        self._forget(inner, survivors)

    def _enter(self, node: OpNode, block: Block) -> None:
        node.block = block
        for value in node.inputs:
            self._users.setdefault(value, {})[node] = None
        for value in node.outputs:
            self.definers[value] = node
        for inner in node.blocks:
            inner.owner = node
            for value in inner.parameters:
                self.definers[value] = inner
            for value in inner.results:
                self._users.setdefault(value, {})[inner] = None
            for each in inner:
                self._enter(each, inner)  # some may be new, copied with the region

    def _read_instead(self, value: int, other: int) -> Iterator[OpNode]:
        for user in self._users.pop(value, {}):
            if isinstance(user, OpNode):
                user.inputs = tuple(other if each == value else each for each in user.inputs)
                yield user
            else:
                user.results = tuple(other if each == value else each for each in user.results)
                if user.owner is not None:
                    yield user.owner
            self._users.setdefault(other, {})[user] = None
        yield from self._defining(other)

    # ------------------------------------------------------------------ plans

    def _block(self, region: Region, owner: OpNode | None) -> Block:
        block = Block(region.parameters, (), region.results, region.exit)
        block.owner = owner
        for value in region.parameters:
            self.definers[value] = block
        for operation in region.operations:
            node = OpNode(
                operation.spec, operation.inputs, operation.outputs, (), operation.origins
            )
            node.blocks = tuple(self._block(inner, node) for inner in operation.regions)
            self._enter(node, block)
            block.nodes.append(node)
        for value in region.results:
            self._users.setdefault(value, {})[block] = None
        return block

    def freeze(self) -> Plan:
        """The plan in its present state."""
        return replace(self.plan, body=_region(self.body), values=tuple(self.values))


def _region(block: Block) -> Region:
    operations = tuple(
        Operation(
            node.spec,
            node.inputs,
            node.outputs,
            tuple(_region(inner) for inner in node.blocks),
            node.origins,
        )
        for node in block
    )
    return Region(block.parameters, operations, block.results, block.exit)
