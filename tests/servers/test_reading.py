"""What scripted servers write and how it is read: thoughts, cuts, streams, lists, other hosts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tests.servers.test_behaviours import ARITH, RIGHT, chats_only, result_of, serving
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
from tts_runtime import Problem, Settings, run
from tts_runtime.engines.http.address import parse_address
from tts_runtime.engines.http.retry import passes
from tts_runtime.engines.openai.probe import window_in

# ---------------------------------------------------------------------- thoughts


def streamed(*deltas: Mapping[str, Any], finish: str = "stop", drawn: int = 0) -> Reply:
    """A streamed chat completion."""
    events: list[Any] = [{"choices": [{"index": 0, "delta": {"role": "assistant"}}]}]
    events += [{"choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    events.append({"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
    if drawn:
        usage = {"prompt_tokens": 5, "completion_tokens": drawn}
        events.append({"choices": [], "usage": usage})
    return Reply(events=tuple(events))


def thinking(field: str) -> Callable[[Asked], Reply]:
    """A reasoning model behind a server that tells thoughts apart; a first token is a thought."""

    def answer(asked: Asked) -> Reply:
        if asked.body["max_tokens"] == 1:
            return chat("", "length", 1, **{field: "Okay"})
        if asked.body.get("stream"):
            deltas = [{field: "Okay, maybe \\boxed{1}?\n\nNo."}, {"content": "It is "}]
            return streamed(*deltas, {"content": "\\boxed{42}."}, drawn=20)
        reply = chat(RIGHT, "stop", 20, **{field: "Okay, maybe \\boxed{1}?\n\nNo."})
        reply.body["usage"]["completion_tokens_details"] = {"reasoning_tokens": 13}
        return reply

    return chats_only(answer)


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_a_thought_apart_is_a_thought(field: str) -> None:
    with serving(thinking(field)) as server:
        whole = result_of(server)
        plan = plan_of("p = sample 2 thoughts", "return best of p by tokens")
        thoughts = result_of(server, plan)
    assert whole.summary.accuracy == 1.0
    assert whole.summary.policy_tokens == 2 * 20
    assert [answer.answer for answer in thoughts.answers] == ["1", "1"]
    assert 2 * 2 * 9 < thoughts.summary.policy_tokens < 2 * 2 * 30


def test_a_thought_that_is_cut_is_no_answer() -> None:
    def answer(asked: Asked) -> Reply:
        limit = asked.body["max_tokens"]
        return chat(None, "length", limit, reasoning_content="So \\boxed{42}, but " * limit)

    with serving(chats_only(answer)) as server:
        result = result_of(server, plan_of("return sample 1 max 30 tokens"))
        both = result_of(server)
    assert [each.answer for each in [*result.answers, *both.answers]] == [None] * 4


def test_thoughts_that_nobody_shows_cost_what_the_server_says(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def answer(asked: Asked) -> Reply:
        if asked.body["max_tokens"] == 1:
            return chat("", "length", 1)
        reply = chat(RIGHT, "stop", 400)
        reply.body["usage"]["completion_tokens_details"] = {"reasoning_tokens": 390}
        return reply

    with serving(chats_only(answer)) as server:
        plan = plan_of("p = sample 2", "return best of p by -tokens")
        result = result_of(server, plan)
    assert result.summary.accuracy == 1.0
    assert result.summary.policy_tokens == 2 * 2 * 400
    assert "cut" not in caplog.text.replace("cut here", "")


@pytest.mark.parametrize(
    "cut",
    [
        chat("", "length", 505),
        refused(
            "Could not finish the message because max_tokens or model output limit was reached. "
            "Please try again with higher max_tokens.",
            type="invalid_request_error",
        ),
    ],
)
def test_a_limit_spent_on_hidden_thoughts_is_said(
    cut: Reply, caplog: pytest.LogCaptureFixture
) -> None:
    with serving(chats_only(lambda _asked: cut)) as server:
        result = result_of(server)
    assert result.summary.accuracy == 0.0
    assert all(500 < each.policy_tokens < 512 for each in result.answers)
    assert caplog.text.count("cut an answer after") == 1


# ---------------------------------------------------------------------- cuts


def test_the_rest_of_the_window_is_sent() -> None:
    with serving(chats_only(lambda _asked: chat(RIGHT))) as server:
        result_of(server)
    assert 450 < server.sent()[-1]["max_tokens"] < 512


def written(text: str, asked: Asked) -> int:
    """How much of a text the prompt ends with."""
    prompt = asked.body["prompt"]
    return next(at for at in range(len(text), -1, -1) if prompt.endswith(text[:at]))


def default_cuts(asked: Asked) -> Reply:
    """Completions of at most 8 letters, whatever the limit."""
    if asked.chat:
        return Reply({}, 404)
    begun = next(
        at for at in range(len(RIGHT), -1, -1) if asked.body["prompt"].endswith(RIGHT[:at])
    )
    more = RIGHT[begun : begun + 8]
    return completion(more, "stop" if begun + 8 >= len(RIGHT) else "length")


def test_an_answer_that_the_server_cuts_is_asked_on() -> None:
    with serving(default_cuts) as server:
        for options in ("api=completions", "api=completions&omit=max_tokens"):
            assert result_of(server, options=options).summary.accuracy == 1.0


def test_a_cut_that_cannot_be_asked_on_is_said(caplog: pytest.LogCaptureFixture) -> None:
    with serving(chats_only(lambda _asked: chat("It is", "length", 2))) as server:
        assert result_of(server, "majority", n=3).summary.accuracy == 0.0
    assert caplog.text.count("cut an answer after 2 tokens, at a limit of its own") == 1


LIMITS = [
    "max_tokens is too large: {limit}. This model supports at most 100 completion tokens.",
    "Invalid max_tokens value, the valid range of max_tokens is [1, 100]",
    "`max_tokens` must be less than or equal to `100`, the maximum value for this model",
    "max_tokens: {limit} > 100, which is the maximum allowed number of output tokens",
    "This model's maximum context length is 140 tokens. However, you requested {sum} tokens (40 in "
    "the messages, {limit} in the completion). Please reduce the length.",
    "'max_tokens' or 'max_completion_tokens' is too large: {limit}. This model's maximum context "
    "length is 140 tokens and your request has 40 input tokens ({limit} > 140 - 40).",
    "Requested token count exceeds the model's maximum context length of 140 tokens. You requested "
    "a total of {sum} tokens: 40 tokens from the input messages and {limit} tokens for the "
    "completion.",
    "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 140. Given: 40 `inputs` "
    "tokens and {limit} `max_new_tokens`",
    "Prompt contains 40 tokens and {limit} draft tokens, too large for model with 140 maximum "
    "context length",
    "the request exceeds the available context size",
]


@pytest.mark.parametrize("words", LIMITS)
def test_a_limit_that_is_too_large_is_lowered(words: str) -> None:
    def answer(asked: Asked) -> Reply:
        limit = asked.body["max_tokens"]
        if limit > 100:
            return refused(words.format(limit=limit, sum=limit + 40))
        return chat(RIGHT)

    with serving(chats_only(answer)) as server:
        result = result_of(server, "majority", "concurrency=1", n=3)
    assert result.summary.accuracy == 1.0
    assert sum(body["max_tokens"] > 100 for body in server.sent()) <= 3


@pytest.mark.parametrize(
    "words",
    [
        "Please reduce the length of the messages or completion.",
        "This model's maximum context length is 100 tokens. However, your messages resulted in 200 "
        "tokens. Please reduce the length of the messages.",
    ],
)
def test_a_prompt_that_is_too_long_lowers_no_limits(words: str) -> None:
    def answer(asked: Asked) -> Reply:
        long = "long" in asked.body["messages"][-1]["content"]
        return refused(words, code="context_length_exceeded") if long else chat(RIGHT)

    with serving(chats_only(answer)) as server:
        settings = Settings(policies={"policy": f"openai:{server.root}/v1#m?concurrency=1"})
        problems = [Problem(name, f"{name}: what is 6 * 7?", "42") for name in ("long", "short")]
        [result] = run("greedy", problems, settings=settings)
    assert [each.error is None for each in result.answers] == [False, True]
    assert server.sent()[-1]["max_tokens"] > 400


# ---------------------------------------------------------------------- streams

STEPS = "First 6 * 7.\n\nThat is 42.\n\nSo it is \\boxed{42}."


def in_events(size: int, *, usage: bool) -> Callable[[Asked], Reply]:
    """A server that streams that many characters an event, and tells no tokens."""

    def answer(asked: Asked) -> Reply:
        if asked.chat:
            return Reply({}, 404)
        begun = written(STEPS, asked)
        rest = STEPS[begun:]
        if not asked.body.get("stream"):
            cut = asked.body["max_tokens"] == 1
            return completion(rest[:1] if cut else rest, "length" if cut else "stop")
        events: list[Any] = [
            {"choices": [{"text": rest[at : at + size]}]} for at in range(0, len(rest), size)
        ]
        events.append({"choices": [{"text": "", "finish_reason": "stop"}]})
        if usage:
            events.append({"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 30}})
        return Reply(events=tuple(events))

    return answer


@pytest.mark.parametrize("size", [1, 3, 12, 200])
@pytest.mark.parametrize("usage", [True, False])
def test_steps_end_behind_their_delimiter_whatever_the_events(
    size: int, usage: bool, tmp_path: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "tts_runtime")
    lines = (
        "p = sample 1 steps",
        "p = expand p by 1 steps",
        'q = sample 1 stop at "6 * 7"',
        'force "Wait" into q',
        "return first of p + q",
    )
    with serving(in_events(size, usage=usage)) as server:
        name = f"openai:{server.root}/v1#m?api=completions"
        cut = frozenset({"fuse_expansions"})  # which would make one request of the two steps
        settings = Settings({"policy": name}, {}, out=tmp_path / "run", disabled=cut)
        [result] = run(plan_of(*lines), [Problem("1", "What?", "42")], settings=settings)
    assert result.answers[0].error is None
    prompts = [body["prompt"] for body in server.sent() if body.get("stream")]
    assert any(prompt.endswith("6 * 7.\n\n") for prompt in prompts)
    assert not any(prompt.endswith(("\n\nT", "\n\nTha")) for prompt in prompts)
    written = [candidate.added for candidate in candidates(tmp_path / "run")]
    assert "First 6 * 7.\n\n" in written
    assert "First 6 * 7" in written
    assert "of streams that are cut here estimates" in caplog.text


def test_counts_of_a_whole_stream_are_the_servers() -> None:
    with serving(in_events(200, usage=True)) as server:
        plan = plan_of('return sample 1 stop at "never"')
        result = result_of(server, plan, "api=completions")
    assert result.summary.policy_tokens == 2 * 30


def test_a_server_that_does_not_stream_after_all(caplog: pytest.LogCaptureFixture) -> None:
    def answer(asked: Asked) -> Reply:
        if asked.chat:
            return Reply({}, 404)
        if asked.body.get("stream"):
            return refused(
                "Your organization must be verified to stream this model.", param="stream"
            )
        return completion(STEPS)

    with serving(answer) as server:
        plan = plan_of("return sample 1 step")
        result = result_of(server, plan, "api=completions")
    assert result.answers[0].answer is None
    assert "refuses `stream`" in caplog.text


# ---------------------------------------------------------------------- statuses, lists, places


def test_what_passes() -> None:
    lasting = {status for status in range(400, 600) if not passes(status)}
    assert {status for status in range(500, 600) if not passes(status)} == {501, 505}
    assert set(range(400, 500)) - lasting == {408, 409, 425, 429}


@pytest.mark.parametrize("status", [409, 500, 520, 521, 522, 523, 524, 529, 530, 598])
def test_failures_that_pass_are_repeated(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    async def at_once(_clock: object, _seconds: float) -> None:
        """No time passes."""

    monkeypatch.setattr("tts_runtime.engines.http.retry.WallClock.sleep", at_once)
    count = 0

    def answer(_asked: Asked) -> Reply:
        nonlocal count
        count += 1
        return Reply(b"<html>error", status) if count % 2 else chat(RIGHT)

    with serving(chats_only(answer)) as server:
        assert result_of(server).summary.accuracy == 1.0


LISTS = {
    "bare": [{"id": "m", "context_length": 512}],
    "texts": ["m"],
    "vllm": {"data": [{"id": "m", "max_model_len": 512, "root": None}]},
    "groq": {"data": [{"id": "m", "context_window": 512}]},
    "together": [{"id": "m", "type": "chat", "context_length": 512}, {"id": "n"}],
    "openrouter": {"data": [{"id": "m", "top_provider": {"context_length": 512}}]},
    "llama.cpp": {"data": [{"id": "m", "meta": {"n_ctx_train": 512, "n_params": 7}}]},
    "ollama": {"models": [{"model": "m", "model_info": {"llama.context_length": 512}}]},
    "mistral": {"data": [{"id": "m", "max_context_length": 512}]},
    "text": {"data": [{"id": "m", "context_length": "512"}]},
    "words": {"data": [{"id": "m", "context_length": "0.5k"}]},
    "copilot": {"data": [{"id": "m", "limits": {"max_context_window_tokens": 512}}]},
    "novita": {"data": [{"id": "m", "context_size": 512}]},
    "gemini": {"models": [{"name": "m", "inputTokenLimit": 512}]},
    "map": {"data": {"m": {"context_length": 512}}},
    "latest": {"data": [{"id": "m:latest", "context_length": 512}]},
}


@pytest.mark.parametrize("kind", LISTS)
def test_lists_of_models(kind: str) -> None:
    options = "context=512" if kind == "texts" else ""
    with serving(chats_only(lambda _asked: chat(RIGHT)), Reply(LISTS[kind])) as server:
        assert result_of(server, options=options).summary.accuracy == 1.0
    assert server.sent()[-1]["max_tokens"] < 512


@pytest.mark.parametrize("status", [401, 403])
def test_a_key_that_may_not_list_models_may_use_them(status: int, tts_run: Command) -> None:
    closed = refused("Missing scopes: api.model.read", status)
    with serving(chats_only(lambda _asked: chat(RIGHT)), closed) as server:
        assert result_of(server, options="context=512").summary.accuracy == 1.0
        code, _, said = tts_run("greedy", *ARITH, "--policy", f"openai:{server.root}/v1#m")
    assert code == 2
    assert "Missing scopes" in said
    assert ("add `?context=TOKENS`" in said) == (status == 403)


def test_a_key_that_may_do_nothing_is_refused(tts_run: Command) -> None:
    closed = refused("no such key", 401)
    with serving(lambda _asked: closed, closed) as server:
        policy = f"openai:{server.root}/v1#m?context=512"
        code, _, said = tts_run("greedy", *ARITH, "--policy", policy)
    assert (code, len(server.sent())) == (2, 1)
    assert "HTTP 401: no such key" in said


def test_a_variant_of_a_listed_model_need_not_be_listed(tts_run: Command) -> None:
    with serving(chats_only(lambda _asked: chat(RIGHT)), models(id="a/one")) as server:
        name = f"openai:{server.root}/v1#a/one:nitro"
        settings = Settings(policies={"policy": name}, scorers={})
        [result] = run("greedy", [Problem("1", "What?", "42")], settings=settings)
        code, _, said = tts_run("greedy", *ARITH, "--policy", f"openai:{server.root}/v1#a/on:nitro")
    assert result.summary.accuracy == 1.0
    assert server.sent()[-1]["model"] == "a/one:nitro"
    assert code == 2
    assert "has no model `a/on:nitro`" in said


@pytest.mark.parametrize(
    "listed", [{"data": 5}, {"data": None}, [], 7, {"data": [3, None]}, None, b"<html>"]
)
def test_a_list_that_is_none_says_nothing(listed: Any, tts_run: Command) -> None:
    with serving(chats_only(lambda _asked: chat(RIGHT)), Reply(listed)) as server:
        options = "context=512&attempts=1"
        assert result_of(server, options=options).summary.accuracy == 1.0
        code, _, said = tts_run("greedy", *ARITH, "--policy", f"openai:{server.root}/v1?{options}")
    assert code == 2
    assert ("is not JSON" if listed == b"<html>" else "which model?") in said


@pytest.mark.parametrize("value", [0, -5, True, 10**18, "many", None, 3.5, [512], {"a": 1}])
def test_windows_that_are_none(value: Any) -> None:
    assert window_in({"context_length": value, "context_window": 64}) == 64


@pytest.mark.parametrize(
    ("owner", "path", "said"),
    [
        ("llamacpp", "/props", {"default_generation_settings": {"n_ctx": 300}}),
        ("library", "/api/show", {"parameters": "stop x\nnum_ctx 300", "model_info": {"a": 1}}),
        ("library", "/api/show", {"model_info": {"qwen2.context_length": 300}}),
        ("bartowski", "/api/show", {"model_info": {"llama.context_length": 300}}),
        ("organization_owner", "/api/v0/models/m", {"loaded_context_length": 300}),
    ],
)
def test_windows_that_a_server_runs_a_model_with(owner: str, path: str, said: Any) -> None:
    entry = {"id": "m", "owned_by": owner, "meta": {"n_ctx_train": 4096}}
    if owner == "bartowski":  # of Ollama's models, only those of its library have it as owner
        entry = {"id": "m:latest", "owned_by": owner}
    listed = {"data": [entry]}

    def answer(asked: Asked) -> Reply:
        if asked.path == "/v1/models":
            return Reply(listed)
        if asked.path == path:
            return Reply(said)
        return chats_only(lambda _asked: chat(RIGHT))(asked)

    with ScriptedServer(answer).running() as server:
        result_of(server)
    assert server.sent()[-1]["max_tokens"] < 300


AZURE = "https://r.openai.azure.com/openai/deployments/gpt"


@pytest.mark.parametrize(
    ("url", "base", "model"),
    [
        (AZURE, AZURE, "gpt"),
        (AZURE + "#other", AZURE, "other"),
        ("https://r.openai.azure.com#gpt", AZURE, "gpt"),
        ("https://r.openai.azure.com/openai/#gpt", AZURE, "gpt"),
        ("https://r.openai.azure.com/openai/v1#gpt", "https://r.openai.azure.com/openai/v1", "gpt"),
    ],
)
def test_addresses_of_azure(url: str, base: str, model: str) -> None:
    address = parse_address(url, url, "2024-10-21")
    assert (address.base, address.model) == (base, model)
    assert address.with_query("x/models") == "x/models?api-version=2024-10-21"


def test_azure_gets_its_version_and_its_header(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_KEY", "azure-secret-key")
    place = "/openai/deployments/gpt/chat/completions?api-version=2024-10-21"

    def answer(asked: Asked) -> Reply:
        if asked.headers.get("api-key") != "azure-secret-key" or "authorization" in asked.headers:
            return refused("no key", 401)
        return chat(RIGHT) if asked.path == place else Reply({}, 404)

    with ScriptedServer(answer).running() as server:
        name = (
            f"openai:{server.root}/openai/deployments/gpt"
            "?api-version=2024-10-21&key_env=AZURE_KEY&key_header=api-key&context=512"
        )
        settings = Settings(policies={"policy": name}, scorers={})
        [result] = run("greedy", [Problem("1", "What?", "42")], settings=settings)
    assert result.summary.accuracy == 1.0


@pytest.mark.parametrize("header", ["authorization", "api-key"])
def test_a_redirect_to_another_place_does_not_take_the_key_along(
    header: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-key")
    with serving(chats_only(lambda _asked: chat(RIGHT))) as other:

        def answer(asked: Asked) -> Reply:
            if "/here" in asked.path:
                return models() if asked.path.endswith("models") else chat(RIGHT)
            there = other.root if asked.chat else ""
            place = f"{there}{asked.path}" if there else f"/here{asked.path}"
            return Reply({}, 307, {"location": place})

        with ScriptedServer(answer).running() as server:
            assert result_of(server, options=f"key_header={header}").summary.accuracy == 1.0
    assert all(header in each.headers for each in server.asked)
    assert other.asked
    assert not any("secret" in str(each.headers) for each in other.asked)


@pytest.mark.parametrize("status", [301, 302, 303])
def test_a_redirect_that_loses_the_request_is_named(status: int, tts_run: Command) -> None:
    def answer(asked: Asked) -> Reply:
        return models() if asked.method == "GET" else Reply({}, status, {"location": "/v2/x"})

    with ScriptedServer(answer).running() as server:
        code, _, said = tts_run("greedy", *ARITH, "--policy", f"openai:{server.root}/v1#m")
    assert code == 2
    assert f"HTTP {status}: it redirects to" in " ".join(said.split())


def test_redirects_end(tts_run: Command) -> None:
    answer = Reply({}, 307, {"location": "/v1/models"})
    with ScriptedServer(lambda _asked: answer).running() as server:
        code, _, said = tts_run("greedy", *ARITH, "--policy", f"openai:{server.root}/v1#m")
    assert code == 2
    assert "too many redirects" in said
