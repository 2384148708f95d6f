"""No rewrite changes an answer: normal forms run beside the plans that they were made from.

`python -m tests.support.soundness` does the same in many more worlds, and attacks laws, too.
"""

from __future__ import annotations

from collections import Counter
from functools import cache

import pytest

from tests.support.quiet_programs import lawful_program, quiet_program
from tests.support.soundness import check_form, every_program
from tts_lang.laws.normal_form import normalise
from tts_lang.optimise import PASSES
from tts_lang.optimise.engine import run
from tts_lang.optimise.rules import Keeps, Pass, Rule
from tts_lang.plan.graph import Plan
from tts_runtime.laws.random_models import world

RULES = [rule for each in PASSES for rule in each.rules]
PROGRAMS = range(240)
#: Programs to which each rule is applied alone.
SINGLY = 6
#: A rule that needs another of its pass: a loop may still carry what a dead operation made.
WITH = {"dead-operation": "unread-variable"}
#: Rules that have work only behind others.
NEVER_ALONE = {"known-number", "constant-folded", "sorted-is-returned", "branch-fused"}


@cache
def quiet(number: int) -> tuple[str, Plan]:
    """Two of three are of what the optimiser rewrites, too, one of what only the prover does."""
    return lawful_program(number) if number % 3 == 2 else quiet_program(number - number // 3)


def test_normal_forms_answer_as_their_plans_do() -> None:
    used: Counter[str] = Counter()
    for number in PROGRAMS:
        source, plan = quiet(number)
        used.update(set(check_form(source, plan, world(7, number))))
    rare = {rule.name: used[rule.name] for rule in RULES if used[rule.name] < 2}
    assert not rare, "these rules were hardly tested"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_every_rule_alone_keeps_answers(rule: Rule) -> None:
    alone = Pass(rule.name, (rule, *(each for each in RULES if each.name == WITH.get(rule.name))))
    tried = 0
    for number in PROGRAMS:
        source, plan = quiet(number)
        if rule.name in run(alone, plan, Keeps.ANSWER)[1].applied:
            check_form(source, plan, world(7, number + 1000), (alone,))
            tried += 1
        if tried == SINGLY:
            break
    assert (tried == 0) is (rule.name in NEVER_ALONE)


def test_normal_forms_of_programs_with_everything() -> None:
    """Every verb, unit and clause of the language, where most rules must decline."""
    for number in range(40):
        source, plan = every_program(number)
        check_form(source, plan, world(7, number))


def test_a_normal_form_is_its_own() -> None:
    for number in range(40):
        once = normalise(quiet(number)[1])
        assert normalise(once.plan).key == once.key
