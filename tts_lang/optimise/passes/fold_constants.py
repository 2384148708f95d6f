"""Literals are propagated, and the branches and loops that they decide are resolved.

%1 = sample 4; %2 = 3; repeat 1 from %1: ...   ->   the round itself, with 3 in place of %2
"""

from __future__ import annotations

from collections.abc import Mapping

from tts_lang.optimise.passes.branch_laws import BRANCH_LAWS
from tts_lang.optimise.rebuild import mapped, rebuilt
from tts_lang.optimise.rewriter import Block, Edit, OpNode
from tts_lang.optimise.rules import Declined, Keeps, Match, Pass, Pattern, Rule
from tts_lang.plan import graph
from tts_lang.plan.constants import fold
from tts_lang.plan.expr import Apply, Column, Const, Expr, Input
from tts_lang.plan.graph import Exit, Spec
from tts_lang.plan.reads import nodes_of


def _known_input(match: Match) -> Edit | Declined | None:
    """Literals in place of inputs that are literals."""
    node = match.it
    literals: Mapping[int, Const] = {
        index: literal
        for index, value in enumerate(node.inputs)
        if (literal := match.plan.constant(value)) is not None
    }
    if not literals:
        return None

    def change(part: Expr) -> Expr:
        return literals.get(part.index, part) if isinstance(part, Input) else part

    return _changed(match, mapped(node.spec, lambda outer: rebuilt(outer, change)))


def _folded(match: Match) -> Edit | Declined | None:
    """Functions of literals in place of their values."""
    if not any(isinstance(part, Apply) for part in match.it.expressions):
        return None
    return _changed(match, mapped(match.it.spec, lambda outer: rebuilt(outer, _value)))


def _changed(match: Match, spec: Spec) -> Edit | Declined | None:
    """The operation with literals in its expressions."""
    node = match.it
    if spec is node.spec:
        return None
    if canonical_comparisons(spec) > canonical_comparisons(node.spec):
        return Declined("`answer` is compared with a literal text by canonical form (C42)")
    return match.respecified(spec)


def canonical_comparisons(spec: Spec) -> int:
    """Comparisons of `answer` with a literal text, which are by canonical form (C42).

    A text that is computed is compared as it is, so it must not become a literal there.
    """
    return sum(
        isinstance(node, Apply)
        and node.function in ("==", "!=")
        and Column("answer") in node.arguments
        and any(isinstance(each, Const) and isinstance(each.value, str) for each in node.arguments)
        for node in nodes_of(spec)
    )


def _value(node: Expr) -> Expr:
    if not isinstance(node, Apply):
        return node
    function, arguments = node.function, node.arguments
    first = arguments[0]
    if function == "if" and isinstance(first, Const):
        return arguments[1] if first.value is True else arguments[2]
    if function in ("and", "or"):
        return _logic(function, arguments[0], arguments[1], node)
    folded = fold(function, *arguments)
    return node if isinstance(folded, Apply) else folded


def _logic(function: str, left: Expr, right: Expr, node: Expr) -> Expr:
    """Only a flag that decides: the other side may still be missing, which is not false."""
    decides = function == "or"
    for side in (left, right):
        if isinstance(side, Const) and (side.value is True) is decides:
            return Const(decides)
    if isinstance(left, Const) and isinstance(right, Const):
        return Const(not decides)
    return node


def _branch(match: Match) -> Edit | Declined:
    """The side that is taken, in place of the branch."""
    flag = match.plan.constant(match.it.inputs[0])
    if flag is None:
        return Declined("its condition is only known at run time")
    side = match.it.blocks[0 if flag.value is True else 1]
    if side.exit is not Exit.YIELD:
        return _returning(match.it, side)
    return Edit({match.it: tuple(side)}, dict(zip(match.it.outputs, side.results, strict=True)))


def _returning(node: OpNode, side: Block) -> Edit | Declined:
    """A side that returns ends the region that the branch stands in."""
    block = node.block
    after = list(block)
    after = after[after.index(node) + 1 :]
    if block.exit is Exit.YIELD or (after and block.exit is Exit.NEVER):
        return Declined("the side returns from inside another branch or loop")
    replaced = {**dict.fromkeys(after, ()), node: tuple(side)}
    return Edit(replaced, ends={block: (side.results, side.exit)})


def _no_round(match: Match) -> Edit | Declined | None:
    """The carried values, in place of a loop that runs no round."""
    spec, until = match.it.spec, match.it.blocks[0]
    assert isinstance(spec, graph.Repeat)
    ended = match.plan.constant(until.results[0])
    if spec.trips > 0 and not (ended and ended.value is True):
        return Declined("it may run a round")
    return Edit({match.it: ()}, dict(zip(match.it.outputs, match.it.inputs, strict=True)))


def _one_round(match: Match) -> Edit | Declined | None:
    """The round itself, after its condition, in place of a loop of at most one round."""
    node = match.it
    spec, (until, body) = node.spec, node.blocks
    assert isinstance(spec, graph.Repeat)
    if spec.trips != 1:
        return Declined(f"it may run {spec.trips} rounds") if spec.trips else None
    if body.exit is not Exit.YIELD:
        return Declined("its round returns")
    start = dict(zip((*until.parameters, *body.parameters), node.inputs * 2, strict=True))
    ends = match.plan.constant(until.results[0])
    if ends is not None and ends.value is not True:
        return Edit({node: tuple(body)}, {**start, **_outputs(node, body)})
    ended = Block((), (), node.inputs, Exit.YIELD)
    round_ = Block((), tuple(body), body.results, body.exit)
    flag = until.results[0]
    branch = OpNode(graph.Branch(), (flag,), node.outputs, (ended, round_), node.origins)
    return Edit({node: (*until, branch)}, start)


def _outputs(node: OpNode, body: Block) -> dict[int, int]:
    return dict(zip(node.outputs, body.results, strict=True))


def _only_call(match: Match) -> Edit | None:
    """The called strategy in place of one that does nothing else."""
    node, body = match.it, match.plan.body
    spec = node.spec
    assert isinstance(spec, graph.Call)
    alone = node.block is body and len(list(body)) == 1 and body.exit is Exit.RETURN
    if not alone or spec.on_rows or spec.fresh or body.results != node.outputs:
        return None
    if node.inputs != body.parameters:
        return None
    (called,) = node.blocks
    same = dict(zip(called.parameters, body.parameters, strict=True))
    ends = {body: (called.results, called.exit)}
    return Edit({node: tuple(called)}, same, ends=ends, thinks=spec.thinks)


FOLD_CONSTANTS = Pass(
    "fold_constants",
    (
        Rule(
            "known-number",
            Pattern(),
            _known_input,
            "an expression reads the same number whether it is computed before or written in it",
        ),
        Rule(
            "constant-folded",
            Pattern(),
            _folded,
            "the functions are the executor's own (C47); exp and log are left to it (C44)",
        ),
        Rule(
            "branch-settled",
            Pattern((graph.Branch,)),
            _branch,
            "a branch not taken counts nothing (C7); a missing condition takes `else` (C38)",
        ),
        Rule(
            "loop-without-rounds",
            Pattern((graph.Repeat,)),
            _no_round,
            "`until` is read before every round, the first included (C46)",
        ),
        Rule(
            "loop-of-one-round",
            Pattern((graph.Repeat,)),
            _one_round,
            "after the last round nothing is read (C46), so one round is a branch on `until`",
        ),
        Rule(
            "only-a-call",
            Pattern((graph.Call,)),
            _only_call,
            "a strategy that only calls another on the problem is that other (C13)",
            Keeps.ANSWER,
        ),
        *BRANCH_LAWS,
    ),
)
