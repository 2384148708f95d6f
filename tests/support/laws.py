"""Laws of files, their sides as plans, and runs of both sides in random worlds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from tts_lang.check.file import CheckedLaw, LawSide
from tts_lang.check.types import ScalarType, Typed
from tts_lang.compiler import check_path, compile_law_side
from tts_lang.laws.statements import title
from tts_lang.plan.expr import Const
from tts_lang.plan.graph import Plan
from tts_runtime.laws.random_models import roomy, world
from tts_runtime.laws.runs import run

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "tests" / "fixtures" / "laws"


def laws_in(*files: Path) -> Iterator[tuple[str, CheckedLaw]]:
    """Every law of some files, with its title."""
    for path in files:
        result = check_path(path)
        assert result.ok, result.diagnostics
        yield from ((title(law), law) for law in result.laws)


@lru_cache(1)
def shipped() -> tuple[tuple[str, CheckedLaw], ...]:
    """The laws beside the shipped strategies."""
    files = sorted((ROOT / "strategies").rglob("*.tts"))
    return tuple(laws_in(*(path for path in files if "\nlaw " in path.read_text("utf-8"))))


def sides(law: CheckedLaw, number: int, depth: int | None = None) -> tuple[Plan, Plan]:
    """Both plans, every free name at a number; `depth` in place of the strategies' default."""
    numbers = dict.fromkeys(law.free_names, number)
    left, right = (
        compile_law_side(_shallow(side, depth), numbers) for side in (law.left, law.right)
    )
    return left, right


def _shallow(side: LawSide, depth: int | None) -> LawSide:
    if depth is None or "depth" not in side.arguments or "depth" in side.fixed:
        return side
    return replace(side, fixed={**side.fixed, "depth": Typed(ScalarType.NUMBER, Const(depth))})


def refuting_trial(left: Plan, right: Plan, trials: range, seed: int = 0) -> int | None:
    """The first trial in which both sides answer differently."""
    for trial in trials:
        both = run(left, right, world(seed, trial))
        if both.failed:
            both = run(left, right, roomy(world(seed, trial)))
        if both.differs:
            return trial
    return None
