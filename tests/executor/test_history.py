"""Asking in the conversation so far (C73)."""

from __future__ import annotations

import pytest

from tests.support.agreement import by_executor, compiled, world
from tests.support.checking import codes
from tests.support.runs import PROBLEM, plan_of, run_plan
from tests.support.scripted import Bytes, ScriptedPolicy
from tts_runtime.executor import BindError, Outcome

PROMPT = 'prompt again = "Sure about {answer}?"\n'
JUDGE = """judge good with history:
    "Grade it."
    read number from 0 to 9
"""
TURN = "|{message}|"


def talking(*texts: str, tokenizer: Bytes | None = None) -> ScriptedPolicy:
    """A policy whose binding says how a conversation continues."""
    policy = ScriptedPolicy(list(texts), tokenizer=tokenizer)
    policy.binding = policy.binding.model_copy(update={"turn": TURN})
    return policy


def prompts(policy: ScriptedPolicy) -> list[str]:
    """What it read before each of its replies."""
    return ["".join(map(chr, request.prompt)) for request in policy.requests]


def fine(outcome: Outcome) -> None:
    """It has not failed."""
    assert outcome.error is None, outcome.error


def test_c73_the_question_is_the_next_turn_of_the_conversation() -> None:
    policy = talking("\\boxed{3}", "Yes: \\boxed{4}", "No")
    lines = ["p = sample 1", *["p = ask again about p with history"] * 2, "return p"]
    fine(run_plan(plan_of(*lines, before=PROMPT), policy))
    first = f"{PROBLEM.text}\\boxed{{3}}|Sure about 3?|"
    assert prompts(policy) == [
        PROBLEM.text,
        first,
        f"{first}Yes: \\boxed{{4}}|Sure about 4?|",
    ]


def test_c73_a_judge_reads_the_conversation() -> None:
    policy = talking("abc", "7")
    lines = ["p = sample 1", "score p by good", "return p"]
    outcome = run_plan(plan_of(*lines, before=JUDGE), policy)
    fine(outcome)
    assert prompts(policy)[1] == f"{PROBLEM.text}abc|Grade it.|"
    assert outcome.candidates[0].scores == {"good": 7.0}


def test_c73_with_and_without_history_are_two_conversations() -> None:
    policy = talking("abc", "one", "two")
    lines = [
        "p = sample 1",
        "q = (ask again about p) + (ask again about p with history)",
        "return first of q",
    ]
    fine(run_plan(plan_of(*lines, before=PROMPT), policy))
    assert len({request.key for request in policy.requests}) == 3


def test_c73_a_policy_with_another_tokenizer_reads_the_conversation_as_text() -> None:
    small = talking("later", tokenizer=Bytes("other"))
    lines = ["p = sample 1", "return ask again about p with history from small"]
    plan = plan_of(*lines, before=f"policy small\n{PROMPT}")
    fine(run_plan(plan, {"policy": talking("abc"), "small": small}))
    assert prompts(small) == [f"{PROBLEM.text}abc|Sure about ?|"]


def test_c73_only_the_new_turn_is_read_anew() -> None:
    """C66: what the policy has drawn or read costs nothing again."""
    read = []
    for history in ("", " with history"):
        lines = f"    p = sample 1\n    return ask again about p{history}\n"
        plan = compiled(f"{PROMPT}strategy main():\n{lines}")
        outcome = by_executor(plan, world(1), PROBLEM, 0)
        read.append(outcome.counts.prompt_tokens)
    assert read[1] == read[0] + 1  # the line break before the next turn


@pytest.mark.parametrize(
    ("lines", "before", "who"),
    [
        (["p = sample 1", "return ask again about p with history"], PROMPT, "main.tts:"),
        (["p = sample 1", "score p by good", "return p"], JUDGE, "judge `good`: "),
    ],
)
def test_c73_a_binding_that_does_not_say_how_is_refused(
    lines: list[str], before: str, who: str
) -> None:
    with pytest.raises(BindError) as error:
        run_plan(plan_of(*lines, before=before), ScriptedPolicy(["a"]))
    assert str(error.value).startswith(who)
    assert "(`scripted`) does not say how: add `turn` to it" in str(error.value)


@pytest.mark.parametrize(
    "text",
    [
        f"{PROMPT}strategy s():\n    p = sample 2\n"
        "    return ask again about p together with history\n",
        JUDGE.replace("with history", "together with history")
        + "strategy s():\n    return sample 1\n",
    ],
)
def test_c73_several_candidates_have_no_one_history(text: str) -> None:
    assert codes(text) == ["TTS146"]
