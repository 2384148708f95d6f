"""Rules: a name, a pattern, a replacement, the property it keeps, and the law that proves it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from tts_lang.optimise.analyses import Analyses
from tts_lang.optimise.rebuild import without_unread
from tts_lang.optimise.rewriter import Edit, MutablePlan, OpNode
from tts_lang.plan.graph import Origin, Spec
from tts_lang.plan.operator import entry

#: Origins recorded for an operation that replaces others.
_MOST_ORIGINS = 8


@dataclass(frozen=True, slots=True)
class Pattern:
    """The operations that a rule applies to.

    Args:
        ops: The operators that fit; any when empty.
        name: What a match calls the operation.
        inputs: What must define its first inputs: operations of the same region, so that they run
            equally often; `None` for anything.
        sole: Nothing else reads its outputs.
    """

    ops: tuple[type[Spec], ...] = ()
    name: str = "it"
    inputs: tuple[Pattern | None, ...] = ()
    sole: bool = False


class Keeps(Enum):
    """The property that a rewrite keeps."""

    TEXTS = "texts"  # answer, texts, scores that are read, child numbers; and costs at most as much
    ANSWER = "answer"  # the answer; a row may lie elsewhere, or come with other rows


@dataclass(frozen=True, slots=True)
class Match:
    """Operations that fit a pattern, by its names, and the (read-only) plan and analyses."""

    nodes: Mapping[str, OpNode]
    plan: MutablePlan
    analyses: Analyses

    def __getitem__(self, name: str) -> OpNode:
        return self.nodes[name]

    @property
    def it(self) -> OpNode:
        """The operation that the pattern starts from."""
        return self.nodes["it"]

    def removed(self, value: int) -> Edit:
        """The operation removed, its one output read from `value`."""
        return Edit({self.it: ()}, {self.it.outputs[0]: value})

    def respecified(self, spec: Spec) -> Edit:
        """The operation with other clauses, and without inputs that they no longer read."""
        it = self.it
        spec, inputs = without_unread(spec, it.inputs, len(entry(spec).inputs))
        return Edit({it: (OpNode(spec, inputs, it.outputs, it.blocks, it.origins),)})


@dataclass(frozen=True, slots=True)
class Declined:
    """The pattern fits, but the law does not hold here, and why."""

    why: str


#: A rule's edit, why it declines, or `None` where there is nothing to do.
Replacement: TypeAlias = Callable[[Match], "Edit | Declined | None"]


@dataclass(frozen=True, slots=True)
class Rule:
    """One rewrite.

    Args:
        name: Shown by EXPLAIN; every name occurs in a golden case.
        pattern: What it applies to.
        replacement: The change, or why there is none.
        law: One line: why the rewrite is sound.
        keeps: What it keeps.
    """

    name: str
    pattern: Pattern
    replacement: Replacement
    law: str
    keeps: Keeps = Keeps.TEXTS


@dataclass(frozen=True, slots=True)
class Pass:
    """Rules that are tried together until none fires; `--no-pass NAME` omits them."""

    name: str
    rules: tuple[Rule, ...]


def matched(pattern: Pattern, node: OpNode, plan: MutablePlan) -> dict[str, OpNode] | str | None:
    """The operations by name; a text says which input of the first operation does not fit.

    `None`: not even the first one fits.
    """
    if pattern.ops and not isinstance(node.spec, pattern.ops):
        return None
    nodes = {pattern.name: node}
    for place, producer in enumerate(pattern.inputs):
        if producer is None:
            continue
        if place >= len(node.inputs):
            return f"no input {place}"
        before = plan.definer(node.inputs[place])
        expected = " or ".join(op.op for op in producer.ops)
        if before is None:
            return f"not of {expected}, but a parameter of a region"
        inner = matched(producer, before, plan)
        if inner is None:
            return f"not of {expected}, but of {before.spec.op}"
        if isinstance(inner, str):
            return inner
        if before.block is not node.block:
            return f"of {expected} in another region, which may run less or more often"
        if producer.sole and any(
            user is not node or node.inputs.count(value) > 1
            for value in before.outputs
            for user in plan.users(value)
        ):
            return f"the result of the {before.spec.op} is read elsewhere too"
        nodes.update(inner)
    return nodes


def origins(*nodes: OpNode) -> tuple[Origin, ...]:
    """The origins of several operations, so that errors still point into the strategy's file."""
    return tuple(dict.fromkeys(_origins(nodes)))[:_MOST_ORIGINS]


def _origins(nodes: tuple[OpNode, ...]) -> Iterator[Origin]:
    for node in nodes:
        yield from node.origins
