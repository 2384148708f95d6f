"""What the answer does not need: scores and computed columns that nobody reads, dead operations.

%2 = score %1 by prm; %3 = vote %2   ->   %3 = vote %1
"""

from __future__ import annotations

from tts_lang.optimise.facts.effects import draws
from tts_lang.optimise.rules import Declined, Match, Pass, Pattern, Rule
from tts_lang.optimise.workspace import Block, Edit, Site
from tts_lang.plan import graph
from tts_lang.plan.graph import Exit


def _unread_score(match: Match) -> Edit | Declined:
    """A score column that no needed operation reads."""
    spec = match.it.spec
    assert isinstance(spec, graph.Score)
    if match.facts.live.column(match.it.outputs[0], spec.scorer):
        return Declined("its column is read")
    if draws(match.it):
        return Declined("its arguments draw random numbers, and later draws count from there")
    if match.facts.reuse.saves_reading(match.it):
        return Declined("several later scorings go on from what this one reads (C32)")
    return _without_column(match, spec.scorer)


def _unread_column(match: Match) -> Edit | Declined:
    """A `let` that no needed operation reads."""
    spec = match.it.spec
    assert isinstance(spec, graph.Let)
    if match.facts.live.column(match.it.outputs[0], spec.name):
        return Declined("its column is read")
    if draws(match.it):
        return Declined("it draws random numbers, and later draws count from there")
    return _without_column(match, spec.name)


def _without_column(match: Match, name: str) -> Edit:
    """The rows as they were; pools made of them lose the column, which nobody reads there."""
    work, live = match.work, match.facts.live
    source, output = match.it.inputs[0], match.it.outputs[0]
    narrowed: dict[int, frozenset[str]] = {}
    before = work.values[source].columns
    if before is not None and name not in before:
        waiting = [output]
        while waiting:
            value = waiting.pop()
            columns = work.values[value].columns
            if value in narrowed or not columns or name not in columns or live.column(value, name):
                continue
            narrowed[value] = frozenset((name,))
            for user in work.users(value):
                waiting.extend(_handed_on(user))
    return Edit({match.it: ()}, {output: source}, narrowed)


def _handed_on(user: Site | Block) -> tuple[int, ...]:
    """Values that a reader may make of a pool's rows."""
    if isinstance(user, Site):
        inside = (parameter for block in user.blocks for parameter in block.parameters)
        return (*user.outputs, *inside)
    owner = user.owner
    if owner is None or user.exit is not Exit.YIELD:
        return ()
    return (*owner.outputs, *(each for block in owner.blocks for each in block.parameters))


def _dead(match: Match) -> Edit | None:
    """An operation whose result nobody needs, and which counts nothing that others go on from."""
    if match.facts.live.needed(match.it):
        return None
    return Edit({match.it: ()})


def _carried(match: Match) -> Edit | None:
    """Variables that a loop or branch hands on though nobody needs them, inside or behind it."""
    site, live = match.it, match.facts.live
    defined = (site.outputs, *(block.parameters for block in site.blocks if block.parameters))
    dead = {
        place
        for place, values in enumerate(zip(*defined, strict=True))
        if not any(live.read(value) for value in values)
    }
    if not dead or not live.needed(site):
        return None

    def left(values: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(value for place, value in enumerate(values) if place not in dead)

    loops = isinstance(site.spec, graph.Repeat)
    blocks: list[Block] = []
    for block in site.blocks:
        condition = loops and not blocks
        hands_on = block.exit is Exit.YIELD and not condition
        results = left(block.results) if hands_on else block.results
        blocks.append(Block(left(block.parameters), tuple(block), results, block.exit))
    inputs = left(site.inputs) if loops else site.inputs
    return Edit({site: (Site(site.spec, inputs, left(site.outputs), blocks, site.origins),)})


UNREAD = Pass(
    "unread",
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
            "it counts no child, copy, draw or resampling that another goes on from (C2, C7, C12)",
        ),
        Rule(
            "unread-variable",
            Pattern((graph.Repeat, graph.Branch)),
            _carried,
            "what a round or side hands on unread is nobody's",
        ),
    ),
)
