"""Several expansions become one.

    %2 = expand %1 by 4 steps; %3 = expand %2 by 1 solutions   ->   %3 = expand %1 by 4 solutions

The first child inherits its parent's stream, and a step ends with a token that is kept whole, so
what is drawn next does not depend on where the cuts are (claim 3 of semantics.md). Limits of one
call start again with each, so operations with such limits are left alone. Whatever is joined, every
child keeps its number.
"""

from __future__ import annotations

from dataclasses import replace
from math import isinf

from tts_lang.optimise.analyses import fixed
from tts_lang.optimise.rebuild import without_unread
from tts_lang.optimise.rewriter import Edit, OpNode
from tts_lang.optimise.rules import Declined, Keeps, Match, Pass, Pattern, Rule, origins
from tts_lang.plan import graph
from tts_lang.plan.constants import literal_number
from tts_lang.plan.expr import Const, Expr
from tts_lang.plan.graph import Amount, Decoding, Exit, Unit
from tts_lang.plan.operator import entry
from tts_lang.plan.rows import literal_count


def limited(decoding: Decoding) -> str | None:
    """The clause that starts again with every call, if there is one."""
    for clause, value in (
        ("max", decoding.max_tokens),
        ("at least", decoding.at_least),
        ("stop at", decoding.stop_at),
        ("stop when", decoding.stop_when),
        ("end when", decoding.end_when),
        ("likeliest", decoding.likeliest or None),
        ("matching", decoding.matching or None),
        ("one of", decoding.one_of or None),
    ):
        if value is not None:
            return clause
    return None


def _one_each(node: OpNode) -> bool:
    spec = node.spec
    if not isinstance(spec, graph.Expand) or spec.deal:
        return False
    return literal_count(spec.amount.count) == 1


def _count(clause: Expr) -> int | None:
    """A literal count, if it is finite."""
    count = literal_count(clause)
    return None if count is None or isinf(count) else int(count)


def _quiet(node: OpNode) -> bool:
    """It neither numbers nor draws anything, and holds no regions."""
    return entry(node.spec).pure and not node.draws


def _together(first: Amount, then: Amount) -> Amount | None:
    """The amount of both, one after the other; `None` if no single amount says that."""
    if then.unit is Unit.SOLUTIONS:
        return Amount(first.count)
    if first.unit is not then.unit or first.unit not in (Unit.STEPS, Unit.TOKENS):
        return None
    lengths = [Const(1) if part.length is None else part.length for part in (first, then)]
    numbers = [literal_number(length) for length in lengths]
    if not all(isinstance(number, int) and number >= 1 for number in numbers):
        return None
    return Amount(first.count, first.unit, Const(sum(number or 0 for number in numbers)))


def _why_not(match: Match, first: OpNode, then: OpNode) -> Declined | None:
    """Why two generations are not one longer one."""
    assert isinstance(first.spec, graph.Expand | graph.Ask)
    assert isinstance(then.spec, graph.Expand)
    if not _one_each(then):
        return Declined("the second gives other than one child each")
    decoding = then.spec.decoding
    if first.spec.decoding != decoding:
        return Declined("the two sample in different ways")
    if not fixed(decoding):
        return Declined("how they sample is only known at run time")
    clause = limited(decoding)
    if clause is not None:
        return Declined(f"`{clause}` is a limit of each call")
    if match.analyses.calls(then.block):
        return Declined("rows of a call may lie on the nodes in between (C13)")
    for node in (first, then):
        if match.analyses.shared(node):
            return Declined("another operation may ask for the same generation (C62)")
    history = match.analyses.history
    return Declined(history) if history is not None else None


def _chain(match: Match) -> Edit | Declined:
    """One generation in place of two."""
    then, first = match.it, match["first"]
    why = _why_not(match, first, then)
    if why is not None:
        return why
    assert isinstance(first.spec, graph.Expand | graph.Ask)
    assert isinstance(then.spec, graph.Expand)
    amount = _together(first.spec.amount, then.spec.amount)
    if amount is None:
        return Declined("no one unit says how far both go")
    spec, inputs = without_unread(
        replace(first.spec, amount=amount), first.inputs, len(entry(first.spec).inputs)
    )
    fused = OpNode(spec, inputs, then.outputs, (), origins(first, then))
    # In the place of the first: there its children are numbered among their siblings (C7).
    return Edit({first: (fused,), then: ()})


def _loop(match: Match) -> Edit | Declined:
    """The expansion to the end alone, in place of it and a loop of single ones before."""
    then, loop = match.it, match["loop"]
    until, body = loop.blocks
    inside = list(body)
    if len(inside) != 1 or not isinstance(inside[0].spec, graph.Expand):
        return Declined("the loop does other things than expand")
    (step,) = inside
    if len(body.parameters) != 1 or body.results != step.outputs:
        return Declined("the loop carries other values than what it expands")
    if step.inputs[:1] != body.parameters or not _one_each(step):
        return Declined("a round gives other than one child each")
    assert isinstance(then.spec, graph.Expand)
    if then.spec.amount.unit is not Unit.SOLUTIONS:
        return Declined("the expansion after the loop does not continue to the end")
    if not all(map(_quiet, until)):
        return Declined("the loop's condition generates or counts")
    if _numbers_between(loop, then):
        return Declined("children are numbered between the loop and the expansion after it")
    why = _why_not(match, step, then)
    if why is not None:
        return why
    fused = OpNode(
        then.spec, (*loop.inputs, *then.inputs[1:]), then.outputs, (), origins(step, then)
    )
    return Edit({loop: (fused,), then: ()})


def _branch(match: Match) -> Edit | Declined:
    """The expansion to the end alone, in place of it and a step that one side takes before."""
    then, branch = match.it, match["branch"]
    sides = [(list(block), block) for block in branch.blocks if block.exit is Exit.YIELD]
    if sorted(len(nodes) for nodes, _ in sides) != [0, 1] or len(branch.outputs) != 1:
        return Declined("the branch does other things than expand on one side")
    (_, plain), (nodes, other) = sorted(sides, key=lambda side: len(side[0]))
    (step,) = nodes
    if other.results != step.outputs or step.inputs[:1] != plain.results or not _one_each(step):
        return Declined("the sides are not a pool and its rows with one child each")
    assert isinstance(then.spec, graph.Expand)
    if then.spec.amount.unit is not Unit.SOLUTIONS:
        return Declined("the expansion after the branch does not continue to the end")
    if _numbers_between(branch, then):
        return Declined("children are numbered between the branch and the expansion after it")
    why = _why_not(match, step, then)
    if why is not None:
        return why
    fused = OpNode(then.spec, plain.results, then.outputs, (), origins(step, then))
    return Edit({branch: (fused,), then: ()})


def _numbers_between(first: OpNode, then: OpNode) -> bool:
    """Whether an operation between the two may number children of the same rows (C7).

    A loop that runs no round numbers nothing, and neither does the other side of a branch, so those
    would come first.
    """
    between = False
    for node in then.block:
        if node is then:
            return False
        if between and (node.blocks or isinstance(node.spec, graph.Expand)):
            return True
        between |= node is first
    return False


def _dealt(match: Match) -> Edit | Declined | None:
    """`expand P to n` of one row is `expand P by n`."""
    spec = match.it.spec
    assert isinstance(spec, graph.Expand)
    if not spec.deal:
        return None
    if spec.per is not None:
        return Declined("a row without a key gets no children")
    if match.it.draws:
        return Declined("its weights draw random numbers, and later draws count from there")
    if match.analyses.rows.of(match.it.inputs[0]).high > 1:
        return Declined("the pool may have several rows")
    return match.respecified(replace(spec, deal=False, weight=None, rounding_up=False))


def _expanded_copies(match: Match) -> Edit | Declined:
    """`expand problem by k * m` in place of `fork problem into k`, then `expand by m`.

    Only for the problem: a done row would pass once, its copies k times. With m > 1 the children of
    a copy are one tree.
    """
    then, copying = match.it, match["copies"]
    spec, fork = then.spec, copying.spec
    assert isinstance(spec, graph.Expand)
    assert isinstance(fork, graph.Fork)
    copies, children = _count(fork.count), _count(spec.amount.count)
    if copies is None or children is None or not fixed((spec.amount, spec.decoding)):
        return Declined("how many there are is only known at run time")
    if spec.deal or spec.decoding.within is not None or spec.decoding.likeliest:
        return Declined("children are dealt or limited")
    if not match.analyses.rows.of(copying.inputs[0]).problem:
        return Declined("the copies are not the problem's")
    if match.analyses.copies is not None:
        return Declined(match.analyses.copies)
    if children != 1 and match.analyses.roots:
        return Declined("`root` is read")
    amount = replace(spec.amount, count=Const(copies * children))
    fused = OpNode(
        replace(spec, amount=amount), copying.inputs[:1], then.outputs, (), origins(copying, then)
    )
    return Edit({copying: (), then: (fused,)})


def _two_parts(match: Match) -> Edit | Declined:
    """`expand P by a + b` of one row in place of `expand P by a`, `expand P by b` and their union.

    More rows would come in another order.
    """
    union, first, second = match.it, match["first"], match["second"]
    one, two = first.spec, second.spec
    assert isinstance(one, graph.Expand)
    assert isinstance(two, graph.Expand)
    a, b = _count(one.amount.count), _count(two.amount.count)
    order = list(union.block)
    if a is None or b is None or not fixed((one.amount, one.decoding)):
        return Declined("how many there are is only known at run time")
    if one.deal or one.decoding.likeliest:
        return Declined("children are dealt or limited")
    alike = replace(two, amount=replace(two.amount, count=one.amount.count))
    if first is second or repr(alike) != repr(one):
        return Declined("the two sample in different ways")
    if first.inputs[0] != second.inputs[0] or match.analyses.rows.of(first.inputs[0]).high > 1:
        return Declined("the two do not expand one and the same row")
    if order.index(first) > order.index(second) or not all(
        map(_quiet, order[order.index(first) + 1 : order.index(second)])
    ):
        return Declined("something between the two may number children")
    spec = replace(one, amount=replace(one.amount, count=Const(a + b)))
    fused = OpNode(spec, first.inputs, union.outputs, (), origins(first, second, union))
    return Edit({first: (fused,), second: (), union: ()})


_EXPAND = (graph.Expand,)

FUSE_EXPANSIONS = Pass(
    "fuse_expansions",
    (
        Rule(
            "dealt-to-one",
            Pattern(_EXPAND),
            _dealt,
            "children dealt to a single row all go to it (C18, C20)",
        ),
        Rule(
            "expanded-copies",
            Pattern(_EXPAND, inputs=(Pattern((graph.Fork,), "copies", sole=True),)),
            _expanded_copies,
            "copies count on their node: fork into k, expand by m is expand by k * m (C3)",
            Keeps.ANSWER,
        ),
        Rule(
            "sampled-in-two-parts",
            Pattern(
                (graph.Union,),
                inputs=(
                    Pattern(_EXPAND, "first", sole=True),
                    Pattern(_EXPAND, "second", sole=True),
                ),
            ),
            _two_parts,
            "numbers continue where they stopped: sample a, then b, is sample a + b (C2)",
            Keeps.ANSWER,
        ),
        Rule(
            "chain-fused",
            Pattern(_EXPAND, inputs=(Pattern((graph.Expand, graph.Ask), "first", sole=True),)),
            _chain,
            "child 0 continues its parent's stream, wherever the cut is (claim 3, C23, C25)",
        ),
        Rule(
            "loop-fused",
            Pattern(_EXPAND, inputs=(Pattern((graph.Repeat,), "loop", sole=True),)),
            _loop,
            "however many single steps come first, continuing to the end gives the same (claim 3)",
        ),
        Rule(
            "branch-fused",
            Pattern(_EXPAND, inputs=(Pattern((graph.Branch,), "branch", sole=True),)),
            _branch,
            "with a single step first or without, continuing to the end gives the same (claim 3)",
        ),
    ),
)
