"""From a law as it is written to the pairs of plans that it is about."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from tts_lang.check.file import CheckedLaw, LawSide
from tts_lang.compiler import compile_law_side
from tts_lang.diagnostics import DiagnosticError
from tts_lang.plan.graph import Plan
from tts_lang.plan.pretty import constant
from tts_lang.syntax.printer import print_node

#: Values tried for a free name: every small number, and some with many divisors.
SMALL = (1, 2, 3, 4, 5, 6, 8, 12, 16)
_FEWER = (1, 2, 3, 4, 6, 8)
#: Combinations of several free names, the smallest first.
_MOST = 16


@dataclass(frozen=True, slots=True)
class Pair:
    """Both sides of a law at certain values of its free names."""

    values: dict[str, int]
    left: Plan
    right: Plan


def title(law: CheckedLaw) -> str:
    """The law as one would write it."""
    return f"{_call(law.left)} == {_call(law.right)}"


def _call(side: LawSide) -> str:
    shown: list[str] = []
    by_place = True  # an argument without a name stands before all named ones
    parameters = [parameter.name.text for parameter in side.declared.strategy.parameters]
    for name in dict.fromkeys([*parameters, *side.free, *side.fixed]):  # how it samples, too
        if name in side.free:
            free = print_node(side.free[name])
            by_place = by_place and name == free
            shown.append(name if by_place else f"{name} = {free}")
        elif name in side.fixed:
            value = side.arguments.get(name)
            quoted = isinstance(value, str) and name not in _names(side)
            text = constant(value) if quoted or not isinstance(value, str) else value
            shown.append(f"{name} = {text}")
            by_place = False
        else:
            by_place = False
    return f"{side.strategy}({', '.join(shown)})"


def _names(side: LawSide) -> set[str]:
    """Parameters whose value is the name of something."""
    from tts_lang.check.context import NameValue

    return {name for name, value in side.fixed.items() if isinstance(value, NameValue)}


def shown_values(values: dict[str, int]) -> str:
    """`n = 4, width = 2`."""
    return ", ".join(f"{name} = {value}" for name, value in values.items())


def instances(law: CheckedLaw) -> Iterator[Pair | str]:
    """The law at small values of its free names, smallest first.

    A combination at which one side does not compile (16 beams of width 3) comes as a text.

    Raises:
        DiagnosticError: A law without free names does not compile.
    """
    names = law.free_names
    choices = SMALL if len(names) < 2 else _FEWER
    combinations = sorted(product(choices, repeat=len(names)), key=lambda each: (sum(each), each))
    for combination in combinations[:_MOST]:
        values = dict(zip(names, combination, strict=True))
        try:
            left, right = (compile_law_side(side, values) for side in (law.left, law.right))
        except DiagnosticError:
            if not names:
                raise
            yield shown_values(values)
            continue
        yield Pair(values, left, right)
