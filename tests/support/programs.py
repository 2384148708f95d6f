"""A Hypothesis strategy that draws whole strategy files: every verb, unit, clause and column.

Programs are well typed and small: pools of at most a few rows, loops of at most three rounds, a
bounded number of generations in all. The checker must accept every one of them.
"""

from __future__ import annotations

import random
import re
from dataclasses import replace

from hypothesis import strategies as st

from tests.support.writing import blocks
from tests.support.writing.world import Choices, Helper, World
from tts_lang.check.imports import Loader
from tts_lang.check.sampling import sampling_parameters
from tts_lang.source import Source

DECLARATIONS = '''policy small
scorer orm per solution
scorer pick together
scorer gold field "answer"
scorer level field "pass_rate"

prompt revise = """{problem}
{attempts last 2}
so"""

prompt debate = """{text}
{others}"""

prompt follow = """{parent.text}{solution} {answer}"""

prompt improve(limit, notes) = """{problem} {text} {limit}
{notes}"""

prompt tell = """{tokens} {logprob} {done} {index} {others.steps}"""

prompt told = """{candidates.solution} {candidates.tokens} {candidates.finish}"""

prompt moody = """{mood} {others.mood} {text}"""

prompt graded = """{grade} {grade.words} {text}"""

prompt limited(limit) = """{problem}{{{limit}}}{text}"""

prompt merge = """{problem}
{candidates}"""

prompt weigh(notes) = """{candidates}
{notes}"""

judge grade from small max 5 tokens:
    """{problem} {text} Answer:"""
    read number from 0 to 9
    retry 1

judge choice together max 6 tokens:
    """{candidates} Answer:"""
    read choice
    retry 1

judge talks with history max 5 tokens:
    """{answer} Answer:"""
    read number from 0 to 9
    retry 1

judge panel max 5 tokens at temperature 0.7:
    """{text}"""
    read number from 0 to 9

judge likely at temperature 0.5:
    """{solution} Answer:"""
    read probability of "b"

judge word max 8 tokens:
    """{problem} {text}"""
    read choice of "b" = 2, "so" = 1 after "h"

judge duel pairwise max 5 tokens:
    """{candidates} Answer:"""
    read choice

judge order together max 9 tokens:
    """{candidates}"""
    read ranking
    retry 1
'''

#: The declarations by the names that they declare.
_BLOCKS = {
    block.replace("(", " ").split()[1]: block
    for block in re.split(r"(?<=\n)(?=policy |scorer |prompt |judge )", DECLARATIONS)
}

BUDGET = 60
HELPER_BUDGET = 8


def program(choices: Choices) -> str:
    """A whole file; its last strategy is called `main`."""
    helpers: list[Helper] = []
    lines: list[str] = []
    for number in range(choices.one_of([0, 1, 1, 2])):
        name = f"helper{number}"
        inner, values = _inner(choices, helpers)
        body, cost = _body(choices, (*helpers, *inner), HELPER_BUDGET, depth=1)
        parameters = ", ".join(["n = 2", *(f"inner = {each}" for each in values[:1])])
        lines += ["", f"strategy {name}({parameters}):", *blocks.indented(body)]
        helpers.append(Helper(name, max(1, cost), _samples(name, lines), inner=values))
    inner, values = _inner(choices, helpers)
    body, _ = _body(choices, (*helpers, *inner), BUDGET, depth=2)
    header = choices.one_of(["", "", "", " at temperature 0", " top_k 3 within 12 tokens"])
    usual = [f"n = {choices.integer(1, 3)}", *(f"inner = {each}" for each in values[:1])]
    parameters = ", ".join(usual)
    lines += ["", f"strategy main({parameters}){header}:", *blocks.indented(body)]
    text = "\n".join(lines) + "\n"
    return f"{declarations_of(text)}{text}"


def _inner(choices: Choices, helpers: list[Helper]) -> tuple[list[Helper], tuple[str, ...]]:
    """A parameter that is a strategy, as one to call; its values, perhaps with arguments (C71)."""
    if not helpers or not choices.chance(40):
        return [], ()
    helper = choices.one_of(helpers)
    if choices.chance(50):
        return [replace(helper, name="inner")], (helper.name,)
    values = [f"{helper.name}(1)", f"{helper.name}(n = 2)"]
    if "temperature" in helper.samples:
        values.append(f"{helper.name}(2, temperature = 0.5)")
    return [Helper("inner", helper.cost, whole=True)], tuple(reversed(values))


def declarations_of(text: str) -> str:
    """The declarations that a text mentions, and those that these mention: parsing all of them
    would take longer than everything else of a small program."""
    used: list[str] = []
    waiting = [text]
    left = dict(_BLOCKS)
    while waiting:
        mentioned = set(re.findall(r"\w+", waiting.pop()))
        for name in [name for name in left if name in mentioned]:
            used.append(left.pop(name))
            waiting.append(used[-1])
    return "".join(block for block in _BLOCKS.values() if block in used)


def _samples(name: str, lines: list[str]) -> tuple[str, ...]:
    """How a strategy samples, as far as calls of it can say."""
    scope = Loader().source(Source.of("\n".join(lines) + "\n", "helpers.tts"))
    return sampling_parameters(scope.names[name])


def _body(
    choices: Choices, helpers: tuple[Helper, ...], budget: int, depth: int
) -> tuple[blocks.Lines, int]:
    world = World(choices, ("n",), helpers, budget, thinks=choices.chance(60))
    lines = blocks.assign(world)
    for _ in range(choices.integer(1, 4)):
        lines += blocks.statement(world, depth)
    lines.append(blocks.result(world))
    return lines, world.spent


@st.composite
def programs(draw: st.DrawFn) -> str:
    """Source texts of strategy files."""
    return program(Choices(lambda low, high: draw(st.integers(low, high))))


def random_program(seed: int) -> str:
    """The program of a seed: quicker to draw than Hypothesis, for long runs."""
    return program(Choices(random.Random(seed).randint))
