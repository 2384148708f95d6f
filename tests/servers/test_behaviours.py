"""How OpenAI-compatible servers behave, and what a run makes of it: a scripted server a row."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.records import candidates
from tests.support.runs import plan_of
from tests.support.scripted_server import (
    Asked,
    Reply,
    ScriptedServer,
    chat,
    completion,
    models,
    refused,
)
from tests.support.tts_run import Command
from tts_runtime import Problem, Result, Settings, run
from tts_runtime.executor import BindError

Answer = Callable[[Asked], Reply]
PROBLEMS = [Problem("one", "What is 6 * 7?", "42"), Problem("two", "What is 40 + 2?", "42")]
ARITH = ("--problems", "arith", "--limit", "1")
RIGHT = "It is \\boxed{42}."


@contextmanager
def serving(answer: Answer, listed: Reply | None = None) -> Iterator[ScriptedServer]:
    """A server with a list of models, which answers the rest as a function says."""

    def whole(asked: Asked) -> Reply:
        if asked.path.partition("?")[0].endswith("/models"):
            return listed or models()
        return answer(asked) if asked.method == "POST" else Reply({}, 404)

    with ScriptedServer(whole).running() as server:
        yield server


def result_of(
    server: ScriptedServer, plan: Any = "greedy", options: str = "", **set: Any
) -> Result:
    """A run whose problems all finish."""
    name = f"openai:{server.root}/v1#m" + (f"?{options}" if options else "")
    settings = Settings(policies={"policy": name}, scorers={})
    [result] = run(plan, PROBLEMS, settings=settings, parameters=set)
    assert [answer.error for answer in result.answers] == [None] * len(PROBLEMS)
    return result


def chats_only(answer: Answer) -> Answer:
    """A server without completions."""
    return lambda asked: answer(asked) if asked.chat else Reply({"error": "no"}, 404)


# ---------------------------------------------------------------------- replies


@pytest.mark.parametrize("api", ["chat", "completions"])
def test_a_log_probability_of_null_is_a_missing_value(api: str) -> None:
    def answer(asked: Asked) -> Reply:
        if asked.chat:
            tokens: Any = {"content": [{"token": RIGHT, "logprob": None, "top_logprobs": None}]}
            message = {"content": RIGHT}
            choice = {"message": message, "logprobs": tokens, "finish_reason": "stop"}
            return Reply({"choices": [choice]})
        tops = [{RIGHT: None, "x": -2.0}]
        tokens = {"tokens": [RIGHT], "token_logprobs": [None], "top_logprobs": tops}
        return completion(RIGHT, logprobs=tokens)

    plan = plan_of("pool = sample 2", "return best of pool by logprob")
    with serving(answer) as server:
        result = result_of(server, plan, f"api={api}")
    assert result.summary.accuracy == 1.0


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["It", " is"], 1),
        (["It", "is", "\\boxed{42}."], 1),
        (["It", "\u0120is", "\u0120\\boxed{42}."], 1),
        (["It", " is", " \\boxed{42}."], 0),
    ],
)
def test_the_text_counts_where_tokens_do_not_spell_it(
    names: list[str], said: int, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    def answer(asked: Asked) -> Reply:
        first = asked.body["max_tokens"] == 1
        listed = [{"token": name, "logprob": -1.0} for name in (names[:1] if first else names)]
        reply = chat("It", "length", 1) if first else chat(RIGHT, "stop", 9)
        reply.body["choices"][0]["logprobs"] = {"content": listed}
        return reply

    with serving(chats_only(answer)) as server:
        policies = {"policy": f"openai:{server.root}/v1#m"}
        settings = Settings(policies=policies, scorers={}, out=tmp_path / "run")
        [result] = run("greedy", PROBLEMS, settings=settings)
    assert result.summary.accuracy == 1.0
    assert [each.added for each in candidates(tmp_path / "run")] == [RIGHT, RIGHT]
    assert result.summary.policy_tokens == 2 * 9
    assert caplog.text.count("do not spell") == said


def test_names_of_a_vocabulary_are_no_tokens() -> None:
    def answer(asked: Asked) -> Reply:
        reply = chat(" It" if asked.body["max_tokens"] == 1 else RIGHT)
        reply.body["choices"][0]["logprobs"] = {"content": [{"token": "\u0120It", "logprob": -1.0}]}
        return reply

    with serving(chats_only(answer)) as server:
        assert result_of(server).summary.accuracy == 1.0
    assert "logprobs" not in server.sent()[-1]


@pytest.mark.parametrize(
    ("first", "message"),
    [
        (Reply({"error": {"message": "no such deployment", "code": 404}}), "HTTP 404: no such"),
        (Reply({"error": "loading the model"}), "HTTP 500: loading the model; given up after"),
        (Reply({"object": "error", "message": "odd", "code": 400}), "HTTP 400: odd"),
        (Reply([{"error": {"message": "bad key", "code": 401}}]), "HTTP 401: bad key"),
        (Reply({"error": {"message": "m", "type": "invalid_request_error"}}), "HTTP 400: m"),
        (
            refused("Provider returned error", 404, metadata={"raw": "no images"}),
            "Provider returned error: no images",
        ),
        (Reply({"choices": None, "status_msg": "no credit"}), '"status_msg": "no credit"'),
        (Reply({"choices": []}), "choices: there are none"),
        (Reply({"choices": [{"text": "a"}, {"text": "b"}]}), "choices: 2 of them"),
        (Reply({"choices": [None]}), "choices.0: NoneType"),
        (Reply({"choices": [{"message": "hello"}]}), "choices.0.message: str"),
        (Reply({"choices": [{"message": {"content": 5}}]}), "content: int, not a text"),
        (Reply({"choices": {"0": "a"}}), "choices: there are none"),
        (Reply(None), "NoneType, not an object"),
        (Reply(b"<html>"), "the answer is not JSON"),
        (Reply(b""), "the answer is not JSON"),
        (Reply({"data": 5}), "choices: there are none"),
    ],
)
def test_a_strange_first_reply_is_one_line(
    first: Reply, message: str, tts_run: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tts_runtime.engines.http.retry.WallClock.sleep", _at_once)
    with serving(lambda _asked: first) as server:
        policy = f"openai:{server.root}/v1#m?attempts=2"
        code, _, said = tts_run("greedy", *ARITH, "--policy", policy)
    assert code == 2
    [line] = [line for line in said.splitlines() if line.strip()]
    assert line.startswith("error: server http://127.0.0.1:")
    assert message in line


async def _at_once(_clock: object, _seconds: float) -> None:
    """No time passes."""


def test_an_error_under_status_200_is_repeated_if_its_code_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tts_runtime.engines.http.retry.WallClock.sleep", _at_once)
    wrong = [{"message": "busy", "code": "429"}, {"message": "x", "type": "overloaded_error"}]

    def answer(_asked: Asked) -> Reply:
        return Reply({"error": wrong.pop()}) if wrong else chat(RIGHT)

    with serving(chats_only(answer)) as server:
        assert result_of(server).summary.accuracy == 1.0


@pytest.mark.parametrize(
    "content",
    [
        [{"type": "text", "text": "It is "}, {"type": "text", "text": "\\boxed{42}."}],
        [{"type": "thinking", "thinking": [{"type": "text", "text": "\\boxed{1}"}]}, RIGHT],
        [{"type": "output_text", "text": RIGHT, "annotations": []}],
    ],
)
def test_content_may_be_a_list_of_parts(content: Any) -> None:
    with serving(chats_only(lambda _asked: chat(content))) as server:
        assert result_of(server).summary.accuracy == 1.0


@pytest.mark.parametrize("thought", [{"text": "Hm."}, [{"type": "text", "text": "Hm."}], 3, [5]])
def test_a_thought_may_have_any_form(thought: Any) -> None:
    with serving(chats_only(lambda _asked: chat(RIGHT, reasoning=thought))) as server:
        assert result_of(server).summary.accuracy == 1.0


@pytest.mark.parametrize(("drawn", "answers"), [(9, ["42", "42"]), (30, [None, None])])
def test_an_end_that_is_not_said_is_counted(drawn: int, answers: list[str | None]) -> None:
    """Some servers leave `finish_reason` empty; their counts say whether the limit ended it."""

    def answer(asked: Asked) -> Reply:
        count = 1 if asked.body["max_tokens"] == 1 else drawn
        return chat(RIGHT if drawn < 30 else "So it never ends", None, count)

    with serving(chats_only(answer)) as server:
        result = result_of(server, plan_of("return sample 1 max 30 tokens"), "attempts=1")
    assert [each.answer for each in result.answers] == answers
    assert result.summary.policy_tokens == 2 * drawn


def test_a_filtered_answer_is_that_candidates_alone(tmp_path: Path) -> None:
    """Under status 200, and as Azure does it, by refusing the request."""
    count = 0

    def answer(_asked: Asked) -> Reply:
        nonlocal count
        count += 1
        if count % 3 == 2:
            return chat("I will say \\boxed{13}", "content_filter", 50)
        if count % 3 == 0 and count > 3:
            return refused("The response was filtered", code="content_filter", param="prompt")
        return chat(RIGHT)

    with serving(chats_only(answer)) as server:
        name = f"openai:{server.root}/v1#m?concurrency=1"
        settings = Settings(policies={"policy": name}, scorers={}, out=tmp_path / "run")
        [result] = run("majority", PROBLEMS, settings=settings, parameters={"n": 6})
    assert result.summary.accuracy == 1.0
    withheld = sum(each % 3 == 2 for each in range(2, count + 1))  # the first one opens
    assert 50 * withheld < result.summary.policy_tokens < 50 * (withheld + 1)
    filtered = [each for each in candidates(tmp_path / "run") if each.finish == "failed"]
    assert len(filtered) >= 4
    assert {(each.added, each.answer, each.done) for each in filtered} == {("", None, True)}


# ---------------------------------------------------------------------- refused fields

REFUSALS: Mapping[str, Callable[[str], Reply]] = {
    "openai": lambda name: refused(
        f"Unsupported parameter: '{name}' is not supported with this model.",
        type="invalid_request_error",
        param=name,
        code="unsupported_parameter",
    ),
    "openai, no param": lambda name: refused(f"Unrecognized request argument supplied: {name}"),
    "llama-cpp-python": lambda name: refused(
        f"{name} is not supported for models created with logits_all=False", 500
    ),
    "openai, 403": lambda name: refused(
        f"You are not allowed to request {name} from this model", 403
    ),
    "mistral": lambda name: Reply(
        {
            "object": "error",
            "message": {
                "detail": [
                    {
                        "type": "extra_forbidden",
                        "loc": ["body", name],
                        "msg": "Extra inputs are not permitted",
                        "input": "stop, seed and temperature",
                    }
                ]
            },
            "type": "invalid_request_error",
            "code": None,
        },
        422,
    ),
    "fastapi": lambda name: Reply(
        {
            "detail": [
                {"loc": ["body", name], "msg": "extra fields not permitted", "type": "value_error"}
            ]
        },
        422,
    ),
    "gemini": lambda name: Reply(
        [
            {
                "error": {
                    "code": 400,
                    "message": f'Invalid JSON payload received. Unknown name "{name}": '
                    "Cannot find field.",
                    "status": "INVALID_ARGUMENT",
                }
            }
        ],
        400,
    ),
    "groq": lambda name: refused(f"property '{name}' is unsupported"),
    "openrouter": lambda name: refused(
        "Provider returned error",
        code=400,
        metadata={"raw": json.dumps({"error": {"message": f"Unsupported parameter: {name}"}})},
    ),
    "text": lambda name: Reply(f"unknown field `{name}`".encode(), 400),
    "under 200": lambda name: refused(f"`{name}` is not supported", 200, code=400),
}


def refusing(names: tuple[str, ...], refusal: Callable[[str], Reply]) -> Answer:
    """A server that refuses some fields, one at a time."""

    def answer(asked: Asked) -> Reply:
        wrong = next((name for name in names if name in asked.body), None)
        if wrong is not None:
            return refusal(wrong)
        limit = asked.body.get("max_tokens") or asked.body.get("max_completion_tokens") or 99
        return chat("It", "length", 1) if limit < 9 else chat(RIGHT)

    return chats_only(answer)


@pytest.mark.parametrize("words", REFUSALS)
def test_refused_fields_are_left_out_once_and_said(
    words: str, caplog: pytest.LogCaptureFixture
) -> None:
    names = ("seed", "top_p", "temperature")
    with serving(refusing(names, REFUSALS[words])) as server:
        result = result_of(server, "majority", n=4)
    assert result.summary.accuracy == 1.0
    for name in names:
        assert sum(name in body for body in server.sent()) <= 3 + 3 * (words == "openai, 403")
        assert caplog.text.count(f"refuses `{name}`") == 1
    assert "requests are not seeded" in caplog.text
    assert "?context" not in caplog.text


@pytest.mark.parametrize("words", [*REFUSALS, "No endpoints found for all parameters"])
def test_refused_log_probabilities_are_missing(words: str) -> None:
    refusal = REFUSALS.get(words, lambda _name: refused(words, 404))  # OpenRouter's way
    with serving(refusing(("top_logprobs", "logprobs"), refusal)) as server:
        assert result_of(server, "majority", n=2).summary.accuracy == 1.0
    assert "logprobs" not in server.sent()[-1]


def test_max_tokens_is_renamed(caplog: pytest.LogCaptureFixture) -> None:
    message = (
        "Unsupported parameter: 'max_tokens' is not supported with this model. Use "
        "'max_completion_tokens' instead."
    )
    refusal = refused(message, param="max_tokens", code="unsupported_parameter")
    with serving(refusing(("max_tokens",), lambda _name: refusal)) as server:
        assert result_of(server, "majority", n=4).summary.accuracy == 1.0
    assert sum("max_tokens" in body for body in server.sent()) == 1
    assert caplog.text.count("is sent as `max_completion_tokens`") == 1


def test_a_value_is_refused_and_others_are_not(caplog: pytest.LogCaptureFixture) -> None:
    def answer(asked: Asked) -> Reply:
        if asked.body.get("temperature") == 0:
            return refused("`temperature` must be strictly positive")
        return chat(RIGHT)

    plan = plan_of(
        "a = sample 1 at temperature 0", "b = sample 2 at temperature 0.5", "return vote a + b"
    )
    with serving(chats_only(answer)) as server:
        result_of(server, plan)
    assert {body.get("temperature") for body in server.sent()} == {0, 0.5, 1.0, None}
    assert "refuses `temperature` 0.0, which is omitted" in caplog.text


def test_of_two_fields_that_exclude_each_other_the_idle_one_goes() -> None:
    def answer(asked: Asked) -> Reply:
        if {"temperature", "top_p"} <= set(asked.body):
            return refused("`temperature` and `top_p` cannot both be specified for this model.")
        return chat(RIGHT)

    with serving(chats_only(answer)) as server:
        result_of(server, "majority", n=2)
    assert server.sent()[-1]["temperature"] == 1.0


def test_fields_by_hand() -> None:
    with serving(chats_only(lambda _asked: chat(RIGHT))) as server:
        result_of(server, options="omit=seed,top_p,logprobs&extra=reasoning_effort=low,top_k=3")
        result_of(server, options='extra={"thinking":{"type":"disabled"}}')
    first, *_, last = server.sent()
    assert not {"seed", "top_p", "logprobs", "top_logprobs"} & set(first)
    assert (first["reasoning_effort"], first["top_k"]) == ("low", 3)
    assert last["thinking"] == {"type": "disabled"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("extra={1", "not JSON"),
        ("extra=a", "name=value"),
        ("omit=model", "`model` cannot be omitted"),
    ],
)
def test_fields_that_cannot_be_set(options: str, message: str, tts_run: Command) -> None:
    code, _, said = tts_run(
        "greedy", *ARITH, "--policy", f"openai:http://127.0.0.1:9/v1#m?{options}"
    )
    assert code == 2
    assert message in " ".join(said.split())


def test_other_errors_get_no_hint_about_windows(tts_run: Command) -> None:
    def answer(asked: Asked) -> Reply:
        return chat("It", "length") if asked.body["max_tokens"] == 1 else refused("no more today")

    with serving(chats_only(answer)) as server:
        policy = f"openai:{server.root}/v1#m"
        code, _, said = tts_run("greedy", *ARITH, "--policy", policy)
    assert code == 3
    assert "HTTP 400: no more today" in said
    assert "?context" not in said


# ---------------------------------------------------------------------- forms (C77, C78)


@pytest.mark.parametrize(
    ("owner", "field", "value"),
    [("vllm", "structured_outputs", {"regex": "1|42"}), ("sglang", "regex", "1|42")],
)
def test_a_form_is_sent_in_the_servers_own_field(owner: str, field: str, value: object) -> None:
    listed = models(owned_by=owner, max_model_len=512)
    with serving(chats_only(lambda _: chat("42")), listed) as server:
        result = result_of(server, plan_of('return sample 1 one of "1", "42"'), "api=chat")
        assert [asked[field] for asked in server.sent() if field in asked] == [value] * 2
    assert result.summary.accuracy == 1.0


def test_a_server_that_ignores_a_form_is_found_out() -> None:
    listed = models(owned_by="vllm", max_model_len=512)
    with serving(chats_only(lambda _: chat("I think 42")), listed) as server:
        settings = Settings(policies={"policy": f"openai:{server.root}/v1#m?api=chat"}, scorers={})
        [result] = run(plan_of('return sample 1 matching "[0-9]+"'), PROBLEMS, settings=settings)
    assert all("seems to ignore" in str(answer.error) for answer in result.answers)


@pytest.mark.parametrize(
    ("clause", "said"),
    [
        ('one of "A", "B"', "takes no regular expressions"),
        ('avoiding "A" by 2', "their ids are not known"),
    ],
)
def test_what_a_server_does_not_take_is_refused_before_anything_is_spent(
    clause: str, said: str
) -> None:
    with serving(chats_only(lambda _: chat(RIGHT))) as server:
        settings = Settings(policies={"policy": f"openai:{server.root}/v1#m?api=chat"}, scorers={})
        with pytest.raises(BindError, match=said):
            run(plan_of(f"return sample 1 {clause}"), PROBLEMS, settings=settings)


# ---------------------------------------------------------------------- conversations (C73, C79)


@pytest.mark.parametrize("vllm", [False, True])
def test_conversations_are_sent_as_messages(vllm: bool) -> None:
    def answer(asked: Asked) -> Reply:
        return chat("<think>hm</think>\n\n7" if len(asked.body["messages"]) < 5 else RIGHT)

    listed = models(owned_by="vllm", max_model_len=512) if vllm else None
    plan = plan_of(
        "p = sample 1",
        "return ask again about p with history",
        before='prompt again = "Are you \ue011sure?"\n',
    )
    shots = (("system", "Be brief."), ("user", "1 + 1?"), ("assistant", "2"))
    problem = Problem("p", "What is 6 * 7?", "42", before=shots)
    with serving(chats_only(answer), listed) as server:
        name = f"openai:{server.root}/v1#m?api=chat" + ("" if vllm else "&context=512")
        settings = Settings(policies={"policy": name}, scorers={})
        [result] = run(plan, [problem], settings=settings)
        said = [
            [(each["role"], each["content"]) for each in body["messages"]]
            for body in server.sent()[-2:]
        ]
    assert result.answers[0].error is None
    first = [*shots, ("user", "What is 6 * 7?")]
    assert said[0] == first
    asked = [*first, ("assistant", said[1][4][1]), ("user", "Are you sure?")]
    assert said[1] == asked
    assert said[1][4][1].endswith("7")
    assert result.summary.accuracy == 1.0
