"""The laws beside the strategies hold on random policies, scorers and problems."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest

from tests.support.agreement import PROBLEMS, World, by_executor, world
from tests.support.shipped import FILES
from tts_lang import library
from tts_lang.check.file import CheckedLaw, LawSide
from tts_lang.compiler import check_path, compile_strategy
from tts_lang.plan.graph import Plan

LAWS = [(path.stem, law) for path in FILES for law in check_path(path).laws]
WORLDS = range(8)
SIZES = (1, 2, 4)


def plan_of(side: LawSide, sizes: dict[str, int]) -> Plan:
    given = {name: value for name, value in side.arguments.items() if value is not None}
    given |= {parameter: sizes[name] for parameter, name in side.free.items()}
    return compile_strategy(library.find(side.strategy), side.strategy, given)


def ample(number: int) -> World:
    """Contexts long enough that every path ends before its loop does."""
    return replace(world(number), context=2000)


def test_there_are_many_laws() -> None:
    assert len(LAWS) >= 25


@pytest.mark.parametrize(
    ("file", "law"), LAWS, ids=[f"{file}-{law.span.start}" for file, law in LAWS]
)
def test_law_holds(file: str, law: CheckedLaw) -> None:
    for values in product(SIZES, repeat=len(law.free_names)):
        sizes = dict(zip(law.free_names, values, strict=True))
        left, right = plan_of(law.left, sizes), plan_of(law.right, sizes)
        for number in WORLDS:
            problem = PROBLEMS[number % len(PROBLEMS)]
            one, other = (
                by_executor(plan, ample(number), problem, number) for plan in (left, right)
            )
            assert one.error is None
            assert other.error is None
            assert one.answer_key == other.answer_key, f"{file}, world {number}, {sizes}"
