"""Known methods in small, filled with random parts: what free statements rarely add up to."""

from __future__ import annotations

from tests.support.writing import expressions, verbs
from tests.support.writing.world import LARGEST_POOL, PoolInfo, World

Lines = list[str]
PRM = {"prm": "steps"}


def search(world: World) -> Lines:
    """A small tree search, as MCTS writes it."""
    rollouts, width = world.choices.integer(1, 3), world.choices.integer(1, 2)
    if not world.affords(rollouts * width):
        return []
    world.spend(rollouts * width)
    tree, leaf, fresh = (world.new_name("p") for _ in range(3))
    explore = "value + sqrt(log(parent_visits) / visits)"
    times = world.choices.one_of(["", "", " times 2"])
    amount = world.choices.one_of([f"{width} steps", f"{width} x 3 tokens"])
    world.pools[tree] = PoolInfo(LARGEST_POOL)
    return [
        f"{tree} = problem",
        f"repeat {rollouts}:",
        f"    {leaf} = descend {tree} by {explore}{times}",
        f"    {fresh} = expand {leaf} by {amount}",
        f"    score {fresh} by prm",
        f"    {tree} = {tree} + {fresh}",
        f"    backup {tree} from {fresh} by last(prm)",
        f"{tree} = first {LARGEST_POOL} of {tree}",
    ]


def beams(world: World) -> Lines:
    """Select, expand by steps, score; or resample, as particle filters do."""
    choices = world.choices
    width, keep, rounds = choices.integer(1, 3), choices.integer(1, 2), choices.integer(1, 3)
    if not world.affords(4 + rounds * keep * width):
        return []
    world.spend(4 + rounds * keep * width)
    beam = world.new_name("p")
    world.pools[beam] = PoolInfo(LARGEST_POOL, PRM)
    per = choices.one_of(["", "", " per root", " per parent"])
    by = choices.one_of(["last(prm)", "min(prm)", "last(prm) + gumbel() / 9"])
    kept = f"select top {keep} of {beam} by {by}{per}"
    more = f"by {width}"
    if choices.chance(35):
        kept = f"resample {beam} to {keep} by {choices.one_of(['odds(last(prm))', 'mean(prm)'])}"
    if choices.chance(30):
        more = f"to {width * keep}"
    weighted = (
        ""
        if "by" in more
        else choices.one_of(
            ["", " weighted by last(prm)", " weighted by softmax(last(prm), 0.2) rounding up"]
        )
    )
    start = choices.one_of([f"sample {choices.integer(1, 4)} steps", "fork problem into 2"])
    return [
        f"{beam} = {start}",
        f"score {beam} by prm",
        f"repeat {rounds} until all {beam} done:",
        f"    {beam} = {kept}",
        f"    {beam} = expand {beam} {more} steps{weighted}",
        f"    score {beam} by prm{choices.one_of(['', '', ' looking ahead 1 step'])}",
        f"{beam} = first {LARGEST_POOL} of {beam}",
    ]


def revisions(world: World) -> Lines:
    """Chains of asks, with a history."""
    choices = world.choices
    chains, rounds = choices.integer(1, 2), choices.integer(1, 2)
    if not world.affords(chains * (rounds + 1)):
        return []
    world.spend(chains * (rounds + 1))
    attempt, history = world.new_name("p"), world.new_name("p")
    world.pools[attempt] = PoolInfo(chains)
    world.pools[history] = PoolInfo(LARGEST_POOL)
    prompt = choices.one_of(["revise", "debate", "follow", f"improve(2, {history})"])
    together = ["merge", f"weigh({history})"]
    about = f"{prompt} about {attempt}"
    if choices.chance(25):
        about = f"{choices.one_of(together)} about {attempt} together by {chains}"
    return [
        f"{attempt} = sample {chains}{verbs.clauses(world)}",
        f"{history} = {attempt}",
        f"repeat {rounds}:",
        f"    {attempt} = ask {about}",
        f"    {history} = {history} + {attempt}",
    ]


def thinking(world: World) -> Lines:
    """Thoughts that are made longer, then ended."""
    choices = world.choices
    if not world.thinks or not world.affords(6):
        return []
    world.spend(6)
    trace = world.new_name("p")
    within = choices.one_of(["", " within 9 tokens", " within 20 tokens"])
    least = choices.one_of(["", " at least 1 tokens"])
    world.pools[trace] = PoolInfo(2)
    condition = choices.one_of(["", f" until {expressions.condition(world)}"])
    return [
        f"{trace} = sample {choices.integer(1, 2)} thoughts{within}",
        f"repeat 2{condition}:",
        f'    force "Wait" into {trace}',
        f"    {trace} = expand {trace} by 1 thought{least}{within}",
        f'force end_of_thought + "Answer:" into {trace}',
        f"{trace} = expand {trace} by 1",
    ]


def races(world: World) -> Lines:
    """Two operations on the same nodes, of which the earlier one has to wait for scores (C8)."""
    choices = world.choices
    if not world.affords(12):
        return []
    world.spend(12)
    start, scored, kept, slow, quick = (world.new_name("p") for _ in range(5))
    scorer = choices.one_of(["orm", "grade", "gold", "likely"])
    unit = choices.one_of(["1 step", "1 x 2 tokens", "1"])
    world.pools |= {start: PoolInfo(2), slow: PoolInfo(2), quick: PoolInfo(2)}
    later = choices.one_of([f"expand {start} by {unit}", f"ask follow about {start}"])
    return [
        f"{start} = sample 2 x 2 tokens",
        f"{scored} = {start}",
        f"score {scored} by {scorer}",
        f"{kept} = {scored} where {scorer} {choices.one_of(['>= 0.4', '< 0.5'])}",
        f"{slow} = expand {kept} by {unit}",
        f"{quick} = {later}",
    ]


def empty_thoughts(world: World) -> Lines:
    """Thoughts that often end at once, and several children of each (C10)."""
    choices = world.choices
    if not world.thinks or not world.affords(6):
        return []
    world.spend(6)
    trace, ends = world.new_name("p"), world.new_name("p")
    world.pools |= {trace: PoolInfo(2), ends: PoolInfo(4)}
    unit = choices.one_of(["x 2 tokens", "thoughts", "steps", ""])
    return [
        f"{trace} = sample {choices.integer(1, 2)} thoughts",
        f"{ends} = expand {trace} by 2 {unit}".rstrip(),
    ]


PATTERNS = (beams, search, revisions, thinking, races, races, empty_thoughts)


def pattern(world: World) -> Lines:
    """One of them."""
    return world.choices.one_of(PATTERNS)(world)
