"""Random expressions over a pool's columns and over pools."""

from __future__ import annotations

from tests.support.extremes import LITERALS
from tests.support.writing.world import PoolInfo, World

REDUCTIONS = ("last", "min", "mean", "prod", "max", "sum", "first")
STEP_FUNCTIONS = (
    *("argmin({0})", "argmax({0})", "first_below({0}, 0.5)", "nth({0}, 1)", "quantile({0}, 0.3)"),
    *("mean(take({0}, 2))", "min(take({0}, steps / 2))", "argmin(take({0}, index))"),
)


def literal(world: World) -> str:
    """A plain number, now and then an extreme one, in parentheses where it is arithmetic."""
    if world.choices.chance(8):
        return _atom(world.choices.one_of(LITERALS))
    return world.choices.one_of(["1", "0", "2", "0.5", "3", "0.25"])


def row_number(world: World, pool: PoolInfo, depth: int = 2) -> str:
    """A number of a row."""
    choices = world.choices
    if depth == 0 or choices.chance(45):
        return _column(world, pool)
    inner = row_number(world, pool, depth - 1)
    match choices.integer(0, 14):
        case 0:
            return f"{inner} + {_atom(row_number(world, pool, depth - 1))}"
        case 1:
            return f"{_atom(inner)} * {literal(world)}"
        case 2:
            return f"{_atom(inner)} / {_atom(row_number(world, pool, depth - 1))}"
        case 3:
            return f"-{_atom(inner)}"
        case 4:
            return f"sqrt({inner})"
        case 5:
            return f"log({inner})"
        case 6:
            return f"clip({inner}, 0, {literal(world)})"
        case 7:
            condition = row_condition(world, pool, 0)
            return f"{_atom(inner)} if {condition} else {literal(world)}"
        case 8:
            return f"floor({inner})"
        case 9:
            return f"max({inner}, {literal(world)})"
        case 10:
            return f"exp(-abs({inner}))"
        case 11:
            return f"{_atom(inner)} - {_atom(pool_number(world))}"
        case 12:
            return f"{_atom(inner)} ** {literal(world)}"
        case 13:
            return choices.one_of([f"remainder({inner}, {literal(world)})", f"erf({inner})"])
        case _:
            return pool_wide(world, pool)


def _column(world: World, pool: PoolInfo) -> str:
    choices = world.choices
    found = ["tokens", "steps", "logprob", "index"]
    for name, kind in pool.scores.items():
        if kind == "steps":
            found += [f"{choices.one_of(REDUCTIONS)}({name})"] * 4
            found.append(choices.one_of(STEP_FUNCTIONS).format(name))
        else:
            found += [name] * 3
    for name in sorted(pool.lets):
        found += [name] * 3
    rare = ["value", "visits", "confidence(2)", "certainty(all)", "entropy(tail 3)"]
    rare += ["margin(lowest 2)", "confidence(all)", "uniform()", "gumbel()", "normal()"]
    rare += ['number(extract("[0-9]+", text))', 'number(extract("so (.)", text))']
    rare += ["beta(1, 2)", "confidence(step)", "entropy(answer)", "certainty(lowest 2 share 0.5)"]
    return choices.one_of(rare if choices.chance(12) else found)


def weight(world: World, pool: PoolInfo) -> str:
    """A number of a row that is never negative."""
    choices = world.choices
    found = ["tokens", "exp(logprob / 10)", "1", "steps", "0"]
    for name, kind in pool.scores.items():
        plain = f"{choices.one_of(REDUCTIONS)}({name})" if kind == "steps" else name
        found += [plain, plain, f"softmax({plain}, 0.5)", f"{plain} * tokens"]
        if kind == "steps" and name == "prm":
            found.append(f"odds(min({name}))")
    if choices.chance(25):
        return f"abs({row_number(world, pool, 1)})"
    return choices.one_of(found)


def pool_wide(world: World, pool: PoolInfo) -> str:
    """softmax or rank, sometimes group by group."""
    choices = world.choices
    inner = row_number(world, pool, 1)
    per = f" per {key(world, pool)}" if choices.chance(25) else ""
    if choices.chance(50):
        return f"rank({inner}{per})"
    return f"softmax({inner}{per}, {choices.one_of(['1', '0.5', '2'])})"


def row_condition(world: World, pool: PoolInfo, depth: int = 1) -> str:
    """A condition on a row."""
    choices = world.choices
    if depth and choices.chance(35):
        left = row_condition(world, pool, depth - 1)
        right = row_condition(world, pool, depth - 1)
        match choices.integer(0, 2):
            case 0:
                return f"{left} and {right}"
            case 1:
                return f"{left} or {right}"
            case _:
                return f"not ({left})"
    match choices.integer(0, 7):
        case 0:
            return "done"
        case 1:
            return "not done"
        case 2:
            finish = choices.one_of(["end", "stop", "length"])
            return f'finish {choices.one_of(["==", "!="])} "{finish}"'
        case 3:
            return "has(answer)"
        case 4:
            return 'text contains "b"'
        case 5:
            return choices.one_of(['text ends with "\\n"', 'text < "b"', "answer >= text"])
        case _:
            operator = choices.one_of([">=", "<", ">", "<=", "=="])
            return f"{_atom(row_number(world, pool, 1))} {operator} {_threshold(world)}"


def _threshold(world: World) -> str:
    if world.choices.chance(8):
        return _atom(world.choices.one_of(LITERALS))
    return world.choices.one_of(["0.5", "1", "2", "0.25", "4", "-5"])


def pool_number(world: World) -> str:
    """A number of a pool in scope."""
    choices = world.choices
    name = world.some_pool()
    pool = world.pools[name]
    match choices.integer(0, 8):
        case 0 | 1:
            return f"count({name})"
        case 2:
            return f"mean({row_number(world, pool, 1)} of {name})"
        case 3:
            how = choices.one_of(["min", "max", "sum", "std", "first"])
            return f"{how}({row_number(world, pool, 0)} of {name})"
        case 4:
            return f"quantile({row_number(world, pool, 0)} of {name}, 0.5)"
        case 5:
            return f"share({name})"
        case 6:
            return f"lead({name})"
        case 7:
            return f"share({name} weighted by {weight(world, pool)})"
        case _:
            return f"entropy({name})"


def condition(world: World) -> str:
    """A condition outside any pool."""
    choices = world.choices
    name = world.some_pool()
    match choices.integer(0, 5):
        case 0:
            return f"all {name} done"
        case 1:
            return f"any {name} done"
        case 2:
            return f"count({name} where {row_condition(world, world.pools[name], 0)}) >= 2"
        case 3 if world.numbers:
            return f"{choices.one_of(world.numbers)} > {_threshold(world)}"
        case _:
            operator = choices.one_of([">", "<=", ">=", "<"])
            return f"{pool_number(world)} {operator} {_threshold(world)}"


def key(world: World, pool: PoolInfo) -> str:
    """A column that makes groups."""
    lets = sorted(pool.lets)
    return world.choices.one_of(["root", "parent", "answer", "text", "finish", "steps", *lets])


def count(world: World, largest: int) -> tuple[str, int]:
    """A count of rows or children, and the most that it can be."""
    choices = world.choices
    if largest >= 3 and world.parameters and choices.chance(20):
        return choices.one_of(world.parameters), 3
    if world.pools and choices.chance(12):
        return f"clip({pool_number(world)}, 0, {largest})", largest
    plain = choices.integer(1, largest)
    return str(plain), plain


def _atom(text: str) -> str:
    simple = all(letter.isalnum() or letter in "_." for letter in text)
    call = text.endswith(")") and text.split("(")[0].isalnum() and text.count("(") == 1
    return text if simple or call else f"({text})"
