"""Random statements and blocks."""

from __future__ import annotations

from dataclasses import replace

from tests.support.writing import expressions, verbs
from tests.support.writing.patterns import pattern
from tests.support.writing.world import LARGEST_POOL, PoolInfo, World

Lines = list[str]
SCORERS = (
    ("prm", "steps"),
    ("prm", "steps"),
    ("orm", "number"),
    ("pick", "number"),
    ("grade", "number"),
    ("talks", "number"),
    ("choice", "number"),
    ("panel", "steps"),
    ("gold", "number"),
    ("level", "number"),
    ("likely", "number"),
    ("word", "number"),
    ("duel", "number"),
    ("order", "number"),
)
#: About how many generations a judge takes for each row.
JUDGES = {"choice": 2, "panel": 2, "word": 1, "duel": 5, "order": 2, "likely": 2}
JUDGES |= {"grade": 2, "talks": 2}


def indented(lines: Lines) -> Lines:
    """One level deeper."""
    return [f"    {line}" for line in lines]


def assign(world: World) -> Lines:
    """A pool that is new or made again."""
    text, pool = verbs.phrase(world)
    name = world.new_name("p")
    again = world.some_changeable_pool()
    if again is not None and world.choices.chance(35):
        name = again
    world.pools[name] = pool
    return [f"{name} = {text}"]


def number(world: World) -> Lines:
    """A number of a pool."""
    text = expressions.pool_number(world)
    if world.choices.chance(15):
        text = expressions.literal(world)
    if world.numbers and world.choices.chance(50):
        name = world.choices.one_of(world.numbers)
        return [f"{name} = {name} / 2 + {text}"]
    name = world.new_name("k")
    world.numbers = (*world.numbers, name)
    return [f"{name} = {text}"]


def score(world: World) -> Lines:
    """One scorer, judge or field on one pool."""
    choices = world.choices
    name = world.some_changeable_pool()
    if name is None:
        return []
    pool = world.pools[name]
    scorer, kind = choices.one_of(SCORERS)
    calls = pool.size * JUDGES.get(scorer, 0)
    if not world.affords(calls):
        return []
    world.spend(calls)
    text = f"score {name} by {scorer}"
    if scorer == "panel":
        text += " times 2"
    if scorer in ("pick", "choice", "duel", "order") and choices.chance(30):
        text += f" per {expressions.key(world, pool)}"
    if scorer == "prm" and choices.chance(12) and world.affords(pool.size):
        text += f" looking ahead {choices.integer(1, 2)} steps"
        world.spend(pool.size)
    world.pools[name] = replace(pool, scores={**pool.scores, scorer: kind})
    return [text]


def let(world: World) -> Lines:
    """A column for one pool."""
    choices = world.choices
    name = world.some_changeable_pool()
    if name is None:
        return []
    pool = world.pools[name]
    column = choices.one_of(["goal", "mood"])
    value = expressions.row_number(world, pool)
    if choices.chance(15) and len(world.pools) > 1:
        value = f"count({world.some_pool()} below)"
    elif choices.chance(15):
        value = f"mean(tokens of {world.some_pool()} per root)"
    world.pools[name] = replace(pool, lets=pool.lets | {column})
    return [f"let {column} of {name} = {value}"]


def force(world: World) -> Lines:
    """Text that the policy did not choose."""
    name = world.some_changeable_pool()
    if name is None:
        return []
    found = ['"Wait"', '"\\n\\n"', '"b"', 'end_of_step + "Answer:"', '"\\\\boxed{2}"']
    if world.thinks:
        found += ["end_of_thought", 'end_of_thought + "Answer:"']
    world.pools[name] = world.pools[name].children(world.pools[name].size)
    return [f"force {world.choices.one_of(found)} into {name}"]


def backup(world: World) -> Lines:
    """Values of one pool for its ancestors in another."""
    tree, pool = world.some_changeable_pool(), world.some_pool()
    if tree is None:
        return []
    kept = world.choices.one_of(["", "", " keeping max", " keeping last", " keeping sum"])
    by = expressions.row_number(world, world.pools[pool], 1)
    return [f"backup {tree} from {pool} by {by}{kept}"]


def loop(world: World, depth: int) -> Lines:
    """`repeat`: some pools stay as they are; the others must keep their columns."""
    trips = world.choices.integer(1, 3)
    frozen = frozenset(name for name in world.pools if world.choices.chance(40))
    before = {
        name: pool if name in frozen else replace(pool, size=LARGEST_POOL, filtered=True)
        for name, pool in world.pools.items()
    }
    inside = branch(world, before)
    inside.frozen = world.frozen | frozen
    inside.factor = world.factor * trips
    until = f" until {expressions.condition(inside)}" if world.choices.chance(50) else ""
    body = block(inside, depth - 1)
    for name, pool in before.items():
        body += restored(name, pool, inside.pools[name])
    join(world, [inside])
    world.pools = dict(before)
    return [f"repeat {trips}{until}:", *indented(body)]


def restored(name: str, before: PoolInfo, after: PoolInfo) -> Lines:
    """Lines at the end of a round that give a pool the columns that it began the round with."""
    lines: Lines = []
    if after.size > before.size:
        lines.append(f"{name} = select top {before.size} of {name} by -index")
    for scorer in before.scores:
        if scorer not in after.scores:
            times = " times 2" if scorer == "panel" else ""
            lines.append(f"score {name} by {scorer}{times}")
    for column in sorted(before.lets - after.lets):
        lines.append(f"let {column} of {name} = index")
    return lines


def conditional(world: World, depth: int) -> Lines:
    """`if`, with or without `else`; one side may return."""
    condition = expressions.condition(world)
    yes, no = branch(world, world.pools), branch(world, world.pools)
    then = block(yes, depth - 1)
    if world.choices.chance(25):
        then.append(result(yes))
        join(world, [yes])
        return [f"if {condition}:", *indented(then)]
    if world.choices.chance(40):
        join(world, [yes, no])
        return [f"if {condition}:", *indented(then)]
    no.named = yes.named
    otherwise = block(no, depth - 1)
    join(world, [yes, no])
    return [f"if {condition}:", *indented(then), "else:", *indented(otherwise)]


def choose(world: World, depth: int) -> Lines:
    """`choose by E` with one or two arms."""
    lines = [f"choose by {expressions.pool_number(world)}:"]
    ways: list[World] = []
    named = world.named
    for threshold in world.choices.one_of([["1"], ["2", "0.5"]]):
        way = branch(world, world.pools)
        way.named = named
        lines += [f"    above {threshold}:", *indented(indented(block(way, depth - 1)))]
        named = way.named
        ways.append(way)
    way = branch(world, world.pools)
    way.named = named
    lines += ["    otherwise:", *indented(indented(block(way, depth - 1)))]
    join(world, [*ways, way])
    return lines


def branch(world: World, pools: dict[str, PoolInfo]) -> World:
    """The world at the start of a block inside this one."""
    return replace(world, pools=dict(pools))


def join(world: World, ways: list[World]) -> None:
    """After blocks: what all of them know; the most that any of them spent."""
    world.spent = world.spent + sum(way.spent - world.spent for way in ways)
    world.named = max(way.named for way in ways)
    if len(ways) < 2:
        return
    known: dict[str, PoolInfo] = {}
    for name in world.pools:
        sides = [way.pools[name] for way in ways]
        scores = {
            column: kind
            for column, kind in sides[0].scores.items()
            if all(column in side.scores for side in sides)
        }
        lets = frozenset.intersection(*(side.lets for side in sides))
        filtered = any(side.filtered for side in sides)
        known[name] = PoolInfo(max(side.size for side in sides), scores, lets, filtered)
    world.pools = known


def result(world: World) -> str:
    """A `return` of one row."""
    name = world.some_pool()
    pool = world.pools[name]
    match world.choices.integer(0, 4):
        case 0 if not pool.filtered:
            return f"return first of {name}"
        case 1:
            return f"return vote {name}"
        case 2:
            return f"return vote {name} weighted by {expressions.weight(world, pool)}"
        case 3:
            return f"return best of {name} by {expressions.row_number(world, pool)}"
        case _ if world.affords(pool.size):
            ends = f"(expand {name} by 1)"
            return f"return vote {ends}"
        case _:
            return f"return vote {name}"


def statement(world: World, depth: int) -> Lines:
    """Any statement."""
    kind = world.choices.integer(0, 24)
    if kind >= 22:
        return pattern(world)
    if kind <= 7:
        return assign(world)
    if kind <= 11:
        return score(world)
    if kind == 12:
        return let(world)
    if kind == 13:
        return force(world)
    if kind == 14:
        return backup(world)
    if kind == 15:
        return pattern(world)
    if kind == 16:
        return number(world)
    if depth == 0:
        return assign(world)
    if kind <= 19:
        return loop(world, depth)
    if kind == 20:
        return conditional(world, depth)
    return choose(world, depth)


def block(world: World, depth: int) -> Lines:
    """A few statements, at least one."""
    lines: Lines = []
    if not world.pools:
        lines += assign(world)
    for _ in range(world.choices.integer(1, 3)):
        lines += statement(world, depth)
    return lines or assign(world)
