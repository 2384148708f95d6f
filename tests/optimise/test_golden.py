"""Graphs before and after each pass; both are run, and every rule fires somewhere.

A fixture holds cases between `====`: a strategy, its plan, and the plan after the pass, between
`----`. `# rule:` names the rule that the case is about; the case of a refusal has no other graph.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.agreement import INSTANT, PROBLEMS, compiled, world
from tests.support.golden import FIXTURES
from tests.support.optimising import difference, outcome
from tts_lang.optimise import PASSES, Optimised, optimise
from tts_lang.optimise.rules import Keeps
from tts_lang.plan.text import to_text

FOLDER = FIXTURES / "optimise"


@dataclass(frozen=True, slots=True)
class Case:
    """One case of a fixture, and the passes that run: its own, and those that it needs first."""

    path: Path
    place: int
    rule: str
    source: str
    before: str
    after: str

    @property
    def name(self) -> str:
        return f"{self.path.stem}-{self.place}-{self.rule}"

    def optimised(self) -> Optimised:
        """By the case's own pass, after fold_constants for numbers that only it makes known."""
        only = {self.path.stem} | ({"fold_constants"} if "repeat 1:" in self.source else set())
        return optimise(compiled(self.source), only=only, check=True)


def cases(path: Path) -> list[Case]:
    """The cases of one file."""
    found = []
    for place, text in enumerate(path.read_text("utf-8").split("====\n")):
        source, before, after = text.split("----\n")
        rule = source.splitlines()[0].removeprefix("# rule: ")
        found.append(Case(path, place, rule, source, before, after))
    return found


CASES = [case for path in sorted(FOLDER.glob("*.txt")) for case in cases(path)]


def test_every_pass_has_a_file_and_every_rule_fires_in_it() -> None:
    assert {path.stem for path in FOLDER.glob("*.txt")} == {passed.name for passed in PASSES}
    fired = {
        trace.rule.name
        for case in CASES
        for stage in case.optimised().stages
        for trace in stage.trace.rules
        if trace.fired and trace.rule.name == case.rule
    }
    assert fired == {
        rule.name for passed in PASSES for rule in passed.rules if rule.keeps is Keeps.TEXTS
    }


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.txt")), ids=lambda path: path.stem)
def test_graphs(path: Path, update_golden: bool) -> None:
    texts = []
    for case in cases(path):
        made = case.optimised()
        texts.append(f"{case.source}----\n{to_text(made.raw)}----\n{to_text(made.plan)}")
    text = "====\n".join(texts)
    if update_golden:
        path.write_text(text, "utf-8")
    assert text == path.read_text("utf-8")


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_both_graphs_give_the_same(case: Case) -> None:
    made = case.optimised()
    for number in range(4):
        problem = PROBLEMS[number % len(PROBLEMS)]
        here = world(number)
        before = outcome(made.raw, made.raw, here, problem, number, INSTANT)
        after = outcome(made.plan, made.raw, here, problem, number, INSTANT)
        assert before.error is None
        assert difference(made.raw, before, after) is None
