"""No rewrite changes an answer: normal forms run beside the plans that they were made from."""

from __future__ import annotations

from collections import Counter
from functools import cache

import pytest

from tests.support.agreement import compiled
from tests.support.programs import random_program
from tests.support.quiet_programs import lawful_program, quiet_program
from tts_lang.laws.normal_form import normalise
from tts_lang.optimise import PASSES
from tts_lang.optimise.rules import Pass, Rule
from tts_lang.plan.graph import Plan
from tts_lang.plan.text import to_text
from tts_lang.plan.verify import verify
from tts_runtime.laws.random_models import world
from tts_runtime.laws.runs import run

RULES = [rule for each in PASSES for rule in each.rules]
PROGRAMS = range(240)
SINGLY = range(20)


@cache
def quiet(number: int) -> tuple[str, Plan]:
    """Two of three are of what the optimiser rewrites, too, one of what only the prover does."""
    return lawful_program(number) if number % 3 == 2 else quiet_program(number - number // 3)


def check(
    source: str, plan: Plan, number: int, passes: tuple[Pass, ...] = PASSES
) -> tuple[str, ...]:
    """Runs both in one world; returns the rules that were used."""
    form = normalise(plan, passes)
    verify(form.plan)
    both = run(plan, form.plan, world(7, number))
    # Runs that fail say nothing (C57): the normal form may fail less often, and never otherwise.
    if both.left.error is None and "no candidate has a text" in (both.right.error or ""):
        assert both.left.answer_key is None  # what had one was needed for nothing (C57)
    elif both.left.error is None:
        assert both.right.error is None, f"{source}\n{to_text(form.plan)}\n{form.rules}"
        assert both.left.answer_key == both.right.answer_key, (
            f"{source}\nbecame, by {form.rules},\n{to_text(form.plan)}"
        )
    return form.rules


def test_normal_forms_answer_as_their_plans_do() -> None:
    used: Counter[str] = Counter()
    for number in PROGRAMS:
        source, plan = quiet(number)
        used.update(set(check(source, plan, number)))
    rare = {rule.name: used[rule.name] for rule in RULES if used[rule.name] < 2}
    assert not rare, "these rules were hardly tested"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_every_rule_alone_keeps_answers(rule: Rule) -> None:
    for number in SINGLY:
        source, plan = quiet(number)
        check(source, plan, number + 1000, (Pass(rule.name, (rule,)),))


def test_normal_forms_of_programs_with_everything() -> None:
    """Every verb, unit and clause of the language, where most rules must decline."""
    for number in range(40):
        source = random_program(number)
        check(source, compiled(source), number)


def test_a_normal_form_is_its_own() -> None:
    for number in range(40):
        once = normalise(quiet(number)[1])
        assert normalise(once.plan).key == once.key
