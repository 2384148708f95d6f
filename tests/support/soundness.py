"""Random worlds against everything that is proved: `python -m tests.support.soundness --help`.

Each normal form of a generated program runs beside the plan that it was made from, and both sides
of each proved law beside each other. The figures of docs/laws.md are this module's.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.docs.blocks import blocks
from tests.support.agreement import compiled
from tests.support.laws import FIXTURES, ROOT, laws_in, shipped
from tests.support.mutants import mutants
from tests.support.programs import random_program
from tests.support.quiet_programs import lawful_program, quiet_program
from tests.support.true_pairs import HEAD, PAIRS
from tts_lang.laws.normal_form import normalise, same
from tts_lang.laws.sizes import reach
from tts_lang.laws.statements import Pair, instances, shown_values
from tts_lang.optimise import PASSES
from tts_lang.optimise.rules import Pass
from tts_lang.plan.graph import Plan
from tts_lang.plan.text import to_text
from tts_lang.plan.verify import verify
from tts_runtime.laws.random_models import LawWorld, roomy, world
from tts_runtime.laws.runs import OutcomePair, run

_NOTHING_LEFT: Final = "no candidate has a text"


def every_program(number: int) -> tuple[str, Plan]:
    """A program of the whole language, where most rules must decline."""
    source = random_program(number)
    return source, compiled(source)


KINDS: Final[tuple[Callable[[int], tuple[str, Plan]], ...]] = (
    quiet_program,
    lawful_program,
    every_program,
)


def fault(both: OutcomePair) -> str | None:
    """What is wrong with a normal form, on the right; `None`: it answers as its plan does.

    Runs that fail say nothing (C57): the normal form may fail less often, and never otherwise.
    """
    if both.left.error is not None:
        return None
    if _NOTHING_LEFT in (both.right.error or ""):
        # What had a text was needed for nothing (C57).
        return "an answer is lost" if both.left.answer_key is not None else None
    if both.right.error is not None:
        return f"only the normal form fails: {both.right.error}"
    return differing(both)


def differing(both: OutcomePair) -> str | None:
    """What is wrong with two strategies that are proved equal; `None`: they answer alike."""
    return "the answers differ" if both.differs else None


def check_form(
    source: str, plan: Plan, found: LawWorld, passes: tuple[Pass, ...] = PASSES
) -> tuple[str, ...]:
    """Runs a plan and its normal form in one world; returns the rules that were used."""
    form = normalise(plan, passes)
    verify(form.plan)
    wrong = fault(run(plan, form.plan, found))
    assert wrong is None, f"{wrong}:\n{source}\nbecame, by {form.rules},\n{to_text(form.plan)}"
    return form.rules


@dataclass
class Attack:
    """Comparisons, and what they found."""

    seed: int
    compared: Counter[str] = field(default_factory=Counter)
    proofs: Counter[str] = field(default_factory=Counter)
    answered: int = 0
    failed: int = 0
    broken: list[str] = field(default_factory=list)

    def worlds(
        self, kind: str, title: str, left: Plan, right: Plan, trials: range, *, form: bool = False
    ) -> None:
        """Both plans in the worlds of some trials; a run that fails is tried with more room.

        `form`: the right one is the normal form of the left, and may not fail where that does not.
        """
        said = fault if form else differing
        self.proofs[kind] += 1
        tokens = reach(left, right)
        for trial in trials:
            found = world(self.seed, trial, tokens)
            both = run(left, right, found)
            wrong = said(both)
            if both.failed and wrong is None:
                both = run(left, right, roomy(found))
                wrong = said(both)
            if wrong is not None:
                self.broken.append(f"{kind}, trial {trial}, {wrong}:\n{title}")
                print(self.broken[-1], flush=True)
            self.failed += both.failed
            self.compared[kind] += not both.failed
            self.answered += not both.failed and both.left.answer_key is not None

    def program(self, number: int, worlds: int) -> None:
        """A generated program of each kind; of some, the mutants that are proved equal to it."""
        trials = range(number * worlds, (number + 1) * worlds)
        for kind in KINDS:
            source, plan = kind(number)
            form = normalise(plan)
            self.worlds(kind.__name__, source, plan, form.plan, trials, form=True)
            # Most of these are no equals: finding them takes longer than running the program.
            for name, mutant in mutants(plan) if number % 4 == 0 else ():
                if same(normalise(mutant), form):
                    self.worlds("mutant", f"{source}\n{name}", plan, mutant, trials[:1])

    def say(self) -> None:
        """The figures so far."""
        parts = ", ".join(
            f"{name} {count:,} of {self.proofs[name]:,}" for name, count in self.compared.items()
        )
        print(
            f"{sum(self.compared.values()):,} comparisons ({parts} proofs), {self.answered:,} with "
            f"an answer; {self.failed:,} runs failed; {len(self.broken)} broken",
            flush=True,
        )


def documented(folder: Path) -> Iterator[Path]:
    """The strategy files of the documentation that have laws, written into a folder."""
    for page in sorted((ROOT / "docs").glob("*.md")):
        for number, block in enumerate(blocks(page)):
            if block.info == "tts" and "\nlaw " in block.body:
                path = folder / f"{page.stem}_{number}.tts"
                path.write_text(block.body, "utf-8")
                yield path


def proved_laws() -> Iterator[tuple[str, Plan, Plan]]:
    """Every instance that is proved of the laws of strategies, documentation and fixtures."""
    with tempfile.TemporaryDirectory() as folder:
        fixtures = (FIXTURES / "sampling.tts", FIXTURES / "choosing.tts")
        laws = [*shipped(), *laws_in(*fixtures, *documented(Path(folder)))]
    for name, law in laws:
        for pair in instances(law):
            if isinstance(pair, Pair) and same(normalise(pair.left), normalise(pair.right)):
                yield f"{name} at {shown_values(pair.values)}", pair.left, pair.right
    for name, bodies in PAIRS.items():
        left, right = (
            compiled(f"{HEAD}strategy main():\n    " + body.replace("\n", "\n    "))
            for body in bodies
        )
        if same(normalise(left), normalise(right)):
            yield name, left, right


def main(arguments: list[str]) -> int:
    """Attacks until the worlds are used up; 1 if something breaks."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.soundness", description=__doc__)
    parser.add_argument("--programs", type=int, default=1500, help="generated programs of a kind")
    parser.add_argument("--worlds", type=int, default=16, help="worlds for each of them")
    parser.add_argument("--laws", type=int, default=130, help="worlds for each proved law")
    parser.add_argument("--seed", type=int, default=8, help="which worlds")
    parser.add_argument("--from", type=int, default=10_000, dest="first", help="first program")
    given = parser.parse_args(arguments)
    attack = Attack(given.seed)
    for title, left, right in proved_laws():
        attack.worlds("law", title, left, right, range(given.laws))
    attack.say()
    for number in range(given.first, given.first + given.programs):
        attack.program(number, given.worlds)
        if number % 100 == 99:
            attack.say()
    attack.say()
    return 1 if attack.broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
