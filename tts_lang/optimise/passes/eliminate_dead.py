"""Dead code elimination: unread scores and columns, operations that the answer does not need.

%2 = score %1 by prm; %3 = vote %2   ->   %3 = vote %1
"""

from __future__ import annotations

from tts_lang.optimise.rewriter import Block, Edit, OpNode
from tts_lang.optimise.rules import Declined, Match, Pass, Pattern, Rule
from tts_lang.plan import graph
from tts_lang.plan.graph import Exit


def _unread_score(match: Match) -> Edit | Declined:
    """A score column that no needed operation reads."""
    spec = match.it.spec
    assert isinstance(spec, graph.Score)
    if match.analyses.live.column(match.it.outputs[0], spec.scorer):
        return Declined("its column is read")
    if match.it.draws:
        return Declined("its arguments draw random numbers, and later draws count from there")
    if match.analyses.saves_reading(match.it):
        return Declined("several later scorings continue from what this one reads (C32)")
    return _without_column(match, spec.scorer)


def _unread_column(match: Match) -> Edit | Declined:
    """A `let` that no needed operation reads."""
    spec = match.it.spec
    assert isinstance(spec, graph.Let)
    if match.analyses.live.column(match.it.outputs[0], spec.name):
        return Declined("its column is read")
    if match.it.draws:
        return Declined("it draws random numbers, and later draws count from there")
    return _without_column(match, spec.name)


def _without_column(match: Match, name: str) -> Edit:
    """Drops the column, and its type in every pool derived from this one."""
    plan, live = match.plan, match.analyses.live
    source, output = match.it.inputs[0], match.it.outputs[0]
    narrowed: dict[int, frozenset[str]] = {}
    before = plan.values[source].columns
    if before is not None and name not in before:
        waiting = [output]
        while waiting:
            value = waiting.pop()
            columns = plan.values[value].columns
            if value in narrowed or not columns or name not in columns or live.column(value, name):
                continue
            narrowed[value] = frozenset((name,))
            for user in plan.users(value):
                waiting.extend(_derived(user))
    return Edit({match.it: ()}, {output: source}, narrowed)


def _derived(user: OpNode | Block) -> tuple[int, ...]:
    """Pools that a reader may derive from a pool."""
    if isinstance(user, OpNode):
        inside = (parameter for block in user.blocks for parameter in block.parameters)
        return (*user.outputs, *inside)
    owner = user.owner
    if owner is None or user.exit is not Exit.YIELD:
        return ()
    return (*owner.outputs, *(each for block in owner.blocks for each in block.parameters))


def _dead(match: Match) -> Edit | None:
    """An unneeded operation, which counts nothing that others continue from."""
    if match.analyses.live.needed(match.it):
        return None
    return Edit({match.it: ()})


def _carried(match: Match) -> Edit | None:
    """Variables that a loop or branch carries and nothing reads, inside or after it."""
    node, live = match.it, match.analyses.live
    defined = (node.outputs, *(block.parameters for block in node.blocks if block.parameters))
    dead = {
        place
        for place, values in enumerate(zip(*defined, strict=True))
        if not any(live.read(value) for value in values)
    }
    if not dead or not live.needed(node):
        return None

    def left(values: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(value for place, value in enumerate(values) if place not in dead)

    loops = isinstance(node.spec, graph.Repeat)
    blocks: list[Block] = []
    for block in node.blocks:
        condition = loops and not blocks
        yields = block.exit is Exit.YIELD and not condition
        results = left(block.results) if yields else block.results
        blocks.append(Block(left(block.parameters), tuple(block), results, block.exit))
    inputs = left(node.inputs) if loops else node.inputs
    return Edit({node: (OpNode(node.spec, inputs, left(node.outputs), blocks, node.origins),)})


def _unchanged(match: Match) -> Edit | None:
    """Variables that every round passes on as they are."""
    node = match.it
    until, body = node.blocks
    if body.exit is not Exit.YIELD:
        return None
    same: dict[int, int] = {}
    for place, start in enumerate(node.inputs):
        if body.results[place] == body.parameters[place]:
            places = (until.parameters[place], body.parameters[place], node.outputs[place])
            same.update(dict.fromkeys(places, start))
    if not same:
        return None

    def left(values: tuple[int, ...]) -> tuple[int, ...]:
        pairs = zip(values, body.parameters, strict=True)
        return tuple(value for value, parameter in pairs if parameter not in same)

    blocks = (
        Block(left(until.parameters), tuple(until), until.results, until.exit),
        Block(left(body.parameters), tuple(body), left(body.results), body.exit),
    )
    loop = OpNode(node.spec, left(node.inputs), left(node.outputs), blocks, node.origins)
    return Edit({node: (loop,)}, same)


ELIMINATE_DEAD = Pass(
    "eliminate_dead",
    (
        Rule(
            "unread-score",
            Pattern((graph.Score,)),
            _unread_score,
            "a score changes its column and nothing else (C29); a removed one cannot fail (C57)",
        ),
        Rule(
            "unread-column",
            Pattern((graph.Let,)),
            _unread_column,
            "`let` adds a column and nothing else (C29)",
        ),
        Rule(
            "dead-operation",
            Pattern(),
            _dead,
            "it counts no child, copy, draw or resampling that others continue from (C2, C7, C12)",
        ),
        Rule(
            "unread-variable",
            Pattern((graph.Repeat, graph.Branch)),
            _carried,
            "what no operation reads need not be carried",
        ),
        Rule(
            "unchanged-variable",
            Pattern((graph.Repeat,)),
            _unchanged,
            "a value that no round changes need not be carried",
        ),
    ),
)
