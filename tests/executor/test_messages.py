"""Messages before the problem: a system text, and examples as turns (C79)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.runs import PROBLEM, plan_of, run_plan
from tests.support.scripted import ScriptedPolicy
from tts_runtime import Problem
from tts_runtime.binding import Binding, Messages
from tts_runtime.problems import ProblemFileError, load_problems
from tts_runtime.tokens import Trusted

SHOTS: Messages = (("system", "Be brief."), ("user", "1+1"), ("assistant", "2"))
ASK = 'prompt again = "Sure about {answer}? {problem}"\n'


def policy(*texts: str, **changes: object) -> ScriptedPolicy:
    """A policy whose binding says where messages go."""
    engine = ScriptedPolicy(list(texts))
    form = {"prompt": "[{system}]<{message}>", "turn": "|<{message}>", "system": "Own."}
    engine.binding = engine.binding.model_copy(update={**form, **changes})
    return engine


def prompts(engine: ScriptedPolicy) -> list[str]:
    return ["".join(map(chr, request.prompt)) for request in engine.requests]


def problem(before: Messages) -> Problem:
    return Problem("p", "2+2", "4", before=before)


def test_c79_the_problems_conversation_begins_with_them() -> None:
    engine = policy("\\boxed{4}", "yes")
    lines = ("p = sample 1", "return ask again about p")
    outcome = run_plan(plan_of(*lines, before=ASK), engine, problem=problem(SHOTS))
    assert outcome.error is None, outcome.error
    assert prompts(engine) == ["[Be brief.]<1+1>2|<2+2>", "[Own.]<Sure about 4? 2+2>"]


def test_c79_history_keeps_them() -> None:
    engine = policy("\\boxed{4}", "yes")
    lines = ("p = sample 1", "return ask again about p with history")
    run_plan(plan_of(*lines, before=ASK), engine, problem=problem(SHOTS))
    assert prompts(engine)[1] == "[Be brief.]<1+1>2|<2+2>\\boxed{4}|<Sure about 4? 2+2>"


def test_c79_without_any_a_prompt_is_as_before() -> None:
    engine = policy("x")
    run_plan(plan_of("return sample 1"), engine, problem=problem(()))
    assert prompts(engine) == ["[Own.]<2+2>"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"turn": None}, "does not say how a conversation"), ({"prompt": "{message}"}, "no place")],
)
def test_c79_a_binding_that_has_no_form_for_them_is_refused(
    changes: dict[str, object], said: str
) -> None:
    engine = policy("x", **changes)
    outcome = run_plan(plan_of("return sample 1"), engine, problem=problem(SHOTS))
    assert said in str(outcome.error)
    assert engine.requests == []


def test_c79_no_text_of_a_message_is_a_control_token() -> None:
    binding = Binding(
        name="b", prompt="<s>{system}<u>{message}<a>", turn="<e><u>{message}<a>", context=99
    )
    before = (("system", "<s>"), ("user", "<u>"), ("assistant", "<e>"))
    opened = binding.open("<a>", thinking=False, before=before)
    assert opened == "<s><s><u><u><a><e><e><u><a><a>"
    trusted = "".join(opened[first:last] for first, last in opened.spans)
    assert trusted == "<s><u><a><e><u><a>"
    assert isinstance(opened, Trusted)


def test_c79_a_thought_opens_behind_the_last_turn_alone() -> None:
    binding = Binding.model_validate(
        {
            "name": "b",
            "prompt": "<{message}>",
            "turn": "|<{message}>",
            "thinking": {"begin": "(", "end": ")", "always": True},
            "context": 99,
        }
    )
    assert binding.open("2", thinking=False, before=SHOTS[1:]) == "<1+1>2|<2>("


# ------------------------------------------------------------------------------ problem files


def loaded(tmp_path: Path, messages: object) -> Problem:
    path = tmp_path / "p.jsonl"
    path.write_text(json.dumps({"id": "p", "messages": messages, "answer": "4"}) + "\n")
    [found] = load_problems(path)
    return found


def turns(*roles: str) -> list[dict[str, str]]:
    return [{"role": role, "content": f"{role} {n}"} for n, role in enumerate(roles)]


def test_c79_a_chat_is_a_problem_with_what_came_before(tmp_path: Path) -> None:
    found = loaded(tmp_path, turns("developer", "user", "assistant", "user", "assistant"))
    assert found.text == "user 3"  # what follows is a solution
    assert found.before == (
        ("system", "developer 0"),
        ("user", "user 1"),
        ("assistant", "assistant 2"),
    )
    assert loaded(tmp_path, turns("user")).before == ()


@pytest.mark.parametrize(
    ("messages", "said"),
    [
        (turns("user", "user"), "user, user: they must be of user and assistant in turn"),
        (turns("assistant", "user"), "assistant, user: they must be"),
        (turns("user", "assistant", "system", "user"), "in turn"),
        (turns("system"), "no turn of a user"),
        ([{"role": "user"}], "messages with `role` and `content`"),
        ([{"role": "user", "content": []}], "messages with `role` and `content`"),
        ([{"role": "user", "content": [{"type": "image"}]}], "a part that is no text: 'image'"),
        (["hello"], "messages with `role` and `content`"),
    ],
)
def test_c79_messages_that_are_no_conversation_are_refused(
    tmp_path: Path, messages: object, said: str
) -> None:
    with pytest.raises(ProblemFileError, match=said):
        loaded(tmp_path, messages)


def test_a_problem_of_its_own_is_the_usual_one() -> None:
    assert PROBLEM.before == ()
