"""Normal forms: a plan rewritten until no rule applies, in canonical form."""

from __future__ import annotations

from dataclasses import dataclass

from tts_lang.laws.canonical import canonical
from tts_lang.optimise.engine import run
from tts_lang.optimise.pipeline import PASSES
from tts_lang.optimise.rules import Keeps, Pass
from tts_lang.plan.graph import Plan
from tts_lang.plan.serialize import to_json
from tts_lang.plan.text import to_text

#: More rounds of all passes than any strategy needs: rules that undo each other.
_MOST_ROUNDS = 1_000


@dataclass(frozen=True, slots=True)
class NormalForm:
    """A plan in normal form.

    Args:
        plan: An executable plan with the same answers, without names.
        rules: Names of the rules that were applied, in order.
    """

    plan: Plan
    rules: tuple[str, ...]

    @property
    def text(self) -> str:
        """The plan to be read."""
        return to_text(self.plan).partition("\n\n")[2]

    @property
    def key(self) -> str:
        """Equal for equal normal forms (numbers differ from flags, and 1 from 1.0)."""
        return to_json(self.plan)


def normalise(plan: Plan, passes: tuple[Pass, ...] = PASSES) -> NormalForm:
    """The normal form of a plan, by every rule of the optimiser's passes.

    Answers are the same for every policy, scorer and problem, in runs without errors.
    """
    applied: list[str] = []
    for _ in range(_MOST_ROUNDS):
        before = len(applied)
        for pass_ in passes:
            plan, trace = run(pass_, plan, Keeps.ANSWER)
            applied += trace.applied
        if len(applied) == before:
            return NormalForm(canonical(plan), tuple(applied))
    raise AssertionError(f"rewriting does not end; the last rules were {', '.join(applied[-6:])}")


def same(left: NormalForm, right: NormalForm) -> bool:
    """Whether two normal forms are equal."""
    return left.key == right.key
