"""Laws of branches and loops that only the prover uses: a run would save nothing by them.

if not C: A else: B   ->   if C: B else: A
"""

from __future__ import annotations

from collections.abc import Iterator

from tts_lang.optimise.rewriter import Block, Edit, MutablePlan, OpNode
from tts_lang.optimise.rules import Declined, Keeps, Match, Pattern, Rule
from tts_lang.plan import graph
from tts_lang.plan.expr import Apply
from tts_lang.plan.graph import Exit

#: Rounds that are written out at most, and operations that they may become.
_MOST_ROUNDS = 8
_MOST_OPERATIONS = 200


def _negated(match: Match) -> Edit | Declined:
    """`if not C` with its sides exchanged."""
    flag = match["flag"]
    value = flag.spec.value if isinstance(flag.spec, graph.Compute) else None
    if not isinstance(value, Apply) or value.function != "not":
        return Declined("its condition is no `not`")
    then, otherwise = match.it.blocks
    plain = match.plan.new_value(flag.outputs[0])
    condition = OpNode(graph.Compute(value.arguments[0]), flag.inputs, (plain,), (), flag.origins)
    node = OpNode(match.it.spec, (plain,), match.it.outputs, (otherwise, then), match.it.origins)
    return Edit({flag: (condition,), match.it: (node,)})


def _equal_sides(match: Match) -> Edit | Declined:
    """One of two sides that do the same."""
    then, otherwise = match.it.blocks
    if not then.exit is otherwise.exit is Exit.YIELD:
        return Declined("a side returns")
    if not _alike(then, otherwise, {}):
        return Declined("its sides differ")
    return Edit({match.it: tuple(then)}, dict(zip(match.it.outputs, then.results, strict=True)))


def _alike(left: Block, right: Block, same: dict[int, int]) -> bool:
    """Whether two regions are equal but for the numbers of values; `same` relates those."""
    same.update(zip(left.parameters, right.parameters, strict=False))
    ours, others = list(left), list(right)
    if len(ours) != len(others) or left.exit is not right.exit:
        return False
    for one, other in zip(ours, others, strict=True):
        inner = len(one.blocks) == len(other.blocks) and len(one.outputs) == len(other.outputs)
        # Numbers that are equal may be a flag and a number, so texts are compared.
        if not inner or repr(one.spec) != repr(other.spec):
            return False
        if tuple(same.get(value, value) for value in one.inputs) != other.inputs:
            return False
        if not all(_alike(*pair, same) for pair in zip(one.blocks, other.blocks, strict=True)):
            return False
        same.update(zip(one.outputs, other.outputs, strict=True))
    return tuple(same.get(value, value) for value in left.results) == right.results


def _unrolled(match: Match) -> Edit | Declined | None:
    """The first round of a loop without a condition, and a loop of the others."""
    node = match.it
    spec, (until, body) = node.spec, node.blocks
    assert isinstance(spec, graph.Repeat)
    if spec.trips < 2:
        return None
    ends = match.plan.constant(until.results[0])
    if ends is None or ends.value is True or body.exit is not Exit.YIELD:
        return Declined("it may end before its last round")
    size = sum(1 for _ in match.plan.nodes(body))
    if spec.trips > _MOST_ROUNDS or spec.trips * size > _MOST_OPERATIONS:
        return Declined(f"it has {spec.trips} rounds of {size} operations")
    start = dict(zip(body.parameters, node.inputs, strict=True))
    first = tuple(_copied(body, match.plan, start))
    carried = tuple(start.get(value, value) for value in body.results)
    again = OpNode(graph.Repeat(spec.trips - 1), carried, node.outputs, (until, body), node.origins)
    return Edit({node: (*first, again)})


def _copied(block: Block, plan: MutablePlan, names: dict[int, int]) -> Iterator[OpNode]:
    """The operations of a region once more, with new values; `names` says what they are called."""
    for node in block:
        inputs = tuple(names.get(value, value) for value in node.inputs)
        blocks = []
        for inner in node.blocks:
            names.update({value: plan.new_value(value) for value in inner.parameters})
            nodes = list(_copied(inner, plan, names))
            blocks.append(
                Block(
                    tuple(names[value] for value in inner.parameters),
                    nodes,
                    tuple(names.get(value, value) for value in inner.results),
                    inner.exit,
                )
            )
        names.update({value: plan.new_value(value) for value in node.outputs})
        outputs = tuple(names[value] for value in node.outputs)
        yield OpNode(node.spec, inputs, outputs, blocks, node.origins)


BRANCH_LAWS = (
    Rule(
        "negated-branch",
        Pattern((graph.Branch,), inputs=(Pattern((graph.Compute,), "flag", sole=True),)),
        _negated,
        "`not` is true where a condition is false or missing, as `else` is taken there (C37, C38)",
        Keeps.ANSWER,
    ),
    Rule(
        "equal-sides",
        Pattern((graph.Branch,)),
        _equal_sides,
        "one side runs, and both do the same (C7)",
        Keeps.ANSWER,
    ),
    Rule(
        "loop-unrolled",
        Pattern((graph.Repeat,)),
        _unrolled,
        "a loop of k rounds is a round and a loop of the others: all count in one scope (C7, C46)",
        Keeps.ANSWER,
    ),
)
