"""Random verb phrases: each gives its text and what is known of the pool it makes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, fields, replace

from tests.support.writing import expressions
from tests.support.writing.world import LARGEST_POOL, PoolInfo, World
from tts_lang.plan.clauses import clauses as clauses_of
from tts_lang.plan.decoding import Unit
from tts_lang.plan.expr import Const
from tts_lang.plan.operator import fill
from tts_lang.plan.ops import POOL_VERBS
from tts_lang.plan.rows import RowLimit

Phrase = tuple[str, PoolInfo]
PROBLEM = PoolInfo(1)
#: Conditions of `stop when` and `end when`.
WATCHED = ("tokens >= 4", "confidence(2) < 2", "steps > 1")


def unit(world: World) -> str:
    """A unit with its length, in front of which a count goes."""
    choices = world.choices
    found = ["", " steps", " solutions", " x 2 steps", " x 3 tokens", " x 6 tokens", " x 1 token"]
    if world.thinks:
        found += [" thoughts"]
    return choices.one_of(found)


#: Words of `avoiding`, and forms of what is drawn, which the simulated vocabulary can spell.
AVOIDED = ('"Wait"', '"Wait", "so"', '"b"')
FORMS = (
    ' one of "1", "12", "3"',
    ' matching "[a-d]{1,4}( so)?"',
    ' matching "(a|b|\\n\\n)+[0-9]"',
    ' one of "a", "Wait"',
)
#: Clauses whose values are those of the row that is continued (C69).
OF_A_ROW = (
    " at temperature 0.2 + 0.3 * index",
    " at temperature 0.5 if steps > 1 else 1.2",
    " top_p 1 / (1 + index)",
    " top_k index",
    " max 1 + tokens tokens",
    " within 4 + 3 * index tokens",
    " at least index tokens",
    ' stop at "b" if index == 0 else "so"',
    " at temperature clip(logprob, 0, 1) min_p index / 10",
    " at temperature uniform()",
    ' avoiding "a", "b" by index',
)


def clauses(world: World, unit: str = "", *, policy: bool = True, row: bool = True) -> str:
    """Decoding clauses that fit a unit, usually few; `row`: they may look at a row."""
    choices = world.choices
    if row and choices.chance(8):
        return choices.one_of(OF_A_ROW)
    text = ""
    if choices.chance(25):
        text += f" at temperature {choices.one_of(['0.7', '0', '1.5', '1'])}"
    if choices.chance(8):
        text += f" top_p {choices.one_of(['0.9', '0.5'])}"
    if choices.chance(8):
        text += f" top_k {choices.one_of(['5', '1', '2'])}"
    if choices.chance(6):
        text += " min_p 0.1"
    if choices.chance(14):
        text += f" max {choices.one_of(['8', '1', '4'])} tokens"
    if choices.chance(14):
        text += f" within {choices.one_of(['10', '2', '5', '20'])} tokens"
    if choices.chance(8):
        text += f" at least {choices.one_of(['1', '3'])} tokens"
    if choices.chance(5):
        text += " likeliest"
    if choices.chance(4):
        text += f" avoiding {choices.one_of(AVOIDED)} by {choices.one_of(['2', '0', '9.5'])}"
    if " thoughts" not in unit and " at least" not in text and choices.chance(5):
        text += choices.one_of(FORMS)
    if choices.chance(6):
        text += f" stop at {choices.one_of(['b', 'so', '}'])!r}".replace("'", '"')
    if choices.chance(5):
        text += f" stop when {choices.one_of(WATCHED)}"
    if choices.chance(5):
        text += f" end when {choices.one_of(WATCHED)}"
    if policy and choices.chance(15):
        text += " from small"
    return text


def sample(world: World) -> Phrase | None:
    """`sample n`: children of the problem."""
    text, most = expressions.count(world, 4)
    if not world.affords(most):
        return None
    world.spend(most)
    far = unit(world)
    return f"sample {text}{far}{clauses(world, far)}", PoolInfo(most)


def expand(world: World) -> Phrase | None:
    """`expand P by m` or `to n`, weighted or not."""
    name = world.choices.one_of([world.some_pool(), world.some_pool(), "problem"])
    pool = world.pools.get(name, PROBLEM)
    if world.choices.chance(35):
        return _deal(world, name, pool)
    text, each = expressions.count(world, 3)
    size = pool.size * max(1, each)
    if size > LARGEST_POOL or not world.affords(pool.size * each):
        return None
    world.spend(pool.size * each)
    far = unit(world)
    return f"expand {name} by {text}{far}{clauses(world, far)}", pool.children(size)


def _deal(world: World, name: str, pool: PoolInfo) -> Phrase | None:
    text, many = expressions.count(world, 4)
    tail = ""
    if world.choices.chance(60):
        tail += f" weighted by {expressions.weight(world, pool)}"
        tail += world.choices.one_of(["", " rounding up"])
    per = world.choices.chance(20)
    if per:
        tail += f" per {expressions.key(world, pool)}"
        many *= max(1, pool.size)
    size = many + pool.size
    if size > LARGEST_POOL or not world.affords(many):
        return None
    world.spend(many)
    far = unit(world)
    return f"expand {name} to {text}{far}{tail}{clauses(world, far)}", pool.children(size)


def fork(world: World) -> Phrase | None:
    """`fork P into k`."""
    name = world.choices.one_of(["problem", world.some_pool()])
    pool = world.pools.get(name, PROBLEM)
    many = world.choices.integer(1, 3)
    if pool.size * many > LARGEST_POOL:
        return None
    return f"fork {name} into {many}", pool.kept(pool.size * many)


def chosen(world: World) -> Phrase:
    """Verbs that keep some of a pool's rows, or all in another order."""
    choices = world.choices
    name = world.some_pool()
    pool = world.pools[name]
    per = f" per {expressions.key(world, pool)}" if choices.chance(25) else ""
    by = "-tokens" if choices.chance(12) else expressions.row_number(world, pool)
    if choices.chance(12):
        by = f"({choices.one_of(['tokens', 'steps'])}, {by})"
    match choices.integer(0, 6):
        case 0:
            text, most = expressions.count(world, 3)
            size = pool.size if per else min(most, pool.size)
            return f"select top {text} of {name} by {by}{per}", pool.kept(size)
        case 1:
            part = choices.one_of(["50%", "10%", "100%"])
            return f"select top {part} of {name} by {by}{per}", pool
        case 2:
            return f"best of {name} by {by}{per}", pool.kept(pool.size if per else 1)
        case 3:
            many = choices.integer(1, 3)
            size = pool.size if per else min(many, pool.size)
            if pool.filtered:
                return f"sort {name} by -index{per}", pool
            return f"first {many} of {name}{per}", pool.kept(size)
        case 4:
            return f"sort {name} by {by}{per}", pool
        case 5:
            column = choices.one_of(["", " by text", " by answer", " by tokens", " by root"])
            return f"dedupe {name}{column}{per}", pool
        case _:
            return f"{name} where {expressions.row_condition(world, pool)}", replace(
                pool, filtered=True
            )


def vote(world: World) -> Phrase:
    """`vote P` in its forms."""
    choices = world.choices
    name = world.some_pool()
    pool = world.pools[name]
    text = f"vote {name}"
    if choices.chance(25):
        text += f" on {choices.one_of(['answer', 'text', 'steps', 'finish', *sorted(pool.lets)])}"
    if choices.chance(60):
        text += f" weighted by {expressions.weight(world, pool)}"
    if choices.chance(25):
        return f"{text} per {expressions.key(world, pool)}", pool
    return text, pool.kept(1)


def resample(world: World) -> Phrase:
    """`resample P to n by E`."""
    name = world.some_pool()
    pool = world.pools[name]
    many = world.choices.integer(1, 4)
    text = f"resample {name} to {many} by {expressions.weight(world, pool)}"
    if world.choices.chance(25) and pool.size * many <= LARGEST_POOL:
        return f"{text} per {expressions.key(world, pool)}", pool.kept(pool.size * many)
    return text, pool.kept(many)


def ask(world: World) -> Phrase | None:
    """`ask PROMPT about P`, alone or together."""
    choices = world.choices
    name = choices.one_of([world.some_pool(), world.some_pool(), "problem"])
    pool = world.pools.get(name, PROBLEM)
    many = choices.one_of([1, 1, 2])
    by = choices.one_of(["", f" by {many}{unit(world)}"])
    many = many if by else 1
    if choices.chance(30):
        prompt = choices.one_of(["merge", "told", f"weigh({world.some_pool()})"])
        per = f" per {expressions.key(world, pool)}" if choices.chance(30) else ""
        size = many * (pool.size if per else 1)
        if size > LARGEST_POOL or not world.affords(size):
            return None
        world.spend(size)
        text = f"ask {prompt} about {name} together{per}{by}{clauses(world, by, row=False)}"
        return text, PoolInfo(size)
    prompt = choices.one_of(
        [
            "revise",
            "debate",
            "follow",
            "tell",
            *["moody"] * ("mood" in pool.lets),
            *["graded"] * 2 * ("grade" in pool.scores),
            f"improve({choices.integer(1, 3)}, {world.some_pool()})",
            f"limited({expressions.pool_number(world)})",
        ]
    )
    size = pool.size * many
    if size > LARGEST_POOL or not world.affords(size):
        return None
    world.spend(size)
    history = " with history" * choices.chance(25)
    return f"ask {prompt} about {name}{history}{by}{clauses(world, by)}", pool.children(size)


def combined(world: World) -> Phrase | None:
    """Union, difference, leaves, the empty pool."""
    choices = world.choices
    left, right = world.some_pool(), world.some_pool()
    one, two = world.pools[left], world.pools[right]
    match choices.integer(0, 7):
        case 0:
            return f"{left} - {right}", one
        case 7:
            return f"{left} + none", one
        case 1:
            return f"leaves({left})", one
        case 3:
            many, size = choices.integer(1, 2), one.size * 2
            if size > LARGEST_POOL:
                return None
            at = choices.one_of(['"b"', "end_of_step", '" "'])
            return f"split {left} at {at} at most {many}", one.children(size)
        case 2:
            return f"cut {left} to {choices.integer(1, 4)} {choices.one_of(['steps', 'tokens'])}", (
                one.children(one.size)
            )
        case _:
            size = one.size + two.size
            if size > LARGEST_POOL:
                return None
            common = {name: kind for name, kind in one.scores.items() if name in two.scores}
            filtered = one.filtered or two.filtered
            return f"{left} + {right}", PoolInfo(size, common, one.lets & two.lets, filtered)


def call(world: World) -> Phrase | None:
    """A call of an earlier strategy, on the problem or on each row of a pool."""
    if not world.helpers:
        return None
    helper = world.choices.one_of(world.helpers)
    given = [] if helper.whole else [str(world.choices.integer(1, 3))]
    if helper.inner and world.choices.chance(50):
        given.append(f"inner = {world.choices.one_of(helper.inner)}")
    if helper.samples and world.choices.chance(30):
        name, values = world.choices.one_of(
            [("temperature", ["0.5", "1", "default"]), ("top_k", ["2", "3"])]
        )
        if name in helper.samples:
            given.append(f"{name} = {world.choices.one_of(values)}")
    text = f"{helper.name}({', '.join(given)})"
    if world.choices.chance(40):
        text = f"fresh {text}"
    if world.choices.chance(50):
        if not world.affords(helper.cost):
            return None
        world.spend(helper.cost)
        return text, PoolInfo(1)
    name = world.choices.one_of([world.some_pool(), "problem"])
    pool = world.pools.get(name, PROBLEM)
    if not world.affords(helper.cost * pool.size):
        return None
    world.spend(helper.cost * pool.size)
    return f"{text} on {name}", pool.children(pool.size)


def descend(world: World) -> Phrase:
    """`descend T by E`."""
    name = world.some_pool()
    pool = world.pools[name]
    text = f"descend {name} by {expressions.row_number(world, pool, 1)}"
    if world.choices.chance(40):
        text = f"descend {name} by value + sqrt(log(parent_visits) / visits)"
    if world.choices.chance(25):
        return f"{text} times 2", pool.kept(2)
    if world.choices.chance(20):
        return f"{text} staying by {expressions.row_number(world, pool, 1)}", pool.kept(1)
    return text, pool.kept(1)


def pool_verb(world: World) -> Phrase | None:
    """Any verb on one pool, with clauses that its entry among the operators allows."""
    choices = world.choices
    known = choices.one_of(list(POOL_VERBS.values()))
    name = world.some_pool()
    pool = world.pools[name]
    defaults = {each.name: each.default for each in fields(known.spec)}
    written: dict[str, str] = {}
    values: dict[str, object] = {}
    for place in known.places:
        if defaults[place] is not MISSING and choices.chance(60):
            continue
        clause = clauses_of(known.spec).get(place)
        if clause is None:
            written[place], values[place] = "steps", Unit.STEPS
        elif clause.column:
            written[place] = expressions.key(world, pool)
            values[place] = written[place]
        elif clause.counts:
            text, most = expressions.count(world, 3)
            written[place], values[place] = text, Const(most)
        elif clause.type == "text":
            written[place], values[place] = '" "', Const(" ")
        else:
            written[place], values[place] = expressions.weight(world, pool), Const(0)
    assert isinstance(known.form, str)
    assert known.rows is not None
    rows = known.rows(known.spec(**values), RowLimit([pool.size]))
    if rows > LARGEST_POOL:
        return None
    text = fill(known.form, written.__contains__, {**written, "0": name}.__getitem__)
    return text, pool.kept(int(rows)) if known.makes.keeps_scores else pool.children(int(rows))


KINDS: tuple[Callable[[World], Phrase | None], ...] = (
    *(sample, expand, expand, expand, chosen, chosen, chosen, vote),
    *(ask, ask, combined, fork, resample, call, call, descend, pool_verb),
)


def phrase(world: World) -> Phrase:
    """Any verb phrase that fits into the budget."""
    if not world.pools:
        return sample(world) or ("none", PoolInfo(0))
    for _ in range(4):
        found = world.choices.one_of(KINDS)(world)
        if found is not None:
            return found
    return chosen(world)
