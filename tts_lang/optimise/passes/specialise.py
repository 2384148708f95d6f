"""Numbers that are known, and the branches and loops that they decide.

%1 = sample 4; %2 = 3; repeat 1 from %1: ...   ->   the round itself, with 3 in place of %2
"""

from __future__ import annotations

from collections.abc import Mapping

from tts_lang.optimise.rebuild import mapped, rebuilt, without_unread
from tts_lang.optimise.rules import Declined, Match, Pass, Pattern, Rule
from tts_lang.optimise.workspace import Block, Edit, Site, Workspace
from tts_lang.plan import graph
from tts_lang.plan.constants import fold
from tts_lang.plan.expr import Apply, Const, Expr, Input
from tts_lang.plan.graph import Exit
from tts_lang.plan.operator import entry


def known(value: int, work: Workspace) -> Const | None:
    """What a value is, if a `Compute` gives it as a literal."""
    definer = work.definer(value)
    if definer is not None and isinstance(definer.spec, graph.Compute):
        found = definer.spec.value
        return found if isinstance(found, Const) else None
    return None


def _known_input(match: Match) -> Edit | None:
    """Literals in place of inputs that are literals."""
    site = match.it
    literals: Mapping[int, Const] = {
        index: literal
        for index, value in enumerate(site.inputs)
        # The executor compares `answer` with a literal text by canonical form, so texts stay.
        if (literal := known(value, match.work)) and not isinstance(literal.value, str)
    }
    if not literals:
        return None

    def change(node: Expr) -> Expr:
        return literals.get(node.index, node) if isinstance(node, Input) else node

    spec = mapped(site.spec, lambda expression: rebuilt(expression, change))
    if spec is site.spec:
        return None
    spec, inputs = without_unread(spec, site.inputs, len(entry(spec).inputs))
    return Edit({site: (Site(spec, inputs, site.outputs, site.blocks, site.origins),)})


def _folded(match: Match) -> Edit | None:
    """Functions of literals in place of their values."""
    site = match.it
    if not any(isinstance(node, Apply) for node in site.nodes):
        return None
    spec = mapped(site.spec, lambda expression: rebuilt(expression, _value))
    if spec is site.spec:
        return None
    spec, inputs = without_unread(spec, site.inputs, len(entry(spec).inputs))
    return Edit({site: (Site(spec, inputs, site.outputs, site.blocks, site.origins),)})


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
    flag = known(match.it.inputs[0], match.work)
    if flag is None:
        return Declined("its condition is only known when it runs")
    side = match.it.blocks[0 if flag.value is True else 1]
    if side.exit is not Exit.YIELD:
        return _returning(match.it, side)
    return Edit({match.it: tuple(side)}, dict(zip(match.it.outputs, side.results, strict=True)))


def _returning(site: Site, side: Block) -> Edit | Declined:
    """A side that returns ends the region that the branch stands in."""
    block = site.block
    behind = list(block)
    behind = behind[behind.index(site) + 1 :]
    if block.exit is Exit.YIELD or (behind and block.exit is Exit.NEVER):
        return Declined("the side returns from inside another branch or loop")
    replaced = {**dict.fromkeys(behind, ()), site: tuple(side)}
    return Edit(replaced, ends={block: (side.results, side.exit)})


def _no_round(match: Match) -> Edit | Declined | None:
    """What is carried, in place of a loop that runs no round."""
    spec, until = match.it.spec, match.it.blocks[0]
    assert isinstance(spec, graph.Repeat)
    ended = known(until.results[0], match.work)
    if spec.trips > 0 and not (ended and ended.value is True):
        return Declined("it may run a round")
    return Edit({match.it: ()}, dict(zip(match.it.outputs, match.it.inputs, strict=True)))


def _one_round(match: Match) -> Edit | Declined | None:
    """The round itself, behind its condition, in place of a loop that runs at most one."""
    site = match.it
    spec, (until, body) = site.spec, site.blocks
    assert isinstance(spec, graph.Repeat)
    if spec.trips != 1:
        return Declined(f"it may run {spec.trips} rounds") if spec.trips else None
    if body.exit is not Exit.YIELD:
        return Declined("its round returns")
    given = dict(zip((*until.parameters, *body.parameters), site.inputs * 2, strict=True))
    asked = known(until.results[0], match.work)
    if asked is not None and asked.value is not True:
        return Edit({site: tuple(body)}, {**given, **_outputs(site, body)})
    ended = Block((), (), site.inputs, Exit.YIELD)
    round_ = Block((), tuple(body), body.results, body.exit)
    flag = until.results[0]
    branch = Site(graph.Branch(), (flag,), site.outputs, (ended, round_), site.origins)
    return Edit({site: (*until, branch)}, given)


def _outputs(site: Site, body: Block) -> dict[int, int]:
    return dict(zip(site.outputs, body.results, strict=True))


SPECIALISE = Pass(
    "specialise",
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
    ),
)
