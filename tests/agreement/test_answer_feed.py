"""What is told of an answer while it is drawn is the answer, in shipped and in random programs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.agreement import INSTANT, PROBLEMS, compiled, latency, world
from tests.support.programs import random_program
from tests.support.runs import PROBLEM, plan_of
from tests.support.scripted import ScriptedPolicy
from tts_lang.compiler import compile_strategy
from tts_lang.optimise import optimise
from tts_lang.plan.graph import Plan
from tts_runtime.engines.base import PolicyEngine, ScorerEngine
from tts_runtime.engines.sim.virtual import run_virtual
from tts_runtime.executor import PASSES, Outcome, ProblemLike, bind, execute
from tts_runtime.executor.generation import AnswerDrawn
from tts_runtime.executor.problem import Events
from tts_runtime.tokens import to_bytes, to_text


def told(
    plan: Plan,
    policies: dict[str, PolicyEngine],
    scorers: dict[str, ScorerEngine] | None = None,
    problem: ProblemLike = PROBLEM,
    seed: int = 0,
) -> tuple[Outcome, list[str]]:
    """The outcome, and the answers that listeners were told of at the end of each generation."""
    feeds: dict[int, AnswerDrawn] = {}

    def subscribe(_: ProblemLike, events: Events) -> None:
        events.subscribe(AnswerDrawn, lambda event: feeds.update({id(event.partial): event}))

    async def one() -> Outcome:
        return await execute(
            bind(plan, policies, scorers or {}, PASSES), problem, seed, subscribe=subscribe
        )

    outcome = run_virtual(one())
    texts = [
        to_text(each.node.data + to_bytes(each.policy.tokenizer, each.partial.ids))
        for each in feeds.values()
    ]
    return outcome, texts


#: What may follow the answer of a random program, `chosen`.
ENDINGS = (
    "return expand chosen by 1",
    "repeat 2 until all chosen done:\n        chosen = expand chosen by 1 x 3 tokens\n"
    "    return chosen",
    "if first(tokens of chosen) > 6:\n        return chosen\n    return expand chosen by 1",
)


def ending_in_a_sample(number: int) -> str:
    """A random program that continues its answer."""
    body, _, answer = random_program(number).rstrip().rpartition("    return ")
    return f"{body}    chosen = {answer}\n    {ENDINGS[number % len(ENDINGS)]}\n"


def test_what_is_told_is_the_answer_of_random_programs(program_count: int) -> None:
    heard, count = 0, program_count // 3
    for number in range(count):
        plan = compiled(ending_in_a_sample(number))
        if number % 2:
            plan = optimise(plan).plan
        here, speed = world(number), latency(number)
        problem = PROBLEMS[number % len(PROBLEMS)]
        policies, scorers = here.policies(plan, speed), here.scorers(plan, speed)
        outcome, texts = told(plan, dict(policies), dict(scorers), problem, number)
        if texts and outcome.error is None:
            heard += 1
            assert texts == [outcome.text], number
    assert heard > count // 8


REVISE = """
prompt revise = \"\"\"{problem} {text} Improve.\"\"\"
prompt merge = \"\"\"{problem} {candidates} Merge.\"\"\"

strategy other():
    return sample 1
"""


@pytest.mark.parametrize(
    ("lines", "count"),
    [
        (["return sample 1"], 1),
        (["return best of (sample 2) by tokens"], 0),
        (["draft = sample 2", "return ask merge about draft together"], 1),
        (["draft = sample 1", "return ask revise about draft"], 1),
        # Of a loop, the last round.
        (
            ["draft = sample 1", "repeat 3:", "    draft = ask revise about draft", "return draft"],
            1,
        ),
        (["draft = sample 1", "repeat 2:", "    draft = sample 1", "return draft"], 1),
        # What something else reads as well.
        (["one = sample 1", "two = ask revise about one", "return first of (two + one)"], 0),
        (["return other()"], 1),
        (["draft = sample 1 x 3 tokens", "return other() on draft"], 1),
        (["draft = sample 2", "return vote (other() on draft)"], 0),
        # A thought is cut before its delimiter.
        (["thought = sample 1 thought", "return thought"], 0),
        (["thought = sample 1 thought", "return expand thought by 1"], 1),
    ],
)
def test_only_the_last_sample_of_a_plan_is_told(lines: list[str], count: int) -> None:
    texts = [f"{number}: \\boxed{{{number}}}" for number in range(20)]
    policy = ScriptedPolicy(["a thought</think> \\boxed{1}", *texts], thinking=True)
    plan = plan_of(*lines, before=REVISE)
    outcome, found = told(plan, {"policy": policy})
    assert outcome.error is None
    assert len(found) == count
    assert set(found) <= {outcome.text}


@pytest.mark.parametrize("name", ["fusion", "greedy", "step_back", "budget_forcing"])
def test_shipped_strategies_that_end_in_one_sample_tell_it(name: str) -> None:
    plan = compile_strategy(name)
    here = replace(world(3), context=4000)
    policies, scorers = here.policies(plan, INSTANT), here.scorers(plan, INSTANT)
    outcome, found = told(plan, dict(policies), dict(scorers))
    assert outcome.error is None
    assert found == [outcome.text]
